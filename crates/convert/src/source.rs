//! The source's disks, ready to be read.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use refit_engine::disks::{Access, DiskSpec, Format, Image, ImageOptions};
use refit_image::qemu;
use refit_v2v::Input;

use crate::appliance::Reading;
use crate::hardware::Source;

/// One disk of the source.
#[derive(Debug)]
pub(crate) enum SourceDisk {
    /// What qemu opens under this name: a path, or the description of a part of an archive.
    Stored {
        name: PathBuf,
        format: Format,
        /// Size as the guest is to see it, in bytes.
        size: u64,
        /// Size of the image, in bytes.
        own_size: u64,
    },
    /// A disk of this many bytes that nothing was ever written to.
    Blank { size: u64 },
}

impl SourceDisk {
    /// Size of the disk as the guest sees it, in bytes.
    pub(crate) fn size(&self) -> u64 {
        match self {
            Self::Stored { size, .. } | Self::Blank { size } => *size,
        }
    }

    /// The disk with this size if it is larger: vSphere grows an image to the capacity that the descriptor gives.
    pub(crate) fn at_least(self, capacity: Option<u64>) -> Self {
        match (self, capacity) {
            (
                Self::Stored {
                    name,
                    format,
                    size,
                    own_size,
                },
                Some(capacity),
            ) => Self::Stored {
                name,
                format,
                size: size.max(capacity),
                own_size,
            },
            (disk, _) => disk,
        }
    }

    /// Puts an empty qcow2 overlay over the disk.
    ///
    /// # Errors
    /// If it cannot be written.
    pub(crate) fn overlay(&self, path: &Path) -> anyhow::Result<()> {
        match self {
            Self::Stored {
                name,
                format,
                size,
                own_size,
            } => qemu::create(path, name, *format, (size > own_size).then_some(*size)),
            Self::Blank { size } => qemu::create_blank(path, *size),
        }
        .context("making an overlay of the source")
    }
}

/// Looks at all disks of the source; they are only read. Compressed ones are unpacked into `reading`'s directory.
///
/// # Errors
/// For a disk that is missing, damaged, in use, or not to be trusted; for an archive that cannot be read where
/// it lies.
pub(crate) fn disks(
    input: &Input,
    source: &Source,
    reading: &Reading<'_>,
) -> anyhow::Result<Vec<SourceDisk>> {
    let options = reading.options;
    if let Input::Disk { path, format } = input {
        return Ok(vec![stored(path, parsed(format.as_deref())?, options)?]);
    }
    if let Input::Disks { paths, format } = input {
        return paths
            .iter()
            .map(|path| stored(path, parsed(format.as_deref())?, options))
            .collect();
    }
    let path = input.path();
    let described = source.machine.clone().unwrap_or_default();
    if let Some(appliance) = &source.appliance {
        return appliance.disks(&described, reading);
    }
    if described.disks.is_empty() {
        bail!("{} describes a machine without disks", path.display());
    }
    let dir = path.parent().unwrap_or(Path::new("."));
    described
        .disks
        .iter()
        .map(|disk| match (disk.path.as_str(), disk.capacity) {
            ("", Some(size)) => Ok(SourceDisk::Blank { size }),
            ("", None) => bail!("a disk without a file and without a size"),
            (name, _) => stored(&dir.join(name), parsed(disk.format.as_deref())?, options),
        })
        .collect::<anyhow::Result<_>>()
        .with_context(|| format!("checking the disks of {}", path.display()))
}

fn parsed(format: Option<&str>) -> anyhow::Result<Option<Format>> {
    let format = format.map(|name| name.parse().map_err(anyhow::Error::msg));
    format.transpose()
}

/// A disk that is a file of its own.
pub(crate) fn stored(
    path: &Path,
    format: Option<Format>,
    options: &ImageOptions,
) -> anyhow::Result<SourceDisk> {
    let spec = DiskSpec {
        path: path.to_owned(),
        format,
    };
    let image = Image::probe(&spec, Access::Read, options)?;
    Ok(SourceDisk::Stored {
        name: image.path().to_owned(),
        format: image.format(),
        size: image.virtual_size(),
        own_size: image.virtual_size(),
    })
}
