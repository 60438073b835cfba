//! The results under their final names, and what describes them.

use std::fs;
use std::path::Path;
use std::time::Instant;

use anyhow::Context as _;
use refit_engine::Report;
use refit_machine::libvirt;

use crate::output_dir::Staging;
use crate::{
    Conversion, Fallback, Files, LOG, Made, PrivateFile, REPORT, Run, SCRATCH, UNDO, environment,
    hardware,
};

/// Writes the descriptions and the report, and moves everything to its final place.
///
/// # Errors
/// If that cannot be written, or the user ended the run; nothing is left under a final name then.
pub(crate) fn publish(
    mut run: Run<'_>,
    mut made: Made,
    fallback: Option<Fallback>,
    start: Instant,
) -> anyhow::Result<Conversion> {
    hardware::replace_macs(&mut made.machine, &run.options.nics);
    let warnings = std::mem::take(&mut run.source.warnings);
    let mut notes = std::mem::take(&mut run.source.notes);
    let (staging, name, format) = (&run.staging, run.name(), run.format());
    let log = staging.final_path(LOG);
    let mut files = Files {
        environment: None,
        disks: (0..made.disks.len())
            .map(|index| staging.final_path(&format!("{name}-disk{index}.{}", format.as_str())))
            .collect(),
        libvirt: staging.final_path(&format!("{name}.libvirt.xml")),
        kubevirt: staging.final_path(&format!("{name}.kubevirt.yaml")),
        report: staging.final_path(REPORT),
        log: staging.staged(&log).exists().then_some(log),
        undo: made
            .fixups
            .as_ref()
            .and_then(|report| report.undo.as_ref())
            .map(|_| staging.final_path(UNDO)),
    };
    for (disk, path) in made.machine.disks.iter_mut().zip(&files.disks) {
        disk.path = path.display().to_string();
        disk.format = Some(format.as_str().to_owned());
    }
    let mut kubevirt = refit_kubevirt::Options::default();
    let told = run
        .source
        .appliance
        .as_ref()
        .and_then(|one| one.told.as_ref());
    if let Some(devices) = made.devices {
        made.machine.cdrom = devices.cdrom.unwrap_or_default();
        if told.is_some() && devices.cdrom.is_none() {
            made.warnings.push(
                "the guest's kernel has no driver for a CD-ROM drive, neither on SATA nor on virtio-scsi: it will \
                 not see its OVF environment; install another kernel (sr_mod with ahci or virtio_scsi)"
                    .to_owned(),
            );
        }
    }
    if let Some(told) = told {
        let written = environment::write(
            staging,
            name,
            &made.machine,
            told,
            &mut kubevirt,
            &mut notes,
        )?;
        files.environment = Some(written);
    }
    let cdroms: Vec<String> = files
        .environment
        .iter()
        .map(|environment| environment.iso.display().to_string())
        .collect();
    notes.extend(refit_kubevirt::notes(&made.machine, &kubevirt));
    let manifest = refit_kubevirt::virtual_machine(&made.machine, &kubevirt)
        .and_then(|manifest| manifest.to_yaml())
        .context("writing the KubeVirt manifest")?;
    let domain = hardware::on_default_network(&made.machine, &mut notes);
    write(
        staging,
        &files.libvirt,
        libvirt::write_with_cdroms(&domain, &cdroms).as_bytes(),
    )?;
    write(staging, &files.kubevirt, manifest.as_bytes())?;
    for (made, path) in made.disks.iter().zip(&files.disks) {
        fs::rename(made, staging.staged(path))
            .with_context(|| format!("naming {}", path.display()))?;
    }
    if let (Some(outcome), Some(log)) = (&mut made.v2v, &files.log) {
        outcome.log.clone_from(log);
    }
    let conversion = Conversion {
        schema: "refit/convert/v1",
        name: name.to_owned(),
        engine: made.engine,
        fallback: fallback.map(|fallback| fallback.to_string()),
        fixups: made.fixups.map(|report| Report {
            undo: files.undo.clone(),
            ..report
        }),
        fixups_error: made.fixups_error,
        verification: run.verification.clone(),
        v2v: made.v2v,
        machine: made.machine,
        files,
        warnings: warnings.into_iter().chain(made.warnings).collect(),
        notes,
        seconds: (start.elapsed().as_secs_f64() * 10.0).round() / 10.0,
    };
    let json = serde_json::to_vec_pretty(&conversion).context("writing the report")?;
    // It has planned contents of the guest's files.
    PrivateFile::create(&staging.staged(&conversion.files.report))?.finish(&json)?;
    let scratch = staging.path().join(SCRATCH);
    if scratch.exists() {
        fs::remove_dir_all(&scratch).context("removing what the source was read by")?;
    }
    anyhow::ensure!(!run.cancel.is_cancelled(), "interrupted");
    run.staging.publish()?;
    Ok(conversion)
}

fn write(staging: &Staging, path: &Path, content: &[u8]) -> anyhow::Result<()> {
    fs::write(staging.staged(path), content).with_context(|| format!("writing {}", path.display()))
}
