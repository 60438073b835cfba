//! The way back: what every changed path was before.

mod bytes;

use std::fs;
use std::io::{self, Write as _};
use std::path::Path;

use anyhow::{Context as _, anyhow, bail, ensure};
use serde::{Deserialize, Serialize};

use crate::backend::{Backend, FileKind, Stat, Xattrs};
use crate::change::sha256_hex;
use crate::path::GuestPath;
use crate::ranges;
use crate::selinux;

pub(crate) use bytes::Bytes;

/// `schema` of an undo file.
const SCHEMA: &str = "refit/undo/v1";

/// Enough to restore all that one run changed: original bytes, attributes, times.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct UndoFile {
    schema: String,
    /// What the run was made on, for people: the disks or the directory.
    pub guest: String,
    /// The fixups whose changes these are.
    pub fixups: Vec<String>,
    /// One entry for each changed path, in the order in which they were changed.
    pub(crate) entries: Vec<UndoEntry>,
    /// Times of the directories whose content changed.
    pub(crate) dirs: Vec<DirTimes>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct UndoEntry {
    pub(crate) path: GuestPath,
    pub(crate) before: Before,
    pub(crate) after: After,
}

/// What was there before the change.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub(crate) enum Before {
    /// Nothing.
    Absent,
    /// A whole file.
    File {
        content: Bytes,
        attributes: Attributes,
    },
    /// A file whose content stays, of this size: something is appended, or only its mode changes.
    Prefix { size: u64, attributes: Attributes },
    /// A directory.
    Dir { attributes: Attributes },
    /// A symbolic link.
    Symlink {
        target: Bytes,
        attributes: Attributes,
    },
}

/// What the change leaves: tells whether somebody changed it again since.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub(crate) enum After {
    Absent,
    File {
        sha256: String,
        mode: u32,
        /// Absent in undo files of a refit that changed no owners.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        owner: Option<(u32, u32)>,
    },
    /// The file now has this size, and what follows the old one has this digest.
    Appended {
        size: u64,
        sha256: String,
    },
    /// Other attributes, the same content.
    #[serde(rename = "mode")]
    Attributes {
        mode: u32,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        owner: Option<(u32, u32)>,
    },
    Dir {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        mode: Option<u32>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        owner: Option<(u32, u32)>,
    },
    Symlink {
        target: Bytes,
    },
}

impl After {
    pub(crate) fn file(content: &[u8], mode: u32, owner: (u32, u32)) -> Self {
        Self::File {
            sha256: sha256_hex(content),
            mode,
            owner: Some(owner),
        }
    }

    /// The same on a file system where everything has these permission bits, and owner and group 0.
    pub(crate) fn with_mode(self, mode: u32) -> Self {
        let owner = (0, 0);
        match self {
            Self::File { sha256, .. } => Self::File {
                sha256,
                mode,
                owner: Some(owner),
            },
            Self::Attributes { .. } => Self::attributes(mode, owner),
            Self::Dir { .. } => Self::dir(mode, owner),
            other => other,
        }
    }

    pub(crate) fn attributes(mode: u32, owner: (u32, u32)) -> Self {
        Self::Attributes {
            mode,
            owner: Some(owner),
        }
    }

