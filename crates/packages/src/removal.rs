//! What it takes to remove packages.

use std::collections::BTreeSet;

use refit_engine::backend::FileKind;
use refit_engine::{Change, Guest, GuestPath, READ_LIMIT};

use crate::owners::Owners;

/// The answer to [`Packages::removal`](crate::Packages::removal).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Removal {
    /// It can be done.
    Changes {
        /// What changes; empty if none of the packages is there.
        changes: Vec<Change>,
        /// What the package manager would have done beyond that, in words for the user: scripts that
        /// are not run, files that are left.
        notes: Vec<String>,
    },
    /// It would break the guest, or cannot be done from here.
    Blocked {
        /// Why; dependents are named.
        reason: String,
    },
}

impl Default for Removal {
    fn default() -> Self {
        Self::Changes {
            changes: Vec::new(),
            notes: Vec::new(),
        }
    }
}

/// `text` without the lines (end of line not included) that are `unwanted`.
pub(crate) fn without_lines(text: &[u8], unwanted: impl Fn(&[u8]) -> bool) -> Vec<u8> {
    text.split_inclusive(|&b| b == b'\n')
        .filter(|line| !unwanted(line.strip_suffix(b"\n").unwrap_or(line)))
        .flatten()
        .copied()
        .collect()
}

/// Collects the paths that go with some packages, and spares those that others own.
pub(crate) struct Sweep<'a> {
    guest: &'a Guest<'a>,
    owners: &'a Owners,
    packages: BTreeSet<usize>,
    gone: BTreeSet<GuestPath>,
    /// Removed by name, but something else comes in its place.
    kept: BTreeSet<GuestPath>,
    changes: Vec<Change>,
    notes: Vec<String>,
}

impl<'a> Sweep<'a> {
    pub(crate) fn new(guest: &'a Guest<'a>, owners: &'a Owners, packages: &[usize]) -> Self {
        Self {
            guest,
            owners,
            packages: packages.iter().copied().collect(),
            gone: BTreeSet::new(),
            kept: BTreeSet::new(),
            changes: Vec::new(),
            notes: Vec::new(),
        }
    }

    /// Removes the files and links among what the packages list.
    pub(crate) fn files(&mut self, listed: &[GuestPath]) -> anyhow::Result<()> {
        let listed: BTreeSet<&GuestPath> = listed.iter().collect();
        let parents: BTreeSet<GuestPath> = listed.iter().filter_map(|path| path.parent()).collect();
        for path in listed {
            match self.look(path)? {
                None | Some((_, FileKind::Dir)) => {}
                // A directory of the package that is a link here: the administrator's, or that of a
                // merged /usr.
                Some((_, FileKind::Symlink)) if parents.contains(path) => {}
                Some((real, kind)) => self.take(real, kind),
            }
        }
        Ok(())
    }

    /// Removes the directories among what the packages list, where nothing is left in them.
    pub(crate) fn dirs(&mut self, listed: &[GuestPath]) -> anyhow::Result<()> {
        let mut dirs = BTreeSet::new();
        for path in listed {
            if let Some((real, FileKind::Dir)) = self.look(path)? {
                dirs.insert(real);
            }
        }
        let mut dirs: Vec<GuestPath> = dirs.into_iter().collect();
        dirs.sort_by_key(|dir| std::cmp::Reverse(dir.components().count()));
        for dir in dirs {
            self.empty_dir(dir)?;
        }
        Ok(())
    }

    /// Removes a file or link that belongs to nobody else, if it is there.
    pub(crate) fn file(&mut self, path: &GuestPath) -> anyhow::Result<()> {
        match self.look(path)? {
            Some((real, kind)) if kind != FileKind::Dir => self.take(real, kind),
            _ => {}
        }
        Ok(())
    }

