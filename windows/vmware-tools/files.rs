//! The product's files and folders.

use std::collections::BTreeSet;

use refit_engine::backend::FileKind;
use refit_engine::{Guest, GuestPath};

use super::edits::Edits;
use super::paths::WinPath;
use super::signatures;
use super::survey::{Survey, folders};

/// What is removed from the file system.
#[derive(Debug, Default)]
pub(crate) struct Removed {
    /// Folders that go as a whole, and files.
    paths: BTreeSet<WinPath>,
    /// Folders of the product that are not there.
    missing: BTreeSet<WinPath>,
}

impl Removed {
    /// Whether a path is among what goes.
    pub(crate) fn takes(&self, path: &WinPath) -> bool {
        path.and_above().any(|path| self.paths.contains(&path))
    }

    /// Whether a path is among what goes, or is in a folder of the product that is not there.
    pub(crate) fn has(&self, path: &WinPath) -> bool {
        path.and_above()
            .any(|path| self.paths.contains(&path) || self.missing.contains(&path))
    }
}

/// Removes them. What another product, or a service that stays, has in one of the folders stays with what is
/// beside it.
///
/// # Errors
/// If the guest's folders cannot be read.
pub(crate) fn remove(
    guest: &Guest<'_>,
    survey: &Survey<'_>,
    edits: &mut Edits,
) -> anyhow::Result<Removed> {
    let mut removed = Removed::default();
    for folder in survey.install.iter().chain(&survey.folders) {
        match survey.places.in_guest(folder) {
            Some(_) => remove_tree(guest, survey, folder, edits, &mut removed)?,
            None => edits.warn(format!(
                "{} is installed in {folder}, on another drive than Windows; the folder is left there",
                survey.signatures.title
            )),
        }
    }
    system_files(guest, survey, edits, &mut removed)?;
    profiles(guest, survey, edits, &mut removed)?;
    packages(guest, survey, edits, &mut removed)?;
    let mut parents = folders(survey.places, &survey.signatures.files.parents);
    // The deepest first: one may leave the next empty.
    parents.sort_by_key(|parent| std::cmp::Reverse(parent.depth()));
    for parent in parents {
        remove_if_empty(guest, survey, &parent, edits, &mut removed)?;
    }
    Ok(removed)
}

/// Where a path really is; `None` if nothing is there.
fn real(
    guest: &Guest<'_>,
    survey: &Survey<'_>,
    path: &WinPath,
) -> anyhow::Result<Option<GuestPath>> {
    let Some(path) = survey.places.in_guest(path) else {
        return Ok(None);
    };
    match guest.resolve_parent(&path)? {
        Some(real) if guest.exists(&real)? => Ok(Some(real)),
        _ => Ok(None),
    }
}

fn take(path: &WinPath, real: GuestPath, edits: &mut Edits, removed: &mut Removed) {
    edits.remove(real);
    removed.paths.insert(path.clone());
}

fn remove_tree(
    guest: &Guest<'_>,
    survey: &Survey<'_>,
    folder: &WinPath,
    edits: &mut Edits,
    removed: &mut Removed,
) -> anyhow::Result<()> {
    let Some(at) = real(guest, survey, folder)? else {
        if survey.places.in_guest(folder).is_some() {
            removed.missing.insert(folder.clone());
        }
        return Ok(());
    };
    if survey.is_protected(folder) {
        return Ok(());
    }
    if !survey.protected.iter().any(|path| path.is_in(folder)) {
        take(folder, at, edits, removed);
        return Ok(());
    }
    let direct = survey
        .protected
        .iter()
        .find(|path| path.parent().as_ref() == Some(folder));
    if let Some(path) = direct {
        edits.warn(format!(
            "{path} belongs to another product; the files beside it are left there, too"
        ));
    }
    for entry in guest.list(&at)? {
        let Some(name) = std::str::from_utf8(&entry.name).ok() else {
            continue;
        };
        let path = folder.join(name);
        match entry.kind {
            FileKind::Dir => remove_tree(guest, survey, &path, edits, removed)?,
            _ if direct.is_none() => take(&path, at.join(name), edits, removed),
            _ => {}
        }
    }
    Ok(())
}

