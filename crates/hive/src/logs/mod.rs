//! Transaction logs: what Windows had yet to write into a hive when it stopped.
//!
//! The rules are those of the regf specification, sections "Format of transaction log files", "Dirty state of a hive"
//! and "Multiple transaction log files". Where Windows would go on with less than the logs hold, this refuses: a hive
//! is recovered completely or not at all.

mod entries;
mod marvin;
#[cfg(test)]
mod tests;
mod vector;

use crate::error::HiveError;
use crate::header;
use crate::hive::Hive;
use crate::image::{put_u32, u32_at, u64_at};

/// Bytes of a log's own base block in the new format, and the unit of both formats.
const SECTOR: usize = 512;
/// File type of a log in the new format (Windows 8.1 and later).
const TYPE_ENTRIES: u32 = 6;
/// File types of a log in the old format: since Windows XP, and before.
const TYPES_VECTOR: [u32; 2] = [1, 2];

/// A transaction log with a base block that is in order.
#[derive(Debug, Clone, Copy)]
struct Log<'l> {
    bytes: &'l [u8],
    kind: u32,
}

impl<'l> Log<'l> {
    /// `None` for what Windows would not take for a log: an empty file, a wrong checksum, an unfinished base block.
    fn of(bytes: &'l [u8]) -> Option<Log<'l>> {
        let sound = bytes.len() >= SECTOR
            && bytes.starts_with(b"regf")
            && header::checksum_is_right(bytes)
            && u32_at(bytes, header::PRIMARY) == u32_at(bytes, header::SECONDARY);
        let kind = u32_at(bytes, header::FILE_TYPE)?;
        sound.then_some(Log { bytes, kind })
    }

    fn sequence(&self) -> u32 {
        u32_at(self.bytes, header::PRIMARY).unwrap_or_default()
    }
}

impl Hive {
    /// Reads a hive after replaying its transaction logs, if it needs that: `logs` are the contents of the files
    /// `.LOG`, `.LOG1` and `.LOG2` beside it, as many as there are, in any order.
    ///
    /// A hive that was written out completely is read as it is, whatever is in its logs: Windows ignores them then.
    /// After a replay the hive is as Windows leaves it: with equal sequence numbers, one above that of the last log entry.
    ///
    /// # Errors
    ///
    /// As [`Hive::parse`]; [`HiveError::Dirty`] when no log belongs to the hive, [`HiveError::Log`] when the logs cannot
    /// be replayed completely or the result is damaged.
    pub fn recover(mut bytes: Vec<u8>, logs: &[&[u8]]) -> Result<Hive, HiveError> {
        header::check(&bytes)?;
        let Some((primary, secondary)) = header::dirty(&bytes) else {
            return Hive::parse(bytes);
        };
        if !header::checksum_is_right(&bytes) {
            return Err(HiveError::Log(
                "the hive's own header is damaged, so it cannot be told which log belongs to it",
            ));
        }
        let logs: Vec<Log<'_>> = logs.iter().filter_map(|log| Log::of(log)).collect();
        let (new, old): (Vec<Log<'_>>, Vec<Log<'_>>) = logs
            .into_iter()
            .filter(|log| log.kind == TYPE_ENTRIES || TYPES_VECTOR.contains(&log.kind))
            .partition(|log| log.kind == TYPE_ENTRIES);
        let replayed = match new.is_empty() {
            false => entries::replay(&mut bytes, &new)?,
            true => vector::replay(&mut bytes, &old)?,
        };
        if !replayed {
            return Err(HiveError::Dirty { primary, secondary });
        }
        Hive::parse(bytes).map_err(|_| HiveError::Log("what comes out of the replay is damaged"))
    }
}

/// Sets both sequence numbers and the size of the hive bins, after a replay.
fn conclude(bytes: &mut [u8], sequence: u32, bins: u32) {
    put_u32(bytes, header::PRIMARY, sequence);
    put_u32(bytes, header::BINS, bins);
    header::settle(bytes);
}

/// Makes room for hive bins of this size; they cannot have grown by more than what was logged for them.
fn grow(bytes: &mut Vec<u8>, before: u32, bins: u32, logged: u64) -> Result<(), HiveError> {
    if bins == 0
        || !bins.is_multiple_of(4096)
        || bins > header::MAX_BINS
        || u64::from(bins) > u64::from(before) + logged
    {
        return Err(HiveError::Log("a log gives the hive an impossible size"));
    }
    let length = header::SIZE + bins as usize;
    if bytes.len() < length {
        bytes.resize(length, 0);
    }
    Ok(())
}

/// Writes a logged page into the hive bins.
fn write_page(bytes: &mut [u8], bins: u32, offset: u32, page: &[u8]) -> Result<(), HiveError> {
    const OUTSIDE: HiveError = HiveError::Log("a log holds a page outside of the hive");
    let end = u64::from(offset) + page.len() as u64;
    if end > u64::from(bins) {
        return Err(OUTSIDE);
    }
    let at = header::SIZE + offset as usize;
    bytes
        .get_mut(at..at + page.len())
        .ok_or(OUTSIDE)?
        .copy_from_slice(page);
    Ok(())
}

/// When the hive that a base block belongs to was last written.
fn written(block: &[u8]) -> Option<u64> {
    u64_at(block, header::WRITTEN)
}
