//! Adding files to an initramfs by appending an archive, without rebuilding it.
//!
//! The kernel unpacks every archive in an initramfs, compressed or not, one after another; an
//! uncompressed one must begin at a multiple of four bytes (Linux
//! `Documentation/driver-api/early-userspace/buffer-format.rst`). So a file is added with one small
//! `newc` archive at the end, in milliseconds, where a rebuild takes a minute and the guest's own
//! tools. A later file of the same name replaces the earlier one.

use std::collections::BTreeSet;

use anyhow::{Context as _, ensure};

use crate::change::InitramfsFile;
use crate::path::GuestPath;

/// Archives begin at multiples of this, and so do the parts within one.
const ALIGNMENT: usize = 4;
const MAGIC: &[u8; 6] = b"070701";
const HEADER: usize = 110;
const TRAILER: &[u8] = b"TRAILER!!!";
/// First look at the end of an image; doubled while the archive found there may begin earlier.
const WINDOW: usize = 64 * 1024;
/// Appended archives are looked for this far from the end, and no farther.
const MAX_WINDOW: usize = 64 * 1024 * 1024;

/// The bytes to append to an image of `image_size` bytes so that it gains `files`: padding, then
/// one `newc` archive. The order of `files` does not matter; the result is the same every time.
///
/// # Errors
/// If a file or a name does not fit into the format (4 GiB).
pub fn segment(image_size: u64, files: &[InitramfsFile]) -> anyhow::Result<Vec<u8>> {
    let padding = image_size.next_multiple_of(ALIGNMENT as u64) - image_size;
    let mut out = vec![0; usize::try_from(padding)?];
    let start = out.len();
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
    let mut inode = 0;
    for dir in &dirs {
        inode += 1;
        entry(
            &mut out,
            start,
            inode,
            0o040_755,
            2,
            &dir.as_bytes()[1..],
            &[],
        )?;
    }
    for file in files {
        inode += 1;
        entry(
            &mut out,
            start,
            inode,
            0o100_000 | file.mode,
            1,
            &file.path.as_bytes()[1..],
            &file.content,
        )?;
    }
    entry(&mut out, start, 0, 0, 1, TRAILER, &[])?;
    Ok(out)
}

fn entry(
    out: &mut Vec<u8>,
    start: usize,
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
    pad(out, start);
    out.extend_from_slice(content);
    pad(out, start);
    Ok(())
}

fn pad(out: &mut Vec<u8>, start: usize) {
    let length = (out.len() - start).next_multiple_of(ALIGNMENT);
    out.resize(start + length, 0);
}

/// The regular files in the uncompressed archives at the very end of an image, in their order.
///
/// `read_at(offset, length)` reads the image. What comes before those archives (normally the
/// compressed main one) is not unpacked.
///
/// # Errors
/// Those of `read_at`.
pub fn read_appended(
    image_size: u64,
    mut read_at: impl FnMut(u64, usize) -> anyhow::Result<Vec<u8>>,
) -> anyhow::Result<Vec<InitramfsFile>> {
    let mut window = WINDOW;
    loop {
        let length = usize::try_from(image_size)
            .unwrap_or(usize::MAX)
            .min(window);
        let offset = image_size - length as u64;
        let tail = read_at(offset, length)?;
        ensure!(
            tail.len() == length,
            "the image ended {} bytes early",
            length - tail.len()
        );
        let first = usize::try_from(offset.next_multiple_of(ALIGNMENT as u64) - offset)?;
        let found = (first..tail.len())
            .step_by(ALIGNMENT)
            .filter(|&at| tail[at..].starts_with(MAGIC))
            .find_map(|at| Some((at, parse(&tail[at..])?)));
        // What was found may be the rest of an archive that begins before the window, or may follow
        // another one.
        let whole = offset == 0 || window >= MAX_WINDOW;
        match found {
            Some((at, files))
                if whole || (is_first_entry(&tail[at..]) && !ends_with_archive(&tail[..at])) =>
            {
                return Ok(files);
            }
            None if whole || !ends_with_archive(&tail) => return Ok(Vec::new()),
            _ => window *= 2,
        }
    }
}

