//! The base block: the first 4096 bytes of a hive.
//!
//! Field positions are those of the regf specification, section "Base block".

use crate::error::HiveError;
use crate::image::{put_u32, put_u64, u32_at, u64_at};

/// Length of the base block in bytes; the hive bins follow it.
pub(crate) const SIZE: usize = 4096;
/// The part of the base block that the checksum covers, in bytes.
const CHECKED: usize = 508;
/// Bytes of hive bins that are accepted; Windows ends at 2 GiB.
pub(crate) const MAX_BINS: u32 = 1 << 30;

pub(crate) const PRIMARY: usize = 4;
pub(crate) const SECONDARY: usize = 8;
pub(crate) const WRITTEN: usize = 12;
pub(crate) const MAJOR: usize = 20;
pub(crate) const MINOR: usize = 24;
pub(crate) const FILE_TYPE: usize = 28;
pub(crate) const FORMAT: usize = 32;
pub(crate) const ROOT: usize = 36;
pub(crate) const BINS: usize = 40;
pub(crate) const CLUSTERING: usize = 44;
pub(crate) const FLAGS: usize = 144;

/// File type of a hive's primary file.
pub(crate) const TYPE_PRIMARY: u32 = 0;

/// The XOR of the first 127 words; never all zeros nor all ones, as Windows keeps those two apart.
pub(crate) fn checksum(block: &[u8]) -> u32 {
    let sum = (0..CHECKED)
        .step_by(4)
        .filter_map(|at| u32_at(block, at))
        .fold(0, |sum, word| sum ^ word);
    match sum {
        0 => 1,
        u32::MAX => u32::MAX - 1,
        other => other,
    }
}

/// Whether the checksum of a base block is right.
pub(crate) fn checksum_is_right(block: &[u8]) -> bool {
    u32_at(block, CHECKED) == Some(checksum(block))
}

/// Writes the checksum that belongs to the block.
pub(crate) fn seal(block: &mut [u8]) {
    let sum = checksum(block);
    put_u32(block, CHECKED, sum);
}

/// Refuses what is not the base block of a primary file that can be read here, before its contents matter.
///
/// Neither the checksum nor the sequence numbers are looked at: see `is_dirty`.
pub(crate) fn check(bytes: &[u8]) -> Result<(), HiveError> {
    if bytes.len() < SIZE || !bytes.starts_with(b"regf") {
        return Err(HiveError::NotAHive("it does not begin with a base block"));
    }
    let field = |at| u32_at(bytes, at).unwrap_or_default();
    let (major, minor) = (field(MAJOR), field(MINOR));
    if field(FILE_TYPE) != TYPE_PRIMARY {
        return Err(HiveError::NotAHive(
            "by its header it is a transaction log or another companion of a hive",
        ));
    }
    if major != 1 || !(3..=6).contains(&minor) {
        return Err(HiveError::Version { major, minor });
    }
    if field(FORMAT) != 1 {
        return Err(HiveError::NotAHive("its header names no known file format"));
    }
    let bins = field(BINS);
    if bins == 0 || !bins.is_multiple_of(4096) || bins > MAX_BINS {
        return Err(HiveError::Unsound {
            at: BINS as u64,
            what: "the size of the hive bins is no multiple of 4096 from 4096 bytes to 1 GiB",
        });
    }
    let promised = SIZE as u64 + u64::from(bins);
    if promised > bytes.len() as u64 {
        return Err(HiveError::Truncated {
            promised,
            actual: bytes.len() as u64,
        });
    }
    Ok(())
}

/// The two sequence numbers when they differ, or when the checksum is wrong (specification, "Dirty state of a hive").
pub(crate) fn dirty(bytes: &[u8]) -> Option<(u32, u32)> {
    let primary = u32_at(bytes, PRIMARY)?;
    let secondary = u32_at(bytes, SECONDARY)?;
    (primary != secondary || !checksum_is_right(bytes)).then_some((primary, secondary))
}

/// Makes a base block one of a completed write: the sequence numbers equal, the checksum right.
pub(crate) fn settle(block: &mut [u8]) {
    let primary = u32_at(block, PRIMARY).unwrap_or_default();
    put_u32(block, SECONDARY, primary);
    seal(block);
}

/// When the hive was last written, as a FILETIME.
pub(crate) fn written(bytes: &[u8]) -> u64 {
    u64_at(bytes, WRITTEN).unwrap_or_default()
}

/// A base block for a hive with one empty bin, root cell at `root`.
pub(crate) fn blank(root: u32, minor: u32, time: u64) -> Vec<u8> {
    let mut block = vec![0; SIZE];
    block[..4].copy_from_slice(b"regf");
    put_u32(&mut block, PRIMARY, 1);
    put_u32(&mut block, SECONDARY, 1);
    put_u64(&mut block, WRITTEN, time);
    put_u32(&mut block, MAJOR, 1);
    put_u32(&mut block, MINOR, minor);
    put_u32(&mut block, FORMAT, 1);
    put_u32(&mut block, ROOT, root);
    put_u32(&mut block, BINS, 4096);
    put_u32(&mut block, CLUSTERING, 1);
    seal(&mut block);
    block
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksum_avoids_the_two_reserved_words() {
        let mut block = vec![0; SIZE];
        assert_eq!(checksum(&block), 1);
        put_u32(&mut block, 16, u32::MAX);
        assert_eq!(checksum(&block), u32::MAX - 1);
        put_u32(&mut block, 20, 0xffff_0000);
        assert_eq!(checksum(&block), 0xffff);
        seal(&mut block);
        assert!(checksum_is_right(&block));
        block[0] ^= 1;
        assert!(!checksum_is_right(&block));
    }

    #[test]
    fn what_is_no_hive_is_refused() {
        let good = blank(32, 5, 0);
        let mut file = good.clone();
        file.resize(SIZE + 4096, 0);
        assert_eq!(check(&file), Ok(()));
        assert!(matches!(check(&[]), Err(HiveError::NotAHive(_))));
        assert!(matches!(check(&good), Err(HiveError::Truncated { .. })));
        for (at, value) in [
            (FILE_TYPE, 6),
            (FORMAT, 2),
            (MINOR, 2),
            (MINOR, 7),
            (BINS, 0),
            (BINS, 100),
        ] {
            let mut bad = file.clone();
            put_u32(&mut bad, at, value);
            assert!(check(&bad).is_err(), "field {at} = {value}");
        }
    }
}
