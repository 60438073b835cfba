//! Files and folders that are to vanish.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use super::{Done, Result};
use crate::vars::Folders;
use crate::win32::system;

/// Folders of the system: neither they nor what contains them is removed.
const KEPT: [&str; 9] = [
    "",
    "\\users",
    "\\programdata",
    "\\program files",
    "\\program files (x86)",
    "\\documents and settings",
    "\\boot",
    "\\recovery",
    "\\system volume information",
];

pub fn remove(paths: &[String], folders: &Folders) -> Result {
    let mut later = 0;
    for path in paths {
        let path = folders.expand(path);
        if is_kept(&path, folders) {
            return Err(format!("{path} belongs to the system"));
        }
        remove_tree(Path::new(&path), &mut later)?;
    }
    Ok(Done::new(match later {
        0 => "removed".to_owned(),
        _ => format!("removed; {later} files in use go at the next restart"),
    }))
}

/// Whether the system needs it: one of its folders, a folder above one, or anything below Windows' own
/// `System32` and the like.
fn is_kept(path: &str, folders: &Folders) -> bool {
    let lower = path.to_lowercase();
    let drive = folders.system_drive.to_lowercase();
    let windows = folders.system_root.to_lowercase();
    let refit = folders.refit.to_lowercase();
    let contains = |inner: &str| inner == lower || inner.starts_with(&format!("{lower}\\"));
    let needed = ["\\system32", "\\syswow64", "\\winsxs"].map(|folder| windows.clone() + folder);
    KEPT.iter()
        .any(|folder| contains(&(drive.clone() + folder)))
        || contains(&windows)
        || contains(&refit)
        || needed.contains(&lower)
}

/// Removes a file, a link, or a folder with all below; counts what is in use.
pub fn remove_tree(path: &Path, later: &mut u32) -> std::result::Result<(), String> {
    let failed = |error: std::io::Error| format!("{}: {error}", path.display());
    let meta = match fs::symlink_metadata(path) {
        Ok(meta) => meta,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed(error)),
    };
    let mut permissions = meta.permissions();
    if permissions.readonly() {
        // Clippy warns of what this does on Unix.
        #[allow(clippy::permissions_set_readonly_false)]
        permissions.set_readonly(false);
        // If that fails, removing says so.
        let _ = fs::set_permissions(path, permissions);
    }
    // A link to a folder, a junction too, is removed as an empty folder.
    let result = if meta.is_dir() {
        for entry in fs::read_dir(path).map_err(failed)? {
            remove_tree(&entry.map_err(failed)?.path(), later)?;
        }
        fs::remove_dir(path)
    } else {
        fs::remove_file(path).or_else(|error| match meta.file_type().is_symlink() {
            true => fs::remove_dir(path),
            false => Err(error),
        })
    };
    match result {
        Ok(()) => Ok(()),
        Err(error) => {
            *later += 1;
            system::remove_at_restart(path).map_err(|_| failed(error))
        }
    }
}
