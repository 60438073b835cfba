//! Devices that the product made or drove, and what its driver packages offer to devices of others.

use std::collections::BTreeSet;
use std::fmt;

use refit_engine::{Guest, HiveName};
use refit_hive::{Hive, Key};

use super::edits::Edits;
use super::reg;
use super::services::ControlSet;
use super::survey::Survey;

/// Removes the nodes of devices whose driver goes, with what belongs to each: its key in the class, and its
/// interfaces. Plug and Play would start a device again that only software made (`ROOT\VMWVMCIHOSTDEV`), and find
/// no service; hardware that is not there is made anew when it comes back.
pub(crate) fn remove(system: &Hive, set: &ControlSet, edits: &mut Edits) {
    let hive = HiveName::System;
    let mut nodes = BTreeSet::new();
    let enumerators = set.key("Enum");
    for bus in reg::names(system, &enumerators) {
        for device in reg::names(system, &format!("{enumerators}\\{bus}")) {
            let path = format!("{enumerators}\\{bus}\\{device}");
            let Some(key) = system.key(&path) else {
                continue;
            };
            let instances: Vec<Key<'_>> = key.subkeys().collect();
            let gone: Vec<&Key<'_>> = instances.iter().filter(|one| is_driven(one, set)).collect();
            for instance in &gone {
                nodes.insert(format!("{bus}\\{device}\\{}", instance.name()).to_lowercase());
                if let Some(driver) = reg::text(instance, "Driver") {
                    let class = set.key(&format!("Control\\Class\\{driver}"));
                    // `{GUID}\NNNN`: never a whole class.
                    if driver.split('\\').count() == 2 && system.key(&class).is_some() {
                        edits.delete_key(&hive, &class);
                    }
                }
            }
            if !gone.is_empty() && gone.len() == instances.len() {
                edits.delete_key(&hive, &path);
            } else {
                for instance in gone {
                    edits.delete_key(&hive, &format!("{path}\\{}", instance.name()));
                }
            }
        }
    }
    if nodes.is_empty() {
        return;
    }
    let classes = set.key("Control\\DeviceClasses");
    for class in reg::names(system, &classes) {
        let Some(key) = system.key(&format!("{classes}\\{class}")) else {
            continue;
        };
        for interface in key.subkeys() {
            let device = reg::text(&interface, "DeviceInstance").unwrap_or_default();
            if nodes.contains(&device.to_lowercase()) {
                edits.delete_key(&hive, &format!("{classes}\\{class}\\{}", interface.name()));
            }
        }
    }
}

fn is_driven(instance: &Key<'_>, set: &ControlSet) -> bool {
    reg::text(instance, "Service")
        .is_some_and(|service| set.removed.contains(&service.to_lowercase()))
}

/// Removes what names a driver that goes without being a device: what boots before Plug and Play, and the
/// display adapters that are known.
pub(crate) fn remove_names(
    system: &Hive,
    set: &ControlSet,
    survey: &Survey<'_>,
    edits: &mut Edits,
) {
    let hive = HiveName::System;
    for (list, subkey) in [
        ("Control\\CriticalDeviceDatabase", None),
        ("Control\\Video", Some("Video")),
    ] {
        let list = set.key(list);
        let Some(key) = system.key(&list) else {
            continue;
        };
        for entry in key.subkeys() {
            let at = match subkey {
                Some(name) => entry.subkey(name),
                None => Some(entry),
            };
            let service = at.and_then(|at| reg::text(&at, "Service"));
            if service.is_some_and(|service| set.dangles(survey, &service)) {
                edits.delete_key(&hive, &format!("{list}\\{}", entry.name()));
            }
        }
    }
}

/// A driver package of the product that stays in the driver store.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Package {
    /// `vmmouse.inf`.
    pub(crate) inf: String,
    /// Its name in `Windows\INF` (`oem7.inf`); empty if that is not known.
    pub(crate) published: String,
}

