//! Removes kernel modules that were built beside the kernel's own.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::ensure;
use refit_engine::backend::FileKind;
use refit_engine::{Change, Guest, GuestCommand, GuestPath};

use crate::draft::Draft;
use crate::glob::content;
use crate::lines::without_lines;

/// Suffixes of a module's file.
const SUFFIXES: [&str; 5] = [".ko", ".ko.xz", ".ko.zst", ".ko.gz", ".o"];
/// Directories with more in them are not gone through.
const ENTRY_LIMIT: usize = 100_000;
/// Nobody nests directories deeper; each level takes stack.
const DEPTH_LIMIT: usize = 64;
/// depmod(8) on a slow, emulated machine.
const DEPMOD_TIME: Duration = Duration::from_secs(300);

/// What became of modules that were to be removed.
#[derive(Debug, Default)]
pub(crate) struct Removed {
    /// Their names.
    pub(crate) names: BTreeSet<String>,
    /// What is to be known of the rest.
    pub(crate) warnings: Vec<String>,
}

/// Removes the files of modules `names` that are outside of `kernel/` (which is the kernel's
/// own), belong to no package, and contain `text` if it is given; and takes them out of the
/// indexes.
pub(crate) fn remove(
    draft: &mut Draft<'_>,
    names: &[String],
    text: Option<&str>,
) -> anyhow::Result<Removed> {
    let mut removed = Removed::default();
    if names.is_empty() {
        return Ok(removed);
    }
    let names: BTreeSet<String> = names.iter().map(|name| name.replace('-', "_")).collect();
    let root = GuestPath::new("/lib/modules");
    for release in draft.guest().list(&root)? {
        if release.kind != FileKind::Dir {
            continue;
        }
        let dir = root.join(&release.name);
        let (mut files, mut seen) = (Vec::new(), 0);
        for entry in draft.guest().list(&dir)? {
            if !matches!(entry.name.as_slice(), b"kernel" | b"build" | b"source") {
                let path = dir.join(&entry.name);
                collect(
                    draft.guest(),
                    path,
                    entry.kind,
                    &names,
                    &mut seen,
                    &mut files,
                )?;
            }
        }
        let mut doomed = BTreeMap::new();
        for (path, name) in files {
            if draft.owner(&path)?.is_none() && contains(draft.guest(), &path, text)? {
                doomed.insert(path, name);
            }
        }
        if !doomed.is_empty() {
            let release = String::from_utf8_lossy(&release.name).into_owned();
            of_release(draft, &dir, &release, doomed, &mut removed)?;
        }
    }
    Ok(removed)
}

/// Removes modules of one kernel. Its indexes are made anew by the guest's own depmod(8), which also
/// brings back the kernel's own modules of the same names; where that cannot be run, the modules
/// are taken out of the text files, unless others need them by the path that is to go.
fn of_release(
    draft: &mut Draft<'_>,
    dir: &GuestPath,
    release: &str,
    mut doomed: BTreeMap<GuestPath, String>,
    removed: &mut Removed,
) -> anyhow::Result<()> {
    let mut rehearsed = draft.guest().clone();
    let removals = doomed.keys().cloned().map(|path| Change::Remove { path });
    rehearsed.stage(&removals.collect::<Vec<_>>())?;
    let indexes = depmod(&rehearsed, release);
    if let Err(why) = &indexes {
        let index = Index::read(draft, dir, release)?;
        let needed = index.needed(dir, &doomed);
        if !needed.is_empty() {
            let names: Vec<&str> = needed.values().map(String::as_str).collect();
            removed.warnings.push(format!(
                "{dir}: left {}, because modules that stay are loaded with them; remove them and \
                 run `depmod -a {release}` in the guest ({why})",
                names.join(", ")
            ));
            doomed.retain(|path, _| !needed.contains_key(path));
        }
    }
    if doomed.is_empty() {
        return Ok(());
    }
    for path in doomed.keys() {
        draft.push(Change::Remove { path: path.clone() })?;
    }
    match indexes {
        Ok(changes) => {
            for change in changes {
                draft.push(change)?;
            }
        }
        Err(why) => cut(draft, dir, release, &doomed, &why, removed)?,
    }
    removed.names.extend(doomed.into_values());
    Ok(())
}

/// What the guest's depmod changes, or why it cannot be run.
fn depmod(guest: &Guest<'_>, release: &str) -> Result<Vec<Change>, String> {
    let command = GuestCommand {
        argv: ["/sbin/depmod", "-a", release].map(str::to_owned).to_vec(),
        stdin: Vec::new(),
        env: BTreeMap::new(),
        timeout: DEPMOD_TIME,
    };
    match guest.rehearse(&command) {
        Ok(rehearsal) if rehearsal.status == 0 => Ok(rehearsal.changes),
        Ok(rehearsal) => Err(format!("depmod ended with status {}", rehearsal.status)),
        Err(error) => Err(error.to_string()),
    }
}

/// `modules.dep`: what each module needs, by path below the directory of the release.
#[derive(Debug, Default)]
struct Index(Vec<(String, Vec<String>)>);

