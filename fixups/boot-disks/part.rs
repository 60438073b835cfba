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
    /// The verdict: *blocked* only if nothing is right and nothing can be done.
    pub(super) fn into_proposal(mut self) -> Proposal {
        let verdict = if !self.changes.is_empty() {
            if self.reasons.is_empty() {
                self.reasons.push(
                    "the guest's next rebuild of its initramfs would drop the drivers".to_owned(),
                );
            }
            self.warnings.append(&mut self.problems);
            Verdict::Change {
                reason: self.reasons.join("; "),
                changes: self.changes,
            }
        } else if self.fine.is_empty() && !self.problems.is_empty() {
            Verdict::Blocked {
                reason: self.problems.join("; "),
            }
        } else {
            self.warnings.append(&mut self.problems);
            Verdict::Fine {
                reason: self.fine.join("; "),
            }
        };
        Proposal {
            verdict,
            evidence: self.evidence,
            warnings: self.warnings,
        }
    }
}
