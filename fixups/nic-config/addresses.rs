//! Writing the addresses that were given into the guest's configuration, in its own format.

mod ifupdown;
mod keyfile;
mod netplan;
mod networkd;
mod redhat;
mod shell;
mod suse;

use std::net::IpAddr;

use ipnet::IpNet;
use refit_engine::{GuestPath, Nic};
use refit_machine::Mac;

use super::edit::{Files, may_edit};
use super::pairing::Replacement;
use crate::network::configuration::Configuration;
use crate::network::decide::{Decided, Outcome};
use crate::network::model::{Interface, Kind};
use crate::network::sources::glob;
use crate::network::topology::Topology;

/// What is to be written for one card.
#[derive(Debug)]
pub(super) struct Wanted {
    addresses: Vec<IpNet>,
    gateways: Vec<IpAddr>,
    dns: Vec<IpAddr>,
    /// The device that has the addresses: the card, or the bond or bridge that it is a port of.
    name: Option<String>,
    /// The card's hardware address, as the configuration has it from now on; `None` where the device
    /// is not the card.
    mac: Option<Mac>,
    /// The file with the device's configuration.
    source: GuestPath,
}

/// The two families of addresses.
const FAMILIES: [Family; 2] = [Family::V4, Family::V6];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Family {
    V4,
    V6,
}

impl Family {
    fn of(address: IpAddr) -> Self {
        if address.is_ipv4() {
            Self::V4
        } else {
            Self::V6
        }
    }
}

impl Wanted {
    /// The addresses of one family. Where there are none, that family is left as it is.
    fn of(&self, family: Family) -> Vec<IpNet> {
        let all = self.addresses.iter().copied();
        all.filter(|address| Family::of(address.addr()) == family)
            .collect()
    }

    /// The families to be written.
    fn families(&self) -> impl Iterator<Item = Family> {
        FAMILIES
            .into_iter()
            .filter(|&family| !self.of(family).is_empty())
    }

    fn gateway(&self, family: Family) -> Option<IpAddr> {
        let mut all = self.gateways.iter().copied();
        all.find(|gateway| Family::of(*gateway) == family)
    }

    /// The gateway to be written where `old` is written now: the new one; without one, the old if
    /// the new addresses reach it.
    fn gateway_instead_of(&self, family: Family, old: Option<IpAddr>) -> Option<IpAddr> {
        let reached = |old: &IpAddr| {
            let link_local = matches!(old, IpAddr::V6(old) if old.segments()[0] & 0xffc0 == 0xfe80);
            link_local || self.addresses.iter().any(|address| address.contains(old))
        };
        self.gateway(family).or(old.filter(reached))
    }
}

/// Writes what was given for each NIC. Gives back, for the cards of which it cannot be written, why.
///
/// # Errors
/// If the guest cannot be read.
pub(super) fn write(
    files: &mut Files<'_, '_>,
    nics: &[Nic],
    configuration: &Configuration,
    topology: &Topology<'_>,
    decided: &[Decided],
    replacements: &[Replacement],
) -> anyhow::Result<Vec<String>> {
    let mut refused = Vec::new();
    for nic in nics.iter().filter(|nic| !nic.addresses.is_empty()) {
        let wanted = wanted(
            nic,
            nics.len(),
            configuration,
            topology,
            decided,
            replacements,
        );
        let refusal = match wanted {
            Ok(wanted) => write_one(files, &wanted)?,
            Err(reason) => Some(reason),
        };
        refused.extend(
            refusal.map(|reason| format!("{}: its addresses are not written: {reason}", nic.mac)),
        );
    }
    Ok(refused)
}

fn write_one(files: &mut Files<'_, '_>, wanted: &Wanted) -> anyhow::Result<Option<String>> {
    let source = wanted.source.to_string();
    if source.starts_with("/etc/netplan/") {
        netplan::write(files, wanted)
    } else if source.starts_with("/etc/systemd/network/") {
        networkd::write(files, wanted)
    } else if source.starts_with("/etc/NetworkManager/") {
        keyfile::write(files, wanted)
    } else if source.starts_with("/etc/sysconfig/network-scripts/") {
        redhat::write(files, wanted)
    } else if source.starts_with("/etc/sysconfig/network/") {
        suse::write(files, wanted)
    } else if source.starts_with("/etc/network/") {
        ifupdown::write(files, wanted)
    } else {
        Ok(Some(format!("{source} has a format that is not written")))
    }
}

