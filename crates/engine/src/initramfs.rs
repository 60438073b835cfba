//! Adding files to an initramfs by appending an archive, without rebuilding it.
//!
//! The kernel unpacks every archive in an initramfs, compressed or not, one after another; an
//! uncompressed one must begin at a multiple of four bytes (Linux
//! `Documentation/driver-api/early-userspace/buffer-format.rst`). So a file is added with one small
//! `newc` archive at the end, in milliseconds, where a rebuild takes a minute and the guest's own
//! tools. A later file of the same name replaces the earlier one. Only after LZ4 data the archive
//! must be packed, too: see [`Packing`].

mod lz4;
mod newc;

use anyhow::ensure;

use crate::change::InitramfsFile;
use newc::{ALIGNMENT, Header};

/// First look at the end of an image; doubled while the archive found there may begin earlier.
const WINDOW: usize = 64 * 1024;
/// Appended archives are looked for this far from the end, and no farther.
const MAX_WINDOW: usize = 64 * 1024 * 1024;
/// An archive before the main one, with microcode or ACPI tables, takes fewer looks.
const EARLY_LOOKS: usize = 64;
/// How much is read to see one header, or what comes after padding.
const GLANCE: usize = 4096;

/// How that which is appended to an image must be packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Packing {
    /// Not at all. Zeros before it are padding.
    None,
    /// As an LZ4 frame, without padding: before Linux 5.9 nothing else can follow such a frame.
    Lz4,
}

impl Packing {
    /// Looks at the beginning of an image, past the uncompressed archives there.
    ///
    /// `read_at(offset, length)` reads the image.
    ///
    /// # Errors
    /// Those of `read_at`.
    pub fn of(
        image_size: u64,
        mut read_at: impl FnMut(u64, usize) -> anyhow::Result<Vec<u8>>,
    ) -> anyhow::Result<Self> {
        let mut at = 0;
        for _ in 0..EARLY_LOOKS {
            if at >= image_size {
                break;
            }
            let bytes = read_at(at, GLANCE)?;
            let Some(start) = bytes.iter().position(|&b| b != 0) else {
                at += GLANCE as u64;
                continue;
            };
            at += start as u64;
            if start > 0 {
                // Again from there, so that no header is cut off.
                continue;
            }
            if bytes.starts_with(&lz4::MAGIC) {
                return Ok(Self::Lz4);
            }
            match Header::read(&bytes) {
                Some(header) => at += header.entry_size() as u64,
                None => break,
            }
        }
        Ok(Self::None)
    }
}

/// The bytes to append to an image of `image_size` bytes so that it gains `files`. The order of
/// `files` does not matter; the result is the same every time.
///
/// # Errors
/// If a file or a name does not fit into the format (4 GiB).
pub fn segment(
    image_size: u64,
    packing: Packing,
    files: &[InitramfsFile],
) -> anyhow::Result<Vec<u8>> {
    let entries = newc::entries(files)?;
    match packing {
        Packing::Lz4 => lz4::frame(&entries),
        Packing::None => {
            let padding = image_size.next_multiple_of(ALIGNMENT as u64) - image_size;
            let mut out = vec![0; usize::try_from(padding)?];
            out.extend_from_slice(&entries);
            out.extend_from_slice(&newc::trailer()?);
            Ok(out)
        }
    }
}

/// The regular files in the archives at the very end of an image, in their order: those that
/// [`segment`] makes, and other uncompressed ones.
///
/// `read_at(offset, length)` reads the image. What comes before those archives (normally the
/// compressed main one) is not unpacked.
///
/// # Errors
/// Those of `read_at`.
pub fn read_appended(
    image_size: u64,
    packing: Packing,
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
        // What was found may be the rest of an archive that begins before the window, or may follow
        // another one.
        let whole = offset == 0 || window >= MAX_WINDOW;
        match first_archive(&tail, offset, packing) {
            Some(found)
                if whole || (found.is_first && !newc::ends_with_archive(&tail[..found.at])) =>
            {
                return Ok(found.files);
            }
            None if whole || !newc::ends_with_archive(&tail) => return Ok(Vec::new()),
            _ => window *= 2,
        }
    }
}

/// Archives that reach to the end of an image.
struct Found {
    /// Where in the window.
    at: usize,
    files: Vec<InitramfsFile>,
    /// Whether the first entry is the first of its archive.
    is_first: bool,
}

