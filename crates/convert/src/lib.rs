//! A whole conversion: virt-v2v and then the fixups on what it made, or the fixups alone; then packaging.
//!
//! The source is only read. All is made in a staging directory inside the output directory and
//! appears under its final names when it is complete.

mod appliance;
mod collection;
mod drivers;
mod engine;
pub mod environment;
mod fixups;
mod hardware;
mod opened;
mod output_dir;
mod own;
mod package;
mod private;
mod source;
mod with_v2v;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::Context as _;
use refit_engine::disks::{Access, DiskSpec, Format, Image, ImageOptions};
use refit_engine::target::{Progress, Settings};
use refit_engine::{Job, Nic, Report};
use refit_machine::{Devices, Machine};
use refit_v2v::{CancelToken, ConvertError, ConvertOptions, Event, Input, OutputFormat, Tools};
use serde::Serialize;

pub use appliance::{Selection, Verification};
pub use collection::{Collection, Converted, State, convert_collection, is_collection};
pub use engine::{Choice, Engine, Fallback};
pub use environment::EnvironmentFiles;
pub use hardware::read_vmx;
pub use opened::Opened;
pub use output_dir::OutputDirError;
pub use private::PrivateFile;

use appliance::{Appliance, Reading};
use hardware::Source;
use output_dir::Staging;
use source::SourceDisk;

/// What to convert, and how.
#[derive(Debug)]
pub struct Options<'o> {
    /// Which engine converts.
    pub engine: Choice,
    /// The source, the machine's name and the disks' format for both engines, and how virt-v2v is run.
    /// Its output directory and log are set here.
    pub v2v: ConvertOptions,
    /// The directory for the results: missing or empty.
    pub out: PathBuf,
    /// What to take of an appliance.
    pub appliance: Selection,
    /// What is known of the NICs beside the source itself.
    pub nics: Vec<Nic>,
    /// The catalogue of fixups, the selection, and the request (whose NICs are filled in here).
    pub job: Job<'o>,
}

/// How far a conversion is.
#[derive(Debug)]
pub enum Stage {
    /// One machine of a collection is begun.
    System {
        /// Its `ovf:id`.
        id: String,
        /// Its number, from 1.
        number: usize,
        /// How many there are.
        count: usize,
    },
    /// An appliance's files are compared with its manifest.
    Verify {
        /// Bytes that are read.
        done: u64,
        /// Bytes to read.
        total: u64,
    },
    /// Disks that are stored compressed are unpacked.
    Unpack,
    /// virt-v2v says so.
    V2v(Event),
    /// refit itself goes on, and why.
    Fallback(Fallback),
    /// The fixups' session says so.
    Fixups(Progress),
    /// refit copies a disk.
    Copy {
        /// Number of the disk, from 1.
        disk: u32,
        /// How many disks there are.
        disks: u32,
        /// 0 to 100.
        percent: u8,
        /// Virtual size of the disk in bytes.
        total: u64,
    },
    /// Descriptions are being written.
    Package,
}

/// `report.json`.
#[derive(Debug, Serialize)]
pub struct Conversion {
    schema: &'static str,
    /// The machine's name.
    pub name: String,
    /// What converted the guest.
    pub engine: Engine,
    /// Why virt-v2v did not, where it was asked first or is not installed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fallback: Option<String>,
    /// What the guest's files, verdicts and changes were; absent if the disks could not be opened.
    pub fixups: Option<Report>,
    /// Why the fixups did not run at all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fixups_error: Option<String>,
    /// What was compared with the appliance's manifest; absent if there is none, or it was not wanted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verification: Option<Verification>,
    /// What virt-v2v did; absent if it did not convert.
    pub v2v: Option<refit_v2v::Outcome>,
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
    /// virt-v2v's whole output; absent if it was not run.
    pub log: Option<PathBuf>,
    /// What takes the fixups back; absent if they changed nothing.
    pub undo: Option<PathBuf>,
    /// The OVF environment; absent if the source has no properties.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub environment: Option<EnvironmentFiles>,
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

/// What an engine makes in the staging directory.
#[derive(Debug)]
struct Made {
    engine: Engine,
    disks: Vec<PathBuf>,
    machine: Machine,
    /// What the guest is known to have drivers for.
    devices: Option<Devices>,
    fixups: Option<Report>,
    fixups_error: Option<String>,
    v2v: Option<refit_v2v::Outcome>,
    warnings: Vec<String>,
}

/// Converts.
///
/// # Errors
/// If the output directory is not empty, virt-v2v fails ([`refit_v2v::ConvertError`] tells why), the guest
/// cannot be opened or changed, or the results cannot be written. The source is untouched and nothing is
/// left under a final name.
pub fn convert(
    options: &Options<'_>,
    tools: &Tools,
    settings: &mut Settings<'_>,
    cancel: &CancelToken,
    observer: &mut dyn FnMut(Stage),
) -> anyhow::Result<Conversion> {
    let start = Instant::now();
    let source = hardware::read_source(&options.v2v.input, &options.appliance)?;
    let verified = &mut |source: &mut Source, observer: &mut dyn FnMut(Stage)| {
        let mut notes = Vec::new();
        let skip = options.appliance.skip_verification;
        let found = appliance::verify(&[source], skip, cancel, observer, &mut notes);
        source.notes.extend(notes);
        found
    };
    let how = How {
        options,
        tools,
        cancel,
        among: None,
    };
    convert_source(&how, source, start, verified, settings, observer)
}

/// What a conversion needs to know, beside its source.
struct How<'h> {
    options: &'h Options<'h>,
    tools: &'h Tools,
    cancel: &'h CancelToken,
    /// The results of all machines and its own name among them, if it is one of several.
    among: Option<(&'h Staging, &'h str)>,
}

