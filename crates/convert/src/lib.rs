//! A whole conversion: virt-v2v, then the fixups on what it made, then packaging.
//!
//! The source is only read. All is made in a staging directory inside the output directory and
//! appears under its final names when it is complete.

mod hardware;
mod output_dir;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::Context as _;
use refit_engine::disks::{Access, DiskSpec, Format, Image, ImageOptions};
use refit_engine::target::{self, Progress, Settings, Target};
use refit_engine::{Job, Nic, Report, Request, nic};
use refit_machine::{Machine, libvirt};
use refit_v2v::{Accel, CancelToken, ConvertOptions, Event, Input, OutputFormat, Tools};
use serde::Serialize;

pub use output_dir::OutputDirError;

/// What to convert, and how.
#[derive(Debug)]
pub struct Options<'o> {
    /// How virt-v2v is run. Its output directory, name and log are set here.
    pub v2v: ConvertOptions,
    /// The directory for the results: missing or empty.
    pub out: PathBuf,
    /// What is known of the NICs beside the source itself.
    pub nics: Vec<Nic>,
    /// The catalogue of fixups, the selection, and the request (whose NICs are filled in here).
    pub job: Job<'o>,
}

/// How far a conversion is.
#[derive(Debug)]
pub enum Stage {
    /// virt-v2v says so.
    V2v(Event),
    /// The fixups' session says so.
    Fixups(Progress),
    /// Descriptions are being written.
    Package,
}

/// `report.json`.
#[derive(Debug, Serialize)]
pub struct Conversion {
    schema: &'static str,
    /// The machine's name.
    pub name: String,
    /// What the guest's files, verdicts and changes were; absent if the disks could not be opened.
    pub fixups: Option<Report>,
    /// Why the fixups did not run at all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fixups_error: Option<String>,
    /// What virt-v2v did.
    pub v2v: refit_v2v::Outcome,
    /// The resulting machine.
    pub machine: Machine,
    /// What was left beside this report.
    pub files: Files,
    /// What somebody should look at, beside virt-v2v's own warnings and the fixups' verdicts.
    pub warnings: Vec<String>,
    /// What the descriptions of the machine cannot carry, or leave to whoever defines it.
    pub notes: Vec<String>,
    /// Seconds from start to end.
    pub seconds: f64,
}

/// Results in the output directory, as absolute paths.
#[derive(Debug, Clone, Serialize)]
pub struct Files {
    /// The disks, in boot order.
    pub disks: Vec<PathBuf>,
    /// libvirt domain XML.
    pub libvirt: PathBuf,
    /// KubeVirt `VirtualMachine`.
    pub kubevirt: PathBuf,
    /// This report.
    pub report: PathBuf,
    /// virt-v2v's whole output.
    pub log: PathBuf,
    /// What takes the fixups back; absent if they changed nothing.
    pub undo: Option<PathBuf>,
}

impl Conversion {
    /// Whether somebody should look at something.
    #[must_use]
    pub fn needs_attention(&self) -> bool {
        !self.warnings.is_empty()
            || self.fixups_error.is_some()
            || self.fixups.as_ref().is_some_and(Report::needs_attention)
    }
}

/// Converts.
///
/// # Errors
/// If the output directory is not empty, virt-v2v fails ([`refit_v2v::ConvertError`] tells why), or
/// the results cannot be written. The source is untouched and nothing is left under a final name.
pub fn convert(
    options: &Options<'_>,
    tools: &Tools,
    settings: &mut Settings<'_>,
    cancel: &CancelToken,
    observer: &mut dyn FnMut(Stage),
) -> anyhow::Result<Conversion> {
    let start = Instant::now();
    let input = probed(&options.v2v.input, &settings.disks.image)?;
    let source = hardware::read_source(&options.v2v.input)?;
    if let Some(machine) = &source.machine {
        probe_described(&options.v2v.input, machine, &settings.disks.image)?;
    }
    let staging = output_dir::Staging::create(&options.out)?;
    let warnings: Vec<String> = source.warning.into_iter().collect();

    let mut v2v = options.v2v.clone();
    v2v.input = input;
    v2v.out_dir = staging.path().to_owned();
    v2v.settings.log = staging.path().join(LOG);
    if (settings.force_tcg)() {
        v2v.settings.accel = Accel::ForceTcg;
    }
    let converted = match refit_v2v::run(
        tools,
        &v2v,
        &mut |event| observer(Stage::V2v(event)),
        cancel,
    ) {
        Ok(converted) => converted,
        Err(mut error) => {
            // What virt-v2v said is worth more than a clean directory, unless the user ended it.
            error.log = if cancel.is_cancelled() {
                None
            } else {
                staging.keep_log(LOG)
            };
            return Err(error)
                .with_context(|| format!("converting {}", v2v.input.path().display()));
        }
    };
    let mut machine =
        libvirt::parse(&converted.xml).context("reading virt-v2v's description of the machine")?;
    hardware::complete(&mut machine, source.machine.as_ref(), &v2v.name);

    let undo = staging.path().join(UNDO);
    let format = match v2v.output_format {
        OutputFormat::Qcow2 => Format::Qcow2,
        OutputFormat::Raw => Format::Raw,
    };
    let fixed = fix(
        options,
        settings,
        &converted.disks,
        format,
        source.machine.as_ref(),
        &machine,
        &undo,
        observer,
    );
    let (report, fixups_error) = match fixed {
        Ok(report) => (Some(report), None),
        Err(_) if cancel.is_cancelled() => anyhow::bail!("interrupted"),
        Err(error) => (None, Some(format!("{error:#}"))),
    };

    hardware::replace_macs(&mut machine, &options.nics);
    observer(Stage::Package);
    let files = Files {
        disks: (0..converted.disks.len())
            .map(|index| {
                staging.final_path(&format!("{}-disk{index}.{}", v2v.name, format.as_str()))
            })
            .collect(),
        libvirt: staging.final_path(&format!("{}.libvirt.xml", v2v.name)),
        kubevirt: staging.final_path(&format!("{}.kubevirt.yaml", v2v.name)),
        report: staging.final_path(REPORT),
        log: staging.final_path(LOG),
        undo: report
            .as_ref()
            .and_then(|report| report.undo.as_ref())
            .map(|_| staging.final_path(UNDO)),
    };
    for (disk, path) in machine.disks.iter_mut().zip(&files.disks) {
        disk.path = path.display().to_string();
        disk.format = Some(format.as_str().to_owned());
    }
    let kubevirt = refit_kubevirt::Options::default();
    let mut notes = refit_kubevirt::notes(&machine, &kubevirt);
    let manifest = refit_kubevirt::virtual_machine(&machine, &kubevirt)
        .and_then(|manifest| manifest.to_yaml())
        .context("writing the KubeVirt manifest")?;
    let domain = hardware::on_default_network(&machine, &mut notes);
    write(&staging, &files.libvirt, libvirt::write(&domain).as_bytes())?;
    write(&staging, &files.kubevirt, manifest.as_bytes())?;
    for (made, path) in converted.disks.iter().zip(&files.disks) {
        fs::rename(made, staging.staged(path))
            .with_context(|| format!("naming {}", path.display()))?;
    }
    // Its paths are the final ones: the manifests replace it.
    fs::remove_file(&converted.xml_path).context("removing virt-v2v's own description")?;

    let mut outcome = converted.outcome;
    outcome.log.clone_from(&files.log);
    let report = report.map(|report| Report {
        undo: files.undo.clone(),
        ..report
    });
    let conversion = Conversion {
        schema: "refit/convert/v1",
        name: v2v.name.clone(),
        fixups: report,
        fixups_error,
        v2v: outcome,
        machine,
        files,
        warnings,
        notes,
        seconds: (start.elapsed().as_secs_f64() * 10.0).round() / 10.0,
    };
    let json = serde_json::to_vec_pretty(&conversion).context("writing the report")?;
    write(&staging, &conversion.files.report, &json)?;
    anyhow::ensure!(!cancel.is_cancelled(), "interrupted");
    staging.publish()?;
    Ok(conversion)
}

