//! A guest's file systems mounted in libguestfs's appliance.

mod attributes;
mod kit;
mod many;
mod ntfs;
mod rehearse;
mod upper;

use std::cell::OnceCell;
use std::collections::BTreeMap;

use anyhow::Context as _;
use refit_guestfs::{FileType, Handle, SetTime, Timestamp};

use super::{Backend, Entry, FileKind, Stat, Xattrs};
use crate::GuestPath;
use crate::rehearsal::{GuestCommand, RehearseError, Traces};
use crate::stage::Stage;

/// The guest that is mounted in a launched [`Handle`].
#[derive(Debug)]
pub struct GuestfsBackend {
    handle: Handle,
    name: String,
    /// Whether the guest's root is NTFS; asked once.
    on_ntfs: OnceCell<bool>,
    /// Attributes on NTFS that are to be set, as lines of a script.
    attributes: Vec<u8>,
}

/// One message to or from the appliance holds less than 4 MiB (guestfs(3), PROTOCOL LIMITS).
const PIECE: usize = 2 * 1024 * 1024;

impl GuestfsBackend {
    /// Takes a handle in which the guest's file systems are mounted; `name` is for messages.
    #[must_use]
    pub fn new(handle: Handle, name: String) -> Self {
        Self {
            handle,
            name,
            on_ntfs: OnceCell::new(),
            attributes: Vec::new(),
        }
    }

    /// The handle, for looking at what a backend has no method for.
    #[must_use]
    pub fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Unmounts everything and gives the handle back.
    ///
    /// # Errors
    /// If anything written may not have reached the disks.
    pub fn unmount(mut self) -> anyhow::Result<Handle> {
        self.flush_ntfs()?;
        self.handle
            .umount_all()
            .context("unmounting the guest's file systems")?;
        Ok(self.handle)
    }

    /// Unmounts everything, stops the appliance and reports late write errors.
    ///
    /// # Errors
    /// If anything written may not have reached the disks.
    pub fn close(self) -> anyhow::Result<()> {
        self.unmount()?.close().context("stopping the appliance")
    }
}

/// Turns "there is no such file" into `None`.
fn optional<T>(result: refit_guestfs::Result<T>) -> refit_guestfs::Result<Option<T>> {
    const ENOTDIR: i32 = 20;
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.is_not_found() || error.errno() == Some(ENOTDIR) => Ok(None),
        Err(error) => Err(error),
    }
}

fn kind(file_type: FileType) -> FileKind {
    match file_type {
        FileType::Regular => FileKind::File,
        FileType::Directory => FileKind::Dir,
        FileType::Symlink => FileKind::Symlink,
        _ => FileKind::Other,
    }
}

impl Backend for GuestfsBackend {
    fn describe(&self) -> String {
        self.name.clone()
    }

    fn lstat(&self, path: &GuestPath) -> anyhow::Result<Option<Stat>> {
        let found = optional(self.handle.lstatns(path.as_bytes()))
            .with_context(|| format!("reading the attributes of {path}"))?;
        Ok(found.map(|stat| Stat {
            kind: kind(stat.file_type()),
            mode: stat.permissions(),
            uid: stat.uid,
            gid: stat.gid,
            size: stat.size,
            nlink: stat.nlink,
            mtime: (stat.mtime.sec, stat.mtime.nsec.into()),
            atime: (stat.atime.sec, stat.atime.nsec.into()),
        }))
    }

    fn list(&self, path: &GuestPath) -> anyhow::Result<Option<Vec<Entry>>> {
        let reading = || format!("reading directory {path}");
        let Some(found) = optional(self.handle.readdir(path.as_bytes())).with_context(reading)?
        else {
            return Ok(None);
        };
        let mut entries = Vec::with_capacity(found.len());
        for entry in found {
            let kind = match entry.file_type {
                // Some file systems do not keep the type in the directory.
                FileType::Unknown => match self.lstat(&path.join(&entry.name)) {
                    Ok(Some(stat)) => stat.kind,
                    Ok(None) => continue,
                    // A kind of reparse point that ntfs-3g does not know must not hide its neighbours.
                    Err(error) if self.is_on_ntfs() => {
                        tracing::debug!("{error:#}");
                        FileKind::Other
                    }
                    Err(error) => return Err(error),
                },
                known => kind(known),
            };
            entries.push(Entry {
                name: entry.name,
                kind,
            });
        }
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(Some(entries))
    }

