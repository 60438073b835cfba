//! Configuration that finds its card by the driver of the old virtual hardware.

use std::collections::BTreeSet;
use std::ops::Range;

use refit_engine::{Guest, GuestPath};

use super::edit::{Edits, Files};
use super::pins;
use crate::network::sources::yaml::{self, Node};
use crate::network::sources::{glob, ifcfg, keyfile, unit_file};

/// Drivers of network cards that only other hypervisors have, or that are exchanged for virtio's:
/// VMware, VirtualBox, Hyper-V, Xen.
const OLD: [&str; 9] = [
    "vmxnet3",
    "vmxnet",
    "vlance",
    "pcnet32",
    "e1000",
    "e1000e",
    "hv_netvsc",
    "xen_netfront",
    "vif",
];
const NEW: &str = "virtio_net";

/// A list of drivers, or one, as a file has it.
type Alternatives<'t> = Vec<(Range<usize>, &'t str)>;

type Reader = for<'t> fn(&'t str) -> Vec<Alternatives<'t>>;

/// Puts virtio's driver in the place of old ones. What asks for virtio's already stays. Where several
/// old ones are told from one another, nothing could tell the cards any more: a warning for each.
///
/// Gives back the drivers that were replaced, and whether there are such warnings.
///
/// # Errors
/// If a directory cannot be read.
pub(super) fn replace(files: &mut Files<'_, '_>) -> anyhow::Result<(BTreeSet<String>, bool)> {
    let mut found: Vec<(GuestPath, Range<usize>, String)> = Vec::new();
    for (path, read) in places(files.guest)? {
        let Some(text) = files.text(&path)? else {
            continue;
        };
        for alternatives in read(&text) {
            if alternatives
                .iter()
                .any(|(_, word)| glob::matches(word, NEW))
            {
                continue;
            }
            let mut alternatives = alternatives.into_iter();
            if let Some((bytes, word)) = alternatives.find(|(_, word)| is_old(word)) {
                found.push((path.clone(), bytes, word.to_owned()));
            }
        }
    }
    let drivers: BTreeSet<String> = found.iter().map(|(_, _, word)| word.clone()).collect();
    if drivers.len() > 1 {
        for (path, _, word) in found {
            files.warnings.push(format!(
                "{path} finds its card by the driver {word}, and another configuration by another driver; on the new \
                 machine all have {NEW}: correct it, by MAC"
            ));
        }
        return Ok((BTreeSet::new(), true));
    }
    while let Some((path, bytes, _)) = found.pop() {
        let mut edits = Edits::default();
        edits.replace(bytes, NEW);
        // The ones before it in the same file keep their places.
        files.edit(&path, edits)?;
    }
    Ok((drivers, false))
}

fn is_old(word: &str) -> bool {
    OLD.iter().any(|driver| glob::matches(word, driver))
}

fn places(guest: &Guest<'_>) -> anyhow::Result<Vec<(GuestPath, Reader)>> {
    let mut all: Vec<(GuestPath, Reader)> = Vec::new();
    let mut add = |paths: Vec<GuestPath>, reader: Reader| {
        all.extend(paths.into_iter().map(|path| (path, reader)));
    };
    add(
        guest.files("/etc/netplan", |name| name.ends_with(".yaml"))?,
        netplan,
    );
    add(pins::networkd_files(guest)?, networkd);
    add(keyfile::files(guest)?, profiles);
    for (_, path) in ifcfg::files(guest)? {
        add(vec![path], shell);
    }
    Ok(all)
}

fn netplan(text: &str) -> Vec<Alternatives<'_>> {
    let documents = yaml::parse(text).unwrap_or_default();
    let mut found = Vec::new();
    for network in documents
        .iter()
        .flat_map(|document| document.values("network"))
    {
        let groups = network
            .entries()
            .iter()
            .flat_map(|(_, group)| group.entries());
        let matches = groups.flat_map(|(_, definition)| definition.values("match"));
        for drivers in matches.flat_map(|matching| matching.values("driver")) {
            let one = std::slice::from_ref(drivers);
            let nodes = if drivers.items().is_empty() {
                one
            } else {
                drivers.items()
            };
            found.push(nodes.iter().filter_map(|node| scalar(text, node)).collect());
        }
    }
    found
}

