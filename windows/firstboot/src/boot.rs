//! What the service does in one boot of the machine.

use std::collections::BTreeSet;
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::VERSION;
use crate::attempt;
use crate::completion;
use crate::folder::Folder;
use crate::mac::Mac;
use crate::peer;
use crate::schedule::{Outcome, Schedule, Step};
use crate::win32::service::stopping;
use crate::win32::{adapters, devices, system};

/// How it is run.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// As the service: restarts the machine, removes the service.
    pub service: bool,
    /// Limit for Plug and Play to settle, and for the interfaces to appear.
    pub settle: Duration,
    /// Limit for virt-v2v's service.
    pub peer: Duration,
    /// Between two passes through the tasks.
    pub pause: Duration,
}

/// How the boot ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Every task was done.
    Done,
    /// Some failed; there is nothing left to try.
    Failed,
    /// The machine restarts.
    Restart,
    /// The service was told to stop, or nothing could be recorded.
    Interrupted,
}

/// Goes through the tasks.
pub fn run(folder: &Folder, options: Options) -> End {
    system::no_dialogs();
    protect(folder);
    let names = folder.names();
    let found = match folder.tasks() {
        Ok(found) => found,
        Err(error) => {
            folder.log(&format!("the folder tasks cannot be read: {error}"));
            Vec::new()
        }
    };
    if found.is_empty() && folder.file("complete").exists() {
        return completion::again(folder, options.service);
    }
    let mut schedule = Schedule::begin(folder.load(), found);
    folder.log(&format!(
        "refit-firstboot {}: start {}, {} tasks, {} to do",
        VERSION,
        schedule.state.boots,
        schedule.state.records.len(),
        schedule.unfinished().count()
    ));
    if let Err(error) = folder.save(&schedule.state) {
        folder.log(&format!(
            "nothing is attempted: the file state cannot be written: {error}"
        ));
        return End::Interrupted;
    }
    if schedule.unfinished().next().is_some() {
        peer::wait(folder, &mut schedule, &names, options.peer);
        settle(folder, &schedule, options.settle);
    }
    loop {
        if stopping() {
            folder.log("told to stop");
            return End::Interrupted;
        }
        match schedule.next() {
            Step::Attempt(index) => {
                if !one(folder, &mut schedule, index) {
                    return End::Interrupted;
                }
            }
            Step::Pause => pause(options.pause),
            Step::Restart => {
                schedule.restarting();
                if let Err(error) = folder.save(&schedule.state) {
                    folder.log(&format!(
                        "no restart: the file state cannot be written: {error}"
                    ));
                    return End::Interrupted;
                }
                folder.log(&format!("restart {}", schedule.state.restarts));
                if !options.service {
                    return End::Restart;
                }
                match system::restart() {
                    Ok(()) => return End::Restart,
                    Err(error) => {
                        folder.log(&format!("the machine does not restart: {error}"));
                        schedule.no_restart();
                    }
                }
            }
            Step::Finished => return completion::finish(folder, &schedule, options.service),
        }
    }
}

/// One attempt, recorded before and after; `false` if the service must not go on.
fn one(folder: &Folder, schedule: &mut Schedule, index: usize) -> bool {
    let (file, task) = match schedule.task(index) {
        Some((file, task)) => (file.to_owned(), task.clone()),
        None => return true,
    };
    schedule.start(index);
    // An attempt that is not recorded could be repeated for ever.
    if let Err(error) = folder.save(&schedule.state) {
        folder.log(&format!(
            "nothing is attempted: the file state cannot be written: {error}"
        ));
        return false;
    }
    let attempt = schedule
        .state
        .records
        .get(index)
        .map_or(0, |record| record.attempts);
    folder.log(&format!(
        "{file}: {} (attempt {attempt} of {})",
        task.title, task.attempts
    ));
    let outcome = match attempt::run(folder, &file, &task) {
        Some(outcome) => outcome,
        None => {
            folder.log(&format!("{file}: cut short, the service was told to stop"));
            return false;
        }
    };
    folder.log(&match &outcome {
        Outcome::Success { message, restart } => {
            format!(
                "{file}: done{}: {message}",
                if *restart { ", needs a restart" } else { "" }
            )
        }
        Outcome::Failure { message } => format!("{file}: failed: {message}"),
    });
    schedule.end(index, outcome);
    if let Err(error) = folder.save(&schedule.state) {
        folder.log(&format!("the file state cannot be written: {error}"));
        return false;
    }
    true
}

/// The folder was made from outside, by a driver that knows no owners.
fn protect(folder: &Folder) {
    let above = folder
        .path()
        .parent()
        .filter(|path| path.ends_with("refit"));
    for path in above.into_iter().chain([folder.path()]) {
        if let Err(error) = system::protect(path) {
            folder.log(&format!(
                "{}: its permissions cannot be set: {error}",
                path.display()
            ));
        }
    }
}

/// Waits for Plug and Play and for the interfaces that tasks name.
fn settle(folder: &Folder, schedule: &Schedule, limit: Duration) {
    let deadline = Instant::now() + limit;
    match devices::wait_settled(limit.as_millis().try_into().unwrap_or(u32::MAX - 1)) {
        Ok(true) => folder.log("Plug and Play has settled"),
        Ok(false) => folder.log("Plug and Play is still busy: not waiting any longer"),
        Err(error) => folder.log(&format!("Plug and Play cannot be waited for: {error}")),
    }
    let wanted: BTreeSet<Mac> = schedule
        .unfinished()
        .flat_map(|task| task.kind.macs())
        .collect();
    loop {
        let present = adapters::all().unwrap_or_default();
        let is_missing = |mac: &&Mac| present.iter().all(|adapter| adapter.mac != **mac);
        let missing: Vec<String> = wanted
            .iter()
            .filter(is_missing)
            .map(Mac::to_string)
            .collect();
        if missing.is_empty() {
            return;
        }
        if Instant::now() >= deadline || stopping() {
            folder.log(&format!(
                "there is no network interface with the address {}",
                missing.join(", ")
            ));
            return;
        }
        sleep(Duration::from_secs(1));
    }
}

fn pause(length: Duration) {
    let deadline = Instant::now() + length;
    while Instant::now() < deadline && !stopping() {
        sleep(Duration::from_millis(200));
    }
}
