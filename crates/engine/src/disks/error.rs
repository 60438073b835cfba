use std::{io, path::PathBuf};

use refit_image::ImageError;

/// Why a disk cannot be used, or could not be changed.
///
/// Each message is for the user: what failed, on which disk, why, and what to do next.
/// Unless [`DiskError::base_may_have_changed`] says otherwise, no disk was changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DiskError {
    /// The image itself cannot be used.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// The same disk twice, or a disk together with its own backing file.
    #[error("{}: {why}; name each disk once", path.display())]
    Duplicate {
        /// The disk.
        path: PathBuf,
        /// What it duplicates.
        why: String,
    },
    /// Another refit works on this disk.
    #[error("{}: another refit ({by}) is working on this disk; wait for it to end", path.display())]
    Busy {
        /// The disk.
        path: PathBuf,
        /// `process N`, from the lock file.
        by: String,
    },
    /// A commit was interrupted: the disk is neither old nor new.
    #[error(
        "{}: an earlier run was interrupted while it wrote to its disks; \
         run `refit recover {}` first", path.display(), path.display()
    )]
    Interrupted {
        /// The disk.
        path: PathBuf,
    },
    /// Somebody else wrote to the disk while the overlay was open.
    #[error("{}: the disk was changed by somebody else while refit worked; nothing was written to it, run refit again", path.display())]
    Changed {
        /// The file.
        path: PathBuf,
    },
    /// The file system of a disk cannot take what would be written.
    #[error(
        "{}: not enough space on its file system: the changes need up to {need} bytes, {free} bytes are free; \
         nothing was changed", path.display()
    )]
    NoSpace {
        /// The first disk on that file system.
        path: PathBuf,
        /// Upper bound of the growth of all disks on that file system, in bytes.
        need: u64,
        /// Free bytes.
        free: u64,
    },
    /// The state that an earlier run left is not what refit writes.
    #[error("{}: {detail}", path.display())]
    State {
        /// The state directory or a file in it.
        path: PathBuf,
        /// What is wrong, and what to do.
        detail: String,
    },
    /// The commit began, and a disk could not be written completely.
    #[error(
        "{}: the changes were written only in part ({source}); \
         remove the cause, then run `refit recover {}` to finish", path.display(), path.display()
    )]
    CommitIncomplete {
        /// The first disk of the run.
        path: PathBuf,
        /// What failed.
        source: Box<DiskError>,
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

impl DiskError {
    /// Whether a base image may have been written to, so that the disks are neither old nor new
    /// until `recover` has run (exit code 4). For all other errors nothing was changed.
    pub fn base_may_have_changed(&self) -> bool {
        matches!(self, Self::CommitIncomplete { .. })
    }

    /// For `map_err`: an I/O error on `path` while `doing` something.
    pub(super) fn io(
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
