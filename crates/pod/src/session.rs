//! The one session of ours: inspection, the fixups of both catalogues, users' scripts.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use refit_engine::disks::{self, DiskSpec};
use refit_engine::target::{self, Fixed, Progress, Settings as EngineSettings, Target};
use refit_engine::{
    Fixup, Job, Nic, OpenError, OvfEnvironment, Planned, Report, Request, Root, Selection,
    Unsettled, VerdictKind,
};

use crate::Disk;
use crate::run::Run;
use crate::scripts::{self, Signal};
use crate::server::Warning;

/// The only code that the controller's users know.
const REASON: &str = "CustomizationFailed";
/// What takes the changes back, in the working directory.
const UNDO: &str = "undo.json";
/// Where anything that is on a disk begins, in bytes: Btrfs has its first header at 64 KiB.
const BEGINNING: u64 = 1 << 20;

/// What the session works on.
pub(crate) enum On<'o> {
    /// Overlays of the caller's, which hold the changes afterwards, and what empties them again.
    Overlays(&'o [PathBuf], &'o dyn Fn() -> anyhow::Result<()>),
    /// The disks themselves, through overlays of its own that are committed.
    Disks(Vec<DiskSpec>),
}

/// Runs the session. A fixup whose own check fails after it was applied is left out of a second attempt, and is in the
/// report as failed: nobody could name it in a pod. `nics` are those of the machine, beside what the controller knows;
/// `told` is what the guest of an appliance is to know: nobody attaches a medium in a cluster, so it is kept in the guest.
///
/// # Errors
/// If the guest cannot be opened or changed; then what it works on may be half written if it is overlays, and is as
/// it was otherwise.
pub(crate) fn fix(
    run: &mut Run<'_, '_>,
    on: &On<'_>,
    nics: Vec<Nic>,
    told: Option<OvfEnvironment>,
) -> anyhow::Result<Fixed> {
    ensure!(
        !are_blank(&run.disks)?,
        "the disks are blank, so that there is no guest to fix"
    );
    let request = request(run, nics, told);
    let signal = run
        .settings
        .wait_for_guest_reboot
        .then_some(&Signal as &dyn Fixup);
    let mut selection = Selection::default();
    let mut left_out = Vec::new();
    let undo = undo_file(&run.settings.paths.work_dir);
    let wanted = run.settings.root_disk.clone();
    let mut os_device = wanted.clone();
    let metrics = run.metrics.clone();
    let options = run.disk_options();
    let keys = run.keys.engine.clone();
    let engine = &mut *run.engine;
    loop {
        let outer = &mut *engine.progress;
        let mut progress = |step: Progress| {
            metrics.phase(phase(step));
            outer(step);
        };
        let mut settings = EngineSettings {
            os_device: os_device.clone(),
            keys: keys.clone(),
            force_tcg: engine.force_tcg,
            launch_limit: engine.launch_limit.max(Duration::from_secs(300)),
            in_place: false,
            disks: options.clone(),
            on_handle: &mut *engine.on_handle,
            progress: &mut progress,
        };
        let fixups: Vec<&dyn Fixup> = run
            .fixups
            .iter()
            .copied()
            .chain(run.scripts.iter().map(Box::as_ref))
            .chain(signal)
            .collect();
        let job = Job {
            fixups: &fixups,
            selection: &selection,
            request: &request,
        };
        let fixed = match on {
            On::Overlays(overlays, _) => {
                target::fix_overlays(overlays, "the guest", &mut settings, job, &undo)
            }
            On::Disks(specs) => {
                let target = Target::Disks(specs.clone());
                target::fix(&target, &mut settings, job, &undo).map_err(anyhow::Error::from)
            }
        };
        let error = match fixed {
            Ok(mut fixed) => {
                fixed.report.fixups.extend(left_out);
                return Ok(fixed);
            }
            Err(error) => error,
        };
        let unsettled = in_chain::<Unsettled>(&error).map_or(&[][..], |unsettled| &unsettled.0);
        let known = left_out.len();
        for (id, reason) in unsettled {
            if selection.skip.insert(id.clone()) {
                let why = format!("left out: it is not content with its own changes ({reason})");
                left_out.push(Planned::failed(id, why));
            }
        }
        if left_out.len() > known {
            tracing::warn!("{error:#}; trying again without");
            if let On::Overlays(_, renew) = on {
                renew()?;
            }
            // They know that they have run.
            run.scripts = scripts::load(&run.settings.paths.dynamic_scripts_dir)?;
            continue;
        }
        match choose(&error, wanted.as_deref()) {
            Some(device) if os_device.as_ref() != Some(&device) => os_device = Some(device),
            _ => return Err(error),
        }
    }
}

