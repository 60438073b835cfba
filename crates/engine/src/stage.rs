//! What a plan leaves behind, path by path.

use std::collections::BTreeMap;

use crate::change::InitramfsFile;
use crate::path::GuestPath;

/// The result of all planned changes together: the final state of each path that they touch. Paths
/// contain no symbolic links. Several changes of one file become one write.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Stage {
    pub(crate) nodes: BTreeMap<GuestPath, Staged>,
    pub(crate) appended: BTreeMap<GuestPath, Vec<InitramfsFile>>,
}

/// The final state of one path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Staged {
    /// Nothing there, nor below it.
    Gone,
    /// A regular file.
    File { content: Vec<u8>, mode: u32 },
    /// A symbolic link.
    Link { target: Vec<u8> },
    /// A new directory; what is in it is staged, too.
    Dir,
    /// What is there, with other permission bits.
    Mode { mode: u32 },
}
