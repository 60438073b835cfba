//! What a file is: kind, mode, owner, size, times.

use refit_guestfs_sys as sys;

use crate::error::{Error, Result};
use crate::handle::Handle;
use crate::memory::elements;

impl Handle {
    /// Describes a file; of a symbolic link, what it points to.
    pub fn statns(&self, path: impl AsRef<[u8]>) -> Result<Stat> {
        let call = self.call("statns").on(&path);
        let path = call.string("path", path)?;
        // SAFETY: a structure function and the function that frees it; the
        // string lives until the end of this method.
        unsafe {
            call.structure(
                |g| sys::guestfs_statns(g, path.as_ptr()),
                sys::guestfs_free_statns,
                |raw| Stat::from_raw("statns", raw),
            )
        }
    }

    /// Describes a file, a symbolic link itself included.
    pub fn lstatns(&self, path: impl AsRef<[u8]>) -> Result<Stat> {
        let call = self.call("lstatns").on(&path);
        let path = call.string("path", path)?;
        // SAFETY: a structure function and the function that frees it; the
        // string lives until the end of this method.
        unsafe {
            call.structure(
                |g| sys::guestfs_lstatns(g, path.as_ptr()),
                sys::guestfs_free_statns,
                |raw| Stat::from_raw("lstatns", raw),
            )
        }
    }

    /// Describes many files of one directory at once, in the order of the
    /// names; `None` for one that cannot be described.
    pub fn lstatnslist<N: AsRef<[u8]>>(
        &self,
        directory: impl AsRef<[u8]>,
        names: &[N],
    ) -> Result<Vec<Option<Stat>>> {
        const CALL: &str = "lstatnslist";
        let call = self.call(CALL).on(&directory);
        let directory = call.string("path", directory)?;
        let list = call.strings("names", names)?;
        // SAFETY: a structure function and the function that frees it; the
        // strings live until the end of this method.
        let stats: Vec<_> = unsafe {
            call.structure(
                |g| sys::guestfs_lstatnslist(g, directory.as_ptr(), list.as_ptr()),
                sys::guestfs_free_statns_list,
                |list| {
                    let stats = elements(list.val, list.len).iter();
                    stats
                        .map(|raw| match raw.st_ino {
                            -1 => Ok(None),
                            _ => Stat::from_raw(CALL, raw).map(Some),
                        })
                        .collect()
                },
            )
        }?;
        if stats.len() != names.len() {
            return Err(Error::Malformed {
                call: CALL,
                what: "number of answers",
            });
        }
        Ok(stats)
    }

    /// How full a mounted file system is.
    pub fn statvfs(&self, path: impl AsRef<[u8]>) -> Result<StatVfs> {
        let call = self.call("statvfs").on(&path);
        let path = call.string("path", path)?;
        // SAFETY: a structure function and the function that frees it; the
        // string lives until the end of this method.
        unsafe {
            call.structure(
                |g| sys::guestfs_statvfs(g, path.as_ptr()),
                sys::guestfs_free_statvfs,
                |raw| {
                    Ok(StatVfs {
                        bsize: unsigned("statvfs", "bsize", raw.bsize)?,
                        frsize: unsigned("statvfs", "frsize", raw.frsize)?,
                        blocks: unsigned("statvfs", "blocks", raw.blocks)?,
                        bfree: unsigned("statvfs", "bfree", raw.bfree)?,
                        bavail: unsigned("statvfs", "bavail", raw.bavail)?,
                        files: unsigned("statvfs", "files", raw.files)?,
                        ffree: unsigned("statvfs", "ffree", raw.ffree)?,
                        favail: unsigned("statvfs", "favail", raw.favail)?,
                    })
                },
            )
        }
    }
}

fn unsigned<T: TryFrom<i64>>(call: &'static str, what: &'static str, value: i64) -> Result<T> {
    T::try_from(value).map_err(|_| Error::Malformed { call, what })
}

/// What stat(2) says of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stat {
    /// The device that has the file.
    pub dev: u64,
    /// The inode's number.
    pub ino: u64,
    /// Kind and permissions, as in stat(2).
    pub mode: u32,
    /// How many names the file has.
    pub nlink: u64,
    /// The owner.
    pub uid: u32,
    /// The group.
    pub gid: u32,
    /// The device that a device file is.
    pub rdev: u64,
    /// The size in bytes.
    pub size: u64,
    /// The file system's preferred size of reads and writes in bytes.
    pub blksize: u64,
    /// What the file takes on the disk, in units of 512 bytes.
    pub blocks: u64,
    /// When it was last read.
    pub atime: Timestamp,
    /// When its content last changed.
    pub mtime: Timestamp,
    /// When it last changed in any way.
    pub ctime: Timestamp,
}

