//! All machines of an appliance in one run: each in a directory of its own, and a report for all.
//!
//! What can be known at once is checked for all of them before the first is converted: answers, hardware, files. From
//! then on one machine's failure costs only itself, for the others may have taken hours.

use std::collections::HashSet;
use std::path::PathBuf;
use std::time::Instant;

use anyhow::Context as _;
use refit_engine::target::Settings;
use refit_ovf::Start;
use refit_v2v::{CancelToken, Input, Tools};
use serde::Serialize;

use crate::output_dir::Staging;
use crate::{
    Conversion, How, Options, PrivateFile, REPORT, Selection, Stage, Verification, appliance,
    convert_source, hardware,
};

/// `report.json` of a collection.
#[derive(Debug, Serialize)]
pub struct Collection {
    schema: &'static str,
    /// What the names of the machines start with.
    pub name: String,
    /// The machines, in the descriptor's order.
    pub systems: Vec<Converted>,
    /// When each is to be started, in this order. Nothing on KVM does that by itself.
    pub start_order: Vec<Start>,
    /// What was compared with the manifest, for all machines at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verification: Option<Verification>,
    /// What somebody may want to know of the appliance as a whole.
    pub notes: Vec<String>,
    /// This report, as an absolute path.
    pub report: PathBuf,
    /// Seconds from start to end.
    pub seconds: f64,
}

/// One machine of a collection.
#[derive(Debug, Serialize)]
pub struct Converted {
    /// `ovf:id`.
    pub id: String,
    /// The machine's name.
    pub name: String,
    /// Its directory, as an absolute path; there is none if it was not converted.
    pub dir: PathBuf,
    /// What became of it.
    pub state: State,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Its own report.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conversion: Option<Conversion>,
}

/// What became of a machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// It is in its directory, complete.
    Converted,
    /// It failed, and nothing was left of it but virt-v2v's log, beside the output directory.
    Failed,
    /// The user ended the run before its turn.
    NotStarted,
}

impl Collection {
    /// Whether every machine was converted.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        let mut systems = self.systems.iter();
        systems.all(|system| system.state == State::Converted)
    }

    /// Whether somebody should look at something.
    #[must_use]
    pub fn needs_attention(&self) -> bool {
        let mut conversions = self
            .systems
            .iter()
            .filter_map(|one| one.conversion.as_ref());
        !self.is_complete() || conversions.any(Conversion::needs_attention)
    }
}

/// Whether the source is an appliance of several machines of which none is chosen.
///
/// # Errors
/// If it cannot be read.
pub fn is_collection(input: &Input, selection: &Selection) -> anyhow::Result<bool> {
    Ok(match input {
        Input::Ova(path) if selection.system.is_none() => appliance::machines(path)?.0.len() > 1,
        _ => false,
    })
}

