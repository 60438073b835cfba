//! The disks are there already: virt-v2v-in-place and the fixups work on overlays, which are committed all or none.

use std::fs::{self, File};
use std::os::unix::fs::{FileTypeExt as _, symlink};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use refit_engine::Nic;
use refit_engine::disks::{self, DiskSpec, Overlays};
use refit_engine::target::Progress;
use refit_machine::libvirt::{self, LocalDisk};
use refit_v2v::{Event, InPlaceOptions, Outcome};

use crate::modes::{disks_options, domain_options};
use crate::run::{Converted, Run};
use crate::session::{self, On};
use crate::{Disk, Source, domain, refused};

/// Converts.
///
/// # Errors
/// If virt-v2v fails, or what it made cannot be committed. The disks are as they were then, unless overlays were
/// switched off, or the error says that a commit was cut short.
pub(crate) fn convert(run: &mut Run<'_, '_>) -> anyhow::Result<Converted> {
    if !run.settings.overlay {
        return directly(run);
    }
    if let Some(disk) = run.disks.iter().find(|disk| has_no_sector(disk)) {
        tracing::warn!(
            "{}: there is nothing in it that an overlay could keep; going on without overlays",
            disk.path.display()
        );
        return directly(run);
    }
    recover(run)?;
    let specs: Vec<DiskSpec> = run
        .disks
        .iter()
        .map(|disk| session::raw(&disk.path))
        .collect();
    let create = |run: &Run<'_, '_>| Overlays::create(&specs, &run.disk_options());
    let mut overlays = create(run).context("putting overlays over the disks")?;
    let paths = |overlays: &Overlays| overlays.images().map(Path::to_owned).collect::<Vec<_>>();
    let links = Links::to(&run.disks, &paths(&overlays))?;
    let (outcome, nics, refusal) = match v2v(run, true) {
        Ok((outcome, nics)) => (Some(outcome), nics, None),
        Err(error) if refused::by_virt_v2v(&error).is_some() => {
            // It may have begun.
            drop(links);
            overlays.discard().context("removing overlays")?;
            overlays = create(run).context("putting overlays over the disks")?;
            (None, Vec::new(), Some(error))
        }
        Err(error) => return Err(error),
    };
    let mut converted = Converted {
        v2v: outcome,
        ..Converted::default()
    };
    let upper = Upper::over(&paths(&overlays), &run.state_dir)?;
    match session::fix(
        run,
        &On::Overlays(&upper.overlays, &|| upper.empty()),
        nics,
        None,
    ) {
        Ok(fixed) => {
            if fixed.report.undo.is_some() {
                upper.join()?;
            }
            converted.fixed(run, fixed)?;
        }
        Err(_) if run.cancel.is_cancelled() => {
            anyhow::bail!("interrupted; the disks are as they were")
        }
        Err(error) => converted.not_fixed(error, refusal)?,
    }
    run.not_cancelled()?;
    run.metrics.phase("commit");
    (run.engine.progress)(Progress::Commit);
    overlays
        .commit(&mut |step| tracing::debug!(?step, "committing"))
        .context("writing the overlays into the disks")?;
    Ok(converted)
}

/// Overlays of the overlays, for the fixups: if their session fails in the middle, virt-v2v's work is not lost.
struct Upper {
    lower: Vec<PathBuf>,
    overlays: Vec<PathBuf>,
    /// Where they are, until this is dropped.
    _dir: tempfile::TempDir,
}

impl Upper {
    fn over(lower: &[PathBuf], state_dir: &Path) -> anyhow::Result<Self> {
        let dir = tempfile::Builder::new()
            .prefix("fixups-")
            .tempdir_in(state_dir)
            .context("making a directory for the fixups' overlays")?;
        let names = (0..lower.len()).map(|index| dir.path().join(format!("{index}.qcow2")));
        let upper = Self {
            lower: lower.to_vec(),
            overlays: names.collect(),
            _dir: dir,
        };
        upper.empty()?;
        Ok(upper)
    }

    fn empty(&self) -> anyhow::Result<()> {
        for (overlay, below) in self.overlays.iter().zip(&self.lower) {
            refit_image::qemu::create(overlay, below, refit_image::Format::Qcow2, None)
                .context("making an overlay for the fixups")?;
        }
        Ok(())
    }

    /// Brings what they hold into those below.
    ///
    /// # Errors
    /// Those below may be half written then, and must not be committed.
    fn join(&self) -> anyhow::Result<()> {
        for overlay in &self.overlays {
            // Nobody else knows of it, so that any lock will do.
            let lock = File::open(overlay).context("opening an overlay")?;
            refit_image::qemu::commit(overlay, &lock).context(
                "joining the fixups' changes with virt-v2v's; the disks are as they were",
            )?;
        }
        Ok(())
    }
}

