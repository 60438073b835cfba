//! Programs of the guest that ask VMware Tools for settings of the virtual machine.

use std::collections::BTreeSet;

use refit_engine::backend::FileKind;
use refit_engine::{Guest, GuestPath};

/// Where an appliance's own scripts are. The first level of these directories is looked at.
const DIRS: [&str; 17] = [
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
    "/opt/vmware/bin",
    "/opt/vmware/sbin",
    "/opt/vmware/share",
    "/opt/vmware/etc",
    "/var/lib/cloud/scripts",
    "/root",
];
/// Files by themselves.
const FILES: [&str; 3] = ["/etc/rc.local", "/etc/rc.d/rc.local", "/etc/crontab"];
/// Longer files are no scripts.
const SIZE_LIMIT: u64 = 256 * 1024;
/// More are not read: each costs a question to the appliance.
const FILE_LIMIT: usize = 400;
/// Programs of VMware Tools that answer questions about the virtual machine.
const PROGRAMS: [&str; 4] = ["vmtoolsd", "vmware-rpctool", "vmware-guestd", "rpctool"];
/// VMware's own programs of virtual appliances (VAMI): some are no scripts, and all of them ask.
const VAMI: [&str; 2] = [
    "/opt/vmware/share/vami/vami_ovf_process",
    "/opt/vmware/share/vami",
];
/// What is asked where it is not seen through which program.
const USUAL: [&str; 2] = ["vmtoolsd", "vmware-rpctool"];

/// Something that asks.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Consumer {
    /// The script, unit or directory.
    pub(super) path: GuestPath,
    /// Through which programs: a name alone, or a path.
    pub(super) programs: BTreeSet<String>,
}

/// Everything that asks for the OVF environment or other values of the virtual machine.
pub(super) fn consumers(guest: &Guest<'_>) -> anyhow::Result<Vec<Consumer>> {
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
    let mut found = Vec::new();
    for path in files.iter().take(FILE_LIMIT) {
        let Some(text) = script(guest, path)? else {
            continue;
        };
        if path.file_name().ends_with(b".service") {
            named.extend(started(&text));
        }
        found.extend(consumer(path, &text));
    }
    for path in named.iter().take(FILE_LIMIT) {
        if let Some(text) = script(guest, path)? {
            found.extend(consumer(path, &text));
        }
    }
    for path in VAMI {
        if guest.exists(path)? {
            found.push(Consumer {
                path: path.into(),
                programs: USUAL.map(str::to_owned).into(),
            });
            break;
        }
    }
    found.sort();
    found.dedup_by(|one, other| one.path == other.path);
    Ok(found)
}

/// The text of a file, if it can be a script or a unit. refit's own stand-in is none.
fn script(guest: &Guest<'_>, path: &GuestPath) -> anyhow::Result<Option<String>> {
    let stat = guest.stat(path)?;
    let fits = stat.is_some_and(|stat| stat.kind == FileKind::File && stat.size <= SIZE_LIMIT);
    if !fits || path.file_name().starts_with(b"refit-") {
        return Ok(None);
    }
    let content = guest.read(path)?;
    let content = content.filter(|content| !content.contains(&0));
    Ok(content.map(|content| String::from_utf8_lossy(&content).into_owned()))
}

/// Whether one of the lines that are no comments asks for a value, and through what.
fn consumer(path: &GuestPath, text: &str) -> Option<Consumer> {
    let mut asks = false;
    let mut programs = BTreeSet::new();
    for line in text.lines().filter(|line| !line.trim().starts_with('#')) {
        let lower = line.to_ascii_lowercase();
        let named: Vec<&str> = words(line).filter_map(program).collect();
        asks |= lower.contains("guestinfo.")
            || !named.is_empty()
                && ["info-get", "info-set"]
                    .iter()
                    .any(|verb| lower.contains(verb));
        programs.extend(named.into_iter().map(str::to_owned));
    }
    if programs.is_empty() {
        programs.extend(USUAL.map(str::to_owned));
    }
    asks.then(|| Consumer {
        path: path.clone(),
        programs,
    })
}

/// The words of a line of a shell script or another program: what is between blanks, quotation marks, brackets
/// and operators.
fn words(line: &str) -> impl Iterator<Item = &str> {
    line.split(|character: char| {
        character.is_whitespace() || "\"'`(){}[];|&<>=,!$".contains(character)
    })
    .filter(|word| !word.is_empty())
}

/// The word, if it is one of the programs: by its name, or its path.
fn program(word: &str) -> Option<&str> {
    let name = word.rsplit('/').next()?;
    let known = PROGRAMS.contains(&name);
    // What comes from a variable is looked for by its name.
    (known && word.starts_with('/'))
        .then_some(word)
        .or(known.then_some(name))
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
            (
                "vmtoolsd --cmd \"info-get guestinfo.ovfEnv\"\n",
                Some(&["vmtoolsd"][..]),
            ),
            (
                "x=$(/usr/bin/vmware-rpctool 'info-get guestinfo.ovfenv')\n",
                Some(&["/usr/bin/vmware-rpctool"]),
            ),
            (
                "TOOL=${BIN}/vmware-guestd\n$TOOL --cmd info-get guestinfo.x\n",
                Some(&["/vmware-guestd"]),
            ),
            (
                "subprocess.run([\"vmtoolsd\", \"--cmd\", 'info-get x'])\n",
                Some(&["vmtoolsd"]),
            ),
            (
                "curl -d guestinfo.ovfEnv\n",
                Some(&["vmtoolsd", "vmware-rpctool"]),
            ),
            ("# vmtoolsd --cmd \"info-get guestinfo.ovfEnv\"\n", None),
            ("killall vmtoolsd\n", None),
        ] {
            let found = consumer(&"/x".into(), text).map(|consumer| consumer.programs);
            let expected = expected.map(|names| {
                names
                    .iter()
                    .map(|name| (*name).to_owned())
                    .collect::<BTreeSet<_>>()
            });
            assert_eq!(found, expected, "{text}");
        }
        let unit = "[Service]\nExecStart=-/bin/sh /opt/setup.sh\nExecStop=/bin/true\n";
        let expected = ["/opt/setup.sh", "/bin/true"].map(GuestPath::new);
        assert_eq!(started(unit).collect::<Vec<_>>(), expected);
    }
}
