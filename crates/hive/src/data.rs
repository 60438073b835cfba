//! The data of values: in the value's own cell, in one cell, or in segments.

use crate::image::{Image, u16_at, u32_at};
use crate::record::{db, vk};

/// Where a value keeps its data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// In the value's cell, this many bytes.
    Inline(usize),
    /// In a cell of its own.
    Cell { offset: u32, length: usize },
    /// In segments, below this `db` cell.
    Segments { offset: u32, length: usize },
}

/// Where the value in this cell keeps its data; `None` when that contradicts the format.
pub(crate) fn place(image: &Image, value: &[u8]) -> Option<Place> {
    let size = u32_at(value, vk::DATA_SIZE)?;
    let offset = u32_at(value, vk::DATA)?;
    let length = (size & !vk::INLINE) as usize;
    if size & vk::INLINE != 0 {
        return (length <= 4).then_some(Place::Inline(length));
    }
    if length == 0 {
        return Some(Place::Inline(0));
    }
    let cell = image.cell(offset)?;
    // Version 1.3 knows no segments; a later hive may still hold long data in one cell, from a writer of its own.
    let segmented = image.minor() > 3 && length > db::SEGMENT && cell.starts_with(db::SIGNATURE);
    match segmented {
        true => Some(Place::Segments { offset, length }),
        false => (length <= cell.len()).then_some(Place::Cell { offset, length }),
    }
}

/// The cells that hold the segments and their list: the list first.
pub(crate) fn segments(image: &Image, record: u32) -> Option<(u32, Vec<u32>)> {
    let cell = image.cell(record)?;
    let count = usize::from(u16_at(cell, db::SEGMENTS)?);
    let list = u32_at(cell, db::LIST)?;
    let entries = image.cell(list)?.get(..count.checked_mul(4)?)?;
    Some((
        list,
        entries
            .chunks_exact(4)
            .filter_map(|entry| u32_at(entry, 0))
            .collect(),
    ))
}

/// The data of the value in this cell.
pub(crate) fn read(image: &Image, value: &[u8]) -> Option<Vec<u8>> {
    match place(image, value)? {
        Place::Inline(length) => Some(value.get(vk::DATA..vk::DATA + length)?.to_vec()),
        Place::Cell { offset, length } => Some(image.cell(offset)?.get(..length)?.to_vec()),
        Place::Segments { offset, length } => {
            let mut data = Vec::new();
            for segment in segments(image, offset)?.1 {
                let take = (length - data.len()).min(db::SEGMENT);
                data.extend_from_slice(image.cell(segment)?.get(..take)?);
            }
            (data.len() == length).then_some(data)
        }
    }
}
