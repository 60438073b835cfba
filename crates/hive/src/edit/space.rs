//! Room for cells: free cells are found, split and joined; new bins are appended when none is large enough.

use std::collections::{BTreeMap, BTreeSet};

use crate::cells::scan;
use crate::error::HiveError;
use crate::header;
use crate::image::{BIN_HEADER, Image, put_u32, u32_at};

/// The free cells of a hive.
#[derive(Debug, Clone, Default)]
pub(crate) struct Space {
    /// Offset to size.
    places: BTreeMap<u32, u32>,
    /// Size and offset: the smallest that is large enough is taken, the first of its size.
    sizes: BTreeSet<(u32, u32)>,
}

const FULL: HiveError = HiveError::Limit("it would grow beyond 1 GiB");

impl Space {
    /// Finds the free cells.
    pub(crate) fn of(image: &Image) -> Result<Space, HiveError> {
        let mut space = Space::default();
        scan(image, |found| {
            if !found.allocated {
                space.add(found.offset, found.size);
            }
        })?;
        Ok(space)
    }

    fn add(&mut self, offset: u32, size: u32) {
        self.places.insert(offset, size);
        self.sizes.insert((size, offset));
    }

    fn remove(&mut self, offset: u32, size: u32) {
        self.places.remove(&offset);
        self.sizes.remove(&(size, offset));
    }

    /// A new cell with room for `length` bytes, all zero.
    pub(crate) fn allocate(&mut self, image: &mut Image, length: usize) -> Result<u32, HiveError> {
        let need = length
            .checked_add(4)
            .and_then(|length| length.checked_next_multiple_of(8))
            .and_then(|length| u32::try_from(length).ok())
            .ok_or(FULL)?;
        let fit = self.sizes.range((need, 0)..).next().copied();
        let (size, offset) = match fit {
            Some(fit) => fit,
            None => self.append_bin(image, need)?,
        };
        self.remove(offset, size);
        let rest = size - need;
        // Sizes are multiples of 8, so what is left over is always a cell.
        if rest > 0 {
            write_size(image, offset + need, rest as i32);
            self.add(offset + need, rest);
        }
        write_size(image, offset, -(need as i32));
        if let Some(cell) = image.cell_mut(offset) {
            cell.fill(0);
        }
        Ok(offset)
    }

    /// Gives a cell back. What it held is wiped; free neighbours become one cell with it.
    pub(crate) fn free(&mut self, image: &mut Image, offset: u32) {
        let Some(cell) = image.cell_mut(offset) else {
            return;
        };
        cell.fill(0);
        let (mut start, mut size) = (offset, cell.len() as u32 + 4);
        // Between the cells of two bins lies a header, so neighbours are of one bin.
        if let Some((before, length)) = self.places.range(..offset).next_back()
            && before + length == offset
        {
            let (before, length) = (*before, *length);
            self.remove(before, length);
            start = before;
            size += length;
            write_size(image, offset, 0);
        }
        if let Some(length) = self.places.get(&(start + size)).copied() {
            self.remove(start + size, length);
            write_size(image, start + size, 0);
            size += length;
        }
        write_size(image, start, size as i32);
        self.add(start, size);
    }

    /// Appends a bin that holds a free cell of at least this size; gives its size and offset.
    fn append_bin(&mut self, image: &mut Image, need: u32) -> Result<(u32, u32), HiveError> {
        let bin = image.bins_size();
        let size = need
            .checked_add(BIN_HEADER)
            .and_then(|size| size.checked_next_multiple_of(4096))
            .ok_or(FULL)?;
        let end = bin
            .checked_add(size)
            .filter(|end| *end <= header::MAX_BINS)
            .ok_or(FULL)?;
        let (from, to) = (header::SIZE + bin as usize, header::SIZE + end as usize);
        // Windows grows files ahead of the bins; what is there means nothing.
        if image.bytes.len() < to {
            image.bytes.resize(to, 0);
        }
        put_u32(&mut image.bytes, header::BINS, end);
        if let Some(block) = image.bytes.get_mut(from..to) {
            block.fill(0);
            block[..4].copy_from_slice(b"hbin");
            put_u32(block, 4, bin);
            put_u32(block, 8, size);
        }
        let (cell, length) = (bin + BIN_HEADER, size - BIN_HEADER);
        write_size(image, cell, length as i32);
        self.add(cell, length);
        Ok((length, cell))
    }

    /// Whether the free cells are those of the hive: a check after edits.
    pub(crate) fn agrees_with(&self, image: &Image) -> bool {
        Space::of(image)
            .is_ok_and(|found| found.places == self.places && self.places.len() == self.sizes.len())
    }
}

/// Writes a cell's size field.
fn write_size(image: &mut Image, offset: u32, size: i32) {
    put_u32(image.bins_mut(), offset as usize, size as u32);
}

/// A cell's size with its size field, whether allocated or not.
pub(crate) fn cell_size(image: &Image, offset: u32) -> u32 {
    u32_at(image.bins(), offset as usize).map_or(0, |size| (size as i32).unsigned_abs())
}
