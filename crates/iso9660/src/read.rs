//! Reads ISO 9660 images (ECMA-119) with Joliet or Rock Ridge names.
//!
//! Only what a driver disc needs: the list of files and their bytes. The image may come from anywhere, so
//! everything read is bounded, every directory is visited once, and names are plain names. The crates that
//! there are for it (hadris-iso, isomage, iso9660_simple) are young, do much more, or trust the image.

use std::collections::HashSet;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use thiserror::Error;

const SECTOR: u64 = 2048;
/// Volume descriptors begin at sector 16.
const FIRST_DESCRIPTOR: u64 = 16;
const MAX_DESCRIPTORS: u64 = 64;
const MAX_DIRECTORY: u64 = 8 << 20;
const MAX_DEPTH: usize = 16;
const MAX_ENTRIES: usize = 100_000;

/// Flags of a directory record.
const DIRECTORY: u8 = 0x02;
const MORE_EXTENTS: u8 = 0x80;

/// Why an image cannot be read.
#[derive(Debug, Error)]
pub enum IsoError {
    /// Reading the file failed.
    #[error("reading the image: {0}")]
    Io(#[from] io::Error),
    /// No volume descriptor of ISO 9660.
    #[error("no ISO 9660 file system")]
    NotIso,
    /// The image contradicts itself, or is beyond the limits.
    #[error("damaged ISO 9660 file system: {0}")]
    Damaged(&'static str),
    /// A file is larger than the caller wants.
    #[error("{path} has {size} bytes, more than the {limit} that are read")]
    TooLarge {
        /// The file.
        path: String,
        /// Its size in bytes.
        size: u64,
        /// The limit in bytes.
        limit: u64,
    },
}

/// An image that was opened, and the list of its files.
#[derive(Debug)]
pub struct IsoImage {
    file: File,
    files: Vec<IsoFile>,
}

/// One regular file of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IsoFile {
    /// Its path from the root, with `/` between the names.
    pub path: String,
    /// Its size in bytes.
    pub size: u64,
    /// Offset and length in bytes, in order.
    extents: Vec<(u64, u64)>,
}

/// Where names are found.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Names {
    /// UCS-2, big endian.
    Joliet,
    /// In the system use field, or the plain ones.
    Primary,
}

impl IsoImage {
    /// Opens an image and lists its files.
    ///
    /// # Errors
    /// If it is no ISO 9660 image, damaged, or cannot be read.
    pub fn open(path: &Path) -> Result<Self, IsoError> {
        let file = File::open(path)?;
        let mut image = Self {
            file,
            files: Vec::new(),
        };
        let (root, names) = image.root()?;
        image.walk(root, names)?;
        Ok(image)
    }

    /// All regular files, in the order of the directories.
    #[must_use]
    pub fn files(&self) -> &[IsoFile] {
        &self.files
    }

    /// The content of a file.
    ///
    /// # Errors
    /// If it is larger than `limit` bytes, or cannot be read.
    pub fn read(&self, file: &IsoFile, limit: u64) -> Result<Vec<u8>, IsoError> {
        if file.size > limit {
            return Err(IsoError::TooLarge {
                path: file.path.clone(),
                size: file.size,
                limit,
            });
        }
        let mut content = Vec::new();
        for (offset, length) in &file.extents {
            content.extend(self.bytes(*offset, *length, limit)?);
        }
        Ok(content)
    }

    /// Bytes of the image; the length is checked against the image's own before memory is taken.
    fn bytes(&self, offset: u64, length: u64, limit: u64) -> Result<Vec<u8>, IsoError> {
        let end = self.file.metadata()?.len();
        if length > limit || offset.checked_add(length).is_none_or(|last| last > end) {
            return Err(IsoError::Damaged("an extent leads out of the image"));
        }
        let length =
            usize::try_from(length).map_err(|_| IsoError::Damaged("an extent is too long"))?;
        let mut bytes = vec![0; length];
        self.file.read_exact_at(&mut bytes, offset)?;
        Ok(bytes)
    }

    /// The root directory's extent of the best volume descriptor: Joliet before the primary one.
    fn root(&self) -> Result<((u64, u64), Names), IsoError> {
        let mut best = None;
        for number in FIRST_DESCRIPTOR..FIRST_DESCRIPTOR + MAX_DESCRIPTORS {
            let Ok(sector) = self.bytes(number * SECTOR, SECTOR, SECTOR) else {
                break;
            };
            if &sector[1..6] != b"CD001" {
                break;
            }
            let joliet = matches!(&sector[88..91], b"%/@" | b"%/C" | b"%/E");
            let names = match sector[0] {
                1 if best.is_none() => Names::Primary,
                2 if joliet => Names::Joliet,
                255 => break,
                _ => continue,
            };
            if u16::from_le_bytes([sector[128], sector[129]]) != 2048 {
                return Err(IsoError::Damaged(
                    "its logical blocks do not have 2048 bytes",
                ));
            }
            let record =
                Record::read(&sector[156..190]).ok_or(IsoError::Damaged("no root directory"))?;
            best = Some(((record.offset, record.length), names));
            if names == Names::Joliet {
                break;
            }
        }
        best.ok_or(IsoError::NotIso)
    }

