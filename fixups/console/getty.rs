//! A login on the serial port.

use refit_engine::backend::FileKind;
use refit_engine::{Change, Guest, GuestPath};

use super::inittab::with_getty;
use super::{PORT, SPEED, XEN_CONSOLES};

const INITTAB: &str = "/etc/inittab";
const SECURETTY: &str = "/etc/securetty";
/// Where systemd's gettys are enabled.
const WANTS: [&str; 2] = [
    "/etc/systemd/system/getty.target.wants",
    "/etc/systemd/system/multi-user.target.wants",
];
/// Programs that can serve a serial line (mingetty cannot), best known first.
const PROGRAMS: [&str; 3] = ["/sbin/agetty", "/sbin/getty", "/usr/sbin/agetty"];

/// What is to be done.
#[derive(Debug, Default)]
pub(super) struct Login {
    pub(super) changes: Vec<Change>,
    pub(super) reasons: Vec<String>,
    pub(super) fine: Vec<String>,
    pub(super) warnings: Vec<String>,
}

/// Looks at what starts logins.
///
/// # Errors
/// If the guest cannot be read.
pub(super) fn plan(guest: &Guest<'_>) -> anyhow::Result<Login> {
    let mut login = Login::default();
    match guest.facts().init.as_deref() {
        Some("systemd") => systemd(guest, &mut login)?,
        Some("upstart") => upstart(guest, &mut login)?,
        _ => inittab(guest, &mut login)?,
    }
    Ok(login)
}

/// systemd-getty-generator(8) starts a login on every console that the kernel has.
fn systemd(guest: &Guest<'_>, login: &mut Login) -> anyhow::Result<()> {
    for name in [
        format!("serial-getty@{PORT}.service"),
        "serial-getty@.service".to_owned(),
    ] {
        if is_masked(guest, &name)? {
            login
                .fine
                .push(format!("{name} is masked, so nobody can log in there"));
            return Ok(());
        }
    }
    login
        .fine
        .push(format!("systemd starts a login on {PORT} by itself"));
    for dir in WANTS {
        for entry in guest.list(dir)? {
            // A unit that is bound to a device which never comes keeps the boot waiting.
            let is_xen = XEN_CONSOLES.iter().any(|console| {
                let name = entry.name.as_slice();
                name == format!("serial-getty@{console}.service").as_bytes()
                    || name == format!("getty@{console}.service").as_bytes()
            });
            if is_xen {
                let path = GuestPath::from(dir).join(&entry.name);
                login
                    .reasons
                    .push(format!("{path} waits for a console that only Xen has"));
                login.changes.push(Change::Remove { path });
            }
        }
    }
    Ok(())
}

/// Whether a link to `/dev/null`, which need not be on the disk, stands for the unit.
fn is_masked(guest: &Guest<'_>, unit: &str) -> anyhow::Result<bool> {
    let dir = GuestPath::from("/etc/systemd/system");
    let mut entries = guest.list(&dir)?.into_iter();
    let link =
        entries.any(|entry| entry.kind == FileKind::Symlink && entry.name == unit.as_bytes());
    let target = guest.resolve(&dir.join(unit))?;
    Ok(link && target.is_none_or(|target| target.as_bytes() == b"/dev/null"))
}

/// upstart has one job for each terminal; Red Hat's `serial.conf` serves the primary console alone.
fn upstart(guest: &Guest<'_>, login: &mut Login) -> anyhow::Result<()> {
    const JOBS: &str = "/etc/init";
    for path in guest.files(JOBS, |name| name.ends_with(".conf"))? {
        let text = guest.read_text(&path)?.unwrap_or_default();
        let mut lines = text.lines().map(str::trim);
        if lines.any(|line| !line.starts_with('#') && line.contains(PORT)) {
            login.fine.push(format!("{path} serves {PORT}"));
            return Ok(());
        }
    }
    for console in XEN_CONSOLES {
        let path = GuestPath::from(JOBS).join(format!("{console}.conf"));
        if guest.exists(&path)? {
            login
                .reasons
                .push(format!("{path} serves a console that only Xen has"));
            login.changes.push(Change::Remove { path });
        }
    }
    let Some(program) = program(guest)? else {
        no_program(login);
        return Ok(());
    };
    let path = GuestPath::from(JOBS).join(format!("{PORT}.conf"));
    let content = format!(
        "# A login on the serial console (written by refit).\n\
         start on stopped rc RUNLEVEL=[2345]\n\
         stop on runlevel [!2345]\n\n\
         respawn\n\
         exec {program} -L {SPEED} {PORT} vt100\n"
    );
    login.reasons.push(format!("{path} starts a login there"));
    login.changes.push(Change::Write {
        path,
        content: content.into_bytes(),
        mode: None,
    });
    securetty(guest, login)
}

fn inittab(guest: &Guest<'_>, login: &mut Login) -> anyhow::Result<()> {
    let text = match guest.read(INITTAB)?.map(String::from_utf8) {
        Some(Ok(text)) => text,
        Some(Err(_)) => {
            let warning = format!("{INITTAB} is left alone: it is no text in UTF-8");
            login.warnings.push(warning);
            return Ok(());
        }
        None => {
            login.warnings.push(format!(
                "it is not known what starts a login in this guest, so none is started on {PORT}"
            ));
            return Ok(());
        }
    };
    let program = program(guest)?;
    match with_getty(&text, program) {
        Some(new) => {
            login
                .reasons
                .push(format!("{INITTAB} starts a login there"));
            login.changes.push(Change::Write {
                path: INITTAB.into(),
                content: new.into_bytes(),
                mode: None,
            });
            securetty(guest, login)?;
        }
        None if program.is_none() && !text.contains(PORT) => no_program(login),
        None => login.fine.push(format!("{INITTAB} serves {PORT}")),
    }
    Ok(())
}

/// The kernel's messages go there in any case.
fn no_program(login: &mut Login) {
    login.warnings.push(format!(
        "the guest has no agetty or getty, so there is no login on {PORT}"
    ));
}

fn program(guest: &Guest<'_>) -> anyhow::Result<Option<&'static str>> {
    for program in PROGRAMS {
        if guest.exists(program)? {
            return Ok(Some(program));
        }
    }
    Ok(None)
}

/// securetty(5): root may log in on the port if this is the distribution's own list. One that was
/// cut down to less than its six terminals is somebody's decision.
fn securetty(guest: &Guest<'_>, login: &mut Login) -> anyhow::Result<()> {
    let Some(Ok(text)) = guest.read(SECURETTY)?.map(String::from_utf8) else {
        return Ok(());
    };
    let lists = |terminal: &str| text.lines().any(|line| line.trim() == terminal);
    let all = (1..=6).all(|number| lists(&format!("tty{number}")));
    if lists(PORT) || !all {
        return Ok(());
    }
    let newline = if text.ends_with('\n') { "" } else { "\n" };
    login
        .reasons
        .push(format!("root may log in there as on tty1 ({SECURETTY})"));
    login.changes.push(Change::Write {
        path: SECURETTY.into(),
        content: format!("{text}{newline}{PORT}\n").into_bytes(),
        mode: None,
    });
    Ok(())
}
