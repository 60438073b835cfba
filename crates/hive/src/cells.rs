//! The map of cells: which offsets are the beginning of an allocated cell.

use crate::error::{HiveError, unsound};
use crate::image::{BIN_HEADER, Image, u32_at};

/// One bit for each eight bytes of the hive bins.
#[derive(Debug)]
pub(crate) struct CellMap {
    allocated: Vec<u64>,
}

/// A cell that a [`scan`] met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) offset: u32,
    /// With the four bytes of the size field.
    pub(crate) size: u32,
    pub(crate) allocated: bool,
}

/// Calls `visit` for each cell of each bin, after checking that they fill the bins exactly.
pub(crate) fn scan(image: &Image, mut visit: impl FnMut(Found)) -> Result<(), HiveError> {
    let bins = image.bins();
    let end = image.bins_size();
    let word = |at: u32| u32_at(bins, at as usize).unwrap_or_default();
    let mut bin = 0;
    while bin < end {
        if !bins
            .get(bin as usize..)
            .is_some_and(|rest| rest.starts_with(b"hbin"))
        {
            return Err(unsound(bin, "a hive bin should begin here"));
        }
        let size = word(bin + 8);
        if word(bin + 4) != bin || size == 0 || !size.is_multiple_of(4096) || size > end - bin {
            return Err(unsound(bin, "this hive bin's header contradicts its place"));
        }
        let mut cell = bin + BIN_HEADER;
        while cell < bin + size {
            let raw = word(cell) as i32;
            let length = raw.unsigned_abs();
            if length < 8 || !length.is_multiple_of(8) || length > bin + size - cell {
                return Err(unsound(cell, "a cell has an impossible size"));
            }
            visit(Found {
                offset: cell,
                size: length,
                allocated: raw < 0,
            });
            cell += length;
        }
        bin += size;
    }
    Ok(())
}

impl CellMap {
    /// Reads the map off the hive's bins.
    pub(crate) fn of(image: &Image) -> Result<CellMap, HiveError> {
        let mut allocated = vec![0; (image.bins_size() as usize).div_ceil(512)];
        scan(image, |found| {
            if found.allocated
                && let Some(word) = allocated.get_mut(found.offset as usize / 512)
            {
                *word |= 1u64 << (found.offset / 8 % 64);
            }
        })?;
        Ok(CellMap { allocated })
    }

    /// Whether an unclaimed allocated cell begins here.
    pub(crate) fn has(&self, offset: u32) -> bool {
        offset.is_multiple_of(8)
            && self
                .allocated
                .get(offset as usize / 512)
                .is_some_and(|word| word >> (offset / 8 % 64) & 1 == 1)
    }

    /// Takes a cell for one owner; an error when it is none, or another has it. So no cell is visited twice, and
    /// every walk ends.
    pub(crate) fn claim(&mut self, offset: u32, what: &'static str) -> Result<(), HiveError> {
        if !self.has(offset) {
            return Err(unsound(offset, what));
        }
        if let Some(word) = self.allocated.get_mut(offset as usize / 512) {
            *word &= !(1u64 << (offset / 8 % 64));
        }
        Ok(())
    }
}
