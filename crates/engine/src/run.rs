//! The walk that every command takes: inspect, plan, apply, check.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context as _, bail};
use serde::Serialize;

use crate::backend::Backend;
use crate::facts::{Facts, Hints};
use crate::fixup::{Fixup, Request};
use crate::guest::Guest;
use crate::plan::{Planned, Selection, VerdictKind, plan};

/// What to do with a guest.
#[derive(Clone, Copy)]
pub struct Job<'j> {
    /// The catalogue.
    pub fixups: &'j [&'j dyn Fixup],
    /// Which of it.
    pub selection: &'j Selection,
    /// What the user asks for.
    pub request: &'j Request,
}

impl fmt::Debug for Job<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Job")
            .field("selection", self.selection)
            .field("request", self.request)
            .finish_non_exhaustive()
    }
}

/// The document of `plan` and `fix` (design section 5.2).
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// `refit/plan/v1`.
    pub schema: &'static str,
    /// The facts.
    pub guest: Facts,
    /// Every verdict, in order.
    pub fixups: Vec<Planned>,
    /// Whether the changes were made.
    pub applied: bool,
    /// What takes them back; absent if there were none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub undo: Option<PathBuf>,
    /// Whether a second plan on the changed guest was empty; absent if nothing was applied.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checked: Option<bool>,
    /// Seconds per step.
    pub timings: BTreeMap<&'static str, f64>,
}

impl Report {
    fn new(guest: Facts, fixups: Vec<Planned>) -> Self {
        Self {
            schema: "refit/plan/v1",
            guest,
            fixups,
            applied: false,
            undo: None,
            checked: None,
            timings: BTreeMap::new(),
        }
    }

    /// Whether the plan changes the guest.
    #[must_use]
    pub fn has_changes(&self) -> bool {
        self.fixups.iter().any(|fixup| !fixup.changes.is_empty())
    }

    /// Whether somebody should look at a verdict.
    #[must_use]
    pub fn needs_attention(&self) -> bool {
        self.fixups.iter().any(Planned::needs_attention)
    }

    /// Adds the time since `start` under `step` and restarts the clock.
    pub fn time(&mut self, step: &'static str, start: &mut Instant) {
        let now = Instant::now();
        let seconds = (now - *start).as_secs_f64();
        *self.timings.entry(step).or_default() += (seconds * 1000.0).round() / 1000.0;
        *start = now;
    }
}

/// How far [`fix`] has come, for progress.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Reading the guest and asking the fixups.
    Plan,
    /// Writing.
    Apply,
    /// Planning again.
    Check,
}

/// Inspects and plans; writes nothing.
///
/// # Errors
/// If the guest cannot be read.
pub fn plan_guest(backend: &dyn Backend, hints: &Hints, job: Job<'_>) -> anyhow::Result<Report> {
    let mut clock = Instant::now();
    let mut guest = Guest::inspect(backend, hints)?;
    let planned = plan(&mut guest, job.fixups, job.selection, job.request);
    let mut report = Report::new(guest.facts().clone(), planned);
    report.time("plan", &mut clock);
    Ok(report)
}

/// Plans, saves the undo file at `undo`, applies, and plans again: that must find nothing left to
/// do. Without changes nothing is written, no undo file either. Cancelling is up to the backend.
///
/// # Errors
/// [`FixError::written`] tells whether anything had been written to the backend.
pub fn fix(
    backend: &mut dyn Backend,
    hints: &Hints,
    job: Job<'_>,
    undo: &Path,
    progress: &mut dyn FnMut(Step),
) -> Result<Report, FixError> {
    fix_and_look(backend, hints, job, undo, progress, |_| ()).map(|(report, ())| report)
}

/// [`fix`], with a look at the guest as the plan will leave it.
///
/// # Errors
/// As for [`fix`].
pub(crate) fn fix_and_look<T>(
    backend: &mut dyn Backend,
    hints: &Hints,
    job: Job<'_>,
    undo: &Path,
    progress: &mut dyn FnMut(Step),
    look: impl FnOnce(&Guest<'_>) -> T,
) -> Result<(Report, T), FixError> {
    let mut clock = Instant::now();
    progress(Step::Plan);
    let mut guest = Guest::inspect(backend, hints)?;
    let planned = plan(&mut guest, job.fixups, job.selection, job.request);
    let mut report = Report::new(guest.facts().clone(), planned);
    let seen = look(&guest);
    let changing: Vec<String> = report
        .fixups
        .iter()
        .filter(|fixup| !fixup.changes.is_empty())
        .map(|fixup| fixup.id.clone())
        .collect();
    let prepared =
        crate::apply::prepare(guest, backend, changing).context("preparing the changes")?;
    report.time("plan", &mut clock);
    report.applied = true;
    if prepared.is_empty() {
        return Ok((report, seen));
    }

    progress(Step::Apply);
    prepared.undo().save(undo)?;
    report.undo = Some(undo.to_owned());
    let written = |error| FixError {
        error,
        written: true,
    };
    prepared
        .execute(backend)
        .context("writing to the guest")
        .map_err(written)?;
    report.time("apply", &mut clock);

    progress(Step::Check);
    check(backend, hints, job, &report.fixups).map_err(written)?;
    report.checked = Some(true);
    report.time("check", &mut clock);
    Ok((report, seen))
}

/// Plans again on the changed guest; what wanted a change before must be content now.
fn check(
    backend: &dyn Backend,
    hints: &Hints,
    job: Job<'_>,
    first: &[Planned],
) -> anyhow::Result<()> {
    let mut guest = Guest::inspect(backend, hints).context("inspecting the changed guest")?;
    let second = plan(&mut guest, job.fixups, job.selection, job.request);
    let unsettled: Vec<(String, String)> = first
        .iter()
        .zip(&second)
        .filter(|(before, after)| {
            !after.changes.is_empty()
                || (before.verdict == VerdictKind::Change && after.verdict == VerdictKind::Failed)
        })
        .map(|(_, after)| (after.id.clone(), after.reason.clone()))
        .collect();
    if !unsettled.is_empty() {
        bail!(Unsettled(unsettled));
    }
    Ok(())
}

/// Fixups, with their reasons, that want to change the guest again after they have changed it.
#[derive(Debug, thiserror::Error)]
pub struct Unsettled(pub Vec<(String, String)>);

impl fmt::Display for Unsettled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("checking the changed guest: a second plan is not empty: ")?;
        for (index, (id, reason)) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { ", " };
            write!(f, "{separator}{id} ({reason})")?;
        }
        f.write_str(". This is a defect of the fixup; leave it out with --skip")
    }
}

/// A fix that failed.
#[derive(Debug, thiserror::Error)]
#[error("{error:#}")]
pub struct FixError {
    /// What failed.
    pub error: anyhow::Error,
    /// Whether anything had been written to the backend. What that means for the disks depends on
    /// whether the backend works on an overlay.
    pub written: bool,
}

impl From<anyhow::Error> for FixError {
    fn from(error: anyhow::Error) -> Self {
        Self {
            error,
            written: false,
        }
    }
}