/// Whether there is nothing at the beginning of any disk, where a guest has a partition table, a file system or the
/// header of a volume. No appliance needs to be started for that.
fn are_blank(disks: &[Disk]) -> anyhow::Result<bool> {
    for disk in disks {
        let mut start = Vec::new();
        File::open(&disk.path)
            .and_then(|file| file.take(BEGINNING).read_to_end(&mut start))
            .with_context(|| format!("reading {}", disk.path.display()))?;
        if start.iter().any(|&byte| byte != 0) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Which of several systems, as virt-v2v's `--root first` chooses, or the first on the disk that is named.
fn choose(error: &anyhow::Error, wanted: Option<&str>) -> Option<String> {
    let first = |roots: &[Root], start: &str| {
        let mut roots = roots.iter().map(|root| root.device.clone());
        roots.find(|device| device.starts_with(start))
    };
    match (in_chain::<OpenError>(error)?, wanted) {
        (OpenError::SeveralOperatingSystems { roots, .. }, None) => first(roots, ""),
        (OpenError::NoSuchRoot { roots, device, .. }, Some(_)) => first(roots, device),
        _ => None,
    }
}

/// The engine's own error, which may stand in the chain behind others.
fn in_chain<E: std::error::Error + Send + Sync + 'static>(error: &anyhow::Error) -> Option<&E> {
    error
        .chain()
        .find_map(|cause| cause.downcast_ref::<E>())
        .or_else(|| {
            let failure = error.downcast_ref::<target::Failure>()?;
            failure
                .error
                .chain()
                .find_map(|cause| cause.downcast_ref::<E>())
        })
}

/// One that an earlier run has left is not written over.
fn undo_file(dir: &Path) -> PathBuf {
    let names = std::iter::once(UNDO.to_owned()).chain((2..).map(|n| format!("undo-{n}.json")));
    let mut paths = names.map(|name| dir.join(name));
    paths
        .find(|path| std::fs::symlink_metadata(path).is_err())
        .unwrap_or_else(|| dir.join(UNDO))
}

fn request(run: &Run<'_, '_>, nics: Vec<Nic>, told: Option<OvfEnvironment>) -> Request {
    let known = run.nics.iter().cloned();
    let nics = refit_engine::nic::merge(nics.into_iter().chain(known)).unwrap_or_else(|error| {
        tracing::warn!("what is known of the NICs contradicts itself: {error:#}");
        run.nics.clone()
    });
    let mut request = Request {
        nics,
        virtio_win: run.virtio_win.clone(),
        ..Request::default()
    };
    let mut set = |id: &str, name: &str, value: toml::Value| {
        let ours = request.parameters.entry(id.to_owned()).or_default();
        ours.insert(name.to_owned(), value);
    };
    // KubeVirt's clocks show UTC.
    set(
        "windows-clock",
        "clock",
        toml::Value::String("auto".to_owned()),
    );
    if told.as_ref().is_some_and(|told| told.has_properties) {
        // What it is told about its name and network is to count.
        set("cloud-init", "keep", toml::Value::Boolean(false));
    }
    request.ovf_environment = told;
    request
}

/// One entry for each fixup that failed or is blocked; the metrics hear of all.
pub(crate) fn warnings(run: &Run<'_, '_>, report: &Report) -> Vec<Warning> {
    let mut warnings = Vec::new();
    for fixup in &report.fixups {
        run.metrics.fixup(&fixup.id, verdict(fixup.verdict));
        if matches!(fixup.verdict, VerdictKind::Failed | VerdictKind::Blocked) {
            warnings.push(warning(&format!("{}: {}", fixup.id, fixup.reason)));
        }
    }
    warnings
}

/// An entry for the controller, which shows it to the user.
pub(crate) fn warning(message: &str) -> Warning {
    tracing::warn!("{message}");
    Warning {
        reason: REASON.to_owned(),
        message: message.to_owned(),
    }
}

fn verdict(kind: VerdictKind) -> &'static str {
    match kind {
        VerdictKind::Change => "change",
        VerdictKind::Fine => "fine",
        VerdictKind::NotApplicable => "not-applicable",
        VerdictKind::Blocked => "blocked",
        VerdictKind::Failed => "failed",
    }
}

