//! A database file that is read in pieces.

use std::cell::RefCell;
use std::collections::HashMap;

use anyhow::ensure;
use refit_engine::backend::FileKind;
use refit_engine::{Guest, GuestPath};

/// The largest database that is read: that of a workstation has 300 MiB.
const SIZE_LIMIT: u64 = 2 * 1024 * 1024 * 1024;

/// What one question to the appliance fetches.
const BLOCK: u64 = 1024 * 1024;

/// Blocks that are kept: as much memory as that.
const BLOCKS: usize = 64;

/// Bytes at places.
pub(crate) trait Input {
    /// Length in bytes.
    fn size(&self) -> u64;

    /// `len` bytes from `offset`; an error if the file ends before.
    fn read(&self, offset: u64, len: usize) -> anyhow::Result<Vec<u8>>;
}

/// A file of the guest.
pub(crate) struct GuestFile<'g> {
    guest: &'g Guest<'g>,
    path: GuestPath,
    size: u64,
    blocks: RefCell<HashMap<u64, Vec<u8>>>,
}

impl<'g> GuestFile<'g> {
    /// `None` if there is no regular file.
    pub(crate) fn open(guest: &'g Guest<'g>, path: &GuestPath) -> anyhow::Result<Option<Self>> {
        let Some(stat) = guest.stat(path)? else {
            return Ok(None);
        };
        if stat.kind != FileKind::File {
            return Ok(None);
        }
        ensure!(
            stat.size <= SIZE_LIMIT,
            "{path} has {} bytes, which is too long for a package database",
            stat.size
        );
        Ok(Some(Self {
            guest,
            path: path.clone(),
            size: stat.size,
            blocks: RefCell::default(),
        }))
    }
}

impl Input for GuestFile<'_> {
    fn size(&self) -> u64 {
        self.size
    }

    fn read(&self, offset: u64, len: usize) -> anyhow::Result<Vec<u8>> {
        let end = check(self.size, offset, len)?;
        let mut content = Vec::with_capacity(len);
        let mut blocks = self.blocks.borrow_mut();
        let mut at = offset;
        while at < end {
            let number = at / BLOCK;
            if !blocks.contains_key(&number) {
                if blocks.len() >= BLOCKS {
                    blocks.clear();
                }
                let block = self
                    .guest
                    .read_range(&self.path, number * BLOCK, BLOCK as usize)?;
                blocks.insert(number, block);
            }
            let block = blocks.get(&number).map(Vec::as_slice).unwrap_or_default();
            let from = usize::try_from(at % BLOCK)?;
            let count = usize::try_from((end - at).min(BLOCK - at % BLOCK))?;
            let part = block.get(from..from + count);
            content.extend_from_slice(
                part.ok_or_else(|| anyhow::anyhow!("the file was cut while it was read"))?,
            );
            at += count as u64;
        }
        Ok(content)
    }
}

/// Where a piece ends, if it is within the file.
fn check(size: u64, offset: u64, len: usize) -> anyhow::Result<u64> {
    let end = offset.checked_add(len as u64).filter(|end| *end <= size);
    end.ok_or_else(|| anyhow::anyhow!("it ends before byte {offset} + {len}"))
}

#[cfg(test)]
impl Input for &[u8] {
    fn size(&self) -> u64 {
        self.len() as u64
    }

    fn read(&self, offset: u64, len: usize) -> anyhow::Result<Vec<u8>> {
        let end = check(self.size(), offset, len)?;
        Ok(self[usize::try_from(offset)?..usize::try_from(end)?].to_vec())
    }
}

/// A number at a place in a page; an error if the page ends before.
pub(crate) fn array<const N: usize>(bytes: &[u8], offset: usize) -> anyhow::Result<[u8; N]> {
    bytes
        .get(offset..)
        .and_then(|rest| rest.first_chunk::<N>())
        .copied()
        .ok_or_else(|| anyhow::anyhow!("a page ends before byte {offset} + {N}"))
}
