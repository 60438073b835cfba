//! Many small files of one directory in one step.
//!
//! In an emulated appliance each call takes ten milliseconds or more, and a package database has a
//! file for each of its packages.

use std::collections::BTreeMap;
use std::io::Read as _;

use anyhow::Context as _;
use refit_guestfs::{FileType, TarOut};
use tempfile::NamedTempFile;

use super::GuestfsBackend;
use crate::path::GuestPath;

/// Fewer files are read one by one.
const WORTH_IT: usize = 8;
/// More is not taken into memory at once.
const TOTAL_LIMIT: u64 = 256 * 1024 * 1024;

/// [`Backend::read_many`](crate::backend::Backend::read_many): the attributes of all, then one archive.
pub(super) fn read(
    backend: &GuestfsBackend,
    dir: &GuestPath,
    suffix: &str,
    limit: u64,
) -> anyhow::Result<BTreeMap<Vec<u8>, Vec<u8>>> {
    let mut contents = BTreeMap::new();
    let handle = &backend.handle;
    let Some(entries) = super::optional(handle.readdir(dir.as_bytes()))
        .with_context(|| format!("reading directory {dir}"))?
    else {
        return Ok(contents);
    };
    let names: Vec<Vec<u8>> = entries
        .into_iter()
        .filter(|entry| entry.file_type == FileType::Regular)
        .map(|entry| entry.name)
        .filter(|name| name.ends_with(suffix.as_bytes()))
        .collect();
    if names.len() < WORTH_IT {
        return Ok(contents);
    }
    let stats = handle
        .lstatnslist(dir.as_bytes(), &names)
        .with_context(|| format!("reading the attributes of the files in {dir}"))?;
    let sizes = || stats.iter().flatten().map(|stat| stat.size);
    if sizes().sum::<u64>() > TOTAL_LIMIT || sizes().any(|size| size > limit) {
        return Ok(contents);
    }
    let archive = NamedTempFile::new().context("making a temporary file")?;
    handle
        .tar_out(
            dir.as_bytes(),
            archive.path(),
            &TarOut::new().excludes(all_but(suffix)),
        )
        .with_context(|| format!("reading the files in {dir}"))?;
    let file = archive.reopen().context("opening a temporary file")?;
    let mut archive = tar::Archive::new(file);
    for entry in archive.entries().context("reading an archive")? {
        let entry = entry.with_context(|| format!("reading an archive of {dir}"))?;
        let name = entry.path_bytes().into_owned();
        let Some(name) = name.strip_prefix(b"./") else {
            continue;
        };
        if !entry.header().entry_type().is_file() || name.contains(&b'/') {
            continue;
        }
        let mut content = Vec::new();
        let size = entry.size();
        entry
            .take(limit + 1)
            .read_to_end(&mut content)
            .with_context(|| format!("reading {} in {dir}", String::from_utf8_lossy(name)))?;
        if content.len() as u64 == size {
            contents.insert(name.to_vec(), content);
        }
    }
    Ok(contents)
}

/// Patterns of tar(1) that leave out every name but those with this ending: for each character of
/// it, the names that have another one there. They need a slash, or the directory itself would be
/// left out.
fn all_but(suffix: &str) -> Vec<String> {
    suffix
        .char_indices()
        .map(|(at, c)| format!("*/*[!{c}]{}", &suffix[at + c.len_utf8()..]))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_leave_out_other_endings() {
        assert_eq!(all_but(".l"), ["*/*[!.]l", "*/*[!l]"]);
    }
}
