//! The registry of a Windows guest in the protocol: names of hives and keys, and what is in a key.

use anyhow::ensure;
use refit_engine::{Guest, HiveName, ValueJson};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::protocol::{Answer, WirePath};

/// A hive: `SYSTEM`, `SOFTWARE`, `DRIVERS`, `DEFAULT`, or the path of another one's file, such as a user's
/// `NTUSER.DAT`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
#[schemars(extend("pattern" = "^(SYSTEM|SOFTWARE|DRIVERS|DEFAULT|/.*)$"))]
pub(crate) struct WireHive(#[schemars(with = "String")] pub(crate) HiveName);

impl TryFrom<String> for WireHive {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Ok(Self(match text.as_str() {
            "SYSTEM" => HiveName::System,
            "SOFTWARE" => HiveName::Software,
            "DRIVERS" => HiveName::Drivers,
            "DEFAULT" => HiveName::Default,
            path if path.starts_with('/') => HiveName::User(WirePath::try_from(text)?.0),
            _ => {
                let shown: String = text.chars().take(200).collect();
                return Err(format!(
                    "{shown:?} is no hive: it must be SYSTEM, SOFTWARE, DRIVERS, DEFAULT, or the path of a user's \
                     NTUSER.DAT"
                ));
            }
        }))
    }
}

/// A key from the hive's root, with one backslash between names. `CurrentControlSet` is there only while Windows
/// runs: `guest.windows` in the task has the numbers of the control sets.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
pub(crate) struct WireKey(#[schemars(with = "String")] String);

/// Longer than any path of a key that Windows has names for: 512 names of 255 characters, but 32767 in all.
const LONGEST: usize = 32_767;

impl TryFrom<String> for WireKey {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let wrong = |why: &str| {
            let shown: String = text.chars().take(200).collect();
            Err(format!("the key {shown:?} {why}"))
        };
        if text.is_empty() {
            return Ok(Self(text));
        }
        if text.len() > LONGEST || text.contains('\0') {
            return wrong("is none: it is too long, or has a NUL");
        }
        if text.split('\\').any(str::is_empty) {
            return wrong(
                "has a backslash too many; names have one between them, and none begins the key",
            );
        }
        let first = text.split('\\').next().unwrap_or_default();
        if first.eq_ignore_ascii_case("CurrentControlSet") {
            return wrong(
                "is there only while Windows runs: name the control set, as guest.windows.control_sets has them",
            );
        }
        if first.to_ascii_uppercase().starts_with("HKEY_") {
            return wrong("begins at a running system's root; it is to begin at the hive's");
        }
        Ok(Self(text))
    }
}

impl WireKey {
    /// The key of a change, which cannot be the root itself.
    pub(super) fn not_root(self) -> anyhow::Result<String> {
        ensure!(!self.0.is_empty(), "the key of a change cannot be empty");
        Ok(self.0)
    }
}

/// A value of a key.
#[derive(Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub(crate) struct NamedValue {
    /// Its name; empty for the default value.
    name: String,
    /// Type and data.
    #[serde(flatten)]
    value: ValueJson,
}

/// What is in a key.
pub(super) fn answer(guest: &Guest<'_>, hive: &WireHive, key: &WireKey) -> anyhow::Result<Answer> {
    let Some(hive) = guest.hive(&hive.0)? else {
        return Ok(Answer::Nothing);
    };
    let Some(key) = hive.key(&key.0) else {
        return Ok(Answer::Nothing);
    };
    Ok(Answer::Registry {
        keys: key.subkeys().map(|key| key.name()).collect(),
        values: key
            .values()
            .map(|named| NamedValue {
                value: ValueJson::from(&named.value),
                name: named.name,
            })
            .collect(),
    })
}
