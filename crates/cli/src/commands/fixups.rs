//! `refit fixups list`, `show` and `schema`

use std::fmt::Write as _;
use std::path::Path;

use refit_engine::Info;
use serde::Serialize;

use super::request;
use crate::args::{OwnFixupsArgs, SchemaOf};
use crate::catalogue::Catalogue;
use crate::interrupt::Interrupt;
use crate::output::{Exit, Output};

/// One fixup of the catalogue.
#[derive(Debug, Serialize)]
struct Listed<'c> {
    #[serde(flatten)]
    info: &'c Info,
    /// `built-in`, or what a user's own fixup is.
    kind: &'static str,
    /// The folder of a user's own fixup.
    #[serde(skip_serializing_if = "Option::is_none")]
    origin: Option<&'c Path>,
}

impl<'c> Listed<'c> {
    fn new(info: &'c Info, catalogue: &'c Catalogue) -> Self {
        let own = catalogue.own(&info.id);
        Self {
            info,
            kind: own.map_or("built-in", |own| own.kind()),
            origin: own.map(|own| own.folder()),
        }
    }

    fn origin(&self) -> String {
        self.origin
            .map(|folder| format!(" ({}, {})", self.kind, folder.display()))
            .unwrap_or_default()
    }
}

pub fn list(own: &OwnFixupsArgs, output: &Output, interrupt: &Interrupt) -> anyhow::Result<Exit> {
    let catalogue = Catalogue::load(own, interrupt)?;
    let fixups = catalogue.fixups();
    let listed: Vec<Listed<'_>> = fixups
        .iter()
        .map(|fixup| Listed::new(fixup.info(), &catalogue))
        .collect();
    output.print(&listed, || {
        let width = listed
            .iter()
            .map(|one| one.info.id.len())
            .max()
            .unwrap_or_default();
        listed.iter().fold(String::new(), |mut text, one| {
            let (id, summary) = (&one.info.id, &one.info.summary);
            let _ = writeln!(text, "{id:width$}  {summary}{}", one.origin());
            text
        })
    })?;
    Ok(Exit::Done)
}

pub fn show(
    id: &str,
    own: &OwnFixupsArgs,
    output: &Output,
    interrupt: &Interrupt,
) -> anyhow::Result<Exit> {
    let catalogue = Catalogue::load(own, interrupt)?;
    let info = request::find(id, &catalogue.fixups())?.info();
    let listed = Listed::new(info, &catalogue);
    output.print(&listed, || {
        let phase = format!("{:?}", info.phase).to_lowercase();
        let mut text = format!(
            "{}: {}{}\nphase: {phase}\n",
            info.id,
            info.summary,
            listed.origin()
        );
        for (name, parameter) in &info.parameters {
            let default = parameter
                .default
                .as_ref()
                .map(|value| format!(", default {value}"))
                .unwrap_or_default();
            let _ = writeln!(
                text,
                "--set {id}.{name}=... ({}{default})\n    {}",
                parameter.r#type, parameter.doc
            );
        }
        text
    })?;
    Ok(Exit::Done)
}

/// The schema is a document of its own, with or without `--json`.
pub fn schema(of: SchemaOf, output: &Output) -> anyhow::Result<Exit> {
    let schema = match of {
        SchemaOf::Toml => refit_plugins::fixup_toml_schema(),
        SchemaOf::Protocol => refit_plugins::protocol_schema(),
    };
    let text = serde_json::to_string_pretty(&schema)?;
    output.print(&schema, || text + "\n")?;
    Ok(Exit::Done)
}
