use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Seek, SeekFrom},
    os::unix::fs::{FileExt, FileTypeExt, PermissionsExt},
    path::{Path, PathBuf},
};

use crate::{
    DiskSpec, Format, ImageError, Options, Result,
    format::{Detected, SAMPLE_BYTES, Sample},
    inuse,
    qemu::{self, Info},
    vmdk,
};

/// Longest chain of backing files that is followed.
const CHAIN_LIMIT: usize = 64;

/// Longest name that qemu takes from a header: it cuts an extent's name here (block/vmdk.c).
const NAME_LIMIT: usize = 511;

/// What a disk is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// To look at it (`plan`, `inspect`).
    Read,
    /// To change it in the end (`fix`).
    Write,
}

/// A disk image or block device that was found usable.
#[derive(Debug)]
pub struct Image {
    path: PathBuf,
    format: Format,
    virtual_size: u64,
    block_device: bool,
    chain: Vec<PathBuf>,
    files: Vec<PathBuf>,
    info: Info,
}

impl Image {
    /// Finds out what the disk is, and refuses what cannot be worked on.
    ///
    /// The disk is only read. With [`Access::Write`] it must also be writable, of a format that can be
    /// written, and unused by others. qcow2, VMDK, VDI and VHDX metadata is checked with `qemu-img check`,
    /// because `qemu-img info` does not see that a file ends too early.
    ///
    /// # Errors
    ///
    /// Nearly every [`ImageError`]; nothing was changed.
    pub fn probe(spec: &DiskSpec, access: Access, options: &Options) -> Result<Self> {
        let path = canonical(&spec.path)?;
        let kind = check_file(&path, access)?.file_type();
        let format = match spec.format {
            Some(format) => given(&path, format)?,
            None => detect(&path)?,
        };
        let top = Layer::open(&path, format, access, options)?;
        refuse_no_sector(&path, format, &top.info)?;
        let chain = follow(&top, &path, options)?;
        if access == Access::Write {
            refuse_read_only_kind(&path, format, &top.info)?;
        }
        qemu::check(&path, format)?;
        tracing::debug!(disk = %path.display(), %format, size = top.info.virtual_size, "probed");
        Ok(Self {
            path,
            format,
            virtual_size: top.info.virtual_size,
            block_device: kind.is_block_device(),
            chain,
            files: top.files,
            info: top.info,
        })
    }

    /// Absolute path without symbolic links.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The format, as given or detected.
    pub fn format(&self) -> Format {
        self.format
    }

    /// Size of the disk as the guest sees it, in bytes.
    pub fn virtual_size(&self) -> u64 {
        self.virtual_size
    }

    /// Whether it is a block device, not a file.
    pub fn is_block_device(&self) -> bool {
        self.block_device
    }

    /// What qemu-img says of the image itself.
    pub fn info(&self) -> &Info {
        &self.info
    }

    /// The image itself, then its backing files, nearest first.
    pub fn chain(&self) -> &[PathBuf] {
        &self.chain
    }

    /// The files that hold the image without its backing files: one, or more for a VMDK with extents.
    pub fn files(&self) -> &[PathBuf] {
        &self.files
    }
}

/// One image of a chain.
struct Layer {
    info: Info,
    files: Vec<PathBuf>,
}

impl Layer {
    /// Reads an image's metadata, after a look at what qemu would open together with it.
    fn open(path: &Path, format: Format, access: Access, options: &Options) -> Result<Self> {
        let files = files_of(path, format, options)?;
        if format == Format::Qcow2 {
            refuse_foreign_files(path, options)?;
        }
        for file in &files {
            if file != path {
                check_file(file, access)?;
            }
            inuse::refuse(file, access)?;
        }
        if format == Format::Vdi {
            refuse_short_vdi(path)?;
        }
        let info = qemu::info(path, format).map_err(|error| match error {
            // The header is there, or the format was given: what fails now is its content.
            ImageError::Qemu {
                path,
                stderr,
                status,
                ..
            } if status.code().is_some() => ImageError::Damaged {
                path,
                detail: stderr,
            },
            other => other,
        })?;
        if info.encrypted {
            return Err(ImageError::Unsupported {
                path: path.into(),
                what: "an image that qemu encrypts".into(),
                advice: "decrypt it with qemu-img convert (encryption inside of the guest is fine)",
            });
        }
        Ok(Self { info, files })
    }
}

/// The files that make up an image without its backing files: itself, and the extents of a VMDK.
///
/// # Errors
///
/// [`ImageError::Reference`], [`ImageError::PartMissing`], [`ImageError::Unsupported`] for an extent that may
/// not be used; [`ImageError::Io`] if the image cannot be read.
pub fn files_of(path: &Path, format: Format, options: &Options) -> Result<Vec<PathBuf>> {
    let mut files = vec![path.to_owned()];
    if format == Format::Vmdk {
        files.extend(vmdk::extents(path, options)?);
    }
    Ok(files)
}