/// Compares a source with its manifest.
type Verify<'v> =
    dyn FnMut(&mut Source, &mut dyn FnMut(Stage)) -> anyhow::Result<Option<Verification>> + 'v;

/// Converts one machine. It is verified as soon as there is a place for the results.
fn convert_source(
    how: &How<'_>,
    mut source: Source,
    start: Instant,
    verified: &mut Verify<'_>,
    settings: &mut Settings<'_>,
    observer: &mut dyn FnMut(Stage),
) -> anyhow::Result<Conversion> {
    let How {
        options,
        tools,
        cancel,
        among,
    } = *how;
    let input = probed(&options.v2v.input, &settings.disks.image)?;
    if let Some(machine) = &source.machine {
        probe_described(&options.v2v.input, machine, &settings.disks.image)?;
    }
    let staging = match among {
        Some((all, name)) => all.machine(name)?,
        None => Staging::create(&options.out)?,
    };
    let verification = verified(&mut source, observer)?;
    let run = Run {
        options,
        input,
        source,
        verification,
        staging,
        cancel,
    };
    let mut fallback = options.engine.without_asking(tools);
    let mut made = None;
    if options.engine != Choice::Refit && fallback.is_none() {
        match with_v2v::convert(&run, tools, settings, observer) {
            Ok(done) => made = Some(done),
            Err(error) => match error
                .downcast_ref()
                .and_then(|error| options.engine.after(error))
            {
                Some(refused) => fallback = Some(refused),
                None => return Err(run.with_log_kept(error)),
            },
        }
    }
    let mut made = match made {
        Some(made) => made,
        None => {
            if let Some(fallback) = &fallback {
                observer(Stage::Fallback(fallback.clone()));
            }
            own::convert(&run, fallback.as_ref(), settings, observer)?
        }
    };
    if let Some(report) = &made.fixups
        && fixups::runs_on_utc(&run, report)
    {
        made.machine.clock_localtime = false;
    }
    observer(Stage::Package);
    package::publish(run, made, fallback, start)
}

/// One conversion.
struct Run<'r> {
    options: &'r Options<'r>,
    /// The source, the format of a disk settled.
    input: Input,
    source: Source,
    verification: Option<Verification>,
    staging: Staging,
    cancel: &'r CancelToken,
}

impl Run<'_> {
    fn name(&self) -> &str {
        &self.options.v2v.name
    }

    /// A directory for what is needed to read the source; it is gone when the results are published.
    fn scratch(&self) -> anyhow::Result<PathBuf> {
        let scratch = self.staging.path().join(SCRATCH);
        fs::create_dir_all(&scratch).context("making a directory in the output directory")?;
        Ok(scratch)
    }

    /// The source's disks, ready to be read.
    fn disks(
        &self,
        options: &ImageOptions,
        observer: &mut dyn FnMut(Stage),
    ) -> anyhow::Result<Vec<SourceDisk>> {
        let appliance = self.source.appliance.as_ref();
        if appliance.is_some_and(Appliance::is_compressed) {
            observer(Stage::Unpack);
        }
        let reading = Reading {
            options,
            scratch: &self.scratch()?,
            cancel: self.cancel,
        };
        source::disks(&self.input, &self.source, &reading)
    }

    fn format(&self) -> Format {
        match self.options.v2v.output_format {
            OutputFormat::Qcow2 => Format::Qcow2,
            OutputFormat::Raw => Format::Raw,
        }
    }

    /// What virt-v2v said is worth more than a clean directory, unless the user ended it.
    fn with_log_kept(&self, mut error: anyhow::Error) -> anyhow::Error {
        if let Some(failed) = error.downcast_mut::<ConvertError>() {
            failed.log = if self.cancel.is_cancelled() {
                None
            } else {
                self.staging.keep_log(LOG)
            };
        }
        error
    }
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
const SCRATCH: &str = "source";
const LOG: &str = "convert.log";
const REPORT: &str = "report.json";
const UNDO: &str = "undo.json";
