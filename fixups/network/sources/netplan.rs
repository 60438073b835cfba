//! netplan: the YAML files of `/etc/netplan` and its sisters.

pub(super) mod document;
pub(super) mod forms;

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;

use refit_engine::backend::FileKind;
use refit_engine::{Guest, GuestPath};

use crate::network::model::{Found, Interface, Kind, Match};
use crate::network::sources::glob;
use crate::network::sources::reading::{Reading, quote};
use crate::network::sources::values;
use document::{Definition, Group};

/// Where the files are; of equal names the one in the first directory counts (netplan-generate(8)).
/// The last is the same as the one before it, in a tree that lacks the link from `/lib`.
const DIRECTORIES: [&str; 4] = [
    "/run/netplan",
    "/etc/netplan",
    "/lib/netplan",
    "/usr/lib/netplan",
];
/// Most files that are read.
const FILE_LIMIT: usize = 512;

/// Reads all `*.yaml` files in netplan's order and merges them (netplan-generate(8), netplan(5)).
///
/// Names in `lower` and `upper` are those of devices, not netplan's IDs. A definition with `match`
/// has the name that `set-name` gives; a `match` for a name beside `set-name` asks for the name
/// that the device has before, and is kept as a pattern. netplan gives up at a broken file; here it
/// is a warning and the others count.
///
/// # Errors
/// If the backend cannot be read.
pub fn read(guest: &Guest<'_>) -> anyhow::Result<Found> {
    let mut reading = Reading::new(guest);
    let mut merged = Merged::default();
    for path in files(&mut reading)? {
        let Some(text) = reading.text(&path) else {
            continue;
        };
        match document::parse(&text) {
            Ok(definitions) => {
                for (group, id, definition) in definitions {
                    merged.add(&mut reading, &path, group, id, definition);
                }
            }
            Err(problem) => reading.warn(&path, problem.line, problem.reason),
        }
    }
    let interfaces = merged.into_interfaces(&mut reading);
    Ok(reading.finish(interfaces))
}

/// The interfaces of one file's definitions, as cloud-init's version 2, which has netplan's form,
/// defines them too.
pub(super) fn interfaces(
    reading: &mut Reading<'_, '_>,
    path: &GuestPath,
    definitions: Vec<(Group, String, Definition)>,
) -> Vec<Interface> {
    let mut merged = Merged::default();
    for (group, id, definition) in definitions {
        merged.add(reading, path, group, id, definition);
    }
    merged.into_interfaces(reading)
}

fn files(reading: &mut Reading<'_, '_>) -> anyhow::Result<Vec<GuestPath>> {
    let mut files: BTreeMap<Vec<u8>, GuestPath> = BTreeMap::new();
    for directory in DIRECTORIES {
        let directory = GuestPath::new(directory);
        for entry in reading.guest.list(&directory)? {
            let wanted = entry.name.ends_with(b".yaml")
                && !entry.name.starts_with(b".")
                && entry.kind != FileKind::Dir;
            if !wanted || files.contains_key(&entry.name) {
                continue;
            }
            if files.len() >= FILE_LIMIT {
                reading.warn(&directory, None, "not all files read: there are too many");
                break;
            }
            let path = directory.join(&entry.name);
            files.insert(entry.name, path);
        }
    }
    Ok(files.into_values().collect())
}

/// All files' definitions, by ID, in the order in which the IDs first come.
#[derive(Default)]
struct Merged {
    entries: Vec<Entry>,
    index: HashMap<String, usize>,
}

struct Entry {
    id: String,
    group: Group,
    definition: Definition,
    /// The first file, and the first with an address.
    first: GuestPath,
    with_address: Option<GuestPath>,
}

impl Merged {
    fn add(
        &mut self,
        reading: &mut Reading<'_, '_>,
        path: &GuestPath,
        group: Group,
        id: String,
        definition: Definition,
    ) {
        let with_address = (!definition.addresses.is_empty()).then(|| path.clone());
        match self.index.get(&id) {
            Some(&index) => {
                let entry = &mut self.entries[index];
                if entry.group != group {
                    let reason = format!(
                        "{} is defined in {} already, as another type",
                        quote(&id),
                        entry.first
                    );
                    reading.warn(path, None, reason);
                    return;
                }
                entry.definition.merge(definition);
                entry.with_address = entry.with_address.take().or(with_address);
            }
            None => {
                self.index.insert(id.clone(), self.entries.len());
                self.entries.push(Entry {
                    id,
                    group,
                    definition,
                    first: path.clone(),
                    with_address,
                });
            }
        }
    }

