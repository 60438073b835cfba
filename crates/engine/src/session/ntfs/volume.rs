//! What an NTFS volume says of itself: file 3 of its master file table, `$Volume` (layout: Linux kernel,
//! `fs/ntfs3/ntfs.h`; NTFS documentation of the Linux-NTFS project).

/// Length of everything that is read at once here, in bytes: the longest record and a sector.
const RECORD_LIMIT: usize = 64 * 1024;
/// Number of `$Volume` in the table. The table's first records lie together.
const VOLUME_RECORD: u64 = 3;
/// Type of the attribute with the volume's name.
const NAME: u32 = 0x60;
/// Type of the attribute with the volume's flags.
const INFORMATION: u32 = 0x70;
/// Flag: a check is due.
const DIRTY: u16 = 1;
/// Sectors are protected in parts of this length, whatever the disk's are.
const PROTECTED: usize = 512;

/// A volume's own words.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Volume {
    /// Whether Windows will check it (`chkdsk`) before it uses it again.
    pub(crate) dirty: bool,
    /// Its name, if it has one.
    pub(crate) label: Option<String>,
}

/// Reads `$Volume`; `read` gives so many bytes from an offset of the device. `None` if it is no NTFS, or not sound.
pub(crate) fn read(read: &mut dyn FnMut(u64, usize) -> Option<Vec<u8>>) -> Option<Volume> {
    let boot = read(0, PROTECTED)?;
    if boot.get(3..11)? != b"NTFS    " {
        return None;
    }
    let sector = u64::from(u16_at(&boot, 0x0b)?);
    // From 129 on the byte is a negative power of two (clusters of more than 64 KiB).
    let cluster = match *boot.get(0x0d)? {
        count @ 1..=128 => sector.checked_mul(u64::from(count))?,
        power => sector.checked_shl(u32::from(power.wrapping_neg()))?,
    };
    let length = match i8::from_le_bytes([*boot.get(0x40)?]) {
        count @ 1.. => cluster.checked_mul(u64::try_from(count).ok()?)?,
        power => 1_u64.checked_shl(u32::from(power.unsigned_abs()))?,
    };
    let length = usize::try_from(length).ok()?;
    if !(PROTECTED..=RECORD_LIMIT).contains(&length) {
        return None;
    }
    let table = u64_at(&boot, 0x30)?.checked_mul(cluster)?;
    let place = VOLUME_RECORD.checked_mul(length as u64)?;
    let record = read(table.checked_add(place)?, length)?;
    parse(restore(record, length)?)
}

/// The record as it was before its sectors were protected: the last two bytes of each are kept elsewhere.
fn restore(mut record: Vec<u8>, length: usize) -> Option<Vec<u8>> {
    if record.len() != length || record.get(..4)? != b"FILE" {
        return None;
    }
    let array = usize::from(u16_at(&record, 4)?);
    let count = usize::from(u16_at(&record, 6)?);
    if count.checked_sub(1)? != length / PROTECTED {
        return None;
    }
    let mark = u16_at(&record, array)?;
    for part in 1..count {
        let kept = u16_at(&record, array + 2 * part)?;
        let end = part * PROTECTED - 2;
        if u16_at(&record, end)? != mark {
            return None;
        }
        record
            .get_mut(end..end + 2)?
            .copy_from_slice(&kept.to_le_bytes());
    }
    Some(record)
}

