//! Making a guest's tree.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::hives;
use crate::initramfs;
use crate::params::Setup;

/// Copies a tree; links stay links, and what stands for a registry hive becomes one.
pub(crate) fn copy(from: &Path, to: &Path) -> Result<()> {
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        let kind = entry.file_type()?;
        if let Some((name, hive)) = hives::stand_in(&entry.path())? {
            fs::write(to.join(name), hive)?;
        } else if kind.is_dir() {
            fs::create_dir(&target)?;
            copy(&entry.path(), &target)?;
        } else if kind.is_symlink() {
            symlink(fs::read_link(entry.path())?, &target)?;
        } else {
            fs::copy(entry.path(), &target)?;
        }
    }
    Ok(())
}

/// Adds what git does not keep.
pub(crate) fn set_up(setup: &Setup, root: &Path) -> Result<()> {
    let inside = |path: &str| -> Result<PathBuf> {
        let path = root.join(path.trim_start_matches('/'));
        fs::create_dir_all(path.parent().context("a path without a directory")?)?;
        Ok(path)
    };
    for dir in &setup.dirs {
        fs::create_dir_all(inside(dir)?)?;
    }
    for (path, target) in &setup.links {
        symlink(target, inside(path)?)?;
    }
    for (path, &size) in &setup.bytes {
        fs::write(inside(path)?, vec![0x5a; size])?;
    }
    for (path, image) in &setup.initramfs {
        fs::write(inside(path)?, initramfs::make(image)?)?;
    }
    Ok(())
}
