//! The whole watch, against an API server with TLS on this host.

mod server;

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::run;
use server::{Console, Identity, Server};

const PACE: Duration = Duration::from_millis(20);

/// What goes to the log of this thread.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Runs the watch in the environment of a pod, with more variables; gives its result and all that it logged.
fn watch(server: &Server, more: &[(&str, &str)]) -> (Result<(), String>, String) {
    let mut variables: BTreeMap<String, String> = server.variables();
    variables.extend(
        more.iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned())),
    );
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || writer.clone())
        .with_ansi(false)
        .finish();
    let result = tracing::subscriber::with_default(subscriber, || {
        run(
            &|name| variables.get(name).cloned(),
            server.service_account(),
            PACE,
        )
    });
    let result = result.map_err(|error| format!("{error:#}"));
    let text = log.text();
    for place in [&text, &format!("{result:?}")] {
        assert!(
            !place.contains(server::TOKEN) && !place.contains("Bearer"),
            "{place}"
        );
    }
    (result, text)
}

#[test]
fn the_signal_and_a_restart() {
    let server = Server::start(
        vec![
            Console::Refuse(404, "virtualmachineinstance \"win\" not found"),
            Console::Refuse(409, "VMI is not running"),
            // Another's connection takes the console away, in the middle of the signal.
            Console::Send(&["C:\\>echo CONVERSION", "_CONVERSION_D"]),
            Console::Break,
            Console::Stay(&["ONE\r\n"]),
        ],
        &[
            "Scheduled",
            "Running",
            "Running",
            "",
            "503",
            "Succeeded",
            "Scheduling",
            "Running",
        ],
    );
    let (result, log) = watch(&server, &[]);
    assert_eq!(result, Ok(()), "{log}");
    assert!(log.contains("VMI is not running"), "{log}");
    assert!(log.contains("VMI vms/win was restarted"), "{log}");
    assert_eq!(server.left(), (0, 0));
    // The token was read anew each time: the server gives another with each answer.
    let requests = server.requests();
    assert_eq!(requests.len(), 13);
    let console =
        "/apis/subresources.kubevirt.io/v1/namespaces/vms/virtualmachineinstances/win/console";
    assert!(
        requests[..5].iter().all(|path| path == console),
        "{requests:?}"
    );
    let vmi = "/apis/kubevirt.io/v1/namespaces/vms/virtualmachineinstances/win";
    assert!(requests[5..].iter().all(|path| path == vmi), "{requests:?}");
}

#[test]
fn the_signal_without_a_restart_is_enough() {
    let server = Server::start(vec![Console::Stay(&["boot...", "all DONE"])], &["Running"]);
    let (result, log) = watch(&server, &[("SIGNAL", "DONE"), ("REBOOT_TIMEOUT", "1")]);
    assert_eq!(result, Ok(()), "{log}");
    assert!(
        log.contains("no restart of VMI vms/win was seen within 1 s"),
        "{log}"
    );
}

#[test]
fn without_the_signal_it_fails_in_time() {
    let server = Server::start(vec![Console::Stay(&["CONVERSION_FAILED"])], &[]);
    let (result, log) = watch(&server, &[("TIMEOUT", "1")]);
    assert_eq!(
        result.unwrap_err(),
        "waiting for VMI vms/win: the guest has not sent \"CONVERSION_DONE\" within 1 s (TIMEOUT); see its console"
    );
    assert!(
        !log.contains("CONVERSION_FAILED"),
        "what a guest says is not logged: {log}"
    );
    // Nor does it wait for a machine for ever.
    let server = Server::start(vec![], &[]);
    assert!(watch(&server, &[("TIMEOUT", "0")]).0.is_err());
}

