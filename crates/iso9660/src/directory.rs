//! The root directory: its records, for ECMA-119 with Rock Ridge and for Joliet.

use crate::fields::{SECTOR, Time, both16, both32, pad, sectors};
use crate::names::Entry;
use crate::rock_ridge;

/// A directory whose place is not known yet.
#[derive(Debug)]
pub(crate) struct Directory {
    records: Vec<Record>,
    time: Time,
    /// What the first record's system use field continues with.
    continuation: Option<Vec<u8>>,
}

#[derive(Debug)]
struct Record {
    identifier: Vec<u8>,
    /// Which file it is; `None` for the directory itself and its parent, which are one.
    file: Option<(usize, usize)>,
    system_use: Vec<u8>,
}

impl Directory {
    /// With names of ECMA-119, and Rock Ridge beside them.
    pub(crate) fn plain(entries: &[Entry<'_>], time: i64) -> Self {
        let time = Time::new(time);
        let mut records = vec![
            Record {
                identifier: vec![0],
                file: None,
                system_use: rock_ridge::root(time),
            },
            Record {
                identifier: vec![1],
                file: None,
                system_use: rock_ridge::parent(time),
            },
        ];
        let mut files: Vec<Record> = entries
            .iter()
            .map(|entry| Record {
                identifier: entry.plain.clone(),
                file: Some((entry.index, entry.size)),
                system_use: rock_ridge::file(entry.name, time),
            })
            .collect();
        files.sort_by(|a, b| a.identifier.cmp(&b.identifier));
        records.append(&mut files);
        Self {
            records,
            time,
            continuation: Some(rock_ridge::reference()),
        }
    }

    /// With Joliet's names.
    pub(crate) fn joliet(entries: &[Entry<'_>], time: i64) -> Self {
        let special = |identifier| Record {
            identifier: vec![identifier],
            file: None,
            system_use: Vec::new(),
        };
        let mut records = vec![special(0), special(1)];
        let mut files: Vec<Record> = entries
            .iter()
            .map(|entry| Record {
                identifier: entry.joliet.clone(),
                file: Some((entry.index, entry.size)),
                system_use: Vec::new(),
            })
            .collect();
        files.sort_by(|a, b| a.identifier.cmp(&b.identifier));
        records.append(&mut files);
        Self {
            records,
            time: Time::new(time),
            continuation: None,
        }
    }

    /// Bytes of its records, in whole sectors.
    pub(crate) fn size(&self) -> u32 {
        let mut at = 0;
        for record in &self.records {
            at = place(at, record.len()) + record.len();
        }
        sectors(at) * SECTOR as u32
    }

    /// Sectors that it takes, with the continuation.
    pub(crate) fn sectors(&self) -> u32 {
        sectors(self.size() as usize) + u32::from(self.continuation.is_some())
    }

    /// Its bytes when it is at the sector `at`, and file number n at `files[n]`.
    pub(crate) fn bytes(&self, at: u32, files: &[u32]) -> Vec<u8> {
        let size = self.size();
        let continued_at = at + sectors(size as usize);
        let mut bytes = Vec::new();
        for record in &self.records {
            let (extent, length, flags) = match record.file {
                // The caller has limited the size of all files.
                Some((index, length)) => {
                    let length = u32::try_from(length).unwrap_or(u32::MAX);
                    (files.get(index).copied().unwrap_or(0), length, 0)
                }
                None => (at, size, DIRECTORY),
            };
            bytes.resize(place(bytes.len(), record.len()), 0);
            let start = bytes.len();
            let head = head(&record.identifier, extent, length, flags, self.time);
            bytes.extend(head);
            bytes.extend_from_slice(&record.system_use);
            if record.identifier == [0]
                && let Some(continuation) = &self.continuation
            {
                bytes.extend(rock_ridge::continued(continued_at, continuation.len()));
            }
            bytes.resize(start + record.len(), 0);
            // At most 254: names are limited.
            bytes[start] = u8::try_from(record.len()).unwrap_or(u8::MAX);
        }
        pad(&mut bytes);
        if let Some(continuation) = &self.continuation {
            bytes.extend_from_slice(continuation);
            pad(&mut bytes);
        }
        bytes
    }
}

impl Record {
    fn len(&self) -> usize {
        let continued = match self.identifier.as_slice() {
            [0] if !self.system_use.is_empty() => rock_ridge::CONTINUED,
            _ => 0,
        };
        let fixed = (33 + self.identifier.len()).next_multiple_of(2);
        (fixed + self.system_use.len() + continued).next_multiple_of(2)
    }
}

/// File flag: it is a directory (ECMA-119 9.1.6).
const DIRECTORY: u8 = 2;

/// Where a record of this length goes: none reaches over the end of a sector (ECMA-119 6.8.1.1).
fn place(at: usize, len: usize) -> usize {
    if at % SECTOR + len > SECTOR {
        at.next_multiple_of(SECTOR)
    } else {
        at
    }
}

/// A directory record up to its system use field; the first byte, its whole length, is that of a record
/// without one (ECMA-119 9.1).
pub(crate) fn head(identifier: &[u8], extent: u32, length: u32, flags: u8, time: Time) -> Vec<u8> {
    let fixed = (33 + identifier.len()).next_multiple_of(2);
    let mut bytes = Vec::with_capacity(fixed);
    bytes.extend([u8::try_from(fixed).unwrap_or(u8::MAX), 0]);
    bytes.extend(both32(extent));
    bytes.extend(both32(length));
    bytes.extend(time.short());
    bytes.extend([flags, 0, 0]);
    bytes.extend(both16(1));
    bytes.push(u8::try_from(identifier.len()).unwrap_or(u8::MAX));
    bytes.extend_from_slice(identifier);
    bytes.resize(fixed, 0);
    bytes
}

/// The record of the root directory in a volume descriptor.
pub(crate) fn root_record(extent: u32, length: u32, time: Time) -> Vec<u8> {
    head(&[0], extent, length, DIRECTORY, time)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{File, names};

    #[test]
    fn no_record_reaches_over_the_end_of_a_sector() {
        let names: Vec<String> = (0..16)
            .map(|n| format!("{n:02}-{}", "x".repeat(60)))
            .collect();
        let files: Vec<File<'_>> = names
            .iter()
            .map(|name| File { name, content: b"" })
            .collect();
        let entries = names::entries(&files).unwrap();
        for directory in [
            Directory::plain(&entries, 0),
            Directory::joliet(&entries, 0),
        ] {
            let bytes = directory.bytes(20, &[0; 16]);
            assert_eq!(bytes.len(), directory.sectors() as usize * SECTOR);
            assert!(directory.size() > 2048);
            let (mut at, mut records) = (0, 0);
            while at < directory.size() as usize {
                let len = usize::from(bytes[at]);
                if len == 0 {
                    at = (at + 1).next_multiple_of(SECTOR);
                    continue;
                }
                assert!(at % SECTOR + len <= SECTOR);
                at += len;
                records += 1;
            }
            assert_eq!(records, 18);
        }
    }
}
