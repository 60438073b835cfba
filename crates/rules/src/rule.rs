//! One rule: what to do to a guest.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::list::List;
use crate::registry::Registry;
use crate::when::When;

/// One rule. Its actions are done in the order of the fields here: packages, services, modules,
/// removals, links, files, lines, settings, the registry. Each finds the guest as the ones before leave it, and
/// does nothing where its result is there already.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Rule {
    /// Why, for the report.
    pub why: Option<String>,
    /// Conditions of this rule, beside those of all.
    pub when: When,
    /// Packages to remove: names, with `*` and `?`. Those that others need stay, with a warning.
    pub remove_packages: List<String>,
    /// Services that are not to start at boot: names with `*` and `?`, `.service` may be left out.
    /// Of systemd, OpenRC, upstart or System V init, whichever the guest has.
    pub disable_services: List<String>,
    /// Services that must not start by any means: as `disable-services`, and with systemd the
    /// unit is masked. A unit that is not there is not masked.
    pub mask_services: List<String>,
    /// Services that are to start at boot: exact names.
    pub enable_services: List<String>,
    /// Kernel modules to remove by name, if they are not the kernel's own: outside of `kernel/` in
    /// /lib/modules/RELEASE and in no package that stays.
    pub remove_modules: List<String>,
    /// Only modules whose file contains this, such as the author's name.
    pub module_text: Option<String>,
    /// Files, links and directories (with all in them) to remove; may contain `*`, `?`, `[a-z]`
    /// and `{a,b}`.
    pub remove: List<String>,
    /// Directories to remove if there is nothing in them.
    pub remove_if_empty: List<String>,
    /// What to do to files among `remove` that belong to an installed package.
    pub owned: Owned,
    /// Symbolic links to make.
    pub link: List<Link>,
    /// Files to write.
    pub write: List<Write>,
    /// Lines to add to files, or to remove from them.
    pub line: List<Line>,
    /// Settings to make in files of `key = value` lines.
    pub setting: List<Setting>,
    /// Edits of a Windows guest's registry.
    pub registry: List<Registry>,
}

/// What to do to files of installed packages.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Owned {
    /// They stay.
    #[default]
    Keep,
    /// They go too.
    Remove,
}

/// A symbolic link.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Link {
    /// Where it is.
    pub path: String,
    /// Where it leads, as it is to be written.
    pub target: String,
}

/// A file.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Write {
    /// Where it is. Missing directories are made.
    pub path: String,
    /// Its whole content.
    pub content: String,
    /// Permission bits in octal (`"0600"`); by default what the file has, 0644 for a new one.
    pub mode: Option<String>,
}

/// A line in a file. Exactly one of `add`, `remove` and `remove-matching`, or `add` with
/// `remove-matching`, which replaces.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Line {
    /// The file; when lines are removed it may contain `*`, `?`, `[a-z]` and `{a,b}`.
    pub file: String,
    /// A line to add at the end, if it is not there; a missing file is made.
    pub add: Option<String>,
    /// Lines to remove: those that are this, but for white space around it.
    pub remove: Option<String>,
    /// Lines to remove: those that this regular expression matches from end to end. With `add`,
    /// the new line takes the place of the first.
    pub remove_matching: Option<String>,
}

/// A setting in a file of `key = value` lines, as ini files and shell variables are.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Setting {
    /// The file; it is made if it is not there.
    pub file: String,
    /// The `[section]`; by default the part before the first one.
    pub section: Option<String>,
    /// The key.
    pub key: String,
    /// The value as it is to be written, with quotes if the file needs them.
    pub value: String,
}
