//! Which unit files there are, and what is in force of them.

use std::collections::BTreeMap;

use refit_engine::backend::{Entry, FileKind};
use refit_engine::{Guest, GuestPath};

use crate::network::sources::reading::{Reading, quote};
use crate::network::sources::unit_file::UnitFile;

/// Where unit files are, the first having precedence. A system without merged `/usr` has the
/// distribution's in the last.
const DIRECTORIES: [&str; 5] = [
    "/etc/systemd/network",
    "/run/systemd/network",
    "/usr/local/lib/systemd/network",
    "/usr/lib/systemd/network",
    "/lib/systemd/network",
];

/// Most units of one kind, and most drop-ins of one unit.
const UNIT_LIMIT: usize = 2048;

/// One unit with its drop-ins.
#[derive(Debug)]
pub struct Unit {
    /// The main file.
    pub path: GuestPath,
    /// The name by which it is ordered among the others.
    pub file_name: String,
    /// The settings in force: the main file's, then those of the drop-ins.
    pub merged: UnitFile,
    /// The same, file by file.
    pub parts: Vec<(GuestPath, UnitFile)>,
}

/// The units whose name ends in `suffix` (`.network`), in the order in which they are tried.
///
/// systemd.network(5), systemd.link(5) and systemd.netdev(5) agree: by file name, whatever the
/// directory; of equal names the one in the first directory; an empty file or a link to `/dev/null`
/// masks; `NAME.network.d/*.conf` from all directories, ordered and masked in the same way, is read
/// after the main file.
///
/// # Errors
/// If the backend cannot be read.
pub fn load(reading: &mut Reading<'_, '_>, suffix: &str) -> anyhow::Result<Vec<Unit>> {
    let mut units = Vec::new();
    for (file_name, path) in in_force(reading, "", suffix)? {
        let Some(main) = parse(reading, &path) else {
            continue;
        };
        let mut parts = vec![(path.clone(), main)];
        for (_, path) in in_force(reading, &format!("{file_name}.d"), ".conf")? {
            if let Some(drop_in) = parse(reading, &path) {
                parts.push((path, drop_in));
            }
        }
        let mut merged = UnitFile::default();
        for (_, part) in &parts {
            merged.append(part.clone());
        }
        units.push(Unit {
            path,
            file_name,
            merged,
            parts,
        });
    }
    Ok(units)
}

/// The files in `subdirectory` of all directories by name: those that are neither hidden by one of
/// the same name nor masked.
fn in_force(
    reading: &mut Reading<'_, '_>,
    subdirectory: &str,
    suffix: &str,
) -> anyhow::Result<Vec<(String, GuestPath)>> {
    let mut files: BTreeMap<String, Option<GuestPath>> = BTreeMap::new();
    for directory in DIRECTORIES {
        let directory = GuestPath::new(directory).join(subdirectory);
        for entry in reading.guest.list(&directory)? {
            let Ok(name) = std::str::from_utf8(&entry.name) else {
                continue;
            };
            if !name.ends_with(suffix) || files.contains_key(name) {
                continue;
            }
            let path = directory.join(name);
            if files.len() >= UNIT_LIMIT {
                reading.warn(&directory, None, "not all files read: there are too many");
                break;
            }
            match state(reading.guest, &path, &entry)? {
                State::Present => files.insert(name.to_owned(), Some(path)),
                State::Masked => files.insert(name.to_owned(), None),
                State::Nothing => {
                    reading.warn(&path, None, "passed over: no file, or a link to none");
                    continue;
                }
            };
        }
    }
    Ok(files
        .into_iter()
        .filter_map(|(name, path)| Some((name, path?)))
        .collect())
}

enum State {
    Present,
    Masked,
    Nothing,
}

fn state(guest: &Guest<'_>, path: &GuestPath, entry: &Entry) -> anyhow::Result<State> {
    if entry.kind == FileKind::Symlink {
        match guest.resolve(path)? {
            Some(target) if target.as_bytes() == b"/dev/null" => return Ok(State::Masked),
            // A tree without any /dev: the link to /dev/null leads nowhere.
            None if !guest.exists("/dev")? => return Ok(State::Masked),
            _ => {}
        }
    }
    Ok(match guest.stat(path)? {
        Some(stat) if stat.kind != FileKind::File => State::Nothing,
        Some(stat) if stat.size == 0 => State::Masked,
        Some(_) => State::Present,
        None => State::Nothing,
    })
}

fn parse(reading: &mut Reading<'_, '_>, path: &GuestPath) -> Option<UnitFile> {
    let text = reading.text(path)?;
    match UnitFile::parse(&text) {
        Ok((file, problems)) => {
            for problem in problems {
                let reason = format!("{}: {}", problem.reason, quote(&problem.text));
                reading.warn(path, Some(problem.line), reason);
            }
            Some(file)
        }
        Err(problem) => {
            let reason = format!("{}, so systemd ignores the file", problem.reason);
            reading.warn(path, Some(problem.line), reason);
            None
        }
    }
}
