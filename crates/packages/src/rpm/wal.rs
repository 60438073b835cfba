//! SQLite's write-ahead log: pages that were committed but not yet moved into the database, as a
//! guest leaves it that was stopped without warning (<https://sqlite.org/fileformat2.html#walformat>).

use std::collections::HashMap;

use anyhow::ensure;

use super::file::{Input, array};

const HEADER: usize = 32;
const FRAME_HEADER: usize = 24;

/// Where the newest committed form of each page in the log begins. A log that belongs to another
/// database or ends in the middle of a transaction counts up to there, as in SQLite.
pub(super) fn pages(wal: &dyn Input, page_size: usize) -> anyhow::Result<HashMap<u32, u64>> {
    let mut committed = HashMap::new();
    if wal.size() < HEADER as u64 {
        return Ok(committed);
    }
    let header = wal.read(0, HEADER)?;
    let word = |bytes: &[u8], at| array(bytes, at).map(u32::from_be_bytes);
    let big_endian = match word(&header, 0)? {
        0x377f_0682 => false,
        0x377f_0683 => true,
        _ => return Ok(committed),
    };
    ensure!(
        word(&header, 4)? == 3_007_000,
        "the format of its write-ahead log is not known"
    );
    let sum = checksum((0, 0), &header[..24], big_endian);
    if word(&header, 8)? != u32::try_from(page_size)?
        || sum != (word(&header, 24)?, word(&header, 28)?)
    {
        return Ok(committed);
    }
    let mut sum = sum;
    let mut pending = HashMap::new();
    let mut offset = HEADER as u64;
    let frame_size = FRAME_HEADER + page_size;
    while offset + frame_size as u64 <= wal.size() {
        let frame = wal.read(offset, frame_size)?;
        sum = checksum(sum, &frame[..8], big_endian);
        sum = checksum(sum, &frame[FRAME_HEADER..], big_endian);
        if frame[8..16] != header[16..24] || sum != (word(&frame, 16)?, word(&frame, 20)?) {
            break;
        }
        pending.insert(word(&frame, 0)?, offset + FRAME_HEADER as u64);
        // The size of the database after a commit, zero within a transaction.
        if word(&frame, 4)? != 0 {
            committed.extend(pending.drain());
        }
        offset += frame_size as u64;
    }
    Ok(committed)
}

fn checksum((mut a, mut b): (u32, u32), bytes: &[u8], big_endian: bool) -> (u32, u32) {
    let words = bytes.chunks_exact(4).map(|word| {
        let word = [word[0], word[1], word[2], word[3]];
        match big_endian {
            true => u32::from_be_bytes(word),
            false => u32::from_le_bytes(word),
        }
    });
    for (index, word) in words.enumerate() {
        match index % 2 {
            0 => a = a.wrapping_add(word).wrapping_add(b),
            _ => b = b.wrapping_add(word).wrapping_add(a),
        }
    }
    (a, b)
}
