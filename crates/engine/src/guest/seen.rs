//! What the backend was asked once.
//!
//! A question to an emulated appliance costs milliseconds, and fixups ask for the same few files again and again.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use crate::backend::{Backend, Entry, FileKind, Stat};
use crate::path::GuestPath;

/// Together no more than so many bytes of files' contents are kept.
const KEPT: usize = 64 * 1024 * 1024;

/// A backend, with the memory of what it said. Paths have no links in them.
pub(super) struct Seen<'b> {
    pub(super) backend: &'b dyn Backend,
    stats: RefCell<HashMap<GuestPath, Option<Stat>>>,
    lists: RefCell<HashMap<GuestPath, Option<Rc<[Entry]>>>>,
    links: RefCell<HashMap<GuestPath, Vec<u8>>>,
    contents: RefCell<HashMap<GuestPath, Rc<[u8]>>>,
    kept: Cell<usize>,
    /// Directories in which something was looked for.
    asked: RefCell<HashSet<GuestPath>>,
}

impl<'b> Seen<'b> {
    pub(super) fn new(backend: &'b dyn Backend) -> Self {
        Self {
            backend,
            stats: RefCell::default(),
            lists: RefCell::default(),
            links: RefCell::default(),
            contents: RefCell::default(),
            kept: Cell::default(),
            asked: RefCell::default(),
        }
    }

    /// Attributes of what is at `path`, if anything is.
    pub(super) fn lstat(&self, path: &GuestPath) -> anyhow::Result<Option<Stat>> {
        if let Some(known) = self.stats.borrow().get(path) {
            return Ok(*known);
        }
        let is_absent = self.is_not_listed(path)?;
        self.ask(path, is_absent)
    }

    /// The kind of what is at `path`. Of a directory the list that it is in tells, too; a list may call other things
    /// than they are (ntfs-3g, with reparse points that it does not know).
    pub(super) fn kind(&self, path: &GuestPath) -> anyhow::Result<Option<FileKind>> {
        if let Some(known) = self.stats.borrow().get(path) {
            return Ok(known.map(|stat| stat.kind));
        }
        let is_absent = self.is_not_listed(path)?;
        if self.is_listed_dir(path) {
            return Ok(Some(FileKind::Dir));
        }
        Ok(self.ask(path, is_absent)?.map(|stat| stat.kind))
    }

    fn ask(&self, path: &GuestPath, is_absent: bool) -> anyhow::Result<Option<Stat>> {
        let stat = match is_absent {
            true => None,
            false => self.backend.lstat(path)?,
        };
        self.stats.borrow_mut().insert(path.clone(), stat);
        Ok(stat)
    }

    fn is_listed_dir(&self, path: &GuestPath) -> bool {
        let lists = self.lists.borrow();
        let listed = path.parent().and_then(|dir| lists.get(&dir)?.as_deref());
        let mut entries = listed.into_iter().flatten();
        entries.any(|entry| entry.kind == FileKind::Dir && entry.name == path.file_name())
    }

    /// Whether the directory's list says that there is nothing at `path`. Most questions are for
    /// what some other guest would have; so the second one in a directory asks for its list, and
    /// saves the rest their round trips.
    fn is_not_listed(&self, path: &GuestPath) -> anyhow::Result<bool> {
        let Some(dir) = path.parent() else {
            return Ok(false);
        };
        if !self.asked.borrow_mut().insert(dir.clone()) {
            self.list(&dir)?;
        }
        let lists = self.lists.borrow();
        let Some(entries) = lists.get(&dir) else {
            return Ok(false);
        };
        let name = path.file_name();
        // On FAT and NTFS a name in other letters may be the same file.
        let mut entries = entries.iter().flat_map(|list| list.iter());
        Ok(!entries.any(|entry| entry.name.eq_ignore_ascii_case(name)))
    }

    /// What is in a directory, sorted; empty if there is none.
    pub(super) fn list(&self, dir: &GuestPath) -> anyhow::Result<Rc<[Entry]>> {
        if let Some(known) = self.lists.borrow().get(dir) {
            return Ok(known.clone().unwrap_or_default());
        }
        let entries = self.backend.list(dir)?.map(Rc::from);
        self.lists.borrow_mut().insert(dir.clone(), entries.clone());
        Ok(entries.unwrap_or_default())
    }

    /// What the link at `path` leads to.
    pub(super) fn read_link(&self, path: &GuestPath) -> anyhow::Result<Vec<u8>> {
        if let Some(known) = self.links.borrow().get(path) {
            return Ok(known.clone());
        }
        let target = self.backend.read_link(path)?;
        self.links.borrow_mut().insert(path.clone(), target.clone());
        Ok(target)
    }

    /// The content of the regular file at `path`.
    pub(super) fn read(&self, path: &GuestPath) -> anyhow::Result<Vec<u8>> {
        if let Some(known) = self.contents.borrow().get(path) {
            return Ok(known.to_vec());
        }
        let content = self.backend.read(path)?;
        let kept = self.kept.get().saturating_add(content.len());
        if kept <= KEPT {
            self.kept.set(kept);
            let content = Rc::from(content.as_slice());
            self.contents.borrow_mut().insert(path.clone(), content);
        }
        Ok(content)
    }

    /// At most `len` bytes of it from `offset`.
    pub(super) fn read_at(
        &self,
        path: &GuestPath,
        offset: u64,
        len: usize,
    ) -> anyhow::Result<Vec<u8>> {
        if let Some(known) = self.contents.borrow().get(path) {
            return Ok(part(known, offset, len).to_vec());
        }
        self.backend.read_at(path, offset, len)
    }
}

/// At most `len` bytes of `content` from `offset`.
pub(super) fn part(content: &[u8], offset: u64, len: usize) -> &[u8] {
    let start = usize::try_from(offset)
        .unwrap_or(usize::MAX)
        .min(content.len());
    let end = start.saturating_add(len).min(content.len());
    &content[start..end]
}
