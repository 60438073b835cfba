//! The header of one package, as rpm stores it in its database: two big-endian counts, an index of
//! 16-byte entries (tag, type, offset, count) and a store of values
//! (<https://rpm-software-management.github.io/rpm/manual/format_header.html>; in the database
//! without the magic number that packages have before it).

use anyhow::{Context as _, ensure};
use refit_engine::GuestPath;

pub(crate) const NAME: u32 = 1000;
pub(crate) const VERSION: u32 = 1001;
pub(crate) const RELEASE: u32 = 1002;
pub(crate) const EPOCH: u32 = 1003;
pub(crate) const VENDOR: u32 = 1011;
pub(crate) const PACKAGER: u32 = 1015;
pub(crate) const ARCH: u32 = 1022;
/// Name, flags and version of what a package provides and requires.
pub(crate) const PROVIDES: [u32; 3] = [1047, 1112, 1113];
pub(crate) const REQUIRES: [u32; 3] = [1049, 1048, 1050];

const OLD_FILE_NAMES: u32 = 1027;
const FILE_STATES: u32 = 1029;
const FILE_FLAGS: u32 = 1037;
const DIR_INDEXES: u32 = 1116;
const BASE_NAMES: u32 = 1117;
const DIR_NAMES: u32 = 1118;

const SCRIPTS: &[(u32, &str)] = &[
    (1023, "pre"),
    (1024, "post"),
    (1025, "preun"),
    (1026, "postun"),
    (1151, "pretrans"),
    (1152, "posttrans"),
    (1065, "triggers"),
];

/// `RPMFILE_CONFIG` of rpmfiles.h.
const FLAG_CONFIG: u32 = 1;
/// `RPMFILE_STATE_REPLACED`, `_NOTINSTALLED`, `_WRONGCOLOR`: what is there is not this package's.
const STATES_NOT_OWNED: &[u32] = &[1, 2, 4];

/// What the largest header in the wild comes nowhere near.
const ENTRY_LIMIT: usize = 65_536;
const STRING_LIMIT: usize = 1_000_000;
const PATH_LIMIT: usize = 4096;

/// Files and configuration files.
type FileLists = (Vec<GuestPath>, Vec<GuestPath>);

/// One header. Values that do not fit in the store are as if they were not there.
pub(crate) struct Header<'b> {
    entries: Vec<Entry>,
    store: &'b [u8],
}

struct Entry {
    tag: u32,
    kind: u32,
    offset: usize,
    count: usize,
}

impl<'b> Header<'b> {
    /// # Errors
    /// If the index or the store is longer than the blob.
    pub(crate) fn parse(blob: &'b [u8]) -> anyhow::Result<Self> {
        let word = |offset: usize| -> anyhow::Result<u32> {
            super::file::array(blob, offset).map(u32::from_be_bytes)
        };
        let entries = usize::try_from(word(0)?)?;
        let store_len = usize::try_from(word(4)?)?;
        ensure!(entries <= ENTRY_LIMIT, "its index has {entries} entries");
        let store_start = 8 + 16 * entries;
        let store = blob
            .get(store_start..)
            .and_then(|rest| rest.get(..store_len))
            .context("it is cut")?;
        let entries = (0..entries)
            .map(|index| {
                let at = 8 + 16 * index;
                Ok(Entry {
                    tag: word(at)?,
                    kind: word(at + 4)?,
                    // Negative in the trailers of regions, which are not read.
                    offset: usize::try_from(word(at + 8)?)?,
                    count: usize::try_from(word(at + 12)?)?,
                })
            })
            .collect::<anyhow::Result<_>>()?;
        Ok(Self { entries, store })
    }

    /// The first string of a tag (types string, string array, and translated strings).
    pub(crate) fn string(&self, tag: u32) -> Option<String> {
        self.strings(tag)
            .first()
            .map(|text| String::from_utf8_lossy(text).into_owned())
    }

    /// The numbers of a tag of type char, int8, int16 or int32.
    pub(crate) fn numbers(&self, tag: u32) -> Vec<u32> {
        let Some((entry, values)) = self.find(tag) else {
            return Vec::new();
        };
        let width = match entry.kind {
            1 | 2 => 1,
            3 => 2,
            4 => 4,
            _ => return Vec::new(),
        };
        values
            .chunks_exact(width)
            .take(entry.count)
            .map(|bytes| bytes.iter().fold(0, |n, &byte| n << 8 | u32::from(byte)))
            .collect()
    }

