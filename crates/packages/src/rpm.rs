//! rpm's database, in the three formats that it has had (rpm(8), `rpmdb(8)`).
//!
//! Only the file with the headers is read: all else in the directory is an index that rpm can
//! rebuild. It may have hundreds of megabytes, so it is read in pieces and its headers one by one.

mod bdb;
mod file;
mod header;
mod ndb;
mod removal;
mod sqlite;
mod wal;

use anyhow::{Context as _, ensure};
use refit_engine::{Guest, GuestPath};

use crate::package::{Files, Package, Source, State};
use file::{GuestFile, Input};
use header::Header;
pub(crate) use removal::removal;

/// Where rpm keeps its database: of old, since Fedora 36 and on SUSE, on ostree.
const PLACES: &[&str] = &["/usr/lib/sysimage/rpm", "/var/lib/rpm", "/usr/share/rpm"];

/// More packages than any distribution has.
const PACKAGE_LIMIT: usize = 200_000;

/// Memory for the lists of all packages together, in bytes; a workstation's take some 100 MiB.
const LISTS_LIMIT: usize = 1024 * 1024 * 1024;

type Visit<'a> = &'a mut dyn FnMut(&[u8]) -> anyhow::Result<()>;
type Reader = fn(&dyn Input, Option<&dyn Input>, Visit<'_>) -> anyhow::Result<()>;

/// The files that hold the headers: SQLite (since rpm 4.16), SUSE's own, Berkeley DB (until 4.15).
const FORMATS: &[(&str, Reader)] = &[
    ("rpmdb.sqlite", sqlite::read),
    ("Packages.db", |input, _, visit| ndb::read(input, visit)),
    ("Packages", |input, _, visit| bdb::read(input, visit)),
];

/// All packages of the first database that has any.
pub(crate) fn read(guest: &Guest<'_>) -> anyhow::Result<Vec<Package>> {
    for place in PLACES {
        for (name, reader) in FORMATS {
            let path = GuestPath::from(*place).join(name);
            let Some(file) = GuestFile::open(guest, &path)? else {
                continue;
            };
            if file.size() == 0 {
                continue;
            }
            let mut wal = path.as_bytes().to_vec();
            wal.extend_from_slice(b"-wal");
            let wal = GuestFile::open(guest, &GuestPath::new(wal))?;
            let wal = wal.as_ref().map(|wal| wal as &dyn Input);
            let size = file.size() + wal.map_or(0, Input::size);
            let mut packages = Collector {
                found: Vec::new(),
                unread: size,
                memory: LISTS_LIMIT,
            };
            reader(&file, wal, &mut |blob| packages.add(blob))
                .with_context(|| format!("reading {path}"))?;
            if !packages.found.is_empty() {
                return Ok(packages.found);
            }
        }
    }
    Ok(Vec::new())
}

/// Packages so far, and what more of them may take.
struct Collector {
    found: Vec<Package>,
    /// Headers do not overlap, so together they are no longer than the file.
    unread: u64,
    memory: usize,
}

impl Collector {
    fn add(&mut self, blob: &[u8]) -> anyhow::Result<()> {
        ensure!(self.found.len() < PACKAGE_LIMIT, "it has too many packages");
        self.unread = self
            .unread
            .checked_sub(blob.len() as u64)
            .context("its headers overlap")?;
        let package = Header::parse(blob)
            .and_then(|header| package(&header, self.memory))
            .with_context(|| format!("header {} of the database", self.found.len() + 1))?;
        self.memory = self
            .memory
            .checked_sub(memory(&package))
            .context("the lists of its packages are too long")?;
        self.found.push(package);
        Ok(())
    }
}

/// What the lists of a package take, with the strings' own overhead.
fn memory(package: &Package) -> usize {
    let files = match &package.files {
        Files::Known(files) => files.as_slice(),
        Files::Dpkg { .. } => &[],
    };
    let files = files.iter().map(|path| path.as_bytes().len());
    let relations = package.requires.iter().chain(&package.provides);
    files
        .chain(relations.map(String::len))
        .map(|len| len + 32)
        .sum()
}

fn package(header: &Header<'_>, path_bytes: usize) -> anyhow::Result<Package> {
    let name = header
        .string(header::NAME)
        .context("it has no name of a package")?;
    let mut version = String::new();
    if let Some(epoch) = header.numbers(header::EPOCH).first() {
        version = format!("{epoch}:");
    }
    version += &header.string(header::VERSION).unwrap_or_default();
    if let Some(release) = header.string(header::RELEASE) {
        version = format!("{version}-{release}");
    }
    let (files, config_files) = header.files(path_bytes)?;
    Ok(Package {
        name,
        version,
        arch: header.string(header::ARCH),
        vendor: header
            .string(header::VENDOR)
            .or_else(|| header.string(header::PACKAGER)),
        state: State::Installed,
        held: false,
        essential: false,
        requires: header.relations(header::REQUIRES),
        provides: header.relations(header::PROVIDES),
        config_files,
        scripts: header.scripts(),
        files: Files::Known(files),
        source: Source::Rpm,
    })
}

#[cfg(test)]
mod tests;
