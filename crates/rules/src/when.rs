//! Conditions: on which guests, and with which parameters, rules count.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::list::List;
use crate::registry::HiveWord;

/// Conditions. All that are given must hold; of the elements of a list, one is enough. An empty
/// table always holds.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct When {
    /// Family of operating systems: `linux` or `windows`.
    pub os: List<String>,
    /// Distribution: `ID` or an element of `ID_LIKE` of os-release(5) (`debian`, `rhel`, `suse`).
    pub distro: List<String>,
    /// Version: `12` means 12 and 12.x; else comparisons that must all hold, `>= 7, < 9`.
    pub version: Option<String>,
    /// Processor architecture (`x86_64`, `aarch64`).
    pub arch: List<String>,
    /// First program in user space: `systemd`, `sysvinit`, `upstart`, `openrc`.
    pub init: List<String>,
    /// `dpkg`, `rpm`, `apk` or `pacman`.
    pub package_format: List<String>,
    /// An installed package, by name; `*` and `?` stand for any characters and for one.
    pub package: List<String>,
    /// A path that exists; may contain `*`, `?`, `[a-z]` and `{a,b}`, which never stand for `/`.
    pub exists: List<String>,
    /// A file that has a certain line.
    pub contains: List<Contains>,
    /// A registry key or value of a Windows guest.
    pub registry: List<RegistryTest>,
    /// Values of parameters, by name.
    #[schemars(with = "BTreeMap<String, serde_json::Value>")]
    pub param: BTreeMap<String, toml::Value>,
    /// Sets of conditions of which one must hold.
    pub any: Vec<When>,
    /// Conditions that must not hold together.
    pub not: Option<Box<When>>,
}

/// A file that has a line.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Contains {
    /// The file; may contain `*`, `?`, `[a-z]` and `{a,b}`.
    pub file: String,
    /// The line, but for white space around it.
    pub line: Option<String>,
    /// A regular expression that matches the whole line.
    pub matching: Option<String>,
}

/// A key that exists, or one of its values.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RegistryTest {
    /// The hive.
    pub hive: HiveWord,
    /// The key from the hive's root; a part of it may contain `*` and `?`. In `SYSTEM`, `ControlSet` as the first
    /// part stands for every control set that may boot.
    pub key: String,
    /// A value of that name, with `*` and `?`; empty for the default value.
    pub name: Option<String>,
    /// What that value's text is, with `*` and `?`: of a list, one entry; of a number, its decimal digits.
    pub matching: Option<String>,
}
