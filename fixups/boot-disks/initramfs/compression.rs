//! The compressions of initramfs images and kernel modules.

use std::io::{self, Read};

use anyhow::{Context as _, ensure};

use super::input::Input;

/// A compression that Linux unpacks an initramfs with (`lib/decompress.c`), or kmod(8) a module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Compression {
    /// RFC 1952.
    Gzip,
    /// bzip2.
    Bzip2,
    /// The format of LZMA Utils, before xz.
    Lzma,
    /// xz.
    Xz,
    /// LZ4's legacy frames, the only ones that the kernel reads.
    Lz4,
    /// RFC 8878.
    Zstd,
}

/// How each one begins.
const MAGICS: [(&[u8], Compression); 6] = [
    (b"\x1f\x8b", Compression::Gzip),
    (b"BZh", Compression::Bzip2),
    (b"\x5d\0\0", Compression::Lzma),
    (b"\xfd7zXZ\0", Compression::Xz),
    (&LZ4_LEGACY, Compression::Lz4),
    (b"\x28\xb5\x2f\xfd", Compression::Zstd),
];
const LZ4_LEGACY: [u8; 4] = [0x02, 0x21, 0x4c, 0x18];

/// No decoder may ask for a larger dictionary, in KiB; the strongest presets of xz take 64 MiB.
const DICTIONARY_LIMIT: u32 = 192 * 1024;

impl Compression {
    /// The compression of what begins with `start`.
    pub(in super::super) fn of(start: &[u8]) -> Option<Self> {
        let mut magics = MAGICS.iter();
        magics
            .find(|(magic, _)| start.starts_with(magic))
            .map(|&(_, compression)| compression)
    }

    /// Whether what follows a stream can be read: whether the format has an end, and its decoder
    /// takes no more than that.
    pub(super) fn ends(self) -> bool {
        !matches!(self, Self::Lz4 | Self::Lzma)
    }

    /// The content of the one compressed stream that comes next in `input`. Read to its end, it
    /// leaves `input` behind the stream if it [`ends`](Self::ends).
    pub(super) fn reader<'i, R: Read>(
        self,
        input: &'i mut Input<R>,
    ) -> io::Result<Box<dyn Read + 'i>> {
        Ok(match self {
            Self::Gzip => Box::new(flate2::bufread::GzDecoder::new(input)),
            Self::Bzip2 => Box::new(bzip2::bufread::BzDecoder::new(input)),
            Self::Lzma => Box::new(lzma_rust2::LzmaReader::new_mem_limit(
                input,
                DICTIONARY_LIMIT,
                None,
            )?),
            Self::Xz => Box::new(lzma_rust2::XzReader::new_mem_limit(
                input,
                false,
                DICTIONARY_LIMIT,
            )),
            Self::Lz4 => Box::new(Lz4Legacy::new(input)),
            Self::Zstd => {
                Box::new(ruzstd::decoding::StreamingDecoder::new(input).map_err(io::Error::other)?)
            }
        })
    }

    /// All of `packed`, which is no longer than `limit` bytes.
    ///
    /// # Errors
    /// If it is longer, or not whole.
    pub(in super::super) fn unpack(self, packed: &[u8], limit: u64) -> anyhow::Result<Vec<u8>> {
        let mut input = Input::new(packed);
        let mut content = Vec::new();
        self.reader(&mut input)
            .and_then(|reader| reader.take(limit + 1).read_to_end(&mut content))
            .with_context(|| format!("unpacking {self:?} data"))?;
        ensure!(
            content.len() as u64 <= limit,
            "it unpacks to more than {limit} bytes"
        );
        Ok(content)
    }
}

/// LZ4's legacy format (lz4 `doc/lz4_Frame_format.md`, "Legacy frame"): blocks that each unpack to
/// 8 MiB, the last to less, without an end mark.
#[derive(Debug)]
struct Lz4Legacy<'i, R> {
    input: &'i mut Input<R>,
    block: Vec<u8>,
    at: usize,
}

