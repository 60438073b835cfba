//! What stands for a registry hive in a case's tree.

use std::fs;
use std::io::Read as _;
use std::path::Path;

use anyhow::{Context as _, Result};

/// The hives of a Windows, by the names of their files, and their transaction logs.
const HIVES: [&str; 11] = [
    "BCD",
    "DEFAULT",
    "DRIVERS",
    "NTUSER.DAT",
    "SAM",
    "SECURITY",
    "SOFTWARE",
    "SYSTEM",
    "SYSTEM.LOG1",
    "SYSTEM.LOG2",
    "UsrClass.dat",
];

/// The name and the content of the hive that `path` stands for; `None` if it is a file of its own.
///
/// # Errors
/// If it cannot be read, or is no registration file or no xz file.
pub(crate) fn stand_in(path: &Path) -> Result<Option<(String, Vec<u8>)>> {
    let name = path.file_name().and_then(|name| name.to_str());
    let Some((name, form)) = name.and_then(|name| name.rsplit_once('.')) else {
        return Ok(None);
    };
    if !HIVES.iter().any(|hive| hive.eq_ignore_ascii_case(name)) {
        return Ok(None);
    }
    let reading = || format!("reading {}", path.display());
    let content = match form {
        "reg" => {
            let text = fs::read_to_string(path).with_context(reading)?;
            let hive = refit_hive::reg::import(&text).with_context(reading)?;
            hive.into_bytes()
        }
        "xz" => {
            let packed = fs::read(path).with_context(reading)?;
            let mut content = Vec::new();
            lzma_rust2::XzReader::new(packed.as_slice(), true)
                .read_to_end(&mut content)
                .with_context(reading)?;
            content
        }
        _ => return Ok(None),
    };
    Ok(Some((name.to_owned(), content)))
}
