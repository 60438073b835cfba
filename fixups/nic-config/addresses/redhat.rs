//! Red Hat's `ifcfg-*` files, as initscripts and NetworkManager read them.

use std::net::IpAddr;

use refit_engine::GuestPath;

use super::shell::Shell;
use super::{Family, Wanted};
use crate::network::sources::ifcfg::{self, Dialect};
use crate::nic_config::edit::Files;

/// Variables with a number that go with an IPv4 address.
const OF_ADDRESS: [&str; 6] = [
    "IPADDR",
    "PREFIX",
    "NETMASK",
    "GATEWAY",
    "BROADCAST",
    "NETWORK",
];

/// Writes the addresses into the file; `Some` says why not.
pub(super) fn write(files: &mut Files<'_, '_>, wanted: &Wanted) -> anyhow::Result<Option<String>> {
    let path = &wanted.source;
    let Some(text) = files.text(path)? else {
        return Ok(Some(format!("{path} is not to be edited")));
    };
    let mut shell = Shell::new(&text);
    if shell.get("IPADDR_START").is_some() || path.to_string().contains(':') {
        return Ok(Some(format!("{path} is of an alias")));
    }
    for family in wanted.families() {
        match family {
            Family::V4 => version4(&mut shell, wanted),
            Family::V6 => version6(&mut shell, wanted),
        }
    }
    if !wanted.dns.is_empty() {
        for name in shell.names(|name| is_numbered(name, "DNS")) {
            let number: usize = name["DNS".len()..].parse().unwrap_or_default();
            if number > wanted.dns.len() || number == 0 {
                shell.unset(&name);
            }
        }
        for (index, server) in wanted.dns.iter().enumerate() {
            shell.set(&format!("DNS{}", index + 1), &server.to_string(), "");
        }
    }
    let edits = shell.finish();
    files.edit(path, edits)?;
    if wanted.families().any(|family| family == Family::V4) {
        remove_aliases(files, path)?;
    }
    Ok(None)
}

/// Whether `name` is `stem`, or that with a number.
fn is_numbered(name: &str, stem: &str) -> bool {
    let rest = name.strip_prefix(stem);
    rest.is_some_and(|rest| rest.bytes().all(|b| b.is_ascii_digit()))
}

fn version4(shell: &mut Shell<'_>, wanted: &Wanted) {
    let dynamic = shell.get("BOOTPROTO").is_some_and(|word| {
        ["dhcp", "bootp"]
            .iter()
            .any(|known| word.eq_ignore_ascii_case(known))
    });
    if dynamic {
        shell.set("BOOTPROTO", "none", "");
    }
    // The first may be IPADDR or IPADDR0; the next are 1 and so on, or 2 if IPADDR1 was the first.
    let first = ["IPADDR", "IPADDR0"]
        .into_iter()
        .find(|name| shell.get(name).is_some());
    let first = first.map_or("", |name| &name["IPADDR".len()..]).to_owned();
    let dotted = shell.get(&format!("NETMASK{first}")).is_some()
        && shell.get(&format!("PREFIX{first}")).is_none();
    let gateways = shell.names(|name| is_numbered(name, "GATEWAY"));
    let old: Option<IpAddr> = gateways
        .iter()
        .find_map(|name| shell.get(name)?.parse().ok());
    let gateway = wanted.gateway_instead_of(Family::V4, old);
    let addresses = wanted.of(Family::V4);
    let suffix = |index: usize| {
        if index == 0 {
            first.clone()
        } else {
            index.to_string()
        }
    };
    let mut kept: Vec<String> = Vec::new();
    let mut after = "BOOTPROTO".to_owned();
    for (index, address) in addresses.iter().enumerate() {
        let suffix = suffix(index);
        let (mask, value) = if dotted {
            (format!("NETMASK{suffix}"), address.netmask().to_string())
        } else {
            (format!("PREFIX{suffix}"), address.prefix_len().to_string())
        };
        let name = format!("IPADDR{suffix}");
        shell.set(&name, &address.addr().to_string(), &after);
        shell.set(&mask, &value, &after);
        if shell.get(&mask).is_some() {
            after.clone_from(&mask);
        }
        kept.extend([name, mask]);
    }
    if let Some(gateway) = gateway {
        let name = gateways
            .first()
            .cloned()
            .unwrap_or_else(|| "GATEWAY".to_owned());
        shell.set(&name, &gateway.to_string(), &after);
        kept.push(name);
    }
    let is_address = |name: &str| OF_ADDRESS.iter().any(|stem| is_numbered(name, stem));
    for name in shell.names(is_address) {
        if !kept.contains(&name) {
            shell.unset(&name);
        }
    }
}

fn version6(shell: &mut Shell<'_>, wanted: &Wanted) {
    shell.set("IPV6INIT", "yes", "");
    for name in ["IPV6_AUTOCONF", "DHCPV6C"] {
        if shell.get(name).is_some() {
            shell.set(name, "no", "");
        }
    }
    let addresses: Vec<String> = wanted
        .of(Family::V6)
        .iter()
        .map(ToString::to_string)
        .collect();
    if let Some((first, more)) = addresses.split_first() {
        shell.set("IPV6ADDR", first, "IPV6INIT");
        if more.is_empty() {
            shell.unset("IPV6ADDR_SECONDARIES");
        } else {
            shell.set("IPV6ADDR_SECONDARIES", &more.join(" "), "IPV6ADDR");
        }
    }
    let old = shell.get("IPV6_DEFAULTGW");
    let old = old.and_then(|text| text.split('%').next()?.parse().ok());
    match wanted.gateway_instead_of(Family::V6, old) {
        Some(gateway) if old != Some(gateway) => {
            shell.set("IPV6_DEFAULTGW", &gateway.to_string(), "IPV6ADDR");
        }
        None => shell.unset("IPV6_DEFAULTGW"),
        Some(_) => {}
    }
}

/// Removes the files with further addresses of the device (`ifcfg-eth0:1`, `ifcfg-eth0-range0`).
fn remove_aliases(files: &mut Files<'_, '_>, path: &GuestPath) -> anyhow::Result<()> {
    let Some(name) = path.file_name_str().map(str::to_owned) else {
        return Ok(());
    };
    for (dialect, other) in ifcfg::files(files.guest)? {
        let rest = other
            .file_name_str()
            .and_then(|other| other.strip_prefix(&name));
        let is_alias = rest.is_some_and(|rest| rest.starts_with(':') || rest.starts_with("-range"));
        if dialect == Dialect::RedHat && is_alias {
            files.text(&other)?;
            files.remove(&other)?;
        }
    }
    Ok(())
}
