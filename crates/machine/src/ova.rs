//! Finds the OVF descriptor of an appliance, and the files beside it: in an OVA archive, a directory, or
//! as a file.
//!
//! An OVA is a plain tar archive (DSP0243 section 5.3). It is walked header by header; nothing is
//! unpacked, and the disks inside are skipped by seeking.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use encoding_rs::{Encoding, UTF_8};
use tar::{EntryType, Header, PaxExtensions};

use crate::ovf;

/// Members of an archive and files of a directory that are looked at.
const MAX_ENTRIES: usize = 10_000;
/// Largest extended header (long names, pax records) that is read, in bytes.
const MAX_EXTENDED: u64 = 64 << 10;
/// Size of a tar header, and the unit to which the data of members are padded.
const BLOCK: u64 = 512;

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Descriptor {
    /// The descriptor's name and its text.
    Found {
        /// Name of the file, or of the member of the archive.
        name: String,
        /// The text, decoded.
        text: String,
    },
    /// An appliance of a form that is not looked into; virt-v2v may still be able to read it.
    Unread {
        /// Why, as a sentence.
        reason: String,
    },
}

/// Why no descriptor can be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OvaError {
    /// Reading failed, or the archive is truncated.
    #[error("reading {path}: {source}", path = .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// Neither an archive nor a descriptor.
    #[error(
        "{path} is no OVA: it is neither a tar archive nor an .ovf file", path = .0.display()
    )]
    NotOva(PathBuf),
    /// No descriptor inside.
    #[error("{path} holds no OVF descriptor (no file named *.ovf)", path = .0.display())]
    Missing(PathBuf),
    /// More than one descriptor inside.
    #[error(
        "{path} holds several OVF descriptors ({names}); only one is expected",
        path = .path.display(), names = .names.join(", ")
    )]
    Several {
        /// The archive or directory.
        path: PathBuf,
        /// The descriptors' names.
        names: Vec<String>,
    },
    /// A descriptor or an archive beyond the limits.
    #[error("{path} has {what}, more than the {limit} that are read", path = .path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// What there is too much of.
        what: String,
        /// The limit.
        limit: u64,
    },
}

/// Finds and reads the descriptor of an appliance: an OVA archive, a directory that holds one
/// `.ovf` file, or that file itself.
///
/// Names are compared without regard to case. Symbolic links are not descriptors. The text is
/// decoded by its byte order mark or its XML declaration, UTF-8 by default, with what is invalid
/// replaced.
///
/// # Errors
///
/// If reading fails, if there is not exactly one descriptor, or if it exceeds 16 MiB.
pub fn read_descriptor(path: &Path) -> Result<Descriptor, OvaError> {
    let io_error = |source| OvaError::Io {
        path: path.to_owned(),
        source,
    };
    let kind = fs::metadata(path).map_err(io_error)?.file_type();
    if kind.is_dir() {
        return read_directory(path);
    }
    // Opening a pipe would wait for a writer.
    if !kind.is_file() {
        return Err(OvaError::NotOva(path.to_owned()));
    }
    let mut file = File::open(path).map_err(io_error)?;
    if is_descriptor(&path.to_string_lossy()) {
        let size = file.metadata().map_err(io_error)?.len();
        let text = read_text(&mut file, size, path)?;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        return Ok(Descriptor::Found {
            name: name.into_owned(),
            text,
        });
    }
    let mut start = Vec::new();
    Read::by_ref(&mut file)
        .take(BLOCK)
        .read_to_end(&mut start)
        .map_err(io_error)?;
    for (magic, form) in [
        (b"\x1f\x8b".as_slice(), "compressed with gzip"),
        (b"\xfd7zXZ\0", "compressed with xz"),
        (b"BZh", "compressed with bzip2"),
        (b"\x28\xb5\x2f\xfd", "compressed with zstd"),
        (b"PK\x03\x04", "a zip archive"),
    ] {
        if start.starts_with(magic) {
            return Ok(Descriptor::Unread {
                reason: format!(
                    "{} is {form}; only plain tar archives are looked into",
                    path.display()
                ),
            });
        }
    }
    file.seek(SeekFrom::Start(0)).map_err(io_error)?;
    read_archive(&mut file, path)
}

