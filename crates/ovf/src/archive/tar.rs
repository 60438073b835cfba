//! Walks an OVA archive header by header (POSIX ustar and pax, GNU, the old format).
//!
//! Nothing is unpacked and nothing is believed: sizes must fit in the archive, extended headers are read up
//! to a limit, and what could make two readers see two different archives is refused.

use std::collections::HashSet;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use tar::{EntryType, Header, PaxExtensions};

use super::{ArchiveError, MAX_ENTRIES, Member, Note, name};

/// Largest extended header (long names, pax records) that is read, in bytes.
const MAX_EXTENDED: u64 = 64 << 10;
/// Longest name of a member, in bytes.
const MAX_NAME: usize = 4096;
/// Size of a tar header, and the unit to which the data of members are padded.
const BLOCK: u64 = 512;

/// The regular files of an archive in order, and what is odd.
pub(super) fn walk(path: &Path) -> Result<(Vec<Member>, Vec<Note>), ArchiveError> {
    let io_error = |source| ArchiveError::Io {
        path: path.to_owned(),
        source,
    };
    let file = File::open(path).map_err(io_error)?;
    let length = file.metadata().map_err(io_error)?.len();
    let mut walk = Walk {
        path,
        file,
        length,
        members: Vec::new(),
        notes: Vec::new(),
        names: HashSet::new(),
    };
    walk.run()?;
    Ok((walk.members, walk.notes))
}

struct Walk<'p> {
    path: &'p Path,
    file: File,
    length: u64,
    members: Vec<Member>,
    notes: Vec<Note>,
    names: HashSet<String>,
}

/// What a position holds.
enum Block {
    Header(Box<Header>),
    /// The zeros that end an archive.
    Zeros,
    /// Nothing more, as some writers end an archive.
    Nothing,
}