    pub(crate) fn dir(mode: u32, owner: (u32, u32)) -> Self {
        Self::Dir {
            mode: Some(mode),
            owner: Some(owner),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Attributes {
    pub(crate) mode: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) atime: (i64, i64),
    pub(crate) mtime: (i64, i64),
    pub(crate) xattrs: Vec<(Bytes, Bytes)>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct DirTimes {
    pub(crate) path: GuestPath,
    pub(crate) atime: (i64, i64),
    pub(crate) mtime: (i64, i64),
}

/// What [`UndoFile::restore`] did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Restored {
    /// Paths that are as they were before.
    pub restored: Vec<GuestPath>,
    /// Paths that already were, for example because the run stopped before it changed them.
    pub unchanged: Vec<GuestPath>,
    /// Paths that somebody changed after the run and that were overwritten (`force`).
    pub overwritten: Vec<GuestPath>,
}

impl UndoFile {
    pub(crate) fn new(guest: String, fixups: Vec<String>) -> Self {
        Self {
            schema: SCHEMA.to_owned(),
            guest,
            fixups,
            entries: Vec::new(),
            dirs: Vec::new(),
        }
    }

    /// The paths that the run changed.
    pub fn paths(&self) -> impl Iterator<Item = &GuestPath> {
        self.entries.iter().map(|entry| &entry.path)
    }

    /// Whether there is nothing to undo.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Reads an undo file.
    ///
    /// # Errors
    /// If it cannot be read or is none.
    pub fn load(path: &Path) -> anyhow::Result<Self> {
        let reading = || format!("reading undo file {}", path.display());
        let content = fs::read(path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => anyhow!(
                "{}: there is no such file; check the path (fix says where it writes its undo file, convert writes \
                 undo.json if its fixups changed anything)",
                path.display()
            ),
            _ => anyhow::Error::from(error).context(reading()),
        })?;
        let file: Self = serde_json::from_slice(&content).with_context(|| {
            format!(
                "{}: it is no undo file of refit, or it is damaged",
                reading()
            )
        })?;
        ensure!(
            file.schema == SCHEMA,
            "{}: it has format {:?}, this refit reads {SCHEMA:?}",
            reading(),
            file.schema
        );
        Ok(file)
    }

    /// Writes the file, readable by its owner alone (it holds what the guest's files held), and
    /// returns when it is on stable storage.
    ///
    /// # Errors
    /// If it cannot be written, or exists.
    pub fn save(&self, path: &Path) -> anyhow::Result<()> {
        let writing = || format!("writing undo file {}", path.display());
        let dir = match path.parent() {
            Some(dir) if !dir.as_os_str().is_empty() => dir,
            _ => Path::new("."),
        };
        let mut file = tempfile::NamedTempFile::new_in(dir).with_context(writing)?;
        serde_json::to_writer(&mut file, self).with_context(writing)?;
        file.write_all(b"\n").with_context(writing)?;
        file.as_file().sync_all().with_context(writing)?;
        file.persist_noclobber(path).with_context(writing)?;
        fs::File::open(dir)
            .and_then(|dir| dir.sync_all())
            .with_context(writing)
    }

    /// Puts everything back, last change first. With `force`, also what was changed again after
    /// the run; otherwise that is an error before anything is written.
    ///
    /// # Errors
    /// [`ChangedSince`], or if it cannot be written or is not as before afterwards.
    pub fn restore(&self, backend: &mut dyn Backend, force: bool) -> anyhow::Result<Restored> {
        let mut outcome = Restored::default();
        let mut todo = Vec::new();
        for entry in self.entries.iter().rev() {
            if entry.is_before(backend)? {
                outcome.unchanged.push(entry.path.clone());
                continue;
            }
            if entry.is_after(backend)? {
                outcome.restored.push(entry.path.clone());
            } else {
                outcome.overwritten.push(entry.path.clone());
            }
            todo.push(entry);
        }
        if !force && !outcome.overwritten.is_empty() {
            return Err(ChangedSince {
                paths: outcome.overwritten,
            }
            .into());
        }
        for entry in &todo {
            entry
                .restore(backend)
                .with_context(|| format!("restoring {}", entry.path))?;
        }
        for entry in &todo {
            ensure!(
                entry.is_before(backend)?,
                "{} is not as it was before",
                entry.path
            );
        }
        for dir in &self.dirs {
            if backend
                .lstat(&dir.path)?
                .is_some_and(|stat| stat.kind == FileKind::Dir)
            {
                backend.set_times(&dir.path, dir.atime, dir.mtime)?;
            }
        }
        backend.sync()?;
        Ok(outcome)
    }
}

/// Restoring would overwrite what somebody changed after the run; nothing was restored.
#[derive(Debug, thiserror::Error)]
#[error(
    "these were changed after the run and would be overwritten: {}. \
     Nothing was restored; use --force to restore them all the same",
    paths.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
)]
pub struct ChangedSince {
    /// What was changed.
    pub paths: Vec<GuestPath>,
}

