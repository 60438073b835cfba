use std::{io, path::PathBuf, process::ExitStatus};

use crate::Format;

/// Why a disk image cannot be used.
///
/// Each message is for the user: what failed, on which image, why, and what to do next.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImageError {
    /// There is no such file.
    #[error("{}: there is no such file; check the path", path.display())]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// A directory, a pipe, a socket or a character device.
    #[error("{}: this is {what}; give a disk image or a block device", path.display())]
    NotAFile {
        /// What was given.
        path: PathBuf,
        /// What it is, with its article.
        what: &'static str,
    },
    /// A file or device of 0 bytes.
    #[error("{}: the file is empty (0 bytes); was the copy interrupted?", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// Something else than a disk image: text, an archive, a compressed image.
    #[error("{}: not a disk image: {why}", path.display())]
    NotADisk {
        /// The file.
        path: PathBuf,
        /// What it looks like, and what to do with it.
        why: String,
    },
    /// Nothing that is known, and raw was not asked for.
    #[error(
        "{}: no known image format, partition table or file system; \
         if it is a raw disk image, say so with --format raw", path.display()
    )]
    UnknownFormat {
        /// The file.
        path: PathBuf,
    },
    /// Two formats are possible, and a guest could have chosen the wrong one on purpose.
    #[error(
        "{}: the format is not certain: {why}; say which it is with --format raw or --format {format}",
        path.display()
    )]
    Ambiguous {
        /// The file.
        path: PathBuf,
        /// The format that the content claims.
        format: Format,
        /// What contradicts it.
        why: &'static str,
    },
    /// The content contradicts `--format` or the file's name.
    #[error("{}: {why}", path.display())]
    FormatMismatch {
        /// The file.
        path: PathBuf,
        /// Which claim is contradicted, and what to do.
        why: String,
    },
    /// A disk image, but of a kind that refit does not work on.
    #[error("{}: {what} is not supported; {advice}", path.display())]
    Unsupported {
        /// The file.
        path: PathBuf,
        /// The kind of image.
        what: String,
        /// How to make a supported image of it.
        advice: &'static str,
    },
    /// The image can be read but not written: VMDK streamOptimized, and VMDK of unknown types.
    #[error(
        "{}: a {what} image cannot be changed in place; \
         convert it first: qemu-img convert -O qcow2 IMAGE NEW.qcow2", path.display()
    )]
    NotWritable {
        /// The file.
        path: PathBuf,
        /// The format with its subformat.
        what: String,
    },
    /// Metadata that is inconsistent, or that points behind the end of the file.
    #[error("{}: the image is damaged or truncated: {detail}; copy it again from its source", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What was found.
        detail: String,
    },
    /// A running guest, another tool, a loop device or a mount uses it.
    #[error("{}: in use by {by}; stop that first", path.display())]
    InUse {
        /// The file.
        path: PathBuf,
        /// Who uses it.
        by: String,
    },
    /// It is to be written to and may not be.
    #[error("{}: read-only: {why}", path.display())]
    ReadOnly {
        /// The file.
        path: PathBuf,
        /// What makes it read-only, and what to do.
        why: &'static str,
    },
    /// The user may not read or write it.
    #[error("{}: permission denied; run refit as a user who may {to} it", path.display())]
    Permission {
        /// The file.
        path: PathBuf,
        /// `read` or `write`.
        to: &'static str,
    },
    /// The image refers to another file that it may not make refit open.
    #[error(
        "{}: the image refers to {:?} ({what}): {why}; \
         if you trust the image, allow it with --allow-outside or flatten it with qemu-img convert",
        path.display(), target
    )]
    Reference {
        /// The image.
        path: PathBuf,
        /// The name as the image has it.
        target: String,
        /// `backing file`, `extent`.
        what: &'static str,
        /// Why it is refused.
        why: &'static str,
    },
    /// A file that the image refers to is not there.
    #[error(
        "{}: its {what} {target:?} is missing; copy it beside the image, under the same name", path.display()
    )]
    PartMissing {
        /// The image.
        path: PathBuf,
        /// The name as the image has it.
        target: String,
        /// `backing file`, `extent`.
        what: &'static str,
    },
    /// A path that qemu and JSON cannot carry.
    #[error("{path:?}: the path is not valid UTF-8; rename the file")]
    Name {
        /// The path.
        path: PathBuf,
    },
    /// The file system of a new image is full.
    #[error(
        "{}: no space left on device. Free some space, or choose another output directory", path.display()
    )]
    NoSpace {
        /// The new image.
        path: PathBuf,
    },
    /// A copy that was no longer wanted.
    #[error("{}: the copy was interrupted", path.display())]
    Cancelled {
        /// The image that was copied.
        path: PathBuf,
    },
    /// qemu-img is not installed.
    #[error(
        "qemu-img is not installed; install qemu-utils (Debian, Ubuntu), qemu-img (Fedora, RHEL) or qemu-tools (SUSE)"
    )]
    QemuImgMissing,
    /// qemu-img failed in a way that none of the above explains.
    #[error("{}: qemu-img {action} failed ({status}): {stderr}", path.display())]
    Qemu {
        /// The image.
        path: PathBuf,
        /// The subcommand.
        action: &'static str,
        /// How it ended.
        status: ExitStatus,
        /// The end of what it said.
        stderr: String,
    },
    /// qemu-img answered something unexpected.
    #[error("{}: reading the output of qemu-img {action}: {detail}", path.display())]
    QemuOutput {
        /// The image.
        path: PathBuf,
        /// The subcommand.
        action: &'static str,
        /// What is wrong with it.
        detail: String,
    },
    /// An operation on a file failed.
    #[error("{}: {doing}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What was tried, as a gerund phrase.
        doing: &'static str,
        /// The cause.
        source: io::Error,
    },
}

impl ImageError {
    /// For `map_err`: an I/O error on `path` while `doing` something.
    pub(crate) fn io(
        path: impl Into<PathBuf>,
        doing: &'static str,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io {
            path,
            doing,
            source,
        }
    }
}
