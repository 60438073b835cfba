//! SQLite, `rpmdb.sqlite`: the table `Packages (hnum INTEGER PRIMARY KEY, blob BLOB)`
//! (<https://sqlite.org/fileformat2.html>).
//!
//! A reader of its own, because the file comes from a guest and is read on the host: it knows tables
//! and overflow pages, all that there is between a header and us, and nothing of SQL.

use std::cell::Cell;
use std::collections::HashMap;

use anyhow::{Context as _, ensure};

use super::Visit;
use super::file::{Input, array};
use super::wal;

/// A table of 2^31 pages has fewer levels.
const DEPTH_LIMIT: usize = 20;

const INTERIOR_TABLE: u8 = 5;
const LEAF_TABLE: u8 = 13;

struct Db<'i> {
    input: &'i dyn Input,
    wal: Option<&'i dyn Input>,
    /// Pages whose newest form is in the write-ahead log.
    newer: HashMap<u32, u64>,
    page_size: usize,
    /// Bytes of each page that are SQLite's own.
    usable: usize,
    /// Pages that may still be read: each is part of one table only.
    budget: Cell<u64>,
    /// Bytes that rows may still have, which do not overlap either.
    row_bytes: Cell<u64>,
}

/// One column of a record.
enum Value {
    Integer(u64),
    Bytes(Vec<u8>),
    Other,
}

/// Gives each header to `visit`; `wal` is the write-ahead log beside the file.
pub(super) fn read(
    input: &dyn Input,
    wal: Option<&dyn Input>,
    visit: Visit<'_>,
) -> anyhow::Result<()> {
    let head = input.read(0, 100)?;
    ensure!(
        head.starts_with(b"SQLite format 3\0"),
        "it is no SQLite database"
    );
    let page_size = match u16::from_be_bytes(array(&head, 16)?) {
        1 => 65_536,
        size => usize::from(size),
    };
    let usable = page_size.saturating_sub(usize::from(head[20]));
    ensure!(
        page_size.is_power_of_two() && page_size >= 512 && usable >= 480,
        "its pages have {page_size} bytes, {usable} of them usable"
    );
    let newer = match wal {
        Some(wal) => wal::pages(wal, page_size).context("reading its write-ahead log")?,
        None => HashMap::new(),
    };
    let wal_size = wal.map_or(0, Input::size);
    let db = Db {
        input,
        wal,
        newer,
        page_size,
        usable,
        budget: Cell::new((input.size() + wal_size) / page_size as u64 + 1),
        row_bytes: Cell::new(input.size() + wal_size),
    };
    let mut root = None;
    // sqlite_schema: type, name, tbl_name, rootpage, sql.
    db.rows(1, 0, &mut |record| {
        let columns = columns(record, 4)?;
        let is = |index: usize, text: &[u8]| matches!(columns.get(index), Some(Value::Bytes(b)) if b == text);
        if let (true, true, Some(Value::Integer(page))) =
            (is(0, b"table"), is(1, b"Packages"), columns.get(3))
        {
            root = Some(u32::try_from(*page)?);
        }
        Ok(())
    })
    .context("reading its schema")?;
    let root = root.context("it has no table Packages")?;
    db.rows(
        root,
        0,
        &mut |record| match columns(record, 2)?.into_iter().nth(1) {
            Some(Value::Bytes(blob)) => visit(&blob),
            _ => anyhow::bail!("a row of the table Packages holds no header"),
        },
    )
}

