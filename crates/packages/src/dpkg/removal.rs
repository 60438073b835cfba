//! What `dpkg --purge` would leave, without running a script of the package.

use std::collections::BTreeSet;

use anyhow::Context as _;
use refit_engine::backend::FileKind;
use refit_engine::{Guest, GuestPath};

use super::{ADMIN, Diversion, INFO, STATUS, lines, stanza};
use crate::package::{Package, Source, State};
use crate::packages::Packages;
use crate::removal::{Removal, Sweep, without_lines};
use crate::services;

/// What dpkg-remove takes with a configuration file (`REMOVECONFFEXTS` in dpkg).
const CONFFILE_REMAINS: &[&str] = &[
    "~",
    ".bak",
    "%",
    ".dpkg-tmp",
    ".dpkg-new",
    ".dpkg-old",
    ".dpkg-dist",
];

/// See [`Packages::removal`].
pub(crate) fn removal(
    packages: &Packages,
    guest: &Guest<'_>,
    chosen: &[usize],
) -> anyhow::Result<Removal> {
    if let Some(reason) = super::refusal::refusal(packages.all(), chosen) {
        return Ok(Removal::Blocked { reason });
    }
    let all = packages.all();
    let removed: Vec<&Package> = chosen.iter().map(|&index| &all[index]).collect();
    let names = names_without_rest(all, chosen);
    let diversions = super::diversions(guest)?;
    let owners = packages.owner_index(guest)?;
    let mut sweep = Sweep::new(guest, owners, chosen);

    restore_diverted(guest, &mut sweep, &diversions, &names)?;
    let mut listed = Vec::new();
    for package in &removed {
        for path in package.files(guest)?.iter().chain(&package.config_files) {
            listed.push(owners.place(path, &package.name));
        }
    }
    for path in removed.iter().flat_map(|package| &package.config_files) {
        conffile_remains(guest, &mut sweep, path)?;
    }
    sweep.files(&listed)?;
    services::disable(guest, &mut sweep)?;
    sweep.dirs(&listed)?;

    for package in &removed {
        info_files(guest, &mut sweep, package)?;
    }
    status(guest, &mut sweep, &removed)?;
    overrides(guest, &mut sweep)?;
    triggers(guest, &mut sweep, &names)?;
    notes(guest, &mut sweep, &removed)?;
    Ok(sweep.finish())
}

/// Names of which no other architecture stays.
fn names_without_rest(all: &[Package], chosen: &[usize]) -> BTreeSet<String> {
    chosen
        .iter()
        .map(|&index| &all[index].name)
        .filter(|name| {
            (0..all.len()).all(|index| chosen.contains(&index) || all[index].name != **name)
        })
        .cloned()
        .collect()
}

/// Puts back what the packages had diverted, and forgets the diversions (what their `postrm` would
/// do with dpkg-divert(1)).
fn restore_diverted(
    guest: &Guest<'_>,
    sweep: &mut Sweep<'_>,
    diversions: &[Diversion],
    names: &BTreeSet<String>,
) -> anyhow::Result<()> {
    let theirs =
        |diversion: &&Diversion| diversion.by.as_ref().is_some_and(|by| names.contains(by));
    for diversion in diversions.iter().filter(theirs) {
        sweep.move_back(&diversion.to, &diversion.from)?;
    }
    let path = GuestPath::from(ADMIN).join("diversions");
    let text = guest.read(&path)?.unwrap_or_default();
    let kept: Vec<u8> = text
        .split_inclusive(|&b| b == b'\n')
        .collect::<Vec<_>>()
        .chunks(3)
        .filter(|entry| {
            !entry.get(2).is_some_and(|by| {
                names.contains(String::from_utf8_lossy(by.trim_ascii_end()).as_ref())
            })
        })
        .flatten()
        .copied()
        .flatten()
        .copied()
        .collect();
    if kept != text {
        sweep.write(path, kept);
    }
    Ok(())
}

/// Copies that dpkg and editors leave beside a configuration file.
fn conffile_remains(
    guest: &Guest<'_>,
    sweep: &mut Sweep<'_>,
    path: &GuestPath,
) -> anyhow::Result<()> {
    let Some(dir) = path.parent() else {
        return Ok(());
    };
    let name = path.file_name();
    for entry in guest.list(&dir)? {
        let is_remain = match entry.name.strip_prefix(name) {
            Some(rest) => CONFFILE_REMAINS.iter().any(|end| end.as_bytes() == rest),
            None => {
                entry
                    .name
                    .strip_prefix(b"#")
                    .and_then(|e| e.strip_suffix(b"#"))
                    == Some(name)
            }
        };
        if is_remain && entry.kind == FileKind::File {
            sweep.file(&dir.join(&entry.name))?;
        }
    }
    Ok(())
}

