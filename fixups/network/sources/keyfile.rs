//! NetworkManager's connection profiles in its own format (`nm-settings-keyfile(5)`,
//! `nm-settings(5)`). Profiles that it reads from `ifcfg-*` files are the
//! [`ifcfg`](super::ifcfg) reader's.

mod profile;
mod syntax;

use std::collections::{BTreeMap, BTreeSet};

use refit_engine::backend::FileKind;
use refit_engine::{Guest, GuestPath};

pub use self::profile::parse_mac;
pub use self::syntax::{Place, places};

use self::profile::Profile;
use crate::network::model::{Found, Interface, Kind};

/// Where profiles are, the ones that win first.
const DIRS: [&str; 3] = [
    "/run/NetworkManager/system-connections",
    "/etc/NetworkManager/system-connections",
    "/usr/lib/NetworkManager/system-connections",
];

/// The only directory where NetworkManager takes profiles without the extension, as old ones are.
const ANY_NAME_DIR: &str = DIRS[1];

/// More profiles than any real guest has.
const FILE_LIMIT: usize = 4096;

/// Longer than any real profile, in bytes.
const SIZE_LIMIT: usize = 256 * 1024;

/// Reads the profiles in `/run`, `/etc` and `/usr/lib`.
///
/// Of several with one UUID the first directory's counts, within a directory the newest. A
/// `UUID.nmmeta` that leads to `/dev/null` hides a profile (NetworkManager leaves it when a
/// profile of `/usr/lib` is deleted).
///
/// # Errors
/// If a directory cannot be read. A file that cannot is a warning.
pub fn read(guest: &Guest<'_>) -> anyhow::Result<Found> {
    let mut found = Found::default();
    let mut profiles: Vec<Profile> = Vec::new();
    let mut taken: BTreeSet<String> = BTreeSet::new();
    for dir in DIRS {
        let mut here = BTreeSet::new();
        let mut from_here: Vec<Profile> = Vec::new();
        for entry in guest.list(dir)?.into_iter().take(FILE_LIMIT) {
            let Ok(name) = std::str::from_utf8(&entry.name) else {
                continue;
            };
            let path = GuestPath::new(dir).join(name);
            if entry.kind == FileKind::Dir {
                continue;
            }
            if let Some(uuid) = name.strip_suffix(".nmmeta") {
                if hides(guest, &path, entry.kind)? {
                    here.insert(uuid.to_ascii_lowercase());
                }
                continue;
            }
            if ignored(name, dir == ANY_NAME_DIR) {
                continue;
            }
            match read_profile(guest, &path) {
                Ok(Some(profile)) => from_here.push(profile),
                Ok(None) => {}
                Err(why) => found.warnings.push(format!("{path}: {why}")),
            }
        }
        newest_only(guest, &mut from_here)?;
        from_here.retain(|profile| {
            profile
                .uuid
                .as_ref()
                .is_none_or(|uuid| !taken.contains(uuid) && !here.contains(uuid))
        });
        here.extend(from_here.iter().filter_map(|profile| profile.uuid.clone()));
        taken.extend(here);
        profiles.extend(from_here);
    }
    found.interfaces = resolve(profiles, &mut found.warnings);
    Ok(found)
}

/// The profiles in `/etc`, also those that one of the same UUID hides.
///
/// # Errors
/// If the directory cannot be read.
pub fn files(guest: &Guest<'_>) -> anyhow::Result<Vec<GuestPath>> {
    let wanted = |name: &str| !name.ends_with(".nmmeta") && !ignored(name, true);
    guest.files(ANY_NAME_DIR, wanted)
}

/// Whether NetworkManager passes over a file of that name (`nm_keyfile_utils_ignore_filename`).
fn ignored(name: &str, any_name: bool) -> bool {
    let lower = name.to_ascii_lowercase();
    // mkstemp(3) leaves NAME.XXXXXX; this also meets `.backup`.
    let temporary = name
        .rsplit_once('.')
        .is_some_and(|(_, end)| end.len() == 6 && end.bytes().all(|b| b.is_ascii_alphanumeric()));
    name.starts_with('.')
        || temporary
        || ["~", ".swp", ".swpx", ".pem", ".der"]
            .iter()
            .any(|end| lower.ends_with(end))
        // In /etc it would read these; but they are backups, and evidence of nothing.
        || [".bak", ".old", ".orig", ".rpmsave", ".rpmnew", ".rpmorig"]
            .iter()
            .any(|end| lower.ends_with(end))
        || !(any_name || name.ends_with(".nmconnection"))
}