/// Resolves symbolic links, so that one disk has one name.
///
/// # Errors
///
/// [`ImageError::Missing`]; [`ImageError::Permission`]; [`ImageError::Name`] for a path that is not UTF-8.
pub fn canonical(path: &Path) -> Result<PathBuf> {
    let found = fs::canonicalize(path).map_err(|error| access_error(path, "read", error))?;
    if found.to_str().is_none() {
        return Err(ImageError::Name { path: found });
    }
    Ok(found)
}

fn access_error(path: &Path, to: &'static str, error: io::Error) -> ImageError {
    let path = path.to_owned();
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => ImageError::Missing { path },
        io::ErrorKind::PermissionDenied => ImageError::Permission { path, to },
        io::ErrorKind::ReadOnlyFilesystem => ImageError::ReadOnly {
            path,
            why: "its file system or device is read-only; copy the disk elsewhere, or make it writable",
        },
        _ => ImageError::io(path, "opening")(error),
    }
}

/// Whether it can be a disk at all: a file or a block device. Gives its attributes.
///
/// # Errors
///
/// [`ImageError::NotAFile`] for anything else; [`ImageError::Missing`]; [`ImageError::Permission`].
pub fn check_kind(path: &Path) -> Result<fs::Metadata> {
    let metadata = fs::metadata(path).map_err(|error| access_error(path, "read", error))?;
    let kind = metadata.file_type();
    let what = if kind.is_dir() {
        Some("a directory")
    } else if kind.is_fifo() {
        Some("a named pipe")
    } else if kind.is_socket() {
        Some("a socket")
    } else if kind.is_char_device() {
        Some("a character device")
    } else {
        None
    };
    if let Some(what) = what {
        return Err(ImageError::NotAFile {
            path: path.into(),
            what,
        });
    }
    Ok(metadata)
}

/// The file's kind, size and permissions.
fn check_file(path: &Path, access: Access) -> Result<fs::Metadata> {
    let metadata = check_kind(path)?;
    File::open(path).map_err(|error| access_error(path, "read", error))?;
    if inuse::length(path)? == 0 {
        return Err(ImageError::Empty { path: path.into() });
    }
    if access == Access::Read {
        return Ok(metadata);
    }
    // root may write to it all the same, but whoever took all write permissions away meant it.
    if metadata.is_file() && metadata.permissions().mode() & 0o222 == 0 {
        return Err(ImageError::ReadOnly {
            path: path.into(),
            why: "nobody has write permission; allow it with chmod u+w",
        });
    }
    OpenOptions::new()
        .read(true)
        .write(true)
        .open(path)
        .map_err(|error| access_error(path, "write", error))?;
    Ok(metadata)
}

fn sample(path: &Path) -> Result<Sample> {
    let reading = || ImageError::io(path, "reading");
    let len = inuse::length(path)?;
    let mut file = File::open(path).map_err(reading())?;
    let mut start = Vec::new();
    (&mut file)
        .take(SAMPLE_BYTES)
        .read_to_end(&mut start)
        .map_err(reading())?;
    file.seek(SeekFrom::Start(len.saturating_sub(512)))
        .map_err(reading())?;
    let mut end = Vec::new();
    file.take(512).read_to_end(&mut end).map_err(reading())?;
    Ok(Sample { start, end, len })
}

fn extension(path: &Path) -> Option<&str> {
    path.extension()?.to_str()
}

/// A format that the user gave: believed, unless the image has another header.
fn given(path: &Path, format: Format) -> Result<Format> {
    let found = match sample(path)?.detect() {
        Detected::Image(found) | Detected::Contradictory(found, _) => Some(found),
        _ => None,
    };
    if format == Format::Raw || found == Some(format) {
        return Ok(format);
    }
    Err(ImageError::FormatMismatch {
        path: path.into(),
        why: match found {
            Some(found) => {
                format!("--format says {format}, but it is a {found} image; leave --format out")
            }
            None => format!(
                "--format says {format}, but it has no {format} header; \
                 it is a raw image, or truncated or damaged"
            ),
        },
    })
}

