//! What one profile says of its device.

use std::net::{IpAddr, Ipv4Addr};

use refit_engine::GuestPath;
use refit_machine::Mac;

use super::syntax::KeyFile;
use crate::network::model::{Interface, Kind, Match, is_device_name};

/// One profile, before its references to others are resolved.
#[derive(Debug)]
pub(super) struct Profile {
    /// In lower case.
    pub(super) uuid: Option<String>,
    /// Without `upper` and `lower`.
    pub(super) interface: Interface,
    /// Name or UUID of what it is a port of.
    pub(super) controller: Option<String>,
    /// Name, UUID or hardware address of what it is on.
    pub(super) parent: Option<String>,
    /// The number of a VLAN.
    pub(super) vlan_id: Option<String>,
    /// What was not understood, with the path.
    pub(super) warnings: Vec<String>,
}

/// Settings that make a profile's type if it does not tell it.
const BASE_SETTINGS: [&str; 10] = [
    "ethernet",
    "802-3-ethernet",
    "wifi",
    "802-11-wireless",
    "bond",
    "team",
    "bridge",
    "vlan",
    "macvlan",
    "infiniband",
];

/// Settings whose `parent` is another device.
const CHILD_SETTINGS: [&str; 5] = ["vlan", "macvlan", "vxlan", "ip-tunnel", "infiniband"];

/// Whether the file has what makes it a profile.
pub(super) fn is_profile(file: &KeyFile) -> bool {
    file.has_group("connection") || BASE_SETTINGS.iter().any(|setting| file.has_group(setting))
}

/// Reads the profile in `file`, which is at `path`.
pub(super) fn interpret(file: &KeyFile, path: &GuestPath) -> Profile {
    let mut warnings = Vec::new();
    let of_type = file
        .string("connection", "type")
        .or_else(|| {
            BASE_SETTINGS
                .iter()
                .find(|setting| file.has_group(setting))
                .map(|&setting| setting.to_owned())
        })
        .unwrap_or_default();
    let kind = kind(&of_type);
    let mut matches = matches(file, path, &mut warnings);
    if matches!(kind, Kind::Bond | Kind::Team | Kind::Bridge | Kind::Vlan) {
        // There it is the parent's address, or one to be set.
        let parent = std::mem::take(&mut matches.macs);
        if kind == Kind::Vlan && file.raw("vlan", "parent").is_none() {
            return Profile {
                parent: parent.first().map(ToString::to_string),
                ..profile(file, path, kind, matches, warnings)
            };
        }
    }
    profile(file, path, kind, matches, warnings)
}

fn profile(
    file: &KeyFile,
    path: &GuestPath,
    kind: Kind,
    mut matches: Match,
    mut warnings: Vec<String>,
) -> Profile {
    // Before version 0.9.10, the name of a virtual device was with its own setting.
    if matches.name.is_none() {
        matches.name = ["bond", "team", "bridge", "vlan"]
            .iter()
            .find_map(|setting| file.string(setting, "interface-name"))
            .filter(|name| is_device_name(name));
    }
    let mut addresses = addresses(file, "ipv4", path, &mut warnings);
    addresses.extend(self::addresses(file, "ipv6", path, &mut warnings));
    let method = |group| file.raw(group, "method").unwrap_or_default();
    Profile {
        uuid: file
            .string("connection", "uuid")
            .map(|uuid| uuid.to_ascii_lowercase()),
        interface: Interface {
            matches,
            kind,
            addresses,
            dynamic: method("ipv4") == "auto" || matches!(method("ipv6"), "auto" | "dhcp"),
            lower: Vec::new(),
            upper: None,
            source: path.clone(),
        },
        controller: file
            .string("connection", "controller")
            .or_else(|| file.string("connection", "master")),
        parent: CHILD_SETTINGS
            .iter()
            .find_map(|setting| file.string(setting, "parent")),
        vlan_id: file.string("vlan", "id"),
        warnings,
    }
}

fn kind(of_type: &str) -> Kind {
    match of_type {
        "" | "ethernet" | "802-3-ethernet" => Kind::Physical,
        "bond" => Kind::Bond,
        "team" => Kind::Team,
        "bridge" | "ovs-bridge" => Kind::Bridge,
        "vlan" => Kind::Vlan,
        "802-11-wireless" => Kind::Other("wifi".to_owned()),
        other => Kind::Other(other.chars().take(40).collect()),
    }
}

