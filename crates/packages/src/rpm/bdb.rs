//! Berkeley DB, `Packages`: a hash with four-byte keys (rpm until 4.15, RHEL 5 to 8). Layouts as in
//! Berkeley DB's `dbinc/db_page.h`.
//!
//! All hash pages are read in their order in the file, so neither buckets nor the hash function matter.
//! A header is longer than a page and lies in a chain of overflow pages.

use anyhow::{Context as _, ensure};

use super::Visit;
use super::file::{Input, array};

const HASH_MAGIC: u32 = 0x0006_1561;
/// Bytes before the contents of each page.
const PAGE_HEADER: usize = 26;
/// Page types.
const HASH_UNSORTED: u8 = 2;
const OVERFLOW: u8 = 7;
const HASH: u8 = 13;
/// Item types.
const INLINE: u8 = 1;
const OFF_PAGE: u8 = 3;

struct Db<'i> {
    input: &'i dyn Input,
    page_size: usize,
    pages: u32,
    swapped: bool,
}

/// Gives each header to `visit`.
pub(super) fn read(input: &dyn Input, visit: Visit<'_>) -> anyhow::Result<()> {
    let meta = input.read(0, 72)?;
    let magic = array(&meta, 12)?;
    let swapped = match (u32::from_le_bytes(magic), u32::from_be_bytes(magic)) {
        (HASH_MAGIC, _) => false,
        (_, HASH_MAGIC) => true,
        _ => anyhow::bail!("it is no hash of Berkeley DB"),
    };
    let mut db = Db {
        input,
        page_size: 0,
        pages: 0,
        swapped,
    };
    db.page_size = usize::try_from(db.word(&meta, 20)?)?;
    ensure!(
        db.page_size.is_power_of_two() && (512..=65_536).contains(&db.page_size),
        "its pages have {} bytes",
        db.page_size
    );
    ensure!(meta[24] == 0, "it is encrypted");
    // Metadata of pages 1 to the last.
    db.pages = u32::try_from(input.size() / db.page_size as u64)?;
    let last = db.word(&meta, 32)?;
    ensure!(last < db.pages, "it is cut before its page {last}");
    // Each page is part of one header only.
    let mut budget = db.pages;
    for number in 1..=last {
        let page = db.page(number)?;
        if matches!(page[25], HASH | HASH_UNSORTED) {
            db.pairs(&page, &mut budget, &mut *visit)
                .with_context(|| format!("page {number}"))?;
        }
    }
    Ok(())
}

impl Db<'_> {
    fn page(&self, number: u32) -> anyhow::Result<Vec<u8>> {
        ensure!(number < self.pages, "there is no page {number}");
        self.input
            .read(u64::from(number) * self.page_size as u64, self.page_size)
    }

    fn word(&self, bytes: &[u8], offset: usize) -> anyhow::Result<u32> {
        let bytes = array(bytes, offset)?;
        Ok(match self.swapped {
            true => u32::from_be_bytes(bytes),
            false => u32::from_le_bytes(bytes),
        })
    }

    fn half(&self, bytes: &[u8], offset: usize) -> anyhow::Result<usize> {
        let bytes = array(bytes, offset)?;
        Ok(usize::from(match self.swapped {
            true => u16::from_be_bytes(bytes),
            false => u16::from_le_bytes(bytes),
        }))
    }

    /// Items of a page: keys at even places, what belongs to them behind.
    fn pairs(&self, page: &[u8], budget: &mut u32, visit: Visit<'_>) -> anyhow::Result<()> {
        let entries = self.half(page, 20)?;
        for index in (0..entries).step_by(2) {
            let key = self.item(page, index)?;
            // Key 0 is the last number that was given to a header.
            if key.first() == Some(&INLINE) && key.get(1..) == Some(&[0; 4]) {
                continue;
            }
            let data = self.item(page, index + 1)?;
            match data.first() {
                Some(&INLINE) => visit(&data[1..])?,
                Some(&OFF_PAGE) => {
                    let first = self.word(data, 4)?;
                    let len = usize::try_from(self.word(data, 8)?)?;
                    visit(&self.chain(first, len, budget)?)?;
                }
                other => anyhow::bail!("an item has the unknown type {other:?}"),
            }
        }
        Ok(())
    }

    /// Items are put from the end of the page towards its beginning; each ends where the one before
    /// it begins.
    fn item<'p>(&self, page: &'p [u8], index: usize) -> anyhow::Result<&'p [u8]> {
        let start = self.half(page, PAGE_HEADER + 2 * index)?;
        let end = match index {
            0 => page.len(),
            _ => self.half(page, PAGE_HEADER + 2 * (index - 1))?,
        };
        page.get(start..end).context("an item is outside its page")
    }

    fn chain(&self, first: u32, len: usize, budget: &mut u32) -> anyhow::Result<Vec<u8>> {
        let mut content = Vec::new();
        let mut number = first;
        while number != 0 {
            *budget = budget
                .checked_sub(1)
                .context("its chains of pages share pages or go in circles")?;
            let page = self.page(number)?;
            ensure!(page[25] == OVERFLOW, "page {number} is no overflow page");
            let used = self.half(&page, 22)?;
            let data = page.get(PAGE_HEADER..).and_then(|rest| rest.get(..used));
            content.extend_from_slice(data.context("an overflow page is too full")?);
            number = self.word(&page, 16)?;
        }
        ensure!(
            content.len() == len,
            "a header has {} bytes instead of {len}",
            content.len()
        );
        Ok(content)
    }
}