/// For a message: `vmmouse.inf (oem7.inf)`.
impl fmt::Display for Package {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.inf)?;
        if !self.published.is_empty() {
            write!(f, " ({})", self.published)?;
        }
        Ok(())
    }
}

/// Packages in the driver store that no hive of those `known` lists: before Windows 8 there was no such list.
///
/// # Errors
/// If the guest's folders cannot be read.
pub(crate) fn stored(
    guest: &Guest<'_>,
    survey: &Survey<'_>,
    known: &[Package],
) -> anyhow::Result<Vec<Package>> {
    let store = survey
        .places
        .system("system32\\driverstore\\filerepository");
    let Some(store) = survey.places.in_guest(&store) else {
        return Ok(Vec::new());
    };
    let mut found = Vec::new();
    for entry in guest.list(&store)? {
        let name = String::from_utf8_lossy(&entry.name).to_lowercase();
        for inf in &survey.signatures.registry.infs {
            let inf = inf.to_lowercase();
            let is_known = known.iter().any(|package| package.inf == inf);
            if !is_known
                && name
                    .strip_prefix(&inf)
                    .is_some_and(|rest| rest.starts_with('_'))
            {
                found.push(Package {
                    inf,
                    published: String::new(),
                });
            }
        }
    }
    Ok(found)
}

/// The product's packages in a hive's database of drivers.
pub(crate) fn packages(hive: &Hive, survey: &Survey<'_>) -> Vec<Package> {
    let path = "DriverDatabase\\DriverPackages";
    let Some(list) = hive.key(path) else {
        return Vec::new();
    };
    let mut packages = Vec::new();
    for key in list.subkeys() {
        let inf = match reg::text(&key, "InfName") {
            Some(inf) => inf.to_lowercase(),
            None => key
                .name()
                .split('_')
                .next()
                .unwrap_or_default()
                .to_lowercase(),
        };
        let provider = reg::text(&key, "Provider").unwrap_or_default();
        let mut publishers = survey.signatures.product.publishers.iter();
        // The beginning of the provider, not any mention: Broadcom has drivers of its own.
        let theirs =
            publishers.any(|name| provider.to_lowercase().starts_with(&name.to_lowercase()));
        let mut infs = survey.signatures.registry.infs.iter();
        if theirs && infs.any(|known| known.eq_ignore_ascii_case(&inf)) {
            let published = reg::text(&key, "").unwrap_or_default();
            packages.push(Package { inf, published });
        }
    }
    packages
}

/// Stops packages that stay from being offered for hardware that is not the hypervisor's: `vmmouse.inf` says that it
/// serves every PS/2 mouse (`*PNP0F13`), and would be chosen for the one of the new machine.
pub(crate) fn unmatch(
    hive: &Hive,
    name: &HiveName,
    packages: &[Package],
    survey: &Survey<'_>,
    edits: &mut Edits,
) {
    fn walk(key: &Key<'_>, path: &str, depth: usize, found: &mut dyn FnMut(&Key<'_>, &str)) {
        found(key, path);
        if depth > 0 {
            for subkey in key.subkeys() {
                walk(
                    &subkey,
                    &format!("{path}\\{}", subkey.name()),
                    depth - 1,
                    found,
                );
            }
        }
    }
    let path = "DriverDatabase\\DeviceIds";
    let Some(ids) = hive.key(path) else {
        return;
    };
    walk(&ids, path, 3, &mut |key, path| {
        let id = path.to_uppercase();
        if survey
            .signatures
            .device_ids
            .iter()
            .any(|theirs| id.contains(theirs.as_str()))
        {
            return;
        }
        // Below classes (`{GUID}`) the packages are only listed.
        if id.contains("\\DEVICEIDS\\{") {
            return;
        }
        for value in key.values() {
            let ours = |package: &Package| {
                !package.published.is_empty() && package.published.eq_ignore_ascii_case(&value.name)
            };
            if packages.iter().any(ours) {
                edits.delete_value(name, path, &value.name);
            }
        }
    });
}
