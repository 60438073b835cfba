//! Removes kernel modules that were built beside the kernel's own.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::ensure;
use refit_engine::backend::FileKind;
use refit_engine::{Change, Guest, GuestCommand, GuestPath, RehearseError};

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

impl Removed {
    fn is_empty(&self) -> bool {
        self.names.is_empty()
    }
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
        let mut here = Removed::default();
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
        for (path, name) in files {
            if draft.owner(&path)?.is_none() && contains(draft.guest(), &path, text)? {
                draft.push(Change::Remove { path })?;
                here.names.insert(name);
            }
        }
        if !here.is_empty() {
            reindex(draft, &dir, &release.name, &mut here)?;
            removed.names.append(&mut here.names);
            removed.warnings.append(&mut here.warnings);
        }
    }
    Ok(removed)
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

/// Takes the modules out of the indexes: by the guest's own depmod(8), which also brings back the
/// kernel's own modules of the same names; where that cannot be run, out of the text files.
fn reindex(
    draft: &mut Draft<'_>,
    dir: &GuestPath,
    release: &[u8],
    removed: &mut Removed,
) -> anyhow::Result<()> {
    let release = String::from_utf8_lossy(release).into_owned();
    let command = GuestCommand {
        argv: ["/sbin/depmod", "-a", &release].map(str::to_owned).to_vec(),
        stdin: Vec::new(),
        env: std::collections::BTreeMap::new(),
        timeout: DEPMOD_TIME,
    };
    let why = match draft.guest().rehearse(&command) {
        Ok(rehearsal) if rehearsal.status == 0 => {
            for change in rehearsal.changes {
                draft.push(change)?;
            }
            return Ok(());
        }
        Ok(rehearsal) => format!("depmod ended with status {}", rehearsal.status),
        Err(error @ (RehearseError::Unavailable { .. } | RehearseError::Failed(_))) => {
            error.to_string()
        }
        Err(error) => error.to_string(),
    };
    let gone = |line: &[u8]| {
        let line = String::from_utf8_lossy(line);
        let mut words = line.split_ascii_whitespace();
        match words.next() {
            // `misc/vmci.ko:`, in old versions with an absolute path.
            Some(first) if first.ends_with(':') => {
                let file = first.trim_end_matches(':');
                let in_kernel = file
                    .strip_prefix(&format!("/lib/modules/{release}/"))
                    .unwrap_or(file)
                    .starts_with("kernel/");
                !in_kernel
                    && module_name(file.as_bytes())
                        .is_some_and(|name| removed.names.contains(&name))
            }
            // `alias PATTERN MODULE`, `alias symbol:NAME MODULE`.
            Some("alias") => words
                .nth(1)
                .is_some_and(|name| removed.names.contains(name)),
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
        let names: Vec<&str> = removed.names.iter().map(String::as_str).collect();
        removed.warnings.push(format!(
            "{dir}/modules.dep.bin still lists {}, which does no harm until they are asked for; \
             run `depmod -a {release}` in the guest ({why})",
            names.join(", ")
        ));
    }
    Ok(())
}
