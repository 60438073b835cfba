//! Red Hat's `/etc/sysconfig/network-scripts/ifcfg-*`, as initscripts and NetworkManager's
//! `ifcfg-rh` plugin read them.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

use refit_engine::Guest;

use super::variables::Variables;
use super::{
    File, add_addresses, addresses, dotted_vlan, link_ports, looks_like_device, read_files,
};
use crate::network::model::{Found, Interface, Kind, Match, is_device_name};
use crate::network::sources::reading::quote;

pub(super) const DIR: &str = "/etc/sysconfig/network-scripts";

/// Helper of `60-net.rules` that renames cards to the `DEVICE` of the file with their `HWADDR`.
const RENAME_HELPERS: [&str; 2] = ["/usr/lib/udev/rename_device", "/lib/udev/rename_device"];

/// Ends of names that initscripts (`is_ignored_file`) or NetworkManager's plugin pass over.
const BACKUPS: [&str; 11] = [
    "~", ".bak", ".old", ".orig", ".rej", ".rpmnew", ".rpmorig", ".rpmsave", ".augnew", ".augtmp",
    ".swp",
];

/// Reads the interfaces; none on a guest without the directory.
pub(super) fn read(guest: &Guest<'_>) -> anyhow::Result<Found> {
    let mut found = Found::default();
    let files = read_files(guest, DIR, ignored, &mut found)?;
    if files.is_empty() {
        return Ok(found);
    }
    let mut renamed = false;
    for helper in RENAME_HELPERS {
        renamed = renamed || guest.exists(helper)?;
    }
    interpret(&files, renamed, &mut found);
    Ok(found)
}

pub(super) fn ignored(suffix: &str) -> bool {
    let lower = suffix.to_ascii_lowercase();
    // While rpm installs a file, it is called NAME;XXXXXXXX.
    let temporary = lower.rsplit_once(';').is_some_and(|(_, digits)| {
        digits.len() == 8 && digits.bytes().all(|b| b.is_ascii_hexdigit())
    });
    temporary || BACKUPS.iter().any(|end| lower.ends_with(end))
}

/// What all the files together say. `renamed`: whether the guest has initscripts' rename helper.
fn interpret(files: &[File], renamed: bool, found: &mut Found) {
    let by_uuid: BTreeMap<&str, &str> = files
        .iter()
        .filter_map(|file| Some((file.variables.get("UUID")?, file.variables.get("DEVICE")?)))
        .collect();
    let mut aggregates = Vec::new();
    let mut aliases = Vec::new();
    for file in files {
        if let Some(base) = alias_of(file) {
            aliases.push((base, file));
            continue;
        }
        let interface = interface(file, &by_uuid, renamed, &mut aggregates, found);
        found.interfaces.push(interface);
    }
    for (base, file) in aliases {
        let own = alias_addresses(file, &mut found.warnings);
        let position = found
            .interfaces
            .iter()
            .position(|interface| interface.matches.name.as_deref() == Some(&base));
        let index = position.unwrap_or_else(|| {
            found.interfaces.push(Interface {
                matches: Match {
                    name: Some(base.clone()),
                    ..Match::default()
                },
                kind: by_name(&base).unwrap_or(Kind::Physical),
                addresses: Vec::new(),
                dynamic: false,
                lower: Vec::new(),
                upper: None,
                source: file.path.clone(),
            });
            found.interfaces.len() - 1
        });
        add_addresses(&mut found.interfaces[index], own, &file.path);
    }
    link_ports(&mut found.interfaces, &aggregates);
}

/// The device whose addresses an alias file (`ifcfg-eth0:1`, `ifcfg-eth0-range0`) adds to.
fn alias_of(file: &File) -> Option<String> {
    let variables = &file.variables;
    let base = if let Some(parent) = variables.get("PARENTDEVICE") {
        parent
    } else if variables.get("IPADDR_START").is_some() {
        file.suffix.rsplit_once("-range")?.0
    } else {
        // Without DEVICE, initscripts take the name of the file.
        let name = variables.get("DEVICE").unwrap_or(&file.suffix);
        name.split_once(':')?.0
    };
    is_device_name(base).then(|| base.to_owned())
}

fn alias_addresses(file: &File, warnings: &mut Vec<String>) -> Vec<IpAddr> {
    let variables = &file.variables;
    let Some(start) = variables.get("IPADDR_START") else {
        return static_addresses(file, warnings);
    };
    // Both must be in one /24, says `ifup-aliases`; so there are 256 at most.
    let bounds = variables.get("IPADDR_END").and_then(|end| {
        let (start, end): (Ipv4Addr, Ipv4Addr) = (start.parse().ok()?, end.parse().ok()?);
        (start.octets()[..3] == end.octets()[..3] && start <= end).then_some((start, end))
    });
    match bounds {
        Some((start, end)) => (u32::from(start)..=u32::from(end))
            .map(|address| IpAddr::V4(Ipv4Addr::from(address)))
            .collect(),
        None => {
            warnings.push(format!(
                "{}: IPADDR_START and IPADDR_END are no range within one /24",
                file.path
            ));
            Vec::new()
        }
    }
}

