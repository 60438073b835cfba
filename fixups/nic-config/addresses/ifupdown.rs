//! interfaces(5).

use std::net::{IpAddr, Ipv4Addr};
use std::ops::Range;

use ipnet::IpNet;
use refit_engine::GuestPath;

use super::{Family, Wanted};
use crate::network::sources::ifupdown;
use crate::network::sources::ifupdown::stanza::{self, Directive, Stanza, StanzaOption};
use crate::network::sources::values;
use crate::nic_config::edit::{Edits, Files, indent, line_start};
use crate::nic_config::pins;

/// Options that say nothing but an address.
const OF_ADDRESS: [&str; 9] = [
    "address",
    "netmask",
    "network",
    "broadcast",
    "gateway",
    "label",
    "scope",
    "metric",
    "pointopoint",
];
/// Those that follow from the address.
const DERIVED: [&str; 3] = ["network", "broadcast", "pointopoint"];

/// One stanza of the device in the file.
struct Own {
    stanza: Stanza,
    header: Range<usize>,
}

impl Own {
    fn has(&self, family: Family) -> bool {
        match self.stanza.family.as_deref() {
            Some("inet") => family == Family::V4,
            Some("inet6") => family == Family::V6,
            Some(_) => false,
            None => true,
        }
    }

    fn is_alias(&self) -> bool {
        self.stanza.name.contains(':')
    }

    fn end(&self) -> usize {
        let options = &self.stanza.options;
        options
            .last()
            .map_or(self.header.end, |last| last.bytes.end)
    }

    /// The options `key` whose value is an address of this family.
    fn of(&self, key: &str, family: Family) -> Vec<&StanzaOption> {
        let options = self.stanza.options.iter();
        options
            .filter(|option| option.key == key && self.is_of(option, family))
            .collect()
    }

    fn is_of(&self, option: &StanzaOption, family: Family) -> bool {
        match address_of(option) {
            Some(address) => Family::of(address) == family,
            None => self.stanza.family.is_some() && self.has(family),
        }
    }
}

fn address_of(option: &StanzaOption) -> Option<IpAddr> {
    values::address(option.words().next()?)
}

/// Writes the addresses into the stanzas of the device; `Some` says why not.
pub(super) fn write(files: &mut Files<'_, '_>, wanted: &Wanted) -> anyhow::Result<Option<String>> {
    let Some(name) = wanted.name.as_deref() else {
        return Ok(Some("its stanza is for a pattern".to_owned()));
    };
    let mut paths = Vec::new();
    for path in ifupdown::files(files.guest)? {
        if let Some(text) = files.text(&path)?
            && !own(&text, name).is_empty()
        {
            paths.push(path);
        }
    }
    let [path] = paths.as_slice() else {
        return Ok(Some(format!(
            "{} files have stanzas of {name}",
            paths.len()
        )));
    };
    let text = files.text(path)?.unwrap_or_default();
    let own = own(&text, name);
    let mut edits = Edits::default();
    let mut gone = Vec::new();
    for family in wanted.families() {
        if let Some(refusal) = one_family(&text, &own, name, wanted, family, &mut edits, &mut gone)
        {
            return Ok(Some(format!("{path}: {refusal}")));
        }
    }
    forget_names(&text, &gone, &mut edits);
    name_servers(files, path, &text, &own, wanted, &mut edits)?;
    files.edit(path, edits)?;
    Ok(None)
}

/// The stanzas of a device and its aliases.
fn own(text: &str, name: &str) -> Vec<Own> {
    let statements = stanza::parse(text).into_iter();
    statements
        .filter_map(|statement| match statement.directive {
            Directive::Interface(stanza) => {
                let device = stanza.name.split(':').next();
                (device == Some(name) && !stanza.template).then_some(Own {
                    header: statement.bytes,
                    stanza,
                })
            }
            _ => None,
        })
        .collect()
}