#[test]
fn who_may_not_ask_gives_up() {
    let message = "User \"system:serviceaccount:vms:default\" cannot get\n\u{1b}[2J";
    let server = Server::start(vec![Console::Refuse(403, message)], &[]);
    let (result, _) = watch(&server, &[]);
    let error = result.unwrap_err();
    assert!(error.contains("service account may not do that"), "{error}");
    assert!(
        error.contains("403") && error.contains("cannot get") && !error.contains('\u{1b}'),
        "{error}"
    );
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn another_authority_is_not_trusted() {
    let server = Server::start(vec![Console::Stay(&["CONVERSION_DONE"])], &["Running"]);
    let other = Server::start(vec![], &[]);
    server.trust(&other);
    let (result, _) = watch(&server, &[]);
    let error = result.unwrap_err();
    assert!(error.contains("certificate"), "{error}");
    // It has not seen a request, and so no token.
    assert_eq!(server.requests().len(), 0);
}

#[test]
fn a_server_that_is_its_own_authority_is_trusted() {
    let consoles = || vec![Console::Stay(&["CONVERSION_DONE"])];
    for identity in [
        Identity::of_openssl(),
        Identity::own_authority("127.0.0.1", 2090),
    ] {
        let server = Server::start_as(identity, consoles(), &["Running"]);
        let (result, log) = watch(&server, &[("REBOOT_TIMEOUT", "0")]);
        assert_eq!(result, Ok(()), "{log}");
    }

    // But only for its own name, in its time, and if it is the one that the pod was given.
    for (identity, stranger, expected) in [
        (
            Identity::own_authority("127.0.0.2", 2090),
            false,
            "not valid for name",
        ),
        (Identity::own_authority("127.0.0.1", 2001), false, "expired"),
        (
            Identity::own_authority("127.0.0.1", 2090),
            true,
            "CaUsedAsEndEntity",
        ),
    ] {
        let server = Server::start_as(identity, consoles(), &["Running"]);
        if stranger {
            let same_name = Identity::own_authority("127.0.0.1", 2090);
            server.trust(&Server::start_as(same_name, vec![], &[]));
        }
        let error = watch(&server, &[]).0.unwrap_err();
        assert!(error.contains(expected), "{expected}: {error}");
        assert_eq!(server.requests().len(), 0);
    }
}

#[test]
fn a_console_that_stays_away_is_given_up() {
    let missing = Console::Refuse(404, "virtualmachineinstance \"win\" not found");
    let useless = Console::Refuse(400, "VMI does not have a serial console");
    let not_yet = Console::Refuse(400, "VMI is not running");
    let done = Console::Stay(&["CONVERSION_DONE"]);
    let server = Server::start(
        vec![missing, useless, missing, useless, missing, done],
        &["Running"],
    );
    let (result, log) = watch(&server, &[]);
    let error = result.unwrap_err();
    assert!(
        error.contains("5 times") && error.contains("\\\"win\\\" not found"),
        "{error}"
    );
    assert_eq!(server.requests().len(), 5, "{log}");

    // What says that it will come is waited for, and so is what is there again.
    let mut consoles = vec![not_yet; 7];
    consoles.extend([missing, missing, missing, missing, not_yet, missing, done]);
    let count = consoles.len();
    let server = Server::start(consoles, &["Running"]);
    let (result, log) = watch(&server, &[("REBOOT_TIMEOUT", "0")]);
    assert_eq!(result, Ok(()), "{log}");
    assert_eq!(
        server
            .requests()
            .iter()
            .filter(|path| path.ends_with("/console"))
            .count(),
        count
    );
}

#[test]
fn what_is_missing_is_named() {
    let server = Server::start(vec![], &[]);
    for (name, value, expected) in [
        ("VMI_NAME", "", "VMI_NAME is not set"),
        ("VMI_NAMESPACE", "", "VMI_NAMESPACE is not set"),
        ("VMI_NAME", "../x", "is no name of a Kubernetes object"),
        ("VMI_NAME", "..", "is no name of a Kubernetes object"),
        ("VMI_NAMESPACE", "a/b", "is no name of a Kubernetes object"),
        (
            "TIMEOUT",
            "30m",
            "reading TIMEOUT=\"30m\": it must be whole seconds",
        ),
        ("REBOOT_TIMEOUT", "-1", "reading REBOOT_TIMEOUT"),
        ("KUBERNETES_SERVICE_HOST", "", "this is no pod of a cluster"),
        (
            "KUBERNETES_SERVICE_HOST",
            "no host",
            "reading KUBERNETES_SERVICE_HOST",
        ),
        (
            "KUBERNETES_SERVICE_PORT",
            "https",
            "reading KUBERNETES_SERVICE_PORT",
        ),
    ] {
        let error = watch(&server, &[(name, value)]).0.unwrap_err();
        assert!(error.contains(expected), "{name}={value}: {error}");
    }
    let large = "secret".repeat(200_000);
    for (file, text, expected) in [
        ("token", "\n", "there is no token in it"),
        ("token", "secret\u{1}text", "there is no token in it"),
        ("ca.crt", "nothing", "there is no certificate in it"),
        // It would be cut.
        ("token", &large, "it has more than 1048576 bytes"),
        ("ca.crt", &large, "it has more than 1048576 bytes"),
    ] {
        let path = server.service_account().join(file);
        let before = std::fs::read(&path).unwrap();
        std::fs::write(&path, text).unwrap();
        let error = watch(&server, &[]).0.unwrap_err();
        assert!(
            error.contains(expected) && !error.contains("secret"),
            "{file}: {error}"
        );
        std::fs::remove_file(&path).unwrap();
        let error = watch(&server, &[]).0.unwrap_err();
        assert!(
            error.contains(&path.display().to_string()),
            "{file}: {error}"
        );
        std::fs::write(&path, before).unwrap();
    }
    assert_eq!(server.requests().len(), 0);
}
