//! Carrying out a plan.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::rc::Rc;

use anyhow::{Context as _, bail, ensure};

use refit_hive::Hive;

use crate::backend::{Backend, FileKind, Stat};
use crate::change::{InitramfsFile, sha256_hex};
use crate::guest::Guest;
use crate::path::GuestPath;
use crate::ranges;
use crate::selinux::{self, FileContexts};
use crate::stage::{Staged, appendix};
use crate::undo::{After, Attributes, Before, Bytes, DirTimes, UndoEntry, UndoFile};

/// A plan made ready to be carried out: every write, and what it replaces. Nothing has been
/// written yet.
#[derive(Debug)]
pub struct Prepared {
    steps: Vec<Step>,
    undo: UndoFile,
}

/// One write to one path.
#[derive(Debug)]
struct Step {
    path: GuestPath,
    action: Action,
    label: Option<Vec<u8>>,
}

#[derive(Debug)]
enum Action {
    Remove,
    Mkdir {
        mode: u32,
        owner: (u32, u32),
    },
    Write {
        content: Rc<Vec<u8>>,
        mode: u32,
        /// `None` if it stays.
        owner: Option<(u32, u32)>,
        new: bool,
    },
    /// A registry hive: only what differs is written.
    Hive {
        hive: Rc<Hive>,
        ranges: Vec<Range<usize>>,
        mode: u32,
        /// `None` if it stays.
        owner: Option<(u32, u32)>,
    },
    Append {
        content: Vec<u8>,
    },
    Link {
        target: Vec<u8>,
        replace: bool,
    },
    Attributes {
        mode: u32,
        /// `None` if it stays.
        owner: Option<(u32, u32)>,
    },
}

/// Reads everything that `guest`'s plan is going to replace and works out the writes. `fixups`
/// are the ones whose changes these are.
///
/// # Errors
/// If something cannot be read, or cannot be restored later (a device in a directory that is to
/// be removed).
pub fn prepare(
    guest: Guest<'_>,
    backend: &dyn Backend,
    fixups: Vec<String>,
) -> anyhow::Result<Prepared> {
    let contexts = match &guest.facts().selinux {
        Some(policy) => FileContexts::read(&guest, policy).context("reading the SELinux policy")?,
        None => FileContexts::default(),
    };
    let stage = guest.into_stage();
    let mut preparation = Preparation {
        backend,
        contexts,
        steps: Vec::new(),
        undo: UndoFile::new(backend.describe(), fixups),
        dirs: BTreeSet::new(),
        removed: BTreeSet::new(),
        entries: BTreeMap::new(),
    };
    // A planned directory is a new one, so one that is there goes first, with all that is in it;
    // so does one whose place a file or link is to take.
    for (path, staged) in &stage.nodes {
        let Some(stat) = preparation.present(path)? else {
            continue;
        };
        let goes = match staged {
            Staged::Gone | Staged::Dir { .. } => true,
            Staged::File { .. } | Staged::Hive { .. } => stat.kind != FileKind::File,
            Staged::Link { .. } => stat.kind == FileKind::Dir,
            Staged::Attributes { .. } => false,
        };
        if goes {
            preparation.remove(path, &stat)?;
        }
    }
    for (path, staged) in &stage.nodes {
        preparation
            .change(path, staged)
            .with_context(|| format!("preparing the change of {path}"))?;
    }
    preparation.append(&stage.appended)?;
    preparation.finish()
}

struct Preparation<'b> {
    backend: &'b dyn Backend,
    contexts: FileContexts,
    steps: Vec<Step>,
    undo: UndoFile,
    dirs: BTreeSet<GuestPath>,
    removed: BTreeSet<GuestPath>,
    /// Where in the undo file the entry of a path is.
    entries: BTreeMap<GuestPath, usize>,
}