    fn walk(&mut self, root: (u64, u64), names: Names) -> Result<(), IsoError> {
        let mut seen = HashSet::from([root.0]);
        let mut pending = vec![(String::new(), root, 0)];
        let mut entries = 0;
        while let Some((prefix, (offset, length), depth)) = pending.pop() {
            if length > MAX_DIRECTORY {
                return Err(IsoError::Damaged("a directory is larger than 8 MiB"));
            }
            let bytes = self.bytes(offset, length, MAX_DIRECTORY)?;
            let mut more = false;
            for record in records(&bytes) {
                entries += 1;
                if entries > MAX_ENTRIES {
                    return Err(IsoError::Damaged("more than 100000 entries"));
                }
                let Some(name) = record.name(names) else {
                    continue;
                };
                let path = format!("{prefix}{name}");
                if record.flags & DIRECTORY != 0 {
                    if depth >= MAX_DEPTH {
                        return Err(IsoError::Damaged("directories deeper than 16"));
                    }
                    if seen.insert(record.offset) {
                        let extent = (record.offset, record.length);
                        pending.push((format!("{path}/"), extent, depth + 1));
                    }
                    continue;
                }
                let extent = (record.offset, record.length);
                match self.files.last_mut() {
                    // The record before said that this one goes on with the same file.
                    Some(file) if more && file.path == path => {
                        file.size = file.size.saturating_add(record.length);
                        file.extents.push(extent);
                    }
                    _ => self.files.push(IsoFile {
                        path,
                        size: record.length,
                        extents: vec![extent],
                    }),
                }
                more = record.flags & MORE_EXTENTS != 0;
            }
        }
        Ok(())
    }
}

/// One directory record (ECMA-119, 9.1).
struct Record<'a> {
    offset: u64,
    length: u64,
    flags: u8,
    name: &'a [u8],
    system_use: &'a [u8],
}

impl<'a> Record<'a> {
    fn read(bytes: &'a [u8]) -> Option<Self> {
        let total = usize::from(*bytes.first()?);
        let bytes = bytes.get(..total)?;
        let number = |at: usize| -> Option<u64> {
            let field: [u8; 4] = bytes.get(at..at + 4)?.try_into().ok()?;
            Some(u64::from(u32::from_le_bytes(field)))
        };
        let extended = u64::from(*bytes.get(1)?);
        let name_length = usize::from(*bytes.get(32)?);
        // Interleaved files have existed on no driver disc.
        if *bytes.get(26)? != 0 {
            return None;
        }
        let name = bytes.get(33..33 + name_length)?;
        // The system use field begins at an even offset.
        let system_use = bytes
            .get((33 + name_length).next_multiple_of(2)..)
            .unwrap_or_default();
        Some(Self {
            offset: (number(2)? + extended) * SECTOR,
            length: number(10)?,
            flags: *bytes.get(25)?,
            name,
            system_use,
        })
    }

    /// Its name; `None` for the directory itself, its parent, and what is no plain name.
    fn name(&self, names: Names) -> Option<String> {
        if matches!(self.name, [0] | [1]) {
            return None;
        }
        let name = match names {
            Names::Joliet => {
                let units = self
                    .name
                    .chunks_exact(2)
                    .map(|pair| u16::from_be_bytes([pair[0], pair[1]]));
                let name: String = char::decode_utf16(units).collect::<Result<_, _>>().ok()?;
                without_version(&name).to_owned()
            }
            Names::Primary => rock_ridge(self.system_use).unwrap_or_else(|| {
                let name: String = self.name.iter().map(|byte| char::from(*byte)).collect();
                without_version(&name).trim_end_matches('.').to_owned()
            }),
        };
        is_plain(&name).then_some(name)
    }
}

/// Whether a name leads nowhere else, on Windows neither.
fn is_plain(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 255
        && !matches!(name, "." | "..")
        && !name.contains(['\\', '/', ':', '*', '?', '"', '<', '>', '|'])
        && !name.chars().any(char::is_control)
}

/// `NAME.EXT;1` without its version.
fn without_version(name: &str) -> &str {
    name.rsplit_once(';').map_or(name, |(name, _)| name)
}

/// The `NM` entries of a Rock Ridge system use field. Names that go on in a continuation area are longer
/// than any on a driver disc; what is here of them is no name.
fn rock_ridge(mut field: &[u8]) -> Option<String> {
    let mut name = Vec::new();
    let mut found = false;
    while let [a, b, length, _, ..] = field {
        let length = usize::from(*length);
        let entry = field.get(..length).filter(|entry| entry.len() >= 4)?;
        if (*a, *b) == (b'N', b'M') {
            let flags = *entry.get(4)?;
            // The directory itself or its parent.
            if flags & 0x06 != 0 {
                return None;
            }
            name.extend_from_slice(&entry[5..]);
            found = true;
            if flags & 1 == 0 {
                break;
            }
            found = false;
        }
        field = &field[length..];
    }
    found.then(|| String::from_utf8(name).ok()).flatten()
}

