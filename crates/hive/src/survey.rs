//! The walk over everything in a hive, which decides whether it is sound.
//!
//! What could send a reader or the editor astray is refused: a reference to no cell, a cell with two owners, a record
//! that does not fit into its cell, a count that does not match. What is merely untidy, and found in hives that Windows
//! runs with, is counted, so that an edit can be seen to add none.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use crate::cells::CellMap;
use crate::data::{self, Place};
use crate::error::{HiveError, unsound};
use crate::image::{Image, NIL, u16_at, u32_at};
use crate::key::{key_name, value_name};
use crate::lists::{self, ListKind, entries};
use crate::name;
use crate::path::MAX_DEPTH;
use crate::record::{db, nk, sk, vk};

/// What a walk found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Survey {
    /// Security descriptors in use, with the number of keys that use each.
    pub(crate) security: BTreeMap<u32, u32>,
    pub(crate) blemishes: Blemishes,
}

/// How often each untidiness was met.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Blemishes {
    /// Keys whose subkeys are not in Windows' order, or whose names are not unique.
    pub(crate) unsorted: usize,
    /// Entries of `lf` and `lh` lists whose hint or hash is wrong.
    pub(crate) hints: usize,
    /// Keys that name another parent than the one that lists them.
    pub(crate) parents: usize,
    /// Security descriptors with a wrong number of references.
    pub(crate) references: usize,
    /// Security descriptors with broken links to their neighbours.
    pub(crate) links: usize,
    /// Keys with a subkey or a value longer than they say.
    pub(crate) maxima: usize,
}

impl Blemishes {
    /// The first kind of untidiness that there is more of than before.
    pub(crate) fn worse_than(&self, before: &Blemishes) -> Option<&'static str> {
        [
            (
                self.unsorted,
                before.unsorted,
                "a list of subkeys is out of order",
            ),
            (
                self.hints,
                before.hints,
                "a hash in a list of subkeys is wrong",
            ),
            (self.parents, before.parents, "a key names a wrong parent"),
            (
                self.references,
                before.references,
                "a security descriptor's count of keys is wrong",
            ),
            (
                self.links,
                before.links,
                "the list of security descriptors is broken",
            ),
            (
                self.maxima,
                before.maxima,
                "a key's longest name or data is wrong",
            ),
        ]
        .into_iter()
        .find_map(|(now, before, what)| (now > before).then_some(what))
    }
}

/// Walks the whole hive.
pub(crate) fn survey(image: &Image) -> Result<Survey, HiveError> {
    let mut walk = Walk {
        image,
        cells: CellMap::of(image)?,
        found: Survey::default(),
    };
    let root = image.root();
    let mut waiting = vec![(root, NIL, 0)];
    while let Some((key, parent, depth)) = waiting.pop() {
        if depth > MAX_DEPTH {
            return Err(unsound(key, "keys are nested deeper than 512 levels"));
        }
        walk.key(key, parent)?;
        for child in walk.subkeys(key)? {
            waiting.push((child, key, depth + 1));
        }
    }
    walk.links()?;
    Ok(walk.found)
}

struct Walk<'h> {
    image: &'h Image,
    cells: CellMap,
    found: Survey,
}

