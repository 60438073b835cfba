//! A guest's whole tree, for comparing.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use anyhow::Context as _;
use refit_guestfs::{AddDrive, Handle, TarOut};
use sha2::{Digest as _, Sha256};

/// Everything that undo has to bring back, by path: kind, mode, owner, times, link target, extended
/// attributes, content. Read by libguestfs through tar, independently of refit.
///
/// # Errors
/// If the disk cannot be read.
pub fn tree(disk: &Path, format: &str) -> anyhow::Result<BTreeMap<String, String>> {
    let handle = Handle::new()?;
    handle.set_backend_setting("force_tcg", "1")?;
    handle.add_drive(disk, &AddDrive::new().readonly(true).format(format))?;
    handle.launch()?;
    let roots = handle.inspect_os()?;
    let root = roots.first().context("finding the operating system")?;
    for (path, device) in handle.inspect_get_mountpoints(root)? {
        handle.mount_ro(&device, &path)?;
    }
    let archive = tempfile::NamedTempFile::new()?;
    handle.tar_out(
        "/",
        archive.path(),
        &TarOut::new()
            .numericowner(true)
            .xattrs(true)
            .selinux(true)
            .acls(true),
    )?;
    handle.close()?;
    read(archive.path())
}

fn read(archive: &Path) -> anyhow::Result<BTreeMap<String, String>> {
    let mut tree = BTreeMap::new();
    let mut archive = tar::Archive::new(File::open(archive)?);
    for entry in archive.entries()? {
        let mut entry = entry?;
        let mut extended = Vec::new();
        if let Some(extensions) = entry.pax_extensions()? {
            for extension in extensions {
                let extension = extension?;
                // Reading changes these.
                if !matches!(extension.key(), Ok("atime" | "ctime")) {
                    extended.push(format!(
                        "{}={:?}",
                        String::from_utf8_lossy(extension.key_bytes()),
                        String::from_utf8_lossy(extension.value_bytes())
                    ));
                }
            }
        }
        extended.sort();
        let header = entry.header();
        let facts = format!(
            "{:?} {:o} {}:{} mtime {} -> {} {}",
            header.entry_type(),
            header.mode()?,
            header.uid()?,
            header.gid()?,
            header.mtime()?,
            String::from_utf8_lossy(&entry.link_name_bytes().unwrap_or_default()),
            extended.join(" "),
        );
        let path = String::from_utf8_lossy(&entry.path_bytes())
            .trim_end_matches('/')
            .to_owned();
        let mut digest = Sha256::new();
        let mut buffer = vec![0; 1 << 16];
        loop {
            let count = entry.read(&mut buffer)?;
            if count == 0 {
                break;
            }
            digest.update(&buffer[..count]);
        }
        tree.insert(path, format!("{facts} {}", hex(&digest.finalize())));
    }
    Ok(tree)
}

fn hex(digest: &[u8]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The paths that differ, with what they are in each tree.
#[must_use]
pub fn differences(
    before: &BTreeMap<String, String>,
    after: &BTreeMap<String, String>,
) -> Vec<String> {
    let mut paths: Vec<&String> = before.keys().chain(after.keys()).collect();
    paths.sort();
    paths.dedup();
    paths
        .into_iter()
        .filter(|path| before.get(*path) != after.get(*path))
        .map(|path| {
            format!(
                "{path}: {:?} became {:?}",
                before.get(path),
                after.get(path)
            )
        })
        .collect()
}
