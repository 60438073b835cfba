//! Copies a whole image into another with `qemu-img convert`.

use std::{
    io::Read,
    path::Path,
    process::{Child, ChildStdout, Command},
    sync::OnceLock,
};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::{Format, ImageError, Result, qemu::Call};

/// How often a copy that says nothing looks whether it is still wanted.
const TICK: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 100_000_000,
};

/// Requests in flight. Sixteen are qemu-img's limit; beyond eight a local disk gains nothing.
const REQUESTS: &str = "8";

/// Copies what the image at `source` and its backing files hold to a new image at `target`. Blocks of zeros
/// take no space there. Nothing is flushed to stable storage: do that once all disks are there.
///
/// `source` is a path, or a description of [`Member::filename`](crate::Member::filename). `progress` hears
/// percents from 0 to 100 of what is stored in the source. The copy ends when `cancelled` says so, and when
/// this process dies.
///
/// # Errors
///
/// [`ImageError::Cancelled`]; [`ImageError::NoSpace`]; [`ImageError::Qemu`] if the source cannot be read or the
/// target cannot be written. The caller removes what there is of the target then.
pub fn copy(
    source: (&Path, Format),
    target: (&Path, Format),
    progress: &mut dyn FnMut(u8),
    cancelled: &dyn Fn() -> bool,
) -> Result<()> {
    let mut call = Call::with(bound_to_us(), "convert", source.0);
    // In any order (-W): the target is a new file, so that nothing is gained by writing it from front to back.
    call.command.args(["-p", "-W", "-m", REQUESTS]);
    run(
        call,
        (source.0, source.1.as_str()),
        (target.0, target.1.as_str()),
        progress,
        cancelled,
    )
}

/// Runs `qemu-img convert -p -f FORMAT -O FORMAT SOURCE TARGET`, for who has promised just this line. Formats are
/// qemu's names, also those that refit does not work on. Nothing is flushed to stable storage.
///
/// `progress` hears percents from 0 to 100 of what is stored in the source.
///
/// # Errors
///
/// [`ImageError::Unsupported`] for a format that qemu does not know; otherwise as for [`copy`].
pub fn convert(
    source: (&Path, &str),
    target: (&Path, &str),
    progress: &mut dyn FnMut(u8),
) -> Result<()> {
    let mut call = Call::with(Command::new("qemu-img"), "convert", source.0);
    call.command.arg("-p");
    run(call, source, target, progress, &|| false)
}

fn run(
    mut call: Call,
    source: (&Path, &str),
    target: (&Path, &str),
    progress: &mut dyn FnMut(u8),
    cancelled: &dyn Fn() -> bool,
) -> Result<()> {
    call.command
        .args(["-f", source.1, "-O", target.1])
        .args([source.0, target.0]);
    let (child, errors) = call.spawn()?;
    let mut child = KillOnDrop(child);
    let mut finished = true;
    if let Some(output) = child.0.stdout.take() {
        finished = follow(output, progress, cancelled)
            .map_err(ImageError::io(source.0, "following qemu-img"))?;
    }
    if !finished {
        return Err(ImageError::Cancelled {
            path: source.0.into(),
        });
    }
    let (status, stderr) = call.ending(&mut child.0, errors)?;
    if status.success() {
        if !stderr.is_empty() {
            tracing::warn!("{stderr}");
        }
        return Ok(());
    }
    if let Some(format) = unknown_format(&stderr) {
        return Err(ImageError::Unsupported {
            path: source.0.into(),
            what: format!("the image format {format:?}"),
            advice: "`qemu-img --help` lists what qemu knows",
        });
    }
    if stderr.contains("No space left on device") {
        return Err(ImageError::NoSpace {
            path: target.0.into(),
        });
    }
    Err(call.failed(status, stderr))
}

