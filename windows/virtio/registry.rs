//! The hives that drivers are registered in, and what is to change in them.

use std::rc::Rc;

use refit_engine::{Change, Guest, HiveName};
use refit_hive::{Hive, Key, Value};

/// The hives as they are, and the changes so far. A value that is already as it should be is no change.
#[derive(Debug)]
pub(super) struct Registry {
    system: Rc<Hive>,
    software: Option<Rc<Hive>>,
    drivers: Option<Rc<Hive>>,
    /// Names of the control sets that may boot, the current one first.
    sets: Vec<String>,
    changes: Vec<Change>,
}

impl Registry {
    /// `None` if there is no `SYSTEM` hive.
    pub(super) fn open(guest: &Guest<'_>) -> anyhow::Result<Option<Self>> {
        let Some(system) = guest.hive(&HiveName::System)? else {
            return Ok(None);
        };
        let facts = guest.facts().windows.as_ref();
        Ok(Some(Self {
            system,
            software: guest.hive(&HiveName::Software)?,
            drivers: guest.hive(&HiveName::Drivers)?,
            sets: facts
                .map(|facts| facts.control_set_names().collect())
                .unwrap_or_default(),
            changes: Vec::new(),
        }))
    }

    /// Names of the control sets that may boot, the current one first.
    pub(super) fn sets(&self) -> Vec<String> {
        self.sets.clone()
    }

    fn hive(&self, name: &HiveName) -> Option<&Hive> {
        match name {
            HiveName::System => Some(&self.system),
            HiveName::Software => self.software.as_deref(),
            HiveName::Drivers => self.drivers.as_deref(),
            _ => None,
        }
    }

    pub(super) fn key(&self, hive: &HiveName, path: &str) -> Option<Key<'_>> {
        self.hive(hive)?.key(path)
    }

    pub(super) fn value(&self, hive: &HiveName, path: &str, name: &str) -> Option<Value> {
        self.key(hive, path)?.value(name)
    }

    pub(super) fn text(&self, hive: &HiveName, path: &str, name: &str) -> Option<String> {
        self.value(hive, path, name)?.as_str()
    }

    pub(super) fn number(&self, hive: &HiveName, path: &str, name: &str) -> Option<u32> {
        self.value(hive, path, name)?.as_dword()
    }

    /// Sets a value, if it is not so already.
    pub(super) fn set(&mut self, hive: &HiveName, key: &str, name: &str, value: Value) {
        if self.value(hive, key, name).as_ref() == Some(&value) {
            return;
        }
        self.push(Change::RegistrySet {
            hive: hive.clone(),
            key: key.to_owned(),
            name: name.to_owned(),
            value,
        });
    }

    /// Removes a key with all below it, if it is there.
    pub(super) fn remove_key(&mut self, hive: &HiveName, key: &str) {
        if self.key(hive, key).is_some() {
            self.push(Change::RegistryDelete {
                hive: hive.clone(),
                key: key.to_owned(),
                name: None,
            });
        }
    }

    /// Adds a change of a file.
    pub(super) fn push(&mut self, change: Change) {
        if !self.changes.contains(&change) {
            self.changes.push(change);
        }
    }

    pub(super) fn into_changes(self) -> Vec<Change> {
        self.changes
    }
}
