//! What one concern of the fixup says.

use refit_engine::{Change, Evidence, Proposal, Verdict};

/// The findings of one concern; several together make the verdict.
#[derive(Debug, Default)]
pub(super) struct Part {
    /// What is to be done.
    pub(super) changes: Vec<Change>,
    /// Why.
    pub(super) reasons: Vec<String>,
    /// What is right already.
    pub(super) fine: Vec<String>,
    /// What is wrong and stays so, with what the user can do.
    pub(super) problems: Vec<String>,
    /// What is left alone although it may matter.
    pub(super) warnings: Vec<String>,
    /// What it is concluded from.
    pub(super) evidence: Vec<Evidence>,
}

impl Part {
    /// Whether it does not come out right, and nothing can be done.
    pub(super) fn is_blocked(&self) -> bool {
        self.changes.is_empty() && self.fine.is_empty() && !self.problems.is_empty()
    }

    /// Takes in what another concern says.
    fn append(&mut self, mut other: Self) {
        self.changes.append(&mut other.changes);
        self.reasons.append(&mut other.reasons);
        self.fine.append(&mut other.fine);
        self.problems.append(&mut other.problems);
        self.warnings.append(&mut other.warnings);
        self.evidence.append(&mut other.evidence);
    }
}

/// The verdict of all parts: *change* if there is anything to do, else *blocked* if one part is.
pub(super) fn proposal(parts: impl IntoIterator<Item = Part>) -> Proposal {
    let mut all = Part::default();
    let mut blocked = false;
    for part in parts {
        blocked |= part.is_blocked();
        all.append(part);
    }
    let verdict = if !all.changes.is_empty() {
        if all.reasons.is_empty() {
            let why = "the guest's next rebuild of its initramfs would drop the drivers";
            all.reasons.push(why.to_owned());
        }
        all.warnings.append(&mut all.problems);
        Verdict::Change {
            reason: all.reasons.join("; "),
            changes: all.changes,
        }
    } else if blocked {
        Verdict::Blocked {
            reason: all.problems.join("; "),
        }
    } else {
        all.warnings.append(&mut all.problems);
        Verdict::Fine {
            reason: all.fine.join("; "),
        }
    };
    Proposal {
        verdict,
        evidence: all.evidence,
        warnings: all.warnings,
    }
}
