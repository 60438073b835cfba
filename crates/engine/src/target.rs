//! Inspect, plan, fix and undo, on disks or on a directory.

use std::fmt::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use refit_guestfs::CancelHandle;
use refit_machine::Devices;

use crate::backend::{Backend, GuestfsBackend, RootBackend};
use crate::disks::{self, Access, DiskError, DiskSpec, Image, Overlays, PendingKind};
use crate::facts::{Facts, Hints};
use crate::guest::Guest;
use crate::keys::Key;
use crate::run::{self, Job, Report, Step};
use crate::session::{self, Drive, DriveAccess, OpenOptions};
use crate::undo::{ChangedSince, Restored, UndoFile};

/// Where a guest is.
#[derive(Debug, Clone)]
pub enum Target {
    /// Its disks, in the order in which the machine has them.
    Disks(Vec<DiskSpec>),
    /// Its root directory on this host.
    Root(PathBuf),
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root(path) => write!(f, "{}", path.display()),
            Self::Disks(disks) => {
                for (index, disk) in disks.iter().enumerate() {
                    let separator = if index == 0 { "" } else { ", " };
                    write!(f, "{separator}{}", disk.path.display())?;
                }
                Ok(())
            }
        }
    }
}

impl Target {
    /// The command that takes back a run of which `undo` is the undo file, for messages.
    #[must_use]
    pub fn undo_command(&self, undo: &Path) -> String {
        let mut command = format!("refit undo {}", undo.display());
        // Writing to a String cannot fail.
        let _ = match self {
            Self::Root(path) => write!(command, " --root {}", path.display()),
            Self::Disks(disks) => disks
                .iter()
                .try_for_each(|disk| write!(command, " {}", disk.path.display())),
        };
        command
    }
}

/// How disks are opened. A directory needs none of it.
pub struct Settings<'s> {
    /// Which operating system, if there are several.
    pub os_device: Option<String>,
    /// Keys of encrypted volumes.
    pub keys: Vec<Key>,
    /// Whether to emulate the appliance instead of using KVM; asked when one is about to start.
    pub force_tcg: &'s dyn Fn() -> bool,
    /// How long the appliance may take to start.
    pub launch_limit: Duration,
    /// Write to the disks themselves instead of to overlays.
    pub in_place: bool,
    /// Where state is kept, and which backing files are trusted.
    pub disks: disks::Options,
    /// Is handed what stops the appliance from another thread.
    pub on_handle: &'s mut dyn FnMut(CancelHandle),
    /// Hears how far it is.
    pub progress: &'s mut dyn FnMut(Progress),
}

impl fmt::Debug for Settings<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("os_device", &self.os_device)
            .field("keys", &self.keys)
            .field("in_place", &self.in_place)
            .finish_non_exhaustive()
    }
}

/// How far a command is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// The appliance is being started and the guest looked for.
    Open,
    /// Reading the guest and asking the fixups.
    Plan,
    /// Writing.
    Apply,
    /// Planning again.
    Check,
    /// Taking back.
    Undo,
    /// Bringing the overlays' changes into the disks. Not to be interrupted.
    Commit,
}

impl From<Step> for Progress {
    fn from(step: Step) -> Self {
        match step {
            Step::Plan => Self::Plan,
            Step::Apply => Self::Apply,
            Step::Check => Self::Check,
        }
    }
}

/// A command that failed.
#[derive(Debug, thiserror::Error)]
#[error("{error:#}")]
pub struct Failure {
    /// What failed.
    pub error: anyhow::Error,
    /// Whether the disks or the directory may have been changed. The error then says how to go
    /// back.
    pub changed: bool,
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self {
            error,
            changed: false,
        }
    }
}

impl From<DiskError> for Failure {
    fn from(error: DiskError) -> Self {
        Self {
            changed: error.base_may_have_changed(),
            error: error.into(),
        }
    }
}

/// The facts of a guest.
///
/// # Errors
/// If it cannot be opened or read.
pub fn inspect(target: &Target, settings: &mut Settings<'_>) -> anyhow::Result<Facts> {
    read_only(target, settings, |backend, hints| {
        Ok(Guest::inspect(backend, hints)?.facts().clone())
    })
}

/// Facts, verdicts and changes; writes nothing.
///
/// # Errors
/// If the guest cannot be opened or read.
pub fn plan(target: &Target, settings: &mut Settings<'_>, job: Job<'_>) -> anyhow::Result<Report> {
    let mut clock = Instant::now();
    let mut opened = 0.0;
    let mut report = read_only(target, settings, |backend, hints| {
        opened = clock.elapsed().as_secs_f64();
        clock = Instant::now();
        run::plan_guest(backend, hints, job)
    })?;
    report
        .timings
        .insert("open", (opened * 1000.0).round() / 1000.0);
    Ok(report)
}

