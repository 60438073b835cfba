//! What a fixup is, and what it answers.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use refit_machine::Devices;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::change::Change;
use crate::guest::Guest;
use crate::nic::Nic;

/// One concern: reads a guest and proposes changes.
///
/// A fixup never writes. It reads through a real parser of each format, leaves what it does not
/// understand alone and says so ([`Proposal::warnings`]), and proposes nothing when the guest is
/// already as it should be: that is how the engine proves that applying it worked.
pub trait Fixup: Sync {
    /// What it is.
    fn info(&self) -> &Info;

    /// Reads `guest` and proposes what should change.
    ///
    /// # Errors
    /// If the guest cannot be read or the parameters make no sense. The error is reported as
    /// verdict *failed* and the other fixups go on.
    fn plan(&self, guest: &Guest<'_>, request: &Request) -> anyhow::Result<Proposal>;

    /// Which devices the machine should have, given what drivers `guest` has where it needs them; `None`
    /// if this fixup has no say. `guest` shows the result of the whole plan. Asked by a conversion that
    /// does not ask virt-v2v, whether or not this fixup was to change anything.
    ///
    /// # Errors
    /// If the guest cannot be read.
    fn devices(&self, guest: &Guest<'_>) -> anyhow::Result<Option<Devices>> {
        let _ = guest;
        Ok(None)
    }
}

/// A fixup's `fixup.toml`.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Info {
    /// Stable identifier (design section 5.3), also the name of its folder.
    pub id: String,
    /// One line: what it does for the guest.
    pub summary: String,
    /// When in the order it runs.
    pub phase: Phase,
    /// Parameters that `--set ID.PARAM=VALUE` accepts.
    #[serde(default)]
    pub parameters: BTreeMap<String, Parameter>,
}

/// The order in which fixups plan and apply.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// Finding the root file system.
    Boot,
    /// Device drivers.
    Drivers,
    /// Network names and addresses.
    Network,
    /// The old hypervisor's tools.
    Tools,
    /// Agents and consoles.
    Services,
    /// Host name, environment, keys.
    Identity,
    /// What a site adds.
    User,
    /// Security labels of what all the others leave behind.
    Labels,
}

/// One parameter of a fixup.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Parameter {
    /// The type of its value.
    pub r#type: ParameterType,
    /// Value when none is given.
    #[schemars(with = "Option<serde_json::Value>")]
    pub default: Option<toml::Value>,
    /// What it is for.
    pub doc: String,
}

/// Type of a parameter's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ParameterType {
    /// `true` or `false`.
    Bool,
    /// A whole number.
    Integer,
    /// Text.
    String,
}

impl ParameterType {
    /// Whether `value` is of this type.
    #[must_use]
    pub fn admits(self, value: &toml::Value) -> bool {
        match self {
            Self::Bool => value.is_bool(),
            Self::Integer => value.is_integer(),
            Self::String => value.is_str(),
        }
    }
}

/// For a message: "... must be TYPE".
impl fmt::Display for ParameterType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bool => "true or false",
            Self::Integer => "a whole number",
            Self::String => "text",
        })
    }
}

/// What the user asks for and knows beside the guest itself.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// The NICs that the guest will have, in hardware order.
    pub nics: Vec<Nic>,
    /// Parameters by fixup identifier and name, already checked against [`Info::parameters`].
    pub parameters: BTreeMap<String, BTreeMap<String, toml::Value>>,
    /// Drivers for Windows guests on this host: virtio-win's ISO, or a directory with its files.
    pub virtio_win: Option<PathBuf>,
    /// What the guest is to know of its deployment, where nobody attaches a medium that tells it.
    pub ovf_environment: Option<OvfEnvironment>,
}

/// What an appliance's guest is told at its deployment. It holds passwords as a rule.
#[derive(Clone, PartialEq, Eq)]
pub struct OvfEnvironment {
    /// The environment document (DSP0243, 9).
    pub document: String,
    /// Whether it has properties for this guest.
    pub has_properties: bool,
    /// What else it could ask VMware Tools for, in the form of the document.
    pub guestinfo: Option<String>,
}

impl fmt::Debug for OvfEnvironment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OvfEnvironment").finish_non_exhaustive()
    }
}

/// A fixup's answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Proposal {
    /// What it says of the guest.
    pub verdict: Verdict,
    /// What it concludes from, for the report.
    pub evidence: Vec<Evidence>,
    /// What it left alone although it may matter, and why.
    pub warnings: Vec<String>,
}

/// What a fixup says of a guest.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// Something must change.
    Change {
        /// Why.
        reason: String,
        /// What, in the order in which it is to be done; never empty.
        changes: Vec<Change>,
    },
    /// Already right.
    Fine {
        /// What was found.
        reason: String,
    },
    /// Nothing to do with this guest.
    NotApplicable {
        /// Why not.
        reason: String,
    },
    /// It would matter, but cannot be done.
    Blocked {
        /// Why, and what the user can do.
        reason: String,
    },
}

impl From<Verdict> for Proposal {
    fn from(verdict: Verdict) -> Self {
        Self {
            verdict,
            evidence: Vec::new(),
            warnings: Vec::new(),
        }
    }
}

/// One fact that a fixup concludes from. Free form beside its source, because each fixup has facts
/// of its own; serialised as one JSON object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Evidence(pub BTreeMap<Cow<'static, str>, String>);

impl<const N: usize> From<[(&'static str, String); N]> for Evidence {
    fn from(facts: [(&'static str, String); N]) -> Self {
        Self(
            facts
                .into_iter()
                .map(|(key, value)| (Cow::Borrowed(key), value))
                .collect(),
        )
    }
}
