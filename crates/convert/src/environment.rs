//! What the guest of an appliance is told: the OVF environment beside the disks.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use refit_machine::Machine;
use refit_ovf::env::{self, Adapter, Environment, Platform};
use serde::Serialize;

use crate::appliance::Told;
use crate::output_dir::Staging;

/// Files with the environment, readable by their owner alone: they hold every secret among the answers.
#[derive(Debug, Clone, Serialize)]
pub struct EnvironmentFiles {
    /// The ISO image with the document.
    pub iso: PathBuf,
    /// The Secret for KubeVirt; absent if the document is too large for one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<PathBuf>,
}

/// Name of the ISO image.
const ISO: &str = "ovf-env.iso";

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
    let adapters: Vec<Adapter> = machine
        .nics
        .iter()
        .filter_map(|nic| {
            Some(Adapter {
                mac: nic.mac?,
                network: nic.network.clone().unwrap_or_default(),
            })
        })
        .collect();
    let document = env::document(&Environment {
        platform: Platform::default(),
        properties: &told.properties.properties,
        adapters: &adapters,
        siblings: &told.properties.siblings,
    });
    let guestinfo = env::guestinfo(&told.guestinfo);
    let medium = env::medium_with(&document, guestinfo.as_deref(), now())
        .context("making the ISO image of the OVF environment")?;
    let iso = staging.final_path(ISO);
    private(&staging.staged(&iso), &medium)?;
    let wanted = refit_kubevirt::Options {
        ovf_environment: true,
        ..kubevirt.clone()
    };
    let secret = refit_kubevirt::ovf_environment(machine, &wanted, document);
    let secret = match guestinfo {
        Some(text) => secret.and_then(|secret| secret.with_guestinfo(text)),
        None => secret,
    };
    let secret = match secret {
        Ok(secret) => {
            let path = staging.final_path(&format!("{name}.ovf-env.secret.yaml"));
            let yaml = secret
                .to_yaml()
                .context("writing the Secret for KubeVirt")?;
            private(&staging.staged(&path), yaml.as_bytes())?;
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

/// A new file for its owner alone, from its first byte on.
fn private(path: &Path, content: &[u8]) -> anyhow::Result<()> {
    let writing = || format!("writing {}", path.display());
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .with_context(writing)?;
    file.write_all(content).with_context(writing)?;
    // The umask may have taken more away.
    fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o600))
        .with_context(writing)
}

fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
    })
}
