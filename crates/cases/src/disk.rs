//! Cases on disks: what needs the guest's own programs runs in the appliance alone.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use refit_engine::Fixup;
use refit_engine::backend::GuestfsBackend;
use refit_guestfs::{AddDrive, CacheMode, CancelHandle, Handle};

use crate::{Case, Golden, Place, programs};

/// Room for a case's tree and what its fixup adds: sparse, so it costs nothing.
const DISK_SIZE: u64 = 256 << 20;

/// How the appliance is started.
pub struct Appliance<'a> {
    /// Whether to emulate it instead of using KVM; asked when it is about to start.
    pub force_tcg: &'a dyn Fn() -> bool,
    /// Is handed what stops it from another thread.
    pub on_handle: &'a mut dyn FnMut(CancelHandle),
}

impl std::fmt::Debug for Appliance<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Appliance").finish_non_exhaustive()
    }
}

/// Runs cases on disks of their own, all of them in one start of the appliance. The results are
/// in the order of `cases`; one with the error [`NotRun`](crate::NotRun) was not run, because the
/// fixup's script cannot be run here.
///
/// # Errors
/// If the disks cannot be made or the appliance does not start: then no case was run.
pub fn on_disks(
    cases: &[(&dyn Fixup, &Case)],
    golden: Golden,
    appliance: &mut Appliance<'_>,
) -> Result<Vec<Result<()>>> {
    let scratch = tempfile::tempdir().context("making a directory for disks")?;
    let disks: Vec<PathBuf> = cases
        .iter()
        .enumerate()
        .map(|(index, (_, case))| {
            make(case, scratch.path(), index)
                .with_context(|| format!("making a disk of {}", case.folder().display()))
        })
        .collect::<Result<_>>()?;
    let handle = launch(&disks, appliance).context("starting the libguestfs appliance")?;
    let devices = handle.list_devices().context("listing the disks")?;
    ensure!(devices.len() == disks.len(), "the appliance lacks disks");
    let mut results = Vec::new();
    let mut handle = Some(handle);
    for ((fixup, case), device) in cases.iter().zip(&devices) {
        let Some(mounted) = handle.take() else { break };
        mounted
            .mount(device, "/")
            .with_context(|| format!("mounting the disk of {}", case.folder().display()))?;
        let mut backend = GuestfsBackend::new(mounted, case.folder().display().to_string());
        results.push(case.walk(*fixup, &mut backend, golden, Place::Disk));
        handle = Some(backend.unmount()?);
    }
    if let Some(handle) = handle {
        handle.close().context("stopping the appliance")?;
    }
    Ok(results)
}

/// A disk with one ext4 file system that holds the case's tree.
fn make(case: &Case, scratch: &Path, index: usize) -> Result<PathBuf> {
    let tree = scratch.join(format!("{index}.tree"));
    std::fs::create_dir(&tree)?;
    case.make_tree(&tree)?;
    programs::provide(&tree)?;
    let disk = scratch.join(format!("{index}.img"));
    File::create(&disk)?.set_len(DISK_SIZE)?;
    let made = Command::new("mkfs.ext4")
        .args(["-q", "-F", "-d"])
        .arg(&tree)
        .arg(&disk)
        .output()
        .context("starting mkfs.ext4 (Debian: apt install e2fsprogs)")?;
    ensure!(
        made.status.success(),
        "mkfs.ext4 ended with {}: {}",
        made.status,
        String::from_utf8_lossy(&made.stderr).trim()
    );
    Ok(disk)
}

fn launch(disks: &[PathBuf], appliance: &mut Appliance<'_>) -> Result<Handle> {
    let handle = Handle::new()?;
    handle.set_pgroup(true)?;
    handle.set_identifier("refit")?;
    if (appliance.force_tcg)() {
        handle.set_backend_setting("force_tcg", "1")?;
    }
    let add = AddDrive::new().format("raw").cachemode(CacheMode::Unsafe);
    for disk in disks {
        handle.add_drive(disk, &add)?;
    }
    (appliance.on_handle)(handle.cancel_handle());
    handle.launch()?;
    Ok(handle)
}
