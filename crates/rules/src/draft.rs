//! A proposal in the making.

use anyhow::Context as _;
use refit_engine::backend::FileKind;
use refit_engine::{Change, Guest, GuestPath};
use refit_packages::Packages;

use crate::glob::{content, entry};

/// Changes that are planned one after another, each on what those before it leave.
///
/// The engine wants at most one change of a path where one is enough, and no change that changes
/// nothing; the draft sees to that.
#[derive(Debug)]
pub struct Draft<'b> {
    before: Guest<'b>,
    guest: Guest<'b>,
    packages: Option<Packages>,
    changes: Vec<Change>,
    revision: usize,
}

impl<'b> Draft<'b> {
    /// An empty draft for `guest`.
    ///
    /// # Errors
    /// If its package database cannot be read.
    pub fn new(guest: &Guest<'b>) -> anyhow::Result<Self> {
        Ok(Self {
            before: guest.clone(),
            guest: guest.clone(),
            packages: Packages::read(guest)?,
            changes: Vec::new(),
            revision: 0,
        })
    }

    /// The guest as the draft leaves it.
    #[must_use]
    pub fn guest(&self) -> &Guest<'b> {
        &self.guest
    }

    /// The packages that stay installed; `None` if the guest has no package database.
    #[must_use]
    pub fn packages(&self) -> Option<&Packages> {
        self.packages.as_ref()
    }

    /// What `path` itself is as the draft leaves it, links not followed; `None` if nothing is there.
    ///
    /// # Errors
    /// If the guest cannot be read.
    pub fn kind(&self, path: &GuestPath) -> anyhow::Result<Option<FileKind>> {
        entry(&self.guest, path)
    }

    /// The content of a regular file as the draft leaves it, links followed; `None` if `path` is
    /// anything else.
    ///
    /// # Errors
    /// If the guest cannot be read, or the file is too long for [`Guest::read`].
    pub fn content(&self, path: &GuestPath) -> anyhow::Result<Option<Vec<u8>>> {
        content(&self.guest, path)
    }

    /// A number that grows with every change: the same number, the same draft.
    #[must_use]
    pub fn revision(&self) -> usize {
        self.revision
    }

    /// Adds a change.
    ///
    /// # Errors
    /// If it cannot be done to the guest as it is then.
    pub fn push(&mut self, change: Change) -> anyhow::Result<()> {
        let change = self.at_its_real_path(change)?;
        let differ = self.guest.stage_each(std::slice::from_ref(&change))?;
        if differ == [false] {
            return Ok(());
        }
        self.revision += 1;
        match &change {
            Change::Remove { path } => {
                self.changes
                    .retain(|earlier| !earlier.path().is_some_and(|at| at.starts_with(path)));
                let gone_already = self.changes.iter().any(|earlier| {
                    matches!(earlier, Change::Remove { path: dir } if path.starts_with(dir))
                });
                if !gone_already && entry(&self.before, path)?.is_some() {
                    self.changes.push(change);
                }
            }
            Change::Write { path, mode, .. } => {
                let same = |earlier: &&mut Change| matches!(earlier, Change::Write { path: other, .. } if other == path);
                match self.changes.iter_mut().find(same) {
                    Some(earlier) => {
                        let mode = mode.or(match earlier {
                            Change::Write { mode, .. } => *mode,
                            _ => None,
                        });
                        *earlier = change.clone();
                        if let Change::Write { mode: bits, .. } = earlier {
                            *bits = mode;
                        }
                    }
                    None => self.changes.push(change),
                }
            }
            _ => self.changes.push(change),
        }
        Ok(())
    }

    /// Adds changes that remove packages, or install them.
    ///
    /// # Errors
    /// As [`push`](Self::push), and if the package database then cannot be read.
    pub fn push_packages(&mut self, changes: Vec<Change>) -> anyhow::Result<()> {
        for change in changes {
            self.push(change)?;
        }
        self.packages = Packages::read(&self.guest)
            .context("reading the package database as it is after the removal")?;
        Ok(())
    }

    /// The changes, without those that change nothing.
    ///
    /// # Errors
    /// If the guest cannot be read.
    pub fn into_changes(self) -> anyhow::Result<Vec<Change>> {
        let mut changes = Vec::with_capacity(self.changes.len());
        for change in self.changes {
            let idle = match &change {
                Change::Write {
                    path,
                    content,
                    mode,
                } => {
                    let stat = self.before.stat(path)?;
                    let stat = stat.filter(|stat| stat.kind == FileKind::File);
                    match stat {
                        Some(stat) => {
                            stat.size == content.len() as u64
                                && mode.is_none_or(|mode| mode == stat.mode)
                                && self.before.read(path)?.as_ref() == Some(content)
                        }
                        None => false,
                    }
                }
                _ => false,
            };
            if !idle {
                changes.push(change);
            }
        }
        Ok(changes)
    }

    /// One path has many names where `/lib` is a link to `usr/lib`; changes of it are found by its
    /// real one.
    fn at_its_real_path(&self, mut change: Change) -> anyhow::Result<Change> {
        let real = match &change {
            Change::Remove { path } | Change::Link { path, .. } => {
                self.guest.resolve_parent(path)?
            }
            other => match other.path() {
                Some(path) => self.guest.resolve(path)?,
                None => None,
            },
        };
        if let Some(real) = real {
            set_path(&mut change, real);
        }
        Ok(change)
    }
}

fn set_path(change: &mut Change, real: GuestPath) {
    match change {
        Change::Write { path, .. }
        | Change::Remove { path }
        | Change::Link { path, .. }
        | Change::Chmod { path, .. }
        | Change::Mkdir { path, .. }
        | Change::Chown { path, .. }
        | Change::InitramfsAppend { path, .. } => *path = real,
        Change::RegistrySet { .. }
        | Change::RegistryDelete { .. }
        | Change::RegistryCreate { .. } => {}
    }
}