impl Walk<'_> {
    fn run(&mut self) -> Result<(), ArchiveError> {
        let mut extended = Extended::default();
        let mut position = 0;
        for count in 0.. {
            let header = match self.block(position)? {
                Block::Header(header) => header,
                Block::Zeros if count > 0 => break,
                Block::Nothing if count > 0 => {
                    self.notes.push(Note::warning(
                        "archive.end",
                        "the archive lacks the two empty blocks that end it; it may be truncated"
                            .to_owned(),
                    ));
                    break;
                }
                Block::Zeros | Block::Nothing => {
                    return Err(ArchiveError::NotOva(self.path.to_owned()));
                }
            };
            if count == MAX_ENTRIES {
                return Err(ArchiveError::TooLarge {
                    path: self.path.to_owned(),
                    what: "too many files".to_owned(),
                    limit: MAX_ENTRIES as u64,
                });
            }
            let kind = header.entry_type();
            let offset = position + BLOCK;
            let written = header
                .entry_size()
                .map_err(|_| self.damaged(position, "a member's size is no number"))?;
            let size = match extended.size {
                Some(size) if !is_extended(kind) => size,
                _ => written,
            };
            let end = offset
                .checked_add(size)
                .filter(|end| *end <= self.length)
                .ok_or_else(|| {
                    self.damaged(
                        position,
                        &format!("a member of {size} bytes does not fit in it; it is truncated"),
                    )
                })?;
            if is_extended(kind) {
                self.extended(&mut extended, kind, offset, size)?;
            } else {
                let raw = extended
                    .name
                    .take()
                    .unwrap_or_else(|| header.path_bytes().into_owned());
                extended = Extended::default();
                self.member(&raw, kind, position, size)?;
            }
            // Links and directories have no data, whatever their header says; writers leave sizes there.
            let has_data = !matches!(
                kind,
                EntryType::Link | EntryType::Symlink | EntryType::Directory
            );
            position = if has_data {
                end.next_multiple_of(BLOCK)
            } else {
                offset
            };
        }
        Ok(())
    }

    fn member(
        &mut self,
        raw: &[u8],
        kind: EntryType,
        position: u64,
        size: u64,
    ) -> Result<(), ArchiveError> {
        let lossy = String::from_utf8_lossy(raw).into_owned();
        let refused = |what: &str| ArchiveError::Refused {
            path: self.path.to_owned(),
            member: lossy.chars().take(200).collect(),
            what: what.to_owned(),
        };
        if raw.len() > MAX_NAME {
            return Err(refused("has a name of more than 4096 bytes"));
        }
        name::check(&lossy).map_err(refused)?;
        if kind.is_gnu_sparse() {
            return Err(refused(
                "is stored as a sparse file; pack the archive again without --sparse",
            ));
        }
        if kind.is_dir() {
            return Ok(());
        }
        if !matches!(kind, EntryType::Regular | EntryType::Continuous) {
            self.notes.push(Note::warning(
                "archive.kind",
                format!("{lossy:?} is not a regular file, and left out"),
            ));
            return Ok(());
        }
        let name = name::normal(&lossy);
        if !self.names.insert(name.clone()) {
            self.notes.push(Note::error(
                "ref.dup",
                format!("the archive holds {name:?} twice; readers disagree on which one counts"),
            ));
        }
        self.members.push(Member {
            name,
            path: self.path.to_owned(),
            offset: position + BLOCK,
            size,
        });
        Ok(())
    }

    fn damaged(&self, offset: u64, what: &str) -> ArchiveError {
        ArchiveError::Damaged {
            path: self.path.to_owned(),
            offset,
            what: what.to_owned(),
        }
    }

    fn read(&self, offset: u64, buffer: &mut [u8]) -> Result<(), ArchiveError> {
        self.file
            .read_exact_at(buffer, offset)
            .map_err(|source| ArchiveError::Io {
                path: self.path.to_owned(),
                source,
            })
    }

    fn block(&self, position: u64) -> Result<Block, ArchiveError> {
        let left = self.length.saturating_sub(position);
        if left == 0 {
            return Ok(Block::Nothing);
        }
        if left < BLOCK {
            // Not even one block: no archive.
            return match position {
                0 => Ok(Block::Nothing),
                _ => Err(self.damaged(position, "it ends within a header; it is truncated")),
            };
        }
        let mut header = Header::new_old();
        self.read(position, header.as_mut_bytes())?;
        let bytes = header.as_bytes();
        if bytes.iter().all(|byte| *byte == 0) {
            return Ok(Block::Zeros);
        }
        // The checksum counts its own field, bytes 148 to 155, as spaces.
        let sum: u32 = bytes
            .iter()
            .enumerate()
            .map(|(index, byte)| match index {
                148..156 => 32,
                _ => u32::from(*byte),
            })
            .sum();
        if header.cksum().is_ok_and(|expected| expected == sum) {
            Ok(Block::Header(Box::new(header)))
        } else if position == 0 {
            Ok(Block::Nothing)
        } else {
            Err(self.damaged(position, "there is no header of a member where one must be"))
        }
    }

    /// Reads the data of an extended header.
    fn extended(
        &mut self,
        extended: &mut Extended,
        kind: EntryType,
        offset: u64,
        size: u64,
    ) -> Result<(), ArchiveError> {
        if size > MAX_EXTENDED {
            return Err(ArchiveError::TooLarge {
                path: self.path.to_owned(),
                what: format!("an extended tar header of {size} bytes"),
                limit: MAX_EXTENDED,
            });
        }
        let mut data = vec![0; usize::try_from(size).unwrap_or_default()];
        self.read(offset, &mut data)?;
        if kind.is_gnu_longname() {
            let end = data.iter().position(|byte| *byte == 0);
            data.truncate(end.unwrap_or(data.len()));
            extended.name = Some(data);
        } else if kind.is_pax_local_extensions() || kind.is_pax_global_extensions() {
            let global = kind.is_pax_global_extensions();
            for record in PaxExtensions::new(&data) {
                let record = record
                    .map_err(|_: io::Error| self.damaged(offset, "a pax record is broken"))?;
                let key = record.key_bytes();
                match key {
                    b"path" | b"size" if global => {
                        return Err(
                            self.damaged(offset, "a global header renames or resizes all members")
                        );
                    }
                    b"path" => extended.name = Some(record.value_bytes().to_owned()),
                    b"size" => {
                        let size = record.value().ok().and_then(|size| size.parse().ok());
                        let broken = || self.damaged(offset, "a pax size is no number");
                        extended.size = Some(size.ok_or_else(broken)?);
                    }
                    _ if key.starts_with(b"GNU.sparse.") => {
                        return Err(ArchiveError::Refused {
                            path: self.path.to_owned(),
                            member: "pax header".to_owned(),
                            what:
                                "announces a sparse file; pack the archive again without --sparse"
                                    .to_owned(),
                        });
                    }
                    _ => {}
                }
            }
        }
        Ok(())
    }
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
