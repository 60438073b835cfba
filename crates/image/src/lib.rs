//! Disk images: what they are, and whether they can be trusted and used.
//!
//! [`Image::probe`] is the one look that all commands take at a disk that the user names, before anything
//! else opens it: qemu, the appliance or virt-v2v. It writes nothing.
//!
//! # Trust
//!
//! An image comes from outside, and the guest chose its content. So qemu never guesses a format:
//! refit detects it and passes it on; raw only if it was asked for or if the content is certain.
//! Where content claims a format but could be a guest's trick (a block device, a boot signature in
//! the header), the user must say which it is. Files that an image refers to (backing files, VMDK extents)
//! must lie in the image's own directory unless [`Options::allow_outside`]; they are checked
//! before qemu opens the image. External qcow2 data files are refused. What qemu-img may use while it
//! reads an image's metadata is limited.
//!
//! # Use
//!
//! An image that is damaged, truncated, empty, or used by another process in a way that conflicts with
//! the [`Access`] is refused, with a message that says what to do. [`inuse`] asks the last part again
//! at any time; [`qemu`], [`copy()`] and [`convert()`] are the one place that runs qemu-img.

mod copy;
mod error;
mod format;
mod image;
pub mod inuse;
mod member;
pub mod qemu;
mod vmdk;

use std::path::PathBuf;

pub use copy::{convert, copy};
pub use error::ImageError;
pub use format::Format;
pub use image::{Access, Image, canonical, check_kind, files_of};
pub use member::{Member, Piece};

type Result<T> = std::result::Result<T, ImageError>;

/// A disk as the user names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiskSpec {
    /// Image file or block device.
    pub path: PathBuf,
    /// The format if the user says it (`--format`); it wins over what the content looks like.
    pub format: Option<Format>,
}

impl DiskSpec {
    /// A disk whose format is to be detected.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            format: None,
        }
    }
}

/// What the user decides about images.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Let images refer to backing files and extents outside of their own directory
    /// (`--allow-outside`).
    pub allow_outside: bool,
}
