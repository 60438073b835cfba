//! The archives in an initramfs image.
//!
//! An image is a sequence of cpio archives of format `newc`, each compressed or not, with zeros
//! between them (Linux `Documentation/driver-api/early-userspace/buffer-format.rst`).

use std::cell::Cell;
use std::io::{self, Read};
use std::ops::ControlFlow;

use anyhow::{Context as _, bail, ensure};

use super::compression::Compression;
use super::input::Input;

/// `PATH_MAX` of Linux: its own limit for names and targets here.
const PATH_LIMIT: u32 = 4096;
/// Names that no archive continues after.
const TRAILER: &[u8] = b"TRAILER!!!";

const FORMAT: u32 = 0o170_000;
const SYMLINK: u32 = 0o120_000;

/// One name in an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    /// The path, without `/` or `./` before it.
    pub(super) name: Vec<u8>,
    /// Where it leads, if it is a symbolic link.
    pub(super) target: Option<Vec<u8>>,
}

/// Shows `visit` every entry of every archive in `image`, until it breaks off. Compressed archives
/// may unpack to `limit` bytes in all. Archives that follow LZ4 or LZMA data are not seen.
///
/// # Errors
/// If the image cannot be read, is in no format that Linux and refit both know, or unpacks to more.
pub(super) fn walk(
    image: impl Read,
    limit: u64,
    visit: &mut dyn FnMut(Entry) -> ControlFlow<()>,
) -> anyhow::Result<()> {
    let budget = Cell::new(limit);
    let mut input = Input::new(image);
    loop {
        input.skip_zeros()?;
        let start = input.peek(6)?;
        if start.is_empty() {
            return Ok(());
        }
        if is_archive(start) {
            if archive(&mut input, visit)?.is_break() {
                return Ok(());
            }
            continue;
        }
        let Some(compression) = Compression::of(start) else {
            bail!(
                "it continues with {start:02x?}, which is neither a cpio archive nor a known compression"
            );
        };
        let reader = compression
            .reader(&mut input)
            .with_context(|| format!("unpacking {compression:?} data"))?;
        let mut unpacked = Input::new(Limited {
            source: reader,
            budget: &budget,
        });
        let mut archives = || -> anyhow::Result<ControlFlow<()>> {
            loop {
                unpacked.skip_zeros()?;
                if unpacked.peek(1)?.is_empty() {
                    return Ok(ControlFlow::Continue(()));
                }
                if archive(&mut unpacked, visit)?.is_break() {
                    return Ok(ControlFlow::Break(()));
                }
            }
        };
        let flow = archives().with_context(|| format!("unpacking {compression:?} data"))?;
        drop(unpacked);
        if flow.is_break() || !compression.ends() {
            return Ok(());
        }
    }
}

fn is_archive(start: &[u8]) -> bool {
    start.starts_with(b"070701") || start.starts_with(b"070702")
}

/// Shows the entries of one archive, up to its trailer.
fn archive<R: Read>(
    input: &mut Input<R>,
    visit: &mut dyn FnMut(Entry) -> ControlFlow<()>,
) -> anyhow::Result<ControlFlow<()>> {
    loop {
        let mut header = [0; 110];
        input
            .read_exact(&mut header)
            .context("the archive ends early")?;
        ensure!(
            is_archive(&header),
            "the archive continues with {:02x?}",
            &header[..6]
        );
        let field = |index: usize| -> anyhow::Result<u32> {
            let digits = std::str::from_utf8(&header[6 + 8 * index..14 + 8 * index])?;
            Ok(u32::from_str_radix(digits, 16)?)
        };
        let fields = || anyhow::Ok((field(1)?, field(6)?, field(11)?));
        let (mode, size, name_size) = fields().context("a header has no hexadecimal number")?;
        ensure!(
            (1..=PATH_LIMIT).contains(&name_size),
            "a name has {name_size} bytes"
        );
        let mut name = vec![0; name_size as usize];
        input.read_exact(&mut name).context("a name ends early")?;
        input.skip(padding(110 + u64::from(name_size)))?;
        let end = name.iter().position(|&b| b == 0).unwrap_or(name.len());
        name.truncate(end);
        if name == TRAILER {
            input.skip(u64::from(size))?;
            return Ok(ControlFlow::Continue(()));
        }
        let target = if mode & FORMAT == SYMLINK {
            ensure!(size <= PATH_LIMIT, "a link's target has {size} bytes");
            let mut target = vec![0; size as usize];
            input.read_exact(&mut target)?;
            Some(target)
        } else {
            input.skip(u64::from(size)).context("a file ends early")?;
            None
        };
        input.skip(padding(u64::from(size)))?;
        while name.starts_with(b"/") || name.starts_with(b"./") {
            name.remove(0);
        }
        if visit(Entry { name, target }).is_break() {
            return Ok(ControlFlow::Break(()));
        }
    }
}

/// From a length to the next multiple of four.
fn padding(length: u64) -> u64 {
    length.next_multiple_of(4) - length
}

/// Fails when more is read than all archives together may have.
struct Limited<'b, R> {
    source: R,
    budget: &'b Cell<u64>,
}

impl<R: Read> Read for Limited<'_, R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let read = self.source.read(buf)?;
        match self.budget.get().checked_sub(read as u64) {
            Some(left) => self.budget.set(left),
            None => {
                return Err(io::Error::other("it unpacks to more than a guest needs"));
            }
        }
        Ok(read)
    }
}
