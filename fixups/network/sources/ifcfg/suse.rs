//! SUSE's `/etc/sysconfig/network/ifcfg-*`, as wicked (`ifcfg(5)`, `ifcfg-bonding(5)`, ...) and
//! the older sysconfig scripts (SUSE Linux Enterprise 9 to 11) read them.

use refit_engine::Guest;
use refit_machine::Mac;

use super::variables::Variables;
use super::{File, add_addresses, addresses, dotted_vlan, link_ports, read_files};
use crate::network::model::{Found, Interface, Kind, Match, is_device_name};

pub(super) const DIR: &str = "/etc/sysconfig/network";

/// Ends of names that wicked passes over.
const BACKUPS: [&str; 9] = [
    "~",
    ".old",
    ".bak",
    ".orig",
    ".scpmbackup",
    ".rpmnew",
    ".rpmsave",
    ".rpmorig",
    ".swp",
];

/// Reads the interfaces; none on a guest without the directory.
pub(super) fn read(guest: &Guest<'_>) -> anyhow::Result<Found> {
    let mut found = Found::default();
    let files = read_files(guest, DIR, ignored, &mut found)?;
    interpret(&files, &mut found);
    Ok(found)
}

pub(super) fn ignored(suffix: &str) -> bool {
    BACKUPS.iter().any(|end| suffix.ends_with(end))
}

fn interpret(files: &[File], found: &mut Found) {
    let mut aggregates = Vec::new();
    for file in files {
        let Some(matches) = matches(file) else {
            found
                .warnings
                .push(format!("{}: its name names no device", file.path));
            continue;
        };
        let variables = &file.variables;
        // Any suffix makes one more address (IPADDR_1, IPADDR2, IPADDR6, IPADDR_home).
        let addresses = addresses(
            &file.path,
            variables.with_prefix("IPADDR", |_| true),
            &mut found.warnings,
        );
        // The old scripts allowed for a file of its own for each alias (ifcfg-eth0:1).
        let is_alias = matches.macs.is_empty() && matches.other.is_none();
        let base = found
            .interfaces
            .iter_mut()
            .filter(|_| is_alias && file.suffix.contains(':'))
            .find(|interface| interface.matches.name == matches.name);
        if let Some(base) = base {
            add_addresses(base, addresses, &file.path);
            continue;
        }
        let (kind, lower) = kind(variables, matches.name.as_deref());
        let lower = lower
            .into_iter()
            .filter(|name| is_device_name(name))
            .map(str::to_owned)
            .collect();
        let team = variables
            .get("TEAM_MASTER")
            .filter(|name| is_device_name(name));
        aggregates.extend(team.map(|name| (name.to_owned(), Kind::Team)));
        found.interfaces.push(Interface {
            dynamic: dynamic(variables),
            upper: variables
                .get("MASTER_DEVICE")
                .filter(|name| is_device_name(name))
                .or(team)
                .map(str::to_owned),
            matches,
            kind,
            addresses,
            lower,
            source: file.path.clone(),
        });
    }
    correct_bridge_ports(&mut found.interfaces);
    link_ports(&mut found.interfaces, &aggregates);
}

/// cloud-init writes `BRIDGE=yes` into the files of ports. A bridge cannot be a port of another
/// (`br_add_if` in Linux refuses it), so what another names as its port is none.
fn correct_bridge_ports(interfaces: &mut [Interface]) {
    let ports: Vec<String> = interfaces
        .iter()
        .filter(|interface| interface.kind == Kind::Bridge)
        .flat_map(|interface| interface.lower.iter().cloned())
        .collect();
    for interface in interfaces {
        if interface.kind == Kind::Bridge
            && interface.lower.is_empty()
            && interface
                .matches
                .name
                .as_ref()
                .is_some_and(|name| ports.contains(name))
        {
            interface.kind = Kind::Physical;
        }
    }
}

/// What the name of the file says of the device; `None` if that is no name at all.
///
/// With wicked, and since SUSE Linux Enterprise 11, it is the device's. Before, it could also be
/// a hardware address (`eth-id-00:0c:29:01:02:03`) or a place (`bus-pci-0000:02:01.0`),
/// each with or without the type of the interface before it (`getcfg(8)`).
fn matches(file: &File) -> Option<Match> {
    let mut matches = Match::default();
    let mut renames = false;
    if let Some(mac) = mac_in(&file.suffix) {
        matches.macs.push(mac);
    } else if let Some(place) =
        find_part(&file.suffix, "bus-").or_else(|| find_part(&file.suffix, "vpid-"))
    {
        matches.other = Some(place.to_owned());
        // Written there by YaST for the other way to find the card.
        matches
            .macs
            .extend(file.variables.get("_nm_name").and_then(mac_in));
    } else {
        let name = file.suffix.split(':').next().unwrap_or_default();
        if !is_device_name(name) {
            return None;
        }
        matches.name = Some(name.to_owned());
        return Some(matches);
    }
    if let Some(name) = file
        .variables
        .get("PERSISTENT_NAME")
        .filter(|name| is_device_name(name))
    {
        matches.name = Some(name.to_owned());
        renames = !matches.macs.is_empty();
    }
    matches.renames = renames;
    Some(matches)
}