/// The format that qemu complains that it does not know, as that of the source or that of the target.
fn unknown_format(stderr: &str) -> Option<&str> {
    let name = ["Unknown driver '", "Unknown file format '"]
        .iter()
        .find_map(|complaint| Some(stderr.split_once(complaint)?.1))?;
    Some(name.split_once('\'')?.0)
}

/// A command that the kernel ends when we die, however we die: util-linux' `setpriv` sets the parent-death
/// signal, which survives the exec. Without it, only a kill -9 of ours leaves a qemu-img behind.
fn bound_to_us() -> Command {
    static SETPRIV: OnceLock<bool> = OnceLock::new();
    // Through qemu-img itself, so that a missing one is noticed at the start of the plain command.
    let usable = *SETPRIV.get_or_init(|| {
        Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "--", "qemu-img", "--version"])
            .output()
            .is_ok_and(|output| output.status.success())
    });
    if !usable {
        return Command::new("qemu-img");
    }
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--", "qemu-img"]);
    command
}

/// Reads percents until the end of the output; `false` if it was cancelled.
fn follow(
    mut output: ChildStdout,
    progress: &mut dyn FnMut(u8),
    cancelled: &dyn Fn() -> bool,
) -> std::io::Result<bool> {
    let mut text = Vec::new();
    let mut told = None;
    loop {
        if cancelled() {
            return Ok(false);
        }
        let ready = poll(&mut [PollFd::new(&output, PollFlags::IN)], Some(&TICK));
        match ready {
            Ok(0) | Err(rustix::io::Errno::INTR) => continue,
            Ok(_) => {}
            Err(error) => return Err(error.into()),
        }
        let mut buffer = [0; 4096];
        let count = output.read(&mut buffer)?;
        if count == 0 {
            return Ok(true);
        }
        text.extend_from_slice(&buffer[..count]);
        let percent = last_percent(&text);
        if percent.is_some() && percent != told {
            told = percent;
            percent.into_iter().for_each(&mut *progress);
        }
        // Only an unfinished report is still needed.
        let rest = text.iter().rposition(|byte| b"\r\n".contains(byte));
        text.drain(..rest.map_or(0, |end| end + 1));
        text.truncate(buffer.len());
    }
}

/// The last complete report: `    (12.34/100%)` and a carriage return.
fn last_percent(text: &[u8]) -> Option<u8> {
    let text = String::from_utf8_lossy(text);
    text.split_inclusive(['\r', '\n'])
        .rev()
        .filter_map(|report| report.strip_suffix(['\r', '\n']))
        .find_map(|report| {
            let (number, _) = report.trim().strip_prefix('(')?.split_once("/100%")?;
            let (whole, _) = number.split_once('.')?;
            whole.parse().ok().filter(|percent| *percent <= 100)
        })
}

/// A child that does not survive the end of the copy.
struct KillOnDrop(Child);

impl Drop for KillOnDrop {
    fn drop(&mut self) {
        // Both fail only if it is gone already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_last_complete_percent() {
        for (text, percent) in [
            ("", None),
            ("    (0.00/100%)\r", Some(0)),
            ("    (0.00/100%)\r    (47.03/100%)\r    (48.", Some(47)),
            ("    (99.12/100%)\r    (100.00/100%)\r\n", Some(100)),
            ("    (612.00/100%)\r", None),
            ("qemu-img: warning: (1.0/100%", None),
        ] {
            assert_eq!(last_percent(text.as_bytes()), percent, "{text:?}");
        }
    }

    #[test]
    fn formats_that_qemu_does_not_know_are_named() {
        let directory = tempfile::tempdir().unwrap();
        let [source, target] = ["source", "target"].map(|name| directory.path().join(name));
        std::fs::write(&source, [0; 512]).unwrap();
        for (from, to) in [("ploop", "raw"), ("raw", "ploop")] {
            let error = convert((&source, from), (&target, to), &mut |_| {}).unwrap_err();
            assert!(
                error
                    .to_string()
                    .contains("the image format \"ploop\" is not supported"),
                "{error}"
            );
        }
    }
}
