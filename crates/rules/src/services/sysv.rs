//! System V init: links `S20name` and `K80name` in the directories of run levels.

use std::collections::BTreeSet;

use refit_engine::{Change, GuestPath};

use super::Wanted;
use crate::draft::Draft;

/// Where scripts are; on Red Hat `/etc/init.d` is a link to the second.
const SCRIPTS: [&str; 2] = ["/etc/init.d", "/etc/rc.d/init.d"];
/// Where directories of run levels are: Debian, Red Hat, SUSE.
const LEVELS: [&str; 3] = ["/etc", "/etc/rc.d", "/etc/init.d"];

/// The script of a service.
pub(super) fn script(draft: &Draft<'_>, name: &str) -> anyhow::Result<Option<GuestPath>> {
    for dir in SCRIPTS {
        let path = GuestPath::new(dir).join(name);
        if draft.guest().exists(&path)? {
            return Ok(Some(path));
        }
    }
    Ok(None)
}

/// The directory of run level `level` (`3`, `S`), if there is one.
pub(super) fn level(draft: &Draft<'_>, level: char) -> anyhow::Result<Option<GuestPath>> {
    for dir in LEVELS {
        let dir = GuestPath::new(dir).join(format!("rc{level}.d"));
        if draft.guest().exists(&dir)?
            && let Some(real) = draft.guest().resolve(&dir)?
        {
            return Ok(Some(real));
        }
    }
    Ok(None)
}

/// Removes the links that start a service. Where its script stays, they become links that stop it,
/// as chkconfig(8) and update-rc.d(8) do; otherwise those go too.
pub(super) fn disable(draft: &mut Draft<'_>, wanted: &Wanted) -> anyhow::Result<()> {
    let mut dirs = BTreeSet::new();
    for name in "0123456S".chars() {
        dirs.extend(level(draft, name)?);
    }
    dirs.extend(draft.guest().resolve(&"/etc/init.d/boot.d".into())?);
    for dir in dirs {
        let entries = draft.guest().list(&dir)?;
        for entry in &entries {
            let Some((kind, number, service)) = parse(&entry.name) else {
                continue;
            };
            if !wanted.is_script(service.as_bytes()) {
                continue;
            }
            let stays = script(draft, service)?.is_some();
            if kind == 'K' && stays {
                continue;
            }
            let path = dir.join(&entry.name);
            let target = draft.guest().read_link(&path)?;
            draft.push(Change::Remove { path })?;
            let stopped = entries.iter().any(|other| {
                parse(&other.name).is_some_and(|(kind, _, name)| kind == 'K' && name == service)
            });
            if let Some(target) = target.filter(|_| stays && !stopped) {
                let number = 100_u32.saturating_sub(number).min(99);
                draft.push(Change::Link {
                    path: dir.join(format!("K{number:02}{service}")),
                    target,
                })?;
            }
        }
    }
    Ok(())
}

/// `S20name`: its kind, its number, its name.
pub(super) fn parse(name: &[u8]) -> Option<(char, u32, &str)> {
    let name = std::str::from_utf8(name).ok()?;
    let kind = name
        .chars()
        .next()
        .filter(|kind| matches!(kind, 'S' | 'K'))?;
    let number = name.get(1..3)?.parse().ok()?;
    Some((kind, number, name.get(3..)?)).filter(|(_, _, service)| !service.is_empty())
}
