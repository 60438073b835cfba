//! Keys as they are read.

use crate::hive::Hive;
use crate::image::{Image, u16_at, u32_at, u64_at};
use crate::name::{StoredName, wide};
use crate::record::{nk, vk};
use crate::value::{Value, ValueKind, units};
use crate::{data, lists};

/// A key of a hive.
#[derive(Clone, Copy)]
pub struct Key<'h> {
    pub(crate) hive: &'h Hive,
    pub(crate) offset: u32,
}

/// A value with its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedValue {
    /// The name; empty for the key's default value. What is not UTF-16 is replaced by U+FFFD.
    pub name: String,
    /// Type and data.
    pub value: Value,
}

impl<'h> Key<'h> {
    fn cell(&self) -> &'h [u8] {
        self.hive.image.cell(self.offset).unwrap_or_default()
    }

    fn field(&self, at: usize) -> u32 {
        u32_at(self.cell(), at).unwrap_or_default()
    }

    pub(crate) fn stored_name(&self) -> StoredName<'h> {
        key_name(self.cell())
    }

    /// The key's own name; what is not UTF-16 is replaced by U+FFFD. The root's name means nothing.
    pub fn name(&self) -> String {
        self.stored_name().text()
    }

    /// The subkeys, in the hive's order (sorted without regard to case).
    pub fn subkeys(&self) -> impl ExactSizeIterator<Item = Key<'h>> + use<'h> {
        let hive = self.hive;
        lists::keys(&hive.image, self.offset)
            .into_iter()
            .map(move |offset| Key { hive, offset })
    }

    /// The subkey with this name, without regard to case. `None` also for a path: see [`Key::key`].
    pub fn subkey(&self, name: &str) -> Option<Key<'h>> {
        let hive = self.hive;
        find_key(&hive.image, self.offset, &wide(name)).map(|offset| Key { hive, offset })
    }

    /// The key at a path below this one, as [`Hive::key`] finds it below the root.
    pub fn key(&self, path: &str) -> Option<Key<'h>> {
        crate::path::parts(path).try_fold(*self, |key, part| key.subkey(part))
    }

    /// The values, in the hive's order (that of their creation).
    pub fn values(&self) -> impl ExactSizeIterator<Item = NamedValue> + use<'h> {
        let hive = self.hive;
        self.value_cells()
            .into_iter()
            .map(move |offset| NamedValue {
                name: value_name(hive.image.cell(offset).unwrap_or_default()).text(),
                value: read(hive, offset),
            })
    }

    /// The value with this name, without regard to case; `""` is the default value.
    pub fn value(&self, name: &str) -> Option<Value> {
        let name = wide(name);
        let offset = self.value_cell(&name)?;
        Some(read(self.hive, offset))
    }

    /// The class name, which few keys have (and some of Windows' secrets are kept in).
    pub fn class(&self) -> Option<String> {
        let cell = self.cell();
        let length = usize::from(u16_at(cell, nk::CLASS_LENGTH)?);
        if length == 0 {
            return None;
        }
        let text = self.hive.image.cell(self.field(nk::CLASS))?.get(..length)?;
        Some(String::from_utf16_lossy(&units(text).collect::<Vec<_>>()))
    }

    /// When the key was last written: a FILETIME, units of 100 ns since 1601 in UTC.
    pub fn last_written(&self) -> u64 {
        u64_at(self.cell(), nk::WRITTEN).unwrap_or_default()
    }

    /// Cells of the values, in order.
    pub(crate) fn value_cells(&self) -> Vec<u32> {
        value_cells(&self.hive.image, self.offset)
    }

    /// The cell of the value with this name.
    pub(crate) fn value_cell(&self, name: &[u16]) -> Option<u32> {
        find_value(&self.hive.image, &self.value_cells(), name)
    }
}

impl std::fmt::Debug for Key<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Key")
            .field("name", &self.name())
            .field("offset", &self.offset)
            .finish_non_exhaustive()
    }
}

/// Cells of a key's values, in order.
pub(crate) fn value_cells(image: &Image, key: u32) -> Vec<u32> {
    let count = image.u32(key, nk::VALUES).unwrap_or_default() as usize;
    // Without values there may be a list left over.
    let list = match count {
        0 => None,
        _ => image
            .u32(key, nk::VALUE_LIST)
            .and_then(|list| image.cell(list)),
    };
    list.unwrap_or_default()
        .chunks_exact(4)
        .take(count)
        .filter_map(|entry| u32_at(entry, 0))
        .collect()
}

/// The one of these values that has this name.
pub(crate) fn find_value(image: &Image, values: &[u32], name: &[u16]) -> Option<u32> {
    let named = |offset: &u32| {
        image
            .cell(*offset)
            .is_some_and(|cell| value_name(cell).is(name))
    };
    values.iter().copied().find(named)
}

/// The subkey of a key that has this name. Every one is looked at: a list need not be in order.
pub(crate) fn find_key(image: &Image, key: u32, name: &[u16]) -> Option<u32> {
    let named = |offset: &u32| {
        image
            .cell(*offset)
            .is_some_and(|cell| key_name(cell).is(name))
    };
    lists::keys(image, key).into_iter().find(named)
}

/// The name in a key node's cell.
pub(crate) fn key_name(cell: &[u8]) -> StoredName<'_> {
    let length = u16_at(cell, nk::NAME_LENGTH).map_or(0, usize::from);
    let flags = u16_at(cell, nk::FLAGS).unwrap_or_default();
    StoredName {
        bytes: cell
            .get(nk::NAME..nk::NAME.saturating_add(length))
            .unwrap_or_default(),
        latin: flags & nk::FLAG_LATIN_NAME != 0,
    }
}

/// The name in a value's cell.
pub(crate) fn value_name(cell: &[u8]) -> StoredName<'_> {
    let length = u16_at(cell, vk::NAME_LENGTH).map_or(0, usize::from);
    let flags = u16_at(cell, vk::FLAGS).unwrap_or_default();
    StoredName {
        bytes: cell
            .get(vk::NAME..vk::NAME.saturating_add(length))
            .unwrap_or_default(),
        latin: flags & vk::FLAG_LATIN_NAME != 0,
    }
}

/// A value's type and data.
pub(crate) fn read(hive: &Hive, offset: u32) -> Value {
    let cell = hive.image.cell(offset).unwrap_or_default();
    Value {
        kind: ValueKind::from_number(u32_at(cell, vk::KIND).unwrap_or_default()),
        data: data::read(&hive.image, cell).unwrap_or_default(),
    }
}
