//! Clocks that only the old hypervisor has.
//!
//! `README.md` beside this file says what is looked at, what is written, and where it ends.

mod chrony;
mod kernel;

use std::sync::LazyLock;

use refit_engine::{Change, Evidence, Fixup, Guest, Info, Os, Proposal, Request, Verdict};

/// The fixup `clock`.
#[derive(Debug)]
pub struct Clock;

/// What the parts found.
#[derive(Debug, Default)]
struct Found {
    changes: Vec<Change>,
    reasons: Vec<String>,
    warnings: Vec<String>,
    evidence: Vec<Evidence>,
}

impl Fixup for Clock {
    fn info(&self) -> &Info {
        #[expect(clippy::expect_used, reason = "part of the program; a test reads it")]
        static INFO: LazyLock<Info> = LazyLock::new(|| {
            toml::from_str(include_str!("fixup.toml")).expect("clock/fixup.toml is valid")
        });
        &INFO
    }

    fn plan(&self, guest: &Guest<'_>, _request: &Request) -> anyhow::Result<Proposal> {
        if guest.facts().os != Some(Os::Linux) {
            let reason = "the guest is no Linux".to_owned();
            return Ok(Verdict::NotApplicable { reason }.into());
        }
        let mut found = Found::default();
        kernel::plan(guest, &mut found)?;
        chrony::plan(guest, &mut found)?;
        let verdict = if found.changes.is_empty() {
            Verdict::Fine {
                reason: "no clock is asked for that only another hypervisor has".to_owned(),
            }
        } else {
            Verdict::Change {
                reason: found.reasons.join("; "),
                changes: found.changes,
            }
        };
        Ok(Proposal {
            verdict,
            evidence: found.evidence,
            warnings: found.warnings,
        })
    }
}
