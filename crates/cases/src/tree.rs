//! A guest's whole tree, for comparing.

use std::collections::BTreeMap;

use anyhow::Result;
use refit_engine::backend::{Backend, FileKind};
use refit_engine::{GuestPath, sha256_hex};

/// What one path is: kind, mode, owner, and its target or the digest of its content.
pub(crate) type Tree = BTreeMap<GuestPath, String>;

/// Every path of the guest.
pub(crate) fn read(backend: &dyn Backend) -> Result<Tree> {
    let mut tree = Tree::new();
    let mut pending = vec![GuestPath::root()];
    while let Some(dir) = pending.pop() {
        for entry in backend.list(&dir)?.unwrap_or_default() {
            let path = dir.join(&entry.name);
            let Some(stat) = backend.lstat(&path)? else {
                continue;
            };
            let content = match stat.kind {
                FileKind::Dir => {
                    pending.push(path.clone());
                    String::new()
                }
                FileKind::File => sha256_hex(&backend.read(&path)?),
                FileKind::Symlink => {
                    String::from_utf8_lossy(&backend.read_link(&path)?).into_owned()
                }
                FileKind::Other => "device".to_owned(),
            };
            let facts = format!(
                "{:?} {:04o} {}:{} {content}",
                stat.kind, stat.mode, stat.uid, stat.gid
            );
            tree.insert(path, facts);
        }
    }
    Ok(tree)
}

/// The paths that differ, with what they are in each tree.
pub(crate) fn differences(before: &Tree, after: &Tree) -> Vec<String> {
    let mut differ: Vec<&GuestPath> = before
        .keys()
        .chain(after.keys())
        .filter(|path| before.get(path) != after.get(path))
        .collect();
    differ.sort();
    differ.dedup();
    let shown = |tree: &Tree, path| {
        tree.get(path)
            .map_or_else(|| "missing".to_owned(), Clone::clone)
    };
    differ
        .into_iter()
        .map(|path| {
            format!(
                "{path} was {} and is {}",
                shown(before, path),
                shown(after, path)
            )
        })
        .collect()
}