/// Files in the system's folders, and what the product wrote to that of temporary files.
fn system_files(
    guest: &Guest<'_>,
    survey: &Survey<'_>,
    edits: &mut Edits,
    removed: &mut Removed,
) -> anyhow::Result<()> {
    for folder in [
        "",
        "system32",
        "syswow64",
        "system32\\drivers",
        "syswow64\\drivers",
    ] {
        let folder = survey.places.system(folder);
        each_file(guest, survey, &folder, &mut |path, real| {
            if survey.is_own(path) {
                take(path, real, edits, removed);
            }
        })?;
    }
    each_file(
        guest,
        survey,
        &survey.places.system("temp"),
        &mut |path, real| {
            if signatures::any(&survey.signatures.files.logs, path.name()) {
                take(path, real, edits, removed);
            }
        },
    )
}

fn each_file(
    guest: &Guest<'_>,
    survey: &Survey<'_>,
    folder: &WinPath,
    each: &mut dyn FnMut(&WinPath, GuestPath),
) -> anyhow::Result<()> {
    let Some(at) = real(guest, survey, folder)? else {
        return Ok(());
    };
    for entry in guest.list(&at)? {
        if entry.kind != FileKind::Dir
            && let Ok(name) = std::str::from_utf8(&entry.name)
        {
            each(&folder.join(name), at.join(name));
        }
    }
    Ok(())
}

/// What it keeps of every user. The folders are named after its vendor: with another of its products
/// installed nobody knows whose they are.
fn profiles(
    guest: &Guest<'_>,
    survey: &Survey<'_>,
    edits: &mut Edits,
    removed: &mut Removed,
) -> anyhow::Result<()> {
    if survey.vendor || !survey.siblings.is_empty() {
        return Ok(());
    }
    for users in ["users", "documents and settings"] {
        let Some(users) = survey
            .places
            .file(&format!("{}\\{users}", survey.places.drive()))
        else {
            continue;
        };
        let Some(at) = real(guest, survey, &users)? else {
            continue;
        };
        for entry in guest.list(&at)? {
            let Ok(name) = std::str::from_utf8(&entry.name) else {
                continue;
            };
            if entry.kind != FileKind::Dir {
                continue;
            }
            for folder in &survey.signatures.files.profile {
                let path = folder
                    .split('\\')
                    .fold(users.join(name), |path, part| path.join(part));
                remove_tree(guest, survey, &path, edits, removed)?;
            }
        }
    }
    Ok(())
}

/// The installer's own copies of the package, and the icons that it unpacked.
fn packages(
    guest: &Guest<'_>,
    survey: &Survey<'_>,
    edits: &mut Edits,
    removed: &mut Removed,
) -> anyhow::Result<()> {
    let folder = survey.places.system("installer");
    for product in &survey.products {
        if product.packed.is_some() {
            remove_tree(guest, survey, &folder.join(&product.key), edits, removed)?;
        }
        let package = product
            .package
            .as_deref()
            .and_then(|package| survey.places.file(package));
        if let Some(package) = package.filter(|path| path.parent().as_ref() == Some(&folder))
            && !survey.is_protected(&package)
            && let Some(at) = real(guest, survey, &package)?
        {
            take(&package, at, edits, removed);
        }
    }
    Ok(())
}

/// Removes a folder of which nothing is left.
fn remove_if_empty(
    guest: &Guest<'_>,
    survey: &Survey<'_>,
    folder: &WinPath,
    edits: &mut Edits,
    removed: &mut Removed,
) -> anyhow::Result<()> {
    let Some(at) = real(guest, survey, folder)? else {
        removed.missing.insert(folder.clone());
        return Ok(());
    };
    let entries = guest.list(&at)?;
    // One that was empty before is nobody's.
    let any = removed
        .paths
        .iter()
        .any(|path| path.parent().as_ref() == Some(folder));
    let all = entries.iter().all(|entry| {
        std::str::from_utf8(&entry.name)
            .is_ok_and(|name| removed.paths.contains(&folder.join(name)))
    });
    if any && all && !survey.is_protected(folder) {
        take(folder, at, edits, removed);
    }
    Ok(())
}
