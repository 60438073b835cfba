//! A hive: what it is made from and what can be asked of it.

use crate::edit::space::Space;
use crate::error::HiveError;
use crate::header;
use crate::image::Image;
use crate::key::Key;
use crate::survey::{Survey, survey};

/// A registry hive in memory, known to be sound.
#[derive(Clone)]
pub struct Hive {
    pub(crate) image: Image,
    pub(crate) survey: Survey,
    /// The free cells, once there was an edit.
    pub(crate) space: Option<Space>,
}

impl Hive {
    /// Reads a hive's primary file.
    ///
    /// # Errors
    ///
    /// Refuses what is not a hive of version 1.3 to 1.6, what is damaged, and what Windows did not write out completely
    /// ([`HiveError::Dirty`]: see [`Hive::recover`]).
    pub fn parse(bytes: Vec<u8>) -> Result<Hive, HiveError> {
        header::check(&bytes)?;
        if let Some((primary, secondary)) = header::dirty(&bytes) {
            return Err(HiveError::Dirty { primary, secondary });
        }
        Hive::survey(bytes)
    }

    /// Reads a hive as it was last written out, whatever its transaction logs say.
    ///
    /// For looking only, or for a user who decides to give up what the logs hold: written back, such a hive makes
    /// Windows ignore its logs.
    ///
    /// # Errors
    ///
    /// As [`Hive::parse`], but for [`HiveError::Dirty`].
    pub fn parse_as_flushed(mut bytes: Vec<u8>) -> Result<Hive, HiveError> {
        header::check(&bytes)?;
        if header::dirty(&bytes).is_some() {
            header::settle(&mut bytes);
        }
        Hive::survey(bytes)
    }

    /// Whether Windows did not write this hive out completely: its sequence numbers differ, or its checksum is wrong.
    ///
    /// # Errors
    ///
    /// When this is no hive's primary file.
    pub fn is_dirty(bytes: &[u8]) -> Result<bool, HiveError> {
        header::check(bytes)?;
        Ok(header::dirty(bytes).is_some())
    }

    fn survey(bytes: Vec<u8>) -> Result<Hive, HiveError> {
        let image = Image { bytes };
        let survey = survey(&image)?;
        Ok(Hive {
            image,
            survey,
            space: None,
        })
    }

    /// The root key.
    pub fn root(&self) -> Key<'_> {
        Key {
            hive: self,
            offset: self.image.root(),
        }
    }

    /// The key at a path below the root: names separated by backslashes, without regard to case. `""` is the root.
    pub fn key(&self, path: &str) -> Option<Key<'_>> {
        self.root().key(path)
    }

    /// Format version, such as `(1, 5)`.
    pub fn version(&self) -> (u32, u32) {
        (1, self.image.minor())
    }

    /// Walks every cell again: the check after an edit.
    ///
    /// # Errors
    ///
    /// [`HiveError::Unsound`] when anything contradicts the format, or when there is more that is merely untidy than
    /// there was when the hive was read.
    pub fn check(&self) -> Result<(), HiveError> {
        let now = survey(&self.image)?;
        let what = match now.blemishes.worse_than(&self.survey.blemishes) {
            Some(what) => what,
            None if now.security != self.survey.security => {
                "the keys of a security descriptor were miscounted"
            }
            None if self
                .space
                .as_ref()
                .is_some_and(|space| !space.agrees_with(&self.image)) =>
            {
                "the free cells were miscounted"
            }
            None => return Ok(()),
        };
        Err(HiveError::Unsound { at: 0, what })
    }

    /// The file. After edits its sequence numbers are equal and its checksum is right; unedited, it is what was read.
    pub fn bytes(&self) -> &[u8] {
        &self.image.bytes
    }

    /// The file: see [`Hive::bytes`].
    pub fn into_bytes(self) -> Vec<u8> {
        self.image.bytes
    }
}

impl std::fmt::Debug for Hive {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hive")
            .field("version", &self.version())
            .field("length", &self.image.bytes.len())
            .finish_non_exhaustive()
    }
}
