//! Where a guest's files come from and go to.
//!
//! A backend knows bytes and inodes, nothing of operating systems. It is always given paths whose
//! directories contain no symbolic links ([`Guest`](crate::Guest) resolves them, the same way
//! for every backend), and never follows a link in the last component either.

mod guestfs;
mod root;

pub use guestfs::GuestfsBackend;
pub use root::RootBackend;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::GuestPath;
use crate::rehearsal::{GuestCommand, RehearseError, Traces};
use crate::stage::Stage;

/// What a path is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FileKind {
    /// A regular file.
    File,
    /// A directory.
    Dir,
    /// A symbolic link.
    Symlink,
    /// A device, socket or pipe: never changed by refit.
    Other,
}

/// Attributes of an inode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stat {
    /// What it is.
    pub kind: FileKind,
    /// Permission bits, with set-user-ID, set-group-ID and sticky (`0o7777`).
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Size in bytes.
    pub size: u64,
    /// Number of hard links.
    pub nlink: u64,
    /// Last modification, seconds and nanoseconds since the epoch.
    pub mtime: (i64, i64),
    /// Last access, seconds and nanoseconds since the epoch.
    pub atime: (i64, i64),
}

impl Stat {
    /// Owner and group.
    #[must_use]
    pub fn owner(&self) -> (u32, u32) {
        (self.uid, self.gid)
    }
}

/// One name in a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The name: any bytes but `/` and NUL.
    pub name: Vec<u8>,
    /// What it is.
    pub kind: FileKind,
}

/// Extended attributes, name and value (`security.selinux`, ACLs, capabilities).
pub type Xattrs = Vec<(Vec<u8>, Vec<u8>)>;

/// Read and write access to one guest's file system tree.
///
/// Errors name the operation and the path. Reading what does not exist is not an error: it gives
/// `None`.
pub trait Backend {
    /// What this is, for messages: the disks, or the directory.
    fn describe(&self) -> String;

    /// Attributes of `path` itself (as `lstat(2)`).
    fn lstat(&self, path: &GuestPath) -> anyhow::Result<Option<Stat>>;

    /// The names in directory `path`, sorted by name, without `.` and `..`; `None` if it does not
    /// exist or is no directory.
    fn list(&self, path: &GuestPath) -> anyhow::Result<Option<Vec<Entry>>>;

    /// The target of symbolic link `path`, as it is written.
    fn read_link(&self, path: &GuestPath) -> anyhow::Result<Vec<u8>>;

    /// The whole of regular file `path`. The caller has checked its size.
    fn read(&self, path: &GuestPath) -> anyhow::Result<Vec<u8>>;

    /// At most `len` bytes of regular file `path` from `offset`; fewer only at its end.
    fn read_at(&self, path: &GuestPath, offset: u64, len: usize) -> anyhow::Result<Vec<u8>>;

    /// The regular files in directory `dir` whose names end in `suffix`, with their content, as far as
    /// that takes fewer steps than reading one after the other; what is missing has to be read so.
    /// None is longer than `limit` bytes.
    fn read_many(
        &self,
        dir: &GuestPath,
        suffix: &str,
        limit: u64,
    ) -> anyhow::Result<BTreeMap<Vec<u8>, Vec<u8>>> {
        let _ = (dir, suffix, limit);
        Ok(BTreeMap::new())
    }

    /// The permission bits that everything has, whatever it is given, and that come with owner and group 0;
    /// `None` where files have bits and owners of their own.
    fn fixed_mode(&self) -> Option<u32> {
        None
    }

    /// Extended attributes of `path` itself, sorted by name; empty where unsupported.
    fn xattrs(&self, path: &GuestPath) -> anyhow::Result<Xattrs>;

    /// Runs a program of the guest on a throw-away view of the guest, with `stage` laid over it, and
    /// tells what it wrote there. The guest's own files do not change.
    ///
    /// # Errors
    /// [`RehearseError::Unavailable`] where programs of guests are never run.
    fn rehearse(&self, stage: &Stage, command: &GuestCommand) -> Result<Traces, RehearseError> {
        let _ = (stage, command);
        Err(RehearseError::Unavailable {
            reason: "the guest is a directory of this host, and a guest's programs run in the \
                     libguestfs appliance only; give the guest's disks instead"
                .to_owned(),
        })
    }

    /// Creates regular file `path`, or replaces the content of the one there, which keeps its
    /// inode's attributes. A new file belongs to root with mode 0600 until
    /// [`set_owner`](Self::set_owner) and [`set_mode`](Self::set_mode) say otherwise.
    fn write(&mut self, path: &GuestPath, content: &[u8]) -> anyhow::Result<()>;

    /// Writes `content` at `offset` into regular file `path`, which exists; it becomes longer if need be.
    fn write_at(&mut self, path: &GuestPath, offset: u64, content: &[u8]) -> anyhow::Result<()>;

    /// Appends to regular file `path`, which exists.
    fn append(&mut self, path: &GuestPath, content: &[u8]) -> anyhow::Result<()>;

    /// Cuts regular file `path` to `size` bytes.
    fn truncate(&mut self, path: &GuestPath, size: u64) -> anyhow::Result<()>;

    /// Creates symbolic link `path`; nothing is there.
    fn symlink(&mut self, path: &GuestPath, target: &[u8]) -> anyhow::Result<()>;

    /// Creates directory `path`; its parent exists, it does not.
    fn mkdir(&mut self, path: &GuestPath) -> anyhow::Result<()>;

    /// Removes file or link `path`, or empty directory `path`.
    fn remove(&mut self, path: &GuestPath) -> anyhow::Result<()>;

    /// Sets permission bits (`0o7777`) of `path`, which is no link.
    fn set_mode(&mut self, path: &GuestPath, mode: u32) -> anyhow::Result<()>;

    /// Sets owner and group of `path` itself.
    fn set_owner(&mut self, path: &GuestPath, uid: u32, gid: u32) -> anyhow::Result<()>;

    /// Sets one extended attribute of `path` itself.
    fn set_xattr(&mut self, path: &GuestPath, name: &[u8], value: &[u8]) -> anyhow::Result<()>;

    /// Makes sure that what was created at `paths` can be changed by the guest's administrators alone, where
    /// that does not follow from owner and mode.
    fn protect(&mut self, paths: &[&GuestPath]) -> anyhow::Result<()> {
        let _ = paths;
        Ok(())
    }

    /// Takes one extended attribute of `path` itself away.
    fn remove_xattr(&mut self, path: &GuestPath, name: &[u8]) -> anyhow::Result<()>;

    /// Sets access and modification time of `path` itself. On a link this may lose its extended
    /// attributes: set them afterwards.
    fn set_times(
        &mut self,
        path: &GuestPath,
        atime: (i64, i64),
        mtime: (i64, i64),
    ) -> anyhow::Result<()>;

    /// Everything written so far is on stable storage when this returns.
    fn sync(&mut self) -> anyhow::Result<()>;
}