/// Converts all machines of an appliance, one after the other. The name in `options` is what their names start with.
/// `advise` makes the text of a failure, for the report.
///
/// # Errors
/// As [`crate::convert`], if nothing was converted at all: then nothing is left in the output directory. If at least
/// one machine was converted it stays, and the report says what became of the others.
pub fn convert_collection(
    options: &Options<'_>,
    tools: &Tools,
    settings: &mut Settings<'_>,
    cancel: &CancelToken,
    advise: &dyn Fn(anyhow::Error) -> anyhow::Error,
    observer: &mut dyn FnMut(Stage),
) -> anyhow::Result<Collection> {
    let start = Instant::now();
    let path = options.v2v.input.path();
    let (ids, start_order) = appliance::machines(path)?;
    let selection = |id: &str| Selection {
        system: Some(id.to_owned()),
        ..options.appliance.clone()
    };
    let sources = ids
        .iter()
        .map(|id| {
            hardware::read_source(&options.v2v.input, &selection(id))
                .with_context(|| format!("reading the machine {id:?}"))
        })
        .collect::<anyhow::Result<Vec<_>>>()?;
    let staging = Staging::create(&options.out)?;
    let mut notes = Vec::new();
    let all: Vec<_> = sources.iter().collect();
    let skip = options.appliance.skip_verification;
    let verification = appliance::verify(&all, skip, cancel, observer, &mut notes)?;
    let mut systems = Vec::new();
    let (mut first_error, count) = (None, ids.len());
    let dirs = directories(&ids);
    for (number, ((id, dir), source)) in (1..).zip(ids.iter().zip(&dirs).zip(sources)) {
        let mut converted = Converted {
            id: id.clone(),
            name: format!("{}-{dir}", options.v2v.name),
            dir: staging.final_path(dir),
            state: State::NotStarted,
            error: None,
            conversion: None,
        };
        if !cancel.is_cancelled() {
            observer(Stage::System {
                id: id.clone(),
                number,
                count,
            });
            let mut v2v = options.v2v.clone();
            v2v.name.clone_from(&converted.name);
            let one = Options {
                engine: options.engine,
                v2v,
                out: converted.dir.clone(),
                appliance: selection(id),
                nics: options.nics.clone(),
                job: refit_engine::Job { ..options.job },
            };
            let how = How {
                options: &one,
                tools,
                cancel,
                among: Some((&staging, dir)),
            };
            let verified = &mut |_: &mut _, _: &mut dyn FnMut(Stage)| Ok(verification.clone());
            match convert_source(&how, source, Instant::now(), verified, settings, observer) {
                Ok(conversion) => {
                    converted.state = State::Converted;
                    converted.conversion = Some(conversion);
                }
                Err(error) => {
                    converted.state = State::Failed;
                    let error = advise(error);
                    converted.error = Some(format!("{error:#}"));
                    first_error
                        .get_or_insert(error.context(format!("converting the machine {id:?}")));
                }
            }
        }
        systems.push(converted);
    }
    let is_any = systems.iter().any(|one| one.state == State::Converted);
    if let (Some(error), false) = (first_error, is_any) {
        return Err(error);
    }
    anyhow::ensure!(is_any, "interrupted");
    let collection = Collection {
        schema: "refit/convert-collection/v1",
        name: options.v2v.name.clone(),
        systems,
        start_order,
        verification,
        notes,
        report: staging.final_path(REPORT),
        seconds: (start.elapsed().as_secs_f64() * 10.0).round() / 10.0,
    };
    let json = serde_json::to_vec_pretty(&collection).context("writing the report")?;
    PrivateFile::create(&staging.staged(&collection.report))?.finish(&json)?;
    staging.publish()?;
    Ok(collection)
}

/// Longest name of a machine's directory, in bytes.
const MAX_DIRECTORY: usize = 80;

/// A directory for each machine, named like it as far as names of files and machines allow.
fn directories(ids: &[String]) -> Vec<String> {
    let mut used = HashSet::from([REPORT.to_owned()]);
    let name = |id: &String| {
        let kept: String = id
            .chars()
            .map(|one| match one {
                'a'..='z' | 'A'..='Z' | '0'..='9' | '.' | '_' | '-' => one,
                _ => '-',
            })
            .take(MAX_DIRECTORY)
            .collect();
        match kept.trim_start_matches(['.', '-']) {
            "" => "machine".to_owned(),
            kept => kept.to_owned(),
        }
    };
    ids.iter()
        .map(|id| {
            let name = name(id);
            let free = |candidate: &String| !used.contains(&candidate.to_lowercase());
            let candidates = std::iter::once(name.clone())
                .chain((2_u32..).map(|number| format!("{name}-{number}")));
            let found = candidates.into_iter().find(free).unwrap_or(name);
            used.insert(found.to_lowercase());
            found
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_are_safe_and_differ() {
        let ids = [
            "web",
            "Web",
            "../../etc",
            "a b/c",
            "web-2",
            "report.json",
            "",
            "-rf",
            "ä",
            "...",
        ]
        .map(str::to_owned);
        assert_eq!(
            directories(&ids),
            [
                "web",
                "Web-2",
                "etc",
                "a-b-c",
                "web-2-2",
                "report.json-2",
                "machine",
                "rf",
                "machine-2",
                "machine-3",
            ]
        );
        let long = directories(&["x".repeat(300)]);
        assert_eq!(long[0].len(), MAX_DIRECTORY);
    }
}
