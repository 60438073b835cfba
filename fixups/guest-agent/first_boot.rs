//! Installing the agent when the guest first boots, from its own repositories.

use std::collections::BTreeMap;

use refit_engine::{Guest, Info, Verdict};
use refit_firstboot::{FirstBoot, Owner};

/// At least as long as a package manager takes on a slow line, in seconds.
const TIMEOUT: u64 = 1800;

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

/// Has the guest install it once.
///
/// # Errors
/// If the guest cannot be read.
pub(super) fn install(guest: &Guest<'_>, info: &Info) -> anyhow::Result<Verdict> {
    let Some(command) = command(guest)? else {
        return Ok(Verdict::Blocked {
            reason:
                "the guest has no package manager with a repository, so it cannot install the QEMU \
                     guest agent; give --set guest-agent.package=FILE"
                    .to_owned(),
        });
    };
    let first_boot = FirstBoot {
        text: script(command).into_bytes(),
        network: true,
        attempts: 5,
        timeout: TIMEOUT,
        after: None,
    };
    let owner = Owner {
        id: &info.id,
        summary: "the guest installs the QEMU guest agent",
        variables: BTreeMap::new(),
    };
    first_boot.plan(guest, &owner)
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

fn script(command: &str) -> String {
    format!(
        "#!/bin/sh\n\
         # Written by refit: installs the QEMU guest agent, and starts it.\n\
         {command} || exit 1\n\
         if command -v systemctl >/dev/null; then\n\
         \tsystemctl enable qemu-guest-agent\n\
         \tsystemctl start --no-block qemu-guest-agent\n\
         elif command -v rc-update >/dev/null; then\n\
         \trc-update add qemu-guest-agent default\n\
         \trc-service qemu-guest-agent start\n\
         elif command -v chkconfig >/dev/null; then\n\
         \tchkconfig qemu-ga on\n\
         \tservice qemu-ga start\n\
         fi\n\
         exit 0\n"
    )
}
