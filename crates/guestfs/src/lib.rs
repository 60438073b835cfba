//! A safe handle for [libguestfs](https://libguestfs.org/guestfs.3.html).
//!
//! A [`Handle`] owns one appliance: a small virtual machine that has the
//! guest's disks, and in which everything that reads the guest's file systems
//! runs, away from the host.
//!
//! ```no_run
//! use refit_guestfs::{AddDrive, Handle};
//!
//! let guest = Handle::new()?;
//! guest.add_drive("/var/tmp/disk.qcow2", &AddDrive::new().readonly(true).format("qcow2"))?;
//! guest.launch()?;
//! for root in guest.inspect_os()? {
//!     println!("{}", guest.inspect_get_product_name(&root)?);
//! }
//! guest.close()?;
//! # Ok::<(), refit_guestfs::Error>(())
//! ```
//!
//! # What holds for every method
//!
//! - Guest paths, file names and mountables (`/dev/sda1`,
//!   `btrfsvol:/dev/sda2/root`) are bytes, in and out: a guest may use any
//!   encoding. Only words that libguestfs itself chooses are `String`.
//! - A method is named like the C function without `guestfs_`; its manual is
//!   the section of that name in guestfs(3).
//! - Each can fail with [`Error::Call`], which names the call and the path and
//!   carries the message and errno; all but the settings fail so before the
//!   launch. Each argument can be refused ([`Error::InteriorNul`],
//!   [`Error::OutOfRange`]). Only errors beyond these are given at the method.
//!   Nothing is printed.
//! - A panic in an event callback continues in the caller once the C function
//!   has returned.
//! - Apart from those on a closed set of names, the values come from the guest
//!   and are as hostile as it is.

mod archive;
mod block;
mod call;
mod cancel;
mod command;
mod config;
mod directory;
mod drive;
pub mod emulation;
mod error;
mod event;
mod file;
mod handle;
mod hivex;
mod inspect;
mod launch;
mod memory;
mod metadata;
mod mount;
mod partition;
mod process;
mod stat;
mod transfer;
mod volume;
mod xattr;

pub use archive::{TarIn, TarOut};
pub use block::{Fstrim, Mkfs};
pub use cancel::CancelHandle;
pub use directory::DirEntry;
pub use drive::{AddDrive, CacheMode, Discard};
pub use error::{Error, Result};
pub use event::{Event, EventId, EventMask, Progress};
pub use handle::{Handle, Version};
pub use hivex::{Hive, HivexOpen, Node, Value};
pub use metadata::{CopyAttributes, SetTime};
pub use partition::Partition;
pub use stat::{FileType, Stat, StatVfs, Timestamp};
pub use volume::CryptsetupOpen;
pub use xattr::Xattr;
