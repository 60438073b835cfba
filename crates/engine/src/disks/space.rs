use std::{
    collections::BTreeMap,
    fs,
    ops::Range,
    os::unix::fs::{FileTypeExt, MetadataExt},
    path::Path,
};

use super::{DiskError, Format, Image, Result, qemu};

/// Refuses a commit for which a file system of the bases lacks space: a sparse base grows by what the
/// overlay has and it has not.
///
/// # Errors
///
/// [`DiskError::NoSpace`].
pub(super) fn refuse_if_short(overlays: &[(&Path, &Image)]) -> Result<()> {
    let mut needs: BTreeMap<u64, (&Path, u64)> = BTreeMap::new();
    for (overlay, base) in overlays {
        // What grows is the last file: the one file of most formats, an extent of a VMDK.
        let file = base.files().last().map_or(base.path(), |file| file);
        let metadata = fs::metadata(file).map_err(DiskError::io(file, "reading its attributes"))?;
        if metadata.file_type().is_block_device() {
            continue;
        }
        let entry = needs.entry(metadata.dev()).or_insert((file, 0));
        entry.1 = entry.1.saturating_add(growth(overlay, base)?);
    }
    for (path, need) in needs.into_values() {
        let statistics = rustix::fs::statvfs(path)
            .map_err(|error| DiskError::io(path, "asking for free space")(error.into()))?;
        // Blocks that are kept for root count when we are root.
        let blocks = if rustix::process::geteuid().is_root() {
            statistics.f_bfree
        } else {
            statistics.f_bavail
        };
        let free = blocks.saturating_mul(statistics.f_frsize);
        tracing::debug!(disk = %path.display(), need, free, "space for the commit");
        if need > free {
            return Err(DiskError::NoSpace {
                path: path.into(),
                need,
                free,
            });
        }
    }
    Ok(())
}

/// Upper bound of the bytes that the base grows by.
fn growth(overlay: &Path, base: &Image) -> Result<u64> {
    let unit = base.info().cluster_size.unwrap_or(512).max(1);
    let changed = Ranges::of(overlay, Format::Qcow2, |_| true)?.widened(unit);
    // A cluster that is compressed, or that a snapshot uses, too, is written elsewhere.
    let in_place = !base.info().has_snapshots();
    let stored = Ranges::of(base.path(), base.format(), |extent| {
        in_place && extent.data && !extent.compressed
    })?;
    let new = changed.len().saturating_sub(changed.common(&stored));
    if base.format() == Format::Raw {
        // Preallocated blocks are holes to qemu, but have their space already.
        let metadata = fs::metadata(base.path())
            .map_err(DiskError::io(base.path(), "reading its attributes"))?;
        return Ok(new.min(
            metadata
                .len()
                .saturating_sub(metadata.blocks().saturating_mul(512)),
        ));
    }
    // Tables: 8 bytes for a cluster of 64 KiB, refcounts; 1 % is generous.
    Ok(if new == 0 {
        0
    } else {
        new.saturating_add(new / 100).saturating_add(4 * unit)
    })
}

/// Ranges of a disk in ascending order, not overlapping.
#[derive(Debug, Default)]
struct Ranges(Vec<Range<u64>>);

impl Ranges {
    /// What the image itself (not its backing files) has of what `select` says.
    fn of(path: &Path, format: Format, select: impl Fn(&qemu::Extent) -> bool) -> Result<Self> {
        let mut ranges = Self::default();
        qemu::map(path, format, |extent| {
            if extent.depth == 0 && select(&extent) {
                ranges.push(extent.start..extent.start.saturating_add(extent.length));
            }
        })?;
        Ok(ranges)
    }

    /// Appends a range that starts behind the start of the last, and merges the two if they touch.
    fn push(&mut self, range: Range<u64>) {
        match self.0.last_mut() {
            Some(last) if last.end >= range.start => last.end = last.end.max(range.end),
            _ => self.0.push(range),
        }
    }

    /// The same in whole units.
    fn widened(&self, unit: u64) -> Self {
        let mut wide = Self::default();
        for range in &self.0 {
            wide.push(range.start / unit * unit..range.end.div_ceil(unit).saturating_mul(unit));
        }
        wide
    }

    fn len(&self) -> u64 {
        self.0.iter().map(|range| range.end - range.start).sum()
    }

    /// Bytes that are in both.
    fn common(&self, other: &Self) -> u64 {
        let (mut mine, mut theirs) = (self.0.iter().peekable(), other.0.iter().peekable());
        let mut common = 0u64;
        while let (Some(a), Some(b)) = (mine.peek(), theirs.peek()) {
            common += a.end.min(b.end).saturating_sub(a.start.max(b.start));
            if a.end <= b.end {
                mine.next();
            } else {
                theirs.next();
            }
        }
        common
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Pairs<'a> = &'a [(u64, u64)];

    fn ranges(pairs: Pairs) -> Ranges {
        let mut ranges = Ranges::default();
        for (start, end) in pairs {
            ranges.push(*start..*end);
        }
        ranges
    }

    #[test]
    fn widens_and_merges() {
        let wide = ranges(&[(1, 2), (9, 10), (11, 12), (30, 41)]).widened(10);
        assert_eq!(wide.0, [0..20, 30..50]);
        assert_eq!(wide.len(), 40);
    }

    #[test]
    fn counts_what_is_common() {
        let cases: [(Pairs, Pairs, u64); 5] = [
            (&[(0, 10)], &[], 0),
            (&[(0, 10)], &[(5, 20)], 5),
            (&[(0, 10), (20, 30)], &[(5, 25)], 10),
            (&[(0, 100)], &[(1, 2), (3, 4), (99, 200)], 3),
            (&[(0, 1), (5, 6)], &[(1, 5), (6, 9)], 0),
        ];
        for (a, b, expected) in cases {
            assert_eq!(ranges(a).common(&ranges(b)), expected, "{a:?} {b:?}");
            assert_eq!(ranges(b).common(&ranges(a)), expected, "{b:?} {a:?}");
        }
    }
}