/// A scalar without its quotes.
fn scalar<'t>(text: &'t str, node: &Node) -> Option<(Range<usize>, &'t str)> {
    let written = text.get(node.bytes.clone())?;
    let inner = written.trim_matches(['"', '\'']);
    if node.text() != Some(inner) {
        return None;
    }
    let start = node.bytes.start + written.find(inner)?;
    Some((start..start + inner.len(), inner))
}

fn networkd(text: &str) -> Vec<Alternatives<'_>> {
    let places = unit_file::places(text).into_iter();
    let drivers = places.filter(|place| {
        place.section.0 == "Match"
            && place.key.as_deref() == Some("Driver")
            && !place.value.starts_with('!')
    });
    drivers
        .map(|place| {
            let line = &text[place.bytes.clone()];
            let value = place.bytes.start + line.find('=').map_or(line.len(), |at| at + 1);
            pins::words(text, value..place.bytes.end)
        })
        .collect()
}

fn profiles(text: &str) -> Vec<Alternatives<'_>> {
    let places = keyfile::places(text).into_iter();
    let drivers =
        places.filter(|place| place.group == "match" && place.key.as_deref() == Some("driver"));
    drivers
        .map(|place| marked_words(text, place.value, ';'))
        .collect()
}

fn shell(text: &str) -> Vec<Alternatives<'_>> {
    let all = ifcfg::assignments(text).into_iter();
    all.filter(|one| one.name == "MATCH_DRIVER")
        .map(|one| {
            let part = &text[one.bytes.clone()];
            let inner = part.trim_matches(['"', '\'']);
            let start = one.bytes.start + part.find(inner).unwrap_or_default();
            marked_words(text, start..start + inner.len(), ' ')
        })
        .collect()
}

/// Words that may have a mark before them: `|` and `&` say how they are joined, `!` that they are
/// not wanted (nm-settings(5), `match`).
fn marked_words(text: &str, bytes: Range<usize>, separator: char) -> Alternatives<'_> {
    let mut found = Vec::new();
    let mut at = bytes.start;
    for word in text[bytes].split_inclusive(separator) {
        let bare = word
            .trim_end_matches(separator)
            .trim_start_matches(['|', '&']);
        let end = at + word.trim_end_matches(separator).len();
        if !bare.is_empty() && !bare.starts_with('!') {
            found.push((end - bare.len()..end, bare));
        }
        at += word.len();
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(read: Reader, text: &str) -> Vec<Vec<String>> {
        let all = read(text).into_iter();
        all.map(|words| {
            let words = words.into_iter();
            words
                .map(|(bytes, word)| {
                    assert_eq!(&text[bytes], word);
                    word.to_owned()
                })
                .collect()
        })
        .collect()
    }

    #[test]
    fn lists_of_drivers() {
        let yaml = "network:\n  ethernets:\n    a: {match: {driver: \"vmxnet3\"}}\n    b:\n      match:\n        driver:\n        \
                    - e1000\n        - vmx*\n      driver: x\n";
        assert_eq!(
            found(netplan, yaml),
            [vec!["vmxnet3"], vec!["e1000", "vmx*"]]
        );
        let unit = "[Match]\nDriver=vmxnet3 e1000\nDriver=!x\n[Link]\nDriver=y\n";
        assert_eq!(found(networkd, unit), [["vmxnet3", "e1000"]]);
        let profile = "[match]\ndriver=vmxnet3;|e1000;!x;\n";
        assert_eq!(found(profiles, profile), [["vmxnet3", "e1000"]]);
        assert_eq!(found(shell, "MATCH_DRIVER='|a !b'\n"), [["a"]]);
    }

    #[test]
    fn patterns_of_old_drivers() {
        for word in ["vmxnet3", "vmxnet*", "e1000?", "hv_netvsc"] {
            assert!(is_old(word), "{word}");
        }
        for word in ["virtio_net", "ixgbe", "vmw*3x", "mlx5_core"] {
            assert!(!is_old(word), "{word}");
        }
    }
}
