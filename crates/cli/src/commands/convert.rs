//! `refit convert`

mod collection;

use std::fmt::Write as _;
use std::path::Path;

use refit_convert::{Choice, Conversion, Options, Stage};
use refit_engine::{Job, disks};
use refit_v2v::{
    BlockDriver, CancelToken, ConvertError, ConvertOptions, Environment, Event, Input,
    ParseKeyError, Phase, Root, Tools,
};

use super::ova::answers;
use super::{guest, plan, request};
use crate::args::{ConvertArgs, Engine, InputKind, OutputFormat, VirtioBus};
use crate::catalogue::Catalogue;
use crate::interrupt::Interrupt;
use crate::output::{Exit, Output, UsageError};
use crate::progress::Progress;
use crate::render::printable;

pub fn run(args: &ConvertArgs, output: &Output, interrupt: &Interrupt) -> anyhow::Result<Exit> {
    let catalogue = Catalogue::load(&args.fixups.own, interrupt)?;
    let catalogue = catalogue.fixups();
    let selection = request::selection(&args.fixups, &catalogue)?;
    let request = request::request(&args.fixups, &catalogue)?;
    let single = answers::Single::from(&args.properties);
    let (answers, policy) = answers::read(&args.answers, single)?;
    let options = Options {
        engine: match args.engine {
            Engine::Auto => Choice::Auto,
            Engine::VirtV2v => Choice::VirtV2v,
            Engine::Refit => Choice::Refit,
        },
        v2v: v2v_options(args)?,
        out: args.out.clone(),
        appliance: refit_convert::Selection {
            system: args.system.clone(),
            answers,
            policy,
            skip_verification: args.no_verify,
        },
        nics: request.nics.clone(),
        job: Job {
            fixups: &catalogue,
            selection: &selection,
            request: &request,
        },
    };
    let tools = Tools::find(&Environment::current());
    let cancel = CancelToken::default();
    let token = cancel.clone();
    interrupt.on_raise(move || token.cancel());
    let progress = Progress::new();
    let disks = disks::Options {
        image: disks::ImageOptions {
            allow_outside: args.allow_outside,
        },
        ..disks::Options::default()
    };
    let mut shown = |stage| show(&progress, &stage);
    // The disks that are committed to are this run's own: stopping in the middle of it harms nobody.
    if refit_convert::is_collection(&options.v2v.input, &options.appliance)? {
        collection::check(args)?;
        let converted = guest::with_settings(&args.open, disks, false, interrupt, |settings| {
            refit_convert::convert_collection(
                &options, &tools, settings, &cancel, &advise, &mut shown,
            )
        })??;
        progress.finish();
        return collection::end(&converted, &args.input, output, interrupt);
    }
    let conversion = guest::with_settings(&args.open, disks, false, interrupt, |settings| {
        refit_convert::convert(&options, &tools, settings, &cancel, &mut shown)
    })?
    .map_err(advise)?;
    progress.finish();
    output.print(&conversion, || text(&conversion))?;
    Ok(if conversion.needs_attention() {
        Exit::Warnings
    } else {
        Exit::Done
    })
}

fn v2v_options(args: &ConvertArgs) -> anyhow::Result<ConvertOptions> {
    let input = input(args)?;
    let name = match &args.name {
        Some(name) => name.clone(),
        None => default_name(&args.input),
    };
    if name.is_empty() || name.starts_with(['-', '.']) || name.contains(['/', '\0', '\n']) {
        return Err(UsageError(format!("--name: {name:?} cannot be part of a file's name")).into());
    }
    let mut options = ConvertOptions::new(input, args.out.clone(), name);
    options.output_format = match args.output_format {
        OutputFormat::Qcow2 => refit_v2v::OutputFormat::Qcow2,
        OutputFormat::Raw => refit_v2v::OutputFormat::Raw,
    };
    options.settings.keys = args
        .open
        .key
        .iter()
        .map(|key| key.parse())
        .collect::<Result<_, _>>()
        .map_err(|error: ParseKeyError| UsageError(format!("--key: {error}")))?;
    options.settings.block_driver = args.fixups.bus.map(|bus| match bus {
        VirtioBus::VirtioBlk => BlockDriver::VirtioBlk,
        VirtioBus::VirtioScsi => BlockDriver::VirtioScsi,
    });
    if let Some(device) = &args.open.os_device {
        options.settings.root = Root::Device(device.clone());
    }
    Ok(options)
}

/// What virt-v2v's own file names would be: the input's name without its ending.
fn default_name(input: &Path) -> String {
    input
        .file_stem()
        .map(|stem| stem.to_string_lossy().into_owned())
        .unwrap_or_default()
}