/// The records of a directory: none crosses a sector, and a zero ends each sector.
fn records(directory: &[u8]) -> impl Iterator<Item = Record<'_>> {
    directory.chunks(SECTOR as usize).flat_map(|sector| {
        let mut rest = sector;
        std::iter::from_fn(move || {
            loop {
                let length = usize::from(*rest.first()?);
                if length == 0 {
                    return None;
                }
                let record = Record::read(rest);
                rest = rest.get(length..)?;
                if record.is_some() {
                    return record;
                }
            }
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A record of a directory.
    fn record(name: &[u8], block: u32, length: u32, flags: u8, system_use: &[u8]) -> Vec<u8> {
        let mut out = vec![0; 33];
        out[2..6].copy_from_slice(&block.to_le_bytes());
        out[10..14].copy_from_slice(&length.to_le_bytes());
        out[25] = flags;
        out[32] = u8::try_from(name.len()).unwrap();
        out.extend(name);
        if out.len() % 2 == 1 {
            out.push(0);
        }
        out.extend(system_use);
        out[0] = u8::try_from(out.len()).unwrap();
        out
    }

    /// An image with only a primary volume: root at sector 18, files from sector 19.
    fn image(root: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = vec![0; 24 * 2048];
        let descriptor = 16 * 2048;
        bytes[descriptor] = 1;
        bytes[descriptor + 1..][..5].copy_from_slice(b"CD001");
        bytes[descriptor + 128..][..2].copy_from_slice(&2048u16.to_le_bytes());
        let own = record(&[0], 18, 2048, DIRECTORY, &[]);
        bytes[descriptor + 156..][..own.len()].copy_from_slice(&own);
        bytes[17 * 2048] = 255;
        bytes[17 * 2048 + 1..][..5].copy_from_slice(b"CD001");
        let directory = root.concat();
        bytes[18 * 2048..][..directory.len()].copy_from_slice(&directory);
        bytes[19 * 2048..][..5].copy_from_slice(b"hello");
        bytes[20 * 2048..][..5].copy_from_slice(b"world");
        bytes
    }

    fn open(bytes: &[u8]) -> Result<IsoImage, IsoError> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), bytes).unwrap();
        IsoImage::open(file.path())
    }

    #[test]
    fn plain_and_rock_ridge_names() {
        let nm = [b"NM\x0d\x01\x00".as_slice(), b"long.inf"].concat();
        let iso = open(&image(&[
            record(&[0], 18, 2048, DIRECTORY, &[]),
            record(&[1], 18, 2048, DIRECTORY, &[]),
            record(b"A.INF;1", 19, 5, 0, &[]),
            record(b"LONG.;1", 20, 5, 0, &nm),
            record(b"BARE.;1", 20, 2, 0, &[]),
            record(b"A/B;1", 20, 2, 0, &[]),
            record(b"LOOP", 18, 2048, DIRECTORY, &[]),
        ]))
        .unwrap();
        let names: Vec<_> = iso.files().iter().map(|file| file.path.as_str()).collect();
        assert_eq!(names, ["A.INF", "long.inf", "BARE"]);
        assert_eq!(iso.read(&iso.files()[1], 5).unwrap(), b"world");
        assert!(matches!(
            iso.read(&iso.files()[1], 4),
            Err(IsoError::TooLarge { size: 5, .. })
        ));
    }

    #[test]
    fn a_file_of_several_extents_is_one() {
        let iso = open(&image(&[
            record(b"BIG;1", 19, 5, MORE_EXTENTS, &[]),
            record(b"BIG;1", 20, 5, 0, &[]),
        ]))
        .unwrap();
        assert_eq!(iso.files().len(), 1);
        assert_eq!(iso.read(&iso.files()[0], 100).unwrap(), b"helloworld");
    }

    #[test]
    fn what_is_no_image_is_refused() {
        for bytes in [&b""[..], b"PK\x03\x04", &vec![0; 64 * 1024]] {
            assert!(matches!(open(bytes), Err(IsoError::NotIso)));
        }
        let iso = open(&image(&[record(b"FAR;1", 5_000_000, 5, 0, &[])])).unwrap();
        assert!(matches!(
            iso.read(&iso.files()[0], 100),
            Err(IsoError::Damaged(_))
        ));
        let far = image(&[record(b"FAR", 5_000_000, 2048, DIRECTORY, &[])]);
        assert!(matches!(open(&far), Err(IsoError::Damaged(_))));
    }

    #[test]
    fn no_flipped_byte_of_the_directories_is_a_panic() {
        let nm = [b"NM\x0d\x01\x00".as_slice(), b"long.inf"].concat();
        let bytes = image(&[
            record(b"A.INF;1", 19, 5, 0, &[]),
            record(b"LONG.;1", 20, 5, 0, &nm),
        ]);
        let places = (16 * 2048 + 120..16 * 2048 + 200).chain(18 * 2048..18 * 2048 + 120);
        for at in places {
            for value in [0, 1, 0x22, 0x7f, 0xff] {
                let mut bytes = bytes.clone();
                bytes[at] = value;
                if let Ok(iso) = open(&bytes) {
                    assert!(iso.files().len() <= 64);
                }
            }
        }
    }
}