fn one_family(
    text: &str,
    own: &[Own],
    name: &str,
    wanted: &Wanted,
    family: Family,
    edits: &mut Edits,
    gone: &mut Vec<String>,
) -> Option<String> {
    if is_written(own, wanted, family) {
        return None;
    }
    let mut stanzas = own.iter().filter(|one| one.has(family) && !one.is_alias());
    let first = stanzas.next();
    for other in stanzas.chain(own.iter().filter(|one| one.is_alias() && one.has(family))) {
        let options = &other.stanza.options;
        if let Some(more) = options
            .iter()
            .find(|one| !OF_ADDRESS.contains(&one.key.as_str()))
        {
            return Some(format!("line {} belongs to a further address", more.line));
        }
        edits.remove(other.header.start..other.end());
        if other.is_alias() {
            gone.push(other.stanza.name.clone());
        }
    }
    let addresses = wanted.of(family);
    let word = if family == Family::V4 {
        "inet"
    } else {
        "inet6"
    };
    let Some(first) = first else {
        let at = own.last().map_or(text.len(), Own::end);
        let gap = if text[..at].ends_with('\n') { "" } else { "\n" };
        edits.insert(at, gap);
        for (index, address) in addresses.iter().enumerate() {
            let gateway = wanted.gateway(family).filter(|_| index == 0);
            edits.insert(at, new_stanza(name, word, *address, gateway));
        }
        return None;
    };
    if method(text, first, edits).is_none() {
        let method = first.stanza.method.as_deref().unwrap_or_default();
        return Some(format!("{name} has the method {method:?}"));
    }
    let (one, more) = addresses.split_first()?;
    let indent = first.stanza.options.first();
    let indent = indent.map_or("    ", |option| indent_of(text, option));
    let present = first.of("address", family);
    let netmask = first.of("netmask", family);
    let value = match netmask.first() {
        Some(mask) => {
            edits.replace(
                mask.bytes.clone(),
                line(text, mask, &netmask_like(mask, *one)),
            );
            one.addr().to_string()
        }
        None => one.to_string(),
    };
    let in_place = |option: &&&StanzaOption| !option.bytes.is_empty();
    match present.iter().find(in_place) {
        Some(option) => edits.replace(option.bytes.clone(), line(text, option, &value)),
        None => edits.insert(first.header.end, format!("{indent}address {value}\n")),
    }
    for option in present.iter().skip(1).chain(netmask.iter().skip(1)) {
        edits.remove(option.bytes.clone());
    }
    for option in &first.stanza.options {
        let derived = DERIVED.contains(&option.key.as_str()) && family == Family::V4;
        let by_dhcp = option.key == "use" && option.value.trim() == "dhcp";
        if derived || by_dhcp {
            edits.remove(option.bytes.clone());
        }
    }
    let gateways = first.of("gateway", family);
    let old = gateways.first().and_then(|option| address_of(option));
    match (wanted.gateway_instead_of(family, old), gateways.first()) {
        (Some(gateway), Some(option)) if Some(gateway) != old => {
            edits.replace(
                option.bytes.clone(),
                line(text, option, &gateway.to_string()),
            );
        }
        (Some(gateway), None) => {
            let at = present
                .first()
                .map_or(first.header.end, |option| option.bytes.end);
            edits.insert(at, format!("{indent}gateway {gateway}\n"));
        }
        (None, Some(option)) => edits.remove(option.bytes.clone()),
        _ => {}
    }
    for address in more {
        if first.stanza.family.is_some() {
            edits.insert(first.end(), new_stanza(name, word, *address, None));
        } else {
            edits.insert(first.end(), format!("{indent}address {address}\n"));
        }
    }
    None
}

/// Whether the stanzas say just that already.
fn is_written(own: &[Own], wanted: &Wanted, family: Family) -> bool {
    let mut present = Vec::new();
    let mut gateways = Vec::new();
    for one in own.iter().filter(|one| one.has(family)) {
        let dynamic = matches!(
            one.stanza.method.as_deref(),
            Some("dhcp" | "auto" | "bootp")
        );
        if dynamic || one.is_alias() {
            return false;
        }
        let mask = one.of("netmask", family);
        let mask = mask.first().and_then(|option| option.words().next());
        for option in one.of("address", family) {
            let word = option.words().next().unwrap_or_default();
            present.extend(match mask {
                Some(mask) => network(word, mask),
                None => word.parse().ok(),
            });
        }
        let own = one.of("gateway", family).into_iter();
        gateways.extend(own.filter_map(address_of));
    }
    let gateway = wanted.gateway_instead_of(family, gateways.first().copied());
    present == wanted.of(family) && gateways == Vec::from_iter(gateway)
}

fn network(address: &str, mask: &str) -> Option<IpNet> {
    let address: IpAddr = address.parse().ok()?;
    match mask.parse::<u8>() {
        Ok(length) => IpNet::new(address, length).ok(),
        Err(_) => IpNet::with_netmask(address, mask.parse().ok()?).ok(),
    }
}

/// Makes the method `static`; `None` where that would change what the device is.
fn method(text: &str, own: &Own, edits: &mut Edits) -> Option<()> {
    match own.stanza.method.as_deref() {
        None | Some("static") => Some(()),
        Some("dhcp" | "manual" | "auto" | "bootp") => {
            let words = pins::words(text, own.header.clone());
            let (bytes, _) = words.get(3)?;
            edits.replace(bytes.clone(), "static");
            Some(())
        }
        Some(_) => None,
    }
}

fn new_stanza(name: &str, family: &str, address: IpNet, gateway: Option<IpAddr>) -> String {
    let gateway = gateway.map_or(String::new(), |gateway| format!("    gateway {gateway}\n"));
    format!("\niface {name} {family} static\n    address {address}\n{gateway}")
}

