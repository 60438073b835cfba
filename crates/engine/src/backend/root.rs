//! A guest's root directory on this host: a mounted guest, a chroot, a test tree.

use std::ffi::{CString, OsStr};
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use rustix::fs::{
    AtFlags, Dir, FileType, Gid, Mode, OFlags, ResolveFlags, Statx, StatxFlags, Timespec,
    Timestamps, Uid, XattrFlags,
};
use rustix::io::Errno;

use super::{Backend, Entry, FileKind, Stat, Xattrs};
use crate::GuestPath;

/// A directory of the host taken as a guest's root.
///
/// Every open is relative to that directory and forbids symbolic links (`openat2(2)` with
/// `RESOLVE_IN_ROOT` and `RESOLVE_NO_SYMLINKS`), so nothing in a hostile tree leads out of it,
/// even if it changes meanwhile.
#[derive(Debug)]
pub struct RootBackend {
    path: PathBuf,
    root: OwnedFd,
}

impl RootBackend {
    /// Opens `path`.
    ///
    /// # Errors
    /// If it is not a directory that can be opened.
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        let root = rustix::fs::open(
            path,
            OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
            Mode::empty(),
        )
        .with_context(|| format!("opening {} as a guest's root directory", path.display()))?;
        Ok(Self {
            path: path.to_owned(),
            root,
        })
    }

    fn open_at(&self, path: &GuestPath, flags: OFlags) -> Result<OwnedFd, Errno> {
        let relative = match &path.as_bytes()[1..] {
            b"" => b".",
            rest => rest,
        };
        rustix::fs::openat2(
            &self.root,
            relative,
            flags | OFlags::CLOEXEC | OFlags::NOFOLLOW,
            Mode::empty(),
            ResolveFlags::IN_ROOT | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS,
        )
    }

    /// The directory that holds `path`, and the name in it.
    fn parent(&self, path: &GuestPath) -> anyhow::Result<(OwnedFd, CString)> {
        let dir = path
            .parent()
            .with_context(|| format!("{path} has no parent directory"))?;
        let fd = self
            .open_at(&dir, OFlags::PATH | OFlags::DIRECTORY)
            .with_context(|| format!("opening directory {dir}"))?;
        Ok((
            fd,
            CString::new(path.file_name()).with_context(|| format!("{path} contains a NUL"))?,
        ))
    }

    /// A path that the calls without an `*at` form can use: through the open file itself.
    fn proc_path(fd: &OwnedFd) -> PathBuf {
        use std::os::fd::AsRawFd as _;
        PathBuf::from(format!("/proc/self/fd/{}", fd.as_raw_fd()))
    }

    fn statx(&self, path: &GuestPath) -> Result<Statx, Errno> {
        let fd = self.open_at(path, OFlags::PATH)?;
        rustix::fs::statx(&fd, c"", AtFlags::EMPTY_PATH, StatxFlags::BASIC_STATS)
    }

    fn open_file(&self, path: &GuestPath, flags: OFlags) -> anyhow::Result<File> {
        // NONBLOCK: opening a pipe that a hostile tree put here must not wait for its other end.
        let fd = self
            .open_at(path, flags | OFlags::NONBLOCK)
            .with_context(|| format!("opening {path}"))?;
        Ok(File::from(fd))
    }
}

/// The answers that mean "there is no such file" and not "it cannot be read".
fn is_absent(errno: Errno) -> bool {
    matches!(errno, Errno::NOENT | Errno::NOTDIR)
}

fn kind(file_type: FileType) -> FileKind {
    match file_type {
        FileType::RegularFile => FileKind::File,
        FileType::Directory => FileKind::Dir,
        FileType::Symlink => FileKind::Symlink,
        _ => FileKind::Other,
    }
}

impl Backend for RootBackend {
    fn describe(&self) -> String {
        self.path.display().to_string()
    }

    fn lstat(&self, path: &GuestPath) -> anyhow::Result<Option<Stat>> {
        let found = match self.statx(path) {
            Err(errno) if is_absent(errno) => return Ok(None),
            result => result.with_context(|| format!("reading the attributes of {path}"))?,
        };
        Ok(Some(Stat {
            kind: kind(FileType::from_raw_mode(found.stx_mode.into())),
            mode: u32::from(found.stx_mode) & 0o7777,
            uid: found.stx_uid,
            gid: found.stx_gid,
            size: found.stx_size,
            nlink: found.stx_nlink.into(),
            mtime: (found.stx_mtime.tv_sec, found.stx_mtime.tv_nsec.into()),
            atime: (found.stx_atime.tv_sec, found.stx_atime.tv_nsec.into()),
        }))
    }

