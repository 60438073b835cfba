//! Disks: opened through an overlay, committed all or none.
//!
//! A disk that the user names is probed by `refit_image` ([`Image`]) and never written to directly. What refit
//! and its appliance write goes to a qcow2 overlay in a state directory; [`Overlays::commit`]
//! brings the overlays of all disks of a run into their bases. A commit that was killed is
//! finished or abandoned by [`recover()`]:
//!
//! 1. The overlays are flushed and verified; space, locks and bases are checked.
//! 2. Each state directory gets a record that names all disks of the run ("prepared").
//! 3. **The commit point:** the record of the first disk becomes "committing", by one atomic
//!    rename. Before it nothing happened; after it the commit can only be finished.
//! 4. Each overlay is copied into its base by `qemu-img commit -d`, which leaves the overlay as it
//!    is: it can be copied again after a crash, whatever was already copied.
//! 5. The first record becomes "committed"; overlays and records are removed, the first disk's last.
//!
//! # State directories
//!
//! `.refit-<file name>/` beside the image; for block devices, and where that cannot be created,
//! `/var/tmp/refit-<uid>/<digest of the canonical path>/`; with [`Options::state_dir`],
//! `<state_dir>/<digest>/`. Each must belong to the user and be writable by nobody else. A lock in it
//! (flock) keeps two refits apart.
//!
//! # When refit dies
//!
//! A `qemu-img commit` that is under way is not killed together with refit: past the commit point
//! its work has to be done anyway. It inherits the lock of its disk, so that [`recover()`] says that
//! the disk is busy until it ends, rather than write at the same time.

mod commit;
mod error;
mod lock;
mod overlay;
mod record;
mod recover;
mod space;
mod state;

use std::path::PathBuf;

use refit_image::{inuse, qemu};

pub use commit::Step;
pub use error::DiskError;
pub use overlay::Overlays;
pub use recover::{Pending, PendingKind, Recovered, pending, recover};
pub use refit_image::{Access, DiskSpec, Format, Image, ImageError, Options as ImageOptions};

type Result<T> = std::result::Result<T, DiskError>;

/// What the user decides about disks.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Where overlays and records go instead of beside each image. An interrupted run is found
    /// again only with the same directory.
    pub state_dir: Option<PathBuf>,
    /// What images may refer to.
    pub image: ImageOptions,
}
