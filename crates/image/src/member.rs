//! An image inside of an archive, which qemu reads where it lies.

use std::{
    fs::File,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

use serde_json::json;

use crate::{
    Access, Format, ImageError, Result,
    image::canonical,
    image::check_kind,
    inuse,
    qemu::{self, Info},
};

/// A VMDK in an uncompressed archive: what an OVA holds.
///
/// Only the kinds that hold all of their data are taken, streamOptimized above all: what is one file in an
/// archive can refer to no other.
#[derive(Debug)]
pub struct Member {
    filename: String,
    virtual_size: u64,
}

/// Header of a sparse VMDK (VMware, Virtual Disk Format 5.0): magic, version, flags, capacity in sectors.
const HEADER: usize = 20;

impl Member {
    /// Looks at `size` bytes from `offset` in `archive`; `name` is what they are called, for messages.
    ///
    /// # Errors
    ///
    /// [`ImageError::Unsupported`] if it is no VMDK, or one that refers to other files; [`ImageError::Damaged`],
    /// [`ImageError::InUse`], and what keeps the archive from being read.
    pub fn probe(archive: &Path, name: &str, offset: u64, size: u64) -> Result<Self> {
        let archive = canonical(archive)?;
        check_kind(&archive)?;
        inuse::refuse(&archive, Access::Read)?;
        let shown = PathBuf::from(format!("{} ({name})", archive.display()));
        let unsupported = |what: &str| ImageError::Unsupported {
            path: shown.clone(),
            what: what.into(),
            advice: "unpack the archive and give its directory",
        };
        let mut header = [0; HEADER];
        let file = File::open(&archive).map_err(ImageError::io(&archive, "opening"))?;
        if size < 512 || file.read_exact_at(&mut header, offset).is_err() {
            return Err(ImageError::Damaged {
                path: shown,
                detail: format!("it has {size} bytes"),
            });
        }
        // Capacity 0 means a descriptor that names extents: any file of this host.
        if !header.starts_with(b"KDMV") || header[12..20] == [0; 8] {
            return Err(unsupported("a disk in an archive that is no sparse VMDK"));
        }
        let filename = filename(&archive, offset, size);
        let info = qemu::info(Path::new(&filename), Format::Vmdk)
            .map_err(|error| renamed(error, &shown))?;
        if info.backing_filename.is_some() {
            return Err(unsupported("a VMDK that is a snapshot of another"));
        }
        refuse_no_sector(&info, &shown)?;
        qemu::check(Path::new(&filename), Format::Vmdk).map_err(|error| renamed(error, &shown))?;
        Ok(Self {
            filename,
            virtual_size: info.virtual_size,
        })
    }

    /// What qemu takes in place of a file name, with [`Format::Vmdk`] as its format.
    pub fn filename(&self) -> &Path {
        Path::new(&self.filename)
    }

    /// Size of the disk as the guest sees it, in bytes.
    pub fn virtual_size(&self) -> u64 {
        self.virtual_size
    }
}

/// qemu's pseudo-protocol `json:` (qemu(1), "Device URL Syntax"): every layer is named, nothing is guessed.
fn filename(archive: &Path, offset: u64, size: u64) -> String {
    let description = json!({
        "driver": "vmdk",
        "file": {
            "driver": "raw",
            "offset": offset,
            "size": size,
            "file": {"driver": "file", "filename": archive.to_string_lossy()},
        },
    });
    format!("json:{description}")
}

fn refuse_no_sector(info: &Info, shown: &Path) -> Result<()> {
    if info.virtual_size >= 512 {
        return Ok(());
    }
    Err(ImageError::NotADisk {
        path: shown.into(),
        why: "it has no room for one sector".into(),
    })
}

/// The error with a name that people know.
fn renamed(error: ImageError, shown: &Path) -> ImageError {
    match error {
        ImageError::Qemu { stderr, status, .. } if status.code().is_some() => ImageError::Damaged {
            path: shown.into(),
            detail: stderr,
        },
        ImageError::Damaged { detail, .. } => ImageError::Damaged {
            path: shown.into(),
            detail,
        },
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_archives_need_no_quoting_by_hand() {
        assert_eq!(
            filename(Path::new("/a \"b\",c:d.ova"), 1536, 7),
            r#"json:{"driver":"vmdk","file":{"driver":"raw","offset":1536,"size":7,"file":{"driver":"file","filename":"/a \"b\",c:d.ova"}}}"#
        );
    }
}