/// Whether a `.nmmeta` file or link says that the profile is not to be loaded.
fn hides(guest: &Guest<'_>, path: &GuestPath, kind: FileKind) -> anyhow::Result<bool> {
    if kind == FileKind::Symlink {
        // A guest's /dev is mostly empty, so that the link leads nowhere.
        return Ok(guest
            .resolve(path)?
            .is_none_or(|target| target == GuestPath::new("/dev/null")));
    }
    let text = guest.read_text(path).ok().flatten().unwrap_or_default();
    Ok(text.len() <= SIZE_LIMIT
        && syntax::parse(&text)
            .is_ok_and(|file| file.raw("nmmeta", "loaded-path") == Some("/dev/null")))
}

fn read_profile(guest: &Guest<'_>, path: &GuestPath) -> Result<Option<Profile>, String> {
    let Some(text) = guest
        .read_text(path)
        .map_err(|error| format!("{error:#}"))?
    else {
        return Ok(None);
    };
    if text.len() > SIZE_LIMIT {
        return Err(format!(
            "too long for a profile, more than {SIZE_LIMIT} bytes"
        ));
    }
    let file = syntax::parse(&text)?;
    if !profile::is_profile(&file) {
        return Err("not a connection profile".to_owned());
    }
    Ok(Some(profile::interpret(&file, path)))
}

/// Of the profiles in one directory that share a UUID, keeps the one that was changed last.
fn newest_only(guest: &Guest<'_>, profiles: &mut Vec<Profile>) -> anyhow::Result<()> {
    let mut by_uuid: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (index, profile) in profiles.iter().enumerate() {
        if let Some(uuid) = &profile.uuid {
            by_uuid.entry(uuid).or_default().push(index);
        }
    }
    let mut drop = BTreeSet::new();
    for same in by_uuid.values().filter(|same| same.len() > 1) {
        let mut dated = Vec::new();
        for &index in same {
            let stat = guest.stat(&profiles[index].interface.source)?;
            dated.push((stat.map(|stat| stat.mtime), index));
        }
        dated.sort();
        dated.pop();
        drop.extend(dated.into_iter().map(|(_, index)| index));
    }
    let mut index = 0;
    profiles.retain(|_| {
        index += 1;
        !drop.contains(&(index - 1))
    });
    Ok(())
}

/// Replaces UUIDs of other profiles by the names of their devices, and makes both ends of every
/// bond, team and bridge know of each other.
fn resolve(profiles: Vec<Profile>, warnings: &mut Vec<String>) -> Vec<Interface> {
    let mut names: BTreeMap<String, Option<String>> = BTreeMap::new();
    for profile in &profiles {
        if let Some(uuid) = &profile.uuid {
            names.insert(uuid.clone(), profile.interface.matches.name.clone());
        }
        for mac in &profile.interface.matches.macs {
            names.insert(mac.to_string(), profile.interface.matches.name.clone());
        }
    }
    // A profile that is bound to no name has none to refer to, and needs none to be kept.
    let named = |reference: &str| -> Option<String> {
        if let Some(name) = names.get(&reference.to_ascii_lowercase()) {
            return name.clone();
        }
        crate::network::model::is_device_name(reference).then(|| reference.to_owned())
    };
    let mut interfaces: Vec<Interface> = Vec::new();
    for profile in profiles {
        let mut interface = profile.interface;
        interface.upper = profile.controller.as_deref().and_then(named);
        interface.lower = profile
            .parent
            .as_deref()
            .and_then(named)
            .into_iter()
            .collect();
        if interface.kind == Kind::Vlan
            && interface.matches.name.is_none()
            && let (Some(parent), Some(id)) = (interface.lower.first(), &profile.vlan_id)
        {
            interface.matches.name = Some(format!("{parent}.{id}"));
        }
        warnings.extend(profile.warnings);
        interfaces.push(interface);
    }
    let pairs: Vec<(String, String)> = interfaces
        .iter()
        .filter_map(|port| Some((port.upper.clone()?, port.matches.name.clone()?)))
        .collect();
    for (upper, port) in pairs {
        for interface in &mut interfaces {
            if interface.matches.name.as_ref() == Some(&upper)
                && matches!(interface.kind, Kind::Bond | Kind::Team | Kind::Bridge)
                && !interface.lower.contains(&port)
            {
                interface.lower.push(port.clone());
            }
        }
    }
    interfaces
}

#[cfg(test)]
#[path = "keyfile/tests.rs"]
mod tests;
