//! All verdicts on a guest, in order.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};

use refit_hive::Value;
use refit_machine::Devices;
use serde::Serialize;

use crate::change::Change;
use crate::fixup::{Evidence, Fixup, Proposal, Request, Verdict};
use crate::guest::Guest;
use crate::path::GuestPath;

/// Which of the fixups take part.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    /// Only these, if any are named.
    pub only: BTreeSet<String>,
    /// Not these.
    pub skip: BTreeSet<String>,
}

impl Selection {
    fn admits(&self, id: &str) -> bool {
        (self.only.is_empty() || self.only.contains(id)) && !self.skip.contains(id)
    }
}

/// One fixup's part of a plan, in the form of design section 5.2.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Planned {
    /// The fixup.
    pub id: String,
    /// What it says.
    pub verdict: VerdictKind,
    /// Why.
    pub reason: String,
    /// What it concludes from.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<Evidence>,
    /// What it left alone although it may matter.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// What is to be done.
    pub changes: Vec<Change>,
    /// What the files that are to be written held before, for a diff.
    #[serde(skip)]
    pub originals: BTreeMap<GuestPath, Vec<u8>>,
    /// What the registry held before where it is to change, by the change's place in `changes`.
    #[serde(skip)]
    pub held: BTreeMap<usize, Held>,
}

/// What the registry holds in one place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Held {
    /// A value.
    Value(Value),
    /// A key, and how much is in it and below.
    Key {
        /// Keys below it.
        keys: usize,
        /// Values in it and in these.
        values: usize,
    },
}

/// The word for a verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum VerdictKind {
    /// Something must change.
    Change,
    /// Already right.
    Fine,
    /// Nothing to do with this guest.
    NotApplicable,
    /// It would matter, but cannot be done.
    Blocked,
    /// The fixup itself failed.
    Failed,
}

impl Planned {
    fn new(id: &str, proposal: Proposal) -> Self {
        let (verdict, reason, changes) = match proposal.verdict {
            Verdict::Change { reason, changes } => (VerdictKind::Change, reason, changes),
            Verdict::Fine { reason } => (VerdictKind::Fine, reason, Vec::new()),
            Verdict::NotApplicable { reason } => (VerdictKind::NotApplicable, reason, Vec::new()),
            Verdict::Blocked { reason } => (VerdictKind::Blocked, reason, Vec::new()),
        };
        Self {
            id: id.to_owned(),
            verdict,
            reason,
            evidence: proposal.evidence,
            warnings: proposal.warnings,
            changes,
            originals: BTreeMap::new(),
            held: BTreeMap::new(),
        }
    }

    /// What is said of a fixup that failed.
    #[must_use]
    pub fn failed(id: &str, reason: String) -> Self {
        Self {
            id: id.to_owned(),
            verdict: VerdictKind::Failed,
            reason,
            evidence: Vec::new(),
            warnings: Vec::new(),
            changes: Vec::new(),
            originals: BTreeMap::new(),
            held: BTreeMap::new(),
        }
    }

    /// Keeps those of the changes that make a difference.
    fn keep(&mut self, differ: &[bool]) {
        if differ.iter().all(|&differs| differs) {
            return;
        }
        let mut held = std::mem::take(&mut self.held);
        let changes = std::mem::take(&mut self.changes);
        for (index, (change, _)) in changes
            .into_iter()
            .zip(differ)
            .enumerate()
            .filter(|(_, (_, differs))| **differs)
        {
            self.held
                .extend(held.remove(&index).map(|held| (self.changes.len(), held)));
            self.changes.push(change);
        }
        if self.changes.is_empty() {
            self.verdict = VerdictKind::Fine;
            self.reason = format!("the registry says so already: {}", self.reason);
        }
    }

    /// Whether somebody should look at this: it failed, is blocked, or left something alone.
    #[must_use]
    pub fn needs_attention(&self) -> bool {
        matches!(self.verdict, VerdictKind::Failed | VerdictKind::Blocked)
            || !self.warnings.is_empty()
    }
}

/// Asks each selected fixup in phase order. Each sees the guest as the ones before it will leave
/// it; afterwards `guest` shows the result of the whole plan. One that fails, panics, or proposes
/// what cannot be done gets the verdict *failed*, and the others go on.
pub fn plan(
    guest: &mut Guest<'_>,
    fixups: &[&dyn Fixup],
    selection: &Selection,
    request: &Request,
) -> Vec<Planned> {
    let mut selected: Vec<&dyn Fixup> = fixups
        .iter()
        .copied()
        .filter(|fixup| selection.admits(&fixup.info().id))
        .collect();
    selected.sort_by_key(|fixup| fixup.info().phase);
    selected
        .into_iter()
        .map(|fixup| plan_one(guest, fixup, request))
        .collect()
}

fn plan_one(guest: &mut Guest<'_>, fixup: &dyn Fixup, request: &Request) -> Planned {
    let id = &fixup.info().id;
    let _span = tracing::info_span!("plan", fixup = %id).entered();
    let answer = catch_unwind(AssertUnwindSafe(|| fixup.plan(guest, request)));
    let mut planned = match answer {
        Ok(Ok(proposal)) => Planned::new(id, proposal),
        Ok(Err(error)) => Planned::failed(id, format!("{error:#}")),
        Err(panic) => Planned::failed(id, format!("the fixup crashed: {}", panic_text(&*panic))),
    };
    for change in &planned.changes {
        if let Change::Write { path, .. } = change {
            // A file that cannot be read is a new one, or staging says what is wrong with it.
            if let Ok(Some(content)) = guest.read(path) {
                planned.originals.insert(path.clone(), content);
            }
        }
    }
    for (index, change) in planned.changes.iter().enumerate() {
        planned
            .held
            .extend(held(guest, change).map(|held| (index, held)));
    }
    match guest.stage_each(&planned.changes) {
        Ok(differ) => {
            planned.keep(&differ);
            planned
        }
        Err(error) => Planned::failed(id, format!("it proposes what cannot be done: {error:#}")),
    }
}

/// What the registry holds where `change` would change it. A hive that cannot be read is left to staging,
/// which says what is wrong with it.
fn held(guest: &Guest<'_>, change: &Change) -> Option<Held> {
    let (hive, key) = change.key()?;
    let hive = guest.hive(hive).ok()??;
    let found = hive.key(key)?;
    match change.value_name() {
        Some(name) => found.value(name).map(Held::Value),
        None => {
            let (mut keys, mut values) = (0, 0);
            let mut pending = vec![found];
            while let Some(key) = pending.pop() {
                values += key.values().count();
                pending.extend(key.subkeys().inspect(|_| keys += 1));
            }
            Some(Held::Key { keys, values })
        }
    }
}

/// The devices that the first fixup with a say asks for, of the whole catalogue: a fixup that was not
/// selected still knows what the guest lacks. A fixup that cannot tell has no say.
pub(crate) fn devices(guest: &Guest<'_>, fixups: &[&dyn Fixup]) -> Option<Devices> {
    fixups.iter().find_map(|fixup| {
        let id = &fixup.info().id;
        match catch_unwind(AssertUnwindSafe(|| fixup.devices(guest))) {
            Ok(Ok(devices)) => devices,
            Ok(Err(error)) => {
                tracing::warn!("{id} cannot tell which devices the guest drives: {error:#}");
                None
            }
            Err(panic) => {
                tracing::warn!("{id} crashed: {}", panic_text(&*panic));
                None
            }
        }
    })
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message")
}
