//! Edits of a hive.
//!
//! An edit changes the bytes in place, as Windows does: it reuses free cells, keeps lists sorted with their hashes, and
//! the counters of each key and security descriptor right. What is there already is not written again.

mod blank;
mod keys;
mod lists;
mod security;
pub(crate) mod space;
mod values;

use crate::error::HiveError;
use crate::header;
use crate::hive::Hive;
use crate::image::{Image, put_u32, put_u64, u32_at, u64_at};
use crate::name::wide;
use crate::path;
use crate::record::nk;
use crate::value::Value;
use space::Space;

/// What an edit works on.
struct Editor<'h> {
    image: &'h mut Image,
    space: &'h mut Space,
    /// Keys that use each security descriptor.
    security: &'h mut std::collections::BTreeMap<u32, u32>,
}

impl Hive {
    /// Creates a key, and those above it that are missing. Each gets the security descriptor of its parent.
    ///
    /// # Errors
    ///
    /// [`HiveError::Name`] for a path that the registry does not allow, [`HiveError::Limit`] when the hive is full.
    pub fn create_key(&mut self, path: &str) -> Result<(), HiveError> {
        if self.key(path).is_some() {
            return Ok(());
        }
        let parts = path::checked(path)?;
        self.edit(|editor| editor.create_path(&parts).map(drop))
    }

    /// Sets a value; `""` names the key's default value. Makes the key when it is missing.
    ///
    /// A value that is there keeps its place and the spelling of its name.
    ///
    /// # Errors
    ///
    /// [`HiveError::Name`] for a name that the registry does not allow, [`HiveError::Limit`] for data that is too long
    /// or when the hive is full.
    pub fn set_value(&mut self, path: &str, name: &str, value: &Value) -> Result<(), HiveError> {
        values::check_length(&self.image, value)?;
        let key = self.key(path);
        let old = key.and_then(|key| key.value(name));
        if old.as_ref() == Some(value) {
            return Ok(());
        }
        // What is there has a name that serves, even one that Windows' programs cannot use.
        let parts = match key {
            Some(_) => path::parts(path).map(wide).collect(),
            None => path::checked(path)?,
        };
        let units = match old {
            Some(_) => wide(name),
            None => path::checked_value_name(name)?,
        };
        self.edit(|editor| {
            let key = editor.create_path(&parts)?;
            editor.set_value(key, &units, value)
        })
    }

    /// Deletes a value; tells whether there was one.
    ///
    /// # Errors
    ///
    /// None today for a sound hive; the result leaves room for one.
    pub fn delete_value(&mut self, path: &str, name: &str) -> Result<bool, HiveError> {
        let units = wide(name);
        let Some(key) = self.key(path) else {
            return Ok(false);
        };
        let Some(value) = key.value_cell(&units) else {
            return Ok(false);
        };
        let key = key.offset;
        self.edit(|editor| {
            editor.delete_value(key, value);
            Ok(true)
        })
    }

    /// Deletes a key with everything below it; tells whether there was one.
    ///
    /// # Errors
    ///
    /// [`HiveError::Name`] for the root.
    pub fn delete_key(&mut self, path: &str) -> Result<bool, HiveError> {
        let parts: Vec<&str> = path::parts(path).collect();
        let Some((name, parents)) = parts.split_last() else {
            return Err(HiveError::Name {
                name: path.to_owned(),
                why: "the root key cannot be deleted",
            });
        };
        let Some(parent) = self.key(&parents.join("\\")) else {
            return Ok(false);
        };
        let Some(key) = parent.subkey(name) else {
            return Ok(false);
        };
        let (parent, key) = (parent.offset, key.offset);
        self.edit(|editor| {
            editor.delete_key(parent, key)?;
            Ok(true)
        })
    }

    /// Runs an edit, and leaves the header as after a completed write.
    fn edit<T>(
        &mut self,
        edit: impl FnOnce(&mut Editor<'_>) -> Result<T, HiveError>,
    ) -> Result<T, HiveError> {
        let space = match &mut self.space {
            Some(space) => space,
            none => {
                // One write, whatever the number of edits: the same edits give the same bytes.
                let next = u32_at(&self.image.bytes, header::PRIMARY)
                    .unwrap_or_default()
                    .wrapping_add(1);
                let space = Space::of(&self.image)?;
                put_u32(&mut self.image.bytes, header::PRIMARY, next);
                none.insert(space)
            }
        };
        let result = edit(&mut Editor {
            image: &mut self.image,
            space,
            security: &mut self.survey.security,
        });
        header::settle(&mut self.image.bytes);
        result
    }
}

impl Editor<'_> {
    fn allocate(&mut self, length: usize) -> Result<u32, HiveError> {
        self.space.allocate(self.image, length)
    }

    fn free(&mut self, offset: u32) {
        self.space.free(self.image, offset);
    }

    /// Marks a key as written, at the time that the hive's header gives.
    ///
    /// The clock of the machine that edits stays out of it, so that the same edits give the same bytes. No key is older
    /// afterwards than it was.
    fn stamp(&mut self, key: u32) {
        let time = header::written(&self.image.bytes);
        if let Some(cell) = self.image.cell_mut(key) {
            let time = time.max(u64_at(cell, nk::WRITTEN).unwrap_or_default());
            put_u64(cell, nk::WRITTEN, time);
        }
    }
}