impl Preparation<'_> {
    fn push(&mut self, path: &GuestPath, action: Action, before: Before, after: After) {
        let new = match &action {
            Action::Mkdir { .. } => Some(FileKind::Dir),
            Action::Link { .. } => Some(FileKind::Symlink),
            Action::Write { new: true, .. } => Some(FileKind::File),
            _ => None,
        };
        let label = new.and_then(|kind| self.contexts.label(path, kind));
        let after = match self.backend.fixed_mode() {
            Some(mode) => after.with_mode(mode),
            None => after,
        };
        self.steps.push(Step {
            path: path.clone(),
            action,
            label,
        });
        // What is removed and made again has one entry: from its first state to its last.
        match self.entries.get(path) {
            Some(&index) => self.undo.entries[index].after = after,
            None => {
                self.entries.insert(path.clone(), self.undo.entries.len());
                self.undo.entries.push(UndoEntry {
                    path: path.clone(),
                    before,
                    after,
                });
            }
        }
        self.dirs.extend(path.parent());
    }

    /// What is at `path` once the removals are done.
    fn present(&self, path: &GuestPath) -> anyhow::Result<Option<Stat>> {
        if self.removed.contains(path) {
            Ok(None)
        } else {
            self.backend.lstat(path)
        }
    }

    fn remove(&mut self, path: &GuestPath, stat: &Stat) -> anyhow::Result<()> {
        let attributes = Attributes::read(self.backend, path, stat)?;
        let before = match stat.kind {
            FileKind::File => Before::File {
                content: Bytes(self.backend.read(path)?),
                attributes,
            },
            FileKind::Symlink => Before::Symlink {
                target: Bytes(self.backend.read_link(path)?),
                attributes,
            },
            FileKind::Other => {
                bail!("{path} is a device, socket or pipe and could not be restored")
            }
            FileKind::Dir => {
                for entry in self.backend.list(path)?.unwrap_or_default() {
                    let child = path.join(&entry.name);
                    let stat = self
                        .backend
                        .lstat(&child)?
                        .with_context(|| format!("{child} vanished"))?;
                    self.remove(&child, &stat)?;
                }
                Before::Dir { attributes }
            }
        };
        self.push(path, Action::Remove, before, After::Absent);
        self.removed.insert(path.clone());
        Ok(())
    }

    fn change(&mut self, path: &GuestPath, staged: &Staged) -> anyhow::Result<()> {
        let present = self.present(path)?;
        match (staged, present) {
            (Staged::Gone, _) => {}
            (&Staged::Dir { mode, owner }, _) => self.push(
                path,
                Action::Mkdir { mode, owner },
                Before::Absent,
                After::dir(mode, owner),
            ),
            (
                Staged::File {
                    content,
                    mode,
                    owner,
                },
                present,
            ) => {
                let before = match present {
                    None => Before::Absent,
                    Some(stat) => {
                        let old = match stat.kind {
                            FileKind::File => self.backend.read(path)?,
                            _ => bail!("it is no regular file"),
                        };
                        if old == **content && (stat.mode, stat.owner()) == (*mode, *owner) {
                            return Ok(());
                        }
                        Before::File {
                            content: Bytes(old),
                            attributes: Attributes::read(self.backend, path, &stat)?,
                        }
                    }
                };
                let action = Action::Write {
                    content: Rc::clone(content),
                    mode: *mode,
                    owner: Some(*owner)
                        .filter(|owner| present.is_none_or(|stat| stat.owner() != *owner)),
                    new: present.is_none(),
                };
                self.push(path, action, before, After::file(content, *mode, *owner));
            }
            (Staged::Hive { hive, mode, owner }, Some(stat)) if stat.kind == FileKind::File => {
                // What was edited must still be a sound hive before a byte of it is written.
                hive.check().context("checking the edited hive")?;
                let old = self.backend.read(path)?;
                let ranges = ranges::differing(&old, hive.bytes());
                if old == hive.bytes() && (stat.mode, stat.owner()) == (*mode, *owner) {
                    return Ok(());
                }
                let before = Before::File {
                    content: Bytes(old),
                    attributes: Attributes::read(self.backend, path, &stat)?,
                };
                let after = After::file(hive.bytes(), *mode, *owner);
                let action = Action::Hive {
                    hive: Rc::clone(hive),
                    ranges,
                    mode: *mode,
                    owner: Some(*owner).filter(|owner| *owner != stat.owner()),
                };
                self.push(path, action, before, after);
            }
            (Staged::Hive { .. }, _) => bail!("the registry hive is no longer there"),
            (Staged::Link { target }, present) => {
                let before = match present {
                    None => Before::Absent,
                    Some(stat) => {
                        let attributes = Attributes::read(self.backend, path, &stat)?;
                        match stat.kind {
                            FileKind::Symlink => {
                                let old = self.backend.read_link(path)?;
                                if old == *target {
                                    return Ok(());
                                }
                                Before::Symlink {
                                    target: Bytes(old),
                                    attributes,
                                }
                            }
                            FileKind::File => Before::File {
                                content: Bytes(self.backend.read(path)?),
                                attributes,
                            },
                            _ => bail!("it is no file or link"),
                        }
                    }
                };
                let action = Action::Link {
                    target: target.clone(),
                    replace: present.is_some(),
                };
                self.push(
                    path,
                    action,
                    before,
                    After::Symlink {
                        target: Bytes(target.clone()),
                    },
                );
            }
            (&Staged::Attributes { mode, owner }, Some(stat)) => {
                if (stat.mode, stat.owner()) != (mode, owner) {
                    let attributes = Attributes::read(self.backend, path, &stat)?;
                    let before = match stat.kind {
                        FileKind::Dir => Before::Dir { attributes },
                        _ => Before::Prefix {
                            size: stat.size,
                            attributes,
                        },
                    };
                    let action = Action::Attributes {
                        mode,
                        owner: Some(owner).filter(|owner| *owner != stat.owner()),
                    };
                    self.push(path, action, before, After::attributes(mode, owner));
                }
            }
            (Staged::Attributes { .. }, None) => bail!("it vanished"),
        }
        Ok(())
    }

    fn append(&mut self, appended: &BTreeMap<GuestPath, Vec<InitramfsFile>>) -> anyhow::Result<()> {
        for (image, files) in appended {
            let stat = self
                .backend
                .lstat(image)?
                .with_context(|| format!("{image} vanished"))?;
            let content = appendix(self.backend, image, stat.size, files)?;
            let attributes = Attributes::read(self.backend, image, &stat)?;
            let after = After::Appended {
                size: stat.size + content.len() as u64,
                sha256: sha256_hex(&content),
            };
            self.push(
                image,
                Action::Append { content },
                Before::Prefix {
                    size: stat.size,
                    attributes,
                },
                after,
            );
        }
        Ok(())
    }

    fn finish(mut self) -> anyhow::Result<Prepared> {
        for path in self.dirs {
            if let Some(stat) = self
                .backend
                .lstat(&path)?
                .filter(|stat| stat.kind == FileKind::Dir)
            {
                self.undo.dirs.push(DirTimes {
                    path,
                    atime: stat.atime,
                    mtime: stat.mtime,
                });
            }
        }
        Ok(Prepared {
            steps: self.steps,
            undo: self.undo,
        })
    }
}

