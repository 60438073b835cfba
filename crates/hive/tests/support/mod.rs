//! What the tests of hives share: the sample hives, a plain listing of a hive, and random edits.
#![allow(
    dead_code,
    clippy::unwrap_used,
    reason = "no test uses all of it; a test may fail"
)]

pub mod edits;
pub mod random;

use std::fmt::Write as _;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use refit_hive::{Hive, Key};

/// A hive to test with.
pub struct Sample {
    pub name: String,
    pub bytes: Vec<u8>,
}

/// The hives beside the tests, and those in the directory that `REFIT_HIVES` names (whole or as `.xz`).
pub fn samples() -> Vec<Sample> {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data");
    let mut paths = files(&own);
    if let Some(more) = std::env::var_os("REFIT_HIVES") {
        paths.extend(files(Path::new(&more)));
    }
    paths
        .into_iter()
        .filter(|path| path.extension().is_none_or(|extension| extension != "md"))
        .map(|path| Sample {
            name: path.file_name().unwrap().to_string_lossy().into_owned(),
            bytes: read(&path),
        })
        .collect()
}

/// The samples that are whole hives; of dirty ones without their logs, what was written last.
pub fn hives() -> Vec<(String, Hive)> {
    samples()
        .into_iter()
        .filter_map(|sample| Some((sample.name, Hive::parse_as_flushed(sample.bytes).ok()?)))
        .collect()
}

/// A file from `tests/data`.
pub fn sample(name: &str) -> Vec<u8> {
    read(
        &Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/data")
            .join(name),
    )
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_file())
        .collect();
    paths.sort();
    paths
}

fn read(path: &Path) -> Vec<u8> {
    let bytes = std::fs::read(path).unwrap();
    if path.extension().is_none_or(|extension| extension != "xz") {
        return bytes;
    }
    let mut plain = Vec::new();
    lzma_rust2::XzReader::new(bytes.as_slice(), true)
        .read_to_end(&mut plain)
        .unwrap();
    plain
}

/// All keys and values as lines that the scripts in `tests/readers` write, too.
///
/// Keys and values stand in order of their names, as the readers do not agree on another one.
pub fn listing(hive: &Hive) -> String {
    let mut lines = Vec::new();
    let mut waiting = vec![(hive.root(), String::new())];
    while let Some((key, path)) = waiting.pop() {
        lines.push(format!("{path}\t\n"));
        for value in key.values() {
            let mut line = format!("{path}\t={}\t{}\t", value.name, value.value.kind.number());
            let data = &value.value.data;
            match data.len() {
                ..=64 => data
                    .iter()
                    .for_each(|byte| write!(line, "{byte:02x}").unwrap()),
                length => write!(line, "{length} bytes, CRC {:08x}", crc(data)).unwrap(),
            }
            line.push('\n');
            lines.push(line);
        }
        waiting.extend(
            key.subkeys()
                .map(|sub| (sub, format!("{path}\\{}", sub.name()))),
        );
    }
    lines.sort();
    lines.concat()
}

/// How many keys there are, from this one on.
pub fn count(key: Key<'_>) -> usize {
    let mut waiting = vec![key];
    let mut keys = 0;
    while let Some(key) = waiting.pop() {
        keys += 1;
        waiting.extend(key.subkeys());
    }
    keys
}

/// CRC-32 as in zlib.
fn crc(data: &[u8]) -> u32 {
    !data.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            crc >> 1 ^ (0xedb8_8320 & 0u32.wrapping_sub(crc & 1))
        })
    })
}