fn info_files(guest: &Guest<'_>, sweep: &mut Sweep<'_>, package: &Package) -> anyhow::Result<()> {
    let Source::Dpkg(details) = &package.source else {
        return Ok(());
    };
    let prefix = format!("{}.", details.base);
    for entry in guest.list(INFO)? {
        // A name may contain a dot (`python3` and `python3.11`), an ending may not.
        if entry
            .name
            .strip_prefix(prefix.as_bytes())
            .is_some_and(|ending| !ending.contains(&b'.'))
        {
            sweep.file(&GuestPath::from(INFO).join(&entry.name))?;
        }
    }
    Ok(())
}

/// The status file without the packages, every other byte as it was.
fn status(guest: &Guest<'_>, sweep: &mut Sweep<'_>, removed: &[&Package]) -> anyhow::Result<()> {
    let text = guest
        .read(STATUS)?
        .with_context(|| format!("{STATUS} has disappeared"))?;
    let mut kept = Vec::with_capacity(text.len());
    let mut from = 0;
    for stanza in stanza::parse(&text).with_context(|| format!("reading {STATUS}"))? {
        let is_removed = removed.iter().any(|package| {
            stanza.get("Package") == Some(&package.name)
                && stanza.get("Architecture") == package.arch.as_deref()
        });
        if is_removed {
            kept.extend_from_slice(&text[from..stanza.range.start]);
            from = stanza.range.end;
        }
    }
    kept.extend_from_slice(&text[from..]);
    sweep.write(STATUS.into(), kept);
    Ok(())
}

/// Owners and modes that dpkg-statoverride(1) keeps for files that go.
fn overrides(guest: &Guest<'_>, sweep: &mut Sweep<'_>) -> anyhow::Result<()> {
    let path = GuestPath::from(ADMIN).join("statoverride");
    let text = guest.read(&path)?.unwrap_or_default();
    // `user group mode /path`
    let kept = without_lines(&text, |line| {
        line.splitn(4, |&b| b == b' ')
            .nth(3)
            .is_some_and(|path| sweep.is_gone(&GuestPath::new(path)))
    });
    if kept != text {
        sweep.write(path, kept);
    }
    Ok(())
}

/// Triggers in which the packages were interested: `triggers/File` has `/path package` lines, a file
/// for each named trigger has `package` lines.
fn triggers(
    guest: &Guest<'_>,
    sweep: &mut Sweep<'_>,
    names: &BTreeSet<String>,
) -> anyhow::Result<()> {
    let dir = GuestPath::from(ADMIN).join("triggers");
    for path in guest.files(&dir, |name| !matches!(name, "Lock" | "Unincorp"))? {
        let text = guest.read(&path)?.unwrap_or_default();
        let kept = without_lines(&text, |line| {
            let last = line.rsplit(|&b| b == b' ').next().unwrap_or_default();
            let package = String::from_utf8_lossy(last);
            let package = package.split(['/', ':']).next().unwrap_or_default();
            names.contains(package)
        });
        if kept == text {
            continue;
        }
        if kept.is_empty() {
            sweep.file(&path)?;
        } else {
            sweep.write(path, kept);
        }
    }
    Ok(())
}

/// What dpkg would have done beyond this.
fn notes(guest: &Guest<'_>, sweep: &mut Sweep<'_>, removed: &[&Package]) -> anyhow::Result<()> {
    for package in removed {
        let scripts: Vec<&str> = package
            .scripts
            .iter()
            .map(String::as_str)
            .filter(|script| matches!(*script, "prerm" | "postrm"))
            .collect();
        if !scripts.is_empty() {
            sweep.note(format!(
                "{}: its {} {} not run; its services are disabled and its diversions undone, but \
                 users, answers to debconf, data and caches that it made are left",
                package.label(),
                scripts.join(" and "),
                if scripts.len() == 1 { "is" } else { "are" },
            ));
        }
        if package.held {
            sweep.note(format!("{} was on hold", package.label()));
        }
        if package.state == State::Unfinished {
            sweep.note(format!("{} was not completely installed", package.label()));
        }
    }
    let path = GuestPath::from(ADMIN).join("triggers/File");
    let text = guest.read(&path)?.unwrap_or_default();
    let mut told = BTreeSet::new();
    for line in lines(&text) {
        let Some(space) = line.iter().rposition(|&b| b == b' ') else {
            continue;
        };
        let watched = GuestPath::new(&line[..space]);
        if sweep.gone().iter().any(|path| path.starts_with(&watched)) {
            let package = String::from_utf8_lossy(&line[space + 1..]).into_owned();
            told.insert(package.split('/').next().unwrap_or_default().to_owned());
        }
    }
    told.retain(|name| removed.iter().all(|package| package.name != *name));
    if !told.is_empty() {
        let told: Vec<String> = told.into_iter().collect();
        sweep.note(format!(
            "triggers that this activates are not run: {}",
            told.join(", ")
        ));
    }
    for entry in guest.list("/etc/alternatives")? {
        let link = GuestPath::from("/etc/alternatives").join(&entry.name);
        if let Some(target) = guest.resolve(&link)?
            && sweep.is_gone(&target)
        {
            sweep.note(format!(
                "{link} leads to {target}, which is removed: update-alternatives in the guest \
                 chooses another"
            ));
        }
    }
    Ok(())
}
