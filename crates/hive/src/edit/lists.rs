//! Lists of subkeys, as they are edited.
//!
//! A list begins as one leaf. Windows makes hash leaves (`lh`) from version 1.5 on, fast leaves (`lf`) before; a fast
//! leaf that would fill more than a page turns into a plain one (`li`), and a leaf above 1012 entries is halved, with an
//! `ri` above the halves.

use crate::edit::Editor;
use crate::error::HiveError;
use crate::image::{NIL, put, put_u16, u32_at};
use crate::key::key_name;
use crate::lists::{self, ListKind, entries};
use crate::name;
use crate::record::{list, nk};

/// Entries above which a fast leaf becomes a plain one.
const MAX_FAST: usize = 507;
/// Entries above which a leaf is halved.
const MAX_LEAF: usize = 1012;

/// A list out of its cell.
struct Entries {
    kind: ListKind,
    bytes: Vec<u8>,
}

impl Entries {
    fn len(&self) -> usize {
        self.bytes.len() / self.kind.entry()
    }

    fn offset(&self, index: usize) -> u32 {
        u32_at(&self.bytes, index * self.kind.entry()).unwrap_or(NIL)
    }

    fn insert(&mut self, index: usize, entry: &[u8]) {
        let at = index * self.kind.entry();
        self.bytes.splice(at..at, entry.iter().copied());
    }

    fn remove(&mut self, index: usize) {
        let at = index * self.kind.entry();
        self.bytes.drain(at..at + self.kind.entry());
    }

    fn position(&self, offset: u32) -> Option<usize> {
        (0..self.len()).find(|index| self.offset(*index) == offset)
    }
}

const LOST: HiveError = HiveError::Unsound {
    at: 0,
    what: "a list of subkeys lost an entry during an edit",
};