fn read_only<T>(
    target: &Target,
    settings: &mut Settings<'_>,
    read: impl FnOnce(&dyn Backend, &Hints) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    match target {
        Target::Root(path) => {
            let backend = RootBackend::open(path)?;
            (settings.progress)(Progress::Plan);
            read(&backend, &Hints::default())
        }
        Target::Disks(specs) => {
            let scratch = tempfile::tempdir().context("making a directory for overlays")?;
            let mut drives = Vec::new();
            for (index, spec) in specs.iter().enumerate() {
                not_pending(spec, settings)?;
                let image = Image::probe(spec, Access::Read, &settings.disks.image)?;
                let overlay = scratch.path().join(format!("{index}.qcow2"));
                refit_image::qemu::create(&overlay, image.path(), image.format(), None)?;
                drives.push(drive(&overlay, "qcow2", DriveAccess::ThrowAway));
            }
            let (backend, hints) = open(target, &drives, settings)?;
            (settings.progress)(Progress::Plan);
            let result = read(&backend, &hints)?;
            backend.close()?;
            Ok(result)
        }
    }
}

/// Plans, applies, checks and, on disks, commits. The undo file is written to `undo` if anything
/// changes.
///
/// # Errors
/// If any of it fails; [`Failure::changed`] tells what that means.
pub fn fix(
    target: &Target,
    settings: &mut Settings<'_>,
    job: Job<'_>,
    undo: &Path,
) -> Result<Fixed, Failure> {
    let outcome = write(target, settings, |backend, hints, progress| {
        let look = |guest: &Guest<'_>| crate::plan::devices(guest, job.fixups);
        let progress = &mut |step: run::Step| progress(step.into());
        let (report, devices) = run::fix_and_look(backend, hints, job, undo, progress, look)
            .map_err(|failed| Failure {
                error: failed.error,
                changed: failed.written,
            })?;
        let changed = report.undo.is_some();
        Ok((Fixed { report, devices }, changed))
    });
    match outcome {
        Ok((mut fixed, timings)) => {
            fixed.report.timings.extend(timings);
            Ok(fixed)
        }
        Err(failure) if failure.changed => Err(Failure {
            error: failure.error.context(format!(
                "the guest may have been changed; `{}` takes it back",
                target.undo_command(undo)
            )),
            changed: true,
        }),
        Err(failure) => {
            // It describes changes that were never made.
            let _ = std::fs::remove_file(undo);
            Err(failure)
        }
    }
}

/// What [`fix`] or [`fix_overlays`] did.
#[derive(Debug)]
pub struct Fixed {
    /// The verdicts and changes.
    pub report: Report,
    /// The devices that the machine should have; `None` if no fixup of the catalogue could tell.
    pub devices: Option<Devices>,
}

/// Plans, applies and checks on qcow2 overlays that the caller made over images that it probed. They hold
/// the changes afterwards; nothing is committed. `name` is for messages.
///
/// # Errors
/// If any of it fails: [`OpenError`](crate::OpenError) is in the chain if it was the opening. The overlays are to be thrown
/// away then.
pub fn fix_overlays(
    overlays: &[PathBuf],
    name: &str,
    settings: &mut Settings<'_>,
    job: Job<'_>,
    undo: &Path,
) -> anyhow::Result<Fixed> {
    let mut clock = Instant::now();
    let drives: Vec<Drive> = overlays
        .iter()
        .map(|path| drive(path, "qcow2", DriveAccess::Overlay))
        .collect();
    let (mut backend, hints) = open_drives(name, &drives, settings)?;
    let opened = clock.elapsed().as_secs_f64();
    let progress = &mut *settings.progress;
    let fixed = run::fix_and_look(
        &mut backend,
        &hints,
        job,
        undo,
        &mut |step| progress(step.into()),
        |guest| crate::plan::devices(guest, job.fixups),
    );
    let (mut report, devices) = match fixed {
        Ok(fixed) => fixed,
        Err(failed) => {
            // It describes changes that nobody will see.
            let _ = std::fs::remove_file(undo);
            return Err(failed.error);
        }
    };
    clock = Instant::now();
    backend.close()?;
    report.time("commit", &mut clock);
    report
        .timings
        .insert("open", (opened * 1000.0).round() / 1000.0);
    Ok(Fixed { report, devices })
}

/// Restores what an earlier run changed.
///
/// # Errors
/// If the guest was changed since (unless `force`), or cannot be opened or written.
pub fn undo(
    target: &Target,
    settings: &mut Settings<'_>,
    undo: &UndoFile,
    force: bool,
) -> Result<Restored, Failure> {
    let (restored, _) = write(target, settings, |backend, _, progress| {
        progress(Progress::Undo);
        let restored = undo.restore(backend, force).map_err(|error| Failure {
            changed: !error.is::<ChangedSince>(),
            error,
        })?;
        let changed = !restored.restored.is_empty() || !restored.overwritten.is_empty();
        Ok((restored, changed))
    })?;
    Ok(restored)
}

