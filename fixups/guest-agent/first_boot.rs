//! Installing the agent when the guest first boots, from its own repositories.

use refit_engine::{Change, Guest, GuestPath, Verdict};

const SCRIPT: &str = "/usr/local/sbin/refit-firstboot-guest-agent";
const NAME: &str = "refit-firstboot-guest-agent";
/// Written when it is done, so that it is not done again.
const DONE: &str = "/var/lib/refit/firstboot/guest-agent.done";

/// Package managers: the program in the guest, where its repositories are, and what installs the
/// agent.
const MANAGERS: [(&str, &[&str], &str); 7] = [
    (
        "/usr/bin/apt-get",
        &["/etc/apt/sources.list", "/etc/apt/sources.list.d"],
        "DEBIAN_FRONTEND=noninteractive apt-get -q update && DEBIAN_FRONTEND=noninteractive apt-get -q -y install qemu-guest-agent",
    ),
    (
        "/usr/bin/dnf",
        &["/etc/yum.repos.d"],
        "dnf -y install qemu-guest-agent",
    ),
    (
        "/usr/bin/yum",
        &["/etc/yum.repos.d"],
        "yum -y install qemu-guest-agent",
    ),
    (
        "/usr/bin/tdnf",
        &["/etc/yum.repos.d"],
        "tdnf -y install qemu-guest-agent",
    ),
    (
        "/usr/bin/zypper",
        &["/etc/zypp/repos.d"],
        "zypper --non-interactive install qemu-guest-agent",
    ),
    (
        "/sbin/apk",
        &["/etc/apk/repositories"],
        "apk add qemu-guest-agent",
    ),
    (
        "/usr/bin/pacman",
        &["/etc/pacman.conf"],
        "pacman -Sy --noconfirm --needed qemu-guest-agent",
    ),
];

/// Writes what the guest's init runs once.
///
/// # Errors
/// If the guest cannot be read.
pub(super) fn install(guest: &Guest<'_>) -> anyhow::Result<Verdict> {
    if guest.exists(DONE)? {
        return Ok(Verdict::Fine {
            reason: format!("the guest has installed it before ({DONE})"),
        });
    }
    let Some(command) = command(guest)? else {
        return Ok(Verdict::Blocked {
            reason:
                "the guest has no package manager with a repository, so it cannot install the QEMU \
                     guest agent; give --set guest-agent.package=FILE"
                    .to_owned(),
        });
    };
    let Some(mut changes) = starter(guest) else {
        return Ok(Verdict::Blocked {
            reason: format!(
                "it is not known how to run something once in a guest with {}; give --set \
                 guest-agent.package=FILE",
                guest.facts().init.as_deref().unwrap_or("an unknown init")
            ),
        });
    };
    changes.insert(
        0,
        Change::Write {
            path: SCRIPT.into(),
            content: script(command).into_bytes(),
            mode: Some(0o755),
        },
    );
    let mut missing = Vec::new();
    for change in changes {
        if !is_done(guest, &change)? {
            missing.push(change);
        }
    }
    Ok(if missing.is_empty() {
        Verdict::Fine {
            reason: "the guest installs it when it boots".to_owned(),
        }
    } else {
        Verdict::Change {
            reason: "the guest installs the QEMU guest agent when it first boots".to_owned(),
            changes: missing,
        }
    })
}

fn is_done(guest: &Guest<'_>, change: &Change) -> anyhow::Result<bool> {
    Ok(match change {
        Change::Write { path, content, .. } => guest.read(path)?.as_ref() == Some(content),
        // The link's name is ours, so it is ours.
        Change::Link { path, .. } => match path.parent() {
            Some(dir) => {
                let entries = guest.list(&dir)?;
                entries.iter().any(|entry| entry.name == path.file_name())
            }
            None => false,
        },
        _ => false,
    })
}