fn parse(record: Vec<u8>) -> Option<Volume> {
    let mut volume = None;
    let mut label = None;
    let mut at = usize::from(u16_at(&record, 0x14)?);
    loop {
        let kind = u32_at(&record, at)?;
        if kind == u32::MAX {
            break;
        }
        let length = usize::try_from(u32_at(&record, at + 4)?).ok()?;
        let attribute = record.get(at..at.checked_add(length)?)?;
        // Both lie in the record itself.
        if length < 0x18 || attribute[8] != 0 {
            return None;
        }
        let start = usize::from(u16_at(attribute, 0x14)?);
        let size = usize::try_from(u32_at(attribute, 0x10)?).ok()?;
        let content = attribute.get(start..start.checked_add(size)?)?;
        match kind {
            NAME => {
                let (pairs, _) = content.as_chunks::<2>();
                let units: Vec<u16> = pairs.iter().map(|pair| u16::from_le_bytes(*pair)).collect();
                label = Some(String::from_utf16_lossy(&units)).filter(|label| !label.is_empty());
            }
            INFORMATION => volume = Some(u16_at(content, 10)? & DIRTY != 0),
            _ => {}
        }
        at += length;
    }
    Some(Volume {
        dirty: volume?,
        label,
    })
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLUSTER: usize = 4096;

    /// A volume of ten clusters whose table begins at the fourth.
    fn disk(flags: u16, label: &str) -> Vec<u8> {
        let mut disk = vec![0; 10 * CLUSTER];
        disk[3..11].copy_from_slice(b"NTFS    ");
        disk[0x0b..0x0d].copy_from_slice(&512_u16.to_le_bytes());
        disk[0x0d] = 8;
        disk[0x30] = 4;
        // Records of 1024 bytes.
        disk[0x40] = 0xf6;
        let record = &mut disk[4 * CLUSTER + 3 * 1024..][..1024];
        record[..4].copy_from_slice(b"FILE");
        record[4] = 0x30;
        record[6] = 3;
        record[0x14] = 0x38;
        let name: Vec<u8> = label.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let mut information = [0; 12];
        information[8..10].copy_from_slice(&[3, 1]);
        information[10..].copy_from_slice(&flags.to_le_bytes());
        let mut at = 0x38;
        for (kind, content) in [(0x60_u32, &name[..]), (0x70, &information)] {
            let length = (0x18 + content.len()).next_multiple_of(8);
            record[at..at + 4].copy_from_slice(&kind.to_le_bytes());
            record[at + 4] = length as u8;
            record[at + 0x10] = content.len() as u8;
            record[at + 0x14] = 0x18;
            record[at + 0x18..at + 0x18 + content.len()].copy_from_slice(content);
            at += length;
        }
        record[at..at + 4].copy_from_slice(&[0xff; 4]);
        // Each part ends with the mark; what was there is behind the mark in the array.
        record[0x30..0x36].copy_from_slice(&[7, 0, 0xaa, 0xbb, 0xcc, 0xdd]);
        for end in [510, 1022] {
            record[end..end + 2].copy_from_slice(&[7, 0]);
        }
        disk
    }

    fn volume(disk: &[u8]) -> Option<Volume> {
        read(&mut |offset, length| {
            let offset = usize::try_from(offset).ok()?;
            Some(disk.get(offset..offset.checked_add(length)?)?.to_vec())
        })
    }

    #[test]
    fn flags_and_name() {
        for (flags, label, dirty) in [
            (0, "", false),
            (1, "Daten ä", true),
            (0x4001, "x", true),
            (0x8000, "", false),
        ] {
            let expected = Volume {
                dirty,
                label: Some(label.to_owned()).filter(|label| !label.is_empty()),
            };
            assert_eq!(volume(&disk(flags, label)), Some(expected), "{flags}");
        }
    }

    #[test]
    fn large_clusters() {
        let mut disk = disk(1, "");
        // 512 << 3 as a negative power.
        disk[0x0d] = 0xfd;
        assert!(volume(&disk).unwrap().dirty);
    }

    /// What is no NTFS, or contradicts itself, says nothing; no byte of it leads out of bounds.
    #[test]
    fn hostile_volumes() {
        assert_eq!(volume(&[0; 512]), None);
        assert_eq!(volume(b"NTFS"), None);
        let sound = disk(1, "x");
        let record = 4 * CLUSTER + 3 * 1024;
        let header = (0..0x60)
            .chain(record..record + 0x90)
            .chain([record + 510, record + 1022]);
        for at in header {
            for byte in [0, 1, 0x7f, 0x80, 0xff] {
                let mut disk = sound.clone();
                disk[at] = byte;
                // Whatever it is, it comes to an end.
                let _ = volume(&disk);
            }
        }
        for (at, byte) in [
            (record, 0),
            (record + 510, 8),
            (record + 6, 9),
            (record + 0x3c, 0),
            (0x40, 0),
        ] {
            let mut disk = sound.clone();
            disk[at] = byte;
            assert_eq!(volume(&disk), None, "{at:#x}");
        }
    }
}