/// What the profile asks of a device, all of which must be so.
fn matches(file: &KeyFile, path: &GuestPath, warnings: &mut Vec<String>) -> Match {
    let mut matches = Match {
        name: file.string("connection", "interface-name"),
        ..Match::default()
    };
    if matches
        .name
        .as_ref()
        .is_some_and(|name| !is_device_name(name))
    {
        matches.name = None;
        warnings.push(format!("{path}: interface-name is no name of a device"));
    }
    for group in ["ethernet", "802-3-ethernet"] {
        // `cloned-mac-address` is one to be set.
        let Some(value) = file.string(group, "mac-address") else {
            continue;
        };
        match parse_mac(&value) {
            Some(mac) => matches.macs.push(mac),
            None => warnings.push(format!("{path}: mac-address is no hardware address")),
        }
    }
    if let Some(value) = file.string("infiniband", "mac-address") {
        matches.other = Some(format!("mac-address={value}"));
    }
    let mut patterns = Vec::new();
    let mut others = Vec::new();
    for pattern in file.list("match", "interface-name") {
        // `&` makes it mandatory, `|` is how they are without it, `\` ends these marks.
        let bare = pattern.trim_start_matches(['&', '|']);
        if bare.starts_with('!') {
            others.push(format!("interface-name={pattern}"));
        } else {
            patterns.push(bare.strip_prefix('\\').unwrap_or(bare).to_owned());
        }
    }
    for key in ["driver", "path", "kernel-command-line"] {
        if let Some(value) = file.raw("match", key) {
            others.push(format!("{key}={value}"));
        }
    }
    match patterns.as_slice() {
        [only] if matches.name.is_none() && !is_pattern(only) && is_device_name(only) => {
            matches.name = Some(only.clone());
        }
        _ => matches.globs = patterns,
    }
    if !others.is_empty() {
        matches.other = Some(others.join(" "));
    }
    matches
}

fn is_pattern(text: &str) -> bool {
    text.contains(['*', '?', '[', '\\'])
}

/// A hardware address in NetworkManager's forms: `00:50:56:aa:bb:01`, or as versions before 0.9 wrote it: `0;80;86;170;187;1;`.
#[must_use]
pub fn parse_mac(text: &str) -> Option<Mac> {
    if let Ok(mac) = text.parse() {
        return Some(mac);
    }
    let mut octets = [0u8; 6];
    let mut parts = text.strip_suffix(';').unwrap_or(text).split(';');
    for octet in &mut octets {
        *octet = parts.next()?.trim().parse().ok()?;
    }
    parts.next().is_none().then_some(Mac(octets))
}

/// The addresses of `address1=ADDRESS/PREFIX,GATEWAY`, `addresses1=ADDRESS;PREFIX;GATEWAY;` and
/// their older forms, in the order of their numbers.
fn addresses(
    file: &KeyFile,
    group: &str,
    path: &GuestPath,
    warnings: &mut Vec<String>,
) -> Vec<IpAddr> {
    let mut values: Vec<(u32, &str, &str)> = file
        .keys(group)
        .filter(|(_, value)| !value.is_empty())
        .filter_map(|(key, value)| {
            let number = key
                .strip_prefix("addresses")
                .or_else(|| key.strip_prefix("address"))?;
            let number = match number {
                "" => 0,
                digits => digits.parse().ok()?,
            };
            Some((number, key, value))
        })
        .collect();
    values.sort_by_key(|&(number, _, _)| number);
    let mut found = Vec::new();
    for (_, key, value) in values {
        match parse_addresses(value) {
            Some(addresses) => {
                for address in addresses {
                    if !address.is_unspecified() && !found.contains(&address) {
                        found.push(address);
                    }
                }
            }
            None => {
                let shown: String = value.chars().take(60).collect();
                warnings.push(format!("{path}: {group}.{key} is no address: {shown:?}"));
            }
        }
    }
    found
}

/// The address at the start of the value; gateways after it are none.
///
/// The oldest form has numbers, three for each address: address, prefix and gateway, the
/// addresses in network byte order as a little-endian machine reads them.
fn parse_addresses(value: &str) -> Option<Vec<IpAddr>> {
    let numbers: Option<Vec<u32>> = value
        .split(';')
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .map(|part| part.parse().ok())
        .collect();
    if let Some(numbers) = numbers.filter(|numbers| numbers.len() > 1) {
        return Some(
            numbers
                .chunks(3)
                .map(|triple| IpAddr::V4(Ipv4Addr::from(triple[0].to_le_bytes())))
                .collect(),
        );
    }
    let first = value.split(['/', ';', ',', ' ']).next()?.trim();
    first.parse().ok().map(|address| vec![address])
}