impl Walk<'_> {
    /// A key's own record, and its values.
    fn key(&mut self, key: u32, parent: u32) -> Result<(), HiveError> {
        self.cells.claim(
            key,
            "a key should be here, and only one parent should list it",
        )?;
        let cell = self.image.cell(key).unwrap_or_default();
        if !cell.starts_with(nk::SIGNATURE) || cell.len() < nk::NAME {
            return Err(unsound(key, "a key should be here"));
        }
        let length = u16_at(cell, nk::NAME_LENGTH).map_or(0, usize::from);
        if cell.len() < nk::NAME + length {
            return Err(unsound(key, "a key's name is longer than its cell"));
        }
        let field = |at| u32_at(cell, at).unwrap_or_default();
        if parent != NIL && field(nk::PARENT) != parent {
            self.found.blemishes.parents += 1;
        }
        let class = u16_at(cell, nk::CLASS_LENGTH).map_or(0, usize::from);
        if class > 0 {
            self.claim(
                field(nk::CLASS),
                class,
                "a class name is missing or cut short",
            )?;
        }
        self.security(key, field(nk::SECURITY))?;
        self.values(key, field(nk::VALUES), field(nk::VALUE_LIST))
    }

    fn security(&mut self, key: u32, offset: u32) -> Result<(), HiveError> {
        // Hives made by programs may have none.
        if offset == NIL {
            return Ok(());
        }
        if let Some(count) = self.found.security.get_mut(&offset) {
            *count += 1;
            return Ok(());
        }
        self.cells
            .claim(offset, "a key's security descriptor is missing")?;
        let cell = self.image.cell(offset).unwrap_or_default();
        let length = u32_at(cell, sk::LENGTH).map(|length| length as usize);
        if !cell.starts_with(sk::SIGNATURE)
            || length.is_none_or(|length| length > cell.len() - sk::DESCRIPTOR)
        {
            return Err(unsound(
                key,
                "a key's security descriptor is missing or cut short",
            ));
        }
        self.found.security.insert(offset, 1);
        Ok(())
    }

    fn values(&mut self, key: u32, count: u32, list: u32) -> Result<(), HiveError> {
        if count == 0 {
            // Windows leaves NIL; a leftover list is nobody's, and is not looked at.
            return Ok(());
        }
        let length = (count as usize).saturating_mul(4);
        self.claim(list, length, "a list of values is missing or cut short")?;
        let entries = self
            .image
            .cell(list)
            .and_then(|cell| cell.get(..length))
            .unwrap_or_default();
        let cell = self.image.cell(key).unwrap_or_default();
        let mut too_long = false;
        for value in entries.chunks_exact(4).filter_map(|entry| u32_at(entry, 0)) {
            let (name, data) = self.value(value)?;
            too_long |=
                u32_at(cell, nk::MAX_VALUE_NAME).is_some_and(|max| (max as usize) < name * 2);
            too_long |= u32_at(cell, nk::MAX_VALUE_DATA).is_some_and(|max| (max as usize) < data);
        }
        self.found.blemishes.maxima += usize::from(too_long);
        Ok(())
    }

    /// Checks a value; tells the lengths of its name (in units) and its data.
    fn value(&mut self, value: u32) -> Result<(usize, usize), HiveError> {
        self.cells.claim(
            value,
            "a value should be here, and only one key should list it",
        )?;
        let cell = self.image.cell(value).unwrap_or_default();
        let length = u16_at(cell, vk::NAME_LENGTH).map_or(0, usize::from);
        if !cell.starts_with(vk::SIGNATURE) || cell.len() < vk::NAME + length {
            return Err(unsound(value, "a value should be here"));
        }
        let Some(place) = data::place(self.image, cell) else {
            return Err(unsound(value, "a value's data is missing or cut short"));
        };
        let data = match place {
            Place::Inline(length) => length,
            Place::Cell { offset, length } => {
                self.claim(offset, length, "a value's data is missing or cut short")?;
                length
            }
            Place::Segments { offset, length } => {
                self.segments(offset, length)?;
                length
            }
        };
        Ok((value_name(cell).len(), data))
    }

    fn segments(&mut self, record: u32, length: usize) -> Result<(), HiveError> {
        const WHAT: &str = "the segments of a value's data are missing or cut short";
        self.claim(record, db::LIST + 4, WHAT)?;
        let (list, segments) = data::segments(self.image, record).ok_or(unsound(record, WHAT))?;
        if segments.len() != length.div_ceil(db::SEGMENT) {
            return Err(unsound(record, WHAT));
        }
        self.claim(list, segments.len() * 4, WHAT)?;
        let mut rest = length;
        for segment in segments {
            let take = rest.min(db::SEGMENT);
            self.claim(segment, take, WHAT)?;
            rest -= take;
        }
        Ok(())
    }

    /// A key's lists of subkeys; gives the subkeys.
    fn subkeys(&mut self, key: u32) -> Result<Vec<u32>, HiveError> {
        const WHAT: &str = "a list of subkeys is missing, cut short, or shared";
        let field = |at| self.image.u32(key, at).unwrap_or_default();
        let (count, top) = (field(nk::SUBKEYS) as usize, field(nk::SUBKEY_LIST));
        if count == 0 {
            return Ok(Vec::new());
        }
        self.claim(top, 4, WHAT)?;
        let kind = self
            .image
            .cell(top)
            .and_then(entries)
            .ok_or(unsound(top, WHAT))?
            .0;
        let leaves = lists::leaves(self.image, key);
        let mut keys = Vec::new();
        for leaf in leaves {
            if kind == ListKind::Root {
                self.claim(leaf, 4, WHAT)?;
            }
            let (kind, entries) = self
                .image
                .cell(leaf)
                .and_then(entries)
                .ok_or(unsound(leaf, WHAT))?;
            if kind == ListKind::Root {
                return Err(unsound(
                    leaf,
                    "a list of lists of subkeys lists another such",
                ));
            }
            for entry in entries {
                let child = u32_at(entry, 0).unwrap_or(NIL);
                if !self.cells.has(child) {
                    return Err(unsound(
                        leaf,
                        "a list of subkeys names what is no key, or one twice",
                    ));
                }
                self.hint(kind, child, u32_at(entry, 4).unwrap_or_default());
                keys.push(child);
            }
        }
        if keys.len() != count {
            return Err(unsound(
                key,
                "a key's number of subkeys is not that of its list",
            ));
        }
        self.order(key, &keys);
        Ok(keys)
    }

    /// Compares what a list keeps beside a key with the key's name.
    fn hint(&mut self, kind: ListKind, key: u32, kept: u32) {
        let name = key_name(self.image.cell(key).unwrap_or_default());
        let right = match kind {
            ListKind::Hash => kept == name::hash(name.units()),
            // Some writers hint at names that are not Latin-1 in other ways; Windows looks at a first byte of 0.
            ListKind::Fast => kept & 0xff == 0 || kept.to_le_bytes() == name::hint(name.units()),
            ListKind::Index | ListKind::Root => true,
        };
        self.found.blemishes.hints += usize::from(!right);
    }

    /// Compares the order of the subkeys, and the longest of their names, with what should be.
    fn order(&mut self, key: u32, keys: &[u32]) {
        let name = |key: &u32| key_name(self.image.cell(*key).unwrap_or_default());
        let sorted = keys
            .windows(2)
            .all(|pair| name(&pair[0]).order(name(&pair[1]).units()).is_lt());
        self.found.blemishes.unsorted += usize::from(!sorted);
        let longest = keys
            .iter()
            .map(|key| name(key).len() * 2)
            .max()
            .unwrap_or_default();
        let max = self
            .image
            .u16(key, nk::MAX_SUBKEY_NAME)
            .map_or(0, usize::from);
        self.found.blemishes.maxima += usize::from(max < longest);
    }

    /// The list of security descriptors and their counters.
    fn links(&mut self) -> Result<(), HiveError> {
        for (offset, count) in &self.found.security {
            let field = |at| self.image.u32(*offset, at).unwrap_or_default();
            let (next, previous) = (field(sk::NEXT), field(sk::PREVIOUS));
            let linked = |to: u32, back| {
                self.image.cell(to).is_some_and(|cell| {
                    cell.starts_with(sk::SIGNATURE) && u32_at(cell, back) == Some(*offset)
                })
            };
            if !linked(next, sk::PREVIOUS) || !linked(previous, sk::NEXT) {
                self.found.blemishes.links += 1;
            }
            if field(sk::REFERENCES) != *count {
                self.found.blemishes.references += 1;
            }
        }
        Ok(())
    }

    /// Claims a cell that must have at least `length` bytes of contents.
    fn claim(&mut self, offset: u32, length: usize, what: &'static str) -> Result<(), HiveError> {
        self.cells.claim(offset, what)?;
        match self.image.cell(offset) {
            Some(cell) if cell.len() >= length => Ok(()),
            _ => Err(unsound(offset, what)),
        }
    }
}
