//! What an initramfs image holds, as far as finding disks goes.

mod compression;
mod cpio;
mod input;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read};
use std::ops::ControlFlow;

use anyhow::ensure;
use refit_engine::{Guest, GuestPath};

use super::modules::{is_safe, module_name};
pub(super) use compression::Compression;

/// An image that is longer, or unpacks to more, is not read: it could be a bomb.
const SIZE_LIMIT: u64 = 1024 * 1024 * 1024;
/// More modules are in no kernel.
const MODULES_LIMIT: usize = 20_000;

/// Programs that load drivers for the devices which the kernel reports, by modalias: udev's, and
/// Alpine's.
const COLDPLUG: [&[u8]; 3] = [b"systemd-udevd", b"udevd", b"nlplug-findfs"];
/// What tells an initramfs whose script loads a fixed list of modules, and nothing else.
const FIXED_LISTS: [(&[u8], &str); 3] = [
    (b"run_all.sh", "SUSE's mkinitrd"),
    (b"config/start.sh", "SUSE's mkinitrd"),
    (b"bin/nash", "Red Hat's mkinitrd"),
];

/// What was found in an image.
#[derive(Debug, Default)]
pub(super) struct Initramfs {
    /// Modules by kernel release.
    pub(super) modules: BTreeMap<String, PackedModules>,
    /// Whether something in it loads drivers by modalias.
    pub(super) coldplug: bool,
    /// Who made it, if its script loads a fixed list of modules.
    pub(super) fixed_list: Option<&'static str>,
    /// Modules in `/lib` itself, where Red Hat's mkinitrd put them.
    pub(super) loose: BTreeSet<String>,
    /// Where its `/lib` leads, if that is a link.
    lib: Option<Vec<u8>>,
}

/// The modules of one kernel in an image.
#[derive(Debug)]
pub(super) struct PackedModules {
    /// Their directory, without links: `/usr/lib/modules/6.1.0`.
    pub(super) dir: GuestPath,
    /// Path below that directory, by the module's name.
    pub(super) paths: BTreeMap<String, String>,
}

impl Initramfs {
    /// Reads the image at `path`. It costs the time to read and unpack it, so reading ends early
    /// once every module in `enough` (of kernel `release`) was seen; if it is empty, never.
    ///
    /// # Errors
    /// If it cannot be read or understood.
    pub(super) fn read(
        guest: &Guest<'_>,
        path: &GuestPath,
        release: &str,
        enough: &BTreeSet<String>,
    ) -> anyhow::Result<Self> {
        let size = guest.stat(path)?.map_or(0, |stat| stat.size);
        ensure!(size > 0, "it is empty");
        ensure!(size <= SIZE_LIMIT, "it has {size} bytes");
        let source = GuestFile {
            guest,
            path,
            offset: 0,
        };
        Self::of(source, SIZE_LIMIT, release, enough)
    }

    fn of(
        source: impl Read,
        limit: u64,
        release: &str,
        enough: &BTreeSet<String>,
    ) -> anyhow::Result<Self> {
        let mut found = Self::default();
        let mut missing = enough.clone();
        let mut too_many = false;
        cpio::walk(source, limit, &mut |entry| {
            if let Some((of, name)) = found.note(&entry)
                && of == release
                && missing.remove(&name)
                && missing.is_empty()
            {
                return ControlFlow::Break(());
            }
            let count: usize = found.modules.values().map(|one| one.paths.len()).sum();
            too_many = count > MODULES_LIMIT;
            if too_many {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        })?;
        ensure!(!too_many, "it has more than {MODULES_LIMIT} modules");
        Ok(found)
    }

    /// Takes one entry in; gives kernel release and name if it is a module.
    fn note(&mut self, entry: &cpio::Entry) -> Option<(String, String)> {
        let base = entry.name.rsplit(|&b| b == b'/').next().unwrap_or_default();
        self.coldplug |= COLDPLUG.contains(&base);
        if let Some((_, maker)) = FIXED_LISTS.iter().find(|(name, _)| *name == entry.name) {
            self.fixed_list = Some(maker);
        }
        if entry.name == b"lib" {
            self.lib.clone_from(&entry.target);
        }
        let name = std::str::from_utf8(&entry.name).ok()?;
        if let Some(file) = name.strip_prefix("lib/").filter(|file| !file.contains('/')) {
            self.loose.extend(module_name(file));
        }
        let (lib, below) = name.split_once("lib/modules/")?;
        let (release, path) = below.split_once('/')?;
        let module = module_name(path)?;
        if !matches!(lib, "" | "usr/") || !is_safe(path) || release == ".." {
            return None;
        }
        let modules = self
            .modules
            .entry(release.to_owned())
            .or_insert_with(|| PackedModules {
                dir: GuestPath::new(format!("{lib}lib/modules/{release}")),
                paths: BTreeMap::new(),
            });
        modules.paths.insert(module.clone(), path.to_owned());
        Some((release.to_owned(), module))
    }

    /// The directory for modules of `release`: where the image has them, else below what is
    /// really its `/lib`. A directory in place of a link would hide what the link leads to.
    pub(super) fn modules_dir(&self, release: &str) -> GuestPath {
        if let Some(modules) = self.modules.get(release) {
            return modules.dir.clone();
        }
        let root = GuestPath::root();
        let lib = match &self.lib {
            Some(target) => root.join(target),
            None => root.join("lib"),
        };
        lib.join("modules").join(release)
    }

    /// Whether the image keeps modules without compression; `None` if it has none.
    pub(super) fn bare(&self, release: &str) -> Option<bool> {
        let modules = self.modules.get(release)?;
        Some(modules.paths.values().all(|path| path.ends_with(".ko")))
    }
}

/// A file of the guest, read from front to back.
struct GuestFile<'g, 'b> {
    guest: &'g Guest<'b>,
    path: &'g GuestPath,
    offset: u64,
}

impl Read for GuestFile<'_, '_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let read = self
            .guest
            .read_range(self.path, self.offset, buf.len())
            .map_err(|error| io::Error::other(format!("{error:#}")))?;
        let read_len = read.len().min(buf.len());
        buf[..read_len].copy_from_slice(&read[..read_len]);
        self.offset += read_len as u64;
        Ok(read_len)
    }
}

#[cfg(test)]
mod tests;
