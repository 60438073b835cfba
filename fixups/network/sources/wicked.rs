//! wicked's own configuration: `/etc/wicked/ifconfig/*.xml` (wicked-config(5), `wicked:` among the
//! sources; the elements are those of wicked's `schema/`). What it reads from
//! `/etc/sysconfig/network` is the [`ifcfg`](super::ifcfg) reader's.

use std::collections::HashMap;
use std::net::IpAddr;

use refit_engine::{Guest, GuestPath};

use super::reading::{Reading, quote};
use super::values;
use super::xml::{self, Element};
use crate::network::model::{Found, Interface, Kind, Match};

const DIR: &str = "/etc/wicked/ifconfig";
/// Most files that are read.
const FILE_LIMIT: usize = 1024;

/// Elements that make a device of a kind that is neither hardware nor one of [`Kind`]'s own.
const OTHER_KINDS: [&str; 16] = [
    "dummy",
    "macvlan",
    "macvtap",
    "ipvlan",
    "vxlan",
    "tun",
    "tap",
    "sit",
    "ipip",
    "gre",
    "ppp",
    "wireless",
    "infiniband",
    "infiniband:child",
    "openvpn",
    "modem",
];

/// Reads the `interface` elements of all files, in the order of the files' names.
///
/// Policies (`policy` elements) are for whatever device they match, and are passed over.
///
/// # Errors
/// If the directory cannot be read. A file that cannot is a warning.
pub fn read(guest: &Guest<'_>) -> anyhow::Result<Found> {
    let mut reading = Reading::new(guest);
    let mut files = guest.files(DIR, |name| name.ends_with(".xml") && !name.starts_with('.'))?;
    if files.len() > FILE_LIMIT {
        reading.warn(&DIR.into(), None, "not all files read: there are too many");
        files.truncate(FILE_LIMIT);
    }
    let mut parsed = Vec::new();
    for path in files {
        let Some(text) = reading.text(&path) else {
            continue;
        };
        match xml::parse(&text) {
            Ok(elements) => parsed.extend(
                elements
                    .into_iter()
                    .filter(|element| element.name == "interface")
                    .map(|element| (path.clone(), element)),
            ),
            Err(problem) => {
                let reason = format!("not used: {}", problem.reason);
                reading.warn(&path, Some(problem.line), reason);
            }
        }
    }
    let aliases = aliases(&parsed);
    let interfaces = parsed
        .iter()
        .map(|(path, element)| interface(element, path, &aliases, &mut reading))
        .collect();
    Ok(reading.finish(interfaces))
}

/// Device names by the alias by which other elements may refer to them (`namespace="alias"`).
type Aliases<'e> = HashMap<&'e str, &'e str>;

fn aliases(parsed: &[(GuestPath, Element)]) -> Aliases<'_> {
    let pairs = parsed.iter().filter_map(|(_, element)| {
        let name = element.child("name").filter(|name| is_plain(name))?;
        Some((element.text_of("alias")?, name.text()?))
    });
    pairs.collect()
}

/// Whether an element has a device name, rather than another way to say which device.
fn is_plain(element: &Element) -> bool {
    let namespace = element.attribute("namespace");
    matches!(namespace, None | Some(""))
}

fn interface(
    element: &Element,
    path: &GuestPath,
    aliases: &Aliases<'_>,
    reading: &mut Reading<'_, '_>,
) -> Interface {
    let (kind, lower) = kind(element, aliases);
    let mut addresses: Vec<IpAddr> = Vec::new();
    for family in ["ipv4:static", "ipv6:static"] {
        let lists = element.all(family).flat_map(|list| list.all("address"));
        for text in lists.filter_map(|address| address.text_of("local")) {
            match values::address(text) {
                Some(address) if addresses.contains(&address) => {}
                Some(address) => addresses.push(address),
                None => reading.warn(path, None, format!("no address: {}", quote(text))),
            }
        }
    }
    let dynamic = ["ipv4:dhcp", "ipv6:dhcp", "ipv4:auto", "ipv6:auto"]
        .iter()
        .filter_map(|name| element.child(name))
        .any(|method| method.text_of("enabled") != Some("false"));
    let matches = matches(element);
    let kind = match matches.name.as_deref() {
        Some("lo") => Kind::Other("loopback".to_owned()),
        _ => kind,
    };
    Interface {
        matches,
        kind,
        addresses,
        dynamic,
        lower,
        upper: element
            .child("link")
            .and_then(|link| device_name(link.child("master")?, aliases)),
        source: path.clone(),
    }
}

/// What `name` asks for: a device name, or with `namespace="ethernet"` a permanent MAC.
fn matches(element: &Element) -> Match {
    let mut found = Match::default();
    let Some(name) = element.child("name") else {
        found.other = Some("no name".to_owned());
        return found;
    };
    if is_plain(name) {
        found.name = name.text().map(str::to_owned);
        if found.name.is_none() {
            found.other = Some("no name".to_owned());
        }
        return found;
    }
    let namespace = name.attribute("namespace").unwrap_or_default();
    let mac = name.text_of("permanent-address").and_then(values::mac);
    match mac.filter(|_| namespace == "ethernet") {
        Some(mac) => found.macs.push(mac),
        None => found.other = Some(format!("name by {}", quote(namespace))),
    }
    found
}

