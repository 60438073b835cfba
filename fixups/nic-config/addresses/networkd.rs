//! systemd.network(5).

use std::net::IpAddr;

use refit_engine::GuestPath;

use super::{Family, Wanted};
use crate::network::sources::unit_file::{Place, places};
use crate::network::sources::values;
use crate::nic_config::edit::{Edits, Files};

/// Writes the addresses into the unit; `Some` says why not.
///
/// The drop-ins lose what would contradict.
pub(super) fn write(files: &mut Files<'_, '_>, wanted: &Wanted) -> anyhow::Result<Option<String>> {
    let source = &wanted.source;
    let main = match source
        .parent()
        .filter(|dir| dir.file_name().ends_with(b".network.d"))
    {
        Some(dir) => {
            let name = String::from_utf8_lossy(dir.file_name()).into_owned();
            let parent = dir.parent().unwrap_or_else(GuestPath::root);
            parent.join(name.trim_end_matches(".d"))
        }
        None => source.clone(),
    };
    let Some(text) = files.text(&main)? else {
        return Ok(Some(format!("{main} is not to be edited")));
    };
    let mut drop_ins = Vec::new();
    if let Some(name) = main.file_name_str() {
        let dir = main
            .parent()
            .unwrap_or_else(GuestPath::root)
            .join(format!("{name}.d"));
        drop_ins = files.guest.files(dir, |name| name.ends_with(".conf"))?;
    }
    // The gateway that is there now decides whether it stays.
    let mut old = Vec::new();
    for path in drop_ins.iter().chain([&main]) {
        let text = files.text(path)?.unwrap_or_default();
        old.extend(gateways(&places(&text)));
    }
    for path in &drop_ins {
        if let Some(text) = files.text(path)? {
            let mut edits = Edits::default();
            for family in wanted.families() {
                clear(&text, wanted, family, true, &mut edits);
            }
            files.edit(path, edits)?;
        }
    }
    let mut edits = Edits::default();
    for family in wanted.families() {
        clear(&text, wanted, family, false, &mut edits);
    }
    insert(&text, wanted, &old, &mut edits);
    files.edit(&main, edits)?;
    Ok(None)
}

fn family_of(value: &str) -> Option<Family> {
    // `Gateway=_dhcp4` and the like are none.
    values::address(value).map(Family::of)
}

/// The places of one section.
fn section(all: &[Place], index: usize) -> impl Iterator<Item = &Place> {
    all.iter().filter(move |place| place.section.1 == index)
}

fn value<'p>(all: &'p [Place], index: usize, key: &str) -> Option<&'p str> {
    let mut own = section(all, index);
    own.find(|place| place.key.as_deref() == Some(key))
        .map(|place| place.value.as_str())
}

/// Sections `[Route]` that are the default route.
fn is_default_route(all: &[Place], index: usize) -> bool {
    let destination = value(all, index, "Destination");
    matches!(destination, None | Some("0.0.0.0/0" | "::/0")) && value(all, index, "Table").is_none()
}

/// The default gateways.
fn gateways(all: &[Place]) -> Vec<IpAddr> {
    let keys = all
        .iter()
        .filter(|place| place.key.as_deref() == Some("Gateway"));
    keys.filter(|place| match place.section.0.as_str() {
        "Network" => true,
        "Route" => is_default_route(all, place.section.1),
        _ => false,
    })
    .filter_map(|place| values::address(&place.value))
    .collect()
}

/// Takes out what the new addresses stand for.
fn clear(text: &str, wanted: &Wanted, family: Family, drop_in: bool, edits: &mut Edits) {
    let all = places(text);
    for place in &all {
        let (name, index) = (&place.section.0, place.section.1);
        match (name.as_str(), place.key.as_deref()) {
            ("Network", Some("Address" | "Gateway")) if family_of(&place.value) == Some(family) => {
                edits.remove(place.bytes.clone());
            }
            ("Network", Some("DNS")) if !wanted.dns.is_empty() => edits.remove(place.bytes.clone()),
            ("Network", Some("DHCP")) => {
                let new = without_dhcp(&place.value, wanted);
                if new.as_deref() != Some(place.value.as_str()) {
                    match new {
                        Some(new) if !drop_in => {
                            edits.replace(place.bytes.clone(), format!("DHCP={new}\n"));
                        }
                        _ => edits.remove(place.bytes.clone()),
                    }
                }
            }
            ("Address" | "Route", None) => {
                let key = if name == "Address" {
                    "Address"
                } else {
                    "Gateway"
                };
                let is_own = value(&all, index, key).and_then(family_of) == Some(family);
                if is_own && (name == "Address" || is_default_route(&all, index)) {
                    for line in section(&all, index) {
                        edits.remove(line.bytes.clone());
                    }
                }
            }
            _ => {}
        }
    }
}

/// `DHCP=` for the families that are not written.
fn without_dhcp(value: &str, wanted: &Wanted) -> Option<String> {
    let has = |family: Family| wanted.families().any(|one| one == family);
    let (v4, v6) = match value.to_ascii_lowercase().as_str() {
        "yes" | "true" | "1" | "on" | "both" | "y" | "t" => (true, true),
        "ipv4" | "v4" => (true, false),
        "ipv6" | "v6" => (false, true),
        _ => (false, false),
    };
    match (v4 && !has(Family::V4), v6 && !has(Family::V6)) {
        (true, true) => Some(value.to_owned()),
        (true, false) if v6 => Some("ipv4".to_owned()),
        (false, true) if v4 => Some("ipv6".to_owned()),
        (true, false) | (false, true) => Some(value.to_owned()),
        (false, false) if v4 || v6 => Some("no".to_owned()),
        (false, false) => Some(value.to_owned()),
    }
}

fn insert(text: &str, wanted: &Wanted, old: &[IpAddr], edits: &mut Edits) {
    let all = places(text);
    let mut new = String::new();
    for family in wanted.families() {
        for address in wanted.of(family) {
            new.push_str(&format!("Address={address}\n"));
        }
        let old = old
            .iter()
            .copied()
            .find(|gateway| Family::of(*gateway) == family);
        if let Some(gateway) = wanted.gateway_instead_of(family, old) {
            new.push_str(&format!("Gateway={gateway}\n"));
        }
    }
    for server in &wanted.dns {
        new.push_str(&format!("DNS={server}\n"));
    }
    let is_old = |place: &&Place| {
        place.section.0 == "Network"
            && place.key.as_deref() == Some("Address")
            && family_of(&place.value)
                .is_some_and(|family| wanted.families().any(|one| one == family))
    };
    let header = |place: &&Place| place.section.0 == "Network" && place.key.is_none();
    if let Some(place) = all.iter().find(is_old) {
        edits.insert(place.bytes.start, new);
    } else if let Some(place) = all.iter().find(header) {
        edits.insert(place.bytes.end, new);
    } else {
        let gap = if text.ends_with('\n') { "\n" } else { "\n\n" };
        edits.insert(text.len(), format!("{gap}[Network]\n{new}"));
    }
}
