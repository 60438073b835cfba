//! An image inside of an archive, which qemu reads where it lies.

use std::{
    fmt::Write as _,
    fs::{self, File},
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

/// A disk in an uncompressed archive, or in pieces: what an OVA holds.
///
/// Only images that hold all of their data are taken, streamOptimized VMDK above all: what is one file in an
/// archive can refer to no other.
#[derive(Debug)]
pub struct Member {
    filename: String,
    format: Format,
    virtual_size: u64,
}

/// A range of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// The file.
    pub path: PathBuf,
    /// Where it starts, in bytes.
    pub offset: u64,
    /// Its length in bytes.
    pub size: u64,
}

/// Bytes of a header that are looked at: of a sparse VMDK (VMware, Virtual Disk Format 5.0) magic, version, flags,
/// capacity in sectors; of a qcow2 image (docs/interop/qcow2.txt of qemu) up to the incompatible features.
const HEADER: usize = 80;

/// The unit in which a VMDK descriptor counts.
const SECTOR: u64 = 512;

impl Member {
    /// Looks at `size` bytes from `offset` in `archive`; `name` is what they are called, for messages.
    ///
    /// # Errors
    ///
    /// [`ImageError::Unsupported`] if it is neither VMDK nor qcow2, or one that refers to other files;
    /// [`ImageError::Damaged`], [`ImageError::InUse`], and what keeps the archive from being read.
    pub fn probe(archive: &Path, name: &str, offset: u64, size: u64) -> Result<Self> {
        let piece = Piece {
            path: usable(archive)?,
            offset,
            size,
        };
        let shown = PathBuf::from(format!("{} ({name})", archive.display()));
        let format = content(&piece, &shown)?;
        let file = json!({
            "driver": "raw",
            "offset": piece.offset,
            "size": piece.size,
            "file": {"driver": "file", "filename": piece.path.to_string_lossy()},
        });
        Self::of(format, &file, &shown)
    }

    /// Looks at an image that is stored in pieces. qemu reads them where they lie, by a list that is written to
    /// `list`, a file that must stay for as long as the image is used. `name` is what it is called.
    ///
    /// # Errors
    ///
    /// As [`Member::probe`]; and [`ImageError::Unsupported`] if the pieces cannot be listed: all but the last must
    /// be whole sectors.
    pub fn probe_pieces(pieces: &[Piece], name: &str, list: &Path) -> Result<Self> {
        let shown = PathBuf::from(name);
        let unsupported = |what: &str| ImageError::Unsupported {
            path: shown.clone(),
            what: what.into(),
            advice: "put the pieces together: cat NAME.0* > NAME, and take chunkSize out of the descriptor",
        };
        // A flat VMDK (VMware, Virtual Disk Format 5.0) is the one thing that qemu puts together by itself.
        let mut text = "# Disk DescriptorFile\nversion=1\nCID=fffffffe\nparentCID=ffffffff\n\
                        createType=\"twoGbMaxExtentFlat\"\n"
            .to_owned();
        let mut first = None;
        for piece in pieces {
            let path = usable(&piece.path)?;
            let quoted = path.to_str().filter(|path| !path.contains(['"', '\n']));
            let quoted = quoted
                .ok_or_else(|| unsupported("an image in pieces whose path has quotation marks"))?;
            if !piece.offset.is_multiple_of(SECTOR) || !piece.size.is_multiple_of(SECTOR) {
                return Err(unsupported("an image in pieces that are no whole sectors"));
            }
            let (sectors, offset) = (piece.size / SECTOR, piece.offset / SECTOR);
            let _ = writeln!(text, "RW {sectors} FLAT \"{quoted}\" {offset}");
            first.get_or_insert(Piece {
                path,
                ..piece.clone()
            });
        }
        let first = first.ok_or_else(|| unsupported("an image of no pieces"))?;
        let format = content(&first, &shown)?;
        fs::write(list, text).map_err(ImageError::io(list, "writing"))?;
        let list = canonical(list)?;
        let file = json!({
            "driver": "vmdk",
            "file": {"driver": "file", "filename": list.to_string_lossy()},
        });
        Self::of(format, &file, &shown)
    }

    fn of(format: Format, file: &serde_json::Value, shown: &Path) -> Result<Self> {
        let filename = filename(format, file);
        let info =
            qemu::info(Path::new(&filename), format).map_err(|error| renamed(error, shown))?;
        if info.backing_filename.is_some() {
            return Err(unsupported(shown, "an image that is a snapshot of another"));
        }
        refuse_no_sector(&info, shown)?;
        qemu::check(Path::new(&filename), format).map_err(|error| renamed(error, shown))?;
        Ok(Self {
            filename,
            format,
            virtual_size: info.virtual_size,
        })
    }

    /// What qemu takes in place of a file name, with [`Member::format`] as its format.
    pub fn filename(&self) -> &Path {
        Path::new(&self.filename)
    }

    /// The format, by content.
    pub fn format(&self) -> Format {
        self.format
    }

    /// Size of the disk as the guest sees it, in bytes.
    pub fn virtual_size(&self) -> u64 {
        self.virtual_size
    }
}

/// The file by its real name, if it can be read and nobody writes to it.
fn usable(path: &Path) -> Result<PathBuf> {
    let path = canonical(path)?;
    check_kind(&path)?;
    inuse::refuse(&path, Access::Read)?;
    Ok(path)
}

fn unsupported(shown: &Path, what: &str) -> ImageError {
    ImageError::Unsupported {
        path: shown.to_owned(),
        what: what.into(),
        advice: "unpack the archive and give its directory",
    }
}

/// The format by the first bytes, which are read before qemu opens anything.
fn content(piece: &Piece, shown: &Path) -> Result<Format> {
    let mut header = [0; HEADER];
    let file = File::open(&piece.path).map_err(ImageError::io(&piece.path, "opening"))?;
    if piece.size < SECTOR || file.read_exact_at(&mut header, piece.offset).is_err() {
        return Err(ImageError::Damaged {
            path: shown.to_owned(),
            detail: format!("it has {} bytes", piece.size),
        });
    }
    // Capacity 0 means a descriptor that names extents: any file of this host.
    if header.starts_with(b"KDMV") && header[12..20] != [0; 8] {
        return Ok(Format::Vmdk);
    }
    if header.starts_with(b"QFI\xfb") {
        // Version 3 and bit 2 of its features: the data are in another file.
        if header[4..8] != [0, 0, 0, 2] && header[79] & 4 != 0 {
            return Err(unsupported(
                shown,
                "a qcow2 image with its data in another file",
            ));
        }
        return Ok(Format::Qcow2);
    }
    Err(unsupported(
        shown,
        "a disk in an archive that is neither sparse VMDK nor qcow2",
    ))
}

/// qemu's pseudo-protocol `json:` (qemu(1), "Device URL Syntax"): every layer is named, nothing is guessed.
fn filename(format: Format, file: &serde_json::Value) -> String {
    let description = json!({"driver": format.as_str(), "file": file});
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
        let file = json!({"driver": "file", "filename": "/a \"b\",c:d.ova"});
        assert_eq!(
            filename(Format::Vmdk, &file),
            r#"json:{"driver":"vmdk","file":{"driver":"file","filename":"/a \"b\",c:d.ova"}}"#
        );
    }
}