/// The kind, and the names of what the device lies on.
fn kind(element: &Element, aliases: &Aliases<'_>) -> (Kind, Vec<String>) {
    for child in &element.children {
        let kind = match child.name.as_str() {
            "bond" => Kind::Bond,
            "team" => Kind::Team,
            "bridge" | "ovs-bridge" => Kind::Bridge,
            "vlan" => Kind::Vlan,
            name if OTHER_KINDS.contains(&name) => Kind::Other(name.to_owned()),
            _ => continue,
        };
        // A parent of its own, or lists of ports, whatever the list's items are called.
        let parent = child.all("device");
        let lists = ["ports", "slaves"].iter();
        let items = lists.flat_map(|list| child.all(list).flat_map(|list| &list.children));
        let ports = items.flat_map(|item| item.all("device"));
        let devices = parent.chain(ports);
        let lower = devices.filter_map(|device| device_name(device, aliases));
        return (kind, lower.collect());
    }
    (Kind::Physical, Vec::new())
}

fn device_name(element: &Element, aliases: &Aliases<'_>) -> Option<String> {
    let text = element.text()?;
    if element.attribute("namespace") == Some("alias") {
        return aliases.get(text).map(|name| (*name).to_owned());
    }
    is_plain(element).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::sources::reading::with_guest;

    fn read_one(text: &str) -> Found {
        with_guest(&[("etc/wicked/ifconfig/a.xml", text)], |guest| {
            read(guest).unwrap()
        })
    }

    fn shown(found: &Found) -> Vec<String> {
        let shown = found.interfaces.iter().map(|one| {
            let name = one.matches.name.as_deref().unwrap_or("-");
            let addresses = one.addresses.iter().map(ToString::to_string);
            let mut words = vec![name.to_owned(), format!("{:?}", one.kind)];
            words.extend(addresses);
            words.extend(one.dynamic.then(|| "dynamic".to_owned()));
            words.extend(one.lower.iter().map(|name| format!("on:{name}")));
            words.extend(one.upper.iter().map(|name| format!("in:{name}")));
            words.join(" ")
        });
        shown.collect()
    }

    #[test]
    fn cards() {
        let found = read_one(
            "<interface origin='x'><name>eth0</name><control><mode>boot</mode></control>\
             <ipv4:static><address><local>192.0.2.10/24</local><peer>192.0.2.9</peer></address>\
             <address><local>192.0.2.11/24</local></address><route><nexthop>\
             <gateway>192.0.2.1</gateway></nexthop></route></ipv4:static>\
             <ipv6:static><address><local>2001:db8::10/64</local></address></ipv6:static>\
             <ipv6:dhcp><enabled>false</enabled></ipv6:dhcp></interface>\
             <interface><name>eth1</name><ethernet><address>02:00:00:00:00:01</address></ethernet>\
             <ipv4:dhcp><enabled>true</enabled></ipv4:dhcp></interface>\
             <interface><name namespace='ethernet'>\
             <permanent-address>00:50:56:AA:BB:01</permanent-address></name></interface>\
             <interface><name>lo</name></interface><policy><name>eth9</name></policy>",
        );
        assert_eq!(found.warnings, [""; 0]);
        assert_eq!(
            shown(&found),
            [
                "eth0 Physical 192.0.2.10 192.0.2.11 2001:db8::10",
                "eth1 Physical dynamic",
                "- Physical",
                "lo Other(\"loopback\")"
            ]
        );
        assert_eq!(found.interfaces[1].matches.macs, [], "set, not asked for");
        let mac = found.interfaces[2].matches.macs[0];
        assert_eq!(mac.to_string(), "00:50:56:aa:bb:01");
    }

    #[test]
    fn devices_on_others() {
        let found = read_one(
            "<interface><name>bond0</name><bond><slaves><slave><device>eth0</device>\
             <primary>true</primary></slave></slaves><address>02:00:00:00:00:01</address></bond>\
             </interface><interface><name>eth1</name><link><master>bond0</master>\
             <port type='bond'/></link></interface>\
             <interface><name>br0</name><bridge><ports><p><device namespace='alias'>web</device>\
             </p><port><device>eth3</device></port></ports></bridge></interface>\
             <interface><name>bond0.5</name><alias>web</alias><vlan><device>bond0</device>\
             <tag>5</tag></vlan></interface>\
             <interface><name>mv0</name><macvlan><device>eth4</device></macvlan></interface>",
        );
        assert_eq!(found.warnings, [""; 0]);
        assert_eq!(
            shown(&found),
            [
                "bond0 Bond on:eth0",
                "eth1 Physical in:bond0",
                "br0 Bridge on:bond0.5 on:eth3",
                "bond0.5 Vlan on:bond0",
                "mv0 Other(\"macvlan\") on:eth4"
            ]
        );
    }

    #[test]
    fn one_broken_file_costs_only_itself() {
        let found = with_guest(
            &[
                ("etc/wicked/ifconfig/a.xml", "<interface>\n<name>eth0</nam>"),
                (
                    "etc/wicked/ifconfig/b.xml",
                    "<interface><name>eth1</name><ipv4:static><address><local>x</local></address>\
                     </ipv4:static></interface><interface><name>a/b</name></interface>\
                     <interface/><interface><name/></interface>",
                ),
                ("etc/wicked/ifconfig/c.xml~", "<"),
                ("etc/wicked/ifconfig/d.xml", "-> /proc/self/mem"),
            ],
            |guest| read(guest).unwrap(),
        );
        let names: Vec<_> = found
            .interfaces
            .iter()
            .map(|one| one.matches.name.as_deref().unwrap_or("-"))
            .collect();
        assert_eq!(names, ["eth1", "-", "-"]);
        assert_eq!(found.warnings.len(), 3, "{:?}", found.warnings);
        assert!(found.warnings[0].starts_with("/etc/wicked/ifconfig/a.xml, line 2:"));
    }
}
