//! `refit fix`

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use refit_engine::{Job, target};

use super::{guest, plan, request};
use crate::args::FixArgs;
use crate::catalogue::Catalogue;
use crate::interrupt::Interrupt;
use crate::output::{Exit, Output};

pub fn run(args: &FixArgs, output: &Output, interrupt: &Interrupt) -> anyhow::Result<Exit> {
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
        let target = guest::target(&args.guest)?;
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
    if let Some(path) = &args.report {
        let json = serde_json::to_vec_pretty(&report)?;
        fs::write(path, json).with_context(|| format!("writing the report {}", path.display()))?;
    }
    output.print(&report, || {
        let mut text = plan::text(&report);
        if let Some(undo) = &report.undo {
            text.push_str(&format!(
                "Applied and checked. To take it back: refit undo {} ...\n",
                undo.display()
            ));
        } else if report.applied {
            text.push_str("Nothing to change.\n");
        }
        text
    })?;
    Ok(plan::exit(&report))
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
