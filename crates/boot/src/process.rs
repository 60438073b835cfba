//! Starting qemu so that it cannot outlive us.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::process::{Child, Command, ExitStatus};
use std::sync::OnceLock;

use crate::Error;

/// The emulator.
pub(crate) const QEMU: &str = "qemu-system-x86_64";

/// How much of qemu's error output is worth reading.
const MAX_WORDS: u64 = 8 * 1024;

/// A command for [`QEMU`] that the kernel kills when we die, however we die: util-linux' `setpriv`
/// sets the parent-death signal, which survives the exec. Without `setpriv`, a plain command: then
/// only a kill -9 of ours leaves a qemu behind.
pub(crate) fn command() -> Command {
    static SETPRIV: OnceLock<bool> = OnceLock::new();
    let has_setpriv = *SETPRIV.get_or_init(|| {
        Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "--", "true"])
            .status()
            .is_ok_and(|status| status.success())
    });
    // setpriv would turn a missing program into an exit status; callers want to know at spawn.
    if !has_setpriv || !installed(QEMU) {
        return Command::new(QEMU);
    }
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--", QEMU]);
    command
}

/// Whether a program is on the search path.
pub(crate) fn installed(program: &str) -> bool {
    std::env::var_os("PATH")
        .is_some_and(|path| std::env::split_paths(&path).any(|dir| dir.join(program).is_file()))
}

/// Whether the emulator is there.
///
/// # Errors
/// [`Error::ProgramMissing`].
pub(crate) fn need_qemu() -> Result<(), Error> {
    if installed(QEMU) {
        return Ok(());
    }
    Err(Error::ProgramMissing {
        program: QEMU,
        hint: "install qemu-system-x86 (Debian) or qemu-kvm (Red Hat)",
    })
}

/// A child that does not survive its owner.
#[derive(Debug)]
pub(crate) struct KillOnDrop(pub(crate) Child);

impl Drop for KillOnDrop {
    fn drop(&mut self) {
        // Both fail only if it is gone already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What a program said on its error output (a file that it shares with us) before it ended.
pub(crate) fn last_words(errors: &mut File, status: ExitStatus) -> String {
    let mut words = Vec::new();
    let read = errors
        .seek(SeekFrom::Start(0))
        .and_then(|_| Read::by_ref(errors).take(MAX_WORDS).read_to_end(&mut words));
    let text = String::from_utf8_lossy(&words);
    let lines: Vec<&str> = text
        .lines()
        .map(|line| {
            line.trim()
                .trim_start_matches(QEMU)
                .trim_start_matches(": ")
        })
        .filter(|line| !line.is_empty() && !line.starts_with("warning:"))
        .collect();
    match read {
        Ok(_) if !lines.is_empty() => lines.join("; "),
        _ => format!("nothing ({status})"),
    }
}
