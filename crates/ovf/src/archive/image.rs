//! What a disk's first bytes say: its format and virtual size. The descriptor's own claims are not believed.

use std::io::{self, Read as _};

use serde::Serialize;

use super::Member;

/// A disk image by its header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct ImageHeader {
    /// The format.
    pub format: ImageFormat,
    /// Size in bytes as the guest sees it, if the header gives it.
    pub virtual_size: Option<u64>,
}

/// Formats of disk images in appliances.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ImageFormat {
    /// VMDK whose grains are compressed, in the order of a stream.
    VmdkStreamOptimized,
    /// VMDK with grains, not compressed.
    VmdkSparse,
    /// A text that names the files with the data.
    VmdkDescriptor,
    /// qcow2.
    Qcow2,
    /// VHDX.
    Vhdx,
    /// VHD with its header at the start (dynamic or differencing).
    Vhd,
    /// `VirtualBox`'s own.
    Vdi,
    /// gzip.
    Gzip,
    /// ISO 9660.
    Iso,
    /// None of these, so raw, or a fixed VHD, which ends with its description.
    Raw,
}

/// Bytes that are looked at: up to the first volume descriptor of an ISO.
const START: usize = 0x8006;

/// Reads the header of an image from its first piece.
///
/// # Errors
///
/// If it cannot be read.
pub fn header(first: &Member) -> io::Result<ImageHeader> {
    let mut start = Vec::new();
    first.open()?.take(START as u64).read_to_end(&mut start)?;
    Ok(of_bytes(&start, first.size))
}

/// Reads a header from the first bytes of an image.
pub(crate) fn of_bytes(start: &[u8], size: u64) -> ImageHeader {
    let number = |at: usize| -> Option<[u8; 8]> { start.get(at..at + 8)?.try_into().ok() };
    let is_at = |at: usize, magic: &[u8]| {
        start
            .get(at..at + magic.len())
            .is_some_and(|found| found == magic)
    };
    let (format, virtual_size) = if is_at(0, b"KDMV") {
        let flags = start
            .get(8..12)
            .and_then(|flags| flags.try_into().ok())
            .map_or(0, u32::from_le_bytes);
        let sectors = number(12).map(u64::from_le_bytes);
        let bytes = sectors.and_then(|sectors| sectors.checked_mul(512));
        // Bit 16: compressed; bit 17: markers between the parts (Virtual Disk Format 5.0, section 3).
        let format = if flags & 0x3_0000 == 0x3_0000 {
            ImageFormat::VmdkStreamOptimized
        } else {
            ImageFormat::VmdkSparse
        };
        (format, bytes)
    } else if is_at(0, b"# Disk DescriptorFile") {
        (ImageFormat::VmdkDescriptor, None)
    } else if is_at(0, b"QFI\xfb") {
        (ImageFormat::Qcow2, number(24).map(u64::from_be_bytes))
    } else if is_at(0, b"vhdxfile") {
        (ImageFormat::Vhdx, None)
    } else if is_at(0, b"conectix") {
        (ImageFormat::Vhd, number(48).map(u64::from_be_bytes))
    } else if is_at(0x40, &0xbeda_107f_u32.to_le_bytes()) {
        (ImageFormat::Vdi, number(0x170).map(u64::from_le_bytes))
    } else if is_at(0, b"\x1f\x8b") {
        (ImageFormat::Gzip, None)
    } else if is_at(0x8001, b"CD001") {
        (ImageFormat::Iso, None)
    } else {
        (ImageFormat::Raw, Some(size))
    };
    ImageHeader {
        format,
        virtual_size,
    }
}

impl ImageFormat {
    /// For people.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::VmdkStreamOptimized => "VMDK (stream-optimized)",
            Self::VmdkSparse => "VMDK (sparse)",
            Self::VmdkDescriptor => "VMDK (descriptor)",
            Self::Qcow2 => "qcow2",
            Self::Vhdx => "VHDX",
            Self::Vhd => "VHD",
            Self::Vdi => "VDI",
            Self::Gzip => "gzip",
            Self::Iso => "ISO 9660",
            Self::Raw => "raw",
        }
    }
}
