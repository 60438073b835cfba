//! Where an appliance's files are: an OVA archive or a directory, read in place.
//!
//! An OVA is a plain tar archive (DSP0243 section 5.3). Each of its files is a range of the archive, so that a
//! disk can be read where it lies.

mod error;
pub mod image;
pub mod name;
mod package;
mod tar;
mod text;
mod unpack;

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;

use serde::Serialize;

use crate::descriptor::Severity;

pub use error::ArchiveError;
pub(crate) use package::check_sizes;
pub use package::{Kind, Package, PackageError};
pub use unpack::{UnpackError, is_gzip, unpack};

/// Members of an archive and files of a directory that are looked at.
pub const MAX_ENTRIES: usize = 10_000;

/// A file of the package, as a range of a file of this host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Its name in the package, invalid UTF-8 replaced, without `.` and empty parts.
    pub name: String,
    /// The archive, or the file itself.
    pub path: PathBuf,
    /// Where its first byte is.
    pub offset: u64,
    /// Its length in bytes.
    pub size: u64,
}

impl Member {
    /// Opens it for reading from its start to its end.
    ///
    /// # Errors
    ///
    /// If it cannot be opened.
    pub fn open(&self) -> io::Result<MemberReader> {
        Ok(MemberReader {
            file: File::open(&self.path)?,
            offset: self.offset,
            left: self.size,
        })
    }
}

/// Reads a [`Member`].
#[derive(Debug)]
pub struct MemberReader {
    file: File,
    offset: u64,
    left: u64,
}

impl Read for MemberReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let wanted = buffer
            .len()
            .min(usize::try_from(self.left).unwrap_or(usize::MAX));
        let Some(buffer) = buffer.get_mut(..wanted) else {
            return Ok(0);
        };
        let read = self.file.read_at(buffer, self.offset)?;
        self.offset += read as u64;
        self.left -= read as u64;
        Ok(read)
    }
}

/// Something odd about the package itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Note {
    /// How bad it is.
    pub severity: Severity,
    /// A word for programs.
    pub code: &'static str,
    /// What it is.
    pub message: String,
}

impl Note {
    pub(crate) fn warning(code: &'static str, message: String) -> Self {
        Self {
            severity: Severity::Warning,
            code,
            message,
        }
    }

    pub(crate) fn error(code: &'static str, message: String) -> Self {
        Self {
            severity: Severity::Error,
            code,
            message,
        }
    }
}
