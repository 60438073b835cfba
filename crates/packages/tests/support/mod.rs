//! Removes packages from a directory tree as `refit fix` would: plan, apply, plan again, undo.
#![allow(
    dead_code,
    clippy::unwrap_used,
    reason = "shared by tests that each use a part; a test fails by panicking"
)]

use std::collections::BTreeMap;
use std::fs;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::Command;

use refit_engine::backend::{Backend, RootBackend};
use refit_engine::{
    Fixup, Guest, Hints, Info, Job, Phase, Proposal, Request, Selection, UndoFile, Verdict, fix,
};
use refit_packages::{Packages, Removal};

/// A fixup that removes packages.
struct Purge<'a> {
    info: Info,
    names: &'a [&'a str],
}

impl Fixup for Purge<'_> {
    fn info(&self) -> &Info {
        &self.info
    }

    fn plan(&self, guest: &Guest<'_>, _: &Request) -> anyhow::Result<Proposal> {
        let reason = "as asked".to_owned();
        let removal = match Packages::read(guest)? {
            Some(packages) => packages.removal(guest, self.names)?,
            None => Removal::default(),
        };
        Ok(match removal {
            Removal::Changes { changes, .. } if changes.is_empty() => Verdict::Fine { reason },
            Removal::Changes { changes, .. } => Verdict::Change { reason, changes },
            Removal::Blocked { reason } => panic!("blocked: {reason}"),
        }
        .into())
    }
}

/// Removes `names` from the tree at `root`; see [`purge_from`].
pub fn purge(root: &Path, names: &[&str]) -> UndoFile {
    let mut backend = RootBackend::open(root).unwrap();
    purge_from(&mut backend, &Hints::default(), names)
}

/// Removes `names`; the second plan must be empty. Gives the undo file.
pub fn purge_from(backend: &mut dyn Backend, hints: &Hints, names: &[&str]) -> UndoFile {
    let purge = Purge {
        info: Info {
            id: "purge".to_owned(),
            summary: String::new(),
            phase: Phase::Tools,
            parameters: BTreeMap::new(),
        },
        names,
    };
    let fixups: [&dyn Fixup; 1] = [&purge];
    let (selection, request) = (Selection::default(), Request::default());
    let job = Job {
        fixups: &fixups,
        selection: &selection,
        request: &request,
    };
    let dir = tempfile::tempdir().unwrap();
    let undo = dir.path().join("undo.json");
    let report = fix(backend, hints, job, &undo, &mut |_| {}).unwrap();
    assert_eq!(report.checked, Some(true), "{report:?}");
    UndoFile::load(&undo).unwrap()
}

/// Asks for a removal without making it.
pub fn plan(root: &Path, names: &[&str]) -> Removal {
    with_packages(root, |guest, packages| {
        packages.removal(guest, names).unwrap()
    })
}

/// What `look` finds in the tree's packages.
pub fn with_packages<T>(root: &Path, look: impl FnOnce(&Guest<'_>, &Packages) -> T) -> T {
    let backend = RootBackend::open(root).unwrap();
    let guest = Guest::inspect(&backend, &Hints::default()).unwrap();
    let packages = Packages::read(&guest).unwrap().unwrap();
    look(&guest, &packages)
}

/// Kind, mode and content of all that is in a tree, by path.
pub fn tree(root: &Path) -> BTreeMap<String, String> {
    fn walk(root: &Path, dir: &Path, into: &mut BTreeMap<String, String>) {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            let meta = path.symlink_metadata().unwrap();
            let content = if meta.is_symlink() {
                fs::read_link(&path).unwrap().display().to_string()
            } else if meta.is_file() {
                content(&fs::read(&path).unwrap())
            } else {
                String::new()
            };
            let name = path.strip_prefix(root).unwrap();
            let name = String::from_utf8_lossy(name.as_os_str().as_bytes()).into_owned();
            into.insert(name, format!("{:o} {content}", meta.mode()));
            if meta.is_dir() {
                walk(root, &path, into);
            }
        }
    }
    let mut tree = BTreeMap::new();
    walk(root, root, &mut tree);
    tree
}

/// A file's content; a digest if it is long.
fn content(bytes: &[u8]) -> String {
    if bytes.len() < 4096 {
        return bytes.escape_ascii().to_string();
    }
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    format!("{} bytes, {:x}", bytes.len(), hasher.finish())
}

/// Paths at which two trees differ.
pub fn differences(
    left: &BTreeMap<String, String>,
    right: &BTreeMap<String, String>,
) -> Vec<String> {
    let all: std::collections::BTreeSet<&String> = left.keys().chain(right.keys()).collect();
    all.into_iter()
        .filter(|path| left.get(*path) != right.get(*path))
        .map(|path| {
            let side = match (left.get(path), right.get(path)) {
                (Some(_), None) => "only left",
                (None, Some(_)) => "only right",
                _ => "differs",
            };
            format!("{path}: {side}")
        })
        .collect()
}

/// Runs a program that must succeed, and gives what it printed.
pub fn run(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "{command:?}: {text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    text
}

/// Writes a file and the directories above it.
pub fn write(path: impl AsRef<Path>, content: &str) {
    let path = path.as_ref();
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}
