//! Paths of keys, below a hive's root.

use crate::error::HiveError;
use crate::name::wide;

/// Longest name of a key, in UTF-16 units (Windows' documented limit).
pub(crate) const MAX_KEY_NAME: usize = 255;
/// Longest name of a value, in UTF-16 units (Windows' documented limit).
pub(crate) const MAX_VALUE_NAME: usize = 16383;
/// Deepest key below the root (Windows' documented limit).
pub(crate) const MAX_DEPTH: usize = 512;

/// The names in a path; one backslash at either end, or two in a row, mean nothing.
pub(crate) fn parts(path: &str) -> impl Iterator<Item = &str> {
    path.split('\\').filter(|part| !part.is_empty())
}

/// The names in the path of a key that is to exist, each fit to be one.
pub(crate) fn checked(path: &str) -> Result<Vec<Vec<u16>>, HiveError> {
    let refuse = |why| HiveError::Name {
        name: path.to_owned(),
        why,
    };
    let parts: Vec<Vec<u16>> = parts(path).map(wide).collect();
    if parts.len() > MAX_DEPTH {
        return Err(refuse("keys cannot be nested deeper than 512 levels"));
    }
    for part in &parts {
        if part.len() > MAX_KEY_NAME {
            return Err(refuse("a key's name has at most 255 characters"));
        }
        if part.contains(&0) {
            return Err(refuse(
                "it contains a NUL, which Windows' programs cannot name",
            ));
        }
    }
    Ok(parts)
}

/// The units of a value's name that is to exist.
pub(crate) fn checked_value_name(name: &str) -> Result<Vec<u16>, HiveError> {
    let units = wide(name);
    let why = if units.len() > MAX_VALUE_NAME {
        "a value's name has at most 16383 characters"
    } else if units.contains(&0) {
        "it contains a NUL, which Windows' programs cannot name"
    } else {
        return Ok(units);
    };
    Err(HiveError::Name {
        name: name.chars().take(80).collect(),
        why,
    })
}
