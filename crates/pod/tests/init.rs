//! PID 1 for real: this program is started again as the first process of a PID namespace of its own.

#![allow(clippy::unwrap_used)] // a test fails by panicking

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Child, ChildStderr, Command, ExitCode, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, geteuid, getpid, getppid, kill_process};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

/// What the program is to do inside. Unset: it is the test.
const PART: &str = "REFIT_TEST_PART";

const SECRET: &str = "geheim\n=1";

/// Not a test by itself: the program inside.
#[test]
fn program() {
    if let Some(code) = refit_pod::init::supervise_if_pid_1().unwrap() {
        assert_eq!(getpid().as_raw_nonzero().get(), 1);
        // An exit code has no number to ask for, but can be compared.
        let code = (0..=255).find(|number| ExitCode::from(*number) == code);
        std::process::exit(code.map_or(255, i32::from));
    }
    let Ok(part) = std::env::var(PART) else {
        return;
    };
    assert_eq!(getppid().map(Pid::as_raw_pid), Some(1));
    std::process::exit(match part.as_str() {
        "arguments" => arguments(),
        "orphans" => orphans(),
        "environment" => environment(),
        "signals" => signals(),
        "wait" => {
            eprintln!("ready");
            loop {
                std::thread::park();
            }
        }
        _ => unreachable!("{part}"),
    });
}

fn arguments() -> i32 {
    let given: Vec<String> = std::env::args().collect();
    assert_eq!(
        given,
        ["virt-v2v-wrapper", "--exact", "program", "--nocapture"]
    );
    7
}

/// PID 1 has nothing of it, in memory files neither; we have what is no secret.
fn environment() -> i32 {
    assert!(std::env::var_os("V2V_secretKey").is_none());
    assert_eq!(std::env::var("V2V_vmName").unwrap(), "web 1");
    assert_eq!(std::env::var("HOME").unwrap(), "/home");
    assert!(std::env::vars().all(|(name, _)| name != "REFIT_INIT"));
    let environment = fs::read_to_string("/proc/1/environ").unwrap();
    assert!(environment.contains("HOME=/home\0"), "{environment}");
    assert!(!environment.contains("V2V_"), "{environment}");
    for file in fs::read_dir("/proc/1/fd").unwrap() {
        // Others than files cannot be read again, and hold nothing.
        let path = file.unwrap().path();
        if fs::metadata(&path).is_ok_and(|found| found.is_file()) {
            let bytes = fs::read(&path).unwrap();
            assert!(
                !String::from_utf8_lossy(&bytes).contains(SECRET),
                "{path:?}"
            );
        }
    }
    assert_eq!(std::io::stdin().read(&mut [0]).unwrap(), 0);
    9
}

/// Leaves 50 grandchildren to PID 1, and looks whether they are gone.
fn orphans() -> i32 {
    let script = "for i in $(seq 50); do (sleep 0.1; exit 3) & done; exit 0";
    assert!(
        Command::new("sh")
            .args(["-c", script])
            .status()
            .unwrap()
            .success()
    );
    for _ in 0..200 {
        // PID 1 and ourselves.
        if processes() == 2 {
            return 0;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    eprintln!("{} processes are left", processes());
    1
}

fn processes() -> usize {
    let entries = fs::read_dir("/proc").unwrap().flatten();
    entries
        .filter(|entry| entry.file_name().to_string_lossy().parse::<u32>().is_ok())
        .count()
}

fn signals() -> i32 {
    let mut signals = Signals::new([SIGHUP, SIGINT, SIGTERM]).unwrap();
    eprintln!("ready");
    for signal in signals.forever() {
        eprintln!("got {signal}");
        if signal == SIGTERM {
            return 42;
        }
    }
    1
}

struct Namespace {
    unshare: Child,
    errors: BufReader<ChildStderr>,
}

impl Namespace {
    fn start(part: &str) -> Self {
        Self::with(part, &[])
    }

    fn with(part: &str, variables: &[(&str, &str)]) -> Self {
        let mut unshare = Command::new("unshare");
        if !geteuid().is_root() {
            unshare.args(["--user", "--map-root-user"]);
        }
        let mut unshare = unshare
            .args(["--pid", "--fork", "--kill-child", "--mount-proc"])
            // For a name of its own: util-linux cannot give one.
            .args(["bash", "-c", r#"exec -a virt-v2v-wrapper "$0" "$@""#])
            .arg(std::env::current_exe().unwrap())
            .args(["--exact", "program", "--nocapture"])
            .env(PART, part)
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()
            .unwrap();
        let errors = BufReader::new(unshare.stderr.take().unwrap());
        Self { unshare, errors }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.errors.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    /// To PID 1 in there.
    fn send(&self, signal: Signal) {
        kill_process(child_of(self.unshare.id()), signal).unwrap();
    }

    /// The exit code, which unshare gives as its own.
    fn end(mut self) -> i32 {
        let status = self.unshare.wait().unwrap();
        let mut rest = String::new();
        while self.errors.read_line(&mut rest).unwrap() > 0 {}
        eprint!("{rest}");
        status.code().unwrap_or_else(|| -status.signal().unwrap())
    }
}

fn child_of(process: u32) -> Pid {
    let children = fs::read_to_string(format!("/proc/{process}/task/{process}/children")).unwrap();
    Pid::from_raw(children.trim().parse().unwrap()).unwrap()
}

#[test]
fn the_child_has_the_same_arguments_and_gives_the_exit_code() {
    assert_eq!(Namespace::start("arguments").end(), 7);
}

#[test]
fn secrets_are_nobodys() {
    let variables = [
        ("V2V_secretKey", SECRET),
        ("V2V_vmName", "web 1"),
        ("HOME", "/home"),
    ];
    assert_eq!(Namespace::with("environment", &variables).end(), 9);
}

#[test]
fn orphans_are_reaped() {
    assert_eq!(Namespace::start("orphans").end(), 0);
}

#[test]
fn signals_reach_the_child() {
    let mut namespace = Namespace::start("signals");
    assert_eq!(namespace.line(), "ready");
    for signal in [Signal::HUP, Signal::INT] {
        namespace.send(signal);
        assert_eq!(namespace.line(), format!("got {}", signal.as_raw()));
    }
    // Nobody has asked to end by it, and it would kill the child.
    namespace.send(Signal::USR1);
    namespace.send(Signal::QUIT);
    assert_eq!(namespace.line(), format!("got {SIGTERM}"));
    assert_eq!(namespace.end(), 42);
}

#[test]
fn a_child_that_a_signal_ended_is_told_as_a_shell_does() {
    let mut namespace = Namespace::start("wait");
    assert_eq!(namespace.line(), "ready");
    namespace.send(Signal::TERM);
    assert_eq!(namespace.end(), 128 + SIGTERM);
}
