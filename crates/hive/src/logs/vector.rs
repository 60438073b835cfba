//! Logs in the old format, up to Windows 8: one map of the sectors that a write changes (`DIRT`), and the sectors.

use crate::error::HiveError;
use crate::header;
use crate::image::u32_at;
use crate::logs::{Log, SECTOR, conclude, grow, write_page, written};

/// Applies the log that belongs to the hive; tells whether there is one.
///
/// A log belongs to a hive when both name the same time of the last write.
pub(super) fn replay(bytes: &mut Vec<u8>, logs: &[Log<'_>]) -> Result<bool, HiveError> {
    let time = written(bytes);
    let mut fitting = logs.iter().filter(|log| written(log.bytes) == time);
    let Some(log) = fitting.next() else {
        return Ok(false);
    };
    // Versions of Windows differ in which of two they take.
    if fitting.next().is_some() {
        return Err(HiveError::Log(
            "two logs of the old format belong to the hive",
        ));
    }
    const CUT: HiveError = HiveError::Log("the log does not hold the sectors that it lists");
    let clustering = u32_at(log.bytes, header::CLUSTERING).unwrap_or_default() as usize;
    if !(1..=8).contains(&clustering) {
        return Err(HiveError::Log(
            "the log names an impossible size of sectors",
        ));
    }
    let sector = SECTOR * clustering;
    let bins = u32_at(log.bytes, header::BINS).unwrap_or_default();
    let vector = log.bytes.get(sector..).ok_or(CUT)?;
    if !vector.starts_with(b"DIRT") {
        return Err(HiveError::Log("the log has no map of changed sectors"));
    }
    // One bit for each 512 bytes.
    let map = vector.get(4..4 + bins as usize / SECTOR / 8).ok_or(CUT)?;
    let dirty: Vec<u32> = (0..bins / SECTOR as u32)
        .filter(|bit| {
            map.get(*bit as usize / 8)
                .is_some_and(|byte| byte >> (bit % 8) & 1 == 1)
        })
        .collect();
    let pages = vector
        .get((4 + map.len()).next_multiple_of(sector)..)
        .ok_or(CUT)?;
    let before = u32_at(bytes, header::BINS).unwrap_or_default();
    grow(bytes, before, bins, (dirty.len() * SECTOR) as u64)?;
    for (index, bit) in dirty.into_iter().enumerate() {
        let page = pages.get(index * SECTOR..(index + 1) * SECTOR).ok_or(CUT)?;
        write_page(bytes, bins, bit * SECTOR as u32, page)?;
    }
    let sequence = u32_at(bytes, header::PRIMARY).unwrap_or_default();
    conclude(bytes, sequence, bins);
    Ok(true)
}