    fn read_link(&self, path: &GuestPath) -> anyhow::Result<Vec<u8>> {
        let target = self
            .handle
            .readlink(path.as_bytes())
            .with_context(|| format!("reading symbolic link {path}"))?;
        if self.is_on_ntfs() {
            return Ok(ntfs::in_guest(target));
        }
        Ok(target)
    }

    fn read_many(
        &self,
        dir: &GuestPath,
        suffix: &str,
        limit: u64,
    ) -> anyhow::Result<BTreeMap<Vec<u8>, Vec<u8>>> {
        many::read(self, dir, suffix, limit)
    }

    /// By pread: read_file takes a file as a stream into a temporary one, a tenth of a second for each
    /// in an emulated appliance.
    fn read(&self, path: &GuestPath) -> anyhow::Result<Vec<u8>> {
        let mut content = Vec::new();
        loop {
            let piece = self
                .handle
                .pread(path.as_bytes(), u32::try_from(PIECE)?, content.len() as u64)
                .with_context(|| format!("reading {path}"))?;
            let is_last = piece.len() < PIECE;
            content.extend(piece);
            if is_last {
                return Ok(content);
            }
        }
    }

    fn read_at(&self, path: &GuestPath, offset: u64, len: usize) -> anyhow::Result<Vec<u8>> {
        let mut content = Vec::with_capacity(len);
        while content.len() < len {
            let piece = PIECE.min(len - content.len());
            let read = self
                .handle
                .pread(
                    path.as_bytes(),
                    u32::try_from(piece)?,
                    offset + content.len() as u64,
                )
                .with_context(|| format!("reading {path} at {offset}"))?;
            if read.is_empty() {
                break;
            }
            content.extend(read);
        }
        Ok(content)
    }

    /// Mounted without a mapping of users, ntfs-3g says this of everything.
    fn fixed_mode(&self) -> Option<u32> {
        self.is_on_ntfs().then_some(0o777)
    }

    fn xattrs(&self, path: &GuestPath) -> anyhow::Result<Xattrs> {
        let found = match self.handle.lgetxattrs(path.as_bytes()) {
            Err(error) if error.is_unsupported() => return Ok(Vec::new()),
            result => {
                result.with_context(|| format!("reading the extended attributes of {path}"))?
            }
        };
        let mut xattrs: Xattrs = found
            .into_iter()
            .map(|xattr| (xattr.name, xattr.value))
            .collect();
        if self.is_on_ntfs() {
            xattrs.extend(self.ntfs_xattrs(path)?);
        }
        xattrs.sort();
        Ok(xattrs)
    }

    fn rehearse(&self, stage: &Stage, command: &GuestCommand) -> Result<Traces, RehearseError> {
        self.run(stage, command)
    }

    fn write(&mut self, path: &GuestPath, content: &[u8]) -> anyhow::Result<()> {
        let new = self.lstat(path)?.is_none();
        let (first, rest) = content.split_at(content.len().min(PIECE));
        self.handle
            .write(path.as_bytes(), first)
            .with_context(|| format!("writing {path}"))?;
        if new {
            self.set_mode(path, 0o600)?;
        }
        self.append(path, rest)
    }

    fn write_at(&mut self, path: &GuestPath, offset: u64, content: &[u8]) -> anyhow::Result<()> {
        let mut written = 0;
        while written < content.len() {
            let end = content.len().min(written + PIECE);
            written += self
                .handle
                .pwrite(
                    path.as_bytes(),
                    &content[written..end],
                    offset + written as u64,
                )
                .with_context(|| format!("writing {path} at {offset}"))?;
        }
        Ok(())
    }

    fn append(&mut self, path: &GuestPath, content: &[u8]) -> anyhow::Result<()> {
        for piece in content.chunks(PIECE) {
            self.handle
                .write_append(path.as_bytes(), piece)
                .with_context(|| format!("appending to {path}"))?;
        }
        Ok(())
    }

