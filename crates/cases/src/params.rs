//! `params.toml`: what a case has beside the guest's files.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use ipnet::IpNet;
use refit_engine::{BlockDevice, Hints, Mount, Nic, OvfEnvironment, Parameter, Request};
use serde::Deserialize;

/// `params.toml`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Params {
    #[serde(default)]
    pub(crate) setup: Setup,
    #[serde(default)]
    nic: Vec<NicParams>,
    /// What the appliance would tell of the disks.
    #[serde(default)]
    device: Vec<Device>,
    /// The devices that the fixup asks for once the plan is carried out; not looked at if absent.
    pub(crate) devices: Option<BTreeMap<String, String>>,
    /// The fixup's parameters, as `--set` gives them.
    #[serde(default)]
    set: BTreeMap<String, toml::Value>,
    /// Drivers for Windows guests, as `--virtio-win` gives them; relative to the case's folder.
    virtio_win: Option<PathBuf>,
    /// What the guest is told without a medium.
    ovf_environment: Option<Told>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Told {
    document: String,
    guestinfo: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Device {
    device: String,
    disk: Option<usize>,
    partition: Option<u32>,
    kind: String,
    uuid: String,
    /// Where it is mounted.
    mounted: Option<String>,
    /// Name of an NTFS.
    label: Option<String>,
    /// Whether Windows will check it.
    #[serde(default)]
    dirty: bool,
}

/// What git does not keep of a guest's tree.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Setup {
    /// Empty directories.
    #[serde(default)]
    pub(crate) dirs: Vec<String>,
    /// Symbolic links with their targets.
    #[serde(default)]
    pub(crate) links: BTreeMap<String, String>,
    /// Files of so many bytes that are nothing in particular, such as a compressed initramfs.
    #[serde(default)]
    pub(crate) bytes: BTreeMap<String, usize>,
    /// Initramfs images.
    #[serde(default)]
    pub(crate) initramfs: BTreeMap<String, Initramfs>,
}

/// An image of one archive, and what is in it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Initramfs {
    pub(crate) compression: Compression,
    /// Regular files that hold nothing in particular.
    pub(crate) files: Vec<String>,
    /// Symbolic links with their targets.
    #[serde(default)]
    pub(crate) links: BTreeMap<String, String>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Compression {
    None,
    Gzip,
    Xz,
    Zstd,
    /// LZ4's legacy format, as the kernel reads it.
    Lz4,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct NicParams {
    mac: String,
    replaces: Option<String>,
    #[serde(default)]
    addresses: Vec<IpNet>,
    #[serde(default)]
    gateways: Vec<IpAddr>,
    #[serde(default)]
    dns: Vec<IpAddr>,
    pci_slot: Option<u32>,
}

impl Params {
    pub(crate) fn hints(&self) -> Hints {
        let devices = self.device.iter().map(|one| BlockDevice {
            device: one.device.clone(),
            disk: one.disk,
            partition: one.partition,
            kind: one.kind.clone(),
            uuid: Some(one.uuid.clone()),
            label: one.label.clone(),
            dirty: one.dirty,
        });
        let mounts = self.device.iter().filter_map(|one| {
            Some(Mount {
                device: one.device.clone(),
                path: one.mounted.clone()?,
            })
        });
        Hints {
            devices: devices.collect(),
            mounts: mounts.collect(),
            ..Hints::default()
        }
    }

    /// The request of this case in `folder` for the fixup `id`, whose parameters are `known`.
    pub(crate) fn request(
        &self,
        folder: &Path,
        known: &BTreeMap<String, Parameter>,
        id: &str,
    ) -> Result<Request> {
        for (name, value) in &self.set {
            let parameter = known.get(name).with_context(|| {
                format!("params.toml: set.{name}: fixup.toml has no such parameter")
            })?;
            ensure!(
                parameter.r#type.admits(value),
                "params.toml: set.{name} must be {}",
                parameter.r#type
            );
        }
        let nics = self.nic.iter().map(|nic| {
            let replaces = nic.replaces.as_ref().map(|mac| mac.parse());
            Ok(Nic {
                replaces: replaces.transpose().context("params.toml: nic.replaces")?,
                addresses: nic.addresses.clone(),
                gateways: nic.gateways.clone(),
                dns: nic.dns.clone(),
                pci_slot: nic.pci_slot,
                ..Nic::new(nic.mac.parse().context("params.toml: nic.mac")?, "--nic")
            })
        });
        Ok(Request {
            nics: nics.collect::<Result<_>>()?,
            parameters: BTreeMap::from([(id.to_owned(), self.set.clone())]),
            virtio_win: self.virtio_win.as_ref().map(|path| folder.join(path)),
            ovf_environment: self.ovf_environment.as_ref().map(|told| OvfEnvironment {
                document: told.document.clone(),
                has_properties: told.document.contains("Property "),
                guestinfo: told.guestinfo.clone(),
            }),
        })
    }
}
