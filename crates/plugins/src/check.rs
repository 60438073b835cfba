//! `refit fixups check`: whether fixups can be used, and do what their golden cases say.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use refit_cases::{Appliance, Case, Golden, NotRun};
use serde::Serialize;

use crate::fixup::UserFixup;
use crate::load::{Stop, load};
use crate::problem::Problem;

/// The result.
#[derive(Debug, Serialize)]
pub struct Checked {
    schema: &'static str,
    /// The fixups that can be used, with their cases.
    pub fixups: Vec<CheckedFixup>,
    /// What is wrong with the others.
    pub problems: Vec<Problem>,
}

/// A fixup that can be used.
#[derive(Debug, Serialize)]
pub struct CheckedFixup {
    /// Its identifier.
    pub id: String,
    /// What it does.
    pub kind: &'static str,
    /// Its folder.
    pub folder: PathBuf,
    /// Its golden cases.
    pub cases: Vec<CheckedCase>,
}

/// A golden case.
#[derive(Debug, Serialize)]
pub struct CheckedCase {
    /// Name of its folder.
    pub name: String,
    /// How it ended.
    pub outcome: Outcome,
    /// What failed or why it was skipped, and what to do; empty if it passed.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub message: String,
}

/// How a case ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// As `changes.json` says; planned again, nothing; undone, as before.
    Passed,
    /// Not so.
    Failed,
    /// It could not be run here.
    Skipped,
}

impl Checked {
    /// Whether anything is wrong.
    #[must_use]
    pub fn failed(&self) -> bool {
        !self.problems.is_empty() || self.any(Outcome::Failed)
    }

    /// Whether a case was skipped.
    #[must_use]
    pub fn skipped(&self) -> bool {
        self.any(Outcome::Skipped)
    }

    fn any(&self, outcome: Outcome) -> bool {
        let mut cases = self.fixups.iter().flat_map(|fixup| &fixup.cases);
        cases.any(|case| case.outcome == outcome)
    }
}

/// Loads the fixups in `dir` and runs their cases. `taken` holds the ids of the built-in ones. What
/// runs programs of a guest is run on disks in the appliance, which is started once for all such
/// cases, and only if there are any.
#[must_use]
pub fn check(
    dir: &Path,
    taken: &BTreeSet<String>,
    golden: Golden,
    appliance: &mut Appliance<'_>,
    stop: &Stop,
) -> Checked {
    let loaded = load(dir, &mut taken.clone(), stop);
    let mut fixups: Vec<CheckedFixup> = Vec::new();
    let mut on_disks: Vec<(usize, usize, &UserFixup, Case)> = Vec::new();
    for fixup in &loaded.fixups {
        let mut checked = CheckedFixup {
            id: fixup.info.id.clone(),
            kind: fixup.kind(),
            folder: fixup.folder.clone(),
            cases: Vec::new(),
        };
        let folders = refit_cases::find(&fixup.folder);
        for folder in folders.as_deref().unwrap_or_default() {
            let name = folder.file_name().unwrap_or_default().to_string_lossy();
            let result = match Case::read(folder) {
                Ok(case) if fixup.runs_in_guest() => {
                    on_disks.push((fixups.len(), checked.cases.len(), fixup, case));
                    Ok(())
                }
                Ok(case) => case.on_directory(fixup, golden),
                Err(error) => Err(error),
            };
            checked.cases.push(CheckedCase::new(&name, result));
        }
        if let Err(error) = folders {
            checked.cases.push(CheckedCase::new("cases", Err(error)));
        }
        fixups.push(checked);
    }
    if !on_disks.is_empty() {
        let cases: Vec<_> = on_disks
            .iter()
            .map(|(_, _, fixup, case)| (*fixup as &dyn refit_engine::Fixup, case))
            .collect();
        let results = refit_cases::on_disks(&cases, golden, appliance);
        let mut results = results.map(Vec::into_iter);
        for (fixup, case, _, _) in &on_disks {
            let case = &mut fixups[*fixup].cases[*case];
            match &mut results {
                Ok(results) => {
                    if let Some(result) = results.next() {
                        *case = CheckedCase::new(&case.name, result);
                    }
                }
                Err(error) => {
                    case.outcome = Outcome::Skipped;
                    case.message =
                        format!("it runs in a guest, and that is not possible here: {error:#}");
                }
            }
        }
    }
    Checked {
        schema: "refit/fixups-check/v1",
        fixups,
        problems: loaded.problems,
    }
}

impl CheckedCase {
    fn new(name: &str, result: anyhow::Result<()>) -> Self {
        let (outcome, message) = match result {
            Ok(()) => (Outcome::Passed, String::new()),
            Err(error) if error.is::<NotRun>() => (Outcome::Skipped, format!("{error:#}")),
            Err(error) => (Outcome::Failed, format!("{error:#}")),
        };
        Self {
            name: name.to_owned(),
            outcome,
            message,
        }
    }
}
