//! Logs in the new format, of Windows 8.1 and later: entries (`HvLE`), each with the pages that a write changed.

use crate::error::HiveError;
use crate::header;
use crate::image::{put_u32, u32_at, u64_at};
use crate::logs::{Log, SECTOR, conclude, grow, marvin, write_page};

/// Length of an entry's header in bytes.
const HEADER: usize = 40;

/// One write to the hive.
#[derive(Debug, Clone, Copy)]
struct Entry<'l> {
    bytes: &'l [u8],
}

impl<'l> Entry<'l> {
    /// The entry at the beginning of these bytes, if it is whole.
    fn of(bytes: &'l [u8]) -> Option<Entry<'l>> {
        let size = u32_at(bytes, 4)? as usize;
        if !bytes.starts_with(b"HvLE") || size < HEADER || !size.is_multiple_of(SECTOR) {
            return None;
        }
        let entry = Entry {
            bytes: bytes.get(..size)?,
        };
        let whole = u64_at(bytes, 32)? == marvin::hash(marvin::SEED, bytes.get(..32)?)
            && u64_at(bytes, 24)? == marvin::hash(marvin::SEED, bytes.get(HEADER..size)?)
            && entry.bins().is_multiple_of(4096);
        whole.then_some(entry)
    }

    fn field(&self, at: usize) -> u32 {
        u32_at(self.bytes, at).unwrap_or_default()
    }

    fn flags(&self) -> u32 {
        self.field(8)
    }

    fn sequence(&self) -> u32 {
        self.field(12)
    }

    fn bins(&self) -> u32 {
        self.field(16)
    }

    /// Offset and contents of each page.
    fn pages(&self) -> Result<Vec<(u32, &'l [u8])>, HiveError> {
        const WHAT: HiveError = HiveError::Log("a log entry promises more pages than it holds");
        let references = (self.field(20) as usize)
            .checked_mul(8)
            .and_then(|length| self.bytes.get(HEADER..HEADER.checked_add(length)?))
            .ok_or(WHAT)?;
        let mut rest = &self.bytes[HEADER + references.len()..];
        let mut pages = Vec::new();
        for reference in references.chunks_exact(8) {
            let offset = u32_at(reference, 0).ok_or(WHAT)?;
            let size = u32_at(reference, 4).ok_or(WHAT)? as usize;
            let (page, after) = rest.split_at_checked(size).ok_or(WHAT)?;
            pages.push((offset, page));
            rest = after;
        }
        Ok(pages)
    }
}

/// The entries of a log: those that follow one another without a gap, from the one that its base block names.
///
/// What comes after them is left over from earlier use, or was being written when Windows stopped.
fn chain<'l>(log: &Log<'l>) -> Vec<Entry<'l>> {
    let mut entries = Vec::new();
    let mut rest = log.bytes.get(SECTOR..).unwrap_or_default();
    let mut expected = log.sequence();
    while let Some(entry) = Entry::of(rest).filter(|entry| entry.sequence() == expected) {
        entries.push(entry);
        expected = expected.wrapping_add(1);
        rest = rest.get(entry.bytes.len()..).unwrap_or_default();
    }
    entries
}

/// Applies the logs; tells whether any belonged to the hive.
pub(super) fn replay(bytes: &mut Vec<u8>, logs: &[Log<'_>]) -> Result<bool, HiveError> {
    let from = u32_at(bytes, header::SECONDARY).unwrap_or_default();
    let mut chains: Vec<Vec<Entry<'_>>> = logs.iter().map(chain).collect();
    // A log that ends before the hive's own state was written out long ago.
    chains.retain(|chain| chain.last().is_some_and(|last| last.sequence() >= from));
    // The log with the earlier entries comes first, whichever file it is.
    chains.sort_by_key(|chain| chain[0].sequence());
    if chains
        .first()
        .is_some_and(|first| first[0].sequence() < from)
    {
        return Err(HiveError::Log(
            "a log begins before and ends after the state of the hive",
        ));
    }
    let entries: Vec<Entry<'_>> = chains.into_iter().flatten().collect();
    for pair in entries.windows(2) {
        if pair[0].sequence().checked_add(1) != Some(pair[1].sequence()) {
            return Err(HiveError::Log(
                "entries between those of its two logs are missing",
            ));
        }
    }
    for entry in &entries {
        apply(bytes, entry)?;
    }
    Ok(!entries.is_empty())
}

fn apply(bytes: &mut Vec<u8>, entry: &Entry<'_>) -> Result<(), HiveError> {
    let pages = entry.pages()?;
    let logged = pages.iter().map(|(_, page)| page.len() as u64).sum();
    let before = u32_at(bytes, header::BINS).unwrap_or_default();
    grow(bytes, before, entry.bins(), logged)?;
    for (offset, page) in pages {
        write_page(bytes, entry.bins(), offset, page)?;
    }
    // Of the flags only the lowest is logged.
    let flags = u32_at(bytes, header::FLAGS).unwrap_or_default();
    put_u32(bytes, header::FLAGS, flags & !1 | entry.flags() & 1);
    conclude(bytes, entry.sequence().wrapping_add(1), entry.bins());
    Ok(())
}