fn input(args: &ConvertArgs) -> anyhow::Result<Input> {
    let path = args.input.clone();
    let extension = path
        .extension()
        .map(|extension| extension.to_string_lossy().to_lowercase());
    let kind = args.input_kind.unwrap_or(match extension.as_deref() {
        Some("ova" | "ovf") => InputKind::Ova,
        Some("vmx") => InputKind::Vmx,
        Some("xml") => InputKind::Libvirtxml,
        _ if path.is_dir() => InputKind::Ova,
        _ => InputKind::Disk,
    });
    let answered = answers::any(&args.answers, answers::Single::from(&args.properties));
    if (args.system.is_some() || args.no_verify || answered) && kind != InputKind::Ova {
        let rule = "--system, --no-verify, --configuration, --values and --property are for OVAs";
        return Err(UsageError(rule.to_owned()).into());
    }
    if args.format.is_some() && kind != InputKind::Disk {
        return Err(UsageError("--format is for disk images".to_owned()).into());
    }
    Ok(match kind {
        InputKind::Disk => {
            let format = guest::disk(&path, args.format.as_deref())?.format;
            Input::Disk {
                path,
                format: format.map(|format| format.to_string()),
            }
        }
        InputKind::Ova => Input::Ova(path),
        InputKind::Vmx => Input::Vmx(path),
        InputKind::Libvirtxml => Input::LibvirtXml(path),
    })
}

fn show(progress: &Progress, stage: &Stage) {
    match stage {
        // The copy of each disk is a phase with a bar of its own.
        Stage::V2v(Event::Phase {
            phase: Phase::Copy, ..
        }) => {}
        Stage::V2v(Event::Phase { text, .. }) => progress.phase(text),
        Stage::V2v(Event::Copy {
            disk,
            disks,
            percent,
            bytes,
            total,
        }) => {
            progress.copy(*disk, *disks, *percent, *bytes, *total);
        }
        Stage::V2v(Event::Warning(text)) => progress.note(&format!("warning: {text}")),
        Stage::V2v(Event::Relaunch(text)) => progress.note(text),
        Stage::V2v(Event::Info(text)) => tracing::info!("{}", printable(text)),
        Stage::Copy {
            disk,
            disks,
            percent,
            total,
        } => {
            let bytes = total / 100 * u64::from(*percent);
            progress.copy(*disk, *disks, *percent, Some(bytes), Some(*total));
        }
        Stage::System { id, number, count } => {
            progress.note(&format!("Machine {number} of {count}: {id}"));
        }
        Stage::Verify { done, total } => {
            // What takes no time needs no bar.
            if *total > 64 << 20 {
                let percent = done.saturating_mul(100).checked_div(*total).unwrap_or(100);
                let percent = u8::try_from(percent).unwrap_or(100);
                progress.bytes("Verifying", percent, Some(*done), Some(*total));
            }
        }
        Stage::Unpack => progress.phase("Unpacking disks"),
        Stage::Fallback(why) => progress.note(&format!("{why}")),
        Stage::Fixups(step) => progress.phase(guest::phase(*step)),
        Stage::Package => progress.phase("Describing the machine"),
    }
}

/// Adds what virt-v2v's failure calls for, and where the log is.
fn advise(error: anyhow::Error) -> anyhow::Error {
    let Some(failed) = error.downcast_ref::<ConvertError>() else {
        return error;
    };
    let mut message = format!("{error:#}");
    // virt-v2v ends some of its messages with a full stop.
    message.truncate(message.trim_end_matches('.').len());
    let _ = write!(message, ". {}", failed.advice());
    if let Some(log) = &failed.log {
        let _ = write!(message, " Log: {}", log.display());
    }
    anyhow::Error::msg(message)
}

fn text(conversion: &Conversion) -> String {
    let mut text = conversion
        .fixups
        .as_ref()
        .map(plan::text)
        .unwrap_or_default();
    if let Some(error) = &conversion.fixups_error {
        let error = printable(error);
        let _ = writeln!(text, "warning: no fixups were applied: {error}");
    }
    for warning in &conversion.warnings {
        let _ = writeln!(text, "warning: {}", printable(warning));
    }
    for note in &conversion.notes {
        let _ = writeln!(text, "note: {}", printable(note));
    }
    let files = &conversion.files;
    let _ = writeln!(
        text,
        "Converted {} by {} in {:.0} s:",
        printable(&conversion.name),
        conversion.engine,
        conversion.seconds
    );
    let others = [&files.libvirt, &files.kubevirt, &files.report];
    let environment = files.environment.iter();
    let environment = environment.flat_map(|one| std::iter::once(&one.iso).chain(&one.secret));
    let optional = files.log.iter().chain(&files.undo).chain(environment);
    for path in files.disks.iter().chain(others).chain(optional) {
        let _ = writeln!(text, "  {}", printable(&path.display().to_string()));
    }
    text
}
