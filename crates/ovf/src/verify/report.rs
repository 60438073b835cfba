//! What a verification found.

use std::path::Path;

use serde::Serialize;

use super::{Algorithm, Signature};
use crate::archive::image::ImageFormat;
use crate::descriptor::Severity;

/// The result of [`super::verify`].
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// `refit/ova-verify/v1`.
    pub schema: &'static str,
    /// What was verified.
    pub file: String,
    /// Whether nothing is wrong; warnings do not count.
    pub ok: bool,
    /// Name of the manifest.
    pub manifest: Option<String>,
    /// The signature, if there is one that can be read.
    pub signature: Option<Signature>,
    /// Files in the order in which they were read.
    pub files: Vec<FileReport>,
    /// Disks in the descriptor's order.
    pub disks: Vec<DiskReport>,
    /// All that is wrong or odd.
    pub findings: Vec<Finding>,
    /// Bytes that were read.
    pub bytes: u64,
    /// How long it took.
    pub seconds: f64,
}

/// A file.
#[derive(Debug, Clone, Serialize)]
pub struct FileReport {
    /// Its name.
    pub name: String,
    /// Bytes.
    pub size: u64,
    /// Whether the descriptor refers to it.
    pub referenced: bool,
    /// Digests, compared; empty if the manifest has none of it.
    pub digests: Vec<Digest>,
}

/// A digest.
#[derive(Debug, Clone, Serialize)]
pub struct Digest {
    /// Algorithm.
    pub algorithm: Algorithm,
    /// By the manifest, in hexadecimal digits.
    pub expected: String,
    /// Of the file.
    pub actual: String,
    /// Whether they are the same.
    pub ok: bool,
}

/// A disk image.
#[derive(Debug, Clone, Serialize)]
pub struct DiskReport {
    /// `ovf:diskId`.
    pub id: String,
    /// `href` of its file.
    pub file: String,
    /// Format by content.
    pub format: ImageFormat,
    /// Virtual size by content, in bytes.
    pub virtual_size: Option<u64>,
    /// Virtual size that the descriptor gives, in bytes.
    pub capacity: Option<u64>,
    /// Compressed blocks that were walked; none if the format is not walked.
    pub grains: Option<u64>,
    /// Why it cannot be read.
    pub error: Option<String>,
}

/// Something wrong or odd.
#[derive(Debug, Clone, Serialize)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// A word for programs, such as `mf.mismatch`.
    pub code: &'static str,
    /// The file.
    pub file: Option<String>,
    /// What it is.
    pub message: String,
}

impl Finding {
    pub(super) fn mismatch(file: &str, digest: &Digest) -> Self {
        Self {
            severity: Severity::Error,
            code: "mf.mismatch",
            file: Some(file.to_owned()),
            message: format!(
                "its {} digest is {}, but the manifest says {}: it is damaged or was changed",
                digest.algorithm, digest.actual, digest.expected
            ),
        }
    }
}

impl Report {
    pub(super) fn new(path: &Path) -> Self {
        Self {
            schema: "refit/ova-verify/v1",
            file: path.display().to_string(),
            ok: true,
            manifest: None,
            signature: None,
            files: Vec::new(),
            disks: Vec::new(),
            findings: Vec::new(),
            bytes: 0,
            seconds: 0.0,
        }
    }

    pub(super) fn add(
        &mut self,
        severity: Severity,
        code: &'static str,
        file: Option<&str>,
        message: String,
    ) {
        self.findings.push(Finding {
            severity,
            code,
            file: file.map(str::to_owned),
            message,
        });
    }

    pub(super) fn error(&mut self, code: &'static str, file: Option<&str>, message: String) {
        self.add(Severity::Error, code, file, message);
    }

    pub(super) fn warn(&mut self, code: &'static str, file: Option<&str>, message: String) {
        self.add(Severity::Warning, code, file, message);
    }
}
