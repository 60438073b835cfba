//! Running a program of the guest to see what it would change.
//!
//! A package manager knows better than any other program what removing a package means. So it is
//! run, but on a copy-on-write view of the guest that is thrown away; what it wrote there comes
//! back as [`Change`]s, which are shown, applied, checked and undone like all others.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::change::Change;
use crate::guest::Guest;

/// A program of the guest, and how it is to be run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GuestCommand {
    /// The program and its arguments. A name without a slash is looked for in the usual
    /// directories of programs.
    pub argv: Vec<String>,
    /// What it reads from its standard input.
    pub stdin: Vec<u8>,
    /// Variables beside the few that every program gets.
    pub env: BTreeMap<String, String>,
    /// It is killed, with all that it started, when it has run for this long.
    pub timeout: Duration,
}

/// What a program did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rehearsal {
    /// All that it changed in the guest's file systems, in an order in which it can be staged.
    pub changes: Vec<Change>,
    /// Its exit status; 128 and the number of the signal that ended it.
    pub status: i32,
    /// What it wrote to standard output and standard error: the first 64 KiB. Not trusted text.
    pub output: String,
}

/// Why there is no [`Rehearsal`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RehearseError {
    /// Programs of this guest cannot be run here at all; asking again is pointless.
    #[error("the guest's programs cannot be run here: {reason}")]
    Unavailable {
        /// Why.
        reason: String,
    },
    /// This one could not be run to its end, or did what no change expresses.
    #[error("{0:#}")]
    Failed(#[from] anyhow::Error),
}

impl Guest<'_> {
    /// Runs a program of the guest, as root, on a throw-away view of the guest as the plan so far
    /// leaves it. The guest itself is not touched.
    ///
    /// A status other than 0 is no error: the caller knows what it means.
    ///
    /// # Errors
    /// [`RehearseError::Unavailable`] for a guest that is a directory of this host, whose programs
    /// are never run; [`RehearseError::Failed`] for a program that takes too long.
    pub fn rehearse(&self, command: &GuestCommand) -> Result<Rehearsal, RehearseError> {
        let _ = command;
        Err(RehearseError::Unavailable {
            reason: "it is not opened in the appliance".to_owned(),
        })
    }
}