impl Prepared {
    /// What restores the guest; to be saved before [`execute`](Self::execute).
    #[must_use]
    pub fn undo(&self) -> &UndoFile {
        &self.undo
    }

    /// Whether there is nothing to write.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// Writes everything, then reads each changed path back.
    ///
    /// # Errors
    /// If a write fails or does not read back as it should. What was written until then stays; the
    /// undo file takes it back.
    pub fn execute(&self, backend: &mut dyn Backend) -> anyhow::Result<()> {
        for step in &self.steps {
            step.execute(backend)?;
        }
        let new = self.steps.iter().filter(|step| step.makes_new());
        let new: Vec<&GuestPath> = new.map(|step| &step.path).collect();
        backend.protect(&new)?;
        backend.sync()?;
        for entry in &self.undo.entries {
            ensure!(
                entry.is_after(backend)?,
                "{} does not read back as it was written",
                entry.path
            );
        }
        Ok(())
    }
}

impl Step {
    /// Whether there is a file or directory afterwards that was not there before.
    fn makes_new(&self) -> bool {
        matches!(
            self.action,
            Action::Mkdir { .. } | Action::Write { new: true, .. }
        )
    }

    fn execute(&self, backend: &mut dyn Backend) -> anyhow::Result<()> {
        let path = &self.path;
        tracing::debug!(%path, "writing");
        match &self.action {
            Action::Remove => backend.remove(path)?,
            Action::Mkdir { mode, owner } => {
                backend.mkdir(path)?;
                backend.set_owner(path, owner.0, owner.1)?;
                backend.set_mode(path, *mode)?;
            }
            Action::Write {
                content,
                mode,
                owner,
                ..
            } => {
                backend.write(path, content)?;
                // The owner first: changing it clears set-user-ID bits.
                if let Some((uid, gid)) = *owner {
                    backend.set_owner(path, uid, gid)?;
                }
                backend.set_mode(path, *mode)?;
            }
            Action::Hive {
                hive,
                ranges,
                mode,
                owner,
            } => {
                ranges::write(backend, path, hive.bytes(), ranges)?;
                if let Some((uid, gid)) = *owner {
                    backend.set_owner(path, uid, gid)?;
                }
                backend.set_mode(path, *mode)?;
            }
            Action::Append { content } => backend.append(path, content)?,
            Action::Link { target, replace } => {
                if *replace {
                    backend.remove(path)?;
                }
                backend.symlink(path, target)?;
            }
            Action::Attributes { mode, owner } => {
                if let Some((uid, gid)) = *owner {
                    backend.set_owner(path, uid, gid)?;
                }
                backend.set_mode(path, *mode)?;
            }
        }
        if let Some(label) = &self.label {
            backend.set_xattr(path, selinux::XATTR, label)?;
        }
        Ok(())
    }
}
