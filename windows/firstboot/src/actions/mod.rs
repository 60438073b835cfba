//! Doing what a task says. Runs in a process of its own, which may end in any way.

mod devices;
mod disks;
pub mod files;
mod network;
mod network_nt5;
mod programs;
mod registry;

use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::schedule::Outcome;
use crate::task::{Kind, Task};
use crate::vars::Folders;
use crate::win32;

/// What an action has done.
#[derive(Debug)]
pub struct Done {
    /// Whether Windows needs a restart for it.
    pub restart: bool,
    /// One line for the record.
    pub message: String,
}

impl Done {
    fn new(message: impl Into<String>) -> Self {
        Self {
            restart: false,
            message: message.into(),
        }
    }
}

/// What an action has done, or why not.
pub type Result = std::result::Result<Done, String>;

/// One attempt at a task.
pub fn attempt(task: &Task, folders: &Folders) -> Outcome {
    let deadline = Instant::now() + task.timeout;
    if let Some(reason) = unnecessary(task, folders) {
        return Outcome::Success {
            restart: false,
            message: reason,
        };
    }
    let result = match &task.kind {
        Kind::WaitPnp { macs } => devices::wait(macs, deadline),
        Kind::Driver(driver) => devices::install(driver, folders),
        Kind::RemoveDevices { ids } => devices::remove(ids),
        Kind::Network(want) => network::apply(want, folders, deadline),
        Kind::OnlineDisks(want) => disks::online(want, deadline),
        Kind::Run(program) => programs::run(program, folders),
        Kind::Script(script) => programs::script(script, folders),
        Kind::Registry(edits) => registry::apply(edits),
        Kind::RemoveFiles { paths } => files::remove(paths, folders),
    };
    match result {
        Ok(Done { restart, message }) => Outcome::Success { restart, message },
        Err(message) => Outcome::Failure { message },
    }
}

fn unnecessary(task: &Task, folders: &Folders) -> Option<String> {
    let exists = |name: &&String| matches!(win32::service::is_active(name), Ok(Some(_)));
    if let Some(name) = task.unless_services.iter().find(exists) {
        return Some(format!("not needed: there is a service {name}"));
    }
    let path = task
        .unless_files
        .iter()
        .map(|path| folders.expand(path))
        .find(|path| Path::new(path).exists())?;
    Some(format!("not needed: there is {path}"))
}

/// Asks again and again until there is an answer or it is too late.
fn poll<T>(deadline: Instant, mut ask: impl FnMut() -> Option<T>) -> Option<T> {
    loop {
        if let Some(answer) = ask() {
            return Some(answer);
        }
        if Instant::now() >= deadline {
            return None;
        }
        sleep(Duration::from_millis(500));
    }
}
