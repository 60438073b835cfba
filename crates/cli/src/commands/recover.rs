//! `refit recover`

use std::fmt::Write as _;

use refit_engine::disks;

use crate::args::RecoverArgs;
use crate::output::{Exit, Output};

pub fn run(args: &RecoverArgs, output: &Output) -> anyhow::Result<Exit> {
    let options = disks::Options {
        state_dir: args.state_dir.clone(),
        image: disks::ImageOptions {
            allow_outside: args.allow_outside,
        },
    };
    let recovered = disks::recover(&args.disks, &options)?;
    let document = serde_json::json!({
        "schema": "refit/recover/v1",
        "finished": recovered.finished,
        "abandoned": recovered.abandoned,
        "clean": recovered.clean,
    });
    output.print(&document, || {
        let mut text = String::new();
        for (disks, what) in [
            (&recovered.finished, "finished: it has all the changes now"),
            (&recovered.abandoned, "abandoned: it is as it was before"),
            (&recovered.clean, "nothing was pending"),
        ] {
            for disk in disks {
                let _ = writeln!(text, "{}: {what}", disk.display());
            }
        }
        text
    })?;
    Ok(Exit::Done)
}
