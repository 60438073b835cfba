//! What is collected while a guest is read: changes, and what to say about it.

use std::collections::BTreeSet;

use refit_engine::{Change, GuestPath, HiveName};
use refit_hive::Value;

/// The changes so far.
#[derive(Debug, Default)]
pub(crate) struct Edits {
    changes: Vec<Change>,
    /// Keys that go, in lower case.
    deleted: BTreeSet<(HiveName, String)>,
    /// Values that go, in lower case.
    values: BTreeSet<(HiveName, String, String)>,
    removed: BTreeSet<GuestPath>,
    pub(crate) warnings: Vec<String>,
}

impl Edits {
    /// Removes a key with all below, unless that is to happen already.
    pub(crate) fn delete_key(&mut self, hive: &HiveName, key: &str) {
        if self.is_deleted(hive, key) {
            return;
        }
        self.deleted.insert((hive.clone(), key.to_lowercase()));
        self.changes.push(Change::RegistryDelete {
            hive: hive.clone(),
            key: key.to_owned(),
            name: None,
        });
    }

    /// Removes a value, unless its key goes.
    pub(crate) fn delete_value(&mut self, hive: &HiveName, key: &str, name: &str) {
        if self.is_deleted(hive, key) {
            return;
        }
        let value = (hive.clone(), key.to_lowercase(), name.to_lowercase());
        if self.values.insert(value) {
            self.changes.push(Change::RegistryDelete {
                hive: hive.clone(),
                key: key.to_owned(),
                name: Some(name.to_owned()),
            });
        }
    }

    /// Sets a value, unless its key goes.
    pub(crate) fn set(&mut self, hive: &HiveName, key: &str, name: &str, value: Value) {
        if self.is_deleted(hive, key) {
            return;
        }
        self.changes.push(Change::RegistrySet {
            hive: hive.clone(),
            key: key.to_owned(),
            name: name.to_owned(),
            value,
        });
    }

    /// Removes a file or folder.
    pub(crate) fn remove(&mut self, path: GuestPath) {
        let mut folder = Some(path.clone());
        while let Some(at) = folder {
            if self.removed.contains(&at) {
                return;
            }
            folder = at.parent();
        }
        self.removed.insert(path.clone());
        self.changes.push(Change::Remove { path });
    }

    /// Says what was left alone, and why.
    pub(crate) fn warn(&mut self, text: String) {
        if !self.warnings.contains(&text) {
            self.warnings.push(text);
        }
    }

    /// Whether a key goes, or one that it is below.
    pub(crate) fn is_deleted(&self, hive: &HiveName, key: &str) -> bool {
        let mut key = key.to_lowercase();
        loop {
            let at = (hive.clone(), key);
            if self.deleted.contains(&at) {
                return true;
            }
            key = at.1;
            match key.rfind('\\') {
                Some(end) => key.truncate(end),
                None => return false,
            }
        }
    }

    /// The changes, the registry's first: a reference goes before what it points at.
    pub(crate) fn into_changes(self) -> Vec<Change> {
        let (mut changes, files): (Vec<_>, Vec<_>) = self
            .changes
            .into_iter()
            .partition(|change| change.path().is_none());
        changes.extend(files);
        changes
    }

    /// The changes so far.
    pub(crate) fn changes(&self) -> &[Change] {
        &self.changes
    }
}
