//! Links that start services whose unit or init script is removed: those of systemd, of System V and
//! of OpenRC, and what deb-systemd-helper(1p) remembers of them.

use std::collections::BTreeSet;

use refit_engine::backend::FileKind;
use refit_engine::{Guest, GuestPath};

use crate::removal::Sweep;

/// Where unit files are, for the system's and the users' managers (systemd.unit(5)).
const UNITS: &[(&str, &[&str])] = &[
    (
        "system",
        &["/usr/lib/systemd/system", "/lib/systemd/system"],
    ),
    ("user", &["/usr/lib/systemd/user", "/lib/systemd/user"]),
];

/// Removes the links that lead to something that is removed, and the state that remembers them.
pub(crate) fn disable(guest: &Guest<'_>, sweep: &mut Sweep<'_>) -> anyhow::Result<()> {
    for (scope, dirs) in UNITS {
        let etc = GuestPath::from("/etc/systemd").join(scope);
        let units = units(sweep, dirs, &etc);
        forget(guest, sweep, scope, &units)?;
        links(guest, sweep, &etc)?;
        for entry in guest.list(&etc)? {
            if entry.kind == FileKind::Dir && is_link_dir(&entry.name) {
                let dir = etc.join(&entry.name);
                if links(guest, sweep, &dir)? {
                    sweep.empty_dir(dir)?;
                }
            }
        }
    }
    // insserv and update-rc.d: `S20name` and `K80name`.
    for level in ["0", "1", "2", "3", "4", "5", "6", "S"] {
        links(guest, sweep, &GuestPath::new(format!("/etc/rc{level}.d")))?;
    }
    let runlevels = GuestPath::from("/etc/runlevels");
    for level in guest.list(&runlevels)? {
        links(guest, sweep, &runlevels.join(&level.name))?;
    }
    Ok(())
}

/// Names of the units that are removed.
fn units(sweep: &Sweep<'_>, dirs: &[&str], etc: &GuestPath) -> BTreeSet<Vec<u8>> {
    let dirs: Vec<GuestPath> = dirs
        .iter()
        .map(|dir| GuestPath::from(*dir))
        .chain([etc.clone()])
        .collect();
    sweep
        .gone()
        .iter()
        .filter(|path| path.parent().is_some_and(|parent| dirs.contains(&parent)))
        .map(|path| path.file_name().to_vec())
        .collect()
}

/// Removes the links in `dir` that lead to something that is removed; tells whether there were any.
fn links(guest: &Guest<'_>, sweep: &mut Sweep<'_>, dir: &GuestPath) -> anyhow::Result<bool> {
    let mut any = false;
    for entry in guest.list(dir)? {
        if entry.kind != FileKind::Symlink {
            continue;
        }
        let link = dir.join(&entry.name);
        if sweep.leads_to_gone(&link)? {
            sweep.file(&link)?;
            any = true;
        }
    }
    Ok(any)
}

fn is_link_dir(name: &[u8]) -> bool {
    [".wants", ".requires", ".upholds"]
        .iter()
        .any(|end| name.ends_with(end.as_bytes()))
}

/// Removes what deb-systemd-helper keeps: an empty file for each link that it made, `UNIT.dsh-also`
/// with the paths of all links of a unit, and an empty file for each unit that it masked.
fn forget(
    guest: &Guest<'_>,
    sweep: &mut Sweep<'_>,
    scope: &str,
    units: &BTreeSet<Vec<u8>>,
) -> anyhow::Result<()> {
    let infix = match scope {
        "user" => "user-",
        _ => "",
    };
    let state = GuestPath::from("/var/lib/systemd");
    let enabled = state.join(format!("deb-systemd-{infix}helper-enabled"));
    let masked = state.join(format!("deb-systemd-{infix}helper-masked"));
    let etc = GuestPath::from("/etc/systemd").join(scope);
    let mut dirs = BTreeSet::new();
    for unit in units {
        let also = enabled.join([unit.as_slice(), b".dsh-also"].concat());
        for line in guest
            .read(&also)?
            .unwrap_or_default()
            .split(|&b| b == b'\n')
        {
            let link = GuestPath::new(line);
            if !link.starts_with(&etc) || link == etc {
                continue;
            }
            let memory = enabled.join(&link.as_bytes()[etc.as_bytes().len() + 1..]);
            sweep.file(&memory)?;
            dirs.extend(memory.parent());
        }
        sweep.file(&also)?;
        let mask = masked.join(unit);
        if guest.exists(&mask)? {
            sweep.file(&mask)?;
            let link = etc.join(unit);
            if guest.resolve(&link)? == Some("/dev/null".into()) {
                sweep.file(&link)?;
            }
        }
    }
    dirs.remove(&enabled);
    for dir in dirs {
        sweep.empty_dir(dir)?;
    }
    Ok(())
}
