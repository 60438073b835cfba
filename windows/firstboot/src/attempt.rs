//! One attempt at a task, in a process of its own: whatever happens to it, the service goes on.

use std::fs::File;
use std::io;
use std::os::windows::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::actions;
use crate::folder::Folder;
use crate::schedule::Outcome;
use crate::task::Task;
use crate::win32::process::end_together;
use crate::win32::service::stopping;

/// What the process's last line begins with.
const MARKER: &str = "refit-result: ";
/// Exit code for a success that needs a restart (`ERROR_SUCCESS_REBOOT_REQUIRED`).
const RESTART: i32 = 3010;
const CREATE_NO_WINDOW: u32 = 0x0800_0000;
/// Largest output, in bytes: a program that writes without end has failed.
const MAX_OUTPUT: u64 = 64 << 20;
/// The process itself keeps the task's limit where it waits, and says why; it gets that much longer.
const GRACE: Duration = Duration::from_secs(5);

/// Starts the process and waits for it. `None` if the service is to stop.
pub fn run(folder: &Folder, file: &str, task: &Task) -> Option<Outcome> {
    let failure = |message: String| Some(Outcome::Failure { message });
    let output = folder.file("attempt.out");
    let mut child = match start(folder, file, &output) {
        Ok(started) => started,
        Err(error) => return failure(format!("starting the attempt: {error}")),
    };
    let deadline = Instant::now() + task.timeout + GRACE;
    let code = loop {
        match child.try_wait() {
            Ok(Some(status)) => break Ok(status.code().unwrap_or(-1)),
            Ok(None) => {}
            Err(error) => break Err(error.to_string()),
        }
        if stopping() {
            // The next start finds that it was cut short.
            let _ = child.kill();
            return None;
        }
        if Instant::now() >= deadline {
            break Err(format!("ended after {} s", task.timeout.as_secs()));
        }
        if output.metadata().map_or(0, |meta| meta.len()) > MAX_OUTPUT {
            break Err("ended: its output has no end".into());
        }
        sleep(Duration::from_millis(100));
    };
    // With all that it has started. It may have ended already.
    let _ = child.kill();
    let said = folder.log_output(&output, MARKER);
    match code {
        Ok(code @ (0 | RESTART)) => Some(Outcome::Success {
            restart: code == RESTART,
            message: said.unwrap_or_default(),
        }),
        Ok(1) if said.is_some() => failure(said.unwrap_or_default()),
        Ok(code) => failure(format!("the attempt crashed with code {code:#x}")),
        Err(reason) => failure(reason),
    }
}

fn start(folder: &Folder, file: &str, output: &Path) -> io::Result<Child> {
    let out = File::create(output)?;
    Command::new(std::env::current_exe()?)
        .arg("attempt")
        .arg(folder.path())
        .arg(file)
        .stdin(Stdio::null())
        .stdout(out.try_clone()?)
        .stderr(out)
        .creation_flags(CREATE_NO_WINDOW)
        .spawn()
}

/// The process itself; its result is the exit code.
pub fn process(folder: &Folder, file: &str) -> i32 {
    crate::win32::system::no_dialogs();
    if let Err(error) = end_together() {
        println!("what this attempt starts may outlive it: {error}");
    }
    let outcome = match folder.task(file.to_owned()).task {
        Ok(task) => actions::attempt(&task, &folder.names()),
        Err(message) => Outcome::Failure { message },
    };
    match outcome {
        Outcome::Success { restart, message } => {
            println!("{MARKER}{message}");
            if restart { RESTART } else { 0 }
        }
        Outcome::Failure { message } => {
            println!("{MARKER}{message}");
            1
        }
    }
}