    fn list(&self, path: &GuestPath) -> anyhow::Result<Option<Vec<Entry>>> {
        let fd = match self.open_at(path, OFlags::RDONLY | OFlags::DIRECTORY) {
            Err(errno) if is_absent(errno) => return Ok(None),
            result => result.with_context(|| format!("opening directory {path}"))?,
        };
        let mut entries = Vec::new();
        for entry in Dir::read_from(&fd).with_context(|| format!("reading directory {path}"))? {
            let entry = entry.with_context(|| format!("reading directory {path}"))?;
            let name = entry.file_name().to_bytes();
            if name == b"." || name == b".." {
                continue;
            }
            let kind = match entry.file_type() {
                FileType::Unknown => match self.lstat(&path.join(name))? {
                    Some(stat) => stat.kind,
                    None => continue,
                },
                known => kind(known),
            };
            entries.push(Entry {
                name: name.to_vec(),
                kind,
            });
        }
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(Some(entries))
    }

    fn read_link(&self, path: &GuestPath) -> anyhow::Result<Vec<u8>> {
        let (dir, name) = self.parent(path)?;
        let target = rustix::fs::readlinkat(&dir, &name, Vec::new())
            .with_context(|| format!("reading symbolic link {path}"))?;
        Ok(target.into_bytes())
    }

    fn read(&self, path: &GuestPath) -> anyhow::Result<Vec<u8>> {
        let mut content = Vec::new();
        self.open_file(path, OFlags::RDONLY)?
            .read_to_end(&mut content)
            .with_context(|| format!("reading {path}"))?;
        Ok(content)
    }

    fn read_at(&self, path: &GuestPath, offset: u64, len: usize) -> anyhow::Result<Vec<u8>> {
        let file = self.open_file(path, OFlags::RDONLY)?;
        let mut content = vec![0; len];
        let mut filled = 0;
        while filled < len {
            let count = file
                .read_at(&mut content[filled..], offset + filled as u64)
                .with_context(|| format!("reading {path} at {offset}"))?;
            if count == 0 {
                break;
            }
            filled += count;
        }
        content.truncate(filled);
        Ok(content)
    }

    fn xattrs(&self, path: &GuestPath) -> anyhow::Result<Xattrs> {
        let (dir, name) = self.parent(path)?;
        let target = Self::proc_path(&dir).join(OsStr::from_bytes(name.as_bytes()));
        let reading = || format!("reading the extended attributes of {path}");
        let mut names = Vec::with_capacity(64 * 1024);
        match rustix::fs::llistxattr(&target, rustix::buffer::spare_capacity(&mut names)) {
            Err(Errno::NOTSUP) => return Ok(Vec::new()),
            result => result.with_context(reading)?,
        };
        let mut xattrs = Vec::new();
        for attribute in names
            .split(|&b| b == 0)
            .filter(|attribute| !attribute.is_empty())
        {
            let mut value = Vec::with_capacity(64 * 1024);
            rustix::fs::lgetxattr(
                &target,
                attribute,
                rustix::buffer::spare_capacity(&mut value),
            )
            .with_context(reading)?;
            xattrs.push((attribute.to_vec(), value));
        }
        xattrs.sort();
        Ok(xattrs)
    }

    fn write(&mut self, path: &GuestPath, content: &[u8]) -> anyhow::Result<()> {
        let (dir, name) = self.parent(path)?;
        let writing = || format!("writing {path}");
        let present = self.lstat(path)?;
        if present.is_some_and(|stat| stat.nlink > 1) {
            // Other names share this inode: a rename would tear them apart.
            let mut file = self.open_file(path, OFlags::WRONLY | OFlags::TRUNC)?;
            file.write_all(content).with_context(writing)?;
            return file.sync_all().with_context(writing);
        }
        // Complete under another name first, so that a crash leaves the old file or the new one.
        let temporary =
            CString::new([b".refit-", name.as_bytes()].concat()).with_context(writing)?;
        let _ = rustix::fs::unlinkat(&dir, &temporary, AtFlags::empty());
        let fd = rustix::fs::openat(
            &dir,
            &temporary,
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC,
            Mode::from_raw_mode(0o600),
        )
        .with_context(writing)?;
        let mut file = File::from(fd);
        let written = file
            .write_all(content)
            .map_err(anyhow::Error::from)
            .and_then(|()| {
                if let Some(stat) = present {
                    let temporary = path
                        .parent()
                        .unwrap_or_else(GuestPath::root)
                        .join(temporary.as_bytes());
                    self.set_owner(&temporary, stat.uid, stat.gid)?;
                    self.set_mode(&temporary, stat.mode)?;
                    for (name, value) in self.xattrs(path)? {
                        self.set_xattr(&temporary, &name, &value)?;
                    }
                }
                file.sync_all()?;
                Ok(rustix::fs::renameat(&dir, &temporary, &dir, &name)?)
            });
        if written.is_err() {
            let _ = rustix::fs::unlinkat(&dir, &temporary, AtFlags::empty());
        }
        written.with_context(writing)
    }

