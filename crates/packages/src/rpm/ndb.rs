//! SUSE's format, `Packages.db`: pages of slots that tell where each header is, and headers in blocks
//! of 16 bytes (rpm's `lib/backend/ndb/rpmpkg.c`). All numbers are little-endian.

use anyhow::ensure;

use super::Visit;
use super::file::{Input, array};

const PAGE: u64 = 4096;
const BLOCK: u64 = 16;
const SLOT: usize = 16;
/// The slots that the file's own header takes.
const HEADER_SLOTS: usize = 2;

/// Gives each header to `visit`.
pub(super) fn read(input: &dyn Input, visit: Visit<'_>) -> anyhow::Result<()> {
    let head = input.read(0, SLOT * HEADER_SLOTS)?;
    ensure!(head.starts_with(b"RpmP"), "it is no rpm package database");
    let version = u32::from_le_bytes(array(&head, 4)?);
    ensure!(
        version == 0,
        "version {version} of this format is not known"
    );
    let pages = u64::from(u32::from_le_bytes(array(&head, 12)?));
    ensure!(
        pages > 0 && pages <= input.size() / PAGE,
        "its {pages} pages of slots are longer than the file"
    );
    // Headers do not overlap, so together they are no longer than the file.
    let mut budget = input.size();
    for page in 0..pages {
        let slots = input.read(page * PAGE, usize::try_from(PAGE)?)?;
        let skip = if page == 0 { HEADER_SLOTS } else { 0 };
        for slot in slots.chunks_exact(SLOT).skip(skip) {
            ensure!(slot.starts_with(b"Slot"), "a slot is damaged");
            let number = u32::from_le_bytes(array(slot, 4)?);
            let offset = u64::from(u32::from_le_bytes(array(slot, 8)?)) * BLOCK;
            let len = u64::from(u32::from_le_bytes(array(slot, 12)?)) * BLOCK;
            if offset == 0 {
                continue;
            }
            ensure!(len <= budget, "its headers overlap");
            budget -= len;
            let blob = input.read(offset, usize::try_from(len)?)?;
            let size = usize::try_from(u32::from_le_bytes(array(&blob, 12)?))?;
            ensure!(
                number != 0
                    && blob.starts_with(b"BlbS")
                    && u32::from_le_bytes(array(&blob, 4)?) == number,
                "header {number} is damaged"
            );
            let data = blob.get(16..).and_then(|rest| rest.get(..size));
            visit(data.ok_or_else(|| anyhow::anyhow!("header {number} is cut"))?)?;
        }
    }
    Ok(())
}
