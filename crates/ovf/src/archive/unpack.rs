//! Unpacks a compressed file of a package, as a stream.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read, Seek as _, SeekFrom, Write as _};

use flate2::read::MultiGzDecoder;

use super::{Member, MemberReader};

/// Bytes that are written or left out at once.
const BLOCK: usize = 64 << 10;

/// Why a file is not unpacked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UnpackError {
    /// Its first bytes are not gzip's (RFC 1952 section 2.3).
    #[error("it is not compressed with gzip, although the descriptor says so")]
    NotGzip,
    /// What is stored is damaged, or ends early.
    #[error("it is not sound gzip data: {0}; fetch the appliance again")]
    Data(io::Error),
    /// More comes out than can belong to it.
    #[error(
        "more than {limit} bytes come out of it, which is more than a disk of the size that the descriptor gives \
         can have; it is damaged, or meant to fill the disk of this host"
    )]
    TooLarge {
        /// The limit.
        limit: u64,
    },
    /// The result cannot be written.
    #[error("writing what comes out of it: {0}")]
    Write(io::Error),
    /// The user ended it.
    #[error("interrupted")]
    Interrupted,
}

/// Whether a file starts as gzip data do.
///
/// # Errors
/// If it cannot be read.
pub fn is_gzip(first: &Member) -> io::Result<bool> {
    let mut start = Vec::new();
    first.open()?.take(2).read_to_end(&mut start)?;
    Ok(start == b"\x1f\x8b")
}

/// Unpacks gzip data that are stored in `pieces` into `target`, which is empty; blocks of zeros become holes.
/// `stop` is asked now and then. Returns the number of bytes.
///
/// # Errors
/// [`UnpackError`]; what was written until then stays in `target`.
pub fn unpack(
    pieces: &[Member],
    target: &mut File,
    limit: u64,
    stop: &dyn Fn() -> bool,
) -> Result<u64, UnpackError> {
    let first = pieces.first().ok_or(UnpackError::NotGzip)?;
    if !is_gzip(first).map_err(UnpackError::Data)? {
        return Err(UnpackError::NotGzip);
    }
    let mut decoder = MultiGzDecoder::new(Chain {
        pieces: pieces.iter().cloned().collect(),
        current: None,
    });
    let mut block = vec![0; BLOCK];
    let mut length = 0_u64;
    loop {
        if stop() {
            return Err(UnpackError::Interrupted);
        }
        let filled = fill(&mut decoder, &mut block).map_err(UnpackError::Data)?;
        let Some(data) = block.get(..filled).filter(|data| !data.is_empty()) else {
            break;
        };
        length += filled as u64;
        if length > limit {
            return Err(UnpackError::TooLarge { limit });
        }
        if data.iter().all(|byte| *byte == 0) {
            let past = i64::try_from(filled).unwrap_or(i64::MAX);
            target
                .seek(SeekFrom::Current(past))
                .map_err(UnpackError::Write)?;
        } else {
            target.write_all(data).map_err(UnpackError::Write)?;
        }
    }
    // A hole at the end is not part of the file yet.
    target.set_len(length).map_err(UnpackError::Write)?;
    Ok(length)
}

/// Fills the block as far as there is data.
fn fill(reader: &mut impl Read, block: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while let Some(rest) = block.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match reader.read(rest) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// Members one behind the other.
struct Chain {
    pieces: VecDeque<Member>,
    current: Option<MemberReader>,
}

impl Read for Chain {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            if let Some(current) = &mut self.current {
                let read = current.read(buffer)?;
                if read > 0 || buffer.is_empty() {
                    return Ok(read);
                }
            }
            match self.pieces.pop_front() {
                Some(next) => self.current = Some(next.open()?),
                None => return Ok(0),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::MetadataExt as _;
    use std::path::Path;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn packed(data: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(data).unwrap();
        encoder.finish().unwrap()
    }

    /// The data in pieces of `size` bytes.
    fn pieces(dir: &Path, data: &[u8], size: usize) -> Vec<Member> {
        let parts = data.chunks(size).enumerate();
        parts
            .map(|(number, part)| {
                let path = dir.join(format!("d.{number:09}"));
                fs::write(&path, part).unwrap();
                Member {
                    name: format!("d.{number:09}"),
                    path,
                    offset: 0,
                    size: part.len() as u64,
                }
            })
            .collect()
    }

    fn unpacked(data: &[u8], size: usize, limit: u64) -> Result<(Vec<u8>, u64), UnpackError> {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("target");
        let mut file = File::create(&target).unwrap();
        let pieces = pieces(dir.path(), data, size);
        let length = unpack(&pieces, &mut file, limit, &|| false)?;
        let content = fs::read(&target).unwrap();
        assert_eq!(content.len() as u64, length);
        Ok((content, fs::metadata(&target).unwrap().blocks() * 512))
    }

    #[test]
    fn what_was_packed_comes_out_with_its_holes() {
        let mut data = vec![0; 8 << 20];
        data[..5].copy_from_slice(b"start");
        data[5 << 20..(5 << 20) + 3].copy_from_slice(b"mid");
        let stored = packed(&data);
        for size in [stored.len(), 1000, 7] {
            let (content, used) = unpacked(&stored, size, data.len() as u64).unwrap();
            assert!(content == data);
            assert!(used < 1 << 20, "{used}");
        }
        // Two streams one behind the other are one file (RFC 1952 section 2.2).
        let two = [packed(b"one"), packed(b"two")].concat();
        assert_eq!(unpacked(&two, 9, 6).unwrap().0, b"onetwo");
    }

    #[test]
    fn bombs_and_damage_are_refused() {
        let stored = packed(&vec![0; 4 << 20]);
        assert!(matches!(
            unpacked(&stored, 100, 1 << 20),
            Err(UnpackError::TooLarge { limit: 1_048_576 })
        ));
        let noise: Vec<u8> = (0..100_000_u32).flat_map(u32::to_le_bytes).collect();
        let whole = packed(&noise);
        for cut in [0, 1, 2, 9, 20, whole.len() / 2, whole.len() - 1] {
            let error = unpacked(&whole[..cut], 4096, 1 << 30).unwrap_err();
            assert!(
                matches!(error, UnpackError::Data(_) | UnpackError::NotGzip),
                "{cut}: {error}"
            );
        }
        let mut damaged = whole.clone();
        damaged[whole.len() / 2] ^= 0xff;
        assert!(matches!(
            unpacked(&damaged, whole.len(), 1 << 30),
            Err(UnpackError::Data(_))
        ));
        let trailing = [whole.as_slice(), b"trailing"].concat();
        assert!(unpacked(&trailing, whole.len(), 1 << 30).is_err());
        assert!(matches!(
            unpacked(b"KDMV", 4, 100),
            Err(UnpackError::NotGzip)
        ));
        let dir = tempfile::tempdir().unwrap();
        let mut file = File::create(dir.path().join("target")).unwrap();
        let pieces = pieces(dir.path(), &stored, 100);
        assert!(matches!(
            unpack(&pieces, &mut file, u64::MAX, &|| true),
            Err(UnpackError::Interrupted)
        ));
    }
}