impl<'i, R: Read> Lz4Legacy<'i, R> {
    const BLOCK: usize = 8 * 1024 * 1024;

    fn new(input: &'i mut Input<R>) -> Self {
        Self {
            input,
            block: Vec::new(),
            at: 0,
        }
    }

    /// Unpacks the next block; `false` at the end.
    fn next(&mut self) -> io::Result<bool> {
        loop {
            let Ok(start) = <[u8; 4]>::try_from(self.input.peek(4)?) else {
                return Ok(false);
            };
            if start == LZ4_LEGACY {
                self.input.skip(4)?;
                continue;
            }
            let size = u32::from_le_bytes(start) as usize;
            // Padding, or something else that was appended.
            if size == 0 || size > lz4_flex::block::get_maximum_output_size(Self::BLOCK) {
                return Ok(false);
            }
            self.input.skip(4)?;
            let mut packed = vec![0; size];
            self.input.read_exact(&mut packed)?;
            self.block.resize(Self::BLOCK, 0);
            let unpacked = lz4_flex::block::decompress_into(&packed, &mut self.block)
                .map_err(io::Error::other)?;
            self.block.truncate(unpacked);
            self.at = 0;
            if unpacked > 0 {
                return Ok(true);
            }
        }
    }
}

impl<R: Read> Read for Lz4Legacy<'_, R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.at == self.block.len() && !self.next()? {
            return Ok(0);
        }
        let read = (&self.block[self.at..]).read(buf)?;
        self.at += read;
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    /// `content` packed by the program that distributions use.
    fn packed(program: &[&str], content: &[u8]) -> Vec<u8> {
        use std::io::Write as _;
        let mut child = Command::new(program[0])
            .args(&program[1..])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let content = content.to_vec();
        let writer = std::thread::spawn(move || stdin.write_all(&content).unwrap());
        let output = child.wait_with_output().unwrap();
        writer.join().unwrap();
        assert!(output.status.success());
        output.stdout
    }

    const PROGRAMS: [(&[&str], Compression); 6] = [
        (&["gzip", "-c"], Compression::Gzip),
        (&["bzip2", "-c"], Compression::Bzip2),
        (&["xz", "--format=lzma", "-c"], Compression::Lzma),
        (&["xz", "--check=crc32", "-c"], Compression::Xz),
        (&["lz4", "-l", "-c"], Compression::Lz4),
        (&["zstd", "-q", "-c"], Compression::Zstd),
    ];

    /// Padding, and another archive.
    const BEHIND: &[u8] = b"\x00\x00\x00\x00070701";

    /// Long enough for several blocks, and neither random nor empty.
    fn content() -> Vec<u8> {
        (0..250_000_u32)
            .flat_map(|n| ((n / 7) ^ (n.wrapping_mul(n) >> 19)).to_le_bytes())
            .collect()
    }

    #[test]
    fn each_is_recognised_and_unpacked_and_ends_where_it_ends() {
        let content = content();
        for (program, compression) in PROGRAMS {
            let mut image = packed(program, &content);
            assert_eq!(Compression::of(&image), Some(compression));
            assert!(
                compression.unpack(&image, 1_000_000).unwrap() == content,
                "{program:?}"
            );
            assert!(compression.unpack(&image, 999_999).is_err());
            image.extend_from_slice(BEHIND);
            let mut input = Input::new(image.as_slice());
            io::copy(
                &mut compression.reader(&mut input).unwrap(),
                &mut io::sink(),
            )
            .unwrap();
            if compression.ends() {
                assert_eq!(input.peek(10).unwrap(), BEHIND, "{program:?}");
            }
        }
    }

    #[test]
    fn cut_off_data_is_an_error_not_an_end() {
        for (program, compression) in PROGRAMS {
            let image = packed(program, &content());
            let cut = &image[..image.len() / 2];
            assert!(compression.unpack(cut, 1_000_000).is_err(), "{program:?}");
        }
    }
}
