//! NetworkManager's profiles (nm-settings-keyfile(5)).

use std::net::IpAddr;
use std::ops::Range;

use super::{FAMILIES, Family, Wanted};
use crate::network::sources::keyfile::{Place, places};
use crate::nic_config::edit::{Edits, Files, line_end, line_start};

/// Writes the addresses into the profile; `Some` says why not.
pub(super) fn write(files: &mut Files<'_, '_>, wanted: &Wanted) -> anyhow::Result<Option<String>> {
    let path = &wanted.source;
    let Some(text) = files.text(path)? else {
        return Ok(Some(format!("{path} is not to be edited")));
    };
    let all = places(&text);
    let mut edits = Edits::default();
    for family in wanted.families() {
        one_family(&text, &all, group_of(family), wanted, family, &mut edits);
    }
    let left = FAMILIES.into_iter();
    for family in left.filter(|family| wanted.of(*family).is_empty()) {
        let Some(dns) = dns(wanted, family) else {
            continue;
        };
        let group = group_of(family);
        let own = |key: Option<&str>| {
            let mut all = all.iter();
            all.find(|place| place.group == group && place.key.as_deref() == key)
        };
        let method = own(Some("method")).map_or("", |place| &text[place.value.clone()]);
        match own(None) {
            Some(header) if !matches!(method, "disabled" | "ignore" | "link-local" | "") => {
                set(own(Some("dns")), &dns, "dns", header.bytes.end, &mut edits);
            }
            _ => files.warnings.push(format!(
                "{path}: the name servers {dns} are not written, {group} is not in use"
            )),
        }
    }
    files.edit(path, edits)?;
    Ok(None)
}

fn group_of(family: Family) -> &'static str {
    match family {
        Family::V4 => "ipv4",
        Family::V6 => "ipv6",
    }
}

fn one_family(
    text: &str,
    all: &[Place],
    group: &str,
    wanted: &Wanted,
    family: Family,
    edits: &mut Edits,
) {
    let own: Vec<&Place> = all.iter().filter(|place| place.group == group).collect();
    let key = |place: &&Place| place.key.clone().unwrap_or_default();
    let is_address = |place: &&&Place| {
        let key = key(place);
        let digits = key
            .strip_prefix("addresses")
            .or_else(|| key.strip_prefix("address"));
        digits.is_some_and(|digits| digits.bytes().all(|b| b.is_ascii_digit()))
            && !key.starts_with("address-")
    };
    let present: Vec<&Place> = own
        .iter()
        .copied()
        .filter(|place| is_address(&place))
        .collect();
    let named = |name: &str| {
        own.iter()
            .copied()
            .find(|place| place.key.as_deref() == Some(name))
    };

    // A key of its own, a route (as cloud-init writes it), or behind the first address, separated by a
    // comma or, in old profiles, a semicolon.
    let own_key = named("gateway").map(|place| place.value.clone());
    let route = own.iter().find_map(|place| default_route(text, place));
    let behind = present.iter().find_map(|place| {
        let value = &text[place.value.clone()];
        let mut parts = value.split([',', ';']).skip(1);
        parts.find_map(|part| {
            let gateway = part.trim().parse::<IpAddr>().ok();
            gateway.filter(|gateway| !gateway.is_unspecified())
        })
    });
    let apart = own_key.or(route);
    let old = match &apart {
        Some(bytes) => text[bytes.clone()].parse().ok(),
        None => behind,
    };
    let gateway = wanted.gateway_instead_of(family, old);

    let mut new = String::new();
    for (index, address) in wanted.of(family).iter().enumerate() {
        let gateway = gateway.filter(|_| index == 0 && apart.is_none());
        let gateway = gateway.map_or(String::new(), |gateway| format!(",{gateway}"));
        new.push_str(&format!("address{}={address}{gateway}\n", index + 1));
    }
    if let Some(bytes) = apart {
        match gateway {
            Some(gateway) => edits.replace(bytes, gateway.to_string()),
            None => edits.remove(line_start(text, bytes.start)..line_end(text, bytes.end)),
        }
    }
    let header = own.iter().find(|place| place.key.is_none());
    let Some(header) = header else {
        let gap = match (text.ends_with("\n\n"), text.ends_with('\n')) {
            (true, _) => "",
            (false, true) => "\n",
            (false, false) => "\n\n",
        };
        let dns = dns(wanted, family).map_or(String::new(), |dns| format!("dns={dns}\n"));
        edits.insert(
            text.len(),
            format!("{gap}[{group}]\n{new}{dns}method=manual\n"),
        );
        return;
    };
    let at = end(text, header);
    match present.split_first() {
        Some((first, more)) => {
            edits.replace(first.bytes.clone(), new);
            more.iter()
                .for_each(|place| edits.remove(place.bytes.clone()));
        }
        None => edits.insert(at, new),
    }
    set(named("method"), "manual", "method", at, edits);
    if let Some(dns) = dns(wanted, family) {
        set(named("dns"), &dns, "dns", at, edits);
    }
}

/// Where the gateway of a default route is (`route1=0.0.0.0/0,192.0.2.1`).
fn default_route(text: &str, place: &Place) -> Option<Range<usize>> {
    let number = place.key.as_deref()?.strip_prefix("route")?;
    let value = &text[place.value.clone()];
    let (destination, rest) = value.split_once(',')?;
    let is_default = matches!(destination.trim(), "0.0.0.0/0" | "::/0");
    if !is_default || !number.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let gateway = rest.split(',').next().unwrap_or_default();
    let start = place.value.end - rest.len();
    (!gateway.is_empty()).then_some(start..start + gateway.len())
}

/// The name servers of one family, as a list.
fn dns(wanted: &Wanted, family: Family) -> Option<String> {
    let own = wanted
        .dns
        .iter()
        .filter(|server| Family::of(**server) == family);
    let list: String = own.map(|server| format!("{server};")).collect();
    (!list.is_empty()).then_some(list)
}

fn set(present: Option<&Place>, value: &str, key: &str, at: usize, edits: &mut Edits) {
    match present {
        Some(place) => edits.replace(place.value.clone(), value),
        None => edits.insert(at, format!("{key}={value}\n")),
    }
}

fn end(text: &str, header: &Place) -> usize {
    let Range { end, .. } = header.bytes;
    end.min(text.len())
}
