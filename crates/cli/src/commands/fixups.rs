//! `refit fixups`

use std::fmt::Write as _;

use super::request;
use crate::output::{Exit, Output};

pub fn list(output: &Output) -> anyhow::Result<Exit> {
    let catalogue = refit_fixups::all();
    let infos: Vec<_> = catalogue.iter().map(|fixup| fixup.info()).collect();
    output.print(&infos, || {
        let width = infos
            .iter()
            .map(|info| info.id.len())
            .max()
            .unwrap_or_default();
        infos.iter().fold(String::new(), |mut text, info| {
            let _ = writeln!(text, "{:width$}  {}", info.id, info.summary);
            text
        })
    })?;
    Ok(Exit::Done)
}

pub fn show(id: &str, output: &Output) -> anyhow::Result<Exit> {
    let info = request::find(id, &refit_fixups::all())?.info();
    output.print(info, || {
        let mut text =
            format!("{}: {}\nphase: {:?}\n", info.id, info.summary, info.phase).to_lowercase();
        for (name, parameter) in &info.parameters {
            let default = parameter
                .default
                .as_ref()
                .map(|value| format!(", default {value}"))
                .unwrap_or_default();
            let _ = writeln!(
                text,
                "--set {id}.{name}=... ({:?}{default})\n    {}",
                parameter.r#type, parameter.doc
            );
        }
        text
    })?;
    Ok(Exit::Done)
}
