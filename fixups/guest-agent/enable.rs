//! Whether OpenRC, upstart or System V init starts the agent.

use refit_engine::{Change, Guest, GuestPath};

use super::Started;

/// The names of the agent's script or job: Debian, Alpine and SUSE; Red Hat 6.
const SERVICES: [&str; 2] = ["qemu-guest-agent", "qemu-ga"];
/// Runlevels in which machines run, of System V init.
const LEVELS: [u8; 4] = [2, 3, 4, 5];

/// Looks for what starts the agent.
///
/// # Errors
/// If the guest cannot be read.
pub(super) fn started(guest: &Guest<'_>) -> anyhow::Result<Started> {
    for service in SERVICES {
        let job = format!("/etc/init/{service}.conf");
        if guest.facts().init.as_deref() == Some("upstart") && guest.exists(job.as_str())? {
            return Ok(Started::Yes(format!("{job} starts it")));
        }
        let script = GuestPath::new(format!("/etc/init.d/{service}"));
        let Some(text) = guest.read_text(&script)? else {
            continue;
        };
        return if guest.facts().init.as_deref() == Some("openrc") {
            openrc(guest, service, &script)
        } else {
            system_v(guest, service, &text)
        };
    }
    Ok(Started::Unknown(
        "the QEMU guest agent is there, but no script in /etc/init.d that starts it".to_owned(),
    ))
}

fn openrc(guest: &Guest<'_>, service: &str, script: &GuestPath) -> anyhow::Result<Started> {
    for level in guest.list("/etc/runlevels")? {
        let dir = GuestPath::from("/etc/runlevels").join(&level.name);
        let services = guest.list(&dir)?;
        if services
            .iter()
            .any(|entry| entry.name == service.as_bytes())
        {
            return Ok(Started::Yes(format!("{service} is in {dir}")));
        }
    }
    Ok(Started::With(
        format!("{service} starts in the default runlevel"),
        vec![Change::Link {
            path: GuestPath::new(format!("/etc/runlevels/default/{service}")),
            target: script.as_bytes().to_vec(),
        }],
    ))
}

/// Links as chkconfig(8) and update-rc.d(8) make them: `S` and `K`, two digits, the script's name.
fn system_v(guest: &Guest<'_>, service: &str, script: &str) -> anyhow::Result<Started> {
    // Red Hat has the directories in /etc/rc.d, with links to them in /etc.
    let mut changes = Vec::new();
    let number = start_number(script).unwrap_or(20);
    for level in LEVELS {
        let dir = format!("/etc/rc{level}.d");
        if guest.stat(dir.as_str())?.is_none() {
            continue;
        }
        let mut stops = Vec::new();
        for entry in guest.list(dir.as_str())? {
            let is_ours = entry.name.get(3..) == Some(service.as_bytes());
            match entry.name.first() {
                Some(b'S') if is_ours => {
                    return Ok(Started::Yes(format!("{service} starts in {dir}")));
                }
                Some(b'K') if is_ours => {
                    stops.push(GuestPath::from(dir.as_str()).join(&entry.name))
                }
                _ => {}
            }
        }
        changes.extend(stops.into_iter().map(|path| Change::Remove { path }));
        changes.push(Change::Link {
            path: GuestPath::new(format!("{dir}/S{number:02}{service}")),
            target: format!("../init.d/{service}").into_bytes(),
        });
    }
    Ok(if changes.is_empty() {
        Started::Unknown(format!(
            "/etc/init.d/{service} is there, but no directory of a runlevel that could start it"
        ))
    } else {
        Started::With(format!("{service} starts in runlevels 2 to 5"), changes)
    })
}

/// The second word of a `# chkconfig: LEVELS START STOP` line.
fn start_number(script: &str) -> Option<u8> {
    script.lines().find_map(|line| {
        let header = line
            .trim_start_matches('#')
            .trim()
            .strip_prefix("chkconfig:")?;
        let number = header.split_whitespace().nth(1)?.parse().ok()?;
        (number < 100).then_some(number)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_chkconfig() {
        assert_eq!(start_number("#!/bin/sh\n# chkconfig: - 22 78\n"), Some(22));
        assert_eq!(start_number("# chkconfig: 345 999 1\n"), None);
        assert_eq!(start_number("### BEGIN INIT INFO\n"), None);
    }
}
