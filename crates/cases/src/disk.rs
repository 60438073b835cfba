//! Cases on disks: what needs the guest's own programs runs in the appliance alone.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use refit_engine::Fixup;
use refit_engine::backend::GuestfsBackend;
use refit_guestfs::{AddDrive, CacheMode, CancelHandle, Handle, Mkfs, TarIn};

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
    let disks: Vec<Disk> = cases
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
    for (((fixup, case), device), disk) in cases.iter().zip(&devices).zip(&disks) {
        let Some(mounted) = handle.take() else { break };
        disk.mount(&mounted, device)
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

/// A case's disk.
struct Disk {
    path: PathBuf,
    /// The tree of a Windows, which is unpacked onto an NTFS in the appliance: no program of this host fills one.
    windows: Option<PathBuf>,
}

impl Disk {
    fn mount(&self, handle: &Handle, device: &str) -> Result<()> {
        let Some(tree) = &self.windows else {
            return Ok(handle.mount(device, "/")?);
        };
        handle.mkfs("ntfs", device, &Mkfs::new())?;
        handle.mount(device, "/")?;
        Ok(handle.tar_in(tree, "/", &TarIn::new())?)
    }
}

/// A disk with one file system that holds the case's tree: NTFS for a Windows, else ext4.
fn make(case: &Case, scratch: &Path, index: usize) -> Result<Disk> {
    let tree = scratch.join(format!("{index}.tree"));
    std::fs::create_dir(&tree)?;
    case.make_tree(&tree)?;
    let path = scratch.join(format!("{index}.img"));
    File::create(&path)?.set_len(DISK_SIZE)?;
    if tree.join("Windows").exists() {
        let archive = scratch.join(format!("{index}.tar"));
        let mut command = Command::new("tar");
        command.args(["--numeric-owner", "-C"]).arg(&tree);
        run(command.arg("-cf").arg(&archive).arg("."), "tar")?;
        return Ok(Disk {
            path,
            windows: Some(archive),
        });
    }
    programs::provide(&tree)?;
    let mut command = Command::new("mkfs.ext4");
    command.args(["-q", "-F", "-d"]).arg(&tree).arg(&path);
    run(&mut command, "mkfs.ext4 (Debian: apt install e2fsprogs)")?;
    Ok(Disk {
        path,
        windows: None,
    })
}

fn run(command: &mut Command, name: &str) -> Result<()> {
    let made = command
        .output()
        .with_context(|| format!("starting {name}"))?;
    ensure!(
        made.status.success(),
        "{name} ended with {}: {}",
        made.status,
        String::from_utf8_lossy(&made.stderr).trim()
    );
    Ok(())
}

fn launch(disks: &[Disk], appliance: &mut Appliance<'_>) -> Result<Handle> {
    let handle = Handle::new()?;
    handle.set_pgroup(true)?;
    handle.set_identifier("refit")?;
    if (appliance.force_tcg)() {
        handle.emulate()?;
    }
    let add = AddDrive::new().format("raw").cachemode(CacheMode::Unsafe);
    for disk in disks {
        handle.add_drive(&disk.path, &add)?;
    }
    (appliance.on_handle)(handle.cancel_handle());
    handle.launch()?;
    Ok(handle)
}