/// The first place in a window from which archives reach to its end.
fn first_archive(tail: &[u8], offset: u64, packing: Packing) -> Option<Found> {
    let found = |at, archive: &[u8]| {
        Some(Found {
            at,
            files: newc::parse(archive)?,
            is_first: newc::is_first_entry(archive),
        })
    };
    match packing {
        Packing::None => {
            let first = offset.next_multiple_of(ALIGNMENT as u64) - offset;
            (usize::try_from(first).ok()?..tail.len())
                .step_by(ALIGNMENT)
                .filter(|&at| tail[at..].starts_with(newc::MAGIC))
                .find_map(|at| found(at, &tail[at..]))
        }
        Packing::Lz4 => tail
            .windows(lz4::MAGIC.len())
            .enumerate()
            .filter(|(_, bytes)| *bytes == lz4::MAGIC)
            .find_map(|(at, _)| found(at, &lz4::unpack(&tail[at..], MAX_WINDOW)?)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::path::GuestPath;

    fn file(path: &str, content: &[u8]) -> InitramfsFile {
        InitramfsFile {
            path: path.into(),
            mode: 0o644,
            content: content.to_vec(),
        }
    }

    fn reader(image: &[u8]) -> impl FnMut(u64, usize) -> anyhow::Result<Vec<u8>> {
        |offset, len| {
            let offset = usize::try_from(offset).unwrap();
            Ok(image[offset..image.len().min(offset + len)].to_vec())
        }
    }

    fn packing(image: &[u8]) -> Packing {
        Packing::of(image.len() as u64, reader(image)).unwrap()
    }

    fn appended(image: &[u8]) -> Vec<InitramfsFile> {
        read_appended(image.len() as u64, packing(image), reader(image)).unwrap()
    }

    fn append(image: &mut Vec<u8>, files: &[InitramfsFile]) {
        let segment = segment(image.len() as u64, packing(image), files).unwrap();
        image.extend(segment);
    }

    /// The main archive of an LZ4 image, of about so many bytes that do not compress well.
    fn lz4_image(size: usize) -> Vec<u8> {
        let mut number = 1_u32;
        let noise: Vec<u8> = std::iter::repeat_with(|| {
            number = number.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            number.to_be_bytes()[0]
        })
        .take(size)
        .collect();
        let mut archive = newc::entries(&[file("/init", &noise)]).unwrap();
        archive.extend(newc::trailer().unwrap());
        archive.resize(archive.len().next_multiple_of(512), 0);
        let mut image = lz4::MAGIC.to_vec();
        let block = lz4_flex::block::compress(&archive);
        image.extend(u32::try_from(block.len()).unwrap().to_le_bytes());
        image.extend(block);
        image
    }

    /// An archive such as the one with microcode that comes before the main one.
    fn early(padding: usize) -> Vec<u8> {
        let path = "/kernel/x86/microcode/GenuineIntel.bin";
        let mut image = newc::entries(&[file(path, &[9; 70_000])]).unwrap();
        image.extend(newc::trailer().unwrap());
        image.resize(image.len() + padding, 0);
        image
    }

    #[test]
    fn lz4_data_is_seen_behind_microcode_whatever_the_padding() {
        for padding in [0, 4, 300, 3 * GLANCE - 10, 5 * GLANCE] {
            let mut image = early(padding);
            assert_eq!(packing(&image), Packing::None, "{padding}");
            image.extend(lz4_image(1000));
            assert_eq!(packing(&image), Packing::Lz4, "{padding}");
        }
        assert_eq!(packing(&[]), Packing::None);
        assert_eq!(packing(&[0; 10]), Packing::None);
        assert_eq!(packing(&[0xfd; 10]), Packing::None);
    }

    #[test]
    fn what_is_appended_to_lz4_data_is_read_back() {
        for before in [1000, 200_000] {
            let mut image = lz4_image(before);
            let main = appended(&image);
            let (a, b) = (file("/etc/a.link", b"x\n"), file("/b", &[7; 70_000]));
            append(&mut image, std::slice::from_ref(&a));
            append(&mut image, std::slice::from_ref(&b));
            let found = appended(&image);
            // A small image is seen as a whole.
            assert!(found.ends_with(&[a, b]) && found.len() == main.len() + 2);
            assert_eq!(main.len(), usize::from(before == 1000));
        }
    }

    /// lz4(1) unpacks as the kernel does.
    #[test]
    fn the_lz4_tool_unpacks_what_was_appended() {
        use std::io::{Seek as _, Write as _};
        let mut image = lz4_image(5000);
        append(&mut image, &[file("/etc/a.link", b"x\n")]);
        let mut packed = tempfile::tempfile().unwrap();
        packed.write_all(&image).unwrap();
        packed.rewind().unwrap();
        let output = std::process::Command::new("lz4")
            .args(["-d", "-c"])
            .stdin(packed)
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        let names: Vec<GuestPath> = newc::parse(&output.stdout)
            .unwrap()
            .into_iter()
            .map(|file| file.path)
            .collect();
        assert_eq!(
            names,
            [GuestPath::new("/init"), GuestPath::new("/etc/a.link")]
        );
    }

    #[test]
    fn what_is_appended_is_read_back_whatever_the_size_before_it() {
        for before in 0..9 {
            let mut image = vec![0xfd; 100_000 + before];
            let files = vec![file("/etc/a.link", b"x\n"), file("/etc/systemd/b", b"")];
            append(&mut image, &files);
            assert_eq!(image.len() % ALIGNMENT, 0);
            assert_eq!(appended(&image), files);
        }
    }

    #[test]
    fn several_segments_and_long_ones_are_found_whole() {
        let mut image = vec![0xfd; 200_001];
        let long = file("/lib/modules/big.ko", &vec![7; 700_000]);
        append(&mut image, std::slice::from_ref(&long));
        append(&mut image, &[file("/b", b"2")]);
        // Not assert_eq: a failure would print all of it.
        assert!(appended(&image) == vec![long, file("/b", b"2")]);
    }

    #[test]
    fn an_image_without_one_has_none() {
        assert_eq!(appended(&[]), vec![]);
        assert_eq!(appended(&vec![0x5a; 300_000]), vec![]);
        let mut cut = vec![0xfd; 1000];
        append(&mut cut, &[file("/a", b"1")]);
        cut.truncate(cut.len() - 8);
        assert_eq!(appended(&cut), vec![]);
    }

    #[test]
    fn directories_come_before_their_files() {
        let bytes = segment(0, Packing::None, &[file("/z/y/x", b"1")]).unwrap();
        let position = |name: &[u8]| {
            bytes
                .windows(name.len())
                .position(|part| part == name)
                .unwrap()
        };
        assert!(position(b"z\0") < position(b"z/y\0") && position(b"z/y\0") < position(b"z/y/x\0"));
    }
}
