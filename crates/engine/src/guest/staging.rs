//! Laying planned changes over a guest.

use std::rc::Rc;

use anyhow::{Context as _, bail, ensure};

use super::{Guest, ROOT};
use crate::backend::{FileKind, Stat};
use crate::change::Change;
use crate::initramfs;
use crate::path::GuestPath;
use crate::stage::{Staged, mode_after_chown};

impl Guest<'_> {
    /// Lays planned changes over the view, all of them or none, so that later fixups see their
    /// result.
    ///
    /// # Errors
    /// If a change contradicts the guest: its directory is a file, what it would change is missing
    /// or is a device.
    pub fn stage(&mut self, changes: &[Change]) -> anyhow::Result<()> {
        self.stage_each(changes).map(|_| ())
    }

    /// [`stage`](Self::stage), telling of each change whether it makes a difference: one of the registry
    /// that only says what is there makes none.
    ///
    /// # Errors
    /// As [`stage`](Self::stage).
    pub fn stage_each(&mut self, changes: &[Change]) -> anyhow::Result<Vec<bool>> {
        // One that fails changes nothing. A copy would share the hives, which then have to be copied, too,
        // before they can be edited.
        let before = (changes.len() > 1).then(|| self.stage.clone());
        let mut differ = Vec::with_capacity(changes.len());
        for change in changes {
            let staged = match change.path() {
                Some(path) => self.stage_one(change, path).map(|()| true),
                None => self.stage_registry(change),
            };
            match staged {
                Ok(differs) => differ.push(differs),
                Err(error) => {
                    if let Some(before) = before {
                        self.stage = before;
                    }
                    return Err(error.context(format!("planning to {change}")));
                }
            }
        }
        Ok(differ)
    }

    fn stage_one(&mut self, change: &Change, path: &GuestPath) -> anyhow::Result<()> {
        let real = self
            .real_target(change)?
            .context("its directory cannot be reached")?;
        let present = self.lstat_real(&real)?;
        let is = |kind| present.is_some_and(|stat: Stat| stat.kind == kind);
        ensure!(!is(FileKind::Other), "{path} is a device, socket or pipe");
        match change {
            Change::Write { content, mode, .. } => {
                ensure!(!is(FileKind::Dir), "{path} is a directory");
                ensure!(
                    !is(FileKind::Symlink),
                    "{path} is a symbolic link that leads nowhere"
                );
                let mode = mode.or(present.map(|stat| stat.mode)).unwrap_or(0o644);
                let owner = present.map_or(ROOT, |stat| stat.owner());
                self.stage_parents(&real)?;
                // What was to be appended to the old content goes with it.
                self.stage.appended.remove(&real);
                self.stage.nodes.insert(
                    real,
                    Staged::File {
                        content: Rc::new(content.clone()),
                        mode,
                        owner,
                    },
                );
            }
            Change::Mkdir { mode, .. } => match present {
                Some(stat) => {
                    ensure!(is(FileKind::Dir), "{path} is there and is no directory");
                    self.stage_attributes(real, *mode, stat.owner());
                }
                None => {
                    self.stage_parents(&real)?;
                    let (mode, owner) = (*mode, ROOT);
                    self.stage.nodes.insert(real, Staged::Dir { mode, owner });
                }
            },
            Change::Link { target, .. } => {
                ensure!(!is(FileKind::Dir), "{path} is a directory");
                self.stage_parents(&real)?;
                self.stage.nodes.insert(
                    real,
                    Staged::Link {
                        target: target.clone(),
                    },
                );
            }
            Change::Remove { .. } => {
                ensure!(present.is_some(), "there is nothing to remove");
                ensure!(!real.is_root(), "the root directory is never removed");
                self.stage
                    .nodes
                    .retain(|staged, _| !staged.starts_with(&real));
                self.stage
                    .appended
                    .retain(|image, _| !image.starts_with(&real));
                self.stage.nodes.insert(real, Staged::Gone);
            }
            Change::Chmod { mode, .. } => {
                let stat = present.context("there is no such file")?;
                self.stage_attributes(real, *mode, stat.owner());
            }
            Change::Chown { uid, gid, .. } => {
                let stat = present.context("there is no such file")?;
                let mode = match stat.kind {
                    FileKind::File if stat.owner() != (*uid, *gid) => mode_after_chown(stat.mode),
                    _ => stat.mode,
                };
                self.stage_attributes(real, mode, (*uid, *gid));
            }
            Change::InitramfsAppend { files, .. } => {
                ensure!(is(FileKind::File), "there is no such file");
                if let Some(Staged::File { content, .. }) = self.stage.nodes.get_mut(&real) {
                    let size = content.len() as u64;
                    let packing = initramfs::Packing::of(size, |offset, len| {
                        let start = usize::try_from(offset)?.min(content.len());
                        let end = start.saturating_add(len).min(content.len());
                        Ok(content[start..end].to_vec())
                    })?;
                    let segment = initramfs::segment(size, packing, files)?;
                    Rc::make_mut(content).extend(segment);
                    return Ok(());
                }
                self.stage
                    .appended
                    .entry(real)
                    .or_default()
                    .extend(files.iter().cloned());
            }
            Change::RegistrySet { .. }
            | Change::RegistryDelete { .. }
            | Change::RegistryCreate { .. } => bail!("it is no change of a file"),
        }
        Ok(())
    }

    /// Gives what is at `real`, and is no link, other attributes.
    fn stage_attributes(&mut self, real: GuestPath, new_mode: u32, new_owner: (u32, u32)) {
        let new = Staged::Attributes {
            mode: new_mode,
            owner: new_owner,
        };
        match self.stage.nodes.get_mut(&real) {
            Some(
                Staged::File { mode, owner, .. }
                | Staged::Hive { mode, owner, .. }
                | Staged::Dir { mode, owner },
            ) => {
                (*mode, *owner) = (new_mode, new_owner);
            }
            _ => {
                self.stage.nodes.insert(real, new);
            }
        }
    }

    /// Where in the guest a change takes effect: writes and attributes follow a link, removals and new
    /// links do not.
    ///
    /// # Errors
    /// If the backend cannot be read.
    fn real_target(&self, change: &Change) -> anyhow::Result<Option<GuestPath>> {
        match change {
            Change::Write { path, .. }
            | Change::Chmod { path, .. }
            | Change::Mkdir { path, .. }
            | Change::Chown { path, .. }
            | Change::InitramfsAppend { path, .. } => {
                match self.resolve(path)? {
                    Some(real) => Ok(Some(real)),
                    // A new file in directories that are to be made.
                    None => self.deepest(path),
                }
            }
            Change::Link { path, .. } => match self.resolve_parent(path)? {
                Some(real) => Ok(Some(real)),
                None => self.deepest(path),
            },
            Change::Remove { path } => self.resolve_parent(path),
            Change::RegistrySet { .. }
            | Change::RegistryDelete { .. }
            | Change::RegistryCreate { .. } => Ok(None),
        }
    }

    /// `path` with links in its existing part resolved, its missing directories as they are;
    /// `None` if that part ends in something that is no directory, or in a dangling link.
    fn deepest(&self, path: &GuestPath) -> anyhow::Result<Option<GuestPath>> {
        let mut missing: Vec<Vec<u8>> = vec![path.file_name().to_vec()];
        let mut dir = path.parent();
        while let Some(here) = dir {
            if let Some(real) = self.resolve(&here)? {
                match self.lstat_real(&real)? {
                    Some(Stat {
                        kind: FileKind::Dir,
                        ..
                    }) => {
                        return Ok(Some(
                            missing
                                .iter()
                                .rev()
                                .fold(real, |path, name| path.join(name)),
                        ));
                    }
                    Some(_) => return Ok(None),
                    None => {}
                }
            }
            if self.resolve_parent(&here)?.is_some_and(|link| {
                matches!(
                    self.lstat_real(&link),
                    Ok(Some(Stat {
                        kind: FileKind::Symlink,
                        ..
                    }))
                )
            }) {
                return Ok(None);
            }
            missing.push(here.file_name().to_vec());
            dir = here.parent();
        }
        Ok(None)
    }

    fn stage_parents(&mut self, real: &GuestPath) -> anyhow::Result<()> {
        let mut missing = Vec::new();
        let mut dir = real.parent();
        while let Some(here) = dir {
            if self.lstat_real(&here)?.is_some() {
                break;
            }
            dir = here.parent();
            missing.push(here);
        }
        for dir in missing {
            let (mode, owner) = (0o755, ROOT);
            self.stage.nodes.insert(dir, Staged::Dir { mode, owner });
        }
        Ok(())
    }
}
