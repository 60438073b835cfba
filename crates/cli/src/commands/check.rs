//! `refit fixups check`

use std::fmt::Write as _;

use refit_cases::{Appliance, Golden};
use refit_plugins::check::{self, Checked, Outcome};

use super::guest;
use crate::args::CheckArgs;
use crate::catalogue;
use crate::interrupt::Interrupt;
use crate::output::{Exit, Output, UsageError};
use crate::progress::Progress;
use crate::render::{BOLD, ERROR, RESET, WARNING, printable};

pub fn run(args: &CheckArgs, output: &Output, interrupt: &Interrupt) -> anyhow::Result<Exit> {
    if !args.dir.is_dir() {
        return Err(UsageError(format!("{} is no directory", args.dir.display())).into());
    }
    let golden = if args.bless {
        Golden::Bless
    } else {
        Golden::Compare
    };
    let progress = Progress::new();
    progress.phase("Checking the fixups");
    let mut appliance = Appliance {
        force_tcg: &|| guest::force_tcg(args.accel),
        on_handle: &mut |handle| {
            interrupt.on_raise(move || {
                handle.stop();
            });
        },
    };
    let checked = check::check(
        &args.dir,
        &catalogue::built_in_ids(),
        golden,
        &mut appliance,
        &catalogue::stop(interrupt),
    );
    progress.finish();
    anyhow::ensure!(!interrupt.is_raised(), "interrupted");
    output.print(&checked, || text(&checked))?;
    Ok(if checked.failed() {
        Exit::Failed
    } else if checked.skipped() {
        Exit::Warnings
    } else {
        Exit::Done
    })
}

fn text(checked: &Checked) -> String {
    let mut text = String::new();
    for fixup in &checked.fixups {
        let has = |outcome| fixup.cases.iter().any(|case| case.outcome == outcome);
        let state = if has(Outcome::Failed) {
            "cases failed"
        } else if has(Outcome::Skipped) {
            "cases were skipped"
        } else {
            "ok"
        };
        let _ = writeln!(text, "{BOLD}{}{RESET} ({}): {state}", fixup.id, fixup.kind);
        if fixup.cases.is_empty() {
            let _ = writeln!(
                text,
                "  no cases: make {}/cases/NAME/guest/ with the files of a guest, then --bless",
                fixup.folder.display()
            );
        }
        for case in &fixup.cases {
            let (word, style) = match case.outcome {
                Outcome::Passed => ("passed", BOLD),
                Outcome::Failed => ("FAILED", ERROR),
                Outcome::Skipped => ("SKIPPED", WARNING),
            };
            let _ = writeln!(text, "  {style}{word}{RESET} {}", printable(&case.name));
            for line in printable(&case.message).lines() {
                let _ = writeln!(text, "    {line}");
            }
        }
    }
    for problem in &checked.problems {
        let _ = writeln!(
            text,
            "{ERROR}error:{RESET} {}",
            printable(&problem.to_string())
        );
    }
    if checked.fixups.is_empty() && checked.problems.is_empty() {
        text.push_str("there are no fixups: each is a folder with a fixup.toml\n");
    }
    text
}
