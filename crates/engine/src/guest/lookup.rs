//! Following paths and remembering what was found.

use super::{Guest, ROOT};
use crate::backend::{FileKind, Stat};
use crate::path::{GuestPath, same_name};
use crate::stage::Staged;

/// As many links as Linux follows in one path (`path_resolution(7)`).
const LINK_LIMIT: usize = 40;

impl Guest<'_> {
    pub(super) fn walk(
        &self,
        path: &GuestPath,
        follow_last: bool,
    ) -> anyhow::Result<Option<GuestPath>> {
        let mut pending: Vec<Vec<u8>> = path.components().rev().map(<[u8]>::to_vec).collect();
        let mut real = GuestPath::root();
        let mut links = 0;
        while let Some(name) = pending.pop() {
            if name == b".." {
                real = real.parent().unwrap_or_else(GuestPath::root);
                continue;
            }
            let name = self.spelling(&real, name)?;
            let next = real.join(&name);
            let last = pending.is_empty();
            match self.kind_real(&next)? {
                Some(FileKind::Symlink) if follow_last || !last => {
                    links += 1;
                    if links > LINK_LIMIT {
                        return Ok(None);
                    }
                    let target = self.link_target(&next)?;
                    if target.starts_with(b"/") {
                        real = GuestPath::root();
                    }
                    // `..` is kept as a step of its own: it must be taken after links are resolved.
                    let steps = target
                        .split(|&b| b == b'/')
                        .filter(|step| !step.is_empty() && *step != b".")
                        .map(<[u8]>::to_vec);
                    let mut steps: Vec<_> = steps.collect();
                    steps.reverse();
                    pending.extend(steps);
                }
                Some(FileKind::Dir) => real = next,
                Some(_) if last => real = next,
                None if last => return Ok(Some(next)),
                Some(_) | None => return Ok(None),
            }
        }
        Ok(Some(real))
    }

    /// How the guest spells `name` in directory `dir`: where cases are not told apart, a name that is
    /// there or is planned, whatever its case; else `name` itself.
    fn spelling(&self, dir: &GuestPath, name: Vec<u8>) -> anyhow::Result<Vec<u8>> {
        if !self.folds_case || self.stage.nodes.contains_key(&dir.join(&name)) {
            return Ok(name);
        }
        let entries = self.seen.list(dir)?;
        if entries.iter().any(|entry| entry.name == name) {
            return Ok(name);
        }
        if let Some(entry) = entries.iter().find(|entry| same_name(&entry.name, &name)) {
            return Ok(entry.name.clone());
        }
        let planned =
            self.stage.nodes.keys().find(|path| {
                same_name(path.file_name(), &name) && path.parent().as_ref() == Some(dir)
            });
        Ok(planned.map_or(name, |path| path.file_name().to_vec()))
    }

    /// What the link at `real`, a path without others, leads to.
    pub(crate) fn link_target(&self, real: &GuestPath) -> anyhow::Result<Vec<u8>> {
        if let Some(Staged::Link { target }) = self.stage.nodes.get(real) {
            return Ok(target.clone());
        }
        self.seen.read_link(real)
    }

    /// Attributes at a path without links, planned changes included.
    pub(crate) fn lstat_real(&self, real: &GuestPath) -> anyhow::Result<Option<Stat>> {
        match self.stage.nodes.get(real) {
            Some(Staged::Gone) => return Ok(None),
            Some(Staged::Attributes { mode, owner }) => {
                return Ok(self.seen.lstat(real)?.map(|stat| Stat {
                    mode: *mode,
                    uid: owner.0,
                    gid: owner.1,
                    ..stat
                }));
            }
            Some(Staged::File {
                content,
                mode,
                owner,
            }) => {
                let size = content.len() as u64;
                return Ok(Some(new_stat(FileKind::File, *mode, *owner, size)));
            }
            Some(Staged::Hive { hive, mode, owner }) => {
                let size = hive.bytes().len() as u64;
                return Ok(Some(new_stat(FileKind::File, *mode, *owner, size)));
            }
            Some(Staged::Link { target }) => {
                return Ok(Some(new_stat(
                    FileKind::Symlink,
                    0o777,
                    ROOT,
                    target.len() as u64,
                )));
            }
            Some(Staged::Dir { mode, owner }) => {
                return Ok(Some(new_stat(FileKind::Dir, *mode, *owner, 0)));
            }
            None => {}
        }
        match self.is_replaced(real) {
            true => Ok(None),
            false => self.seen.lstat(real),
        }
    }

    /// The kind of what is at a path without links, planned changes included.
    fn kind_real(&self, real: &GuestPath) -> anyhow::Result<Option<FileKind>> {
        match self.stage.nodes.get(real) {
            Some(_) => Ok(self.lstat_real(real)?.map(|stat| stat.kind)),
            None if self.is_replaced(real) => Ok(None),
            None => self.seen.kind(real),
        }
    }

    /// Whether what is around `real` goes, and with it what the backend has there. A planned directory is always a new
    /// one: only what is planned is in it.
    fn is_replaced(&self, real: &GuestPath) -> bool {
        std::iter::successors(real.parent(), GuestPath::parent).any(|dir| {
            let staged = self.stage.nodes.get(&dir);
            matches!(staged, Some(Staged::Gone | Staged::Dir { .. }))
        })
    }
}

fn new_stat(kind: FileKind, mode: u32, (uid, gid): (u32, u32), size: u64) -> Stat {
    Stat {
        kind,
        mode,
        uid,
        gid,
        size,
        nlink: 1,
        mtime: (0, 0),
        atime: (0, 0),
    }
}
