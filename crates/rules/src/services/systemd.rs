//! systemd: links in `/etc/systemd/system` (systemctl(1), `enable` and `mask`).

use refit_engine::backend::FileKind;
use refit_engine::{Change, Guest, GuestPath};

use super::{Masked, Wanted};
use crate::draft::Draft;

/// Where an administrator's units and links are.
pub(super) const ETC: &str = "/etc/systemd/system";
/// Where packages put theirs, first the one that wins (systemd.unit(5)).
pub(super) const VENDOR: [&str; 3] = [
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
];

/// Removes the links that make units start: those below `*.wants` and `*.requires`, and aliases.
/// What is enabled for all machines, by links in the directories of packages, only masking can
/// disable. Presets are not run.
pub(super) fn disable(draft: &mut Draft<'_>, wanted: &Wanted) -> anyhow::Result<()> {
    let etc = GuestPath::new(ETC);
    let mut doomed = Vec::new();
    for entry in draft.guest().list(&etc)? {
        let path = etc.join(&entry.name);
        match entry.kind {
            FileKind::Dir if is_pulling(&entry.name) => {
                for unit in draft.guest().list(&path)? {
                    let link = path.join(&unit.name);
                    if unit.kind == FileKind::Symlink
                        && (wanted.is_unit(&unit.name) || leads_to(draft.guest(), &link, wanted)?)
                    {
                        doomed.push(link);
                    }
                }
            }
            FileKind::Symlink if leads_to(draft.guest(), &path, wanted)? => doomed.push(path),
            _ => {}
        }
    }
    for path in doomed {
        draft.push(Change::Remove { path })?;
    }
    Ok(())
}

fn is_pulling(dir: &[u8]) -> bool {
    [&b".wants"[..], b".requires", b".upholds"]
        .iter()
        .any(|suffix| dir.ends_with(suffix))
}

/// Whether a link is to a unit of that name: an alias, or a unit linked from elsewhere.
fn leads_to(guest: &Guest<'_>, link: &GuestPath, wanted: &Wanted) -> anyhow::Result<bool> {
    let target = target(guest, link)?;
    Ok(target.is_some_and(|target| wanted.is_unit(target.file_name())))
}

fn target(guest: &Guest<'_>, link: &GuestPath) -> anyhow::Result<Option<GuestPath>> {
    guest.read_link(link).map(|target| {
        let dir = link.parent().unwrap_or_else(GuestPath::root);
        target.map(|target| dir.join(target))
    })
}

/// Whether a unit is a link to /dev/null.
pub(super) fn is_masked(guest: &Guest<'_>, path: &GuestPath) -> anyhow::Result<bool> {
    Ok(target(guest, path)? == Some(GuestPath::new("/dev/null")))
}

/// Links the units that match to /dev/null.
pub(super) fn mask(draft: &mut Draft<'_>, wanted: &Wanted) -> anyhow::Result<Masked> {
    let mut masked = Masked::default();
    if draft.guest().facts().init.as_deref() != Some("systemd") {
        return Ok(masked);
    }
    let mut names = std::collections::BTreeSet::new();
    for dir in VENDOR {
        let units = draft.guest().list(dir)?.into_iter();
        names.extend(
            units
                .map(|unit| unit.name)
                .filter(|name| wanted.is_unit(name)),
        );
    }
    // Of a script systemd makes a unit (systemd-sysv-generator(8)).
    for script in draft.guest().list("/etc/init.d")? {
        if wanted.is_script(&script.name) {
            names.insert([&script.name, &b".service"[..]].concat());
        }
    }
    let etc = GuestPath::new(ETC);
    let mut there = std::collections::BTreeMap::new();
    for entry in draft.guest().list(&etc)? {
        if wanted.is_unit(&entry.name) {
            there.insert(entry.name, entry.kind);
        }
    }
    for (name, kind) in &there {
        let path = etc.join(name);
        if *kind == FileKind::Symlink && is_masked(draft.guest(), &path)? {
            masked
                .units
                .push(String::from_utf8_lossy(name).into_owned());
        } else {
            masked.own.push(path);
        }
    }
    for name in names.into_iter().filter(|name| !there.contains_key(name)) {
        draft.push(Change::Link {
            path: etc.join(&name),
            target: b"/dev/null".to_vec(),
        })?;
        masked
            .units
            .push(String::from_utf8_lossy(&name).into_owned());
    }
    Ok(masked)
}
