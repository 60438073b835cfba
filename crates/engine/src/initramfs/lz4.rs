//! LZ4's legacy frames, the only ones that the kernel unpacks (lz4 `doc/lz4_Frame_format.md`, "Legacy
//! frame"; Linux `lib/decompress_unlz4.c`).
//!
//! They have no end mark. After a block comes another one or the start of another frame, so that a
//! frame may follow a frame, and what it unpacks to follows in the same stream. Anything else is
//! taken for a block by Linux before 5.9, and unpacking ends with an error.

use anyhow::Context as _;

use super::newc;

/// What each frame begins with.
pub(super) const MAGIC: [u8; 4] = [0x02, 0x21, 0x4c, 0x18];
/// No block unpacks to more.
const BLOCK: usize = 8 * 1024 * 1024;

/// A frame that unpacks to an archive with these entries. The trailer is a block of its own that
/// is not compressed, so that the end of the frame can be told from other LZ4 data.
///
/// # Errors
/// None that can happen.
pub(super) fn frame(entries: &[u8]) -> anyhow::Result<Vec<u8>> {
    let mut out = MAGIC.to_vec();
    for piece in entries.chunks(BLOCK) {
        block(&mut out, &lz4_flex::block::compress(piece))?;
    }
    block(&mut out, &literals(&newc::trailer()?))?;
    Ok(out)
}

fn block(out: &mut Vec<u8>, packed: &[u8]) -> anyhow::Result<()> {
    let size = u32::try_from(packed.len()).context("an LZ4 block is too long")?;
    out.extend_from_slice(&size.to_le_bytes());
    out.extend_from_slice(packed);
    Ok(())
}

/// A block of one sequence without a match (lz4 `doc/lz4_Block_format.md`).
fn literals(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    match bytes.len().checked_sub(15) {
        None => out.push(u8::try_from(bytes.len() << 4).unwrap_or(u8::MAX)),
        Some(mut more) => {
            out.push(0xf0);
            while more >= 255 {
                out.push(255);
                more -= 255;
            }
            out.push(u8::try_from(more).unwrap_or(u8::MAX));
        }
    }
    out.extend_from_slice(bytes);
    out
}

/// What frames until the end of `bytes` unpack to; `None` unless all of it is well-formed, or if
/// that is longer than `limit`.
pub(super) fn unpack(bytes: &[u8], limit: usize) -> Option<Vec<u8>> {
    let mut rest = bytes.strip_prefix(&MAGIC)?;
    let mut out = Vec::new();
    let mut block = Vec::new();
    while let Some((start, after)) = rest.split_first_chunk::<4>() {
        rest = after;
        if *start == MAGIC {
            continue;
        }
        let size = u32::from_le_bytes(*start) as usize;
        let packed = rest.get(..size)?;
        rest = &rest[size..];
        block.resize(BLOCK, 0);
        let unpacked = lz4_flex::block::decompress_into(packed, &mut block).ok()?;
        if out.len() + unpacked > limit {
            return None;
        }
        out.extend_from_slice(&block[..unpacked]);
    }
    rest.is_empty().then_some(out)
}