impl Stat {
    fn from_raw(call: &'static str, raw: &sys::guestfs_statns) -> Result<Self> {
        let time = |what, sec, nsec| {
            Ok(Timestamp {
                sec,
                nsec: unsigned(call, what, nsec)?,
            })
        };
        Ok(Self {
            // These three are names, not quantities: all bits may be used.
            dev: raw.st_dev.cast_unsigned(),
            ino: raw.st_ino.cast_unsigned(),
            rdev: raw.st_rdev.cast_unsigned(),
            mode: unsigned(call, "st_mode", raw.st_mode)?,
            nlink: unsigned(call, "st_nlink", raw.st_nlink)?,
            uid: unsigned(call, "st_uid", raw.st_uid)?,
            gid: unsigned(call, "st_gid", raw.st_gid)?,
            size: unsigned(call, "st_size", raw.st_size)?,
            blksize: unsigned(call, "st_blksize", raw.st_blksize)?,
            blocks: unsigned(call, "st_blocks", raw.st_blocks)?,
            atime: time("st_atime_nsec", raw.st_atime_sec, raw.st_atime_nsec)?,
            mtime: time("st_mtime_nsec", raw.st_mtime_sec, raw.st_mtime_nsec)?,
            ctime: time("st_ctime_nsec", raw.st_ctime_sec, raw.st_ctime_nsec)?,
        })
    }

    /// The kind of file.
    pub fn file_type(&self) -> FileType {
        match self.mode & libc::S_IFMT {
            libc::S_IFREG => FileType::Regular,
            libc::S_IFDIR => FileType::Directory,
            libc::S_IFLNK => FileType::Symlink,
            libc::S_IFBLK => FileType::Block,
            libc::S_IFCHR => FileType::Char,
            libc::S_IFIFO => FileType::Fifo,
            libc::S_IFSOCK => FileType::Socket,
            _ => FileType::Unknown,
        }
    }

    /// The permissions: 0o7777 at most.
    pub fn permissions(&self) -> u32 {
        self.mode & 0o7777
    }
}

/// A time in a file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timestamp {
    /// Seconds since 1970-01-01 UTC.
    pub sec: i64,
    /// Nanoseconds after that.
    pub nsec: u32,
}

/// A kind of file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FileType {
    /// A file with content.
    Regular,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
    /// A block device.
    Block,
    /// A character device.
    Char,
    /// A named pipe.
    Fifo,
    /// A socket.
    Socket,
    /// What the file system does not say, or is none of these.
    Unknown,
}

/// What statvfs(3) says of a file system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatVfs {
    /// The preferred size of reads and writes in bytes.
    pub bsize: u64,
    /// The unit of the block counts in bytes.
    pub frsize: u64,
    /// All blocks.
    pub blocks: u64,
    /// The free blocks.
    pub bfree: u64,
    /// The free blocks that are not reserved for root.
    pub bavail: u64,
    /// All inodes; 0 where they are not limited.
    pub files: u64,
    /// The free inodes.
    pub ffree: u64,
    /// The free inodes that are not reserved for root.
    pub favail: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_and_permissions_come_from_the_mode() {
        let mut raw = sys::guestfs_statns::default();
        for (mode, kind, permissions) in [
            (0o100_644, FileType::Regular, 0o644),
            (0o041_777, FileType::Directory, 0o1777),
            (0o120_777, FileType::Symlink, 0o777),
            (0o060_660, FileType::Block, 0o660),
            (0o020_666, FileType::Char, 0o666),
            (0o010_600, FileType::Fifo, 0o600),
            (0o140_755, FileType::Socket, 0o755),
            (0, FileType::Unknown, 0),
        ] {
            raw.st_mode = mode;
            let stat = Stat::from_raw("statns", &raw).unwrap();
            assert_eq!(
                (stat.file_type(), stat.permissions()),
                (kind, permissions),
                "{mode:o}"
            );
        }
    }

    #[test]
    fn impossible_answers_are_refused() {
        let mut raw = sys::guestfs_statns {
            st_size: -1,
            ..Default::default()
        };
        let error = Stat::from_raw("statns", &raw).unwrap_err();
        assert!(
            matches!(
                error,
                Error::Malformed {
                    what: "st_size",
                    ..
                }
            ),
            "{error:?}"
        );
        raw.st_size = 0;
        raw.st_uid = i64::from(u32::MAX) + 1;
        assert!(Stat::from_raw("statns", &raw).is_err());
        raw.st_uid = i64::from(u32::MAX);
        raw.st_ino = -2;
        assert_eq!(Stat::from_raw("statns", &raw).unwrap().ino, u64::MAX - 1);
    }
}
