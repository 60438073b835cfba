//! mdadm's lists of the disks that an array may be on (mdadm.conf(5)).

use std::collections::BTreeSet;
use std::ops::Range;

use refit_engine::{Change, Guest, GuestPath, InitramfsFile};
use regex::Regex;

use super::names::Place;
use super::part::Part;

/// Debian's place, and everybody else's. mdadm reads the first that is there.
const FILES: [&str; 2] = ["/etc/mdadm/mdadm.conf", "/etc/mdadm.conf"];
/// virtio's disks and their partitions.
const VIRTIO: &str = "/dev/vd*";
/// What tells an array without the names of its disks.
const IDENTITY: [&str; 3] = ["uuid=", "name=", "super-minor="];

/// `DEVICE` lines that keep virtio's disks out, and `devices=` of an array that has a better identity.
/// The initramfs images get the same file.
///
/// # Errors
/// If the guest cannot be read.
pub(super) fn plan(guest: &Guest<'_>) -> anyhow::Result<Part> {
    let mut part = Part::default();
    for path in FILES {
        let Some(content) = guest.read(path)? else {
            continue;
        };
        let Ok(text) = String::from_utf8(content) else {
            part.warnings
                .push(format!("{path} is left alone: it is not UTF-8 text"));
            continue;
        };
        let Some(edited) = edit(path, &text, &mut part) else {
            continue;
        };
        let mut images: BTreeSet<GuestPath> = BTreeSet::new();
        for image in guest
            .facts()
            .kernels
            .iter()
            .filter_map(|kernel| kernel.initramfs.as_ref())
        {
            images.extend(guest.resolve(image)?);
        }
        for image in images {
            part.changes.push(Change::InitramfsAppend {
                path: image,
                files: vec![InitramfsFile {
                    path: path.into(),
                    mode: 0o644,
                    content: edited.clone().into_bytes(),
                }],
            });
        }
        part.changes.push(Change::Write {
            path: path.into(),
            content: edited.into_bytes(),
            mode: None,
        });
    }
    Ok(part)
}

/// The file as it should be; nothing if it is so already.
fn edit(path: &str, text: &str, part: &mut Part) -> Option<String> {
    let words = words(text);
    let mut edits: Vec<(Range<usize>, String)> = Vec::new();
    let is = |line: &[Range<usize>], keyword: &str| {
        let first = line.first().map_or("", |first| &text[first.clone()]);
        // Keywords may be cut down to three letters.
        first.len() >= 3
            && keyword
                .get(..first.len())
                .is_some_and(|start| start.eq_ignore_ascii_case(first))
    };
    let devices: Vec<&Vec<Range<usize>>> = words.iter().filter(|line| is(line, "device")).collect();
    let admitted: Vec<&str> = devices
        .iter()
        .flat_map(|line| line[1..].iter().map(|word| &text[word.clone()]))
        .collect();
    let old: Vec<&str> = admitted
        .iter()
        .copied()
        .filter(|word| names_old_disk(word))
        .collect();
    let is_open = |word: &str| word == "partitions" || covers(word, "/dev/vda1");
    if let Some(last) = devices.last().and_then(|line| line.last())
        && !old.is_empty()
        && !admitted.iter().any(|word| is_open(word))
    {
        part.reasons.push(format!(
            "{path}: mdadm looks for arrays on {} alone, not on {VIRTIO}",
            old.join(" ")
        ));
        edits.push((last.end..last.end, format!(" {VIRTIO}")));
    }
    for line in words.iter().filter(|line| is(line, "array")) {
        let tag = |name: &str| {
            line.iter().find(|word| {
                let word = &text[(*word).clone()];
                word.get(..name.len())
                    .is_some_and(|start| start.eq_ignore_ascii_case(name))
            })
        };
        let Some(named) = tag("devices=") else {
            continue;
        };
        let list = &text[named.clone()]["devices=".len()..];
        if !list.split(',').any(names_old_disk) {
            continue;
        }
        let array = line.get(1).map_or("?", |word| &text[word.clone()]);
        if IDENTITY.iter().any(|name| tag(name).is_some()) {
            part.reasons.push(format!(
                "{path}: array {array} is to be on {list} alone, and is known without that"
            ));
            let start = text[..named.start].trim_end_matches([' ', '\t']).len();
            edits.push((start..named.end, String::new()));
        } else {
            part.warnings.push(format!(
                "{path}: array {array} is known by the names of its disks ({list}) alone, and left so; \
                 `mdadm --detail --scan` tells its UUID"
            ));
        }
    }
    if edits.is_empty() {
        return None;
    }
    edits.sort_by_key(|(range, _)| range.start);
    let mut edited = text.to_owned();
    for (range, new) in edits.into_iter().rev() {
        edited.replace_range(range, &new);
    }
    Some(edited)
}

