//! Attributes that libguestfs has no call for, but tar in the appliance sets.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;

use anyhow::{Context as _, bail, ensure};
use refit_guestfs::{CopyAttributes, TarIn};
use tempfile::NamedTempFile;

use super::GuestfsBackend;
use crate::backend::{Backend as _, FileKind, Stat};
use crate::path::GuestPath;

impl GuestfsBackend {
    /// Makes the link at `path` again, with its times: libguestfs cannot set those of a link.
    pub(super) fn link_with_times(
        &self,
        path: &GuestPath,
        stat: &Stat,
        mtime: (i64, i64),
    ) -> anyhow::Result<()> {
        let target = self.read_link(path)?;
        let mut archive = tar::Builder::new(NamedTempFile::new()?);
        let exact = format!("{}.{:09}", mtime.0, mtime.1);
        archive.append_pax_extensions([("mtime", exact.as_bytes())])?;
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::Symlink);
        header.set_mode(stat.mode);
        header.set_uid(stat.uid.into());
        header.set_gid(stat.gid.into());
        header.set_mtime(u64::try_from(mtime.0).unwrap_or_default());
        header.set_size(0);
        archive.append_link(
            &mut header,
            OsStr::from_bytes(path.file_name()),
            OsStr::from_bytes(&target),
        )?;
        let archive = archive.into_inner()?;
        let dir = path.parent().unwrap_or_else(GuestPath::root);
        self.handle
            .tar_in(archive.path(), dir.as_bytes(), &TarIn::new())?;
        Ok(())
    }

    /// Sets an attribute whose value contains NULs, as file capabilities and access control lists
    /// do: `guestfs_lsetxattr` takes a string. So an empty file with that attribute is unpacked
    /// beside `path`, and hands it on; the file itself stays as it is, with all its names.
    pub(super) fn binary_xattr(
        &self,
        path: &GuestPath,
        name: &[u8],
        value: &[u8],
    ) -> anyhow::Result<()> {
        let stat = self.lstat(path)?.context("there is no such file")?;
        // A default access control list is for directories only.
        let kind = match stat.kind {
            FileKind::Dir => tar::EntryType::Directory,
            FileKind::File => tar::EntryType::Regular,
            FileKind::Symlink | FileKind::Other => {
                bail!("libguestfs can do that to files and directories only")
            }
        };
        let dir = path.parent().unwrap_or_else(GuestPath::root);
        let helper = dir.join(format!(".refit-{}", uuid::Uuid::new_v4()));
        let archive = with_xattr(kind, &helper, name, value).context("writing an archive")?;
        // Not `acls`: tar would drop a list that is given as an attribute.
        let options = TarIn::new().xattrs(true);
        self.handle
            .tar_in(archive.path(), dir.as_bytes(), &options)?;
        let given = self.hand_on(&helper, path, name);
        let cleared = match kind {
            tar::EntryType::Directory => self.handle.rmdir(helper.as_bytes()),
            _ => self.handle.rm(helper.as_bytes()),
        };
        given?;
        cleared.context("removing a temporary file")?;
        // tar only warns of what it cannot set.
        let given = self
            .xattrs(path)?
            .iter()
            .any(|(known, is)| known == name && is == value);
        ensure!(given, "the file system or the appliance does not take it");
        Ok(())
    }

    /// Copies extended attribute `name`.
    fn hand_on(&self, from: &GuestPath, to: &GuestPath, name: &[u8]) -> anyhow::Result<()> {
        for (other, _) in self.xattrs(from)? {
            // Inherited from the directory.
            if other != name {
                self.handle.lremovexattr(from.as_bytes(), &other)?;
            }
        }
        let options = CopyAttributes::new().xattributes(true);
        self.handle
            .copy_attributes(from.as_bytes(), to.as_bytes(), &options)?;
        Ok(())
    }
}

/// An archive with one empty file or directory that has one extended attribute, in the form that
/// GNU tar and star share: a record `SCHILY.xattr.NAME` of the pax header.
fn with_xattr(
    kind: tar::EntryType,
    path: &GuestPath,
    name: &[u8],
    value: &[u8],
) -> anyhow::Result<NamedTempFile> {
    let mut archive = tar::Builder::new(NamedTempFile::new()?);
    let key = format!("SCHILY.xattr.{}", std::str::from_utf8(name)?);
    archive.append_pax_extensions([(key.as_str(), value)])?;
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(0o700);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(0);
    let name = OsStr::from_bytes(path.file_name());
    archive.append_data(&mut header, name, &[][..])?;
    Ok(archive.into_inner()?)
}