    /// Removes a directory if nothing is left in it and nobody else owns it.
    pub(crate) fn empty_dir(&mut self, dir: GuestPath) -> anyhow::Result<()> {
        if dir.is_root() || self.gone.contains(&dir) || self.is_shared(&dir) {
            return Ok(());
        }
        let is_empty = self
            .guest
            .list(&dir)?
            .iter()
            .all(|entry| self.gone.contains(&dir.join(&entry.name)));
        if is_empty {
            self.gone.insert(dir.clone());
            self.changes.push(Change::Remove { path: dir });
        }
        Ok(())
    }

    /// New content for a file of the database.
    pub(crate) fn write(&mut self, path: GuestPath, content: Vec<u8>) {
        self.changes.push(Change::Write {
            path,
            content,
            mode: None,
        });
    }

    /// Puts the file or link at `from`, if there is one that stays, in the place of `to`.
    pub(crate) fn move_back(&mut self, from: &GuestPath, to: &GuestPath) -> anyhow::Result<()> {
        let (Some((from, kind)), Some(to)) = (self.look(from)?, self.guest.resolve_parent(to)?)
        else {
            return Ok(());
        };
        if !self.owners.of(&from).is_empty() && !self.owners.has_other(&from, &self.packages) {
            return Ok(());
        }
        match (kind, self.guest.stat(&from)?) {
            (FileKind::File, Some(stat)) if stat.size <= READ_LIMIT => {
                let content = self.guest.read(&from)?.unwrap_or_default();
                // Not through a link that the package may have put here.
                if self.look(&to)?.is_some() {
                    self.changes.push(Change::Remove { path: to.clone() });
                }
                self.changes.push(Change::Write {
                    path: to.clone(),
                    content,
                    mode: Some(stat.mode),
                });
                if (stat.uid, stat.gid) != (0, 0) {
                    self.changes.push(Change::Chown {
                        path: to.clone(),
                        uid: stat.uid,
                        gid: stat.gid,
                    });
                }
            }
            _ => {
                self.note(format!(
                    "{from}, diverted from {to}, is left: it is too long, or no regular file"
                ));
                return Ok(());
            }
        }
        self.kept.insert(to);
        self.gone.insert(from.clone());
        self.changes.push(Change::Remove { path: from });
        Ok(())
    }

    /// Whether a symbolic link leads to something that is removed.
    pub(crate) fn leads_to_gone(&self, link: &GuestPath) -> anyhow::Result<bool> {
        Ok(self
            .guest
            .resolve(link)?
            .is_some_and(|target| self.gone.contains(&target)))
    }

    /// Something that the user should know.
    pub(crate) fn note(&mut self, note: String) {
        self.notes.push(note);
    }

    /// Whether the path is removed.
    pub(crate) fn is_gone(&self, path: &GuestPath) -> bool {
        self.gone.contains(path)
    }

    /// All that is removed so far.
    pub(crate) fn gone(&self) -> &BTreeSet<GuestPath> {
        &self.gone
    }

    pub(crate) fn finish(self) -> Removal {
        Removal::Changes {
            changes: self.changes,
            notes: self.notes,
        }
    }

    /// Where `path` is without links in its directories, and what is there.
    fn look(&self, path: &GuestPath) -> anyhow::Result<Option<(GuestPath, FileKind)>> {
        let Some(real) = self.guest.resolve_parent(path)? else {
            return Ok(None);
        };
        let Some(parent) = real.parent() else {
            return Ok(None);
        };
        // A listing answers for all files of a directory with one question to the appliance.
        Ok(self
            .guest
            .list(&parent)?
            .into_iter()
            .find(|entry| entry.name == real.file_name())
            .map(|entry| (real, entry.kind)))
    }

    fn take(&mut self, real: GuestPath, kind: FileKind) {
        if kind == FileKind::Other {
            self.note(format!("{real} is left: it is a device, socket or pipe"));
        } else if !self.is_shared(&real) && self.gone.insert(real.clone()) {
            self.changes.push(Change::Remove { path: real });
        }
    }

    fn is_shared(&self, real: &GuestPath) -> bool {
        self.kept.contains(real)
            || self.owners.is_alias(real)
            || self.owners.has_other(real, &self.packages)
    }
}
