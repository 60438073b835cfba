//! SUSE's `ifcfg-*` files (ifcfg(5)), with routes and name servers in files of their own.

use std::net::IpAddr;

use ipnet::IpNet;
use refit_engine::GuestPath;

use super::shell::Shell;
use super::{Family, Wanted};
use crate::nic_config::edit::{Edits, Files};

const DIR: &str = "/etc/sysconfig/network";

/// Writes the addresses into the file; `Some` says why not.
pub(super) fn write(files: &mut Files<'_, '_>, wanted: &Wanted) -> anyhow::Result<Option<String>> {
    let path = &wanted.source;
    let Some(text) = files.text(path)? else {
        return Ok(Some(format!("{path} is not to be edited")));
    };
    let mut shell = Shell::new(&text);
    let old = addresses(&mut shell, wanted);
    let edits = shell.finish();
    files.edit(path, edits)?;
    for family in wanted.families() {
        route(files, wanted, family, &old)?;
    }
    if !wanted.dns.is_empty() {
        name_servers(files, wanted)?;
    }
    Ok(None)
}

/// Gives back the networks of the addresses that go.
fn addresses(shell: &mut Shell<'_>, wanted: &Wanted) -> Vec<IpNet> {
    let mut old = Vec::new();
    let mut kept_any = false;
    let mut present = shell.names(|name| name.starts_with("IPADDR"));
    present.sort_by_key(|name| name != "IPADDR");
    let new: Vec<String> = wanted.addresses.iter().map(ToString::to_string).collect();
    let mut free = Vec::new();
    for name in present {
        let suffix = name["IPADDR".len()..].to_owned();
        let value = shell.get(&name).unwrap_or_default().to_owned();
        let network = network(shell, &value, &suffix);
        let family = network.map(|network| Family::of(network.addr()));
        if family.is_some_and(|family| !wanted.families().any(|one| one == family)) {
            kept_any = true;
            continue;
        }
        old.extend(network);
        free.push(suffix);
    }
    // They may be there, and empty, without an address.
    let unnumbered = (!kept_any).then(String::new);
    for suffix in free.iter().chain(&unnumbered) {
        for stem in [
            "NETMASK",
            "PREFIXLEN",
            "BROADCAST",
            "NETWORK",
            "REMOTE_IPADDR",
        ] {
            shell.unset(&format!("{stem}{suffix}"));
        }
    }
    let mut free = free.into_iter();
    let mut number = 1;
    for address in &new {
        let suffix = free.next().unwrap_or_else(|| {
            let first =
                !kept_any && number == 1 && shell.get("IPADDR").is_none() && address == &new[0];
            if first {
                return String::new();
            }
            while shell.get(&format!("IPADDR_{number}")).is_some() {
                number += 1;
            }
            number += 1;
            format!("_{}", number - 1)
        });
        let name = format!("IPADDR{suffix}");
        let is_first = shell.get("IPADDR").is_none();
        shell.set(
            &name,
            address,
            if is_first { "BOOTPROTO" } else { "IPADDR" },
        );
    }
    for suffix in free {
        shell.unset(&format!("IPADDR{suffix}"));
        shell.unset(&format!("LABEL{suffix}"));
    }
    // Words joined by `+`; what gives the other family stays.
    let protocol = shell
        .get("BOOTPROTO")
        .unwrap_or("static")
        .to_ascii_lowercase();
    let has = |family| wanted.families().any(|one| one == family);
    let rest = match (protocol.as_str(), has(Family::V4), has(Family::V6)) {
        ("dhcp", true, false) => "dhcp6+static",
        ("dhcp", false, true) => "dhcp4+static",
        ("dhcp4", false, _) => "dhcp4+static",
        ("dhcp6", _, false) => "dhcp6+static",
        (word, _, _) if word.contains("static") && !word.contains("dhcp4") => word,
        _ => "static",
    };
    if rest != protocol {
        shell.set("BOOTPROTO", rest, "");
    }
    old
}

/// The network of an address, with the mask from where it is.
fn network(shell: &Shell<'_>, value: &str, suffix: &str) -> Option<IpNet> {
    if let Ok(network) = value.parse() {
        return Some(network);
    }
    let address: IpAddr = value.parse().ok()?;
    let length = shell
        .get(&format!("PREFIXLEN{suffix}"))
        .and_then(|text| text.parse().ok());
    let mask = shell
        .get(&format!("NETMASK{suffix}"))
        .and_then(|text| text.parse().ok());
    let masked = mask.and_then(|mask| IpNet::with_netmask(address, mask).ok());
    let lengthy = length.and_then(|length| IpNet::new(address, length).ok());
    lengthy.or(masked).or(Some(IpNet::from(address)))
}

/// The default route, in `ifroute-NAME` or `routes`.
fn route(
    files: &mut Files<'_, '_>,
    wanted: &Wanted,
    family: Family,
    old: &[IpNet],
) -> anyhow::Result<()> {
    let name = wanted.source.file_name_str().unwrap_or_default();
    let device = name.trim_start_matches("ifcfg-").to_owned();
    let own = GuestPath::new(DIR).join(format!("ifroute-{device}"));
    let common = GuestPath::new(DIR).join("routes");
    for path in [&own, &common] {
        let Some(text) = files.text(path)? else {
            continue;
        };
        let mut at = 0;
        for line in text.split_inclusive('\n') {
            let start = at;
            at += line.len();
            let words: Vec<&str> = line.split_whitespace().collect();
            let [destination, gateway, rest @ ..] = words.as_slice() else {
                continue;
            };
            let Ok(present) = gateway.parse::<IpAddr>() else {
                continue;
            };
            let is_default = matches!(*destination, "default" | "0.0.0.0/0" | "::/0")
                && Family::of(present) == family;
            let device_named = rest.get(1).copied().unwrap_or("-");
            let is_ours = path == &own
                || device_named == device
                || device_named == "-" && old.iter().any(|network| network.contains(&present));
            if !is_default || !is_ours {
                continue;
            }
            let mut edits = Edits::default();
            match wanted.gateway_instead_of(family, Some(present)) {
                Some(new) => {
                    let offset = line.find(gateway).unwrap_or_default();
                    let from = start + offset;
                    edits.replace(from..from + gateway.len(), new.to_string());
                }
                None => edits.remove(start..at),
            }
            return files.edit(path, edits);
        }
    }
    let Some(gateway) = wanted.gateway(family) else {
        return Ok(());
    };
    let text = files.text_or_new(&own)?;
    let mut edits = Edits::default();
    let gap = if text.is_empty() || text.ends_with('\n') {
        ""
    } else {
        "\n"
    };
    edits.insert(text.len(), format!("{gap}default {gateway} - {device}\n"));
    files.edit(&own, edits)
}

/// netconfig(8) takes them from the common configuration.
fn name_servers(files: &mut Files<'_, '_>, wanted: &Wanted) -> anyhow::Result<()> {
    let path = GuestPath::new(DIR).join("config");
    let text = files.text_or_new(&path)?;
    let all: Vec<String> = wanted.dns.iter().map(ToString::to_string).collect();
    let mut shell = Shell::new(&text);
    shell.set("NETCONFIG_DNS_STATIC_SERVERS", &all.join(" "), "");
    let edits = shell.finish();
    files.edit(&path, edits)
}