impl Db<'_> {
    fn page(&self, number: u32) -> anyhow::Result<Vec<u8>> {
        let left = self.budget.get().checked_sub(1);
        self.budget
            .set(left.context("its tables share pages or go in circles")?);
        if let (Some(offset), Some(wal)) = (self.newer.get(&number), self.wal) {
            return wal.read(*offset, self.page_size);
        }
        let index = number.checked_sub(1).context("there is no page 0")?;
        self.input
            .read(u64::from(index) * self.page_size as u64, self.page_size)
            .with_context(|| format!("page {number}"))
    }

    /// Gives the record of each row below page `number` to `visit`, in the order of the keys.
    fn rows(&self, number: u32, depth: usize, visit: Visit<'_>) -> anyhow::Result<()> {
        ensure!(depth < DEPTH_LIMIT, "a table is too deep");
        let page = self.page(number)?;
        // The file's own header is before the first page's.
        let start = if number == 1 { 100 } else { 0 };
        let kind = array::<1>(&page, start)?[0];
        let cells = usize::from(u16::from_be_bytes(array(&page, start + 3)?));
        let pointers = start + if kind == INTERIOR_TABLE { 12 } else { 8 };
        for index in 0..cells {
            let cell = usize::from(u16::from_be_bytes(array(&page, pointers + 2 * index)?));
            match kind {
                LEAF_TABLE => visit(&self.payload(&page, cell)?)?,
                INTERIOR_TABLE => {
                    let child = u32::from_be_bytes(array(&page, cell)?);
                    self.rows(child, depth + 1, &mut *visit)?;
                }
                _ => anyhow::bail!("page {number} is of the unknown type {kind}"),
            }
        }
        if kind == INTERIOR_TABLE {
            let last = u32::from_be_bytes(array(&page, start + 8)?);
            self.rows(last, depth + 1, visit)?;
        }
        Ok(())
    }

    /// The whole record of a leaf's cell, with what is on overflow pages.
    fn payload(&self, page: &[u8], cell: usize) -> anyhow::Result<Vec<u8>> {
        let mut at = cell;
        let len = usize::try_from(varint(page, &mut at)?)?;
        let _row = varint(page, &mut at)?;
        let left = self.row_bytes.get().checked_sub(len as u64);
        self.row_bytes.set(left.context("its rows overlap")?);
        let most = self.usable - 35;
        let local = if len <= most {
            len
        } else {
            let least = (self.usable - 12) * 32 / 255 - 23;
            let fitting = least + (len - least) % (self.usable - 4);
            if fitting <= most { fitting } else { least }
        };
        let inside = page.get(at..).and_then(|rest| rest.get(..local));
        let mut record = inside.context("a row is outside its page")?.to_vec();
        if local < len {
            let mut next = u32::from_be_bytes(array(page, at + local)?);
            while record.len() < len {
                let page = self.page(next)?;
                next = u32::from_be_bytes(array(&page, 0)?);
                let count = (len - record.len()).min(self.usable - 4);
                record.extend_from_slice(&page[4..4 + count]);
            }
        }
        Ok(record)
    }
}

/// The first `count` columns of a record, or all if it has fewer.
fn columns(record: &[u8], count: usize) -> anyhow::Result<Vec<Value>> {
    let mut at = 0;
    let mut body = usize::try_from(varint(record, &mut at)?)?;
    let header_end = body;
    let mut columns = Vec::new();
    while at < header_end && columns.len() < count {
        let kind = varint(record, &mut at)?;
        let len = match kind {
            0 | 8 | 9 => 0,
            1..=4 => kind,
            5 => 6,
            6 | 7 => 8,
            10 | 11 => anyhow::bail!("a column is of the reserved type {kind}"),
            _ => (kind - 12) / 2,
        };
        let len = usize::try_from(len)?;
        let bytes = record.get(body..).and_then(|rest| rest.get(..len));
        let bytes = bytes.context("a column is outside its row")?;
        body += len;
        columns.push(match kind {
            8 => Value::Integer(0),
            9 => Value::Integer(1),
            1..=6 => Value::Integer(bytes.iter().fold(0, |n, &byte| n << 8 | u64::from(byte))),
            12.. => Value::Bytes(bytes.to_vec()),
            _ => Value::Other,
        });
    }
    Ok(columns)
}

/// A number of one to nine bytes, seven bits in each but the ninth.
fn varint(bytes: &[u8], at: &mut usize) -> anyhow::Result<u64> {
    let mut value = 0;
    for index in 0..9 {
        let byte = array::<1>(bytes, *at)?[0];
        *at += 1;
        if index == 8 {
            return Ok(value << 8 | u64::from(byte));
        }
        value = value << 7 | u64::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            break;
        }
    }
    Ok(value)
}