/// The hardware address in `eth-id-00:0c:29:01:02:03` or `id-00:0c:29:01:02:03`.
pub(super) fn mac_in(config_name: &str) -> Option<Mac> {
    find_part(config_name, "id-")?
        .strip_prefix("id-")?
        .parse()
        .ok()
}

/// From `part` on, if the name begins with it or it follows a `-`.
fn find_part<'n>(config_name: &'n str, part: &str) -> Option<&'n str> {
    config_name
        .match_indices(part)
        .find(|&(at, _)| at == 0 || config_name[..at].ends_with('-'))
        .map(|(at, _)| &config_name[at..])
}

/// Whether `BOOTPROTO` (words joined by `+`) asks anybody for an address.
fn dynamic(variables: &Variables) -> bool {
    variables.get("BOOTPROTO").is_some_and(|value| {
        value.split('+').any(|word| {
            ["dhcp", "dhcp4", "dhcp6", "auto", "auto6"]
                .iter()
                .any(|known| word.trim().eq_ignore_ascii_case(known))
        })
    })
}

/// The kind, and what the device is made of.
fn kind<'v>(variables: &'v Variables, name: Option<&'v str>) -> (Kind, Vec<&'v str>) {
    let all = |prefix: &str| -> Vec<&'v str> {
        let is_index = |suffix: &str| {
            suffix
                .trim_start_matches('_')
                .bytes()
                .all(|b| b.is_ascii_digit())
        };
        variables
            .with_prefix(prefix, is_index)
            .into_iter()
            .map(|(_, value)| value)
            .collect()
    };
    let set = |name: &str| variables.get(name).is_some();
    let other = |word: &str, parent: &str| {
        (
            Kind::Other(word.to_owned()),
            variables.get(parent).into_iter().collect(),
        )
    };
    let interface_type = variables
        .get("INTERFACETYPE")
        .map(str::to_ascii_lowercase)
        .unwrap_or_default();
    let numbered = |prefix: &str| {
        name.and_then(|name| name.strip_prefix(prefix))
            .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
    };

    if name == Some("lo") {
        return other("loopback", "");
    }
    let slaves = all("BONDING_SLAVE");
    if variables.is_true("BONDING_MASTER") || !slaves.is_empty() || interface_type == "bond" {
        return (Kind::Bond, slaves);
    }
    let ports = all("TEAM_PORT_DEVICE");
    if set("TEAM_RUNNER") || !ports.is_empty() || interface_type == "team" {
        return (Kind::Team, ports);
    }
    if variables.is_true("OVS_BRIDGE") {
        let mut ports = all("OVS_BRIDGE_PORT_DEVICE");
        ports.extend(variables.get("OVS_BRIDGE_VLAN_PARENT"));
        return (Kind::Bridge, ports);
    }
    if variables.is_true("BRIDGE")
        || set("BRIDGE_PORTS")
        || matches!(interface_type.as_str(), "bridge" | "br")
    {
        let ports = variables.get("BRIDGE_PORTS").unwrap_or_default();
        return (Kind::Bridge, ports.split_whitespace().collect());
    }
    if numbered("ib") || set("IPOIB_MODE") || interface_type == "ib" {
        let parent = name.and_then(|name| name.split_once('.')).map(|(p, _)| p);
        return (
            Kind::Other("infiniband".to_owned()),
            parent.into_iter().collect(),
        );
    }
    let dotted = name.and_then(dotted_vlan);
    if set("ETHERDEVICE") || set("VLAN_ID") || variables.is_true("VLAN") || dotted.is_some() {
        let parent = variables
            .get("ETHERDEVICE")
            .or(dotted.map(|(parent, _)| parent));
        return (Kind::Vlan, parent.into_iter().collect());
    }
    for (parent, word) in [
        ("MACVLAN_DEVICE", "macvlan"),
        ("MACVTAP_DEVICE", "macvtap"),
        ("IPVLAN_DEVICE", "ipvlan"),
        ("VXLAN_DEVICE", "vxlan"),
    ] {
        if set(parent) {
            return other(word, parent);
        }
    }
    if let Some(tunnel) = variables.get("TUNNEL") {
        return other(&tunnel.to_ascii_lowercase(), "TUNNEL_DEVICE");
    }
    if !matches!(interface_type.as_str(), "" | "eth") {
        return other(&interface_type, "");
    }
    if variables.is_true("VXLAN") {
        return other("vxlan", "");
    }
    if numbered("dummy") {
        return other("dummy", "");
    }
    if numbered("wlan") || !all("WIRELESS_ESSID").is_empty() {
        return other("wireless", "");
    }
    if set("PPPMODE") {
        return other("ppp", "DEVICE");
    }
    for word in ["tun", "tap", "ppp", "sit", "gre"] {
        if numbered(word) {
            return other(word, "");
        }
    }
    (Kind::Physical, Vec::new())
}

#[cfg(test)]
#[path = "suse_tests.rs"]
mod tests;
