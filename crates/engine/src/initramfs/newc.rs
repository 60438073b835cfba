//! The `newc` form of cpio archives (cpio(5); Linux
//! `Documentation/driver-api/early-userspace/buffer-format.rst`).

use std::collections::BTreeSet;

use anyhow::Context as _;

use crate::change::InitramfsFile;
use crate::path::GuestPath;

/// Archives begin at multiples of this, and so do the parts within one.
pub(super) const ALIGNMENT: usize = 4;
/// What each entry begins with.
pub(super) const MAGIC: &[u8; 6] = b"070701";
const HEADER: usize = 110;
/// Name of the last entry.
pub(super) const TRAILER: &[u8] = b"TRAILER!!!";

/// What an entry's header says.
#[derive(Debug, Clone, Copy)]
pub(super) struct Header {
    mode: u32,
    size: usize,
    name_size: usize,
}

impl Header {
    /// Reads the header that `bytes` begin with; `None` if there is none.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let header = bytes.get(..HEADER)?;
        if !header.starts_with(MAGIC) {
            return None;
        }
        let field = |index: usize| {
            let digits = std::str::from_utf8(&header[6 + 8 * index..14 + 8 * index]).ok()?;
            u32::from_str_radix(digits, 16).ok()
        };
        Some(Self {
            mode: field(1)?,
            size: field(6)? as usize,
            name_size: field(11)? as usize,
        })
    }

    /// Length of the whole entry, up to where the next one begins.
    pub(super) fn entry_size(self) -> usize {
        (self.content_at() + self.size).next_multiple_of(ALIGNMENT)
    }

    fn content_at(self) -> usize {
        (HEADER + self.name_size).next_multiple_of(ALIGNMENT)
    }
}

/// The entries of an archive with these files and the directories that they are in, without the
/// trailer. The order of `files` does not matter; the result is the same every time.
///
/// # Errors
/// If a file or a name does not fit into the format (4 GiB).
pub(super) fn entries(files: &[InitramfsFile]) -> anyhow::Result<Vec<u8>> {
    let mut files: Vec<&InitramfsFile> = files.iter().collect();
    files.sort();
    let mut dirs = BTreeSet::new();
    for file in &files {
        let mut dir = file.path.parent();
        while let Some(here) = dir.filter(|dir| !dir.is_root()) {
            dir = here.parent();
            dirs.insert(here);
        }
    }
    let mut out = Vec::new();
    let mut inode = 0;
    for dir in &dirs {
        inode += 1;
        entry(&mut out, inode, 0o040_755, 2, &dir.as_bytes()[1..], &[])?;
    }
    for file in files {
        inode += 1;
        entry(
            &mut out,
            inode,
            0o100_000 | file.mode,
            1,
            &file.path.as_bytes()[1..],
            &file.content,
        )?;
    }
    Ok(out)
}

/// The entry that ends an archive.
///
/// # Errors
/// None that can happen.
pub(super) fn trailer() -> anyhow::Result<Vec<u8>> {
    let mut out = Vec::new();
    entry(&mut out, 0, 0, 1, TRAILER, &[])?;
    Ok(out)
}

fn entry(
    out: &mut Vec<u8>,
    inode: u32,
    mode: u32,
    nlink: u32,
    name: &[u8],
    content: &[u8],
) -> anyhow::Result<()> {
    let size =
        u32::try_from(content.len()).context("a file for an initramfs is longer than 4 GiB")?;
    let name_size = u32::try_from(name.len() + 1).context("a name for an initramfs is too long")?;
    out.extend_from_slice(MAGIC);
    // ino, mode, uid, gid, nlink, mtime, filesize, devmajor, devminor, rdevmajor, rdevminor,
    // namesize, check
    for field in [inode, mode, 0, 0, nlink, 0, size, 0, 0, 0, 0, name_size, 0] {
        out.extend_from_slice(format!("{field:08x}").as_bytes());
    }
    out.extend_from_slice(name);
    out.push(0);
    pad(out);
    out.extend_from_slice(content);
    pad(out);
    Ok(())
}

fn pad(out: &mut Vec<u8>) {
    out.resize(out.len().next_multiple_of(ALIGNMENT), 0);
}

/// Whether an entry is the first of an archive that [`entries`] made: it numbers inodes from one.
pub(super) fn is_first_entry(entry: &[u8]) -> bool {
    entry.get(MAGIC.len()..MAGIC.len() + 8) == Some(b"00000001")
}

/// Whether these bytes end with an archive: with its trailer and padding.
pub(super) fn ends_with_archive(bytes: &[u8]) -> bool {
    let end = bytes
        .iter()
        .rposition(|&b| b != 0)
        .map_or(0, |last| last + 1);
    bytes[..end].ends_with(TRAILER)
}

/// The regular files in archives until the end of `bytes`; `None` unless all of it is well-formed.
pub(super) fn parse(bytes: &[u8]) -> Option<Vec<InitramfsFile>> {
    let mut files = Vec::new();
    let mut at = 0;
    loop {
        let header = Header::read(bytes.get(at..)?)?;
        let name = bytes
            .get(at + HEADER..(at + HEADER).checked_add(header.name_size)?)?
            .strip_suffix(b"\0")?;
        let content_at = at + header.content_at();
        let content = bytes.get(content_at..content_at.checked_add(header.size)?)?;
        at += header.entry_size();
        if name == TRAILER {
            // Padding, and another archive or the end.
            let rest = bytes.get(at..).unwrap_or_default();
            match rest.iter().position(|&b| b != 0) {
                None => return Some(files),
                Some(zeros) => at += zeros,
            }
            if at % ALIGNMENT != 0 {
                return None;
            }
        } else if header.mode & 0o170_000 == 0o100_000 {
            files.push(InitramfsFile {
                path: GuestPath::new(name),
                mode: header.mode & 0o7777,
                content: content.to_vec(),
            });
        }
    }
}