/// What installs the agent, by the first package manager that is there and has a repository.
fn command(guest: &Guest<'_>) -> anyhow::Result<Option<&'static str>> {
    for (program, repositories, command) in MANAGERS {
        if !guest.exists(program)? {
            continue;
        }
        for repository in repositories {
            let is_used = guest
                .read_text(*repository)?
                .is_some_and(|text| !text.trim().is_empty())
                || !guest.list(*repository)?.is_empty();
            if is_used {
                return Ok(Some(command));
            }
        }
    }
    Ok(None)
}

/// Five attempts, a minute apart, at each boot until it has worked.
fn script(command: &str) -> String {
    format!(
        "#!/bin/sh\n\
         # Written by refit: installs the QEMU guest agent once, when this system first boots.\n\
         [ -e {DONE} ] && exit 0\n\
         exec >>/var/log/{NAME}.log 2>&1 </dev/null\n\
         try=0\n\
         while [ $try -lt 5 ]; do\n\
         \ttry=$((try + 1))\n\
         \techo \"== $(date): attempt $try\"\n\
         \tif {command}; then\n\
         \t\tif command -v systemctl >/dev/null; then\n\
         \t\t\tsystemctl enable qemu-guest-agent\n\
         \t\t\tsystemctl start --no-block qemu-guest-agent\n\
         \t\telif command -v rc-update >/dev/null; then\n\
         \t\t\trc-update add qemu-guest-agent default\n\
         \t\t\trc-service qemu-guest-agent start\n\
         \t\telif command -v chkconfig >/dev/null; then\n\
         \t\t\tchkconfig qemu-ga on\n\
         \t\t\tservice qemu-ga start\n\
         \t\tfi\n\
         \t\tmkdir -p /var/lib/refit/firstboot\n\
         \t\tdate >{DONE}\n\
         \t\texit 0\n\
         \tfi\n\
         \tsleep 60\n\
         done\n\
         exit 1\n"
    )
}

/// What the guest's init needs to run [`SCRIPT`]; `None` if it is not known.
fn starter(guest: &Guest<'_>) -> Option<Vec<Change>> {
    let write = |path: &str, content: String, mode| Change::Write {
        path: path.into(),
        content: content.into_bytes(),
        mode: Some(mode),
    };
    Some(match guest.facts().init.as_deref()? {
        // Not oneshot: the rest of the boot does not wait for it.
        "systemd" => {
            let unit = format!("/etc/systemd/system/{NAME}.service");
            let content = format!(
                "# Written by refit.\n\
                 [Unit]\n\
                 Description=Install the QEMU guest agent once\n\
                 Wants=network-online.target\n\
                 After=network-online.target\n\
                 ConditionPathExists=!{DONE}\n\n\
                 [Service]\n\
                 Type=simple\n\
                 ExecStart={SCRIPT}\n\n\
                 [Install]\n\
                 WantedBy=multi-user.target\n"
            );
            let wants = format!("/etc/systemd/system/multi-user.target.wants/{NAME}.service");
            vec![
                write(&unit, content, 0o644),
                Change::Link {
                    path: GuestPath::new(wants),
                    target: unit.into_bytes(),
                },
            ]
        }
        "upstart" => vec![write(
            &format!("/etc/init/{NAME}.conf"),
            format!(
                "# Written by refit: install the QEMU guest agent once.\n\
                 start on stopped rc RUNLEVEL=[2345]\n\
                 task\n\
                 exec {SCRIPT}\n"
            ),
            0o644,
        )],
        "openrc" => {
            let service = format!("/etc/init.d/{NAME}");
            let content = format!(
                "#!/sbin/openrc-run\n\
                 # Written by refit: install the QEMU guest agent once.\n\
                 command={SCRIPT}\n\
                 command_background=true\n\
                 pidfile=/run/{NAME}.pid\n\
                 depend() {{\n\
                 \tneed net\n\
                 }}\n"
            );
            vec![
                write(&service, content, 0o755),
                Change::Link {
                    path: GuestPath::new(format!("/etc/runlevels/default/{NAME}")),
                    target: service.into_bytes(),
                },
            ]
        }
        _ => return None,
    })
}
