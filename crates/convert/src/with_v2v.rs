//! virt-v2v converts and copies; then the fixups work on the copies.

use std::fs;
use std::path::Path;

use anyhow::Context as _;
use refit_engine::disks::DiskSpec;
use refit_engine::target::{self, Settings, Target};
use refit_engine::{Report, VerdictKind};
use refit_machine::{DiskBus, libvirt};
use refit_v2v::{Accel, ConvertError, ErrorKind, Input, Outcome, Tools};

use crate::drivers::Drivers;
use crate::{Engine, LOG, Made, Run, Stage, UNDO, fixups, hardware, opened};

/// Converts with virt-v2v.
///
/// # Errors
/// [`refit_v2v::ConvertError`] if virt-v2v fails; if the user ends it; if what it made cannot be read. That the
/// fixups fail is no error: the disks boot without them.
pub(crate) fn convert(
    run: &Run<'_>,
    tools: &Tools,
    settings: &mut Settings<'_>,
    observer: &mut dyn FnMut(Stage),
) -> anyhow::Result<Made> {
    let mut v2v = run.options.v2v.clone();
    v2v.input = prepare(run, settings, observer)?;
    v2v.out_dir = run.staging.path().to_owned();
    v2v.settings.log = run.staging.path().join(LOG);
    if (settings.force_tcg)() {
        v2v.settings.accel = Accel::ForceTcg;
    }
    let drivers = Drivers::prepare(run);
    v2v.settings.virtio_win = drivers.for_v2v().map(Path::to_owned);
    // What it has none for may still be in the set: it goes by the names of folders, and by libguestfs's idea
    // of the version.
    v2v.settings.drivers_follow = drivers.for_v2v().is_some();
    let converted = refit_v2v::run(
        tools,
        &v2v,
        &mut |event| observer(Stage::V2v(event)),
        run.cancel,
    )
    .with_context(|| format!("converting {}", run.input.path().display()))?;
    drop(drivers);
    let mut machine =
        libvirt::parse(&converted.xml).context("reading virt-v2v's description of the machine")?;
    hardware::complete(&mut machine, run.source.machine.as_ref(), &v2v.name);

    let specs = converted
        .disks
        .iter()
        .map(|path| DiskSpec {
            path: path.clone(),
            format: Some(run.format()),
        })
        .collect();
    let undo = run.staging.path().join(UNDO);
    let fixed = fixups::with_job(run, &machine, settings, observer, |settings, job| {
        Ok(target::fix(&Target::Disks(specs), settings, job, &undo)?)
    });
    let (fixups, devices, fixups_error) = match fixed {
        Ok(fixed) => (Some(fixed.report), fixed.devices, None),
        Err(_) if run.cancel.is_cancelled() => anyhow::bail!("interrupted"),
        Err(error) => (None, None, Some(format!("{error:#}"))),
    };
    if converted.outcome.windows_lacks_drivers() {
        let devices = devices.filter(|devices| devices.disk == DiskBus::Virtio);
        let devices = devices.ok_or_else(|| no_drivers(&converted.outcome, fixups.as_ref()))?;
        // It described the machine for a guest without drivers.
        machine = machine.with_devices(devices);
    }
    // Its paths are not the final ones: the manifests replace it.
    fs::remove_file(&converted.xml_path).context("removing virt-v2v's own description")?;
    Ok(Made {
        engine: Engine::VirtV2v,
        disks: converted.disks,
        machine,
        devices,
        fixups,
        fixups_error,
        v2v: Some(converted.outcome),
        warnings: Vec::new(),
    })
}

/// The error of a Windows guest that neither virt-v2v nor a fixup has drivers for.
fn no_drivers(outcome: &Outcome, fixups: Option<&Report>) -> ConvertError {
    let blocked = fixups
        .into_iter()
        .flat_map(|report| &report.fixups)
        .find(|fixup| matches!(fixup.verdict, VerdictKind::Blocked | VerdictKind::Failed))
        .map(|fixup| fixup.reason.clone());
    let said = || outcome.driver_warning().map(str::to_owned);
    let detail = blocked.or_else(said).unwrap_or_default();
    ConvertError::new(ErrorKind::NoVirtioDrivers, detail).with_log(&outcome.log)
}

/// What virt-v2v is given: of an appliance overlays of the disks where they lie, and the hardware as libvirt writes
/// it; everything else as it is.
fn prepare(
    run: &Run<'_>,
    settings: &Settings<'_>,
    observer: &mut dyn FnMut(Stage),
) -> anyhow::Result<Input> {
    let (Some(_), Some(machine)) = (&run.source.appliance, &run.source.machine) else {
        return Ok(run.input.clone());
    };
    let sources = run.disks(&settings.disks.image, observer)?;
    opened::domain(&sources, machine.clone(), run.name(), &run.scratch()?)
}
