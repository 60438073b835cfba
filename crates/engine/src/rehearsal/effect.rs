//! From what a program left to changes.

use std::collections::BTreeSet;

use anyhow::{Context as _, bail, ensure};

use super::{Node, Trace, Traces};
use crate::backend::{FileKind, Stat};
use crate::change::Change;
use crate::guest::{Guest, ROOT};
use crate::path::GuestPath;
use crate::selinux;
use crate::stage::mode_after_chown;

/// The kernel takes this from a file whose content changes.
const CAPABILITY: &[u8] = b"security.capability";

/// What leads from the guest, as the plan so far leaves it, to what the program left. What was
/// merely touched is no change.
pub(super) fn changes(guest: &Guest<'_>, traces: &Traces) -> anyhow::Result<Vec<Change>> {
    let mut effect = Effect {
        guest,
        traces,
        changes: Vec::new(),
        new: BTreeSet::new(),
        opaque: BTreeSet::new(),
    };
    // Directories come before what is in them.
    for (path, trace) in &traces.nodes {
        effect
            .compare(path, trace)
            .with_context(|| path.to_string())?;
    }
    Ok(effect.changes)
}

struct Effect<'e, 'b> {
    guest: &'e Guest<'b>,
    traces: &'e Traces,
    changes: Vec<Change>,
    /// Directories where none was before.
    new: BTreeSet<GuestPath>,
    /// Directories that hold nothing but what the program left.
    opaque: BTreeSet<GuestPath>,
}

impl Effect<'_, '_> {
    fn compare(&mut self, path: &GuestPath, trace: &Trace) -> anyhow::Result<()> {
        let parent = path.parent();
        let is_in = |dirs: &BTreeSet<_>| parent.as_ref().is_some_and(|dir| dirs.contains(dir));
        let before = match is_in(&self.new) {
            true => None,
            false => self.guest.lstat_real(path)?,
        };
        let kind = before.map(|stat| stat.kind);
        ensure!(
            kind != Some(FileKind::Other) || trace.node == Node::Other,
            "the program replaces or removes a device, socket or pipe"
        );
        match &trace.node {
            Node::Gone | Node::Other => {
                if matches!(
                    kind,
                    Some(FileKind::File | FileKind::Dir | FileKind::Symlink)
                ) {
                    self.remove(path);
                }
            }
            Node::Link(target) => {
                if kind == Some(FileKind::Symlink) && self.guest.link_target(path)? == *target {
                    return Ok(());
                }
                if kind == Some(FileKind::Dir) {
                    self.remove(path);
                }
                self.changes.push(Change::Link {
                    path: path.clone(),
                    target: target.clone(),
                });
            }
            Node::File(content) => self.file(path, trace, content, before)?,
            Node::Dir { opaque } => {
                let opaque = *opaque || is_in(&self.opaque);
                self.dir(path, trace, opaque, before)?;
            }
        }
        Ok(())
    }

    fn file(
        &mut self,
        path: &GuestPath,
        trace: &Trace,
        content: &[u8],
        before: Option<Stat>,
    ) -> anyhow::Result<()> {
        let present = self.same_kind(path, FileKind::File, before);
        let written = match &present {
            Some(stat) => !self.guest.holds(path, stat, content)?,
            None => true,
        };
        self.check_attributes(path, trace, present.is_some(), written)?;
        if written {
            self.changes.push(Change::Write {
                path: path.clone(),
                content: content.to_vec(),
                mode: present.is_none().then_some(trace.mode),
            });
        }
        let (mode, owner) = present.map_or((trace.mode, ROOT), |stat| (stat.mode, stat.owner()));
        let after = if owner == trace.owner {
            mode
        } else {
            mode_after_chown(mode)
        };
        self.attributes(path, trace, owner, after);
        Ok(())
    }

    fn dir(
        &mut self,
        path: &GuestPath,
        trace: &Trace,
        opaque: bool,
        before: Option<Stat>,
    ) -> anyhow::Result<()> {
        let present = self.same_kind(path, FileKind::Dir, before);
        self.check_attributes(path, trace, present.is_some(), false)?;
        if opaque {
            self.opaque.insert(path.clone());
        }
        match present {
            None => {
                self.changes.push(Change::Mkdir {
                    path: path.clone(),
                    mode: trace.mode,
                });
                self.new.insert(path.clone());
                self.attributes(path, trace, ROOT, trace.mode);
            }
            Some(stat) => {
                self.attributes(path, trace, stat.owner(), stat.mode);
                if opaque {
                    for entry in self.guest.list(path)? {
                        let child = path.join(&entry.name);
                        if !self.traces.nodes.contains_key(&child) {
                            self.remove(&child);
                        }
                    }
                }
            }
        }
        Ok(())
    }

    /// What is there before, if it is of this kind; otherwise it goes.
    fn same_kind(
        &mut self,
        path: &GuestPath,
        kind: FileKind,
        before: Option<Stat>,
    ) -> Option<Stat> {
        match before {
            Some(stat) if stat.kind == kind => Some(stat),
            Some(_) => {
                self.remove(path);
                None
            }
            None => None,
        }
    }

    fn remove(&mut self, path: &GuestPath) {
        self.changes.push(Change::Remove { path: path.clone() });
    }

    /// Owner and permission bits that differ; `owner` and, once the owner is set, `mode` are there.
    fn attributes(&mut self, path: &GuestPath, trace: &Trace, owner: (u32, u32), mode: u32) {
        if owner != trace.owner {
            let (uid, gid) = trace.owner;
            self.changes.push(Change::Chown {
                path: path.clone(),
                uid,
                gid,
            });
        }
        if mode != trace.mode {
            self.changes.push(Change::Chmod {
                path: path.clone(),
                mode: trace.mode,
            });
        }
    }

    /// Changes cannot give a file extended attributes, so what the program gave must be there.
    fn check_attributes(
        &self,
        path: &GuestPath,
        trace: &Trace,
        present: bool,
        written: bool,
    ) -> anyhow::Result<()> {
        let given = trace
            .xattrs
            .iter()
            .filter(|(name, _)| name != selinux::XATTR)
            .collect::<Vec<_>>();
        if given.is_empty() {
            return Ok(());
        }
        let there = match present {
            true => self.guest.xattrs(path)?,
            false => Vec::new(),
        };
        for attribute in given {
            let lost = written && attribute.0 == CAPABILITY;
            if lost || !there.contains(attribute) {
                bail!(
                    "the program gives it the extended attribute {}, and no change can do that",
                    String::from_utf8_lossy(&attribute.0)
                );
            }
        }
        Ok(())
    }
}