    fn write_at(&mut self, path: &GuestPath, offset: u64, content: &[u8]) -> anyhow::Result<()> {
        let writing = || format!("writing {path} at {offset}");
        let file = self.open_file(path, OFlags::WRONLY)?;
        file.write_all_at(content, offset).with_context(writing)?;
        file.sync_all().with_context(writing)
    }

    fn append(&mut self, path: &GuestPath, content: &[u8]) -> anyhow::Result<()> {
        let mut file = self.open_file(path, OFlags::WRONLY | OFlags::APPEND)?;
        file.write_all(content)
            .with_context(|| format!("appending to {path}"))?;
        file.sync_all()
            .with_context(|| format!("appending to {path}"))
    }

    fn truncate(&mut self, path: &GuestPath, size: u64) -> anyhow::Result<()> {
        let file = self.open_file(path, OFlags::WRONLY)?;
        file.set_len(size)
            .with_context(|| format!("cutting {path} to {size} bytes"))
    }

    fn symlink(&mut self, path: &GuestPath, target: &[u8]) -> anyhow::Result<()> {
        let (dir, name) = self.parent(path)?;
        rustix::fs::symlinkat(target, &dir, &name)
            .with_context(|| format!("creating symbolic link {path}"))
    }

    fn mkdir(&mut self, path: &GuestPath) -> anyhow::Result<()> {
        let (dir, name) = self.parent(path)?;
        rustix::fs::mkdirat(&dir, &name, Mode::from_raw_mode(0o755))
            .with_context(|| format!("creating directory {path}"))
    }

    fn remove(&mut self, path: &GuestPath) -> anyhow::Result<()> {
        let (dir, name) = self.parent(path)?;
        let is_dir = self
            .lstat(path)?
            .is_some_and(|stat| stat.kind == FileKind::Dir);
        let flags = if is_dir {
            AtFlags::REMOVEDIR
        } else {
            AtFlags::empty()
        };
        rustix::fs::unlinkat(&dir, &name, flags).with_context(|| format!("removing {path}"))
    }

    fn set_mode(&mut self, path: &GuestPath, mode: u32) -> anyhow::Result<()> {
        let fd = self
            .open_at(path, OFlags::PATH)
            .with_context(|| format!("opening {path}"))?;
        rustix::fs::chmod(Self::proc_path(&fd), Mode::from_raw_mode(mode))
            .with_context(|| format!("setting the mode of {path}"))
    }

    fn set_owner(&mut self, path: &GuestPath, uid: u32, gid: u32) -> anyhow::Result<()> {
        let (dir, name) = self.parent(path)?;
        rustix::fs::chownat(
            &dir,
            &name,
            Some(Uid::from_raw(uid)),
            Some(Gid::from_raw(gid)),
            AtFlags::SYMLINK_NOFOLLOW,
        )
        .with_context(|| format!("setting the owner of {path}"))
    }

    fn set_xattr(&mut self, path: &GuestPath, name: &[u8], value: &[u8]) -> anyhow::Result<()> {
        let (dir, file) = self.parent(path)?;
        let target = Self::proc_path(&dir).join(OsStr::from_bytes(file.as_bytes()));
        rustix::fs::lsetxattr(&target, name, value, XattrFlags::empty()).with_context(|| {
            format!(
                "setting extended attribute {} of {path}",
                String::from_utf8_lossy(name)
            )
        })
    }

    fn remove_xattr(&mut self, path: &GuestPath, name: &[u8]) -> anyhow::Result<()> {
        let (dir, file) = self.parent(path)?;
        let target = Self::proc_path(&dir).join(OsStr::from_bytes(file.as_bytes()));
        rustix::fs::lremovexattr(&target, name).with_context(|| {
            format!(
                "removing extended attribute {} of {path}",
                String::from_utf8_lossy(name)
            )
        })
    }

    fn set_times(
        &mut self,
        path: &GuestPath,
        atime: (i64, i64),
        mtime: (i64, i64),
    ) -> anyhow::Result<()> {
        let timespec = |(tv_sec, tv_nsec)| Timespec { tv_sec, tv_nsec };
        let times = Timestamps {
            last_access: timespec(atime),
            last_modification: timespec(mtime),
        };
        let (dir, name) = match path.is_root() {
            true => (self.open_at(path, OFlags::PATH)?, c".".to_owned()),
            false => self.parent(path)?,
        };
        rustix::fs::utimensat(&dir, &name, &times, AtFlags::SYMLINK_NOFOLLOW)
            .with_context(|| format!("setting the times of {path}"))
    }

    fn sync(&mut self) -> anyhow::Result<()> {
        let fd = self.open_at(&GuestPath::root(), OFlags::RDONLY | OFlags::DIRECTORY)?;
        rustix::fs::syncfs(&fd).context("flushing the file system")
    }
}
