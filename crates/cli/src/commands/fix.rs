//! `refit fix`

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use refit_convert::PrivateFile;
use refit_engine::target::{self, Failure};
use refit_engine::{Job, Report};

use super::{guest, plan, request};
use crate::args::FixArgs;
use crate::catalogue::Catalogue;
use crate::interrupt::Interrupt;
use crate::output::{Exit, Output};

pub fn run(args: &FixArgs, output: &Output, interrupt: &Interrupt) -> anyhow::Result<Exit> {
    // After the fix it would be too late to find that it cannot be written.
    let file = args.report.as_deref().map(PrivateFile::create);
    let file = file.transpose().context("--report")?;
    let target = guest::target(&args.guest)?;
    let report = if args.dry_run {
        plan::plan(&args.guest, &args.fixups, interrupt)?
    } else {
        let catalogue = Catalogue::load(&args.fixups.own, interrupt)?;
        let catalogue = catalogue.fixups();
        let selection = request::selection(&args.fixups, &catalogue)?;
        let request = request::request(&args.fixups, &catalogue)?;
        let job = Job {
            fixups: &catalogue,
            selection: &selection,
            request: &request,
        };
        let undo = undo_path(args)?;
        let disks = guest::disk_options(&args.guest);
        guest::with_settings(
            &args.guest.open,
            disks,
            args.in_place,
            interrupt,
            |settings| target::fix(&target, settings, job, &undo),
        )??
        .report
    };
    let back = report.undo.as_ref().map(|undo| target.undo_command(undo));
    tell(&report, back.as_deref(), file, output).map_err(|error| match back {
        Some(back) => anyhow::Error::from(Failure {
            error: error.context(format!("the guest was changed; `{back}` takes it back")),
            changed: true,
        }),
        None => error,
    })?;
    Ok(plan::exit(&report))
}

/// Tells what was done. `back` is the command that takes it back.
fn tell(
    report: &Report,
    back: Option<&str>,
    file: Option<PrivateFile>,
    output: &Output,
) -> anyhow::Result<()> {
    if let Some(file) = file {
        file.finish(&serde_json::to_vec_pretty(report)?)
            .context("--report")?;
    }
    output.print(report, || {
        let mut text = plan::text(report);
        if let Some(back) = back {
            let _ = writeln!(text, "Applied and checked. To take it back: {back}");
        } else if report.applied {
            text.push_str("Nothing to change.\n");
        }
        text
    })
}

/// A new name beside the first disk, told apart by the time.
fn undo_path(args: &FixArgs) -> anyhow::Result<PathBuf> {
    let subject: &Path = args
        .guest
        .root
        .as_deref()
        .or(args.guest.disks.first().map(PathBuf::as_path))
        .unwrap_or(Path::new("guest"));
    let name = subject.file_name().map_or_else(
        || "guest".into(),
        |name| name.to_string_lossy().into_owned(),
    );
    let dir = match &args.undo_dir {
        Some(dir) => {
            fs::create_dir_all(dir)
                .with_context(|| format!("creating --undo-dir {}", dir.display()))?;
            dir.clone()
        }
        None if args.guest.root.is_some() => PathBuf::from("."),
        None => subject.parent().map(Path::to_owned).unwrap_or_default(),
    };
    let seconds = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs();
    Ok((0..)
        .map(|count| match count {
            0 => dir.join(format!("{name}.{seconds}.undo.json")),
            count => dir.join(format!("{name}.{seconds}-{count}.undo.json")),
        })
        .find(|path| path.symlink_metadata().is_err())
        .unwrap_or_default())
}
