//! Volume descriptors and path tables.

use crate::directory::root_record;
use crate::fields::{NO_TIME, SECTOR, Time, both16, both32, ucs2};

/// Bytes of the root directory's entry, the only one, in a path table (ECMA-119 9.4).
const PATH_TABLE: u32 = 10;

/// What a descriptor says of its volume.
#[derive(Debug)]
pub(crate) struct Volume<'a> {
    pub(crate) label: &'a str,
    pub(crate) time: i64,
    /// Sectors of the whole image.
    pub(crate) total: u32,
    /// Sector of the path table in little-endian order; the other one follows.
    pub(crate) tables: u32,
    /// Sector of the root directory.
    pub(crate) root: u32,
    /// Bytes of the root directory.
    pub(crate) root_size: u32,
    /// Whether it is the supplementary descriptor that Joliet is.
    pub(crate) joliet: bool,
}

/// A primary (ECMA-119 8.4) or supplementary (8.5) descriptor.
pub(crate) fn descriptor(volume: &Volume<'_>) -> Vec<u8> {
    let mut bytes = header(if volume.joliet { 2 } else { 1 });
    bytes.push(0);
    text(&mut bytes, volume.joliet, "", 32);
    text(&mut bytes, volume.joliet, volume.label, 32);
    bytes.extend([0; 8]);
    bytes.extend(both32(volume.total));
    let mut escapes = [0; 32];
    if volume.joliet {
        // UCS-2 level 3.
        escapes[..3].copy_from_slice(b"%/E");
    }
    bytes.extend(escapes);
    bytes.extend(both16(1));
    bytes.extend(both16(1));
    bytes.extend(both16(SECTOR as u16));
    bytes.extend(both32(PATH_TABLE));
    bytes.extend(volume.tables.to_le_bytes());
    bytes.extend([0; 4]);
    bytes.extend((volume.tables + 1).to_be_bytes());
    bytes.extend([0; 4]);
    let time = Time::new(volume.time);
    bytes.extend(root_record(volume.root, volume.root_size, time));
    for (value, len) in [
        ("", 128),
        ("", 128),
        ("", 128),
        ("REFIT", 128),
        ("", 37),
        ("", 37),
        ("", 37),
    ] {
        text(&mut bytes, volume.joliet, value, len);
    }
    bytes.extend(time.long());
    bytes.extend(time.long());
    bytes.extend(NO_TIME);
    bytes.extend(time.long());
    bytes.push(1);
    bytes.resize(SECTOR, 0);
    bytes
}

/// The descriptor after the last one (ECMA-119 8.3).
pub(crate) fn terminator() -> Vec<u8> {
    let mut bytes = header(255);
    bytes.resize(SECTOR, 0);
    bytes
}

/// A path table of the root directory alone; the numbers come in the table's byte order.
pub(crate) fn path_table(root: [u8; 4], parent: [u8; 2]) -> Vec<u8> {
    let mut bytes = vec![1, 0];
    bytes.extend(root);
    bytes.extend(parent);
    bytes.resize(SECTOR, 0);
    bytes
}

fn header(kind: u8) -> Vec<u8> {
    let mut bytes = vec![kind];
    bytes.extend(b"CD001\x01");
    bytes
}

/// A text of `len` bytes, filled with spaces.
fn text(bytes: &mut Vec<u8>, joliet: bool, value: &str, len: usize) {
    let end = bytes.len() + len;
    if joliet {
        bytes.extend(ucs2(value));
        while bytes.len() + 2 <= end {
            bytes.extend([0, b' ']);
        }
        bytes.resize(end, 0);
    } else {
        bytes.extend_from_slice(value.as_bytes());
        bytes.resize(end, b' ');
    }
}