impl UndoEntry {
    fn is_before(&self, backend: &dyn Backend) -> anyhow::Result<bool> {
        let stat = backend.lstat(&self.path)?;
        Ok(match (&self.before, stat) {
            (Before::Absent, None) => true,
            (
                Before::File {
                    content,
                    attributes,
                },
                Some(stat),
            ) if stat.kind == FileKind::File => {
                attributes.fit(&stat)
                    && stat.size == content.0.len() as u64
                    && backend.read(&self.path)? == content.0
            }
            (Before::Prefix { size, attributes }, Some(stat)) if stat.kind == FileKind::File => {
                attributes.fit(&stat) && stat.size == *size
            }
            (Before::Prefix { attributes, .. } | Before::Dir { attributes }, Some(stat))
                if stat.kind == FileKind::Dir =>
            {
                attributes.fit(&stat)
            }
            (Before::Symlink { target, .. }, Some(stat)) if stat.kind == FileKind::Symlink => {
                backend.read_link(&self.path)? == target.0
            }
            _ => false,
        })
    }

    /// Whether the path is as the change left it.
    pub(crate) fn is_after(&self, backend: &dyn Backend) -> anyhow::Result<bool> {
        let stat = backend.lstat(&self.path)?;
        let owned =
            |owner: Option<(u32, u32)>, stat: Stat| owner.is_none_or(|owner| owner == stat.owner());
        Ok(match (&self.after, stat) {
            (After::Absent, None) => true,
            (
                After::File {
                    sha256,
                    mode,
                    owner,
                },
                Some(stat),
            ) if stat.kind == FileKind::File => {
                stat.mode == *mode
                    && owned(*owner, stat)
                    && sha256_hex(&backend.read(&self.path)?) == *sha256
            }
            (After::Appended { size, sha256 }, Some(stat))
                if stat.kind == FileKind::File && stat.size == *size =>
            {
                let Before::Prefix { size: before, .. } = self.before else {
                    bail!("the undo file's entry for {} contradicts itself", self.path);
                };
                let appended = usize::try_from(size.saturating_sub(before))?;
                sha256_hex(&backend.read_at(&self.path, before, appended)?) == *sha256
            }
            (After::Attributes { mode, owner }, Some(stat)) => {
                stat.mode == *mode && owned(*owner, stat)
            }
            (After::Dir { mode, owner }, Some(stat)) if stat.kind == FileKind::Dir => {
                mode.is_none_or(|mode| mode == stat.mode) && owned(*owner, stat)
            }
            (After::Symlink { target }, Some(stat)) if stat.kind == FileKind::Symlink => {
                backend.read_link(&self.path)? == target.0
            }
            _ => false,
        })
    }

