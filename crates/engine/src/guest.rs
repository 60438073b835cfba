//! The read-only view of a guest that fixups see.

mod hives;
mod lookup;
mod seen;
mod staging;

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

use anyhow::{Context as _, bail};

use crate::backend::{Backend, Entry, FileKind, Stat, Xattrs};
use crate::change::InitramfsFile;
use crate::facts::{Facts, WindowsFacts};
use crate::initramfs;
use crate::path::GuestPath;
use crate::rehearsal::{GuestCommand, RehearseError, Traces};
use crate::selinux;
use crate::stage::{Stage, Staged, appendix};
use hives::OpenedHive;
use seen::Seen;

/// No configuration file is longer; [`Guest::read`] refuses more than this many bytes.
pub const READ_LIMIT: u64 = 16 * 1024 * 1024;

/// Owner of what a plan makes, until it says otherwise.
pub(crate) const ROOT: (u32, u32) = (0, 0);

/// One guest as the changes planned so far will leave it.
///
/// Reads go to the backend, with the planned changes laid over them (the *staged view*). Symbolic
/// links are followed here, inside the guest's own tree, the same way for every backend; a link
/// can never lead out of it. What was asked once is remembered, because a question to the
/// appliance costs milliseconds. A clone has a stage of its own: for a fixup that plans in several
/// steps, each on what the steps before will leave.
#[derive(Clone)]
pub struct Guest<'b> {
    /// Shared by clones: planning changes nothing behind it.
    seen: Rc<Seen<'b>>,
    facts: Facts,
    stage: Stage,
    hives: RefCell<HashMap<GuestPath, Result<OpenedHive, String>>>,
    /// Whether names are found in whatever case they are written, as Windows does. Two files whose
    /// names differ in nothing else can still be told apart by asking for exactly that name.
    folds_case: bool,
}

impl<'b> Guest<'b> {
    /// Looks at the guest behind `backend` and collects its [`Facts`].
    ///
    /// # Errors
    /// If the backend cannot be read. A guest that is not understood is no error: its facts are
    /// then mostly empty.
    pub fn inspect(backend: &'b dyn Backend, hints: &crate::facts::Hints) -> anyhow::Result<Self> {
        let mut guest = Self {
            seen: Rc::new(Seen::new(backend)),
            facts: Facts::default(),
            stage: Stage::default(),
            hives: RefCell::default(),
            folds_case: false,
        };
        guest.facts = crate::facts::collect(&mut guest, hints)
            .with_context(|| format!("inspecting {}", backend.describe()))?;
        Ok(guest)
    }

    /// What inspection found.
    #[must_use]
    pub fn facts(&self) -> &Facts {
        &self.facts
    }

    /// Whether names are found in whatever case they are written, as in a Windows guest.
    #[must_use]
    pub fn folds_case(&self) -> bool {
        self.folds_case
    }

    /// Says whether it does.
    pub(crate) fn fold_case(&mut self, folds: bool) {
        self.folds_case = folds;
    }

    /// Says that this is a Windows, so that its hives are found.
    pub(crate) fn know_windows(&mut self, windows: WindowsFacts) {
        self.facts.windows = Some(windows);
    }

    /// The content of a regular file, links followed; `None` if there is no such file (also if a
    /// link dangles or the path is a directory).
    ///
    /// # Errors
    /// If it is longer than [`READ_LIMIT`], not a regular file, or cannot be read.
    pub fn read(&self, path: impl Into<GuestPath>) -> anyhow::Result<Option<Vec<u8>>> {
        let path = path.into();
        let Some(real) = self.resolve(&path)? else {
            return Ok(None);
        };
        if let Some(content) = self.stage.nodes.get(&real).and_then(Staged::content) {
            return Ok(Some(content.to_vec()));
        }
        match self.lstat_real(&real)? {
            Some(Stat {
                kind: FileKind::File,
                size,
                ..
            }) if size > READ_LIMIT => {
                bail!("reading {path}: {size} bytes is too long for a configuration file")
            }
            Some(Stat {
                kind: FileKind::File,
                ..
            }) => self.seen.read(&real).map(Some),
            Some(Stat {
                kind: FileKind::Other,
                ..
            }) => bail!("reading {path}: it is a device, socket or pipe"),
            _ => Ok(None),
        }
    }

    /// The content of all files in `dir` whose names end in `suffix`, by their paths. With many files
    /// this takes far less time in an appliance than [`read`](Self::read) of each.
    ///
    /// # Errors
    /// As [`list`](Self::list), and as [`read`](Self::read) of each file.
    pub fn read_many(
        &self,
        dir: impl Into<GuestPath>,
        suffix: &str,
    ) -> anyhow::Result<BTreeMap<GuestPath, Vec<u8>>> {
        let dir = dir.into();
        let Some(real) = self.resolve(&dir)? else {
            return Ok(BTreeMap::new());
        };
        let mut found = self.seen.backend.read_many(&real, suffix, READ_LIMIT)?;
        let mut contents = BTreeMap::new();
        for path in self.files(&dir, |name| name.ends_with(suffix))? {
            let staged = self.stage.nodes.contains_key(&real.join(path.file_name()));
            let content = match found.remove(path.file_name()) {
                Some(content) if !staged => Some(content),
                _ => self.read(&path)?,
            };
            contents.extend(content.map(|content| (path, content)));
        }
        Ok(contents)
    }