fn is_descriptor(name: &str) -> bool {
    Path::new(name)
        .extension()
        .is_some_and(|extension| extension.eq_ignore_ascii_case("ovf"))
}

fn read_directory(path: &Path) -> Result<Descriptor, OvaError> {
    let io_error = |source| OvaError::Io {
        path: path.to_owned(),
        source,
    };
    let mut names = Vec::new();
    for (count, entry) in fs::read_dir(path).map_err(io_error)?.enumerate() {
        if count == MAX_ENTRIES {
            return Err(too_many(path));
        }
        let entry = entry.map_err(io_error)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if is_descriptor(&name) && entry.file_type().map_err(io_error)?.is_file() {
            names.push((name, entry.path()));
        }
    }
    names.sort();
    match names.as_slice() {
        [] => Err(OvaError::Missing(path.to_owned())),
        [(_, file)] => read_descriptor(file),
        several => Err(OvaError::Several {
            path: path.to_owned(),
            names: several.iter().map(|(name, _)| name.clone()).collect(),
        }),
    }
}

fn too_many(path: &Path) -> OvaError {
    OvaError::TooLarge {
        path: path.to_owned(),
        what: "too many files".to_owned(),
        limit: MAX_ENTRIES as u64,
    }
}

/// A file inside a tar archive, as a range of the archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Its name, invalid UTF-8 replaced.
    pub name: String,
    /// Where its first byte is in the archive.
    pub offset: u64,
    /// Its length in bytes.
    pub size: u64,
}

/// The regular files in a plain tar archive, in order. Nothing is unpacked.
///
/// # Errors
///
/// If reading fails, if this is no tar archive, or if it exceeds the limits (10,000 members).
pub fn members(path: &Path) -> Result<Vec<Member>, OvaError> {
    let mut file = File::open(path).map_err(|source| OvaError::Io {
        path: path.to_owned(),
        source,
    })?;
    walk(&mut file, path)
}

/// Walks the headers of a tar archive. The `tar` crate's own iterator reads extended headers of
/// any size into memory, so only its decoding of single headers is used.
fn walk(file: &mut File, path: &Path) -> Result<Vec<Member>, OvaError> {
    let io_error = |source| OvaError::Io {
        path: path.to_owned(),
        source,
    };
    let length = file.metadata().map_err(io_error)?.len();
    let mut members = Vec::new();
    let mut extended = Extended::default();
    let mut position = 0;
    for count in 0.. {
        let Some(header) = next_header(file, position).map_err(io_error)? else {
            if count == 0 {
                return Err(OvaError::NotOva(path.to_owned()));
            }
            break;
        };
        if count == MAX_ENTRIES {
            return Err(too_many(path));
        }
        let kind = header.entry_type();
        let offset = position + BLOCK;
        let size = match extended.size {
            Some(size) if !is_extended(kind) => size,
            _ => header.entry_size().map_err(io_error)?,
        };
        let end = offset.checked_add(size).filter(|end| *end <= length);
        let end = end.ok_or_else(|| io_error(truncated()))?;
        if is_extended(kind) {
            extended.read(file, kind, size, path)?;
        } else {
            let name = extended
                .name
                .take()
                .unwrap_or_else(|| header.path_bytes().into_owned());
            extended = Extended::default();
            if matches!(kind, EntryType::Regular | EntryType::Continuous) {
                let name = String::from_utf8_lossy(&name).into_owned();
                members.push(Member { name, offset, size });
            }
        }
        position = end.next_multiple_of(BLOCK);
    }
    Ok(members)
}

fn read_archive(file: &mut File, path: &Path) -> Result<Descriptor, OvaError> {
    let mut found = walk(file, path)?;
    found.retain(|member| is_descriptor(&member.name));
    match found.as_slice() {
        [] => Err(OvaError::Missing(path.to_owned())),
        [member] => {
            file.seek(SeekFrom::Start(member.offset))
                .map_err(|source| OvaError::Io {
                    path: path.to_owned(),
                    source,
                })?;
            Ok(Descriptor::Found {
                name: member.name.clone(),
                text: read_text(file, member.size, path)?,
            })
        }
        several => Err(OvaError::Several {
            path: path.to_owned(),
            names: several.iter().map(|member| member.name.clone()).collect(),
        }),
    }
}

