//! pacman's database: a directory for each package, with the text files `desc` and `files`
//! (alpm-db of libalpm: `%NAME%` on a line, values on the next ones, an empty line).

use anyhow::{Context as _, ensure};
use refit_engine::{Guest, GuestPath};

use crate::dependents;
use crate::package::{Files, Package, Source, State};
use crate::packages::Packages;
use crate::removal::{Removal, Sweep};
use crate::services;

/// The default of `DBPath`, pacman.conf(5).
const LOCAL: &str = "/var/lib/pacman/local";

/// Arch has some 15,000 packages.
const PACKAGE_LIMIT: usize = 100_000;

/// All packages of the database.
pub(crate) fn read(guest: &Guest<'_>) -> anyhow::Result<Vec<Package>> {
    let mut packages = Vec::new();
    let local = GuestPath::from(LOCAL);
    for entry in guest.list(&local)? {
        let dir = local.join(&entry.name);
        let Some(desc) = guest.read(dir.join("desc"))? else {
            continue;
        };
        ensure!(
            packages.len() < PACKAGE_LIMIT,
            "{LOCAL} has too many packages"
        );
        let files = guest.read(dir.join("files"))?.unwrap_or_default();
        let package = package(&desc, &files, &dir).with_context(|| format!("reading {dir}"))?;
        packages.push(package);
    }
    Ok(packages)
}

/// See [`Packages::removal`]: what `pacman -Rn` would leave, without running a script or hook.
pub(crate) fn removal(
    packages: &Packages,
    guest: &Guest<'_>,
    chosen: &[usize],
) -> anyhow::Result<Removal> {
    let all = packages.all();
    if let Some(reason) = dependents::refusal(all, chosen, bare) {
        return Ok(Removal::Blocked { reason });
    }
    let mut sweep = Sweep::new(guest, packages.owner_index(guest)?, chosen);
    let mut listed = Vec::new();
    for &index in chosen {
        listed.extend(all[index].files(guest)?.iter().cloned());
    }
    sweep.files(&listed)?;
    services::disable(guest, &mut sweep)?;
    sweep.dirs(&listed)?;
    for package in chosen.iter().map(|&index| &all[index]) {
        let Source::Pacman { dir } = &package.source else {
            continue;
        };
        for entry in guest.list(dir)? {
            sweep.file(&dir.join(&entry.name))?;
        }
        sweep.empty_dir(dir.clone())?;
        if !package.scripts.is_empty() {
            sweep.note(format!(
                "{}: its install script is not run, and no hooks are",
                package.name
            ));
        }
    }
    Ok(sweep.finish())
}

/// A dependency without version: `name>=1.2`.
fn bare(requirement: &str) -> &str {
    requirement
        .split(['<', '>', '='])
        .next()
        .unwrap_or_default()
}

fn package(desc: &[u8], files: &[u8], dir: &GuestPath) -> anyhow::Result<Package> {
    let text = |section: &[u8]| -> Vec<String> {
        values(desc, section)
            .map(|line| String::from_utf8_lossy(line).into_owned())
            .collect()
    };
    let first = |section| text(section).into_iter().next();
    Ok(Package {
        name: first(b"%NAME%").context("desc names no package")?,
        version: first(b"%VERSION%").unwrap_or_default(),
        arch: first(b"%ARCH%"),
        vendor: first(b"%PACKAGER%"),
        state: State::Installed,
        held: false,
        essential: false,
        requires: text(b"%DEPENDS%"),
        provides: text(b"%PROVIDES%"),
        // `path<TAB>md5`
        config_files: values(files, b"%BACKUP%")
            .filter_map(|line| line.split(|&b| b == b'\t').next())
            .map(GuestPath::new)
            .collect(),
        scripts: values(desc, b"%HAS_SCRIPTLET%")
            .next()
            .map(|_| "install".to_owned())
            .into_iter()
            .collect(),
        files: Files::Known(
            values(files, b"%FILES%")
                .map(GuestPath::new)
                .filter(|path| !path.is_root())
                .collect(),
        ),
        source: Source::Pacman { dir: dir.clone() },
    })
}

/// The lines of a section.
fn values<'t>(text: &'t [u8], section: &[u8]) -> impl Iterator<Item = &'t [u8]> {
    let mut lines = text.split(|&b| b == b'\n');
    lines.by_ref().find(|line| *line == section);
    lines.take_while(|line| !line.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_end_at_an_empty_line() {
        let desc =
            b"%NAME%\ntools\n\n%VERSION%\n1-2\n\n%DEPENDS%\nglibc>=2.3\nsh\n\n%PROVIDES%\nx=1\n";
        let files = b"%FILES%\netc/\netc/a b\nusr/\n\n%BACKUP%\netc/a b\t0123\n";
        let package = package(desc, files, &LOCAL.into()).unwrap();
        assert_eq!(package.requires, ["glibc>=2.3", "sh"]);
        assert_eq!(package.provides, ["x=1"]);
        assert_eq!(package.config_files, ["/etc/a b".into()]);
        let Files::Known(files) = package.files else {
            panic!("pacman lists files at once");
        };
        assert_eq!(files, ["/etc".into(), "/etc/a b".into(), "/usr".into()]);
        assert!(super::package(b"%VERSION%\n1\n", b"", &LOCAL.into()).is_err());
    }
}
