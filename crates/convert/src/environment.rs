//! What the guest of an appliance is told: the OVF environment beside the disks.

use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use refit_machine::Machine;
use refit_ovf::System;
use refit_ovf::env::{self, Adapter, Environment, Platform};
use serde::Serialize;

use crate::PrivateFile;
use crate::appliance::Told;
use crate::output_dir::Staging;

/// Usual name of the ISO image.
pub const ISO: &str = "ovf-env.iso";

/// What a guest is told, as files that hold every secret among the answers.
pub struct Medium {
    /// The OVF environment.
    pub document: String,
    /// What else the guest could ask VMware Tools for, if there is anything.
    pub guestinfo: Option<String>,
    /// The ISO image with both.
    pub iso: Vec<u8>,
}

impl std::fmt::Debug for Medium {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Medium").finish_non_exhaustive()
    }
}

impl Medium {
    /// Makes the medium of an environment and the machine's [`settings`]. Its time is that of `SOURCE_DATE_EPOCH`
    /// (reproducible-builds.org), or now.
    ///
    /// # Errors
    /// If one of them is too large.
    pub fn new(
        environment: &Environment<'_>,
        settings: &[(String, String)],
    ) -> anyhow::Result<Self> {
        let document = env::document(environment);
        let guestinfo = env::guestinfo(settings);
        let iso = env::medium_with(&document, guestinfo.as_deref(), now())
            .context("making the ISO image of the OVF environment")?;
        Ok(Self {
            document,
            guestinfo,
            iso,
        })
    }
}

/// What the descriptor sets for a machine itself (`guestinfo.*`), by key, in the descriptor's order.
#[must_use]
pub fn settings(system: &System) -> Vec<(String, String)> {
    let settings = system.guestinfo().into_iter();
    settings
        .map(|setting| (setting.key.clone(), setting.value.clone()))
        .collect()
}

/// Files with the environment, readable by their owner alone: they hold every secret among the answers.
#[derive(Debug, Clone, Serialize)]
pub struct EnvironmentFiles {
    /// The ISO image with the document.
    pub iso: PathBuf,
    /// The Secret for KubeVirt; absent if the document is too large for one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<PathBuf>,
}

/// The NICs that the environment names.
pub(crate) fn adapters(machine: &Machine) -> Vec<Adapter> {
    let nics = machine.nics.iter().filter_map(|nic| {
        Some(Adapter {
            mac: nic.mac?,
            network: nic.network.clone().unwrap_or_default(),
        })
    });
    nics.collect()
}

/// The two documents, as they are on the medium.
pub(crate) fn texts(adapters: &[Adapter], told: &Told) -> (String, Option<String>) {
    (
        env::document(&environment(adapters, told)),
        env::guestinfo(&told.guestinfo),
    )
}

fn environment<'t>(adapters: &'t [Adapter], told: &'t Told) -> Environment<'t> {
    Environment {
        platform: Platform::default(),
        properties: &told.properties.properties,
        adapters,
        siblings: &told.properties.siblings,
    }
}

/// Writes the environment of `machine`, which is the converted one, into the staging directory. `notes` takes what
/// somebody should know.
///
/// # Errors
/// If it cannot be written.
pub(crate) fn write(
    staging: &Staging,
    name: &str,
    machine: &Machine,
    told: &Told,
    kubevirt: &mut refit_kubevirt::Options,
    notes: &mut Vec<String>,
) -> anyhow::Result<EnvironmentFiles> {
    let adapters = adapters(machine);
    let medium = Medium::new(&environment(&adapters, told), &told.guestinfo)?;
    let iso = staging.final_path(ISO);
    PrivateFile::create(&staging.staged(&iso))?.finish(&medium.iso)?;
    let wanted = refit_kubevirt::Options {
        ovf_environment: true,
        ..kubevirt.clone()
    };
    let secret = refit_kubevirt::ovf_environment(machine, &wanted, medium.document);
    let secret = match medium.guestinfo {
        Some(text) => secret.and_then(|secret| secret.with_guestinfo(text)),
        None => secret,
    };
    let secret = match secret {
        Ok(secret) => {
            let path = staging.final_path(&format!("{name}.ovf-env.secret.yaml"));
            let yaml = secret
                .to_yaml()
                .context("writing the Secret for KubeVirt")?;
            PrivateFile::create(&staging.staged(&path))?.finish(yaml.as_bytes())?;
            *kubevirt = wanted;
            Some(path)
        }
        Err(error @ refit_kubevirt::Error::SecretSize(_)) => {
            notes.push(error.to_string());
            None
        }
        Err(error) => return Err(error).context("writing the Secret for KubeVirt"),
    };
    Ok(EnvironmentFiles { iso, secret })
}

fn now() -> i64 {
    let given = std::env::var("SOURCE_DATE_EPOCH").ok();
    given.and_then(|text| text.parse().ok()).unwrap_or_else(|| {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        since.map_or(0, |since| {
            i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
        })
    })
}
