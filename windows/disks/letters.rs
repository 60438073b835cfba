//! Drive letters: `MountedDevices`.
//!
//! The mount manager finds a volume again by what is written on its disk, not by where the disk hangs. So
//! the entries stay valid on the new machine and are left as they are:
//! * 12 bytes: signature of an MBR disk, offset of the volume in bytes;
//! * `DMIO:ID:` and 16 bytes: GUID of a GPT partition, or of a volume on dynamic disks;
//! * the device's path in UTF-16: removable media and CD-ROM drives, which do depend on the hardware.

use std::collections::BTreeSet;

use refit_hive::Hive;

/// What a letter belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Volume {
    /// On an MBR disk: its signature, and the offset in bytes.
    Mbr(u32, u64),
    /// A GPT partition, by its GUID (or a volume on dynamic disks).
    Gpt([u8; 16]),
    /// A CD-ROM drive, a floppy drive, or removable media.
    Removable,
}

/// A drive letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Letter {
    pub(super) letter: char,
    pub(super) volume: Volume,
}

/// More entries than a machine has.
const MOST: usize = 10_000;

/// The letters, sorted, and what could not be understood.
pub(super) fn read(system: &Hive) -> (Vec<Letter>, Vec<String>) {
    let (mut letters, mut warnings) = (Vec::new(), Vec::new());
    let Some(key) = system.key("MountedDevices") else {
        return (letters, warnings);
    };
    for value in key.values().take(MOST) {
        let Some(letter) = letter(&value.name) else {
            continue;
        };
        match volume(&value.value.data) {
            Some(volume) => letters.push(Letter { letter, volume }),
            None => warnings.push(format!(
                "the entry of drive {letter}: in MountedDevices is not understood; it stays as it is"
            )),
        }
    }
    letters.sort_by_key(|letter| letter.letter);
    (letters, warnings)
}

/// How many MBR disks have letters.
pub(super) fn signatures(letters: &[Letter]) -> usize {
    let signatures = letters.iter().filter_map(|letter| match letter.volume {
        Volume::Mbr(signature, _) => Some(signature),
        _ => None,
    });
    signatures.collect::<BTreeSet<u32>>().len()
}

/// `\DosDevices\C:`
fn letter(name: &str) -> Option<char> {
    let rest = name.strip_prefix(r"\DosDevices\")?.strip_suffix(':')?;
    let mut chars = rest.chars();
    let letter = chars.next().filter(char::is_ascii_alphabetic)?;
    chars
        .next()
        .is_none()
        .then_some(letter.to_ascii_uppercase())
}

fn volume(data: &[u8]) -> Option<Volume> {
    if let Some(guid) = data.strip_prefix(b"DMIO:ID:") {
        return Some(Volume::Gpt(guid.try_into().ok()?));
    }
    if let Ok(entry) = <[u8; 12]>::try_from(data) {
        let [a, b, c, d, offset @ ..] = entry;
        return Some(Volume::Mbr(
            u32::from_le_bytes([a, b, c, d]),
            u64::from_le_bytes(offset),
        ));
    }
    // "\??\" or "_??_" in UTF-16.
    let path = data.starts_with(b"\\\0?\0?\0\\\0") || data.starts_with(b"_\0?\0?\0_\0");
    path.then_some(Volume::Removable)
}

/// The GUID as Windows writes it, its first three parts least significant byte first.
pub(super) fn guid(bytes: &[u8; 16]) -> String {
    let [a, b, c, d, e, f, g, h, rest @ ..] = *bytes;
    let tail: String = rest.iter().map(|byte| format!("{byte:02X}")).collect();
    let (first, last) = tail.split_at(4);
    format!("{{{d:02X}{c:02X}{b:02X}{a:02X}-{f:02X}{e:02X}-{h:02X}{g:02X}-{first}-{last}}}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_letters_belong_to() {
        assert_eq!(letter(r"\DosDevices\e:"), Some('E'));
        for name in [
            r"\DosDevices\",
            r"\DosDevices\EE:",
            r"\??\Volume{x}",
            r"\DosDevices\1:",
        ] {
            assert_eq!(letter(name), None, "{name}");
        }
        let mbr = [0xa3, 0x36, 0x0d, 0x60, 0, 0, 0x10, 0, 0, 0, 0, 0];
        assert_eq!(volume(&mbr), Some(Volume::Mbr(0x600d_36a3, 1 << 20)));
        let mut gpt = b"DMIO:ID:".to_vec();
        let id = [
            0x3a, 0x94, 0x8d, 0x17, 0x1e, 0x79, 0x4f, 0xe9, 0x41, 0x86, 0x5d, 0x2e, 0x5b, 0x43,
            0x28, 0xcd,
        ];
        gpt.extend(id);
        assert_eq!(volume(&gpt), Some(Volume::Gpt(id)));
        assert_eq!(guid(&id), "{178D943A-791E-E94F-4186-5D2E5B4328CD}");
        assert_eq!(volume(b"\\\0?\0?\0\\\0I\0D\0E\0"), Some(Volume::Removable));
        assert_eq!(volume(b"_\0?\0?\0_\0U\0S\0B\0"), Some(Volume::Removable));
        for bytes in [
            &b""[..],
            b"DMIO:ID:",
            b"DMIO:ID:123",
            b"123456789",
            &[0; 13],
        ] {
            assert_eq!(volume(bytes), None, "{bytes:?}");
        }
    }
}
