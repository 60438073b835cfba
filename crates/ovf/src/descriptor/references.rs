//! `References`, `DiskSection` and `NetworkSection`, and what they owe one another.

use std::collections::{HashMap, HashSet};

use refit_machine::xml::Element;

use super::context::{Problems, attribute, children, filled, text};
use super::units::unit_bytes;
use super::{Capacity, Compression, Disk, File, Network};
use crate::archive::name::{self, Href};

/// Largest virtual disk in bytes: what qemu can address.
const MAX_CAPACITY: u64 = i64::MAX as u64;

pub(super) fn files(references: &Element, problems: &mut Problems) -> Vec<File> {
    let mut seen = HashSet::new();
    children(references, "File")
        .map(|element| {
            let id = filled(element, "id").unwrap_or_default().to_owned();
            if id.is_empty() {
                problems.error("ref.id", element, "a File must have an id".to_owned());
            } else {
                problems.unique(&mut seen, &id, "ref.dup", element, "the File id");
            }
            let href = filled(element, "href").unwrap_or_default().to_owned();
            match name::classify(&href) {
                Ok(Href::Inside(_)) => {}
                Ok(Href::Url) => problems.error(
                    "ref.url",
                    element,
                    format!(
                        "{href:?} is an address on a network, which is not fetched; download the file, \
                         put it beside the descriptor and change href"
                    ),
                ),
                Err(why) => problems.error("ref.unsafe", element, format!("href {href:?} {why}")),
            }
            let compression = match filled(element, "compression").map(str::to_ascii_lowercase) {
                None => Compression::None,
                Some(word) if word == "identity" => Compression::None,
                Some(word) if word == "gzip" => Compression::Gzip,
                Some(word) => {
                    problems.error(
                        "ref.compression",
                        element,
                        format!("compression {word:?} is not known; gzip and identity are"),
                    );
                    Compression::Other(word)
                }
            };
            let chunk_size = match filled(element, "chunkSize") {
                None => None,
                Some(size) => {
                    let parsed = size.parse().ok().filter(|size: &u64| *size > 0);
                    if parsed.is_none() {
                        problems.error(
                            "chunk.size",
                            element,
                            format!("chunkSize is {size:?} instead of a positive number of bytes"),
                        );
                    }
                    parsed
                }
            };
            File {
                id,
                size: problems.number(element, "size", "ref.size"),
                href,
                compression,
                chunk_size,
                place: element.place,
            }
        })
        .collect()
}

pub(super) fn disks(section: &Element, files: &[File], problems: &mut Problems) -> Vec<Disk> {
    let known: HashSet<&str> = files.iter().map(|file| file.id.as_str()).collect();
    let mut seen = HashSet::new();
    let disks: Vec<(Disk, &Element)> = children(section, "Disk")
        .map(|element| {
            let id = filled(element, "diskId").unwrap_or_default().to_owned();
            if id.is_empty() {
                problems.error("disk.id", element, "a Disk must have a diskId".to_owned());
            } else {
                problems.unique(&mut seen, &id, "disk.dup", element, "the diskId");
            }
            let file = filled(element, "fileRef").map(str::to_owned);
            if let Some(file) = file.as_deref().filter(|file| !known.contains(file)) {
                problems.error(
                    "disk.file",
                    element,
                    format!("fileRef {file:?} is the id of no File in References"),
                );
            }
            let format = filled(element, "format").map(str::to_owned);
            if format.is_none() {
                problems.warn(
                    "disk.format",
                    element,
                    "a Disk must have a format; the file itself tells what it is".to_owned(),
                );
            }
            let disk = Disk {
                capacity: capacity(element, problems),
                populated_size: problems.number(element, "populatedSize", "disk.populated"),
                parent: filled(element, "parentRef").map(str::to_owned),
                id,
                file,
                format,
                place: element.place,
            };
            if let (Capacity::Bytes(capacity), Some(populated)) =
                (&disk.capacity, disk.populated_size)
                && populated > *capacity
            {
                problems.warn(
                    "disk.populated",
                    element,
                    format!("populatedSize {populated} is more than the capacity {capacity}"),
                );
            }
            (disk, element)
        })
        .collect();
    parents(&disks, problems);
    disks.into_iter().map(|(disk, _)| disk).collect()
}

fn capacity(element: &Element, problems: &mut Problems) -> Capacity {
    let unit_name = filled(element, "capacityAllocationUnits").unwrap_or("byte");
    let Some(unit) = unit_bytes(unit_name) else {
        problems.error(
            "disk.capacity",
            element,
            format!(
                "capacityAllocationUnits {unit_name:?} is no unit of bytes such as \"byte * 2^30\""
            ),
        );
        return Capacity::Unknown;
    };
    let Some(written) = filled(element, "capacity") else {
        problems.error(
            "disk.capacity",
            element,
            "a Disk must have a capacity".to_owned(),
        );
        return Capacity::Unknown;
    };
    if let Some(key) = written
        .strip_prefix("${")
        .and_then(|rest| rest.strip_suffix('}'))
    {
        return Capacity::Property {
            key: key.trim().to_owned(),
            unit,
        };
    }
    let size = written
        .parse::<u64>()
        .ok()
        .filter(|size| *size > 0)
        .and_then(|size| size.checked_mul(unit))
        .filter(|size| *size <= MAX_CAPACITY);
    size.map_or_else(
        || {
            problems.error(
                "disk.capacity",
                element,
                format!(
                    "capacity {written:?} in units of {unit_name:?} is no size of a disk: it must be a \
                     positive whole number of at most 8 EiB, or ${{PROPERTY}}"
                ),
            );
            Capacity::Unknown
        },
        Capacity::Bytes,
    )
}

/// Every parent exists, and no disk is its own ancestor.
fn parents(disks: &[(Disk, &Element)], problems: &mut Problems) {
    let parents: HashMap<&str, Option<&str>> = disks
        .iter()
        .map(|(disk, _)| (disk.id.as_str(), disk.parent.as_deref()))
        .collect();
    for (disk, element) in disks {
        let Some(parent) = disk.parent.as_deref() else {
            continue;
        };
        if !parents.contains_key(parent) {
            problems.error(
                "disk.parent",
                element,
                format!("parentRef {parent:?} is the diskId of no Disk"),
            );
        }
        // Only members of the circle itself are told, or a long chain would take quadratic time.
        let mut at = Some(parent);
        let mut steps = 0;
        while let Some(id) = at {
            if id == disk.id {
                problems.error(
                    "disk.parent",
                    element,
                    "its parentRef leads back to itself".to_owned(),
                );
                break;
            }
            steps += 1;
            if steps > 64 {
                problems.error(
                    "disk.parent",
                    element,
                    "it has more than 64 ancestors by parentRef".to_owned(),
                );
                break;
            }
            at = parents.get(id).copied().flatten();
        }
    }
}

pub(super) fn networks(section: &Element, problems: &mut Problems) -> Vec<Network> {
    let mut seen = HashSet::new();
    children(section, "Network")
        .map(|element| {
            let name = attribute(element, "name").unwrap_or_default().to_owned();
            if name.is_empty() {
                problems.warn("net.name", element, "a Network must have a name".to_owned());
            } else if !seen.insert(name.clone()) {
                problems.warn(
                    "net.dup",
                    element,
                    format!("the network {name:?} is declared twice"),
                );
            }
            Network {
                name,
                description: text(element, "Description"),
                place: element.place,
            }
        })
        .collect()
}