    fn truncate(&mut self, path: &GuestPath, size: u64) -> anyhow::Result<()> {
        self.handle
            .truncate_size(path.as_bytes(), size)
            .with_context(|| format!("cutting {path} to {size} bytes"))
    }

    fn symlink(&mut self, path: &GuestPath, target: &[u8]) -> anyhow::Result<()> {
        self.handle
            .ln_s(target, path.as_bytes())
            .with_context(|| format!("creating symbolic link {path}"))
    }

    fn mkdir(&mut self, path: &GuestPath) -> anyhow::Result<()> {
        self.handle
            .mkdir(path.as_bytes())
            .with_context(|| format!("creating directory {path}"))
    }

    fn remove(&mut self, path: &GuestPath) -> anyhow::Result<()> {
        let is_dir = self
            .lstat(path)?
            .is_some_and(|stat| stat.kind == FileKind::Dir);
        let removed = if is_dir {
            self.handle.rmdir(path.as_bytes())
        } else {
            self.handle.rm(path.as_bytes())
        };
        removed.with_context(|| format!("removing {path}"))
    }

    fn set_mode(&mut self, path: &GuestPath, mode: u32) -> anyhow::Result<()> {
        self.handle
            .chmod(path.as_bytes(), mode)
            .with_context(|| format!("setting the mode of {path}"))
    }

    fn set_owner(&mut self, path: &GuestPath, uid: u32, gid: u32) -> anyhow::Result<()> {
        self.handle
            .lchown(path.as_bytes(), uid, gid)
            .with_context(|| format!("setting the owner of {path}"))
    }

    fn set_xattr(&mut self, path: &GuestPath, name: &[u8], value: &[u8]) -> anyhow::Result<()> {
        let setting = || {
            let name = String::from_utf8_lossy(name);
            format!("setting extended attribute {name} of {path}")
        };
        if ntfs::is_ntfs(name) {
            return self.set_ntfs_xattr(path, name, value).with_context(setting);
        }
        // A final NUL, as SELinux labels have it, is that of the string.
        let string = value.strip_suffix(b"\0").unwrap_or(value);
        if string.contains(&0) {
            return self.binary_xattr(path, name, value).with_context(setting);
        }
        self.handle
            .lsetxattr(path.as_bytes(), name, value)
            .with_context(setting)
    }

    fn protect(&mut self, paths: &[&GuestPath]) -> anyhow::Result<()> {
        if self.is_on_ntfs() {
            self.protect_on_ntfs(paths)?;
        }
        Ok(())
    }

    fn remove_xattr(&mut self, path: &GuestPath, name: &[u8]) -> anyhow::Result<()> {
        if ntfs::is_ntfs(name) {
            // Every file has those; they are set, never taken away.
            return Ok(());
        }
        let removing = || {
            let name = String::from_utf8_lossy(name);
            format!("removing extended attribute {name} of {path}")
        };
        self.handle
            .lremovexattr(path.as_bytes(), name)
            .with_context(removing)
    }

    fn set_times(
        &mut self,
        path: &GuestPath,
        atime: (i64, i64),
        mtime: (i64, i64),
    ) -> anyhow::Result<()> {
        let setting = || format!("setting the times of {path}");
        if self.is_on_ntfs() {
            return self
                .set_ntfs_times(path, atime, mtime)
                .with_context(setting);
        }
        let stat = self.lstat(path)?;
        if let Some(stat) = stat.filter(|stat| stat.kind == FileKind::Symlink) {
            return self
                .link_with_times(path, &stat, mtime)
                .with_context(setting);
        }
        let time = |(sec, nsec): (i64, i64)| -> anyhow::Result<SetTime> {
            Ok(SetTime::At(Timestamp {
                sec,
                nsec: u32::try_from(nsec)?,
            }))
        };
        self.handle
            .utimens(path.as_bytes(), time(atime)?, time(mtime)?)
            .with_context(setting)
    }

    fn sync(&mut self) -> anyhow::Result<()> {
        self.flush_ntfs()?;
        self.handle
            .sync()
            .context("flushing the guest's file systems")
    }
}