/// The same look at a disk as all other commands take, before virt-v2v gets it: a file that is no
/// disk is refused at once, and an image may only refer to files that it may reach. Its format is
/// settled here.
fn probed(input: &Input, options: &ImageOptions) -> anyhow::Result<Input> {
    let Input::Disk { path, format } = input else {
        return Ok(input.clone());
    };
    let format = format
        .as_deref()
        .map(|name| name.parse().map_err(anyhow::Error::msg))
        .transpose()?;
    let spec = DiskSpec {
        path: path.clone(),
        format,
    };
    let image = Image::probe(&spec, Access::Read, options)?;
    Ok(Input::Disk {
        path: path.clone(),
        format: Some(image.format().to_string()),
    })
}

/// The same look at the disks that a VMX file or a libvirt XML names.
fn probe_described(input: &Input, machine: &Machine, options: &ImageOptions) -> anyhow::Result<()> {
    if !matches!(input, Input::Vmx(_) | Input::LibvirtXml(_)) {
        return Ok(());
    }
    // Both formats take a relative path from their own place.
    let dir = input.path().parent().unwrap_or(Path::new("."));
    for disk in machine.disks.iter().filter(|disk| !disk.path.is_empty()) {
        let format = disk
            .format
            .as_deref()
            .map(|name| name.parse().map_err(anyhow::Error::msg));
        let spec = DiskSpec {
            path: dir.join(&disk.path),
            format: format.transpose()?,
        };
        Image::probe(&spec, Access::Read, options)
            .with_context(|| format!("checking the disks of {}", input.path().display()))?;
    }
    Ok(())
}

/// Names of results that do not depend on the machine's name.
const LOG: &str = "convert.log";
const REPORT: &str = "report.json";
const UNDO: &str = "undo.json";

fn write(staging: &output_dir::Staging, path: &Path, content: &[u8]) -> anyhow::Result<()> {
    fs::write(staging.staged(path), content).with_context(|| format!("writing {}", path.display()))
}

#[expect(
    clippy::too_many_arguments,
    reason = "one step of `convert`, split off for reading"
)]
fn fix(
    options: &Options<'_>,
    settings: &mut Settings<'_>,
    disks: &[PathBuf],
    format: Format,
    source: Option<&Machine>,
    machine: &Machine,
    undo: &Path,
    observer: &mut dyn FnMut(Stage),
) -> anyhow::Result<Report> {
    let request = Request {
        nics: nic::merge(
            hardware::nics(machine, source)
                .into_iter()
                .chain(options.nics.iter().cloned()),
        )?,
        ..options.job.request.clone()
    };
    let job = Job {
        request: &request,
        ..options.job
    };
    let specs = disks
        .iter()
        .map(|path| DiskSpec {
            path: path.clone(),
            format: Some(format),
        })
        .collect();
    let mut settings = Settings {
        os_device: settings.os_device.clone(),
        keys: settings.keys.clone(),
        disks: settings.disks.clone(),
        force_tcg: settings.force_tcg,
        launch_limit: settings.launch_limit,
        in_place: settings.in_place,
        on_handle: &mut *settings.on_handle,
        progress: &mut |step| observer(Stage::Fixups(step)),
    };
    Ok(target::fix(
        &Target::Disks(specs),
        &mut settings,
        job,
        undo,
    )?)
}
