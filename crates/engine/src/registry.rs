//! The registry of a Windows guest: its hives, and how a change of one is made.

mod json;

use std::fmt;
use std::rc::Rc;

use anyhow::ensure;
use refit_hive::Hive;
use serde::{Serialize, Serializer};

use crate::change::Change;
use crate::path::GuestPath;

pub use json::ValueJson;

/// One hive of a Windows guest's registry ("Registry Hives", Win32 documentation). A [`Change`]
/// names a key by its hive and its path from the hive's root, without the name under which a running
/// Windows mounts it: `ControlSet001\Services\viostor` in `SYSTEM`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HiveName {
    /// `HKEY_LOCAL_MACHINE\SYSTEM`.
    System,
    /// `HKEY_LOCAL_MACHINE\SOFTWARE`.
    Software,
    /// Where Windows since 8 may keep `SYSTEM\DriverDatabase`.
    Drivers,
    /// `HKEY_USERS\.DEFAULT`: the user Local System, not the template of new users.
    Default,
    /// A user's `HKEY_CURRENT_USER`: the path of an `NTUSER.DAT`.
    User(GuestPath),
}

impl HiveName {
    /// The hive's file in a guest whose system is in `system_root` (`/Windows`).
    #[must_use]
    pub fn path(&self, system_root: &GuestPath) -> GuestPath {
        let name = match self {
            Self::System => "SYSTEM",
            Self::Software => "SOFTWARE",
            Self::Drivers => "DRIVERS",
            Self::Default => "DEFAULT",
            Self::User(path) => return path.clone(),
        };
        system_root.join("System32/config").join(name)
    }
}

/// As JSON and rules have it: `SYSTEM`, or the path of a user's hive.
impl fmt::Display for HiveName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::System => f.write_str("SYSTEM"),
            Self::Software => f.write_str("SOFTWARE"),
            Self::Drivers => f.write_str("DRIVERS"),
            Self::Default => f.write_str("DEFAULT"),
            Self::User(path) => path.fmt(f),
        }
    }
}

impl Serialize for HiveName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// No hive is longer: Windows loads none of 512 MiB, and the largest `SOFTWARE` seen has 200 MiB. Also
/// bounds what a guest can make refit hold in memory.
pub const HIVE_LIMIT: u64 = 512 * 1024 * 1024;

/// Makes one change in `hive`, which is copied if it is shared. Says whether anything is now different.
///
/// # Errors
/// If the hive cannot hold it, or the key is one that only a running Windows has.
pub(crate) fn edit(hive: &mut Rc<Hive>, change: &Change) -> anyhow::Result<bool> {
    let Some((_, key)) = change.key() else {
        return Ok(false);
    };
    let first = key.split('\\').next().unwrap_or_default();
    ensure!(
        !first.eq_ignore_ascii_case("CurrentControlSet"),
        "CurrentControlSet is there only while Windows runs; the change must name the control set"
    );
    let found = hive.key(key);
    match change {
        Change::RegistrySet { name, value, .. } => {
            if found.and_then(|found| found.value(name)).as_ref() == Some(value) {
                return Ok(false);
            }
            Rc::make_mut(hive).set_value(key, name, value)?;
        }
        Change::RegistryDelete { name, .. } => match (found, name) {
            (None, _) => return Ok(false),
            (Some(found), Some(name)) => {
                if found.value(name).is_none() {
                    return Ok(false);
                }
                Rc::make_mut(hive).delete_value(key, name)?;
            }
            (Some(_), None) => {
                ensure!(!key.is_empty(), "the root of a hive is never removed");
                Rc::make_mut(hive).delete_key(key)?;
            }
        },
        Change::RegistryCreate { .. } => {
            if found.is_some() {
                return Ok(false);
            }
            Rc::make_mut(hive).create_key(key)?;
        }
        _ => return Ok(false),
    }
    Ok(true)
}
