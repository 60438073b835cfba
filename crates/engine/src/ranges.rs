//! Writing only what differs of a long file: a change of a registry hive touches a few pages of megabytes, and
//! 16 MiB take seconds to an emulated appliance.

use std::ops::Range;

use crate::backend::Backend;
use crate::path::GuestPath;

/// Of a shorter file, nothing is gained.
pub(crate) const WORTHWHILE: usize = 1024 * 1024;

/// A page, as hives have them and file systems write them.
const PAGE: usize = 4096;

/// So many equal bytes between two ranges cost less than another message.
const GAP: usize = 16 * PAGE;

/// Where `new` differs from `old`: whole pages, in order, near ones as one.
pub(crate) fn differing(old: &[u8], new: &[u8]) -> Vec<Range<usize>> {
    let mut ranges: Vec<Range<usize>> = Vec::new();
    for (index, page) in new.chunks(PAGE).enumerate() {
        let start = index * PAGE;
        let end = start + page.len();
        if old.get(start..end) == Some(page) {
            continue;
        }
        match ranges.last_mut() {
            Some(last) if start - last.end <= GAP => last.end = end,
            _ => ranges.push(start..end),
        }
    }
    ranges
}

/// Makes the regular file at `path` hold `new`, given that it differs in `ranges` alone. The start of the file
/// is written last: a hive that was not written completely is then not taken for a sound one.
///
/// # Errors
/// If it cannot be written.
pub(crate) fn write(
    backend: &mut dyn Backend,
    path: &GuestPath,
    new: &[u8],
    ranges: &[Range<usize>],
) -> anyhow::Result<()> {
    let size = backend.lstat(path)?.map_or(0, |stat| stat.size);
    for range in ranges.iter().rev() {
        let part = new.get(range.clone()).unwrap_or_default();
        backend.write_at(path, range.start as u64, part)?;
    }
    if size > new.len() as u64 {
        backend.truncate(path, new.len() as u64)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_pages_that_differ_are_found() {
        let old = vec![0; 100 * PAGE];
        let change = |offsets: &[usize], len: usize| {
            let mut new = vec![0; len];
            for &offset in offsets {
                new[offset] = 1;
            }
            differing(&old, &new)
        };
        assert!(change(&[], old.len()).is_empty());
        assert_eq!(change(&[5], old.len()), vec![0..PAGE; 1]);
        assert_eq!(
            change(&[0, PAGE * 10], old.len()),
            vec![0..PAGE * 11; 1],
            "near ones are one"
        );
        assert_eq!(
            change(&[0, PAGE * 50 + 7], old.len()),
            [0..PAGE, PAGE * 50..PAGE * 51]
        );
        assert_eq!(
            change(&[], old.len() + 10),
            vec![old.len()..old.len() + 10; 1],
            "what is longer"
        );
        assert!(change(&[], old.len() - PAGE).is_empty());
    }
}
