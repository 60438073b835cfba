//! Creating and deleting keys.

use crate::edit::Editor;
use crate::error::HiveError;
use crate::image::{NIL, put, put_u16, put_u32, put_u64};
use crate::key::find_key;
use crate::record::nk;
use crate::{header, lists, name};

impl Editor<'_> {
    /// The key at a path, created where it is missing.
    pub(super) fn create_path(&mut self, parts: &[Vec<u16>]) -> Result<u32, HiveError> {
        let mut key = self.image.root();
        for part in parts {
            key = match find_key(self.image, key, part) {
                Some(child) => child,
                None => self.create_key(key, part)?,
            };
        }
        Ok(key)
    }

    fn create_key(&mut self, parent: u32, name: &[u16]) -> Result<u32, HiveError> {
        let (bytes, latin) = name::encode(name);
        let security = self.image.u32(parent, nk::SECURITY).unwrap_or(NIL);
        let time = header::written(&self.image.bytes);
        let key = self.allocate(nk::NAME + bytes.len())?;
        if let Some(cell) = self.image.cell_mut(key) {
            put(cell, 0, nk::SIGNATURE);
            put_u16(cell, nk::FLAGS, if latin { nk::FLAG_LATIN_NAME } else { 0 });
            put_u64(cell, nk::WRITTEN, time);
            put_u32(cell, nk::PARENT, parent);
            for at in [
                nk::SUBKEY_LIST,
                nk::VOLATILE_LIST,
                nk::VALUE_LIST,
                nk::CLASS,
            ] {
                put_u32(cell, at, NIL);
            }
            put_u32(cell, nk::SECURITY, security);
            put_u16(cell, nk::NAME_LENGTH, bytes.len() as u16);
            put(cell, nk::NAME, &bytes);
        }
        if let Err(error) = self.list_key(parent, key, name) {
            self.free(key);
            return Err(error);
        }
        self.share_security(security);
        let longest = self
            .image
            .u16(parent, nk::MAX_SUBKEY_NAME)
            .unwrap_or_default();
        let length = name.len() as u16 * 2;
        self.image
            .set_u16(parent, nk::MAX_SUBKEY_NAME, longest.max(length));
        self.stamp(parent);
        Ok(key)
    }

    /// Deletes a key with all below.
    pub(super) fn delete_key(&mut self, parent: u32, key: u32) -> Result<(), HiveError> {
        self.unlist_key(parent, key)?;
        if self.image.u32(parent, nk::SUBKEYS) == Some(0) {
            // As Windows does with the last one; else the longest may be any other.
            self.image.set_u16(parent, nk::MAX_SUBKEY_NAME, 0);
            self.image.set_u32(parent, nk::MAX_CLASS, 0);
        }
        self.stamp(parent);
        let mut waiting = vec![key];
        while let Some(key) = waiting.pop() {
            waiting.extend(lists::keys(self.image, key));
            self.free_lists(key);
            self.free_values(key);
            let field = |at| self.image.u32(key, at).unwrap_or(NIL);
            let (class, security) = (field(nk::CLASS), field(nk::SECURITY));
            if self.image.u16(key, nk::CLASS_LENGTH).unwrap_or_default() > 0 {
                self.free(class);
            }
            self.release_security(security);
            self.free(key);
        }
        Ok(())
    }
}
