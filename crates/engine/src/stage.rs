//! What a plan leaves behind, path by path.

use std::collections::BTreeMap;
use std::rc::Rc;

use refit_hive::Hive;

use crate::backend::Backend;
use crate::change::InitramfsFile;
use crate::initramfs::{self, Packing};
use crate::path::GuestPath;

/// The result of all planned changes together: the final state of each path that they touch. Paths
/// contain no symbolic links. Several changes of one file become one write.
#[derive(Debug, Clone, Default)]
pub struct Stage {
    pub(crate) nodes: BTreeMap<GuestPath, Staged>,
    pub(crate) appended: BTreeMap<GuestPath, Vec<InitramfsFile>>,
}

impl Stage {
    /// Whether nothing is planned.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty() && self.appended.is_empty()
    }
}

/// What is added to initramfs image `image` of a backend, which is `size` bytes long, so that it
/// gains `files`.
pub(crate) fn appendix(
    backend: &dyn Backend,
    image: &GuestPath,
    size: u64,
    files: &[InitramfsFile],
) -> anyhow::Result<Vec<u8>> {
    // Of several versions of one file the last counts.
    let files: BTreeMap<_, _> = files
        .iter()
        .map(|file| (&file.path, file.clone()))
        .collect();
    let files: Vec<_> = files.into_values().collect();
    let packing = Packing::of(size, |offset, len| backend.read_at(image, offset, len))?;
    initramfs::segment(size, packing, &files)
}

/// The permission bits that `chown(2)` leaves of a regular file: set-user-ID goes, and
/// set-group-ID, where it does not mean mandatory locking.
pub(crate) fn mode_after_chown(mode: u32) -> u32 {
    let mode = mode & !0o4000;
    if mode & 0o010 == 0 {
        mode
    } else {
        mode & !0o2000
    }
}

/// The final state of one path. Owners are user and group by number.
#[derive(Debug, Clone)]
pub(crate) enum Staged {
    /// Nothing there, nor below it.
    Gone,
    /// A regular file. The content is shared, because a plan is copied before each of its steps.
    File {
        content: Rc<Vec<u8>>,
        mode: u32,
        owner: (u32, u32),
    },
    /// A registry hive with planned changes, shared like a file's content.
    Hive {
        hive: Rc<Hive>,
        mode: u32,
        owner: (u32, u32),
    },
    /// A symbolic link.
    Link { target: Vec<u8> },
    /// A new directory; what is in it is staged, too.
    Dir { mode: u32, owner: (u32, u32) },
    /// What is there, with these permission bits and this owner.
    Attributes { mode: u32, owner: (u32, u32) },
}

impl Staged {
    /// What a regular file is to hold, if it is to be one with other content.
    pub(crate) fn content(&self) -> Option<&[u8]> {
        match self {
            Self::File { content, .. } => Some(content),
            Self::Hive { hive, .. } => Some(hive.bytes()),
            _ => None,
        }
    }
}