fn phase(step: Progress) -> &'static str {
    match step {
        Progress::Open => "open",
        Progress::Plan => "plan",
        Progress::Apply => "apply",
        Progress::Check => "check",
        Progress::Undo => "undo",
        Progress::Commit => "commit",
    }
}

/// Raw disks: what a controller attaches is never another format, whatever a guest has written into it.
pub(crate) fn raw(path: &std::path::Path) -> DiskSpec {
    DiskSpec {
        path: path.to_owned(),
        format: Some(disks::Format::Raw),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn disks_without_anything_are_blank() {
        let dir = tempfile::tempdir().unwrap();
        let disk = |name: &str, bytes: &[u8]| {
            let path = dir.path().join(name);
            std::fs::write(&path, bytes).unwrap();
            Disk {
                number: 0,
                link: path.clone(),
                path,
            }
        };
        let (blank, empty) = (disk("a", &[0; 4096]), disk("b", b""));
        let guest = disk("c", &[[0; 510].as_slice(), &[0x55, 0xaa]].concat());
        assert!(are_blank(&[blank.clone(), empty]).unwrap());
        assert!(!are_blank(&[blank, guest.clone()]).unwrap());
        std::fs::remove_file(&guest.path).unwrap();
        assert!(are_blank(&[guest]).is_err());
    }

    #[test]
    fn an_undo_file_that_is_there_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        for expected in ["undo.json", "undo-2.json", "undo-3.json"] {
            let path = undo_file(dir.path());
            assert_eq!(path, dir.path().join(expected));
            std::fs::write(path, "").unwrap();
        }
    }

    #[test]
    fn the_first_system_or_the_first_on_a_disk() {
        let roots = ["/dev/sda2", "/dev/sdb1", "/dev/sdb3"];
        let roots: Vec<Root> = roots
            .iter()
            .map(|device| Root {
                device: (*device).to_owned(),
                product: String::new(),
            })
            .collect();
        let several = || OpenError::SeveralOperatingSystems {
            name: "g".to_owned(),
            roots: roots.clone(),
        };
        let none = |device: &str| OpenError::NoSuchRoot {
            name: "g".to_owned(),
            device: device.to_owned(),
            roots: roots.clone(),
        };
        for (error, wanted, expected) in [
            (several(), None, Some("/dev/sda2")),
            (none("/dev/sdb"), Some("/dev/sdb"), Some("/dev/sdb1")),
            (none("/dev/sdc"), Some("/dev/sdc"), None),
        ] {
            let plain = Err::<(), _>(error).context("opening g").unwrap_err();
            assert_eq!(choose(&plain, wanted).as_deref(), expected);
            let failure = anyhow::Error::from(target::Failure::from(plain));
            assert_eq!(choose(&failure, wanted).as_deref(), expected);
        }
        assert_eq!(choose(&anyhow::Error::msg("x"), None), None);
    }
}
