use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// A disk image format, by qemu's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// The bytes of the disk.
    Raw,
    /// QEMU copy on write, versions 2 and 3.
    Qcow2,
    /// VMware: sparse, flat, streamOptimized (read-only).
    Vmdk,
    /// Hyper-V.
    Vhdx,
    /// VirtualBox.
    Vdi,
    /// Virtual PC, Hyper-V before 2012, Azure: dynamic and fixed.
    Vpc,
}

impl Format {
    /// qemu's name of the format, as `-f` takes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Qcow2 => "qcow2",
            Self::Vmdk => "vmdk",
            Self::Vhdx => "vhdx",
            Self::Vdi => "vdi",
            Self::Vpc => "vpc",
        }
    }

    /// The format that a file name's extension promises.
    pub(crate) fn from_extension(extension: &str) -> Option<Self> {
        match extension.to_ascii_lowercase().as_str() {
            "raw" => Some(Self::Raw),
            "qcow2" => Some(Self::Qcow2),
            "vmdk" => Some(Self::Vmdk),
            "vhdx" => Some(Self::Vhdx),
            "vdi" => Some(Self::Vdi),
            "vhd" => Some(Self::Vpc),
            _ => None,
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Format {
    type Err = String;

    /// Takes qemu's names, and `vhd` for `vpc`.
    fn from_str(name: &str) -> Result<Self, String> {
        match name {
            "raw" => Ok(Self::Raw),
            "qcow2" => Ok(Self::Qcow2),
            "vmdk" => Ok(Self::Vmdk),
            "vhdx" => Ok(Self::Vhdx),
            "vdi" => Ok(Self::Vdi),
            "vpc" | "vhd" => Ok(Self::Vpc),
            _ => Err(format!(
                "unknown disk format {name:?}: known are raw, qcow2, vmdk, vhdx, vdi, vpc"
            )),
        }
    }
}

/// How many bytes of a disk's start [`Sample::start`] needs: the superblock of btrfs is the last
/// thing that is looked for, at 64 KiB.
pub(crate) const SAMPLE_BYTES: u64 = 68 * 1024;

/// The parts of a file that tell its format.
#[derive(Debug)]
pub(crate) struct Sample {
    /// The first [`SAMPLE_BYTES`], or all.
    pub start: Vec<u8>,
    /// The last 512 bytes, or all.
    pub end: Vec<u8>,
    /// Length of the file or device, in bytes.
    pub len: u64,
}

/// What a [`Sample`] looks like.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Detected {
    /// An image with a header.
    Image(Format),
    /// A header, and a boot signature where that header has none: a raw disk may pretend.
    Contradictory(Format, &'static str),
    /// A partition table, file system or volume header at its usual place: surely a raw disk.
    Raw,
    /// A raw disk whose partition table goes beyond its end.
    TruncatedRaw {
        /// Where the partition table ends, in bytes.
        expected: u64,
    },
    /// All zeros: a disk that nothing was written to yet.
    Blank,
    /// A disk image of another format, by its name.
    ForeignImage(&'static str),
    /// No disk image: what it is, and what to do.
    NotADisk(&'static str),
    /// Nothing that is known.
    Unknown,
}

impl Sample {
    fn at(&self, offset: usize, magic: &[u8]) -> bool {
        self.start
            .get(offset..)
            .is_some_and(|tail| tail.starts_with(magic))
    }

    /// An unsigned little-endian number of up to 8 bytes.
    fn number(&self, offset: usize, bytes: usize) -> Option<u64> {
        let field = self.start.get(offset..offset.checked_add(bytes)?)?;
        Some(
            field
                .iter()
                .rev()
                .fold(0, |value, byte| value << 8 | u64::from(*byte)),
        )
    }

    fn boot_signature(&self) -> bool {
        self.at(510, &[0x55, 0xaa])
    }

    /// Detects the format.
    pub(crate) fn detect(&self) -> Detected {
        if let Some(format) = self.header() {
            return if self.boot_signature() {
                Detected::Contradictory(
                    format,
                    "its header also carries a boot sector's signature, as a raw disk does",
                )
            } else {
                Detected::Image(format)
            };
        }
        for (magic, name) in FOREIGN_IMAGES {
            if self.at(0, magic) {
                return Detected::ForeignImage(name);
            }
        }
        if self.end.starts_with(b"conectix") {
            // A fixed VHD is a raw disk with a footer, so the end of a raw disk can look like one.
            return Detected::Contradictory(Format::Vpc, "its last sector looks like a VHD footer");
        }
        if !self.boot_signature()
            && let Some(what) = self.other_file()
        {
            return Detected::NotADisk(what);
        }
        if !self.len.is_multiple_of(512) {
            return Detected::NotADisk(
                "its size is not a multiple of 512 bytes, and it has no header of a known image \
                 format; it may be truncated",
            );
        }
        if let Some(expected) = self.partitions_end().filter(|end| *end > self.len) {
            return Detected::TruncatedRaw { expected };
        }
        if self.boot_signature() || RAW_SIGNATURES.iter().any(|(at, magic)| self.at(*at, magic)) {
            return Detected::Raw;
        }
        if self.start.iter().all(|byte| *byte == 0) {
            return Detected::Blank;
        }
        Detected::Unknown
    }

    /// The format whose header stands at the start.
    fn header(&self) -> Option<Format> {
        if self.at(0, b"QFI\xfb\0\0\0\x02") || self.at(0, b"QFI\xfb\0\0\0\x03") {
            Some(Format::Qcow2)
        } else if self.at(0, b"KDMV")
            || self.at(0, b"COWD")
            || self.at(0, crate::vmdk::DESCRIPTOR_MAGIC)
        {
            Some(Format::Vmdk)
        } else if self.at(0, b"vhdxfile") {
            Some(Format::Vhdx)
        } else if self.at(64, &[0x7f, 0x10, 0xda, 0xbe]) {
            Some(Format::Vdi)
        } else if self.at(0, b"conectix") {
            Some(Format::Vpc)
        } else {
            None
        }
    }

    fn other_file(&self) -> Option<&'static str> {
        for (offset, magic, what) in OTHER_FILES {
            if self.at(*offset, magic) {
                return Some(what);
            }
        }
        let head = self.start.get(..512).unwrap_or(&self.start);
        let text = |byte: &u8| byte.is_ascii_graphic() || b" \t\r\n\x0c".contains(byte);
        (!head.is_empty() && head.iter().all(text)).then_some("it is a text file")
    }

    /// Where the partition table says that the disk ends (at least), in bytes of 512-byte sectors.
    ///
    /// MBR: entries of 16 bytes from offset 446. GPT: UEFI specification, table 5-5, the header's
    /// AlternateLBA is the disk's last sector.
    fn partitions_end(&self) -> Option<u64> {
        if !self.boot_signature() {
            return None;
        }
        if self.at(512, b"EFI PART") {
            return self.number(512 + 32, 8)?.checked_add(1)?.checked_mul(512);
        }
        let mut end = 0;
        for entry in (446..510).step_by(16) {
            let (status, kind) = (self.number(entry, 1)?, self.number(entry + 4, 1)?);
            if !matches!(status, 0 | 0x80) {
                return None; // boot code: a file system without partition table
            }
            if !matches!(kind, 0 | 0xee) {
                end = end.max(self.number(entry + 8, 4)? + self.number(entry + 12, 4)?);
            }
        }
        Some(end * 512)
    }
}

/// Formats that qemu knows and refit does not work on. They are named so that no raw disk is made of them.
const FOREIGN_IMAGES: &[(&[u8], &str)] = &[
    (b"QFI\xfb", "qcow version 1"),
    (b"QED\0", "QED"),
    (b"WithoutFreeSpace", "Parallels"),
    (b"WithouFreSpacExt", "Parallels"),
    (b"Bochs Virtual HD Image", "Bochs"),
];

/// Signatures of disks and volumes that have no boot sector, with their offsets.
const RAW_SIGNATURES: &[(usize, &[u8])] = &[
    (512, b"EFI PART"),
    (4096, b"EFI PART"),
    (1080, &[0x53, 0xef]), // ext2, ext3, ext4
    (0, b"XFSB"),
    (65600, b"_BHRfS_M"), // btrfs
    (0, b"LABELONE"),
    (512, b"LABELONE"), // LVM2 physical volume, in one of the first four sectors
    (1024, b"LABELONE"),
    (1536, b"LABELONE"),
    (0, b"LUKS\xba\xbe"),
    (4096, &[0xfc, 0x4e, 0x2b, 0xa9]), // md, superblock 1.2
    (4086, b"SWAPSPACE2"),
    (32769, b"CD001"), // ISO 9660
];

/// Files that people give by mistake, with what they should do.
const OTHER_FILES: &[(usize, &[u8], &str)] = &[
    (
        0,
        &[0x1f, 0x8b],
        "it is compressed with gzip; unpack it first",
    ),
    (
        0,
        &[0xfd, b'7', b'z', b'X', b'Z', 0],
        "it is compressed with xz; unpack it first",
    ),
    (
        0,
        &[0x28, 0xb5, 0x2f, 0xfd],
        "it is compressed with zstd; unpack it first",
    ),
    (0, b"BZh", "it is compressed with bzip2; unpack it first"),
    (0, b"PK\x03\x04", "it is a zip archive; unpack it first"),
    (
        257,
        b"ustar",
        "it is a tar archive; unpack it, or use `refit convert` if it is an OVA",
    ),
    (0, b"\x7fELF", "it is a program"),
    (0, b"%PDF", "it is a PDF document"),
];

#[cfg(test)]
mod tests {
    use super::*;

    type Parts<'a> = &'a [(usize, &'a [u8])];

    fn sample(parts: Parts) -> Sample {
        let mut disk = vec![0; 128 * 1024];
        for (offset, bytes) in parts {
            disk[*offset..offset + bytes.len()].copy_from_slice(bytes);
        }
        Sample {
            start: disk[..SAMPLE_BYTES as usize].to_vec(),
            end: disk[disk.len() - 512..].to_vec(),
            len: disk.len() as u64,
        }
    }

    #[test]
    fn detects_by_content() {
        const BOOT: (usize, &[u8]) = (510, &[0x55, 0xaa]);
        let cases: &[(Parts, Detected)] = &[
            (&[(0, b"QFI\xfb\0\0\0\x03")], Detected::Image(Format::Qcow2)),
            (&[(0, b"QFI\xfb\0\0\0\x02")], Detected::Image(Format::Qcow2)),
            (
                &[(0, b"QFI\xfb\0\0\0\x01")],
                Detected::ForeignImage("qcow version 1"),
            ),
            (&[(0, b"KDMV")], Detected::Image(Format::Vmdk)),
            (
                &[(0, b"# Disk DescriptorFile\n")],
                Detected::Image(Format::Vmdk),
            ),
            (&[(0, b"vhdxfile")], Detected::Image(Format::Vhdx)),
            (
                &[(64, &[0x7f, 0x10, 0xda, 0xbe])],
                Detected::Image(Format::Vdi),
            ),
            (&[(0, b"conectix")], Detected::Image(Format::Vpc)),
            (&[BOOT], Detected::Raw),
            (&[(1080, &[0x53, 0xef])], Detected::Raw),
            (&[(0, b"LUKS\xba\xbe")], Detected::Raw),
            (&[(65600, b"_BHRfS_M")], Detected::Raw),
            (&[], Detected::Blank),
            (&[(20, b"\x01\x02")], Detected::Unknown),
            (&[(0, b"QED\0"), BOOT], Detected::ForeignImage("QED")),
        ];
        for (parts, expected) in cases {
            assert_eq!(&sample(parts).detect(), expected, "{parts:?}");
        }
    }

    #[test]
    fn a_raw_disk_that_pretends_is_not_believed() {
        for magic in [&b"QFI\xfb\0\0\0\x03"[..], b"KDMV", b"conectix", b"vhdxfile"] {
            let found = sample(&[(0, magic), (510, &[0x55, 0xaa])]).detect();
            assert!(matches!(found, Detected::Contradictory(..)), "{found:?}");
        }
        let found = sample(&[(510, &[0x55, 0xaa]), (128 * 1024 - 512, b"conectix")]).detect();
        assert!(matches!(found, Detected::Contradictory(Format::Vpc, _)));
    }

    #[test]
    fn sees_what_is_no_disk() {
        let text = Sample {
            start: b"hello, world\n".to_vec(),
            end: b"hello, world\n".to_vec(),
            len: 13,
        };
        assert_eq!(text.detect(), Detected::NotADisk("it is a text file"));
        let mut odd = sample(&[(20, &[1, 2, 3])]);
        odd.len += 1;
        assert!(matches!(odd.detect(), Detected::NotADisk(why) if why.contains("512")));
        let archive = sample(&[(257, b"ustar")]).detect();
        assert!(matches!(archive, Detected::NotADisk(why) if why.contains("tar archive")));
    }

    #[test]
    fn sees_a_partition_table_beyond_the_end() {
        let boot = (510, &[0x55, 0xaa][..]);
        let mbr = |start: u32, count: u32| {
            let mut entry = vec![0x80, 0, 0, 0, 0x83, 0, 0, 0];
            entry.extend(start.to_le_bytes());
            entry.extend(count.to_le_bytes());
            sample(&[(446, &entry), boot]).detect()
        };
        assert_eq!(mbr(8, 248), Detected::Raw);
        assert_eq!(
            mbr(8, 249),
            Detected::TruncatedRaw {
                expected: 257 * 512
            }
        );
        assert_eq!(
            mbr(u32::MAX, u32::MAX),
            Detected::TruncatedRaw {
                expected: u64::from(u32::MAX) * 1024
            }
        );
        let gpt = |last: u64| {
            let last = last.to_le_bytes();
            sample(&[(512, b"EFI PART"), (544, &last), boot]).detect()
        };
        assert_eq!(gpt(255), Detected::Raw);
        assert_eq!(
            gpt(256),
            Detected::TruncatedRaw {
                expected: 257 * 512
            }
        );
        assert_eq!(gpt(u64::MAX), Detected::Raw); // no sense in it: the guest's own affair
        // FAT without partitions: boot code where the table would be.
        assert_eq!(sample(&[(446, &[0x42; 64]), boot]).detect(), Detected::Raw);
    }

    #[test]
    fn names_round_trip() {
        for name in ["raw", "qcow2", "vmdk", "vhdx", "vdi", "vpc"] {
            assert_eq!(name.parse::<Format>().unwrap().to_string(), name);
        }
        assert_eq!("vhd".parse(), Ok(Format::Vpc));
        assert!("luks".parse::<Format>().unwrap_err().contains("luks"));
    }
}