    fn restore(&self, backend: &mut dyn Backend) -> anyhow::Result<()> {
        let present = backend.lstat(&self.path)?;
        let kind = present.map(|stat| stat.kind);
        let wanted = match &self.before {
            Before::Absent => None,
            Before::File { .. } => Some(FileKind::File),
            Before::Prefix { .. } => kind,
            Before::Dir { .. } => Some(FileKind::Dir),
            Before::Symlink { .. } => Some(FileKind::Symlink),
        };
        ensure!(
            kind != Some(FileKind::Other),
            "a device, socket or pipe is there now"
        );
        if kind.is_some() && kind != wanted {
            backend.remove(&self.path)?;
        }
        match &self.before {
            Before::Absent => Ok(()),
            Before::File {
                content,
                attributes,
            } => {
                if kind == Some(FileKind::File) && content.0.len() > ranges::WORTHWHILE {
                    let present = backend.read(&self.path)?;
                    let ranges = ranges::differing(&present, &content.0);
                    ranges::write(backend, &self.path, &content.0, &ranges)?;
                } else {
                    backend.write(&self.path, &content.0)?;
                }
                attributes.apply(backend, &self.path)
            }
            Before::Prefix { size, attributes } => {
                let Some(stat) = present else {
                    bail!("it is gone, and this file holds its attributes only")
                };
                if stat.kind == FileKind::File && stat.size != *size {
                    // With force: what the guest itself has rebuilt since is not cut.
                    if self.is_after(backend)? {
                        backend.truncate(&self.path, *size)?;
                    } else {
                        bail!(
                            "it was rebuilt after the run, so there is nothing left to take away"
                        );
                    }
                }
                attributes.apply(backend, &self.path)
            }
            Before::Dir { attributes } => {
                if kind != Some(FileKind::Dir) {
                    backend.mkdir(&self.path)?;
                }
                attributes.apply(backend, &self.path)
            }
            Before::Symlink { target, attributes } => {
                if kind == Some(FileKind::Symlink) {
                    backend.remove(&self.path)?;
                }
                backend.symlink(&self.path, &target.0)?;
                backend.set_owner(&self.path, attributes.uid, attributes.gid)?;
                backend.set_times(&self.path, attributes.atime, attributes.mtime)?;
                attributes.apply_xattrs(backend, &self.path)
            }
        }
    }
}

impl Attributes {
    pub(crate) fn read(
        backend: &dyn Backend,
        path: &GuestPath,
        stat: &Stat,
    ) -> anyhow::Result<Self> {
        let xattrs: Xattrs = backend.xattrs(path)?;
        Ok(Self {
            mode: stat.mode,
            uid: stat.uid,
            gid: stat.gid,
            atime: stat.atime,
            mtime: stat.mtime,
            xattrs: xattrs
                .into_iter()
                .map(|(name, value)| (Bytes(name), Bytes(value)))
                .collect(),
        })
    }

    fn fit(&self, stat: &Stat) -> bool {
        (self.mode, self.uid, self.gid) == (stat.mode, stat.uid, stat.gid)
    }

    fn apply(&self, backend: &mut dyn Backend, path: &GuestPath) -> anyhow::Result<()> {
        // The owner first: changing it clears set-user-ID bits and file capabilities.
        backend.set_owner(path, self.uid, self.gid)?;
        backend.set_mode(path, self.mode)?;
        self.apply_xattrs(backend, path)?;
        backend.set_times(path, self.atime, self.mtime)
    }

    fn apply_xattrs(&self, backend: &mut dyn Backend, path: &GuestPath) -> anyhow::Result<()> {
        let present = backend.xattrs(path)?;
        for (name, _) in &present {
            // A file made anew inherits its directory's access control list. What runs SELinux
            // never takes a label back.
            if name != selinux::XATTR && !self.xattrs.iter().any(|(known, _)| known.0 == *name) {
                backend.remove_xattr(path, name)?;
            }
        }
        for (name, value) in &self.xattrs {
            if !present.iter().any(|(n, v)| *n == name.0 && *v == value.0) {
                backend.set_xattr(path, &name.0, &value.0)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn undo_files_without_owners_are_understood() {
        for (json, expected) in [
            (
                r#"{"kind": "dir"}"#,
                After::Dir {
                    mode: None,
                    owner: None,
                },
            ),
            (
                r#"{"kind": "mode", "mode": 448}"#,
                After::Attributes {
                    mode: 0o700,
                    owner: None,
                },
            ),
            (
                r#"{"kind": "file", "sha256": "", "mode": 420}"#,
                After::File {
                    sha256: String::new(),
                    mode: 0o644,
                    owner: None,
                },
            ),
        ] {
            let after: After = serde_json::from_str(json).unwrap();
            assert_eq!(after, expected, "{json}");
        }
        let after = After::dir(0o755, (1, 2));
        let json = serde_json::to_string(&after).unwrap();
        assert_eq!(serde_json::from_str::<After>(&json).unwrap(), after);
    }
}