    fn into_interfaces(self, reading: &mut Reading<'_, '_>) -> Vec<Interface> {
        let mut interfaces: Vec<Interface> = self
            .entries
            .iter()
            .map(|entry| entry.interface(reading))
            .collect();
        // From here on IDs are looked up; `None` is a device whose name netplan does not fix.
        let name_of = |id: &str| match self.index.get(id) {
            Some(&index) => interfaces[index].matches.name.clone(),
            None => Some(id.to_owned()),
        };
        let mut lower: Vec<Vec<String>> = Vec::with_capacity(interfaces.len());
        let mut upper: Vec<(usize, String)> = Vec::new();
        for entry in &self.entries {
            lower.push(match entry.group {
                Group::Bonds | Group::Bridges => {
                    for id in &entry.definition.interfaces {
                        upper.extend(self.index.get(id).map(|&port| (port, entry.id.clone())));
                    }
                    entry
                        .definition
                        .interfaces
                        .iter()
                        .filter_map(|id| name_of(id))
                        .collect()
                }
                Group::Vlans => {
                    let link = entry.definition.link.as_deref();
                    link.and_then(name_of).into_iter().collect()
                }
                _ => Vec::new(),
            });
        }
        for (interface, lower) in interfaces.iter_mut().zip(lower) {
            interface.lower = lower;
        }
        for (port, name) in upper {
            interfaces[port].upper.get_or_insert(name);
        }
        interfaces
    }
}

impl Entry {
    fn interface(&self, reading: &mut Reading<'_, '_>) -> Interface {
        let definition = &self.definition;
        let mut addresses: Vec<IpAddr> = Vec::new();
        for text in &definition.addresses {
            match values::address(text) {
                Some(address) if addresses.contains(&address) => {}
                Some(address) => addresses.push(address),
                None => {
                    let reason = format!("{}: no address: {}", quote(&self.id), quote(text));
                    reading.warn(&self.first, None, reason);
                }
            }
        }
        let on = |value: &Option<String>| value.as_deref().is_some_and(is_true);
        Interface {
            matches: self.matches(),
            kind: self.group.kind(&self.id),
            addresses,
            dynamic: on(&definition.dhcp4) || on(&definition.dhcp6) || on(&definition.accept_ra),
            lower: Vec::new(),
            upper: None,
            source: self
                .with_address
                .clone()
                .unwrap_or_else(|| self.first.clone()),
        }
    }

    /// "Device configuration IDs" in netplan(5): without `match` the ID of a physical device is its
    /// name, with it the ID is only that; the ID of a virtual device is the name it is made with.
    fn matches(&self) -> Match {
        let definition = &self.definition;
        let Some(wanted) = definition
            .matches
            .as_ref()
            .filter(|_| self.group.is_physical())
        else {
            // The ID of a connection that NetworkManager stored is none of a device.
            if self.group == Group::NmDevices {
                return Match::default();
            }
            let renamed = definition
                .set_name
                .clone()
                .filter(|_| self.group.is_physical());
            return Match {
                name: Some(renamed.unwrap_or_else(|| self.id.clone())),
                ..Match::default()
            };
        };
        let mut found = Match::default();
        let mut other = Vec::new();
        if let Some(text) = &wanted.macaddress {
            match values::mac(text) {
                Some(mac) => found.macs.push(mac),
                // InfiniBand: no Ethernet card has it.
                None => other.push(format!("macaddress: {}", quote(text))),
            }
        }
        for driver in &wanted.driver {
            other.push(format!("driver: {driver}"));
        }
        match (&definition.set_name, wanted.name.as_slice()) {
            (None, [name]) if !glob::is_pattern(name) => found.name = Some(name.clone()),
            (set_name, names) => {
                found.name.clone_from(set_name);
                found.globs = names.to_vec();
            }
        }
        found.renames = definition.set_name.is_some() && !found.macs.is_empty();
        found.other = (!other.is_empty()).then(|| other.join(" "));
        found
    }
}

/// The words for yes that netplan knows, those of YAML 1.1.
fn is_true(text: &str) -> bool {
    ["true", "on", "yes", "y"]
        .iter()
        .any(|word| text.eq_ignore_ascii_case(word))
}

impl Group {
    fn kind(self, id: &str) -> Kind {
        let other = |word: &str| Kind::Other(word.to_owned());
        match self {
            Self::Ethernets if id == "lo" => other("loopback"),
            Self::Ethernets => Kind::Physical,
            Self::Bonds => Kind::Bond,
            Self::Bridges => Kind::Bridge,
            Self::Vlans => Kind::Vlan,
            Self::Wifis => other("wifi"),
            Self::Modems => other("modem"),
            Self::Tunnels => other("tunnel"),
            Self::Vrfs => other("vrf"),
            Self::DummyDevices => other("dummy"),
            Self::VirtualEthernets => other("veth"),
            Self::NmDevices => other("NetworkManager"),
        }
    }

    /// Whether its devices are matched, rather than made.
    fn is_physical(self) -> bool {
        matches!(
            self,
            Self::Ethernets | Self::Wifis | Self::Modems | Self::NmDevices
        )
    }
}

#[cfg(test)]
mod tests;
