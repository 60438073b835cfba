//! Programs of the guest that ask VMware Tools for settings of the virtual machine.

use refit_engine::backend::FileKind;
use refit_engine::{Guest, GuestPath};

/// Where an appliance's own scripts are. The first level of these directories is looked at.
const DIRS: [&str; 12] = [
    "/etc/init.d",
    "/etc/rc.d",
    "/etc/systemd/system",
    "/etc/profile.d",
    "/etc/network/if-pre-up.d",
    "/etc/cron.d",
    "/usr/lib/systemd/system-generators",
    "/usr/local/bin",
    "/usr/local/sbin",
    "/usr/local/lib",
    "/opt",
    "/root",
];
/// Files by themselves.
const FILES: [&str; 3] = ["/etc/rc.local", "/etc/rc.d/rc.local", "/etc/crontab"];
/// Longer files are no scripts.
const SIZE_LIMIT: u64 = 256 * 1024;
/// More are not read: each costs a question to the appliance.
const FILE_LIMIT: usize = 400;
/// Programs of VMware Tools that answer questions about the virtual machine.
const PROGRAMS: [&str; 5] = [
    "vmtoolsd",
    "vmware-rpctool",
    "vmware-guestd",
    "rpctool",
    "ovfenv",
];

/// The files that ask for the OVF environment or other values of the virtual machine.
pub(super) fn users(guest: &Guest<'_>) -> anyhow::Result<Vec<GuestPath>> {
    let mut files: Vec<GuestPath> = FILES.iter().map(GuestPath::new).collect();
    for dir in DIRS {
        let dir = GuestPath::new(dir);
        for entry in guest.list(&dir)? {
            let path = dir.join(&entry.name);
            match entry.kind {
                FileKind::File => files.push(path),
                // `/opt/vendor/*.sh`, `/etc/systemd/system/x.service.d/*.conf`.
                FileKind::Dir => {
                    let inner = guest.list(&path)?.into_iter();
                    let inner = inner.filter(|entry| entry.kind == FileKind::File);
                    files.extend(inner.map(|entry| path.join(entry.name)));
                }
                FileKind::Symlink | FileKind::Other => {}
            }
        }
    }
    let mut named = Vec::new();
    let mut users = Vec::new();
    for path in files.iter().take(FILE_LIMIT) {
        let Some(text) = script(guest, path)? else {
            continue;
        };
        if asks(&text) {
            users.push(path.clone());
        }
        if path.file_name().ends_with(b".service") {
            named.extend(started(&text));
        }
    }
    for path in named.iter().take(FILE_LIMIT) {
        if !users.contains(path) && script(guest, path)?.is_some_and(|text| asks(&text)) {
            users.push(path.clone());
        }
    }
    users.sort();
    users.dedup();
    Ok(users)
}

/// The text of a file, if it can be a script or a unit.
fn script(guest: &Guest<'_>, path: &GuestPath) -> anyhow::Result<Option<String>> {
    let stat = guest.stat(path)?;
    let fits = stat.is_some_and(|stat| stat.kind == FileKind::File && stat.size <= SIZE_LIMIT);
    if !fits {
        return Ok(None);
    }
    let content = guest.read(path)?;
    let content = content.filter(|content| !content.contains(&0));
    Ok(content.map(|content| String::from_utf8_lossy(&content).into_owned()))
}

/// Whether one of the lines that are no comments asks for a value.
fn asks(text: &str) -> bool {
    text.lines()
        .map(|line| line.trim().to_ascii_lowercase())
        .filter(|line| !line.starts_with('#'))
        .any(|line| {
            line.contains("guestinfo.")
                || (line.contains("info-get")
                    && PROGRAMS.iter().any(|program| line.contains(program)))
        })
}

/// The programs that a unit starts (systemd.service(5)).
fn started(unit: &str) -> impl Iterator<Item = GuestPath> {
    unit.lines().filter_map(|line| {
        let (key, command) = line.trim().split_once('=')?;
        let program = command
            .split_whitespace()
            .map(|word| word.trim_start_matches(['@', '-', ':', '+', '!', '"', '\'']))
            .map(|word| word.trim_end_matches(['"', '\'', ';']))
            .rfind(|word| word.starts_with('/'))?;
        key.starts_with("Exec").then(|| GuestPath::new(program))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_are_told_from_mentions() {
        for (text, expected) in [
            ("vmtoolsd --cmd \"info-get guestinfo.ovfEnv\"\n", true),
            ("x=$(vmware-rpctool 'info-get guestinfo.ovfenv')\n", true),
            ("# vmtoolsd --cmd \"info-get guestinfo.ovfEnv\"\n", false),
            ("killall vmtoolsd\n", false),
        ] {
            assert_eq!(asks(text), expected, "{text}");
        }
        let unit = "[Service]\nExecStart=-/bin/sh /opt/setup.sh\nExecStop=/bin/true\n";
        let expected = ["/opt/setup.sh", "/bin/true"].map(GuestPath::new);
        assert_eq!(started(unit).collect::<Vec<_>>(), expected);
    }
}
