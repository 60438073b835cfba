//! Lists of subkeys, as they are read.

use crate::image::{Image, NIL, u16_at, u32_at};
use crate::record::{list, nk};

/// What kind of list a cell holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ListKind {
    /// `li`: offsets of keys.
    Index,
    /// `lf`: with the first four characters of each name.
    Fast,
    /// `lh`: with a hash of each name.
    Hash,
    /// `ri`: offsets of leaves.
    Root,
}

impl ListKind {
    pub(crate) fn of(cell: &[u8]) -> Option<ListKind> {
        match cell.get(..2)? {
            b"li" => Some(ListKind::Index),
            b"lf" => Some(ListKind::Fast),
            b"lh" => Some(ListKind::Hash),
            b"ri" => Some(ListKind::Root),
            _ => None,
        }
    }

    pub(crate) fn signature(self) -> &'static [u8; 2] {
        match self {
            ListKind::Index => b"li",
            ListKind::Fast => b"lf",
            ListKind::Hash => b"lh",
            ListKind::Root => b"ri",
        }
    }

    /// Length of one entry in bytes.
    pub(crate) fn entry(self) -> usize {
        match self {
            ListKind::Index | ListKind::Root => 4,
            ListKind::Fast | ListKind::Hash => 8,
        }
    }
}

/// The entries of a list's cell; `None` when they do not fit into it.
pub(crate) fn entries(cell: &[u8]) -> Option<(ListKind, std::slice::ChunksExact<'_, u8>)> {
    let kind = ListKind::of(cell)?;
    let count = usize::from(u16_at(cell, list::COUNT)?);
    let length = count * kind.entry();
    let entries = cell.get(list::ENTRIES..list::ENTRIES + length)?;
    Some((kind, entries.chunks_exact(kind.entry())))
}

/// The leaves of a key's list, in order; empty when it has no subkeys on disk.
pub(crate) fn leaves(image: &Image, key: u32) -> Vec<u32> {
    let top = image.u32(key, nk::SUBKEY_LIST).unwrap_or(NIL);
    // A key whose subkeys were all volatile keeps the number, but no list.
    if top == NIL || image.u32(key, nk::SUBKEYS).unwrap_or_default() == 0 {
        return Vec::new();
    }
    match image.cell(top).and_then(entries) {
        Some((ListKind::Root, entries)) => entries.filter_map(|entry| u32_at(entry, 0)).collect(),
        Some(_) => vec![top],
        None => Vec::new(),
    }
}

/// The keys in a leaf.
pub(crate) fn leaf_keys(image: &Image, leaf: u32) -> Vec<u32> {
    match image.cell(leaf).and_then(entries) {
        Some((kind, entries)) if kind != ListKind::Root => {
            entries.filter_map(|entry| u32_at(entry, 0)).collect()
        }
        _ => Vec::new(),
    }
}

/// The subkeys of a key, in order.
pub(crate) fn keys(image: &Image, key: u32) -> Vec<u32> {
    leaves(image, key)
        .into_iter()
        .flat_map(|leaf| leaf_keys(image, leaf))
        .collect()
}