fn indent_of<'t>(text: &'t str, option: &StanzaOption) -> &'t str {
    indent(text, option.bytes.start)
}

/// The line of `option` with another value.
fn line(text: &str, option: &StanzaOption, value: &str) -> String {
    let written = &text[option.bytes.clone()];
    let after = written.trim_start().split(char::is_whitespace).next();
    let key = after.unwrap_or(&option.key);
    let gap: String = written
        .trim_start()
        .chars()
        .skip(key.chars().count())
        .take_while(|c| matches!(c, ' ' | '\t'))
        .collect();
    let gap = if gap.is_empty() { " " } else { &gap };
    format!("{}{key}{gap}{value}\n", indent_of(text, option))
}

/// The mask, with dots or as a length, as the old one is.
fn netmask_like(option: &StanzaOption, address: IpNet) -> String {
    let dotted = option
        .words()
        .next()
        .is_some_and(|word| word.parse::<Ipv4Addr>().is_ok());
    if dotted {
        address.netmask().to_string()
    } else {
        address.prefix_len().to_string()
    }
}

/// Takes the aliases that are gone out of `auto` and `allow-...`.
fn forget_names(text: &str, gone: &[String], edits: &mut Edits) {
    for statement in stanza::parse(text) {
        let Directive::Allow(names) = &statement.directive else {
            continue;
        };
        let is_gone = |name: &&String| gone.contains(name);
        let count = names.iter().filter(is_gone).count();
        if count > 0 && count == names.len() {
            edits.remove(statement.bytes);
        } else if count > 0 {
            for (bytes, word) in pins::words(text, statement.bytes) {
                if gone.iter().any(|name| name == word) {
                    let start = bytes
                        .start
                        .saturating_sub(1)
                        .max(line_start(text, bytes.start));
                    edits.remove(start..bytes.end);
                }
            }
        }
    }
}

/// `dns-nameservers` where resolvconf or an existing option makes use of it, else resolv.conf(5).
fn name_servers(
    files: &mut Files<'_, '_>,
    path: &GuestPath,
    text: &str,
    own: &[Own],
    wanted: &Wanted,
    edits: &mut Edits,
) -> anyhow::Result<()> {
    if wanted.dns.is_empty() {
        return Ok(());
    }
    let all: Vec<String> = wanted.dns.iter().map(ToString::to_string).collect();
    let options = own.iter().flat_map(|one| &one.stanza.options);
    let mut present = options
        .filter(|option| matches!(option.key.as_str(), "dns-nameservers" | "dns-nameserver"));
    if let Some(first) = present.next() {
        edits.replace(first.bytes.clone(), line(text, first, &all.join(" ")));
        for other in present {
            edits.remove(other.bytes.clone());
        }
        return Ok(());
    }
    let mut managed = false;
    for program in ["/sbin/resolvconf", "/usr/sbin/resolvconf"] {
        managed |= files.guest.exists(program)?;
    }
    let stanza = own
        .iter()
        .find(|one| !one.is_alias() && wanted.families().any(|family| one.has(family)));
    if managed && let Some(one) = stanza {
        let indent = one.stanza.options.first();
        let indent = indent.map_or("    ", |option| indent_of(text, option));
        edits.insert(
            one.end(),
            format!("{indent}dns-nameservers {}\n", all.join(" ")),
        );
        return Ok(());
    }
    resolv_conf(files, path, &all)
}

fn resolv_conf(
    files: &mut Files<'_, '_>,
    path: &GuestPath,
    servers: &[String],
) -> anyhow::Result<()> {
    let resolv = GuestPath::new("/etc/resolv.conf");
    // A link leads to what a resolver's manager writes, in /run mostly.
    let is_own = files.guest.resolve(&resolv)? == Some(resolv.clone());
    let Some(text) = is_own.then(|| files.text_or_new(&resolv)).transpose()? else {
        files.warnings.push(format!(
            "{path}: the name servers are not written, /etc/resolv.conf is not of the guest's own"
        ));
        return Ok(());
    };
    let mut edits = Edits::default();
    let mut at = 0;
    let mut lines = Vec::new();
    for physical in text.split_inclusive('\n') {
        if physical.split_whitespace().next() == Some("nameserver") {
            lines.push(at..at + physical.len());
        }
        at += physical.len();
    }
    let new: String = servers
        .iter()
        .map(|server| format!("nameserver {server}\n"))
        .collect();
    match lines.split_first() {
        Some((first, more)) => {
            edits.replace(first.clone(), new);
            more.iter().for_each(|line| edits.remove(line.clone()));
        }
        None => {
            let gap = if text.is_empty() || text.ends_with('\n') {
                ""
            } else {
                "\n"
            };
            edits.insert(text.len(), format!("{gap}{new}"));
        }
    }
    files.edit(&resolv, edits)
}
