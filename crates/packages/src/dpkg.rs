//! dpkg's database: `/var/lib/dpkg` (dpkg(1), deb822(5), deb-control(5), dpkg-query(1)).

mod refusal;
mod relation;
mod removal;
mod stanza;
mod version;

use std::cell::OnceCell;
use std::collections::BTreeSet;

use anyhow::{Context as _, ensure};
use refit_engine::{Guest, GuestPath};

use crate::package::{Files, Package, Source, State};
pub(crate) use removal::removal;
use stanza::Stanza;

pub(crate) const ADMIN: &str = "/var/lib/dpkg";
pub(crate) const STATUS: &str = "/var/lib/dpkg/status";
pub(crate) const INFO: &str = "/var/lib/dpkg/info";
/// Where images without a package manager (distroless) keep one stanza for each package.
const STATUS_DIR: &str = "/var/lib/dpkg/status.d";

/// The scripts of deb-*(5) that a package may bring.
const SCRIPTS: &[&str] = &["preinst", "postinst", "prerm", "postrm", "config"];

/// What only dpkg knows of a package.
#[derive(Debug, Clone)]
pub(crate) struct Details {
    /// `NAME` or `NAME:ARCH`: how its files in `info/` begin.
    pub base: String,
    /// The `Multi-Arch` field.
    pub multi_arch: Option<String>,
    /// Whether its files are so damaged that dpkg wants it installed again (`reinstreq`).
    pub reinstall: bool,
    /// Packages whose triggers it waits for.
    pub awaits: Vec<String>,
    /// Whether it is from `status.d`, which no dpkg manages.
    pub unmanaged: bool,
}

impl Details {
    pub(crate) fn multi_arch_same(&self) -> bool {
        self.multi_arch.as_deref() == Some("same")
    }
}

/// One entry of `/var/lib/dpkg/diversions` (dpkg-divert(1)).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Diversion {
    /// What packages list.
    pub from: GuestPath,
    /// Where it is put instead.
    pub to: GuestPath,
    /// The package that keeps `from` for itself; `None` if the administrator made the diversion.
    pub by: Option<String>,
}

/// All packages of the database, with those of which only configuration is left.
pub(crate) fn read(guest: &Guest<'_>) -> anyhow::Result<Vec<Package>> {
    let mut packages = Vec::new();
    let info: BTreeSet<String> = guest
        .list(INFO)?
        .into_iter()
        .filter_map(|entry| String::from_utf8(entry.name).ok())
        .collect();
    if let Some(status) = guest.read(STATUS)? {
        for stanza in stanza::parse(&status).with_context(|| format!("reading {STATUS}"))? {
            packages.extend(package(&stanza, &info));
        }
    }
    for file in guest.files(STATUS_DIR, |name| !name.contains('.'))? {
        let Some(text) = guest.read(&file)? else {
            continue;
        };
        for stanza in stanza::parse(&text).with_context(|| format!("reading {file}"))? {
            packages.extend(distroless(guest, &stanza, &file)?);
        }
    }
    Ok(packages)
}

/// The files in one `info/NAME.list`.
pub(crate) fn read_list(guest: &Guest<'_>, list: &GuestPath) -> anyhow::Result<Vec<GuestPath>> {
    Ok(parse_list(&guest.read(list)?.unwrap_or_default()))
}

/// The files of all packages whose lists have not been read.
pub(crate) fn read_all_lists(guest: &Guest<'_>, packages: &[Package]) -> anyhow::Result<()> {
    let unread = |package: &&Package| matches!(&package.files, Files::Dpkg { list: Some(_), read } if read.get().is_none());
    if !packages.iter().any(|package| unread(&package)) {
        return Ok(());
    }
    let lists = guest.read_many(INFO, ".list")?;
    for package in packages.iter().filter(unread) {
        if let Files::Dpkg {
            list: Some(list),
            read,
        } = &package.files
            && let Some(text) = lists.get(list)
        {
            read.get_or_init(|| parse_list(text));
        }
    }
    Ok(())
}

fn parse_list(text: &[u8]) -> Vec<GuestPath> {
    lines(text)
        .filter(|line| line.starts_with(b"/"))
        .map(GuestPath::new)
        .filter(|path| !path.is_root())
        .collect()
}

/// All diversions.
pub(crate) fn diversions(guest: &Guest<'_>) -> anyhow::Result<Vec<Diversion>> {
    let path = GuestPath::from(ADMIN).join("diversions");
    let text = guest.read(&path)?.unwrap_or_default();
    let lines: Vec<&[u8]> = lines(&text).collect();
    ensure!(
        lines.len().is_multiple_of(3),
        "reading {path}: it does not consist of three lines for each diversion"
    );
    Ok(lines
        .chunks_exact(3)
        .map(|entry| Diversion {
            from: GuestPath::new(entry[0]),
            to: GuestPath::new(entry[1]),
            by: (entry[2] != b":").then(|| String::from_utf8_lossy(entry[2]).into_owned()),
        })
        .collect())
}

fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|&b| b == b'\n').filter(|line| !line.is_empty())
}

fn package(stanza: &Stanza, info: &BTreeSet<String>) -> Option<Package> {
    let mut package = common(stanza)?;
    let status = stanza.get("Status").unwrap_or_default();
    let mut words = status.split_whitespace();
    let (want, flag, state) = (words.next()?, words.next()?, words.next()?);
    package.state = match state {
        "installed" => State::Installed,
        "config-files" => State::ConfigFiles,
        "half-installed" | "unpacked" | "half-configured" | "triggers-awaited"
        | "triggers-pending" => State::Unfinished,
        // `not-installed`: only remembered as wanted.
        _ => return None,
    };
    package.held = want == "hold";
    let same = stanza.get("Multi-Arch") == Some("same");
    let base = match &package.arch {
        Some(arch) if same && info.contains(&format!("{}:{arch}.list", package.name)) => {
            format!("{}:{arch}", package.name)
        }
        _ => package.name.clone(),
    };
    package.scripts = SCRIPTS
        .iter()
        .filter(|script| info.contains(&format!("{base}.{script}")))
        .map(|script| (*script).to_owned())
        .collect();
    let list = format!("{base}.list");
    package.files = Files::Dpkg {
        list: info
            .contains(&list)
            .then(|| GuestPath::from(INFO).join(list)),
        read: OnceCell::new(),
    };
    package.source = Source::Dpkg(Details {
        base,
        multi_arch: stanza.get("Multi-Arch").map(str::to_owned),
        reinstall: flag == "reinstreq",
        awaits: words_of(stanza.get("Triggers-Awaited")),
        unmanaged: false,
    });
    Some(package)
}

/// A package of an image without dpkg: its files are known from `NAME.md5sums` beside the stanza.
fn distroless(
    guest: &Guest<'_>,
    stanza: &Stanza,
    file: &GuestPath,
) -> anyhow::Result<Option<Package>> {
    let Some(mut package) = common(stanza) else {
        return Ok(None);
    };
    let mut sums = file.as_bytes().to_vec();
    sums.extend_from_slice(b".md5sums");
    let sums = guest.read(GuestPath::new(sums))?.unwrap_or_default();
    // `<32 digits>  <path without its first slash>`
    package.files = Files::Known(
        lines(&sums)
            .filter_map(|line| line.get(34..))
            .map(GuestPath::new)
            .collect(),
    );
    if let Source::Dpkg(details) = &mut package.source {
        details.unmanaged = true;
    }
    Ok(Some(package))
}

/// What does not depend on how the package is installed.
fn common(stanza: &Stanza) -> Option<Package> {
    let name = stanza.get("Package")?;
    let arch = stanza.get("Architecture");
    if !is_name(name) || !arch.is_none_or(is_name) {
        tracing::warn!(package = name, "a package name that dpkg does not allow");
        return None;
    }
    let yes = |field| stanza.get(field) == Some("yes");
    let list = |field| -> Vec<String> {
        stanza
            .get(field)
            .unwrap_or_default()
            .split(',')
            .map(|part| part.split_whitespace().collect::<Vec<_>>().join(" "))
            .filter(|part| !part.is_empty())
            .collect()
    };
    let conffiles = stanza.get("Conffiles").unwrap_or_default();
    Some(Package {
        name: name.to_owned(),
        version: stanza.get("Version").unwrap_or_default().to_owned(),
        arch: arch.map(str::to_owned),
        vendor: stanza.get("Maintainer").map(str::to_owned),
        state: State::Installed,
        held: false,
        essential: yes("Essential") || yes("Protected"),
        requires: [list("Pre-Depends"), list("Depends")].concat(),
        provides: list("Provides"),
        // `/path <md5> [obsolete] [remove-on-upgrade]`; a path may contain spaces.
        config_files: conffiles
            .lines()
            .filter_map(conffile)
            .map(GuestPath::new)
            .collect(),
        scripts: Vec::new(),
        files: Files::Known(Vec::new()),
        source: Source::Dpkg(Details {
            base: name.to_owned(),
            multi_arch: None,
            reinstall: false,
            awaits: Vec::new(),
            unmanaged: false,
        }),
    })
}

fn conffile(line: &str) -> Option<&str> {
    let mut line = line.trim();
    for flag in [" remove-on-upgrade", " obsolete"] {
        line = line.strip_suffix(flag).unwrap_or(line);
    }
    let (path, _digest) = line.rsplit_once(' ')?;
    path.starts_with('/').then_some(path)
}

/// Whether dpkg would accept `name` (deb-control(5)): it becomes a part of paths.
fn is_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "+-._".contains(c))
}

fn words_of(field: Option<&str>) -> Vec<String> {
    field
        .unwrap_or_default()
        .split_whitespace()
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests;
