//! What is wrong with a user's fixup.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::Serialize;

/// Something in a fixup's folder that keeps it from being used, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// The file or folder.
    pub file: PathBuf,
    /// Line in the file, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<usize>,
    /// What is wrong there, beginning with the key, and what to do.
    pub message: String,
}

impl Problem {
    /// A problem with a whole file or folder.
    #[must_use]
    pub(crate) fn new(file: &Path, message: impl Into<String>) -> Self {
        Self {
            file: file.to_owned(),
            line: None,
            message: message.into(),
        }
    }
}

/// `FILE:LINE: MESSAGE`, as compilers say it.
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        write!(f, ": {}", self.message)
    }
}
