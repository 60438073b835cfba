//! The end: the result is written, signalled, and everything but log and result is removed.

use std::fs;
use std::path::Path;

use crate::actions::files;
use crate::boot::End;
use crate::folder::Folder;
use crate::schedule::Schedule;
use crate::win32::{service, system};

/// The service's name.
pub const SERVICE: &str = "refit-firstboot";
/// What is written to the first serial port, as a line.
const SIGNAL: &str = "CONVERSION_DONE";

/// Writes the result, signals it, removes what is not needed any more.
pub fn finish(folder: &Folder, schedule: &Schedule, as_service: bool) -> End {
    let mut result = String::new();
    for record in &schedule.state.records {
        let (word, message) = (record.status.word(), &record.message);
        result += &format!("{word} {} {message}\r\n", record.file);
    }
    let end = if schedule.all_done() {
        End::Done
    } else {
        End::Failed
    };
    folder.log(match end {
        End::Done => "finished: every task was done",
        _ => "finished: some tasks were not done",
    });
    if let Err(error) = system::replace_file(&folder.file("complete"), result.as_bytes()) {
        folder.log(&format!("the file complete cannot be written: {error}"));
        return End::Interrupted;
    }
    let lines = result
        .lines()
        .map(|line| format!("refit-firstboot: {line}\r\n"));
    let text: String = lines.chain([format!("{SIGNAL}\r\n")]).collect();
    // Many machines have no serial port.
    if let Err(error) = system::write_serial(&format!("\r\n{text}")) {
        folder.log(&format!("nothing was written to COM1: {error}"));
    }
    remove(folder, as_service);
    end
}

/// After a power loss between the two: what finished before is removed once more.
pub fn again(folder: &Folder, as_service: bool) -> End {
    folder.log("finished before");
    remove(folder, as_service);
    End::Done
}

/// The service first: without its files it would fail at every start.
fn remove(folder: &Folder, as_service: bool) {
    if as_service {
        if let Err(error) = service::uninstall(SERVICE) {
            folder.log(&format!("the service cannot be removed: {error}"));
            return;
        }
    }
    for name in ["files", "tasks"] {
        let path = folder.file(name);
        if let Err(error) = files::remove_tree(&path, &mut 0) {
            folder.log(&format!("cannot be removed: {error}"));
        }
    }
    for name in ["attempt.out", "state.new", "state.bad", "state"] {
        // What is not there need not be removed; what stays does no harm.
        let _ = fs::remove_file(folder.file(name));
    }
    remove_program(folder);
}

/// A running program's file cannot be removed, but at the next start of the machine.
fn remove_program(folder: &Folder) {
    let program = match std::env::current_exe() {
        Ok(program) => program,
        _ => return,
    };
    let plain = |path: &Path| path.to_string_lossy().to_lowercase();
    if !program
        .parent()
        .map_or(false, |parent| plain(parent) == plain(folder.path()))
    {
        return;
    }
    if let Err(error) = system::remove_at_restart(&program) {
        folder.log(&format!("{} stays: {error}", program.display()));
    }
}
