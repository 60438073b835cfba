//! cloud-init's network configuration, version 1 and 2, before it is rendered in another format.
//!
//! What cloud-init has rendered (`50-cloud-init.yaml`, `ifcfg-*`, ...) other readers read, and it
//! counts more: people edit it, and much of cloud-init's own data is from the first boot.

mod document;

use refit_engine::backend::FileKind;
use refit_engine::{Guest, GuestPath};

use self::document::{Network, Place};
use super::netplan;
use super::reading::Reading;
use crate::network::model::{Binding, Interface, Kind};

/// What was last applied: cloud-init 22.3 and later keep it for each instance, `instance` being a
/// link to the present one.
const APPLIED: [&str; 2] = [
    "/var/lib/cloud/instance/network-config.json",
    "/run/cloud-init/network-config.json",
];
const INSTANCES: &str = "/var/lib/cloud/instances";
const CONFIG: &str = "/etc/cloud/cloud.cfg";
const CONFIG_DIR: &str = "/etc/cloud/cloud.cfg.d";
const SEEDS: &str = "/var/lib/cloud/seed";
/// Turns cloud-init off.
const DISABLED: &str = "/etc/cloud/cloud-init.disabled";
/// Most instances, seeds or configuration files that are read.
const FILE_LIMIT: usize = 256;

/// What cloud-init adds to the other formats.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct CloudInit {
    /// Where nothing is rendered, and cloud-init will: the configuration.
    pub interfaces: Vec<Interface>,
    /// Else: the names that it gives to MACs, as far as the other formats use these names.
    pub bindings: Vec<Binding>,
    /// Files that it could not make sense of, each with the path and the reason.
    pub warnings: Vec<String>,
}

/// Reads the first of these that has a configuration: what was applied last, the `network` key of
/// `/etc/cloud/cloud.cfg` and `cloud.cfg.d` (the last file that has it), and the seeds of the NoCloud
/// data source. `known` is what the other readers found.
///
/// # Errors
/// If a directory cannot be read. A file that cannot is a warning.
pub fn read(guest: &Guest<'_>, known: &[Interface]) -> anyhow::Result<CloudInit> {
    let mut reading = Reading::new(guest);
    let system = system_config(&mut reading)?;
    let disabled =
        system.as_ref().is_some_and(|(_, network)| network.disabled) || guest.exists(DISABLED)?;
    let mut chosen = first(&mut reading, applied(guest)?);
    if chosen.is_none() {
        chosen = system.filter(|(_, network)| network.has_definitions());
    }
    if chosen.is_none() {
        chosen = first(&mut reading, seeds(guest)?);
    }
    let Some((path, network)) = chosen else {
        return Ok(CloudInit {
            warnings: reading.into_warnings(),
            ..CloudInit::default()
        });
    };
    let definitions = network.into_definitions();
    let mut interfaces = netplan::interfaces(&mut reading, &path, definitions);
    for interface in &mut interfaces {
        // Only netplan does so whenever the card appears.
        interface.matches.renames = false;
    }
    let found = reading.finish(interfaces);
    let is_rendered = known.iter().any(|one| one.kind == Kind::Physical);
    let (interfaces, bindings) = if is_rendered || disabled {
        (Vec::new(), bindings(&found.interfaces, known))
    } else {
        (found.interfaces, Vec::new())
    };
    Ok(CloudInit {
        interfaces,
        bindings,
        warnings: found.warnings,
    })
}

/// The pairs of MAC and name of cards that are `known` by name.
fn bindings(interfaces: &[Interface], known: &[Interface]) -> Vec<Binding> {
    let cards = interfaces.iter().filter(|one| one.kind == Kind::Physical);
    let named = cards.filter(|one| {
        let mut known = known.iter();
        one.matches.name.is_some() && known.any(|other| other.matches.name == one.matches.name)
    });
    let pairs = named.flat_map(|one| {
        one.matches.macs.iter().map(|mac| Binding {
            mac: *mac,
            name: one.matches.name.clone().unwrap_or_default(),
            source: one.source.clone(),
        })
    });
    pairs.collect()
}

/// The first file that defines a device.
fn first(reading: &mut Reading<'_, '_>, paths: Vec<GuestPath>) -> Option<(GuestPath, Network)> {
    paths.into_iter().find_map(|path| {
        let network = parse(reading, &path, Place::Anywhere)?;
        network.has_definitions().then_some((path, network))
    })
}

fn parse(reading: &mut Reading<'_, '_>, path: &GuestPath, place: Place) -> Option<Network> {
    let text = reading.text(path)?;
    match document::parse(&text, place) {
        Ok(network) => network,
        Err(line) => {
            let reason = "not used: it is no YAML of the structure that cloud-init reads";
            reading.warn(path, line, reason);
            None
        }
    }
}

/// The configuration of the present instance, else that of the others, the newest first.
fn applied(guest: &Guest<'_>) -> anyhow::Result<Vec<GuestPath>> {
    let mut others = Vec::new();
    for dir in directories(guest, INSTANCES)? {
        let path = dir.join("network-config.json");
        if let Some(stat) = guest.stat(&path)? {
            others.push((stat.mtime, path));
        }
    }
    others.sort_by(|a, b| b.cmp(a));
    let present = APPLIED.iter().map(GuestPath::new);
    Ok(present
        .chain(others.into_iter().map(|(_, path)| path))
        .collect())
}

fn seeds(guest: &Guest<'_>) -> anyhow::Result<Vec<GuestPath>> {
    let dirs = directories(guest, SEEDS)?.into_iter();
    Ok(dirs.map(|dir| dir.join("network-config")).collect())
}

fn directories(guest: &Guest<'_>, dir: &str) -> anyhow::Result<Vec<GuestPath>> {
    let dir = GuestPath::new(dir);
    let entries = guest.list(&dir)?.into_iter();
    let wanted = entries.filter(|entry| entry.kind == FileKind::Dir);
    Ok(wanted
        .take(FILE_LIMIT)
        .map(|entry| dir.join(entry.name))
        .collect())
}

/// The `network` key of cloud-init's own configuration. Later files override earlier ones.
fn system_config(reading: &mut Reading<'_, '_>) -> anyhow::Result<Option<(GuestPath, Network)>> {
    let mut files = vec![GuestPath::new(CONFIG)];
    let more = reading
        .guest
        .files(CONFIG_DIR, |name| name.ends_with(".cfg"))?;
    files.extend(more.into_iter().take(FILE_LIMIT));
    let mut found = None;
    for path in files {
        if let Some(network) = parse(reading, &path, Place::NetworkKey) {
            found = Some((path, network));
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests;
