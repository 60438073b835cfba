//! Services that are to start at boot, or not: the links and files by which systemd, OpenRC,
//! upstart and System V init know, edited without their programs.

mod enable;
mod systemd;
mod sysv;

use refit_engine::{Change, GuestPath};

use crate::draft::Draft;
use crate::glob::NamePattern;

pub(crate) use enable::enable;

/// Suffixes of unit names, systemd.unit(5).
const UNIT_SUFFIXES: [&str; 11] = [
    ".service",
    ".socket",
    ".timer",
    ".mount",
    ".path",
    ".target",
    ".device",
    ".automount",
    ".swap",
    ".slice",
    ".scope",
];

/// A pattern of service names, as the different systems spell it.
#[derive(Debug)]
struct Wanted {
    /// With suffix, for systemd.
    unit: NamePattern,
    /// Without `.service`, for the others; `None` if it names a unit of another type.
    script: Option<NamePattern>,
}

impl Wanted {
    fn new(name: &str) -> anyhow::Result<Self> {
        let suffix = UNIT_SUFFIXES.iter().find(|suffix| name.ends_with(**suffix));
        let (unit, script) = match suffix {
            None => (format!("{name}.service"), Some(name)),
            Some(&".service") => (name.to_owned(), name.strip_suffix(".service")),
            Some(_) => (name.to_owned(), None),
        };
        Ok(Self {
            unit: NamePattern::new(&unit)?,
            script: script.map(NamePattern::new).transpose()?,
        })
    }

    fn is_unit(&self, name: &[u8]) -> bool {
        self.unit.matches(name)
    }

    fn is_script(&self, name: &[u8]) -> bool {
        self.script
            .as_ref()
            .is_some_and(|pattern| pattern.matches(name))
    }
}

/// Takes care that services that match `name` do not start at boot.
pub(crate) fn disable(draft: &mut Draft<'_>, name: &str) -> anyhow::Result<()> {
    let wanted = Wanted::new(name)?;
    systemd::disable(draft, &wanted)?;
    sysv::disable(draft, &wanted)?;
    openrc(draft, &wanted)?;
    upstart(draft, &wanted)
}

/// Takes care that services that match `name` do not start at all. Gives the names of those that
/// are there and do not start, and what could not be done.
pub(crate) fn mask(draft: &mut Draft<'_>, name: &str) -> anyhow::Result<Masked> {
    disable(draft, name)?;
    let wanted = Wanted::new(name)?;
    let mut masked = systemd::mask(draft, &wanted)?;
    if draft.guest().facts().init.as_deref() != Some("systemd") {
        for (dir, suffix) in [("/etc/init.d", ""), ("/etc/init", ".conf")] {
            for entry in draft.guest().list(dir)? {
                if let Some(name) = entry.name.strip_suffix(suffix.as_bytes())
                    && wanted.is_script(name)
                {
                    let name = String::from_utf8_lossy(name).into_owned();
                    masked.units.push(name);
                }
            }
        }
    }
    Ok(masked)
}

/// What became of services that were to be masked.
#[derive(Debug, Default)]
pub(crate) struct Masked {
    /// Their names.
    pub(crate) units: Vec<String>,
    /// Units of this machine's own, which cannot be masked as they are.
    pub(crate) own: Vec<GuestPath>,
}

/// OpenRC starts what is linked in a run level: `/etc/runlevels/LEVEL/NAME`.
fn openrc(draft: &mut Draft<'_>, wanted: &Wanted) -> anyhow::Result<()> {
    let mut doomed = Vec::new();
    for level in draft.guest().list("/etc/runlevels")? {
        let dir = GuestPath::new("/etc/runlevels").join(&level.name);
        for service in draft.guest().list(&dir)? {
            if wanted.is_script(&service.name) {
                doomed.push(dir.join(&service.name));
            }
        }
    }
    for path in doomed {
        draft.push(Change::Remove { path })?;
    }
    Ok(())
}

/// A job `NAME.conf` does not start by itself if `NAME.override` says `manual` (init(5) of
/// upstart).
fn upstart(draft: &mut Draft<'_>, wanted: &Wanted) -> anyhow::Result<()> {
    if draft.guest().facts().init.as_deref() != Some("upstart") {
        return Ok(());
    }
    let jobs = draft.guest().files("/etc/init", |name| {
        name.strip_suffix(".conf")
            .is_some_and(|job| wanted.is_script(job.as_bytes()))
    })?;
    for job in jobs {
        let Some(name) = job
            .file_name_str()
            .and_then(|name| name.strip_suffix(".conf"))
        else {
            continue;
        };
        let path = GuestPath::new("/etc/init").join(format!("{name}.override"));
        let mut content = draft.guest().read(&path)?.unwrap_or_default();
        let manual = |line: &[u8]| line.trim_ascii() == b"manual";
        if content.split(|&b| b == b'\n').any(manual) {
            continue;
        }
        if !content.is_empty() && !content.ends_with(b"\n") {
            content.push(b'\n');
        }
        content.extend_from_slice(b"manual\n");
        draft.push(Change::Write {
            path,
            content,
            mode: None,
        })?;
    }
    Ok(())
}
