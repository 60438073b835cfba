//! Removes paths, and spares what belongs to packages.

use anyhow::ensure;
use refit_engine::backend::FileKind;
use refit_engine::{Change, GuestPath};

use crate::draft::Draft;
use crate::glob::entry;
use crate::rule::Owned;

/// Directories with more in them are not gone through.
const ENTRY_LIMIT: usize = 100_000;

/// Nobody nests directories deeper; each level takes stack.
const DEPTH_LIMIT: usize = 256;

/// Where refit's own programs in a guest are. A link that leads there stands in for a program that was
/// removed, and stays.
const OWN: &str = "/usr/local/sbin/refit-";

/// What stayed of a path that was to be removed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Kept {
    /// Paths that belong to installed packages, with the names of these.
    pub owned: Vec<(GuestPath, String)>,
}

impl Draft<'_> {
    /// Removes `path` with all that is in it. What belongs to an installed package stays, with the
    /// directories on the way to it, unless `owned` says that it goes too.
    ///
    /// # Errors
    /// If `path` is a directory without which nothing works: one at the top of the tree, or one
    /// that holds a mounted file system; or if the guest cannot be read.
    pub fn remove(&mut self, path: &GuestPath, owned: Owned) -> anyhow::Result<Kept> {
        let mut kept = Kept::default();
        let Some(kind) = entry(self.guest(), path)? else {
            return Ok(kept);
        };
        if kind == FileKind::Dir {
            ensure!(
                path.components().count() > 1,
                "{path} is at the top of the guest's tree and is never removed"
            );
            let mounts = &self.guest().facts().mounts;
            let mount = mounts
                .iter()
                .find(|mount| GuestPath::new(&mount.path).starts_with(path));
            if let Some(mount) = mount {
                anyhow::bail!(
                    "{path} is not removed: a file system is mounted at {}",
                    mount.path
                );
            }
        }
        let mut seen = 0;
        let mut doomed = Vec::new();
        if self.sort_out(path, kind, owned, &mut seen, &mut doomed, &mut kept)? {
            doomed = vec![path.clone()];
        }
        for path in doomed {
            self.push(Change::Remove { path })?;
        }
        Ok(kept)
    }

    /// Removes directory `path` if there is nothing in it and no package owns it.
    ///
    /// # Errors
    /// If the guest cannot be read.
    pub fn remove_if_empty(&mut self, path: &GuestPath) -> anyhow::Result<()> {
        if entry(self.guest(), path)? == Some(FileKind::Dir)
            && path.components().count() > 1
            && self.guest().list(path)?.is_empty()
            && self.owner(path)?.is_none()
        {
            self.push(Change::Remove { path: path.clone() })?;
        }
        Ok(())
    }

    /// The first installed package that owns `path`.
    ///
    /// # Errors
    /// If the package database cannot be read.
    pub fn owner(&self, path: &GuestPath) -> anyhow::Result<Option<String>> {
        let Some(packages) = self.packages() else {
            let format = self.guest().facts().package_format.as_deref();
            return Ok(format.map(|format| {
                format!("not known whose: the {format} database is not understood")
            }));
        };
        let owners = packages.owners(self.guest(), path)?;
        Ok(owners.first().map(|package| package.name.clone()))
    }

    /// Whether all of `path` can go; else what of it can is in `doomed`.
    fn sort_out(
        &self,
        path: &GuestPath,
        kind: FileKind,
        owned: Owned,
        seen: &mut usize,
        doomed: &mut Vec<GuestPath>,
        kept: &mut Kept,
    ) -> anyhow::Result<bool> {
        *seen += 1;
        ensure!(
            *seen <= ENTRY_LIMIT,
            "more than {ENTRY_LIMIT} files are to be removed"
        );
        ensure!(
            path.components().count() <= DEPTH_LIMIT,
            "directories are nested too deeply to be removed: {path}"
        );
        if kind == FileKind::Other {
            kept.owned
                .push((path.clone(), "a device, socket or pipe".to_owned()));
            return Ok(false);
        }
        if kind == FileKind::Symlink
            && let Some(target) = self.guest().read_link(path)?
            && target.starts_with(OWN.as_bytes())
        {
            return Ok(false);
        }
        let owner = match owned {
            Owned::Keep => self.owner(path)?,
            Owned::Remove => None,
        };
        if kind != FileKind::Dir {
            if let Some(owner) = owner {
                kept.owned.push((path.clone(), owner));
                return Ok(false);
            }
            return Ok(true);
        }
        let mut below = Vec::new();
        let mut all = owner.is_none();
        for entry in self.guest().list(path)? {
            let child = path.join(&entry.name);
            if self.sort_out(&child, entry.kind, owned, seen, &mut below, kept)? {
                below.push(child);
            } else {
                all = false;
            }
        }
        if !all {
            doomed.append(&mut below);
        }
        Ok(all)
    }
}
