//! Whether systemd starts the agent.
//!
//! Distributions do it in two ways: a udev rule asks for the unit when the virtio port appears
//! (Debian, Ubuntu, SUSE, Arch), or the unit is enabled for the port's device (Fedora, Red Hat).

use refit_engine::{Change, Guest, GuestPath};

use super::Started;
use crate::network::sources::unit_file::UnitFile;

const UNITS: [&str; 2] = ["qemu-guest-agent.service", "qemu-ga.service"];
/// Where units are enabled and masked.
const OURS: &str = "/etc/systemd/system";
/// Directories of units, the first wins (systemd.unit(5)).
const DIRECTORIES: [&str; 4] = [
    OURS,
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
];
const RULES: [&str; 3] = [
    "/etc/udev/rules.d",
    "/usr/lib/udev/rules.d",
    "/lib/udev/rules.d",
];

/// Looks for what starts the agent.
///
/// # Errors
/// If the guest cannot be read.
pub(super) fn started(guest: &Guest<'_>) -> anyhow::Result<Started> {
    for dir in RULES {
        for path in guest.files(dir, |name| name.ends_with(".rules"))? {
            // An empty file or a link to /dev/null of the same name in /etc hides the others.
            let ours = GuestPath::from(RULES[0]).join(path.file_name());
            let hidden = path != ours && is_listed(guest, RULES[0], path.file_name())?;
            if hidden {
                continue;
            }
            let Ok(Some(rules)) = guest.read_text(&path) else {
                continue;
            };
            if let Some(unit) = wanted_by_rule(&rules) {
                if is_masked(guest, &unit)? {
                    return Ok(Started::Yes(format!("{unit} is masked, and stays so")));
                }
                return Ok(Started::Yes(format!("{path} starts {unit} for its port")));
            }
        }
    }
    for unit in UNITS {
        if is_masked(guest, unit)? {
            return Ok(Started::Yes(format!("{unit} is masked, and stays so")));
        }
        for dir in DIRECTORIES {
            let path = GuestPath::from(dir).join(unit);
            if let Some(text) = guest.read_text(&path)? {
                return enabled(guest, unit, &path, &text);
            }
        }
    }
    Ok(Started::Unknown(
        "the QEMU guest agent is there, but neither a unit of systemd nor a udev rule that starts it"
            .to_owned(),
    ))
}

fn enabled(guest: &Guest<'_>, unit: &str, path: &GuestPath, text: &str) -> anyhow::Result<Started> {
    let Ok((file, _)) = UnitFile::parse(text) else {
        return Ok(Started::Unknown(format!(
            "{path} is no unit that systemd reads"
        )));
    };
    let mut links = Vec::new();
    for (key, dir) in [("WantedBy", "wants"), ("RequiredBy", "requires")] {
        let targets = file.words("Install", key);
        links.extend(targets.iter().map(|target| format!("{target}.{dir}")));
    }
    links.retain(|dir| is_unit_name(dir));
    if links.is_empty() {
        return Ok(Started::Unknown(format!(
            "{path} says nothing of when to start the QEMU guest agent"
        )));
    }
    for link in &links {
        for dir in DIRECTORIES {
            if is_listed(guest, &format!("{dir}/{link}"), unit.as_bytes())? {
                return Ok(Started::Yes(format!("{unit} is enabled")));
            }
        }
    }
    let changes = links.into_iter().map(|link| Change::Link {
        path: GuestPath::from(OURS).join(link).join(unit),
        target: path.as_bytes().to_vec(),
    });
    Ok(Started::With(
        format!("{unit} is enabled"),
        changes.collect(),
    ))
}

/// Whether it may be part of a path: the characters of systemd.unit(5), and no directory.
fn is_unit_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '-')
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b":-_.\\@".contains(&b))
}

/// The agent's unit in the `SYSTEMD_WANTS` of some rule.
fn wanted_by_rule(rules: &str) -> Option<String> {
    let joined = rules.replace("\\\n", " ");
    joined
        .lines()
        .filter(|line| !line.trim_start().starts_with('#'))
        .find_map(|line| {
            let (_, value) = line.split_once("SYSTEMD_WANTS}")?;
            let value = value.split('"').nth(1)?;
            let unit = value
                .split_whitespace()
                .find(|unit| unit.starts_with("qemu-ga") || unit.starts_with("qemu-guest-agent"))?;
            Some(unit.to_owned())
        })
}

fn is_masked(guest: &Guest<'_>, unit: &str) -> anyhow::Result<bool> {
    let path = GuestPath::from(OURS).join(unit);
    let target = guest.resolve(&path)?;
    Ok(is_listed(guest, OURS, unit.as_bytes())?
        && target.is_none_or(|target| target.as_bytes() == b"/dev/null"))
}

/// Whether the directory has this name, wherever it leads.
fn is_listed(guest: &Guest<'_>, dir: &str, name: &[u8]) -> anyhow::Result<bool> {
    Ok(guest.list(dir)?.iter().any(|entry| entry.name == name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_that_want_the_agent() {
        for (rules, unit) in [
            (
                "SUBSYSTEM==\"virtio-ports\", ATTR{name}==\"org.qemu.guest_agent.0\", \\\n  \
                 TAG+=\"systemd\", ENV{SYSTEMD_WANTS}=\"qemu-guest-agent.service\"\n",
                Some("qemu-guest-agent.service"),
            ),
            (
                "ENV{SYSTEMD_WANTS}+=\"a.service qemu-ga@%k.service\"",
                Some("qemu-ga@%k.service"),
            ),
            ("# ENV{SYSTEMD_WANTS}=\"qemu-guest-agent.service\"", None),
            ("ENV{SYSTEMD_WANTS}=\"other.service\"", None),
            ("ENV{SYSTEMD_WANTS}", None),
        ] {
            assert_eq!(wanted_by_rule(rules).as_deref(), unit, "{rules}");
        }
    }
}
