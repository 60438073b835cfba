//! Initramfs images for cases.

use std::io::{Read as _, Write as _};

use anyhow::Result;

use crate::params::{Compression, Initramfs};

/// A cpio archive ("newc", the kernel's buffer-format.rst) with these files, compressed.
pub(crate) fn make(image: &Initramfs) -> Result<Vec<u8>> {
    let mut archive = Vec::new();
    let files = image.files.iter().map(|name| (name, 0o100_644, "content"));
    let links = image.links.iter();
    let links = links.map(|(name, target)| (name, 0o120_777, target.as_str()));
    let trailer = "TRAILER!!!".to_owned();
    for (name, mode, content) in links.chain(files).chain([(&trailer, 0, "")]) {
        archive.extend_from_slice(b"070701");
        let (size, name_size) = (content.len(), name.len() + 1);
        for field in [1, mode, 0, 0, 1, 0, size, 0, 0, 0, 0, name_size, 0] {
            archive.extend_from_slice(format!("{field:08x}").as_bytes());
        }
        for part in [format!("{name}\0").as_bytes(), content.as_bytes()] {
            archive.extend_from_slice(part);
            archive.resize(archive.len().next_multiple_of(4), 0);
        }
    }
    let mut packed = Vec::new();
    match image.compression {
        Compression::None => packed = archive,
        Compression::Gzip => {
            let level = flate2::Compression::fast();
            flate2::read::GzEncoder::new(archive.as_slice(), level).read_to_end(&mut packed)?;
        }
        Compression::Xz => {
            let options = lzma_rust2::XzOptions::default();
            let mut writer = lzma_rust2::XzWriter::new(&mut packed, options)?;
            writer.write_all(&archive)?;
            writer.finish()?;
        }
        Compression::Zstd => {
            let level = ruzstd::encoding::CompressionLevel::Fastest;
            packed = ruzstd::encoding::compress_to_vec(archive.as_slice(), level);
        }
        Compression::Lz4 => {
            let block = lz4_flex::block::compress(&archive);
            packed.extend_from_slice(&0x184c_2102_u32.to_le_bytes());
            packed.extend_from_slice(&u32::try_from(block.len())?.to_le_bytes());
            packed.extend_from_slice(&block);
        }
    }
    Ok(packed)
}
