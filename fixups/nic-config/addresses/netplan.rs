//! netplan(5).

use std::net::IpAddr;
use std::ops::Range;

use ipnet::IpNet;
use refit_engine::GuestPath;

use super::{Family, Wanted};
use crate::network::sources::values;
use crate::network::sources::yaml::{self, Content, Node};
use crate::nic_config::edit::{Edits, Files, indent, line_end, line_start};

/// Writes the addresses into the definition of the device; `Some` says why not.
pub(super) fn write(files: &mut Files<'_, '_>, wanted: &Wanted) -> anyhow::Result<Option<String>> {
    let mut found: Vec<(GuestPath, String)> = Vec::new();
    for path in files
        .guest
        .files("/etc/netplan", |name| name.ends_with(".yaml"))?
    {
        let Some(text) = files.text(&path)? else {
            continue;
        };
        let documents = yaml::parse(&text).unwrap_or_default();
        let count = definitions(&documents, wanted).len();
        found.extend(std::iter::repeat_n((path, text), count));
    }
    // Of several that netplan merges, the one with the addresses.
    let (path, text) = match found.as_slice() {
        [] => return Ok(Some("netplan's definition of it is not found".to_owned())),
        [only] => only,
        _ => {
            return Ok(Some(
                "several definitions in netplan's files are for it".to_owned(),
            ));
        }
    };
    let documents = yaml::parse(text).unwrap_or_default();
    let Some((key, definition)) = definitions(&documents, wanted).pop() else {
        return Ok(Some("netplan's definition of it is not found".to_owned()));
    };
    if is_shared(definition) {
        return Ok(Some(format!(
            "its definition in {path} has anchors or aliases"
        )));
    }
    let mut mapping = Mapping {
        text,
        key,
        node: definition,
        edits: Edits::default(),
        new: Vec::new(),
    };
    if let Some(refusal) = mapping.write(wanted) {
        return Ok(Some(format!("{path}: {refusal}")));
    }
    let edits = mapping.finish();
    files.edit(path, edits)?;
    Ok(None)
}

/// The definitions that are for the device, with their keys.
fn definitions<'n>(documents: &'n [Node], wanted: &Wanted) -> Vec<(&'n Node, &'n Node)> {
    let networks = documents
        .iter()
        .flat_map(|document| document.values("network"));
    let groups = networks.flat_map(Node::entries).map(|(_, group)| group);
    groups
        .flat_map(Node::entries)
        .filter(|(id, definition)| is_for(id, definition, wanted))
        .map(|(id, definition)| (id, definition))
        .collect()
}

fn is_for(id: &Node, definition: &Node, wanted: &Wanted) -> bool {
    let name = wanted.name.as_deref();
    let matching = definition
        .get("match")
        .filter(|node| !node.entries().is_empty());
    let mac = matching.and_then(|node| values::mac(node.get("macaddress")?.text()?));
    let given = definition.get("set-name").and_then(Node::text);
    if given.is_some() || mac.is_some() {
        return mac.is_some() && mac == wanted.mac || given.is_some() && given == name;
    }
    match matching.and_then(|node| node.get("name")?.text()) {
        Some(pattern) => name.is_none_or(|name| name == pattern),
        None => matching.is_none() && name.is_some() && id.text() == name,
    }
}

/// Whether a definition shares parts with others.
fn is_shared(node: &Node) -> bool {
    node.anchored
        || match &node.content {
            Content::Alias => true,
            Content::Scalar(_) => false,
            Content::Sequence(items) => items.iter().any(is_shared),
            Content::Mapping(entries) => entries
                .iter()
                .any(|(key, value)| key.text() == Some("<<") || is_shared(key) || is_shared(value)),
        }
}

/// A definition that is edited.
struct Mapping<'n> {
    text: &'n str,
    key: &'n Node,
    node: &'n Node,
    edits: Edits,
    /// Keys to be added, each with its value on one line.
    new: Vec<String>,
}