/// Whether an entry is the first of an archive that [`segment`] made: it numbers inodes from one.
fn is_first_entry(entry: &[u8]) -> bool {
    entry.get(MAGIC.len()..MAGIC.len() + 8) == Some(b"00000001")
}

/// Whether these bytes end with an archive: with its trailer and padding.
fn ends_with_archive(bytes: &[u8]) -> bool {
    let end = bytes
        .iter()
        .rposition(|&b| b != 0)
        .map_or(0, |last| last + 1);
    bytes[..end].ends_with(TRAILER)
}

/// Parses archives until the end of `bytes`; `None` unless all of it is well-formed.
fn parse(bytes: &[u8]) -> Option<Vec<InitramfsFile>> {
    let mut files = Vec::new();
    let mut at = 0;
    loop {
        let header = bytes.get(at..at + HEADER)?;
        if !header.starts_with(MAGIC) {
            return None;
        }
        let field = |index: usize| {
            let digits = std::str::from_utf8(&header[6 + 8 * index..14 + 8 * index]).ok()?;
            u32::from_str_radix(digits, 16).ok()
        };
        let (mode, size, name_size) = (field(1)?, field(6)? as usize, field(11)? as usize);
        let name = bytes
            .get(at + HEADER..(at + HEADER).checked_add(name_size)?)?
            .strip_suffix(b"\0")?;
        let content_at = (at + HEADER + name_size).next_multiple_of(ALIGNMENT);
        let content = bytes.get(content_at..content_at.checked_add(size)?)?;
        at = (content_at + size).next_multiple_of(ALIGNMENT);
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
        } else if mode & 0o170_000 == 0o100_000 {
            files.push(InitramfsFile {
                path: GuestPath::new(name),
                mode: mode & 0o7777,
                content: content.to_vec(),
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, content: &[u8]) -> InitramfsFile {
        InitramfsFile {
            path: path.into(),
            mode: 0o644,
            content: content.to_vec(),
        }
    }

    fn appended(image: &[u8]) -> Vec<InitramfsFile> {
        read_appended(image.len() as u64, |offset, len| {
            let offset = usize::try_from(offset).unwrap();
            Ok(image[offset..offset + len].to_vec())
        })
        .unwrap()
    }

    #[test]
    fn what_is_appended_is_read_back_whatever_the_size_before_it() {
        for before in 0..9 {
            let mut image = vec![0xfd; 100_000 + before];
            let files = vec![file("/etc/a.link", b"x\n"), file("/etc/systemd/b", b"")];
            image.extend(segment(image.len() as u64, &files).unwrap());
            assert_eq!(image.len() % ALIGNMENT, 0);
            assert_eq!(appended(&image), files);
        }
    }

    #[test]
    fn several_segments_and_long_ones_are_found_whole() {
        let mut image = vec![0xfd; 200_001];
        let long = file("/lib/modules/big.ko", &vec![7; 700_000]);
        image.extend(segment(image.len() as u64, std::slice::from_ref(&long)).unwrap());
        image.extend(segment(image.len() as u64, &[file("/b", b"2")]).unwrap());
        // Not assert_eq: a failure would print all of it.
        assert!(appended(&image) == vec![long, file("/b", b"2")]);
    }

    #[test]
    fn an_image_without_one_has_none() {
        assert_eq!(appended(&[]), vec![]);
        assert_eq!(appended(&vec![0x5a; 300_000]), vec![]);
        let mut cut = vec![0xfd; 1000];
        cut.extend(segment(1000, &[file("/a", b"1")]).unwrap());
        cut.truncate(cut.len() - 8);
        assert_eq!(appended(&cut), vec![]);
    }

    #[test]
    fn directories_come_before_their_files() {
        let bytes = segment(0, &[file("/z/y/x", b"1")]).unwrap();
        let position = |name: &[u8]| {
            bytes
                .windows(name.len())
                .position(|part| part == name)
                .unwrap()
        };
        assert!(position(b"z\0") < position(b"z/y\0") && position(b"z/y\0") < position(b"z/y/x\0"));
    }
}
