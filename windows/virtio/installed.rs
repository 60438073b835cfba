//! Which virtio drivers the guest has already.

use std::collections::BTreeMap;

use anyhow::Context as _;
use refit_engine::{Guest, GuestPath};
use refit_virtio_win::devices::DEVICES;
use refit_virtio_win::{DriverVer, Inf, Package, Windows};

use super::staging;

/// So many INF files of others are looked into before Windows Vista.
const LOOKED_AT: usize = 512;

/// Versions of the drivers that Windows has installed, and of those that lie ready for it.
#[derive(Debug, Default)]
pub(super) struct Installed {
    /// By the device's name: the newest in the driver store (before Vista: in the folder of INF files).
    store: BTreeMap<&'static str, DriverVer>,
    /// By the device's name: what lies in the folder of staged drivers and is for this Windows.
    staged: BTreeMap<&'static str, DriverVer>,
}

impl Installed {
    pub(super) fn read(guest: &Guest<'_>, windows: &Windows) -> anyhow::Result<Self> {
        let facts = guest.facts().windows.as_ref();
        let root = &facts.context("the guest is no Windows")?.system_root;
        let mut installed = Self::default();
        if windows.version < (6, 0) {
            let folder = root.join("inf");
            let oem = guest.list(&folder)?.into_iter().filter(|entry| {
                let name = entry.name.to_ascii_lowercase();
                name.starts_with(b"oem") && name.ends_with(b".inf")
            });
            for entry in oem.take(LOOKED_AT) {
                note(
                    &mut installed.store,
                    guest,
                    windows,
                    &folder.join(entry.name),
                )?;
            }
        } else {
            let folder = root.join("System32/DriverStore/FileRepository");
            for entry in guest.list(&folder)? {
                let name = String::from_utf8_lossy(&entry.name).to_lowercase();
                let Some((stem, _)) = name.split_once(&format!(".inf_{}_", windows.arch)) else {
                    continue;
                };
                if DEVICES.iter().any(|device| device.id == stem) {
                    let inf = folder.join(&entry.name).join(format!("{stem}.inf"));
                    note(&mut installed.store, guest, windows, &inf)?;
                }
            }
        }
        let folder = staging::folder(root);
        for device in DEVICES {
            let name = format!("{}.inf", device.id);
            for inf in [folder.join(&name), folder.join(device.id).join(&name)] {
                note(&mut installed.staged, guest, windows, &inf)?;
            }
        }
        Ok(installed)
    }

    /// The newest version of a device's driver that Windows has installed.
    pub(super) fn version(&self, device: &str) -> Option<DriverVer> {
        self.store.get(device).copied()
    }

    /// Whether what is installed, or lies ready, is at least as new as `offered`; of two that lie ready the
    /// offered one is taken if they are equal, because then only their files tell whether they are.
    pub(super) fn keeps(&self, device: &str, offered: Option<DriverVer>) -> bool {
        // What was built for a newer Windows is newer, whatever its date.
        let rank = |version: DriverVer| (version.built_for(), version);
        let offered = offered.map(rank);
        let own = self.version(device).map(rank);
        let staged = self.staged.get(device).copied().map(rank);
        (own.is_some() && own >= offered) || staged > offered
    }
}

/// Notes for which devices an INF file of the guest is. One that cannot be read is none.
fn note(
    versions: &mut BTreeMap<&'static str, DriverVer>,
    guest: &Guest<'_>,
    windows: &Windows,
    path: &GuestPath,
) -> anyhow::Result<()> {
    let Some(bytes) = guest.read(path)? else {
        return Ok(());
    };
    let Ok(inf) = Inf::parse(&bytes) else {
        return Ok(());
    };
    let package = Package::new(inf);
    let Some(version) = package.driver_ver else {
        return Ok(());
    };
    if version
        .built_for()
        .is_some_and(|built| built > windows.version)
    {
        return Ok(());
    }
    let models = package.models(windows);
    for device in DEVICES {
        if models
            .iter()
            .flat_map(|model| &model.ids)
            .any(|id| device.is(id))
        {
            let newest = versions.entry(device.id).or_insert(version);
            *newest = (*newest).max(version);
        }
    }
    Ok(())
}
