//! Task files for the service that runs once in the booted Windows; their format is
//! `windows/firstboot/TASKS.md`.

use std::fmt::{self, Write as _};

use refit_engine::{Change, Guest, GuestPath};

/// The folder of the service in the guest.
pub const FOLDER: &str = "/Program Files/refit/firstboot";

/// One task being written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Task {
    name: String,
    text: String,
}

/// A value that has no place in a task file.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} cannot be written in a task file")]
pub struct Unwritable(String);

impl Task {
    /// An empty task. `order` (two digits) and `id` (`a-z 0-9 -`) make its file's name.
    pub fn new(order: u8, id: &str, kind: &str) -> Self {
        Self {
            name: format!("{order:02}-{id}.task"),
            text: format!("refit-task 1\nkind {kind}\n"),
        }
    }

    /// Adds `key value`.
    ///
    /// # Errors
    /// If the value is longer than a line may be, or has control characters or spaces at an end: it would mean
    /// something else to the service.
    pub fn line(&mut self, key: &str, value: impl fmt::Display) -> Result<(), Unwritable> {
        let value = value.to_string();
        let whole = !value.is_empty()
            && value.trim() == value
            && !value.contains(|c: char| c.is_control())
            && key.len() + 1 + value.len() <= 4096;
        if !whole {
            return Err(Unwritable(value.chars().take(60).collect()));
        }
        let _ = writeln!(self.text, "{key} {value}");
        Ok(())
    }

    /// Where it goes.
    pub fn path(&self) -> GuestPath {
        format!("{FOLDER}/tasks/{}", self.name).as_str().into()
    }

    /// Its text.
    #[cfg(test)]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The change that writes it; `None` if it is there already.
    ///
    /// # Errors
    /// If the guest cannot be read.
    pub fn change(&self, guest: &Guest<'_>) -> anyhow::Result<Option<Change>> {
        let path = self.path();
        if guest.read(path.clone())?.as_deref() == Some(self.text.as_bytes()) {
            return Ok(None);
        }
        Ok(Some(Change::Write {
            path,
            content: self.text.clone().into_bytes(),
            mode: None,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_stays_in_its_line() {
        let mut task = Task::new(40, "network-005056aabb01", "network");
        assert_eq!(task.line("mac", "00:50:56:aa:bb:01"), Ok(()));
        for value in ["", " x", "x ", "a\nkind run", "a\rb", "a\tb", "a\u{85}b"] {
            assert!(task.line("name", value).is_err(), "{value:?}");
        }
        assert!(task.line("name", "x".repeat(5000)).is_err());
        assert_eq!(
            task.text(),
            "refit-task 1\nkind network\nmac 00:50:56:aa:bb:01\n"
        );
        assert_eq!(
            task.path().to_string(),
            "/Program Files/refit/firstboot/tasks/40-network-005056aabb01.task"
        );
    }
}