/// The format by content; by the name only where that makes a doubt.
fn detect(path: &Path) -> Result<Format> {
    let sample = sample(path)?;
    let named = extension(path).and_then(Format::from_extension);
    let device = fs::metadata(path).is_ok_and(|found| found.file_type().is_block_device());
    let ambiguous = |format, why| {
        Err(ImageError::Ambiguous {
            path: path.into(),
            format,
            why,
        })
    };
    let raw = || match named {
        None | Some(Format::Raw) => Ok(Format::Raw),
        Some(format) => Err(ImageError::FormatMismatch {
            path: path.into(),
            why: format!(
                "its name says {format}, but it has no {format} header; it is truncated or damaged, \
                 or a raw image (for a VMDK's -flat file give the descriptor): \
                 if it is raw, say so with --format raw"
            ),
        }),
    };
    match sample.detect() {
        // A guest writes what it likes to its raw disk: CVE-2008-2004.
        Detected::Image(format) if device => ambiguous(
            format,
            "it is a block device, and a guest on a raw device can write such a header itself",
        ),
        Detected::Image(format) if named == Some(Format::Raw) => ambiguous(
            format,
            "its name says raw, and a guest on a raw disk can write such a header itself",
        ),
        Detected::Image(format) => Ok(format),
        Detected::Contradictory(Format::Vpc, _)
            if named == Some(Format::Vpc) && !sample.start.starts_with(b"conectix") =>
        {
            Ok(Format::Vpc) // a fixed VHD: the footer and the name agree
        }
        Detected::Contradictory(format, why) => ambiguous(format, why),
        Detected::Raw | Detected::Blank => raw(),
        Detected::TruncatedRaw { expected } => raw().and(Err(ImageError::Damaged {
            path: path.into(),
            detail: format!(
                "its partition table needs {expected} bytes, it has {} \
                 (to use it as it is, say --format raw)",
                sample.len
            ),
        })),
        Detected::ForeignImage(what) => Err(ImageError::Unsupported {
            path: path.into(),
            what: format!("the image format {what}"),
            advice: "convert it with qemu-img convert -O qcow2",
        }),
        Detected::NotADisk(why) => Err(ImageError::NotADisk {
            path: path.into(),
            why: why.into(),
        }),
        Detected::Unknown if named.is_some_and(|format| format != Format::Raw) => raw(),
        Detected::Unknown => Err(ImageError::UnknownFormat { path: path.into() }),
    }
}

/// A file that an image refers to by name: an extent or a backing file.
///
/// # Errors
///
/// [`ImageError::Reference`] unless it is a plain path to a file in the image's own directory
/// (anywhere with [`Options::allow_outside`]); [`ImageError::PartMissing`] if it is not there.
pub(crate) fn within(
    image: &Path,
    name: &str,
    what: &'static str,
    options: &Options,
) -> Result<PathBuf> {
    let target = || name.chars().take(200).collect();
    let refuse = |why| {
        Err(ImageError::Reference {
            path: image.into(),
            target: target(),
            what,
            why,
        })
    };
    // qemu takes what has a colon before the first slash for a protocol (nbd:, json:, https:).
    let first = name.split('/').next().unwrap_or_default();
    if first.contains(':') {
        return refuse("it is not a file, and refit opens no network connections for an image");
    }
    if name.is_empty() || name.len() > NAME_LIMIT || name.contains('\0') {
        return refuse("the name is not usable");
    }
    let directory = image.parent().unwrap_or(Path::new("/"));
    let file = canonical(&directory.join(name)).map_err(|error| match error {
        ImageError::Missing { .. } => ImageError::PartMissing {
            path: image.into(),
            target: target(),
            what,
        },
        other => other,
    })?;
    if !options.allow_outside && file.parent() != Some(directory) {
        return refuse(
            "it is outside of the image's directory, so a hostile image could reach any file of this host",
        );
    }
    Ok(file)
}

/// Follows the backing files, each checked before it is opened.
fn follow(top: &Layer, path: &Path, options: &Options) -> Result<Vec<PathBuf>> {
    let mut chain = vec![path.to_owned()];
    let mut next = backing(path, &top.info, options)?;
    while let Some((file, format)) = next {
        if chain.contains(&file) || chain.len() > CHAIN_LIMIT {
            return Err(ImageError::Damaged {
                path: path.into(),
                detail: "its chain of backing files does not end".into(),
            });
        }
        check_file(&file, Access::Read)?;
        let layer = Layer::open(&file, format, Access::Read, options)?;
        next = backing(&file, &layer.info, options)?;
        chain.push(file);
    }
    Ok(chain)
}