fn static_addresses(file: &File, warnings: &mut Vec<String>) -> Vec<IpAddr> {
    let variables = &file.variables;
    let v4 = variables.with_prefix("IPADDR", |suffix| {
        suffix.bytes().all(|b| b.is_ascii_digit())
    });
    let v6 = ["IPV6ADDR", "IPV6ADDR_SECONDARIES"]
        .into_iter()
        .flat_map(|name| {
            variables
                .get(name)
                .into_iter()
                .flat_map(str::split_whitespace)
                .map(move |value| (name, value))
        });
    addresses(&file.path, v4.into_iter().chain(v6), warnings)
}

fn interface(
    file: &File,
    by_uuid: &BTreeMap<&str, &str>,
    renamed: bool,
    aggregates: &mut Vec<(String, Kind)>,
    found: &mut Found,
) -> Interface {
    let variables = &file.variables;
    let resolve = |value: &str| by_uuid.get(value).copied().unwrap_or(value).to_owned();
    let (upper, upper_kind) = upper(variables)
        .map(|(value, kind)| (resolve(value), kind))
        .filter(|(name, _)| is_device_name(name))
        .unzip();
    if let (Some(upper), Some(kind)) = (&upper, upper_kind) {
        aggregates.push((upper.clone(), kind));
    }
    let mut matches = matches(file, &mut found.warnings);
    let kind = kind(variables, matches.name.as_deref());
    if !matches!(kind, Kind::Physical | Kind::Other(_)) {
        // initscripts and NetworkManager take it for the parent's, or check it in vain.
        matches.macs.clear();
    }
    // The helper prints DEVICE; without it, nothing is renamed.
    matches.renames = renamed
        && variables.get("DEVICE").is_some()
        && matches.name.is_some()
        && !matches.macs.is_empty()
        && kind == Kind::Physical;
    let lower = lower(variables, &kind, matches.name.as_deref())
        .into_iter()
        .map(|value| resolve(&value))
        .filter(|name| is_device_name(name))
        .collect();
    Interface {
        kind,
        addresses: static_addresses(file, &mut found.warnings),
        dynamic: ["dhcp", "bootp"].iter().any(|word| {
            variables
                .get("BOOTPROTO")
                .is_some_and(|value| value.eq_ignore_ascii_case(word))
        }) || variables.is_true("DHCPV6C")
            || variables.is_true("IPV6_AUTOCONF"),
        lower,
        upper,
        source: file.path.clone(),
        matches,
    }
}

/// What the file says of the device that it is for.
fn matches(file: &File, warnings: &mut Vec<String>) -> Match {
    let variables = &file.variables;
    let mut matches = Match::default();
    if let Some(value) = variables.get("HWADDR") {
        match value.parse() {
            Ok(mac) => matches.macs.push(mac),
            // InfiniBand's have 20 octets.
            Err(_) => matches.other = Some(format!("HWADDR={value}")),
        }
    }
    if let Some(patterns) = variables.get("MATCH_INTERFACE_NAME") {
        matches.globs = escaped_words(patterns)
            .into_iter()
            .map(|pattern| pattern.trim_start_matches(['&', '|']).to_owned())
            .filter(|pattern| !pattern.starts_with('!'))
            .collect();
    }
    for name in ["MATCH_DRIVER", "MATCH_PATH", "SUBCHANNELS"] {
        if let Some(value) = variables.get(name) {
            matches.other = Some(format!("{name}={value}"));
        }
    }
    match variables.get("DEVICE") {
        Some(device) if is_device_name(device) => matches.name = Some(device.to_owned()),
        Some(device) => {
            let device = quote(device);
            warnings.push(format!("{}: {device} is no name of a device", file.path));
            matches.other = Some(format!("DEVICE={device}"));
        }
        None if variables.is_unknown("DEVICE") => {
            matches.other = Some("a DEVICE that only the guest's shell knows".to_owned());
        }
        None => matches.name = implied_name(file, &matches),
    }
    matches
}