fn wanted(
    nic: &Nic,
    cards: usize,
    configuration: &Configuration,
    topology: &Topology<'_>,
    decided: &[Decided],
    replacements: &[Replacement],
) -> Result<Wanted, String> {
    let whole = |address: &&IpNet| {
        address.prefix_len() == address.max_prefix_len() && !nic.gateways.is_empty()
    };
    if let Some(address) = nic.addresses.iter().find(whole) {
        return Err(format!(
            "give the length of the network's prefix, {}/N",
            address.addr()
        ));
    }
    let is_own = |interface: &&Interface| {
        let mut macs = interface.matches.macs.iter();
        macs.any(|mac| {
            let mut pairs = replacements.iter();
            *mac == nic.mac || pairs.any(|pair| pair.old == *mac && pair.new == nic.mac)
        })
    };
    let name = decided.iter().find(|one| one.mac == nic.mac);
    let mut name = match name.map(|one| &one.outcome) {
        Some(Outcome::Name(name)) => Some(name.as_str()),
        _ => None,
    };
    let all = || configuration.interfaces.iter();
    let mut found: Vec<&Interface> = match name {
        Some(name) => all().filter(|one| is_named(one, name)).collect(),
        None => all()
            .filter(is_own)
            .filter(|one| one.kind == Kind::Physical)
            .collect(),
    };
    if found.is_empty() && name.is_none() && cards == 1 {
        let takes_all = |one: &&Interface| {
            let globs = &one.matches.globs;
            one.kind == Kind::Physical
                && one.matches.other.is_none()
                && one.matches.macs.is_empty()
                && globs.iter().any(|pattern| {
                    glob::matches(pattern, "enp1s0") || glob::matches(pattern, "eth0")
                })
        };
        found = all().filter(takes_all).collect();
    }
    // Up to what the card is a port of.
    let mut mac = Some(nic.mac);
    for _ in 0..8 {
        let upper = found.iter().find_map(|one| one.upper.as_deref());
        let upper = upper.or_else(|| {
            let is_below = |one: &&Interface| {
                matches!(one.kind, Kind::Bond | Kind::Team | Kind::Bridge)
                    && one.lower.iter().any(|lower| Some(lower.as_str()) == name)
            };
            all().find(is_below)?.matches.name.as_deref()
        });
        let Some(upper) = upper.filter(|upper| Some(*upper) != name) else {
            break;
        };
        (name, mac) = (Some(upper), None);
        found = all().filter(|one| is_named(one, upper)).collect();
    }
    let has_config = |one: &&Interface| one.dynamic || !one.addresses.is_empty();
    if !found.iter().any(has_config)
        && let Some(name) = name
        && let Some(vlan) = topology.devices().find(|device| {
            let on_it =
                |one: &&Interface| one.lower.iter().any(|lower| lower == name) && has_config(one);
            device.interfaces.iter().copied().any(|one| on_it(&one))
        })
    {
        return Err(format!(
            "{name} has none of its own, {} on it has",
            vlan.name
        ));
    }
    if found.is_empty() {
        return Err(match name {
            Some(name) => format!("it is {name}, for which there is no configuration"),
            None => "nothing tells which configuration is its own".to_owned(),
        });
    }
    found.retain(|one| may_edit(&one.source));
    let mut sources: Vec<&GuestPath> = Vec::new();
    let with_config: Vec<_> = found.iter().filter(|one| has_config(one)).collect();
    let chosen = if with_config.is_empty() {
        found.iter().collect()
    } else {
        with_config
    };
    for one in chosen {
        if !sources.contains(&&one.source) {
            sources.push(&one.source);
        }
    }
    match sources.as_slice() {
        [] => Err("its configuration is in a place that is not edited".to_owned()),
        [source] => Ok(Wanted {
            addresses: nic.addresses.clone(),
            gateways: nic.gateways.clone(),
            dns: nic.dns.clone(),
            name: name.map(str::to_owned),
            mac,
            source: (*source).clone(),
        }),
        [first, second, ..] => Err(format!("both {first} and {second} configure it")),
    }
}

/// Whether a configuration is for `name`, aliases (`eth0:1`) not counted.
fn is_named(interface: &Interface, name: &str) -> bool {
    interface.matches.name.as_deref() == Some(name)
}