impl Mapping<'_> {
    fn write(&mut self, wanted: &Wanted) -> Option<String> {
        if self.node.entries().is_empty()
            && !matches!(self.node.text(), Some("~" | ""))
            && !self.node.flow
        {
            return Some("its definition is no mapping".to_owned());
        }
        let mut addresses: Vec<String> = wanted
            .families()
            .flat_map(|family| wanted.of(family))
            .map(|one| one.to_string())
            .collect();
        if let Some(present) = self.node.get("addresses") {
            for item in present.items() {
                let text = item.text().or_else(|| item.entries().first()?.0.text());
                let family = text.and_then(values::address).map(Family::of);
                let replaced =
                    family.is_none_or(|family| wanted.families().any(|one| one == family));
                if !replaced {
                    addresses.push(self.text[item.bytes.clone()].to_owned());
                }
            }
        }
        self.set_list("addresses", &addresses);
        for family in wanted.families() {
            let key = match family {
                Family::V4 => "dhcp4",
                Family::V6 => "dhcp6",
            };
            let on = self.node.get(key).and_then(Node::text);
            if on.is_some_and(|word| {
                ["true", "yes", "on", "y"]
                    .iter()
                    .any(|yes| word.eq_ignore_ascii_case(yes))
            }) {
                self.set(key, "false");
            }
            if let Some(refusal) = self.gateway(wanted, family) {
                return Some(refusal);
            }
        }
        if !wanted.dns.is_empty() {
            self.name_servers(wanted);
        }
        None
    }

    /// `gateway4` where it is used, else the default route among `routes`.
    fn gateway(&mut self, wanted: &Wanted, family: Family) -> Option<String> {
        let (key, default) = match family {
            Family::V4 => ("gateway4", "0.0.0.0/0"),
            Family::V6 => ("gateway6", "::/0"),
        };
        if let Some(present) = self.node.get(key) {
            let old = present.text().and_then(|text| text.parse().ok());
            match wanted.gateway_instead_of(family, old) {
                Some(new) if Some(new) != old => self.set(key, &new.to_string()),
                Some(_) => {}
                None => self.remove(key),
            }
            return None;
        }
        let routes = self.node.get("routes");
        let present = routes.into_iter().flat_map(Node::items).find(|route| {
            let to = route.get("to").and_then(Node::text).unwrap_or_default();
            let via = route
                .get("via")
                .and_then(|node| values::address(node.text()?));
            let is_default = matches!(to, "default" | "0.0.0.0/0" | "::/0" | "0/0");
            is_default && via.map(Family::of) == Some(family) && route.get("table").is_none()
        });
        if let Some(route) = present
            && let Some(via) = route.get("via")
        {
            let old: Option<IpAddr> = via.text().and_then(|text| text.parse().ok());
            match wanted.gateway_instead_of(family, old) {
                Some(new) if Some(new) != old => {
                    let bytes = via.bytes.clone();
                    let new = like(&self.text[bytes.clone()], &new.to_string());
                    self.edits.replace(bytes, new);
                }
                Some(_) => {}
                None if routes.is_some_and(|routes| routes.items().len() == 1) => {
                    self.remove("routes")
                }
                None => {
                    return Some(format!(
                        "its default route by {} cannot stay",
                        via.text().unwrap_or_default()
                    ));
                }
            }
            return None;
        }
        let new = wanted.gateway(family)?;
        let route = format!(
            "{{to: {}, via: {}}}",
            quoted(default),
            quoted(&new.to_string())
        );
        match routes.map(|routes| (routes, routes.items().last())) {
            Some((routes, Some(last))) if !routes.flow => {
                let at = line_end(self.text, last.bytes.end);
                let first = routes
                    .items()
                    .first()
                    .map_or(last.bytes.start, |first| first.bytes.start);
                let dash = indent(self.text, first).to_owned();
                let gap = if self.text[..at].ends_with('\n') {
                    ""
                } else {
                    "\n"
                };
                self.edits.insert(at, format!("{gap}{dash}- {route}\n"));
            }
            Some((routes, Some(_))) => self
                .edits
                .insert(routes.bytes.end - 1, format!(", {route}")),
            Some((_, None)) => self.set("routes", &format!("[{route}]")),
            None => {
                let is_there = |new: &&mut String| new.starts_with("routes: [");
                match self.new.iter_mut().find(is_there) {
                    Some(new) => *new = format!("{}, {route}]", new.trim_end_matches(']')),
                    None => self.new.push(format!("routes: [{route}]")),
                }
            }
        }
        None
    }

    fn name_servers(&mut self, wanted: &Wanted) {
        let all: Vec<String> = wanted
            .dns
            .iter()
            .map(|server| quoted(&server.to_string()))
            .collect();
        let list = format!("[{}]", all.join(", "));
        match self.node.get("nameservers") {
            Some(node) if !node.entries().is_empty() => {
                let inner = node
                    .entries()
                    .iter()
                    .find(|(key, _)| key.text() == Some("addresses"));
                match inner {
                    Some((key, value)) => {
                        let new = format!(": {list}");
                        self.edits.replace(key.bytes.end..value.bytes.end, new);
                    }
                    None if node.flow => self
                        .edits
                        .insert(node.bytes.start + 1, format!("addresses: {list}, ")),
                    None => {
                        let at = line_start(self.text, node.bytes.start);
                        let space = " ".repeat(node.column);
                        self.edits.insert(at, format!("{space}addresses: {list}\n"));
                    }
                }
            }
            Some(_) => self.set("nameservers", &format!("{{addresses: {list}}}")),
            None => self.new.push(format!("nameservers: {{addresses: {list}}}")),
        }
    }

    /// Replaces a list in its own style; one that is not there becomes one on a line.
    fn set_list(&mut self, key: &str, items: &[String]) {
        let present = self
            .node
            .entries()
            .iter()
            .find(|(name, _)| name.text() == Some(key));
        if let Some((name, value)) = present
            && !value.flow
            && let Some(first) = value.items().first()
        {
            let dash = indent(self.text, first.bytes.start).to_owned();
            let lines: String = items
                .iter()
                .map(|item| format!("\n{dash}- {}", quoted(item)))
                .collect();
            self.edits
                .replace(name.bytes.end..value.bytes.end, format!(":{lines}"));
            return;
        }
        let items: Vec<String> = items.iter().map(|item| quoted(item)).collect();
        self.set(key, &format!("[{}]", items.join(", ")));
    }

    fn set(&mut self, key: &str, value: &str) {
        let present = self
            .node
            .entries()
            .iter()
            .find(|(name, _)| name.text() == Some(key));
        match present {
            // Nothing is written behind the key.
            Some((name, old)) if old.bytes.is_empty() => match self.colon(name) {
                Some(at) => self.edits.insert(at, format!(" {value}")),
                None => self.edits.insert(name.bytes.end, format!(": {value}")),
            },
            Some((_, old)) => {
                let new = like(&self.text[old.bytes.clone()], value);
                self.edits.replace(old.bytes.clone(), new);
            }
            None => self.new.push(format!("{key}: {value}")),
        }
    }

    fn remove(&mut self, key: &str) {
        let entries = self.node.entries();
        let Some(at) = entries
            .iter()
            .position(|(name, _)| name.text() == Some(key))
        else {
            return;
        };
        let (name, value) = &entries[at];
        let bytes: Range<usize> = if !self.node.flow {
            line_start(self.text, name.bytes.start)..line_end(self.text, value.bytes.end)
        } else if let Some((next, _)) = entries.get(at + 1) {
            name.bytes.start..next.bytes.start
        } else {
            let before = at.checked_sub(1).map(|before| entries[before].1.bytes.end);
            before.unwrap_or(name.bytes.start)..value.bytes.end
        };
        self.edits.remove(bytes);
    }

    /// The place behind the colon of a key, if it has one.
    fn colon(&self, key: &Node) -> Option<usize> {
        let rest = &self.text[key.bytes.end..];
        let blanks = rest.len() - rest.trim_start_matches([' ', '\t']).len();
        rest[blanks..]
            .starts_with(':')
            .then_some(key.bytes.end + blanks + 1)
    }

    fn finish(mut self) -> Edits {
        if self.new.is_empty() {
            return self.edits;
        }
        if self.node.flow && matches!(self.node.content, Content::Mapping(_)) {
            let comma = if self.node.entries().is_empty() {
                ""
            } else {
                ", "
            };
            let new = format!("{}{comma}", self.new.join(", "));
            self.edits.insert(self.node.bytes.start + 1, new);
        } else if self.node.entries().is_empty() {
            // A key without a value.
            let space = " ".repeat(self.key.column + 2);
            let lines: String = self
                .new
                .iter()
                .map(|line| format!("\n{space}{line}"))
                .collect();
            if !self.node.bytes.is_empty() {
                self.edits.replace(self.node.bytes.clone(), lines);
            } else if let Some(at) = self.colon(self.key) {
                self.edits.insert(at, lines);
            }
        } else {
            let at = line_end(self.text, self.node.bytes.end);
            let gap = if self.text[..at].ends_with('\n') {
                ""
            } else {
                "\n"
            };
            let space = " ".repeat(self.node.column);
            let lines: String = self
                .new
                .iter()
                .map(|line| format!("{space}{line}\n"))
                .collect();
            self.edits.insert(at, format!("{gap}{lines}"));
        }
        self.edits
    }
}

/// An address that no reader of YAML takes for anything else: those of IPv6 in quotes.
fn quoted(text: &str) -> String {
    let is_plain = text
        .parse::<IpNet>()
        .is_ok_and(|network| network.addr().is_ipv4())
        || text
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_ipv4())
        || text.starts_with(['"', '\'', '{'])
        || text.contains(": ");
    if is_plain {
        text.to_owned()
    } else {
        format!("\"{text}\"")
    }
}

/// `new` with the quotes of `old`.
fn like(old: &str, new: &str) -> String {
    match old.chars().next() {
        Some(quote @ ('"' | '\'')) if !new.starts_with(['[', '{']) => {
            format!("{quote}{new}{quote}")
        }
        _ if new.contains("::") && !new.starts_with(['[', '{']) => quoted(new),
        _ => new.to_owned(),
    }
}
