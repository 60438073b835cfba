//! The Secret that carries an OVF environment.

use std::collections::BTreeMap;
use std::fmt;

use refit_machine::Machine;
use serde::Serialize;

use crate::manifest::Metadata;
use crate::names::MAX_LABEL;
use crate::virtual_machine::{check_label, name as machine_name};
use crate::{Error, Options};

/// Label of the medium that KubeVirt makes of it.
pub(crate) const LABEL: &str = "OVF ENV";
/// The document's name on the medium.
const FILE: &str = "ovf-env.xml";
/// The other file's name on the medium.
const GUESTINFO_FILE: &str = "guestinfo.xml";
/// What follows the machine's name.
const SUFFIX: &str = "-ovf-env";
/// Most bytes of a Secret's data (Kubernetes, `MaxSecretSize`).
const MAX_SIZE: usize = 1 << 20;

/// A Secret. `Debug` does not show what is in it.
#[derive(Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Secret {
    api_version: &'static str,
    kind: &'static str,
    metadata: Metadata,
    #[serde(rename = "type")]
    secret_type: &'static str,
    string_data: BTreeMap<&'static str, String>,
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Secret")
            .field("metadata", &self.metadata)
            .finish_non_exhaustive()
    }
}

impl Secret {
    /// The Secret with another file beside the document: settings that the guest could ask VMware Tools for.
    ///
    /// # Errors
    ///
    /// If both together are too large.
    pub fn with_guestinfo(mut self, text: String) -> Result<Self, Error> {
        let size = self.string_data.values().map(String::len).sum::<usize>() + text.len();
        if size > MAX_SIZE {
            return Err(Error::SecretSize(size));
        }
        self.string_data.insert(GUESTINFO_FILE, text);
        Ok(self)
    }

    /// The manifest as YAML.
    ///
    /// # Errors
    ///
    /// If the serialiser fails, which it has no reason to.
    pub fn to_yaml(&self) -> Result<String, Error> {
        let options = serde_saphyr::ser_options! { quote_all: true };
        Ok(serde_saphyr::to_string_with_options(self, options)?)
    }
}

/// The Secret for a machine's OVF environment, which the VirtualMachine of the same options names.
///
/// # Errors
///
/// If the name in the options is not valid, or the document is too large.
pub fn ovf_environment(
    machine: &Machine,
    options: &Options,
    document: String,
) -> Result<Secret, Error> {
    let machine_name = machine_name(machine, options)?;
    if let Some(namespace) = &options.namespace {
        check_label("namespace", namespace)?;
    }
    if document.len() > MAX_SIZE {
        return Err(Error::SecretSize(document.len()));
    }
    Ok(Secret {
        api_version: "v1",
        kind: "Secret",
        metadata: Metadata {
            name: name(&machine_name),
            namespace: options.namespace.clone(),
            labels: BTreeMap::new(),
            annotations: BTreeMap::new(),
        },
        secret_type: "Opaque",
        string_data: BTreeMap::from([(FILE, document)]),
    })
}

/// The Secret's name by that of the machine.
pub(crate) fn name(machine: &str) -> String {
    let room = MAX_LABEL - SUFFIX.len();
    let start = machine.get(..room.min(machine.len())).unwrap_or(machine);
    format!("{}{SUFFIX}", start.trim_end_matches('-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_fit() {
        assert_eq!(name("web1"), "web1-ovf-env");
        let long = "a".repeat(54) + "-b" + &"c".repeat(7);
        assert_eq!(long.len(), MAX_LABEL);
        assert_eq!(name(&long), "a".repeat(54) + "-ovf-env");
    }
}