impl Index {
    fn read(draft: &Draft<'_>, dir: &GuestPath, release: &str) -> anyhow::Result<Self> {
        let text = draft.content(&dir.join("modules.dep"))?.unwrap_or_default();
        let text = String::from_utf8_lossy(&text).into_owned();
        let lines = text.lines().filter_map(|line| line.split_once(':'));
        let lines = lines.map(|(file, needs)| {
            let needs = needs.split_whitespace();
            let needs = needs.map(|need| relative(need, release).to_owned());
            (relative(file.trim(), release).to_owned(), needs.collect())
        });
        Ok(Self(lines.collect()))
    }

    /// Those of `doomed` that modules which stay need, and what these need in turn.
    fn needed(
        &self,
        dir: &GuestPath,
        doomed: &BTreeMap<GuestPath, String>,
    ) -> BTreeMap<GuestPath, String> {
        let mut needed = BTreeMap::new();
        for (file, needs) in &self.0 {
            // modules.dep lists what is needed in all, not only what is needed directly.
            if !doomed.contains_key(&dir.join(file)) {
                for path in needs.iter().map(|need| dir.join(need)) {
                    if let Some(name) = doomed.get(&path) {
                        needed.insert(path, name.clone());
                    }
                }
            }
        }
        needed
    }
}

/// A path in an index, which module-init-tools up to 3.4 wrote as an absolute one.
fn relative<'a>(path: &'a str, release: &str) -> &'a str {
    path.strip_prefix("/lib/modules/")
        .and_then(|path| path.strip_prefix(release)?.strip_prefix('/'))
        .unwrap_or(path)
}

/// The name of the module in file `name`.
fn module_name(file: &[u8]) -> Option<String> {
    let file = std::str::from_utf8(file).ok()?.rsplit('/').next()?;
    let name = SUFFIXES
        .iter()
        .find_map(|suffix| file.strip_suffix(suffix))?;
    Some(name.replace('-', "_"))
}

fn collect(
    guest: &Guest<'_>,
    path: GuestPath,
    kind: FileKind,
    names: &BTreeSet<String>,
    seen: &mut usize,
    found: &mut Vec<(GuestPath, String)>,
) -> anyhow::Result<()> {
    *seen += 1;
    ensure!(*seen <= ENTRY_LIMIT, "too many files beside {path}");
    ensure!(
        path.components().count() <= DEPTH_LIMIT,
        "directories are nested too deeply: {path}"
    );
    match kind {
        FileKind::Dir => {
            for entry in guest.list(&path)? {
                let path = path.join(&entry.name);
                collect(guest, path, entry.kind, names, seen, found)?;
            }
        }
        FileKind::File | FileKind::Symlink => {
            if let Some(name) = module_name(path.file_name()).filter(|name| names.contains(name)) {
                found.push((path, name));
            }
        }
        FileKind::Other => {}
    }
    Ok(())
}

/// Whether the file has `text` in it, as a module's author and licence are. A link to another
/// kernel's module that is gone already dangles, and is as good.
fn contains(guest: &Guest<'_>, path: &GuestPath, text: Option<&str>) -> anyhow::Result<bool> {
    let Some(text) = text else {
        return Ok(true);
    };
    let finder = regex::bytes::Regex::new(&regex::escape(text))?;
    Ok(match content(guest, path)? {
        Some(content) => finder.is_match(&content),
        None => true,
    })
}

/// Takes modules out of the indexes that are text. The `.bin` files stay as they are: they are all
/// that kmod reads, and an entry without a file only fails when that module is asked for.
fn cut(
    draft: &mut Draft<'_>,
    dir: &GuestPath,
    release: &str,
    doomed: &BTreeMap<GuestPath, String>,
    why: &str,
    removed: &mut Removed,
) -> anyhow::Result<()> {
    let names: BTreeSet<&str> = doomed.values().map(String::as_str).collect();
    let gone = |line: &[u8]| {
        let line = String::from_utf8_lossy(line);
        let mut words = line.split_ascii_whitespace();
        match words.next() {
            // `misc/vmci.ko: ...`
            Some(first) if first.ends_with(':') => {
                let file = relative(first.trim_end_matches(':'), release);
                doomed.contains_key(&dir.join(file))
            }
            // `alias PATTERN MODULE`, `alias symbol:NAME MODULE`
            Some("alias") => words.nth(1).is_some_and(|name| names.contains(name)),
            _ => false,
        }
    };
    for index in ["modules.dep", "modules.alias", "modules.symbols"] {
        let path = dir.join(index);
        let Some(old) = draft.content(&path)? else {
            continue;
        };
        let content = without_lines(&old, &gone);
        if content != old {
            draft.push(Change::Write {
                path,
                content,
                mode: None,
            })?;
        }
    }
    if draft.guest().exists(dir.join("modules.dep.bin"))? {
        let names: Vec<&str> = names.into_iter().collect();
        removed.warnings.push(format!(
            "{dir}/modules.dep.bin still lists {}, which does no harm until they are asked for; \
             run `depmod -a {release}` in the guest ({why})",
            names.join(", ")
        ));
    }
    Ok(())
}
