use std::{
    fs::File,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

use crate::{ImageError, Options, Result, image::within};

/// The first line of a VMDK descriptor (VMware, "Virtual Disk Format 5.0").
pub(crate) const DESCRIPTOR_MAGIC: &[u8] = b"# Disk DescriptorFile";

/// qemu reads no more of a descriptor (`vmdk_read_desc` in qemu's block/vmdk.c).
const DESCRIPTOR_LIMIT: usize = (1 << 20) - 1;

/// The extent files that qemu would open for the VMDK image at `path`, checked before it does.
///
/// A descriptor names its extents freely: `FLAT "/etc/shadow"` would make a host's file the guest's
/// disk, and `nbd://...` is a connection. Extents must be files in the image's own directory.
///
/// # Errors
///
/// [`ImageError::Reference`] for an extent elsewhere, [`ImageError::PartMissing`] for a missing one,
/// [`ImageError::Unsupported`] for an extent that is itself a descriptor.
pub(crate) fn extents(path: &Path, options: &Options) -> Result<Vec<PathBuf>> {
    let Some(descriptor) = descriptor(path)? else {
        return Ok(Vec::new());
    };
    let mut extents = Vec::new();
    for name in extent_names(&descriptor) {
        let extent = within(path, &name, "extent", options)?;
        // qemu follows a descriptor in an extent, too; no VMware product writes such a thing.
        if self::descriptor(&extent)?.is_some() {
            return Err(ImageError::Unsupported {
                path: extent,
                what: "a VMDK extent that is a descriptor itself".into(),
                advice: "copy the image again from its source",
            });
        }
        extents.push(extent);
    }
    Ok(extents)
}

/// The descriptor that qemu takes extents from: a text file, or the one that is embedded in a sparse
/// file of capacity 0. Other sparse files hold their data themselves.
fn descriptor(path: &Path) -> Result<Option<Vec<u8>>> {
    let reading = || ImageError::io(path, "reading the VMDK descriptor");
    let file = File::open(path).map_err(reading())?;
    let mut header = [0; 64];
    let got = read_up_to(&file, &mut header, 0).map_err(reading())?;
    if header.starts_with(b"KDMV") && got == header.len() {
        let field = |at: usize| {
            header[at..at + 8]
                .iter()
                .rev()
                .fold(0u64, |value, byte| value << 8 | u64::from(*byte))
        };
        let (capacity, offset) = (field(12), field(28));
        if capacity != 0 {
            return Ok(None);
        }
        return read_descriptor(&file, offset.saturating_mul(512))
            .map(Some)
            .map_err(reading());
    }
    if !header.starts_with(DESCRIPTOR_MAGIC) {
        return Ok(None);
    }
    read_descriptor(&file, 0).map(Some).map_err(reading())
}

fn read_descriptor(file: &File, offset: u64) -> std::io::Result<Vec<u8>> {
    let mut text = vec![0; DESCRIPTOR_LIMIT];
    let got = read_up_to(file, &mut text, offset)?;
    text.truncate(got);
    Ok(text)
}

fn read_up_to(file: &File, buffer: &mut [u8], offset: u64) -> std::io::Result<usize> {
    let mut got = 0;
    while got < buffer.len() {
        let Some(at) = offset
            .checked_add(got as u64)
            .filter(|at| *at <= i64::MAX as u64)
        else {
            break;
        };
        match file.read_at(&mut buffer[got..], at)? {
            0 => break,
            count => got += count,
        }
    }
    Ok(got)
}

/// Every quoted string that is not the value of a `key=`: a superset of the extent lines that qemu's
/// parser accepts, which may go across line ends (`access sectors type "name" offset`).
fn extent_names(descriptor: &[u8]) -> Vec<String> {
    let mut names = Vec::new();
    let mut rest = descriptor;
    while let Some(open) = rest.iter().position(|byte| *byte == b'"') {
        let value = rest[..open].trim_ascii_end().ends_with(b"=");
        let tail = &rest[open + 1..];
        let close = tail.iter().position(|byte| b"\"\r\n".contains(byte));
        let (name, after) = tail.split_at(close.unwrap_or(tail.len()));
        if !value {
            names.push(String::from_utf8_lossy(name).into_owned());
        }
        rest = after.get(1..).unwrap_or_default();
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_extent_names() {
        let cases: &[(&str, &[&str])] = &[
            (
                "# Disk DescriptorFile\ncreateType=\"monolithicFlat\"\nRW 4 FLAT \"a-flat.vmdk\" 0\n\
                 ddb.adapterType = \"lsilogic\"\n",
                &["a-flat.vmdk"],
            ),
            ("RW\n4\nFLAT\n\"/etc/shadow\" 0", &["/etc/shadow"]),
            (
                "RW 4 SPARSE \"a\"\r\nRW 4 SPARSE \"b c\"\r\n",
                &["a", "b c"],
            ),
            ("RW 4 FLAT \"unclosed", &["unclosed"]),
            ("CID=1\nparentFileNameHint=\"x.vmdk\"\n", &[]),
            ("x=\"unclosed\nRW 4 FLAT \"nbd://h\" 0", &["nbd://h"]),
        ];
        for (text, expected) in cases {
            assert_eq!(extent_names(text.as_bytes()), *expected, "{text:?}");
        }
    }
}