/// The words of each line, a line that starts with a space being the last one's continuation, without
/// comments (from a word that starts with `#`, to the end). A word may be quoted; its quotes stay.
fn words(text: &str) -> Vec<Vec<Range<usize>>> {
    let mut lines: Vec<Vec<Range<usize>>> = Vec::new();
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        if !line.starts_with([' ', '\t']) || lines.is_empty() {
            lines.push(Vec::new());
        }
        let mut at = start;
        for word in line.split([' ', '\t', '\n', '\r']) {
            if word.starts_with('#') {
                break;
            }
            if let (false, Some(words)) = (word.is_empty(), lines.last_mut()) {
                words.push(at..at + word.len());
            }
            at += word.len() + 1;
        }
        start += line.len();
    }
    lines.retain(|words| !words.is_empty());
    lines
}

/// A disk of the old hardware, or a pattern of such.
fn names_old_disk(word: &str) -> bool {
    let plain = word.replace("[0-9]", "1").replace(['*', '?'], "a");
    Place::of(word).is_some()
        || Place::of(&plain).is_some()
        || ["/dev/sd", "/dev/hd", "/dev/xvd", "/dev/nvme"]
            .iter()
            .any(|prefix| word.starts_with(prefix))
}

/// Whether the pattern (glob(7)) matches the name.
fn covers(pattern: &str, name: &str) -> bool {
    let mut regex = String::from("^");
    for c in pattern.chars() {
        match c {
            '*' => regex.push_str("[^/]*"),
            '?' => regex.push_str("[^/]"),
            '[' | ']' | '-' => regex.push(c),
            c => regex.push_str(&regex::escape(&c.to_string())),
        }
    }
    regex.push('$');
    Regex::new(&regex).is_ok_and(|regex| regex.is_match(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_shuts_virtio_out_is_edited() {
        let array = "ARRAY /dev/md0 UUID=1:2:3:4";
        for (before, after) in [
            ("DEVICE partitions\n", None),
            ("# DEVICE /dev/sda1\n", None),
            ("DEVICE /dev/sd* /dev/vd*\n", None),
            ("DEVICE /dev/[sv]d[a-z]*\n", None),
            ("DEVICE /dev/md/imsm\n", None),
            ("DEVICE /dev/sd*\n", Some("DEVICE /dev/sd* /dev/vd*\n")),
            (
                "dev /dev/sda1 # first\n  /dev/sdb1\nMAILADDR root\n",
                Some("dev /dev/sda1 # first\n  /dev/sdb1 /dev/vd*\nMAILADDR root\n"),
            ),
            (
                &format!("{array} devices=/dev/sda1,/dev/sdb1 metadata=1.2"),
                Some(&format!("{array} metadata=1.2")),
            ),
            (&format!("{array} devices=/dev/mapper/x,/dev/dm-1"), None),
            ("ARRAY /dev/md0 devices=/dev/sda1,/dev/sdb1\n", None),
        ] {
            let mut part = Part::default();
            let edited = edit("/etc/mdadm.conf", before, &mut part);
            assert_eq!(edited.as_deref(), after, "{before}");
            assert_eq!(part.reasons.is_empty(), after.is_none(), "{before}");
            if let Some(edited) = edited {
                assert_eq!(edit("/etc/mdadm.conf", &edited, &mut part), None);
            }
        }
    }

    #[test]
    fn an_array_known_by_its_disks_alone_is_told() {
        let mut part = Part::default();
        edit("/x", "ARRAY /dev/md0 devices=/dev/sda1\n", &mut part);
        assert!(part.warnings[0].contains("/dev/md0"), "{part:?}");
    }
}