impl Editor<'_> {
    fn entries(&self, cell: u32) -> Result<Entries, HiveError> {
        let (kind, entries) = self.image.cell(cell).and_then(entries).ok_or(LOST)?;
        Ok(Entries {
            kind,
            bytes: entries.flatten().copied().collect(),
        })
    }

    /// Adds a key to its parent's list, and counts it.
    pub(super) fn list_key(
        &mut self,
        parent: u32,
        key: u32,
        name: &[u16],
    ) -> Result<(), HiveError> {
        let count = self.image.u32(parent, nk::SUBKEYS).unwrap_or_default();
        let leaves = lists::leaves(self.image, parent);
        if leaves.is_empty() {
            let kind = match self.image.minor() {
                5.. => ListKind::Hash,
                _ => ListKind::Fast,
            };
            let bytes = entry(kind, key, name);
            let leaf = self.write(None, &Entries { kind, bytes })?;
            self.image.set_u32(parent, nk::SUBKEY_LIST, leaf);
            self.image.set_u32(parent, nk::SUBKEYS, 1);
            return Ok(());
        }
        // The first leaf that ends behind the name, else the last.
        let behind = |editor: &Self, key: u32| {
            let cell = editor.image.cell(key).unwrap_or_default();
            key_name(cell).order(name.iter().copied()).is_gt()
        };
        let index = leaves
            .partition_point(|leaf| {
                lists::leaf_keys(self.image, *leaf)
                    .last()
                    .is_none_or(|last| !behind(self, *last))
            })
            .min(leaves.len() - 1);
        let leaf = leaves[index];
        let mut entries = self.entries(leaf)?;
        let keys = lists::leaf_keys(self.image, leaf);
        let place = keys.partition_point(|key| !behind(self, *key));
        entries.insert(place, &entry(entries.kind, key, name));
        if entries.kind == ListKind::Fast && entries.len() > MAX_FAST {
            let bytes = entries
                .bytes
                .chunks_exact(8)
                .flat_map(|entry| &entry[..4])
                .copied();
            entries = Entries {
                kind: ListKind::Index,
                bytes: bytes.collect(),
            };
        }
        let second = match entries.len() > MAX_LEAF {
            true => {
                let half = entries.len() / 2 * entries.kind.entry();
                let bytes = entries.bytes.split_off(half);
                Some(self.write(
                    None,
                    &Entries {
                        kind: entries.kind,
                        bytes,
                    },
                )?)
            }
            false => None,
        };
        let first = self.write(Some(leaf), &entries)?;
        self.relink(parent, index, leaf, first, second)?;
        self.image.set_u32(parent, nk::SUBKEYS, count + 1);
        Ok(())
    }

    /// Enters a leaf's new place, and the second half of one that was split, into what refers to the leaf.
    fn relink(
        &mut self,
        parent: u32,
        index: usize,
        old: u32,
        first: u32,
        second: Option<u32>,
    ) -> Result<(), HiveError> {
        let top = self.image.u32(parent, nk::SUBKEY_LIST).unwrap_or(NIL);
        let top_is_root = top != old;
        if first == old && second.is_none() {
            return Ok(());
        }
        let new_top = match (top_is_root, second) {
            (false, None) => first,
            (false, Some(second)) => {
                let bytes = [first.to_le_bytes(), second.to_le_bytes()].concat();
                self.write(
                    None,
                    &Entries {
                        kind: ListKind::Root,
                        bytes,
                    },
                )?
            }
            (true, second) => {
                let mut root = self.entries(top)?;
                put(&mut root.bytes, index * 4, &first.to_le_bytes());
                if let Some(second) = second {
                    root.insert(index + 1, &second.to_le_bytes());
                }
                self.write(Some(top), &root)?
            }
        };
        self.image.set_u32(parent, nk::SUBKEY_LIST, new_top);
        Ok(())
    }

    /// Takes a key off its parent's list, and counts it off.
    pub(super) fn unlist_key(&mut self, parent: u32, key: u32) -> Result<(), HiveError> {
        let count = self.image.u32(parent, nk::SUBKEYS).unwrap_or_default();
        let top = self.image.u32(parent, nk::SUBKEY_LIST).unwrap_or(NIL);
        let leaves = lists::leaves(self.image, parent);
        let (index, leaf, place) = leaves
            .iter()
            .zip(0..)
            .find_map(|(leaf, index)| {
                let place = self.entries(*leaf).ok()?.position(key)?;
                Some((index, *leaf, place))
            })
            .ok_or(LOST)?;
        let mut entries = self.entries(leaf)?;
        entries.remove(place);
        if entries.len() > 0 {
            self.write(Some(leaf), &entries)?;
        } else {
            self.free(leaf);
            let mut new_top = NIL;
            if top != leaf {
                let mut root = self.entries(top)?;
                root.remove(index);
                match root.len() {
                    0 => self.free(top),
                    _ => new_top = self.write(Some(top), &root)?,
                }
            }
            self.image.set_u32(parent, nk::SUBKEY_LIST, new_top);
        }
        self.image
            .set_u32(parent, nk::SUBKEYS, count.saturating_sub(1));
        Ok(())
    }

    /// Frees the lists of a key that goes away.
    pub(super) fn free_lists(&mut self, key: u32) {
        let top = self.image.u32(key, nk::SUBKEY_LIST).unwrap_or(NIL);
        let leaves = lists::leaves(self.image, key);
        let split = !leaves.contains(&top);
        for leaf in &leaves {
            self.free(*leaf);
        }
        if split && !leaves.is_empty() {
            self.free(top);
        }
    }

    /// Writes a list into its cell if it fits, else into a new one with some room; gives the cell.
    fn write(&mut self, cell: Option<u32>, entries: &Entries) -> Result<u32, HiveError> {
        let length = list::ENTRIES + entries.bytes.len();
        let count = u16::try_from(entries.len())
            .map_err(|_| HiveError::Limit("a list of subkeys has more than 65535 entries"))?;
        let fits = cell.filter(|cell| {
            self.image
                .cell(*cell)
                .is_some_and(|room| room.len() >= length)
        });
        let to = match (fits, cell) {
            (Some(cell), _) => cell,
            // A list that grew once grows again.
            (None, Some(_)) => self.allocate(length + length / 4)?,
            (None, None) => self.allocate(length)?,
        };
        if let Some(room) = self.image.cell_mut(to) {
            room.fill(0);
            put(room, 0, entries.kind.signature());
            put_u16(room, list::COUNT, count);
            put(room, list::ENTRIES, &entries.bytes);
        }
        if let Some(old) = cell.filter(|old| *old != to) {
            self.free(old);
        }
        Ok(to)
    }
}

/// A list's entry for a key.
fn entry(kind: ListKind, key: u32, name: &[u16]) -> Vec<u8> {
    let units = name.iter().copied();
    let beside = match kind {
        ListKind::Hash => name::hash(units).to_le_bytes().to_vec(),
        ListKind::Fast => name::hint(units).to_vec(),
        ListKind::Index | ListKind::Root => Vec::new(),
    };
    [key.to_le_bytes().to_vec(), beside].concat()
}
