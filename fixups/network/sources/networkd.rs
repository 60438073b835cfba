//! systemd-networkd: `.network` and `.netdev` files, and udev's `.link` files.

mod link;
mod matching;
mod network;
mod units;

pub use link::{Link, bindings, links};

use std::collections::HashMap;

use refit_engine::Guest;

use crate::network::model::{Found, Interface, Kind, Match};
use crate::network::sources::glob;
use crate::network::sources::reading::Reading;
use network::Network;
use units::Unit;

/// Reads `.network` and `.netdev` files (systemd.network(5), systemd.netdev(5)).
///
/// The interfaces come in the order in which networkd tries the files: the first that matches a
/// device applies to it. A file that can never apply, because an earlier one always comes first,
/// is left out with a warning. Devices from `.netdev` files without a `.network` of their own
/// name follow.
///
/// # Errors
/// If the backend cannot be read.
pub fn read(guest: &Guest<'_>) -> anyhow::Result<Found> {
    let mut reading = Reading::new(guest);
    let devices = netdevs(&mut reading)?;
    let kinds: HashMap<&str, &Kind> = devices
        .iter()
        .map(|device| (device.name.as_str(), &device.kind))
        .collect();
    let mut networks: Vec<Network> = Vec::new();
    for unit in units::load(&mut reading, ".network")? {
        let Some(network) = Network::read(&mut reading, &unit, &kinds) else {
            continue;
        };
        match networks
            .iter()
            .find(|earlier| hides(earlier, &network, &kinds))
        {
            Some(earlier) => {
                let reason = format!("not in force: {} always comes first", earlier.path);
                reading.warn(&unit.path, None, reason);
            }
            None => networks.push(network),
        }
    }
    Ok(reading.finish(assemble(networks, devices)))
}

/// A device that a `.netdev` file makes.
struct Device {
    name: String,
    kind: Kind,
    unit: Unit,
}

fn netdevs(reading: &mut Reading<'_, '_>) -> anyhow::Result<Vec<Device>> {
    let mut devices: Vec<Device> = Vec::new();
    for unit in units::load(reading, ".netdev")? {
        if !matching::Selector::read(&unit.merged, "Name").possible {
            continue;
        }
        let name = unit.merged.last("NetDev", "Name").map(str::to_owned);
        let kind = unit.merged.last("NetDev", "Kind").map(matching::kind);
        match (name, kind) {
            (Some(name), Some(kind)) => devices.push(Device { name, kind, unit }),
            _ => reading.warn(&unit.path, None, "ignored: [NetDev] lacks Name= or Kind="),
        }
    }
    Ok(devices)
}

/// Whether `earlier` applies to every device that `later` is for.
fn hides(earlier: &Network, later: &Network, kinds: &HashMap<&str, &Kind>) -> bool {
    let unconditional = earlier.matches.macs.is_empty()
        && earlier.matches.other.is_none()
        && earlier.only_kind.is_none();
    let virtual_device = later
        .matches
        .name
        .as_deref()
        .is_some_and(|name| kinds.contains_key(name))
        || later.only_kind.is_some();
    if !unconditional || (earlier.ordinary_only && virtual_device) {
        return false;
    }
    let Match { name, globs, .. } = &earlier.matches;
    let covers = |wanted: &String| {
        name.as_ref() == Some(wanted) || globs.iter().any(|glob| glob::matches(glob, wanted))
    };
    match (&later.matches.name, later.matches.globs.as_slice()) {
        _ if name.is_none() && globs.is_empty() => !earlier.ordinary_only,
        (Some(wanted), _) => covers(wanted),
        (None, []) => false,
        (None, wanted) => wanted.iter().all(|wanted| {
            // A pattern lies in another for certain only if it is the same.
            if glob::is_pattern(wanted) {
                globs.iter().any(|glob| glob == wanted || glob == "*")
            } else {
                covers(wanted)
            }
        }),
    }
}

fn assemble(networks: Vec<Network>, devices: Vec<Device>) -> Vec<Interface> {
    let mut interfaces = Vec::new();
    let mut stacked: Vec<(String, String)> = Vec::new();
    for network in networks {
        if let Some(name) = &network.matches.name {
            stacked.extend(network.stacked.into_iter().map(|on| (on, name.clone())));
            if let Some(upper) = &network.upper {
                stacked.push((upper.clone(), name.clone()));
            }
        }
        interfaces.push(Interface {
            matches: network.matches,
            kind: network.kind,
            addresses: network.addresses,
            dynamic: network.dynamic,
            lower: Vec::new(),
            upper: network.upper,
            source: network.source,
        });
    }
    let mut by_name: HashMap<String, usize> = HashMap::new();
    for (index, interface) in interfaces.iter().enumerate() {
        if let Some(name) = &interface.matches.name {
            by_name.entry(name.clone()).or_insert(index);
        }
    }
    for device in devices {
        if !by_name.contains_key(&device.name) {
            by_name.insert(device.name.clone(), interfaces.len());
            interfaces.push(Interface {
                matches: Match {
                    name: Some(device.name),
                    ..Match::default()
                },
                kind: device.kind,
                addresses: Vec::new(),
                dynamic: false,
                lower: Vec::new(),
                upper: None,
                source: device.unit.path,
            });
        }
    }
    for (upper, lower) in stacked {
        if let Some(&index) = by_name.get(&upper) {
            let interface = &mut interfaces[index];
            if !interface.lower.contains(&lower) {
                interface.lower.push(lower);
            }
        }
    }
    interfaces
}

#[cfg(test)]
mod tests;
