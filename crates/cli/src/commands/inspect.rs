//! `refit inspect`

use refit_engine::target;
use serde_json::json;

use super::guest;
use crate::args::InspectArgs;
use crate::interrupt::Interrupt;
use crate::output::{Exit, Output};
use crate::render;

pub fn run(args: &InspectArgs, output: &Output, interrupt: &Interrupt) -> anyhow::Result<Exit> {
    let target = guest::target(&args.guest)?;
    let disks = guest::disk_options(&args.guest);
    let facts = guest::with_settings(&args.guest.open, disks, false, interrupt, |settings| {
        target::inspect(&target, settings)
    })??;
    output.print(
        &json!({"schema": "refit/inspect/v1", "guest": facts}),
        || render::facts(&facts),
    )?;
    Ok(Exit::Done)
}