/// Refuses a disk that another run is working on, or whose commit was interrupted.
fn not_pending(spec: &DiskSpec, settings: &Settings<'_>) -> anyhow::Result<()> {
    match disks::pending(&spec.path, &settings.disks)? {
        Some(pending) if pending.kind != PendingKind::Leftover => bail!("{pending}"),
        _ => Ok(()),
    }
}

/// What a writing command does with the opened guest: its result, and whether it wrote anything.
type Written<T> = Result<(T, bool), Failure>;
type Timings = [(&'static str, f64); 2];

fn write<T>(
    target: &Target,
    settings: &mut Settings<'_>,
    action: impl FnOnce(&mut dyn Backend, &Hints, &mut dyn FnMut(Progress)) -> Written<T>,
) -> Result<(T, Timings), Failure> {
    let mut clock = Instant::now();
    let mut lap = || {
        let seconds = (clock.elapsed().as_secs_f64() * 1000.0).round() / 1000.0;
        clock = Instant::now();
        seconds
    };
    let specs = match target {
        Target::Root(path) => {
            let mut backend = RootBackend::open(path)?;
            let opened = lap();
            let (result, _) = action(&mut backend, &Hints::default(), settings.progress)?;
            return Ok((result, [("open", opened), ("commit", 0.0)]));
        }
        Target::Disks(specs) => specs,
    };
    for spec in specs {
        not_pending(spec, settings)?;
    }
    if settings.in_place {
        let mut drives = Vec::new();
        for spec in specs {
            let image = Image::probe(spec, Access::Write, &settings.disks.image)
                .map_err(DiskError::from)?;
            drives.push(drive(
                image.path(),
                image.format().as_str(),
                DriveAccess::InPlace,
            ));
        }
        let (mut backend, hints) = open(target, &drives, settings)?;
        let opened = lap();
        let (result, changed) = action(&mut backend, &hints, settings.progress)?;
        let _ = lap();
        backend
            .close()
            .map_err(|error| Failure { error, changed })?;
        return Ok((result, [("open", opened), ("commit", lap())]));
    }
    let overlays = Overlays::create(specs, &settings.disks)?;
    let drives: Vec<Drive> = overlays
        .images()
        .map(|path| drive(path, "qcow2", DriveAccess::Overlay))
        .collect();
    let (mut backend, hints) = open(target, &drives, settings)?;
    let opened = lap();
    // Whatever happens until the commit happens to the overlays alone.
    let untouched = |failure: Failure| Failure {
        error: failure.error,
        changed: false,
    };
    let (result, changed) = action(&mut backend, &hints, settings.progress).map_err(untouched)?;
    let _ = lap();
    backend.close()?;
    if changed {
        (settings.progress)(Progress::Commit);
        overlays
            .commit(&mut |step| tracing::debug!(?step, "committing"))
            .map_err(|error| Failure {
                changed: error.base_may_have_changed(),
                error: error.into(),
            })?;
    } else {
        overlays.discard()?;
    }
    Ok((result, [("open", opened), ("commit", lap())]))
}

fn drive(path: &Path, format: &str, access: DriveAccess) -> Drive {
    Drive {
        path: path.to_owned(),
        format: format.to_owned(),
        access,
    }
}

fn open(
    target: &Target,
    drives: &[Drive],
    settings: &mut Settings<'_>,
) -> anyhow::Result<(GuestfsBackend, Hints)> {
    open_drives(&target.to_string(), drives, settings)
}

fn open_drives(
    name: &str,
    drives: &[Drive],
    settings: &mut Settings<'_>,
) -> anyhow::Result<(GuestfsBackend, Hints)> {
    (settings.progress)(Progress::Open);
    let mut options = OpenOptions {
        os_device: settings.os_device.clone(),
        keys: settings.keys.clone(),
        force_tcg: (settings.force_tcg)(),
        launch_limit: settings.launch_limit,
        on_handle: &mut *settings.on_handle,
    };
    session::open(drives, name, &mut options).with_context(|| format!("opening {name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_back_can_be_typed() {
        let disks = Target::Disks(["a.img", "b.img"].map(DiskSpec::new).to_vec());
        let root = Target::Root("/mnt".into());
        for (target, command) in [
            (disks, "refit undo u.json a.img b.img"),
            (root, "refit undo u.json --root /mnt"),
        ] {
            assert_eq!(target.undo_command(Path::new("u.json")), command);
        }
    }
}