fn truncated() -> io::Error {
    io::Error::new(
        io::ErrorKind::UnexpectedEof,
        "the archive ends within one of its files; it is truncated, fetch it again",
    )
}

/// The header at a position; none at the end of the archive, or if there is none.
fn next_header(file: &mut File, position: u64) -> io::Result<Option<Header>> {
    file.seek(SeekFrom::Start(position))?;
    let mut header = Header::new_old();
    let mut block = Vec::new();
    Read::by_ref(file).take(BLOCK).read_to_end(&mut block)?;
    match block.len() as u64 {
        BLOCK => {}
        // Not even one block, so no archive; or no more blocks, as some writers end an archive.
        length if length == 0 || position == 0 => return Ok(None),
        _ => return Err(truncated()),
    }
    header.as_mut_bytes().copy_from_slice(&block);
    // The checksum counts its own field, bytes 148 to 155, as spaces.
    let sum: u32 = block
        .iter()
        .enumerate()
        .map(|(index, byte)| match index {
            148..156 => 32,
            _ => u32::from(*byte),
        })
        .sum();
    let is_header =
        block.iter().any(|byte| *byte != 0) && header.cksum().is_ok_and(|expected| expected == sum);
    Ok(is_header.then_some(header))
}

/// What precedes a member and changes what its header says.
#[derive(Default)]
struct Extended {
    name: Option<Vec<u8>>,
    size: Option<u64>,
}

fn is_extended(kind: EntryType) -> bool {
    kind.is_gnu_longname()
        || kind.is_gnu_longlink()
        || kind.is_pax_local_extensions()
        || kind.is_pax_global_extensions()
}

impl Extended {
    /// Reads the data of an extended header, at which the file is positioned.
    fn read(
        &mut self,
        file: &mut File,
        kind: EntryType,
        size: u64,
        path: &Path,
    ) -> Result<(), OvaError> {
        if size > MAX_EXTENDED {
            return Err(OvaError::TooLarge {
                path: path.to_owned(),
                what: format!("an extended tar header of {size} bytes"),
                limit: MAX_EXTENDED,
            });
        }
        let mut data = Vec::new();
        Read::by_ref(file)
            .take(size)
            .read_to_end(&mut data)
            .map_err(|source| OvaError::Io {
                path: path.to_owned(),
                source,
            })?;
        if kind.is_gnu_longname() {
            let end = data
                .iter()
                .position(|byte| *byte == 0)
                .unwrap_or(data.len());
            data.truncate(end);
            self.name = Some(data);
        } else if kind.is_pax_local_extensions() {
            for record in PaxExtensions::new(&data).flatten() {
                match record.key_bytes() {
                    b"path" => self.name = Some(record.value_bytes().to_owned()),
                    b"size" => self.size = record.value().ok().and_then(|size| size.parse().ok()),
                    _ => {}
                }
            }
        }
        Ok(())
    }
}

fn read_text(file: &mut File, size: u64, path: &Path) -> Result<String, OvaError> {
    let io_error = |source| OvaError::Io {
        path: path.to_owned(),
        source,
    };
    if size > ovf::MAX_SIZE {
        return Err(OvaError::TooLarge {
            path: path.to_owned(),
            what: format!("an OVF descriptor of {size} bytes"),
            limit: ovf::MAX_SIZE,
        });
    }
    let mut bytes = Vec::new();
    file.take(size).read_to_end(&mut bytes).map_err(io_error)?;
    let (text, _, _) = declared_encoding(&bytes).decode(&bytes);
    Ok(text.into_owned())
}

/// The character set of the XML declaration; UTF-8 if there is none or an unknown one. A byte
/// order mark goes before it, which decoding sees to.
fn declared_encoding(bytes: &[u8]) -> &'static Encoding {
    let start: String = bytes
        .iter()
        .take(256)
        .map(|byte| char::from(*byte))
        .collect();
    let label = start
        .split_once("?>")
        .and_then(|(declaration, _)| declaration.split_once("encoding="))
        .and_then(|(_, rest)| {
            let quote = rest.chars().next()?;
            rest.get(1..)?.split_once(quote)
        })
        .map(|(label, _)| label.to_owned());
    label
        .and_then(|label| Encoding::for_label(label.as_bytes()))
        .filter(|encoding| encoding.is_ascii_compatible())
        .unwrap_or(UTF_8)
}
