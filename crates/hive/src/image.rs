//! The bytes of a hive and the cells in them.

use crate::header;

/// "No cell" in a field that holds a cell's offset.
pub(crate) const NIL: u32 = u32::MAX;
/// Length of a hive bin's header in bytes.
pub(crate) const BIN_HEADER: u32 = 32;

/// Little-endian 16 bits at `at`.
pub(crate) fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    let end = at.checked_add(2)?;
    Some(u16::from_le_bytes(bytes.get(at..end)?.try_into().ok()?))
}

/// Little-endian 32 bits at `at`.
pub(crate) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    let end = at.checked_add(4)?;
    Some(u32::from_le_bytes(bytes.get(at..end)?.try_into().ok()?))
}

/// Little-endian 64 bits at `at`.
pub(crate) fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    let end = at.checked_add(8)?;
    Some(u64::from_le_bytes(bytes.get(at..end)?.try_into().ok()?))
}

/// Writes bytes at `at`; what would lie outside is left out.
pub(crate) fn put(bytes: &mut [u8], at: usize, data: &[u8]) {
    if let Some(room) = at
        .checked_add(data.len())
        .and_then(|end| bytes.get_mut(at..end))
    {
        room.copy_from_slice(data);
    }
}

/// Writes 16 bits, little-endian.
pub(crate) fn put_u16(bytes: &mut [u8], at: usize, value: u16) {
    put(bytes, at, &value.to_le_bytes());
}

/// Writes 32 bits, little-endian.
pub(crate) fn put_u32(bytes: &mut [u8], at: usize, value: u32) {
    put(bytes, at, &value.to_le_bytes());
}

/// Writes 64 bits, little-endian.
pub(crate) fn put_u64(bytes: &mut [u8], at: usize, value: u64) {
    put(bytes, at, &value.to_le_bytes());
}

/// A hive's file in memory. Offsets are those of the format: bytes from the end of the base block.
#[derive(Debug, Clone)]
pub(crate) struct Image {
    pub(crate) bytes: Vec<u8>,
}

impl Image {
    /// Size of the hive bins in bytes, by the header.
    pub(crate) fn bins_size(&self) -> u32 {
        u32_at(&self.bytes, header::BINS).unwrap_or_default()
    }

    /// The root key's cell.
    pub(crate) fn root(&self) -> u32 {
        u32_at(&self.bytes, header::ROOT).unwrap_or(NIL)
    }

    /// Minor version of the format.
    pub(crate) fn minor(&self) -> u32 {
        u32_at(&self.bytes, header::MINOR).unwrap_or_default()
    }

    /// The hive bins.
    pub(crate) fn bins(&self) -> &[u8] {
        let end = header::SIZE.saturating_add(self.bins_size() as usize);
        self.bytes.get(header::SIZE..end).unwrap_or_default()
    }

    pub(crate) fn bins_mut(&mut self) -> &mut [u8] {
        let end = header::SIZE.saturating_add(self.bins_size() as usize);
        self.bytes.get_mut(header::SIZE..end).unwrap_or_default()
    }

    /// The contents of an allocated cell, without its size field.
    pub(crate) fn cell(&self, offset: u32) -> Option<&[u8]> {
        let bins = self.bins();
        let at = offset as usize;
        let size = (u32_at(bins, at)? as i32).checked_neg()?;
        if size < 8 {
            return None;
        }
        bins.get(at.checked_add(4)?..at.checked_add(size as usize)?)
    }

    pub(crate) fn cell_mut(&mut self, offset: u32) -> Option<&mut [u8]> {
        let at = offset as usize;
        let bins = self.bins_mut();
        let size = (u32_at(bins, at)? as i32).checked_neg()?;
        if size < 8 {
            return None;
        }
        bins.get_mut(at.checked_add(4)?..at.checked_add(size as usize)?)
    }

    /// A 16-bit field of a cell.
    pub(crate) fn u16(&self, cell: u32, at: usize) -> Option<u16> {
        u16_at(self.cell(cell)?, at)
    }

    /// A 32-bit field of a cell.
    pub(crate) fn u32(&self, cell: u32, at: usize) -> Option<u32> {
        u32_at(self.cell(cell)?, at)
    }

    /// Sets a 16-bit field of a cell.
    pub(crate) fn set_u16(&mut self, cell: u32, at: usize, value: u16) {
        if let Some(cell) = self.cell_mut(cell) {
            put_u16(cell, at, value);
        }
    }

    /// Sets a 32-bit field of a cell.
    pub(crate) fn set_u32(&mut self, cell: u32, at: usize, value: u32) {
        if let Some(cell) = self.cell_mut(cell) {
            put_u32(cell, at, value);
        }
    }
}
