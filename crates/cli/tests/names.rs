//! The built command under its other names, and as the first process of a container.

#![allow(clippy::unwrap_used)] // a test fails by panicking

use std::os::unix::process::CommandExt as _;
use std::process::Command;

const REFIT: &str = env!("CARGO_BIN_EXE_refit");

/// Exit code and standard error.
fn run(command: &mut Command) -> (Option<i32>, String) {
    let output = command.env_clear().output().unwrap();
    (
        output.status.code(),
        String::from_utf8(output.stderr).unwrap(),
    )
}

#[test]
fn a_link_is_the_program_of_that_name() {
    for (name, arguments, code, message) in [
        (
            "image-converter",
            ["-src-path", "/nowhere", "-bogus"],
            2,
            "flag provided but not defined: -bogus",
        ),
        (
            "/usr/bin/virt-v2v-wrapper",
            ["-in-place", "--smp=2", "-bogus"],
            2,
            "flag provided but not defined: -bogus",
        ),
        (
            "/usr/local/bin/forklift-wait-for-reboot",
            ["", "", ""],
            1,
            "VMI_NAMESPACE is not set",
        ),
    ] {
        let (found, error) = run(Command::new(REFIT).arg0(name).args(arguments));
        assert_eq!(found, Some(code), "{name}: {error}");
        assert!(error.contains(message), "{name}: {error}");
    }
    let (code, _) = run(Command::new(REFIT).arg0("anything").arg("--version"));
    assert_eq!(code, Some(0));
}

#[test]
fn refit_may_be_pid_1() {
    let unshare = || {
        let mut unshare = Command::new("unshare");
        if !rustix::process::geteuid().is_root() {
            unshare.args(["--user", "--map-root-user"]);
        }
        unshare.args(["--pid", "--fork", "--kill-child", "--mount-proc", REFIT]);
        unshare
    };
    let (code, error) = run(unshare().arg("--version"));
    assert_eq!((code, &*error), (Some(0), ""));
    // The exit code is that of the refit that works.
    let (code, error) = run(unshare().args(["inspect", "/nowhere.img"]));
    assert_eq!(code, Some(1), "{error}");
    assert!(error.contains("/nowhere.img"), "{error}");
}