/// qemu puts no overlay over less.
fn has_no_sector(disk: &Disk) -> bool {
    fs::metadata(&disk.path).is_ok_and(|meta| meta.is_file() && meta.len() < 512)
}

/// Where the temporary storage outlives the container, an earlier one may have been killed in its commit.
fn recover(run: &Run<'_, '_>) -> anyhow::Result<()> {
    let disks: Vec<PathBuf> = run.disks.iter().map(|disk| disk.path.clone()).collect();
    let recovered = disks::recover(&disks, &run.disk_options())
        .context("looking for what an earlier run of this pod left")?;
    for disk in recovered.finished {
        tracing::warn!(
            "{}: an earlier run was ended while it wrote its result; that is finished now, and converted again",
            disk.display()
        );
    }
    Ok(())
}

/// Without overlays, as the controller has asked: what fails leaves the disks half converted.
fn directly(run: &mut Run<'_, '_>) -> anyhow::Result<Converted> {
    let (outcome, nics, refusal) = match v2v(run, false) {
        Ok((outcome, nics)) => (Some(outcome), nics, None),
        Err(error) if refused::by_virt_v2v(&error).is_some() => (None, Vec::new(), Some(error)),
        Err(error) => {
            return Err(
                error.context("the disks may be half converted, as overlays are switched off")
            );
        }
    };
    let mut converted = Converted {
        v2v: outcome,
        ..Converted::default()
    };
    let specs = run
        .disks
        .iter()
        .map(|disk| session::raw(&disk.path))
        .collect();
    match session::fix(run, &On::Disks(specs), nics, None) {
        Ok(fixed) => converted.fixed(run, fixed)?,
        Err(_) if run.cancel.is_cancelled() => anyhow::bail!("interrupted"),
        Err(error) => converted.not_fixed(error, refusal)?,
    }
    Ok(converted)
}

/// Runs virt-v2v-in-place on what the links lead to. Gives what the source's description says of the NICs, too.
fn v2v(run: &mut Run<'_, '_>, are_overlays: bool) -> anyhow::Result<(Outcome, Vec<Nic>)> {
    let (mut options, nics) = options(run, are_overlays);
    run.complete(&mut options.settings);
    let metrics = run.metrics.clone();
    let mut observe = |event: Event| {
        if let Event::Phase { phase, .. } = event {
            metrics.phase(phase.id());
        }
    };
    let outcome = refit_v2v::run_in_place(&run.tools, &options, &mut observe, run.cancel)
        .context("converting the disks in place")?;
    Ok((outcome, nics))
}

fn options(run: &Run<'_, '_>, are_overlays: bool) -> (InPlaceOptions, Vec<Nic>) {
    let settings = run.settings;
    let keys = &run.keys.v2v;
    if settings.source != Some(Source::Ec2) && !settings.libvirt_url.is_empty() {
        let local: Vec<LocalDisk> = run
            .disks
            .iter()
            .map(|disk| local(disk, are_overlays))
            .collect();
        match domain::prepare(settings, &local, run.cancel) {
            Ok(xml) => {
                let machine = libvirt::parse(&xml).unwrap_or_default();
                let nics = refit_engine::nic::from_machine(&machine, "libvirt");
                let path = &settings.paths.libvirt_domain_file;
                return (domain_options(settings, keys, path), nics);
            }
            // The disks are all that has to be converted.
            Err(error) => tracing::warn!("{error:#}; converting the disks without a description"),
        }
    }
    let links = run.disks.iter().map(|disk| disk.link.clone()).collect();
    (
        disks_options(settings, keys, links, are_overlays),
        Vec::new(),
    )
}

fn local(disk: &Disk, is_overlay: bool) -> LocalDisk {
    let is_block = || fs::metadata(&disk.path).is_ok_and(|meta| meta.file_type().is_block_device());
    LocalDisk {
        path: disk.link.clone(),
        format: if is_overlay { "qcow2" } else { "raw" },
        block: !is_overlay && is_block(),
    }
}

/// The disks' links, leading elsewhere until it is dropped.
struct Links(Vec<(PathBuf, PathBuf)>);

impl Links {
    /// Leads each link to one of `targets`.
    fn to(disks: &[Disk], targets: &[PathBuf]) -> anyhow::Result<Self> {
        let own = disks
            .iter()
            .map(|disk| (disk.link.clone(), disk.path.clone()));
        let links = Self(own.collect());
        for ((link, _), target) in links.0.iter().zip(targets) {
            lead(link, target)?;
        }
        Ok(links)
    }
}

impl Drop for Links {
    fn drop(&mut self) {
        for (link, path) in &self.0 {
            if let Err(error) = lead(link, path) {
                tracing::warn!("{error:#}");
            }
        }
    }
}

fn lead(link: &Path, target: &Path) -> anyhow::Result<()> {
    let leading = || format!("linking {} to {}", link.display(), target.display());
    fs::remove_file(link).with_context(leading)?;
    symlink(target, link).with_context(leading)
}
