//! What Windows answers about disks: structures of `winioctl.h` as bytes.

use crate::task::Partition;

/// Bytes before the first entry of `DRIVE_LAYOUT_INFORMATION_EX`.
const LAYOUT_HEADER: usize = 48;
/// Bytes of a `PARTITION_INFORMATION_EX`.
const LAYOUT_ENTRY: usize = 144;
const STYLE_MBR: u32 = 0;
const STYLE_GPT: u32 = 1;

/// A disk's partitions, as far as they tell volumes apart.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Layout {
    /// Each partition with its offset in bytes.
    pub partitions: Vec<(Partition, u64)>,
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}

impl Layout {
    /// From a `DRIVE_LAYOUT_INFORMATION_EX`.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let style = u32_at(bytes, 0)?;
        let count = u32_at(bytes, 4)? as usize;
        let signature = u32_at(bytes, 8)?;
        let mut layout = Self::default();
        let entries = bytes.get(LAYOUT_HEADER..).unwrap_or_default();
        for entry in entries.chunks_exact(LAYOUT_ENTRY).take(count) {
            let offset = u64_at(entry, 8)?;
            let length = u64_at(entry, 16)?;
            if length == 0 {
                continue;
            }
            let partition = match style {
                STYLE_MBR => Partition::Mbr(signature, offset),
                STYLE_GPT => Partition::Gpt(entry.get(48..64)?.try_into().ok()?),
                _ => continue,
            };
            layout.partitions.push((partition, offset));
        }
        Some(layout)
    }

    /// Where a partition begins.
    pub fn offset_of(&self, partition: &Partition) -> Option<u64> {
        let (_, offset) = self
            .partitions
            .iter()
            .find(|(found, _)| found == partition)?;
        Some(*offset)
    }
}

/// The disk and offset in `VOLUME_DISK_EXTENTS`, if there is one extent.
pub fn single_extent(bytes: &[u8]) -> Option<(u32, u64)> {
    match u32_at(bytes, 0)? {
        1 => Some((u32_at(bytes, 8)?, u64_at(bytes, 16)?)),
        _ => None,
    }
}

/// The attributes in `GET_DISK_ATTRIBUTES`.
pub fn attributes(bytes: &[u8]) -> u64 {
    u64_at(bytes, 8).unwrap_or(0)
}

/// `SET_DISK_ATTRIBUTES`: those in `mask` become `attributes`, for good.
pub fn set_attributes(attributes: u64, mask: u64) -> [u8; 40] {
    let mut bytes = [0; 40];
    bytes[..4].copy_from_slice(&40_u32.to_le_bytes());
    bytes[4] = 1;
    bytes[8..16].copy_from_slice(&attributes.to_le_bytes());
    bytes[16..24].copy_from_slice(&mask.to_le_bytes());
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(style: u32, entries: &[(u64, u64, [u8; 16])]) -> Vec<u8> {
        let mut bytes = vec![0; LAYOUT_HEADER];
        bytes[..4].copy_from_slice(&style.to_le_bytes());
        bytes[4..8].copy_from_slice(&(entries.len() as u32).to_le_bytes());
        bytes[8..12].copy_from_slice(&0x1a2b_3c4d_u32.to_le_bytes());
        for (offset, length, id) in entries {
            let mut entry = [0; LAYOUT_ENTRY];
            entry[8..16].copy_from_slice(&offset.to_le_bytes());
            entry[16..24].copy_from_slice(&length.to_le_bytes());
            entry[48..64].copy_from_slice(id);
            bytes.extend(entry);
        }
        bytes
    }

    #[test]
    fn layouts() {
        let mbr = Layout::parse(&layout(0, &[(1 << 20, 5, [0; 16]), (0, 0, [0; 16])])).unwrap();
        assert_eq!(
            mbr.offset_of(&Partition::Mbr(0x1a2b_3c4d, 1 << 20)),
            Some(1 << 20)
        );
        assert_eq!(mbr.partitions.len(), 1, "an empty entry is no partition");
        let gpt = Layout::parse(&layout(1, &[(7, 5, [9; 16])])).unwrap();
        assert_eq!(gpt.offset_of(&Partition::Gpt([9; 16])), Some(7));
        assert_eq!(gpt.offset_of(&Partition::Gpt([8; 16])), None);
        let raw = Layout::parse(&layout(2, &[(7, 5, [9; 16])])).unwrap();
        assert_eq!(raw.partitions, []);
        let whole = layout(1, &[(7, 5, [9; 16])]);
        for length in 0..whole.len() {
            let cut = Layout::parse(&whole[..length]);
            assert!(
                cut.map_or(true, |cut| cut.partitions.is_empty()),
                "{length}"
            );
        }
    }

    #[test]
    fn extents() {
        let mut bytes = [0; 32];
        bytes[0] = 1;
        bytes[8] = 3;
        bytes[18] = 0x10;
        assert_eq!(single_extent(&bytes), Some((3, 1 << 20)));
        bytes[0] = 2;
        assert_eq!(single_extent(&bytes), None);
        assert_eq!(single_extent(&bytes[..3]), None);
    }

    #[test]
    fn requests() {
        let bytes = set_attributes(0, 3);
        assert_eq!((bytes[0], bytes[4], bytes[16]), (40, 1, 3));
        assert_eq!(
            attributes(&[0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0]),
            2
        );
        assert_eq!(attributes(&[]), 0);
    }
}
