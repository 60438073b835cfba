//! Services that are to start at boot.

use refit_engine::{Change, GuestPath};

use super::systemd::{ETC, VENDOR, is_masked};
use super::{UNIT_SUFFIXES, sysv};
use crate::draft::Draft;
use crate::glob::entry;

/// Takes care that service `name` starts at boot. Gives what hinders it.
pub(crate) fn enable(draft: &mut Draft<'_>, name: &str) -> anyhow::Result<Option<String>> {
    let script = name.strip_suffix(".service").unwrap_or(name);
    let is_service = script != name || !UNIT_SUFFIXES.iter().any(|suffix| name.ends_with(suffix));
    if draft.guest().facts().init.as_deref() == Some("systemd") {
        let unit = if is_service {
            format!("{script}.service")
        } else {
            name.to_owned()
        };
        if is_masked(draft.guest(), &GuestPath::new(ETC).join(&unit))? {
            return Ok(Some(format!("{unit} is masked, and is not enabled")));
        }
        if let Some(path) = unit_file(draft, &unit)? {
            return enable_unit(draft, &unit, &path);
        }
    }
    let Some(path) = sysv::script(draft, script)?.filter(|_| is_service) else {
        return Ok(Some(format!("there is no service {name} to enable")));
    };
    if draft.guest().exists("/etc/runlevels/default")? {
        let link = GuestPath::new("/etc/runlevels/default").join(script);
        if entry(draft.guest(), &link)?.is_none() {
            draft.push(Change::Link {
                path: link,
                target: path.as_bytes().to_vec(),
            })?;
        }
        return Ok(None);
    }
    enable_script(draft, script, &path)
}

/// The file of a unit; of an instance `a@b.service` that of its template.
fn unit_file(draft: &Draft<'_>, unit: &str) -> anyhow::Result<Option<GuestPath>> {
    let template = unit.split_once('@').and_then(|(name, rest)| {
        let (_, suffix) = rest.rsplit_once('.')?;
        Some(format!("{name}@.{suffix}"))
    });
    for name in [Some(unit.to_owned()), template].into_iter().flatten() {
        for dir in [ETC].into_iter().chain(VENDOR) {
            let path = GuestPath::new(dir).join(&name);
            if draft.guest().exists(&path)? {
                return Ok(Some(draft.guest().resolve_parent(&path)?.unwrap_or(path)));
            }
        }
    }
    Ok(None)
}

/// Makes the links that the unit's section `[Install]` asks for.
fn enable_unit(
    draft: &mut Draft<'_>,
    unit: &str,
    path: &GuestPath,
) -> anyhow::Result<Option<String>> {
    let text = draft.guest().read_text(path)?.unwrap_or_default();
    let etc = GuestPath::new(ETC);
    let mut links = Vec::new();
    for (key, value) in install_section(&text) {
        let suffix = match key {
            "WantedBy" => ".wants",
            "RequiredBy" => ".requires",
            "UpheldBy" => ".upholds",
            "Alias" => "",
            _ => continue,
        };
        for name in value.split_whitespace().filter(|name| !name.contains('/')) {
            links.push(if suffix.is_empty() {
                etc.join(name)
            } else {
                etc.join(format!("{name}{suffix}")).join(unit)
            });
        }
    }
    if links.is_empty() {
        return Ok(Some(format!(
            "{unit} has no section [Install] that says when it starts, and is not enabled"
        )));
    }
    for link in links {
        if entry(draft.guest(), &link)?.is_none() {
            draft.push(Change::Link {
                path: link,
                target: path.as_bytes().to_vec(),
            })?;
        }
    }
    Ok(None)
}

fn install_section(unit: &str) -> impl Iterator<Item = (&str, &str)> {
    let mut inside = false;
    unit.lines().filter_map(move |line| {
        let line = line.trim();
        if line.starts_with('[') {
            inside = line == "[Install]";
        }
        let (key, value) = line.split_once('=').filter(|_| inside)?;
        Some((key.trim(), value.trim()))
    })
}

/// Makes the links that the script's comments ask for: chkconfig's line, or the header of LSB.
fn enable_script(
    draft: &mut Draft<'_>,
    name: &str,
    path: &GuestPath,
) -> anyhow::Result<Option<String>> {
    let text = draft.guest().read_text(path)?.unwrap_or_default();
    let Some((levels, start)) = header(&text) else {
        return Ok(Some(format!(
            "{path} does not say in which run levels it starts, and is not enabled"
        )));
    };
    for level in levels.chars() {
        let Some(dir) = sysv::level(draft, level)? else {
            continue;
        };
        let entries = draft.guest().list(&dir)?;
        let mut started = false;
        for other in entries {
            match sysv::parse(&other.name) {
                Some(('S', _, service)) if service == name => started = true,
                Some(('K', _, service)) if service == name => {
                    let path = dir.join(&other.name);
                    draft.push(Change::Remove { path })?;
                }
                _ => {}
            }
        }
        if !started {
            draft.push(Change::Link {
                path: dir.join(format!("S{start:02}{name}")),
                target: format!("/etc/init.d/{name}").into_bytes(),
            })?;
        }
    }
    Ok(None)
}

/// In which run levels a script starts, and at which place.
fn header(script: &str) -> Option<(String, u32)> {
    let comments = script
        .lines()
        .take(200)
        .filter(|line| line.starts_with('#'));
    let mut lsb = None;
    for line in comments {
        let line = line.trim_start_matches('#').trim();
        if let Some(values) = line.strip_prefix("chkconfig:") {
            let mut values = values.split_whitespace();
            let levels = values.next().filter(|levels| *levels != "-");
            let start = values.next().and_then(|start| start.parse().ok());
            return Some((
                levels.unwrap_or("2345").to_owned(),
                start.filter(|start| *start < 100)?,
            ));
        }
        if let Some(levels) = line.strip_prefix("Default-Start:") {
            lsb = Some((levels.split_whitespace().collect(), 20));
        }
    }
    lsb
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_say_when_they_start() {
        for (script, expected) in [
            ("#!/bin/sh\n# chkconfig: 345 9 91\n", Some(("345", 9))),
            ("#!/bin/sh\n# chkconfig: - 85 15\n", Some(("2345", 85))),
            (
                "### BEGIN INIT INFO\n# Default-Start: 2 3 5\n",
                Some(("235", 20)),
            ),
            ("#!/bin/sh\necho # chkconfig: 3 1 1\n", None),
        ] {
            let expected = expected.map(|(levels, start)| (levels.to_owned(), start));
            assert_eq!(header(script), expected, "{script}");
        }
    }
}