fn backing(path: &Path, info: &Info, options: &Options) -> Result<Option<(PathBuf, Format)>> {
    let Some(name) = &info.backing_filename else {
        return Ok(None);
    };
    // The name as stored may be harmless while qemu opens another: it tells which in the full name.
    for name in info.full_backing_filename.iter().chain([name]) {
        within(path, name, "backing file", options)?;
    }
    let file = within(path, name, "backing file", options)?;
    let unsupported = |what| ImageError::Unsupported {
        path: path.into(),
        what,
        advice: "flatten it with qemu-img convert, or name the format with qemu-img rebase -u -F FORMAT",
    };
    let format = match &info.backing_filename_format {
        Some(name) => name
            .parse()
            .map_err(|_| unsupported(format!("a backing file of format {name:?}")))?,
        // qemu will guess, and a raw backing file's guest may choose what it guesses. What has a header
        // is guessed as we do.
        None => match sample(&file)?.detect() {
            Detected::Image(format) => format,
            _ => {
                return Err(unsupported(
                    "a backing file without a recorded format".into(),
                ));
            }
        },
    };
    Ok(Some((file, format)))
}

/// What a qcow2 header names is looked at before qemu reads it, and whatever qemu then says of the image: an
/// external data file is any file of the host, opened as raw, and so may a backing file be (qcow2 specification,
/// "Header"; all numbers are big-endian).
fn refuse_foreign_files(path: &Path, options: &Options) -> Result<()> {
    /// qemu takes no longer name (block/qcow2.c).
    const LONGEST: u64 = 1023;

    let mut header = [0; 80];
    let file = File::open(path).map_err(ImageError::io(path, "reading its header"))?;
    let incomplete = |_| ImageError::Damaged {
        path: path.into(),
        detail: "its header is incomplete".into(),
    };
    file.read_exact_at(&mut header, 0).map_err(incomplete)?;
    // Version 3 has features at offset 72, the lowest bits in the last byte.
    if header[7] == 3 && header[79] & 0b100 != 0 {
        return Err(ImageError::Unsupported {
            path: path.into(),
            what: "a qcow2 image with an external data file".into(),
            advice: "if you trust it, make one file of it with qemu-img convert -O qcow2",
        });
    }
    let field = |bytes: &[u8]| {
        bytes
            .iter()
            .fold(0u64, |value, byte| value << 8 | u64::from(*byte))
    };
    let (offset, length) = (field(&header[8..16]), field(&header[16..20]));
    if offset == 0 || length == 0 {
        return Ok(());
    }
    let mut name = Vec::new();
    (&file)
        .seek(SeekFrom::Start(offset))
        .and_then(|_| (&file).take(length.min(LONGEST)).read_to_end(&mut name))
        .map_err(ImageError::io(path, "reading its backing file's name"))?;
    within(
        path,
        &String::from_utf8_lossy(&name),
        "backing file",
        options,
    )?;
    Ok(())
}

/// `qemu-img check` does not notice that a VDI file ends too early. The header says how many blocks are
/// allocated (VirtualBox, VDICore.h, `VDIHEADER1`): offset of the data at 0x158, block size at 0x178,
/// allocated blocks at 0x184.
fn refuse_short_vdi(path: &Path) -> Result<()> {
    let mut header = [0; 0x188];
    let file = File::open(path).map_err(ImageError::io(path, "reading its header"))?;
    let damaged = |detail: String| ImageError::Damaged {
        path: path.into(),
        detail,
    };
    file.read_exact_at(&mut header, 0)
        .map_err(|_| damaged("its header is incomplete".into()))?;
    let field = |at: usize| {
        header[at..at + 4]
            .iter()
            .rev()
            .fold(0u64, |value, byte| value << 8 | u64::from(*byte))
    };
    let need = field(0x158) + field(0x178) * field(0x184);
    let length = inuse::length(path)?;
    if length < need {
        return Err(damaged(format!(
            "its header needs {need} bytes, it has {length}"
        )));
    }
    Ok(())
}

/// A disk has one sector at least. qemu rounds a shorter raw file up.
fn refuse_no_sector(path: &Path, format: Format, info: &Info) -> Result<()> {
    let size = match format {
        Format::Raw => inuse::length(path)?,
        _ => info.virtual_size,
    };
    if size >= 512 {
        return Ok(());
    }
    Err(ImageError::NotADisk {
        path: path.into(),
        why: format!("it has room for {size} bytes, less than one sector"),
    })
}

/// qemu allocates in a streamOptimized VMDK but cannot write to a grain again.
fn refuse_read_only_kind(path: &Path, format: Format, info: &Info) -> Result<()> {
    const WRITABLE: [&str; 5] = [
        "monolithicSparse",
        "monolithicFlat",
        "twoGbMaxExtentSparse",
        "twoGbMaxExtentFlat",
        "vmfs",
    ];
    if format != Format::Vmdk {
        return Ok(());
    }
    let kind = info.create_type().unwrap_or("VMDK of unknown type");
    if WRITABLE.contains(&kind) {
        return Ok(());
    }
    Err(ImageError::NotWritable {
        path: path.into(),
        what: format!("VMDK {kind}"),
    })
}
