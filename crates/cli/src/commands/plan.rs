//! `refit plan`

use refit_engine::{Job, Report, target};

use super::{guest, request};
use crate::args::{FixupArgs, GuestArgs, PlanArgs};
use crate::catalogue::Catalogue;
use crate::interrupt::Interrupt;
use crate::output::{Exit, Output};
use crate::render;

pub fn run(args: &PlanArgs, output: &Output, interrupt: &Interrupt) -> anyhow::Result<Exit> {
    let report = plan(&args.guest, &args.fixups, interrupt)?;
    output.print(&report, || text(&report))?;
    Ok(exit(&report))
}

/// What `fix --dry-run` does, too.
pub fn plan(
    guest_args: &GuestArgs,
    fixup_args: &FixupArgs,
    interrupt: &Interrupt,
) -> anyhow::Result<Report> {
    let catalogue = Catalogue::load(&fixup_args.own, interrupt)?;
    let catalogue = catalogue.fixups();
    let selection = request::selection(fixup_args, &catalogue)?;
    let request = request::request(fixup_args, &catalogue)?;
    let job = Job {
        fixups: &catalogue,
        selection: &selection,
        request: &request,
    };
    let target = guest::target(guest_args)?;
    let disks = guest::disk_options(guest_args);
    guest::with_settings(&guest_args.open, disks, false, interrupt, |settings| {
        target::plan(&target, settings, job)
    })?
}

/// The report for people.
pub fn text(report: &Report) -> String {
    let mut text = render::headline(&report.guest);
    for planned in &report.fixups {
        text.push_str(&render::planned(planned));
    }
    text
}

/// 3 if somebody should look at a verdict.
pub fn exit(report: &Report) -> Exit {
    if report.needs_attention() {
        Exit::Warnings
    } else {
        Exit::Done
    }
}
