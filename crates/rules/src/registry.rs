//! The registry of a Windows guest in rules.

mod edit;
mod find;

use std::fmt;

use anyhow::{Context as _, bail, ensure};
use refit_hive::Value;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::list::List;

pub(crate) use edit::edit;
pub(crate) use find::holds;

/// Which hive a key is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum HiveWord {
    /// `HKEY_LOCAL_MACHINE\SYSTEM`.
    System,
    /// `HKEY_LOCAL_MACHINE\SOFTWARE`.
    Software,
    /// Drivers of newer Windows.
    Drivers,
    /// `HKEY_USERS\.DEFAULT`.
    Default,
    /// `HKEY_CURRENT_USER` of every user, new ones too.
    Users,
}

impl fmt::Display for HiveWord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::System => "SYSTEM",
            Self::Software => "SOFTWARE",
            Self::Drivers => "DRIVERS",
            Self::Default => "DEFAULT",
            Self::Users => "USERS",
        })
    }
}

/// An edit of keys or values: exactly one of `remove`, `remove-if-empty`, `remove-values`, `remove-items`
/// and `set`.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Registry {
    /// The hive.
    pub hive: HiveWord,
    /// The key from the hive's root; a part of it may contain `*` and `?`. In `SYSTEM`, `ControlSet` as the first
    /// part stands for every control set that may boot.
    pub key: String,
    /// Only keys that have such a value.
    pub if_value: Option<ValueTest>,
    /// Whether to remove the key with everything below it.
    #[serde(default)]
    pub remove: bool,
    /// Whether to remove the key if nothing is in it.
    #[serde(default)]
    pub remove_if_empty: bool,
    /// Values to remove: names with `*` and `?`.
    #[serde(default)]
    pub remove_values: List<String>,
    /// Entries to remove from a list.
    pub remove_items: Option<Items>,
    /// A value to set. The key is made if it is not there.
    pub set: Option<Set>,
}

/// A value of a key.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ValueTest {
    /// Its name, with `*` and `?`; empty for the default value.
    pub name: String,
    /// What its text is, with `*` and `?`: of a list, one entry; of a number, its decimal digits.
    pub matching: Option<String>,
}

/// Entries of a `REG_MULTI_SZ`, or of a text that is a list with commas. A list that is empty afterwards goes.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Items {
    /// The value's name.
    pub name: String,
    /// The entries, with `*` and `?`.
    pub items: List<String>,
}

/// A value, with exactly one kind of data.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Set {
    /// Its name; empty for the default value.
    pub name: String,
    /// `REG_DWORD`.
    pub dword: Option<u32>,
    /// `REG_QWORD`.
    pub qword: Option<u64>,
    /// `REG_SZ`.
    pub text: Option<String>,
    /// `REG_EXPAND_SZ`: text with `%VARIABLES%`.
    pub expand: Option<String>,
    /// `REG_MULTI_SZ`.
    pub list: Option<List<String>>,
    /// `REG_BINARY`: hexadecimal digits.
    pub hex: Option<String>,
}

impl Set {
    /// The data.
    ///
    /// # Errors
    /// If there is not exactly one kind, or the digits are none.
    fn value(&self) -> anyhow::Result<Value> {
        let mut values = Vec::new();
        values.extend(self.dword.map(Value::dword));
        values.extend(self.qword.map(Value::qword));
        values.extend(self.text.as_deref().map(Value::sz));
        values.extend(self.expand.as_deref().map(Value::expand_sz));
        values.extend(self.list.as_ref().map(|list| Value::multi_sz(&list.0)));
        if let Some(digits) = &self.hex {
            values.push(Value::binary(bytes(digits)?));
        }
        match (values.pop(), values.is_empty()) {
            (Some(value), true) => Ok(value),
            _ => bail!("give one of `dword`, `qword`, `text`, `expand`, `list` and `hex`"),
        }
    }
}

fn bytes(digits: &str) -> anyhow::Result<Vec<u8>> {
    let wrong = || format!("hex: `{digits}` is no even number of hexadecimal digits");
    ensure!(
        digits.len().is_multiple_of(2) && digits.bytes().all(|digit| digit.is_ascii_hexdigit()),
        wrong()
    );
    (0..digits.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&digits[at..at + 2], 16).with_context(wrong))
        .collect()
}

impl Registry {
    /// Checks what can be said without a guest.
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        check_key(&self.key).context("key")?;
        let actions = [
            self.remove,
            self.remove_if_empty,
            !self.remove_values.is_empty(),
            self.remove_items.is_some(),
            self.set.is_some(),
        ];
        ensure!(
            actions.iter().filter(|given| **given).count() == 1,
            "give one of `remove`, `remove-if-empty`, `remove-values`, `remove-items` and `set`"
        );
        if let Some(items) = &self.remove_items {
            ensure!(!items.items.is_empty(), "remove-items.items: it is empty");
        }
        if let Some(set) = &self.set {
            set.value().context("set")?;
            let last = self.key.rsplit('\\').next().unwrap_or_default();
            ensure!(
                !find::is_pattern(last) || self.if_value.is_some(),
                "set: the last part of `key` is a pattern, which names no new key; with `if-value` it is \
                 set in those that are there"
            );
        }
        Ok(())
    }
}

/// Checks a key with patterns.
pub(crate) fn check_key(key: &str) -> anyhow::Result<()> {
    ensure!(
        !key.is_empty() && key.split('\\').all(|part| !part.is_empty()),
        "`{key}` is no key: names with one backslash between them"
    );
    let first = key.split('\\').next().unwrap_or_default();
    ensure!(
        !first.to_ascii_uppercase().starts_with("HKEY_")
            && !first.eq_ignore_ascii_case("CurrentControlSet"),
        "`{key}` begins at a running system's root; it is to begin at the hive's, `ControlSet\\...` or \
         `Microsoft\\...`"
    );
    Ok(())
}

#[cfg(test)]
mod tests;