/// Words with a backslash before the spaces and backslashes in them.
fn escaped_words(text: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c.is_whitespace() {
            words.push(String::new());
        } else if let Some(word) = words.last_mut() {
            word.extend(if c == '\\' { chars.next() } else { Some(c) });
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

/// The name of a device that the file does not tell by `DEVICE`.
fn implied_name(file: &File, matches: &Match) -> Option<String> {
    let variables = &file.variables;
    if let Some((parent, id)) = variables.get("PHYSDEV").zip(variables.get("VLAN_ID")) {
        return Some(format!("{parent}.{id}")).filter(|name| is_device_name(name));
    }
    if !matches.globs.is_empty() || matches.other.is_some() {
        return None;
    }
    // The file of a card that is found by its address was once named after it.
    let hint = if matches.macs.is_empty() {
        file.suffix.as_str()
    } else {
        file.suffix.rsplit('-').next().unwrap_or_default()
    };
    let known = looks_like_device(hint) || by_name(hint).is_some();
    (known && is_device_name(hint)).then(|| hint.to_owned())
}

fn kind(variables: &Variables, name: Option<&str>) -> Kind {
    let of_type = variables
        .get("TYPE")
        .map(str::to_ascii_lowercase)
        .unwrap_or_default();
    let device_type = variables.get("DEVICETYPE").unwrap_or_default();
    if variables.is_true("VLAN") || of_type == "vlan" {
        return Kind::Vlan;
    }
    if device_type.eq_ignore_ascii_case("team")
        || (variables.get("TEAM_CONFIG").is_some() && !device_type.eq_ignore_ascii_case("teamport"))
    {
        return Kind::Team;
    }
    if variables.is_true("BONDING_MASTER") || variables.get("BONDING_OPTS").is_some() {
        return Kind::Bond;
    }
    if let Some(kind) = name.filter(|&name| name == "lo").and_then(by_name) {
        return kind;
    }
    if variables.is_true("MACVLAN") || variables.get("MACVLAN_PARENT").is_some() {
        return Kind::Other("macvlan".to_owned());
    }
    match of_type.as_str() {
        "bond" | "ovsbond" => Kind::Bond,
        "team" => Kind::Team,
        "bridge" | "ovsbridge" => Kind::Bridge,
        // Open vSwitch has ports of its own making beside those that are real.
        "" | "ovsport" => name.and_then(by_name).unwrap_or(Kind::Physical),
        "ethernet" | "token ring" | "ctc" => match name.and_then(by_name) {
            Some(kind @ Kind::Vlan) => kind,
            _ => Kind::Physical,
        },
        _ => Kind::Other(of_type),
    }
}

/// The kind that a name alone tells, for want of anything better.
fn by_name(name: &str) -> Option<Kind> {
    let numbered = |prefix: &str| {
        name.strip_prefix(prefix)
            .is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_digit()))
    };
    if dotted_vlan(name).is_some() {
        return Some(Kind::Vlan);
    }
    if numbered("bond") {
        return Some(Kind::Bond);
    }
    if numbered("virbr") || numbered("br") {
        return Some(Kind::Bridge);
    }
    if name == "lo" {
        return Some(Kind::Other("loopback".to_owned()));
    }
    ["dummy", "tun", "tap", "sit", "ppp", "ippp", "ib", "wlan"]
        .into_iter()
        .find(|prefix| numbered(prefix))
        .map(|prefix| Kind::Other(prefix.to_owned()))
}

/// Name or UUID of the bond, team or bridge that the device is a port of, and which of them.
fn upper(variables: &Variables) -> Option<(&str, Kind)> {
    [
        ("MASTER", Kind::Bond),
        ("MASTER_UUID", Kind::Bond),
        ("TEAM_MASTER", Kind::Team),
        ("TEAM_MASTER_UUID", Kind::Team),
        ("BRIDGE", Kind::Bridge),
        ("BRIDGE_UUID", Kind::Bridge),
        ("OVS_BRIDGE", Kind::Bridge),
    ]
    .into_iter()
    .find_map(|(name, kind)| Some((variables.get(name)?, kind)))
}

/// What the device is made of, as far as its own file tells.
fn lower(variables: &Variables, kind: &Kind, name: Option<&str>) -> Vec<String> {
    let one = |name: &str| variables.get(name).map(str::to_owned);
    match kind {
        Kind::Vlan => one("PHYSDEV")
            .or_else(|| Some(dotted_vlan(name?)?.0.to_owned()))
            .into_iter()
            .collect(),
        // cloud-init writes BONDING_SLAVE0 here too, Open vSwitch has BOND_IFACES.
        Kind::Bond => variables
            .with_prefix("BONDING_SLAVE", |_| true)
            .into_iter()
            .map(|(_, port)| port)
            .chain(
                variables
                    .get("BOND_IFACES")
                    .into_iter()
                    .flat_map(str::split_whitespace),
            )
            .map(str::to_owned)
            .collect(),
        Kind::Other(of_type) if of_type == "macvlan" => one("MACVLAN_PARENT").into_iter().collect(),
        // PPP over Ethernet.
        Kind::Other(_) => one("ETH").or_else(|| one("PHYSDEV")).into_iter().collect(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
#[path = "redhat_tests.rs"]
mod tests;