    /// `name op version` of each relation.
    pub(crate) fn relations(&self, [names, flags, versions]: [u32; 3]) -> Vec<String> {
        let (flags, versions) = (self.numbers(flags), self.strings(versions));
        self.strings(names)
            .iter()
            .enumerate()
            .map(|(index, name)| {
                let name = String::from_utf8_lossy(name);
                let flags = flags.get(index).copied().unwrap_or_default();
                // RPMSENSE_LESS, _GREATER and _EQUAL.
                let operator: String = [(2, '<'), (4, '>'), (8, '=')]
                    .iter()
                    .filter(|(flag, _)| flags & flag != 0)
                    .map(|(_, sign)| *sign)
                    .collect();
                match versions.get(index) {
                    Some(version) if !operator.is_empty() && !version.is_empty() => {
                        format!("{name} {operator} {}", String::from_utf8_lossy(version))
                    }
                    _ => name.into_owned(),
                }
            })
            .collect()
    }

    /// The scripts that it has.
    pub(crate) fn scripts(&self) -> Vec<String> {
        SCRIPTS
            .iter()
            .filter(|(tag, _)| self.find(*tag).is_some())
            .map(|(_, name)| (*name).to_owned())
            .collect()
    }

    /// Its files, and those among them that are configuration.
    ///
    /// # Errors
    /// If its lists contradict each other, or the paths together have more than `limit` bytes.
    pub(crate) fn files(&self, limit: usize) -> anyhow::Result<FileLists> {
        let flags = self.numbers(FILE_FLAGS);
        let states = self.numbers(FILE_STATES);
        let dirs = self.strings(DIR_NAMES);
        let indexes = self.numbers(DIR_INDEXES);
        let base_names = self.strings(BASE_NAMES);
        let whole = self.strings(OLD_FILE_NAMES);
        ensure!(
            base_names.len() == indexes.len(),
            "it has {} names of files and {} directories for them",
            base_names.len(),
            indexes.len()
        );
        let mut size = 0;
        let mut lists = FileLists::default();
        // Before rpm 4 a header had whole paths.
        let mut paths: Vec<(&[u8], &[u8])> =
            whole.into_iter().map(|path| (&b""[..], path)).collect();
        if !base_names.is_empty() {
            paths.clear();
        }
        for (name, &index) in base_names.iter().zip(&indexes) {
            let dir = usize::try_from(index).ok().and_then(|i| dirs.get(i));
            paths.push((
                dir.context("a file is in a directory that it does not name")?,
                name,
            ));
        }
        for (index, (dir, name)) in paths.into_iter().enumerate() {
            size += dir.len() + name.len();
            ensure!(
                dir.len() + name.len() <= PATH_LIMIT && size <= limit,
                "its files have too long names"
            );
            if states
                .get(index)
                .is_some_and(|state| STATES_NOT_OWNED.contains(state))
            {
                continue;
            }
            let path = GuestPath::new([dir, name].concat());
            if path.is_root() {
                continue;
            }
            if flags
                .get(index)
                .is_some_and(|flags| flags & FLAG_CONFIG != 0)
            {
                lists.1.push(path.clone());
            }
            lists.0.push(path);
        }
        Ok(lists)
    }

    /// The strings of a tag; fewer than it counts if the store ends before.
    fn strings(&self, tag: u32) -> Vec<&'b [u8]> {
        let Some((entry, values)) = self.find(tag) else {
            return Vec::new();
        };
        // string, string array, translated string
        if !matches!(entry.kind, 6 | 8 | 9) || entry.count > STRING_LIMIT {
            return Vec::new();
        }
        let mut rest = values;
        let mut strings = Vec::new();
        while strings.len() < entry.count
            && let Some(end) = rest.iter().position(|&b| b == 0)
        {
            strings.push(&rest[..end]);
            rest = &rest[end + 1..];
        }
        strings
    }

    /// The entry of a tag, and the store from its values on.
    fn find(&self, tag: u32) -> Option<(&Entry, &'b [u8])> {
        let entry = self.entries.iter().find(|entry| entry.tag == tag)?;
        Some((entry, self.store.get(entry.offset..)?))
    }
}
