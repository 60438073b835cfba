//! How the runner is started, by each init.

use refit_engine::{Guest, GuestPath};

use super::{FirstBoot, Wanted};

/// What makes the guest's init start `runner` once it is up; or why that is not possible, and what
/// the user can do.
///
/// # Errors
/// If the guest cannot be read.
pub(super) fn start(
    guest: &Guest<'_>,
    name: &str,
    runner: &GuestPath,
    firstboot: &FirstBoot,
) -> anyhow::Result<Result<Vec<Wanted>, String>> {
    Ok(match guest.facts().init.as_deref() {
        Some("systemd") => Ok(systemd(name, runner, firstboot)),
        Some("upstart") => Ok(upstart(name, runner)),
        Some("openrc") => Ok(openrc(name, runner, firstboot.network)),
        Some("sysvinit") => sysvinit(guest, name, runner)?,
        other => Err(format!(
            "how this guest starts services at boot is not known (init: {}); start the script in \
             another way, or leave this fixup out with --skip",
            other.unwrap_or("unknown")
        )),
    })
}

fn file(path: String, content: String, mode: u32) -> Wanted {
    Wanted::File {
        path: GuestPath::new(path),
        content: content.into_bytes(),
        mode,
    }
}

/// systemd.service(5), systemd.special(7).
fn systemd(name: &str, runner: &GuestPath, firstboot: &FirstBoot) -> Vec<Wanted> {
    let network = if firstboot.network {
        "Wants=network-online.target\nAfter=network-online.target\n"
    } else {
        ""
    };
    let after = firstboot
        .after
        .as_ref()
        .map(|id| format!("After=refit-firstboot-{id}.service\n"))
        .unwrap_or_default();
    let unit = format!(
        "# Written by refit; removed when the script has run.\n\
         [Unit]\n\
         Description=First boot after the move: {name}\n\
         {network}{after}\n\
         [Service]\n\
         Type=oneshot\n\
         ExecStart={runner}\n\
         TimeoutStartSec={}\n\n\
         [Install]\n\
         WantedBy=multi-user.target\n",
        firstboot.timeout
    );
    let path = format!("/etc/systemd/system/{name}.service");
    vec![
        file(path.clone(), unit, 0o644),
        Wanted::Link {
            path: GuestPath::new(format!(
                "/etc/systemd/system/multi-user.target.wants/{name}.service"
            )),
            target: path,
        },
    ]
}

/// Upstart's init(5): both Ubuntu and RHEL 6 have a job `rc` that brings the runlevel up, and the
/// network before it ends.
fn upstart(name: &str, runner: &GuestPath) -> Vec<Wanted> {
    let job = format!(
        "# Written by refit; removed when the script has run.\n\
         description \"First boot after the move: {name}\"\n\
         start on stopped rc RUNLEVEL=[2345]\n\
         task\n\
         exec {runner}\n"
    );
    vec![file(format!("/etc/init/{name}.conf"), job, 0o644)]
}

/// OpenRC's service script guide; in the background, so that the boot does not wait for it.
fn openrc(name: &str, runner: &GuestPath, network: bool) -> Vec<Wanted> {
    let need = if network {
        "need localmount net"
    } else {
        "need localmount"
    };
    let service = format!(
        "#!/sbin/openrc-run\n\
         # Written by refit; removed when the script has run.\n\
         description=\"First boot after the move: {name}\"\n\n\
         depend() {{\n\t{need}\n\tafter *\n}}\n\n\
         start() {{\n\
         \tebegin \"Starting {name}\"\n\
         \t({runner} &)\n\
         \teend 0\n}}\n"
    );
    let path = format!("/etc/init.d/{name}");
    vec![
        file(path.clone(), service, 0o755),
        Wanted::Link {
            path: GuestPath::new(format!("/etc/runlevels/default/{name}")),
            target: path,
        },
    ]
}

/// The LSB's init scripts. Number 99 is after the network in every distribution; in the background,
/// so that the boot does not wait for it.
fn sysvinit(
    guest: &Guest<'_>,
    name: &str,
    runner: &GuestPath,
) -> anyhow::Result<Result<Vec<Wanted>, String>> {
    let script = format!(
        "#!/bin/sh\n\
         # Written by refit; removed when the script has run.\n\
         ### BEGIN INIT INFO\n\
         # Provides: {name}\n\
         # Required-Start: $remote_fs $network\n\
         # Required-Stop:\n\
         # Default-Start: 2 3 4 5\n\
         # Default-Stop:\n\
         # Short-Description: First boot after the move\n\
         ### END INIT INFO\n\
         case \"$1\" in\n\
         start) ({runner} &) ;;\n\
         esac\n"
    );
    let path = format!("/etc/init.d/{name}");
    let mut wanted = vec![file(path.clone(), script, 0o755)];
    // Red Hat, SUSE, Debian.
    for base in ["/etc/rc.d", "/etc/init.d", "/etc"] {
        if !guest.exists(format!("{base}/rc3.d").as_str())? {
            continue;
        }
        for level in 2..=5 {
            let dir = format!("{base}/rc{level}.d");
            if guest.exists(dir.as_str())? {
                wanted.push(Wanted::Link {
                    path: GuestPath::new(format!("{dir}/S99{name}")),
                    target: path.clone(),
                });
            }
        }
        return Ok(Ok(wanted));
    }
    Ok(Err(
        "the guest has no directory rc3.d for what starts at boot; leave this fixup out with --skip"
            .to_owned(),
    ))
}
