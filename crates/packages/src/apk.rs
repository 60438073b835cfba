//! apk's database: a text file with one paragraph for each package
//! (<https://wiki.alpinelinux.org/wiki/Apk_spec>, "Installed Database V2").

mod removal;

use anyhow::{Context as _, ensure};
use refit_engine::{Guest, GuestPath};

use crate::package::{Files, Package, Source, State};
pub(crate) use removal::removal;

/// Where the database is: apk 2, and apk 3 on a merged `/usr`.
const PLACES: &[&str] = &["/lib/apk/db", "/usr/lib/apk/db"];

/// Alpine's largest release has some 25,000 packages.
const PACKAGE_LIMIT: usize = 200_000;

/// The directory of the database, if there is one.
fn place(guest: &Guest<'_>) -> anyhow::Result<Option<GuestPath>> {
    for place in PLACES {
        let place = GuestPath::from(*place);
        if guest.exists(place.join("installed"))? {
            return Ok(Some(place));
        }
    }
    Ok(None)
}

/// All packages of the database.
pub(crate) fn read(guest: &Guest<'_>) -> anyhow::Result<Vec<Package>> {
    let Some(place) = place(guest)? else {
        return Ok(Vec::new());
    };
    let path = place.join("installed");
    let text = guest.read(&path)?.unwrap_or_default();
    parse(&text).with_context(|| format!("reading {path}"))
}

fn parse(text: &[u8]) -> anyhow::Result<Vec<Package>> {
    let mut packages = Vec::new();
    for paragraph in paragraphs(text) {
        ensure!(packages.len() < PACKAGE_LIMIT, "it has too many packages");
        packages.extend(package(&text[paragraph])?);
    }
    Ok(packages)
}

/// The bytes of each package with the empty line behind it.
fn paragraphs(text: &[u8]) -> Vec<std::ops::Range<usize>> {
    let mut ranges = Vec::new();
    let (mut start, mut offset) = (0, 0);
    for line in text.split_inclusive(|&b| b == b'\n') {
        offset += line.len();
        if line == b"\n" {
            ranges.push(start..offset);
            start = offset;
        }
    }
    if start < offset {
        ranges.push(start..offset);
    }
    ranges
}

fn package(paragraph: &[u8]) -> anyhow::Result<Option<Package>> {
    let mut package = Package {
        name: String::new(),
        version: String::new(),
        arch: None,
        vendor: None,
        state: State::Installed,
        held: false,
        essential: false,
        requires: Vec::new(),
        provides: Vec::new(),
        config_files: Vec::new(),
        scripts: Vec::new(),
        files: Files::Known(Vec::new()),
        source: Source::Apk {
            checksum: String::new(),
        },
    };
    let mut files = Vec::new();
    let mut dir = GuestPath::root();
    for line in paragraph
        .split(|&b| b == b'\n')
        .filter(|line| !line.is_empty())
    {
        let (&key, Some(value)) = (&line[0], line.get(1..).and_then(|l| l.strip_prefix(b":")))
        else {
            anyhow::bail!("a line is no field: {:.80}", String::from_utf8_lossy(line));
        };
        let text = || String::from_utf8_lossy(value).into_owned();
        let words = || text().split_whitespace().map(str::to_owned).collect();
        match key {
            b'P' => package.name = text(),
            b'V' => package.version = text(),
            b'A' => package.arch = Some(text()),
            b'm' => package.vendor = Some(text()),
            b'D' => package.requires = words(),
            b'p' => package.provides = words(),
            b'C' => package.source = Source::Apk { checksum: text() },
            b'F' => {
                dir = GuestPath::new(value);
                if !dir.is_root() {
                    files.push(dir.clone());
                }
            }
            b'R' => {
                ensure!(!value.contains(&b'/'), "a file name contains a slash");
                files.push(dir.join(value));
            }
            // Fields that newer versions add do not change what a package owns.
            _ => {}
        }
    }
    if package.name.is_empty() {
        return Ok(None);
    }
    package.files = Files::Known(files);
    Ok(Some(package))
}

#[cfg(test)]
mod tests;
