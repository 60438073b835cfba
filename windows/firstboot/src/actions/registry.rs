//! Edits of the registry.

use super::{Done, Result};
use crate::task::Edit;
use crate::win32::registry::{Key, delete_tree};

/// Whether there is nothing to do for an edit that sets a value.
pub fn is_made(edit: &Edit) -> bool {
    match edit {
        Edit::Set { key, name, data } => {
            matches!(Key::open(key), Ok(Some(open)) if open.has(name, data))
        }
        _ => false,
    }
}

pub fn apply(edits: &[Edit]) -> Result {
    for edit in edits {
        one(edit)?;
    }
    Ok(Done::new(format!("{} edits", edits.len())))
}

/// Makes one edit.
pub fn one(edit: &Edit) -> std::result::Result<(), String> {
    let failed = |key: &str, error: std::io::Error| format!("HKLM\\{key}: {error}");
    match edit {
        Edit::Create { key } => Key::create(key)
            .map(drop)
            .map_err(|error| failed(key, error)),
        Edit::Set { key, name, data } => Key::create(key)
            .and_then(|open| {
                open.set(name, data)?;
                open.flush()
            })
            .map_err(|error| failed(key, error)),
        Edit::Delete { key, name } => match Key::open(key) {
            Ok(None) => Ok(()),
            Ok(Some(_)) => Key::create(key)
                .and_then(|open| {
                    open.delete(name)?;
                    open.flush()
                })
                .map_err(|error| failed(key, error)),
            Err(error) => Err(failed(key, error)),
        },
        Edit::DeleteKey { key } => delete_tree(key).map_err(|error| failed(key, error)),
    }
}
