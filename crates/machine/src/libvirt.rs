//! libvirt domain XML, read and written.
//!
//! The format is described at <https://libvirt.org/formatdomain.html>. [`parse`] reads what
//! virt-v2v writes with `-o local` (2.2 to 2.12) and what users have of their source machines,
//! [`write()`] defines the converted machine for KVM.

mod read;
mod rewrite;
mod write;

pub use read::{DomainError, MAX_SIZE, parse};
pub use rewrite::{LocalDisk, with_disks};
pub use write::{write, write_with_cdroms};
