//! `refit undo`

use std::fmt::Write as _;

use refit_engine::{UndoFile, target};
use serde_json::json;

use super::guest;
use crate::args::UndoArgs;
use crate::interrupt::Interrupt;
use crate::output::{Exit, Output};
use crate::render::printable;

pub fn run(args: &UndoArgs, output: &Output, interrupt: &Interrupt) -> anyhow::Result<Exit> {
    let undo = UndoFile::load(&args.undo)?;
    let target = guest::target(&args.guest)?;
    let disks = guest::disk_options(&args.guest);
    let restored = guest::with_settings(
        &args.guest.open,
        disks,
        args.in_place,
        interrupt,
        |settings| target::undo(&target, settings, &undo, args.force),
    )??;
    output.print(
        &json!({"schema": "refit/undo-report/v1", "result": restored}),
        || {
            let mut text = String::new();
            for path in restored.restored.iter().chain(&restored.overwritten) {
                let _ = writeln!(text, "restored {}", printable(&path.to_string()));
            }
            for path in &restored.unchanged {
                let _ = writeln!(text, "already as before: {}", printable(&path.to_string()));
            }
            text
        },
    )?;
    Ok(Exit::Done)
}
