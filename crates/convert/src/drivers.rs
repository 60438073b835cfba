//! Drivers for virt-v2v, in the form that costs it least.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use refit_virtio_win::Source;

use crate::Run;

/// Where virt-v2v finds drivers for Windows guests, as long as this lives. From an ISO they are unpacked, once and
/// here: virt-v2v would start an appliance each time it looks into one (measured: 91 s in place of 42 s).
#[derive(Debug)]
pub(crate) struct Drivers {
    path: Option<PathBuf>,
    /// What was unpacked, to be removed again.
    unpacked: Option<PathBuf>,
}

impl Drivers {
    /// Drivers that cannot be read are none here: the fixup that wants them tells why, if the guest is a Windows
    /// at all.
    pub(crate) fn prepare(run: &Run<'_>) -> Self {
        let none = Self {
            path: None,
            unpacked: None,
        };
        let Some(given) = &run.options.job.request.virtio_win else {
            return none;
        };
        let machine = run.source.machine.as_ref();
        if machine.is_some_and(|machine| machine.guest_os.is_some() && !machine.is_windows()) {
            return none;
        }
        let target = run.staging.path().join("virtio-win");
        Self::open(given, &target).unwrap_or_else(|error| {
            tracing::warn!("virt-v2v gets no drivers: {error:#}");
            none
        })
    }

    fn open(given: &Path, target: &Path) -> anyhow::Result<Self> {
        let source = Source::open(given)?;
        if !source.is_iso() {
            return Ok(Self {
                path: Some(source.path().to_owned()),
                unpacked: None,
            });
        }
        let drivers = Self {
            path: Some(target.to_owned()),
            unpacked: Some(target.to_owned()),
        };
        source
            .unpack(target)
            .with_context(|| format!("unpacking {}", given.display()))?;
        Ok(drivers)
    }

    /// The directory.
    pub(crate) fn for_v2v(&self) -> Option<&Path> {
        self.path.as_deref()
    }
}

impl Drop for Drivers {
    fn drop(&mut self) {
        if let Some(path) = &self.unpacked
            && let Err(error) = fs::remove_dir_all(path)
        {
            tracing::warn!("removing {}: {error}", path.display());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn testdata(path: &str) -> PathBuf {
        let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        crates.join("virtio-win/testdata").join(path)
    }

    #[test]
    fn a_directory_is_taken_as_it_is_and_an_image_is_unpacked_for_a_while() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("virtio-win");
        let drivers = Drivers::open(&testdata("virtio-win"), &target).unwrap();
        assert_eq!(drivers.for_v2v(), Some(testdata("virtio-win").as_path()));
        assert!(!target.exists());
        drop(drivers);
        assert!(testdata("virtio-win/viostor").is_dir());

        let packed = fs::File::open(testdata("iso/joliet.iso.xz")).unwrap();
        let iso = dir.path().join("drivers.iso");
        let mut image = fs::File::create(&iso).unwrap();
        let mut reader = lzma_rust2::XzReader::new(packed, false);
        std::io::copy(&mut reader, &mut image).unwrap();
        let drivers = Drivers::open(&iso, &target).unwrap();
        assert_eq!(drivers.for_v2v(), Some(target.as_path()));
        assert!(target.join("viostor/w10/amd64/viostor.sys").is_file());
        drop(drivers);
        assert!(!target.exists());
        assert!(Drivers::open(&dir.path().join("missing"), &target).is_err());
    }
}
