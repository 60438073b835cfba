//! KubeVirt VirtualMachine manifests.
//!
//! virt-v2v's own `-o kubevirt` is a hint rather than a manifest: KubeVirt refuses it or drops
//! parts of it in silence. This writes one that is admitted, from the converted [`Machine`], with
//! the disks in PersistentVolumeClaims that somebody else fills.
//!
//! What KubeVirt's admission checks beyond its schema is in the code of its validating webhook
//! (`pkg/virt-api/webhooks/validating-webhook/admitters`).

mod manifest;
mod names;
mod secret;
mod virtual_machine;

use std::collections::BTreeMap;

use serde::Serialize;

pub use manifest::VirtualMachine;
pub use secret::{Secret, ovf_environment};
pub use virtual_machine::{notes, virtual_machine};

#[cfg(doc)]
use refit_machine::Machine;

/// What the manifest needs to know besides the machine.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Options {
    /// Name of the VirtualMachine: a DNS label (RFC 1123). The default is the machine's name with
    /// what a label may not have replaced by dashes.
    pub name: Option<String>,
    /// Namespace; without it, the client's current one.
    pub namespace: Option<String>,
    /// Whether KubeVirt starts the machine.
    pub run: RunStrategy,
    /// Names of the PersistentVolumeClaims, in the order of the machine's disks. For disks beyond
    /// them the claim is `<name>-disk<N>`, counted from zero.
    pub claims: Vec<String>,
    /// NetworkAttachmentDefinitions (`name` or `namespace/name`) by the name of the network or
    /// bridge in the machine. The word `pod` stands for the cluster's pod network.
    pub networks: BTreeMap<String, String>,
    /// IANA time zone (`Europe/Berlin`) in which the clock of a guest that expects local time
    /// runs. Other guests have UTC.
    pub timezone: Option<String>,
    /// Whether the guest gets an OVF environment, from the Secret of [`ovf_environment`].
    pub ovf_environment: bool,
}

/// When KubeVirt runs the machine (`spec.runStrategy`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub enum RunStrategy {
    /// Until somebody starts it, not at all: its disks may still have to be filled.
    #[default]
    Halted,
    /// Always, also after the guest shut itself down.
    Always,
    /// Until the guest shuts itself down.
    RerunOnFailure,
    /// As `virtctl start` and `stop` say.
    Manual,
}

/// Why there is no manifest.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A given name that Kubernetes would refuse.
    #[error(
        "{name:?} cannot be the name of a {what}: use at most {limit} lower-case letters, digits \
         and dashes, with a letter or digit at both ends"
    )]
    Name {
        /// The kind of object.
        what: &'static str,
        /// The name.
        name: String,
        /// Longest name allowed, in bytes.
        limit: usize,
    },
    /// A time zone that is not a name of the IANA database.
    #[error("{0:?} is no time zone; give a name of the IANA database, such as Europe/Berlin")]
    Timezone(String),
    /// KubeVirt takes one pod network per machine.
    #[error(
        "the network cards {first} and {second} are both to be on the pod network, and KubeVirt \
         allows one; map the network of one of them to a NetworkAttachmentDefinition"
    )]
    PodNetworks {
        /// Index of a network card, from zero.
        first: usize,
        /// Index of the other one.
        second: usize,
    },
    /// A Secret that Kubernetes would refuse.
    #[error(
        "the OVF environment has {0} bytes, and a Secret holds 1 MiB; attach ovf-env.iso from a volume"
    )]
    SecretSize(usize),
    /// The serialiser failed.
    #[error("writing the manifest as YAML")]
    Yaml(#[from] serde_saphyr::ser::Error),
}