    /// [`read`](Self::read) as text. Bytes that are not UTF-8 become U+FFFD, so use it for looking,
    /// not for a file that is to be written back.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn read_text(&self, path: impl Into<GuestPath>) -> anyhow::Result<Option<String>> {
        Ok(self
            .read(path)?
            .map(|content| String::from_utf8_lossy(&content).into_owned()))
    }

    /// The first `len` bytes of a regular file, links followed; fewer if it is shorter, none if there
    /// is no such file.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn read_start(&self, path: impl Into<GuestPath>, len: usize) -> anyhow::Result<Vec<u8>> {
        self.read_range(path, 0, len)
    }

    /// At most `len` bytes of a regular file from `offset`, links followed; fewer only at its end,
    /// none if there is no such file. For what is too long for [`read`](Self::read): the caller goes
    /// through it piece by piece and decides how far.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn read_range(
        &self,
        path: impl Into<GuestPath>,
        offset: u64,
        len: usize,
    ) -> anyhow::Result<Vec<u8>> {
        let Some(real) = self.resolve(&path.into())? else {
            return Ok(Vec::new());
        };
        if let Some(content) = self.stage.nodes.get(&real).and_then(Staged::content) {
            return Ok(seen::part(content, offset, len).to_vec());
        }
        match self.lstat_real(&real)? {
            Some(Stat {
                kind: FileKind::File,
                ..
            }) => self.seen.read_at(&real, offset, len),
            _ => Ok(Vec::new()),
        }
    }

    /// The names in a directory, sorted, links to the directory followed; empty if there is none.
    ///
    /// # Errors
    /// If the directory cannot be read.
    pub fn list(&self, dir: impl Into<GuestPath>) -> anyhow::Result<Vec<Entry>> {
        let Some(real) = self.resolve(&dir.into())? else {
            return Ok(Vec::new());
        };
        let mut entries: BTreeMap<Vec<u8>, FileKind> = match self.stage.nodes.get(&real) {
            Some(
                Staged::Gone | Staged::File { .. } | Staged::Hive { .. } | Staged::Link { .. },
            ) => return Ok(Vec::new()),
            Some(Staged::Dir { .. }) => BTreeMap::new(),
            Some(Staged::Attributes { .. }) | None => self
                .seen
                .list(&real)?
                .iter()
                .map(|entry| (entry.name.clone(), entry.kind))
                .collect(),
        };
        for (path, staged) in &self.stage.nodes {
            if path.parent().as_ref() != Some(&real) {
                continue;
            }
            let kind = match staged {
                Staged::Gone => {
                    entries.remove(path.file_name());
                    continue;
                }
                Staged::File { .. } | Staged::Hive { .. } => FileKind::File,
                Staged::Link { .. } => FileKind::Symlink,
                Staged::Dir { .. } => FileKind::Dir,
                Staged::Attributes { .. } => continue,
            };
            entries.insert(path.file_name().to_vec(), kind);
        }
        Ok(entries
            .into_iter()
            .map(|(name, kind)| Entry { name, kind })
            .collect())
    }

    /// Full paths of what [`list`](Self::list) finds in `dir` whose name satisfies `wanted`.
    /// Names that are not UTF-8 are passed over.
    ///
    /// # Errors
    /// As [`list`](Self::list).
    pub fn files(
        &self,
        dir: impl Into<GuestPath>,
        wanted: impl Fn(&str) -> bool,
    ) -> anyhow::Result<Vec<GuestPath>> {
        let dir = dir.into();
        Ok(self
            .list(&dir)?
            .into_iter()
            .filter(|entry| entry.kind != FileKind::Dir)
            .filter(|entry| std::str::from_utf8(&entry.name).is_ok_and(&wanted))
            .map(|entry| dir.join(entry.name))
            .collect())
    }

    /// Attributes of what `path` leads to, links followed; `None` if nothing is there.
    ///
    /// # Errors
    /// If the backend cannot be read.
    pub fn stat(&self, path: impl Into<GuestPath>) -> anyhow::Result<Option<Stat>> {
        match self.resolve(&path.into())? {
            Some(real) => self.lstat_real(&real),
            None => Ok(None),
        }
    }

    /// Whether `path` leads to something.
    ///
    /// # Errors
    /// If the backend cannot be read.
    pub fn exists(&self, path: impl Into<GuestPath>) -> anyhow::Result<bool> {
        Ok(self.stat(path)?.is_some())
    }

    /// The path without symbolic links that `path` leads to, whether or not its last component
    /// exists; `None` if a directory on the way does not, or links go in circles.
    ///
    /// # Errors
    /// If the backend cannot be read.
    pub fn resolve(&self, path: &GuestPath) -> anyhow::Result<Option<GuestPath>> {
        self.walk(path, true)
    }

    /// As [`resolve`](Self::resolve), but a link in the last component is itself the result: the
    /// path where a change has to be made.
    ///
    /// # Errors
    /// If the backend cannot be read.
    pub fn resolve_parent(&self, path: &GuestPath) -> anyhow::Result<Option<GuestPath>> {
        self.walk(path, false)
    }

    /// Where the symbolic link `path` leads, as it is written; `None` if it is no link.
    ///
    /// # Errors
    /// If the backend cannot be read.
    pub fn read_link(&self, path: impl Into<GuestPath>) -> anyhow::Result<Option<Vec<u8>>> {
        let Some(real) = self.resolve_parent(&path.into())? else {
            return Ok(None);
        };
        match self.lstat_real(&real)? {
            Some(Stat {
                kind: FileKind::Symlink,
                ..
            }) => self.link_target(&real).map(Some),
            _ => Ok(None),
        }
    }

    /// The files in the archives at the end of an initramfs image: what was appended to it. Later
    /// ones of the same name win.
    ///
    /// # Errors
    /// If the image cannot be read.
    pub fn initramfs_appended(&self, image: &GuestPath) -> anyhow::Result<Vec<InitramfsFile>> {
        let mut files = BTreeMap::new();
        if let Some(real) = self.resolve(image)? {
            if let Some(stat) = self.lstat_real(&real)? {
                let read_at = |offset, len| self.read_range(&real, offset, len);
                let packing = initramfs::Packing::of(stat.size, read_at)?;
                let tail = initramfs::read_appended(stat.size, packing, read_at)?;
                files.extend(tail.into_iter().map(|file| (file.path.clone(), file)));
            }
            for file in self.stage.appended.get(&real).into_iter().flatten() {
                files.insert(file.path.clone(), file.clone());
            }
        }
        Ok(files.into_values().collect())
    }

    /// The regular files that the plan so far writes anew, without links in their paths.
    pub fn planned_files(&self) -> impl Iterator<Item = &GuestPath> {
        let nodes = self.stage.nodes.iter();
        nodes.filter_map(|(path, staged)| matches!(staged, Staged::File { .. }).then_some(path))
    }

    /// The SELinux label that what `path` leads to has now, before anything is applied: empty if it
    /// has none, `None` if nothing is there yet. (What a plan writes keeps its label; what is new
    /// gets the one of the guest's policy.)
    ///
    /// # Errors
    /// If the backend cannot be read.
    pub fn selinux_label(&self, path: impl Into<GuestPath>) -> anyhow::Result<Option<String>> {
        let Some(real) = self.resolve(&path.into())? else {
            return Ok(None);
        };
        if self.seen.lstat(&real)?.is_none() {
            return Ok(None);
        }
        let attributes = self.seen.backend.xattrs(&real)?;
        let label = attributes
            .iter()
            .find(|(name, _)| name == selinux::XATTR)
            .map(|(_, value)| value.strip_suffix(b"\0").unwrap_or(value))
            .unwrap_or_default();
        Ok(Some(String::from_utf8_lossy(label).into_owned()))
    }

    /// Whether the regular file at `real`, a path without links that has `stat`, holds `content`.
    pub(crate) fn holds(
        &self,
        real: &GuestPath,
        stat: &Stat,
        content: &[u8],
    ) -> anyhow::Result<bool> {
        if let Some(staged) = self.stage.nodes.get(real).and_then(Staged::content) {
            return Ok(staged == content);
        }
        if let Some(files) = self.stage.appended.get(real) {
            let segment = appendix(self.seen.backend, real, stat.size, files)?;
            return Ok(content
                .strip_suffix(segment.as_slice())
                .is_some_and(|image| image.len() as u64 == stat.size)
                && content.starts_with(&self.seen.read(real)?));
        }
        Ok(stat.size == content.len() as u64 && self.seen.read(real)? == content)
    }

    /// Extended attributes of what is at `real`, a path without links; what is planned has none.
    pub(crate) fn xattrs(&self, real: &GuestPath) -> anyhow::Result<Xattrs> {
        match self.stage.nodes.get(real) {
            Some(Staged::Attributes { .. }) | None => self.seen.backend.xattrs(real),
            Some(_) => Ok(Xattrs::new()),
        }
    }

    /// Runs a program on what is planned so far.
    pub(crate) fn run(&self, command: &GuestCommand) -> Result<Traces, RehearseError> {
        self.seen.backend.rehearse(&self.stage, command)
    }

    /// Everything planned so far.
    pub(crate) fn into_stage(self) -> Stage {
        self.stage
    }
}

impl std::fmt::Debug for Guest<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Guest")
            .field("backend", &self.seen.backend.describe())
            .field("staged", &self.stage.nodes.len())
            .finish_non_exhaustive()
    }
}
