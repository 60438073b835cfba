//! `refit ova spec`

use refit_ovf::spec;
use serde::Serialize;

use super::descriptor;
use crate::args::{SpecArgs, SpecFormat};
use crate::output::{Exit, Output, UsageError};

/// The document of `--json`.
#[derive(Debug, Serialize)]
struct Printed {
    schema: &'static str,
    format: &'static str,
    content: String,
}

pub fn run(args: &SpecArgs, output: &Output) -> anyhow::Result<Exit> {
    let envelope = descriptor::read(&args.file)?;
    let chosen = envelope
        .choose_configuration(args.configuration.as_deref())
        .map_err(|error| UsageError(format!("--configuration: {error}")))?;
    let id = chosen.map(|chosen| chosen.id.as_str());
    let (format, content) = match args.format {
        SpecFormat::Toml => ("toml", spec::toml(&envelope, id)),
        SpecFormat::Govc => ("govc", spec::govc(&envelope, id)),
    };
    let printed = Printed {
        schema: "refit/ova-spec/v1",
        format,
        content,
    };
    output.print(&printed, || printed.content.clone())?;
    Ok(Exit::Done)
}
