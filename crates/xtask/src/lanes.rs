//! Running slow test programs side by side.

use std::collections::VecDeque;
use std::io::{Read as _, Seek as _};
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Instant;

use anyhow::{Context as _, ensure};

/// How many run at a time on a machine with two processors. An emulated machine keeps one of them busy
/// except while it waits for its clock or its disk; with two lanes the processors are idle for a fifth to
/// half of the time (`vmstat 10` beside a run).
pub const LANES: usize = 3;

/// One test program.
pub struct Program {
    /// What it is called in the output.
    pub name: String,
    /// How it is run.
    pub command: Command,
}

/// Runs the programs in their order, `lanes` at a time, and prints the output of each when it ends.
/// All are run, whichever fail.
pub fn run(lanes: usize, programs: Vec<Program>) -> anyhow::Result<()> {
    let queue = Mutex::new(VecDeque::from(programs));
    let failed = Mutex::new(Vec::new());
    let take = || lock(&queue).pop_front();
    thread::scope(|scope| {
        for _ in 0..lanes {
            scope.spawn(|| {
                while let Some(mut program) = take() {
                    println!("-- {} starts", program.name);
                    let start = Instant::now();
                    let passed = output(&mut program.command).map(|(passed, output)| {
                        let seconds = start.elapsed().as_secs();
                        println!("\n-- {} ({seconds} s)\n{output}", program.name);
                        passed
                    });
                    match passed {
                        Ok(true) => {}
                        Ok(false) => lock(&failed).push(program.name),
                        Err(error) => lock(&failed).push(format!("{}: {error:#}", program.name)),
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().unwrap_or_else(PoisonError::into_inner);
    ensure!(failed.is_empty(), "failed: {}", failed.join(", "));
    Ok(())
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether it succeeded, and what it printed. Into a file: a pipe is at its end only when all processes have ended that
/// the program has left behind, which may be never.
fn output(command: &mut Command) -> anyhow::Result<(bool, String)> {
    let mut printed = tempfile::tempfile().context("making a file for its output")?;
    let share = || printed.try_clone().context("sharing a file");
    let status = command
        .stdin(Stdio::null())
        .stdout(share()?)
        .stderr(share()?)
        .status()
        .context("starting it")?;
    let mut text = Vec::new();
    printed
        .rewind()
        .and_then(|()| printed.read_to_end(&mut text))
        .context("reading its output")?;
    Ok((
        status.success(),
        String::from_utf8_lossy(&text).into_owned(),
    ))
}

#[cfg(test)]
mod tests {
    use rustix::process::{Pid, Signal, kill_process};

    use super::*;

    #[test]
    fn what_a_program_leaves_behind_is_not_waited_for() {
        let mut program = Command::new("sh");
        program.args(["-c", "sleep 600 & echo $!; exit 1"]);
        let (passed, printed) = output(&mut program).unwrap();
        assert!(!passed);
        let left = Pid::from_raw(printed.trim().parse().unwrap()).unwrap();
        kill_process(left, Signal::KILL).unwrap();
    }
}
