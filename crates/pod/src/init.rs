//! What the first process of a container owes the others.
//!
//! The kernel gives PID 1 every process whose parent has died, and expects it to collect their ends; and it delivers
//! to PID 1 no signal that it has no handler for. A conversion starts programs that start programs, so the one that
//! is PID 1 does nothing but that, and the work is done by a child. No other init program is needed in the image.

mod environment;

use std::io::IsTerminal as _;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitCode};

use anyhow::Context as _;
use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitOptions, WaitStatus, getpid, kill_process, waitpid};
use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::handover::Variables;

/// Those that ask to end. The child has a handler for them; others would kill it in the middle of a commit.
const FORWARDED: [i32; 4] = [SIGHUP, SIGINT, SIGQUIT, SIGTERM];
/// A terminal sends these to all processes in its foreground, our child among them.
const FROM_TERMINAL: [i32; 2] = [SIGINT, SIGQUIT];

/// If this process is PID 1: starts itself again as a child with the same arguments, forwards signals to it, reaps
/// every orphan, and gives the child's exit code, or 128 and the number of the signal that ended it. The caller then
/// exits with it, and the kernel ends what is left in the container. In any other process: nothing.
///
/// # Errors
/// If the child cannot be started, for instance where `/proc` is not mounted.
pub fn supervise_if_pid_1() -> anyhow::Result<Option<ExitCode>> {
    if getpid().is_init() {
        supervise().map(Some)
    } else {
        Ok(None)
    }
}

fn supervise() -> anyhow::Result<ExitCode> {
    let environment = environment::take()?;
    // Before there is a child, so that none of its signals is missed.
    let mut signals = Signals::new(FORWARDED.iter().chain(&[SIGCHLD]))
        .context("listening for signals as PID 1")?;
    let child = start(environment)?;
    let has_terminal = std::io::stdin().is_terminal();
    for signal in signals.forever() {
        if signal == SIGCHLD {
            if let Some(code) = reap(child)? {
                return Ok(code);
            }
        } else if !(has_terminal && FROM_TERMINAL.contains(&signal))
            && let Some(signal) = Signal::from_named_raw(as_asked(signal))
        {
            match kill_process(child, signal) {
                // Over already: its end is about to be told.
                Ok(()) | Err(Errno::SRCH) => {}
                Err(error) => tracing::warn!("forwarding {signal:?} to process {child:?}: {error}"),
            }
        }
    }
    anyhow::bail!("PID 1 hears of no signals any more")
}

/// SIGQUIT would kill the child.
fn as_asked(signal: i32) -> i32 {
    if signal == SIGQUIT { SIGTERM } else { signal }
}

/// It is waited for together with all others, in [`reap`].
fn start(environment: Option<Variables>) -> anyhow::Result<Pid> {
    let mut command = again();
    if let Some(variables) = environment {
        command
            .env_remove(environment::MARK)
            .envs(variables)
            .stdin(std::process::Stdio::null());
    }
    let child = command
        .spawn()
        .context("starting /proc/self/exe as the child of PID 1 (is /proc mounted?)")?;
    i32::try_from(child.id())
        .ok()
        .and_then(Pid::from_raw)
        .context("the child of PID 1 has no process id")
}

/// This program with these arguments.
fn again() -> Command {
    let mut arguments = std::env::args_os();
    let mut command = Command::new("/proc/self/exe");
    if let Some(name) = arguments.next() {
        command.arg0(name);
    }
    command.args(arguments);
    command
}

/// Collects every process that has ended; gives the exit code if the child is one of them.
fn reap(child: Pid) -> anyhow::Result<Option<ExitCode>> {
    let mut code = None;
    loop {
        match waitpid(None, WaitOptions::NOHANG) {
            Ok(Some((ended, status))) if ended == child => {
                if let Some(signal) = status.terminating_signal() {
                    crate::say_failure(&killed(signal));
                }
                code = Some(exit_code(status));
            }
            Ok(Some(_)) | Err(Errno::INTR) => {}
            Ok(None) | Err(Errno::CHILD) => return Ok(code),
            Err(error) => return Err(error).context("waiting for processes that have ended"),
        }
    }
}

/// It could not say so itself.
fn killed(signal: i32) -> anyhow::Error {
    let name = Signal::from_named_raw(signal).map_or_else(
        || format!("signal {signal}"),
        |signal| format!("{signal:?}"),
    );
    anyhow::anyhow!(
        "the conversion was killed by {name}; if nobody did that, look at the pod's memory limit. Disks in place \
         are as they were unless the log's last lines tell of a commit"
    )
}

fn exit_code(status: WaitStatus) -> ExitCode {
    let code = match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => code,
        (None, Some(signal)) => 128 + signal,
        (None, None) => 1,
    };
    u8::try_from(code).map_or(ExitCode::FAILURE, ExitCode::from)
}
