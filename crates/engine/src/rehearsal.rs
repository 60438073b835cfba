//! Running a program of the guest to see what it would change.
//!
//! A package manager knows better than any other program what removing a package means. So it is
//! run, but on a copy-on-write view of the guest that is thrown away; what it wrote there comes
//! back as [`Change`]s, which are shown, applied, checked and undone like all others.

mod effect;

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use anyhow::Context as _;

use crate::backend::Xattrs;
use crate::change::Change;
use crate::facts::Os;
use crate::guest::Guest;
use crate::path::GuestPath;

/// Bytes of output that are kept; more is read and dropped.
pub(crate) const OUTPUT_LIMIT: u64 = 64 * 1024;
/// Bytes that a program may write in all, because they are held in memory: enough for several
/// initramfs images.
pub(crate) const EFFECT_LIMIT: u64 = 512 * 1024 * 1024;
/// Files that a program may touch.
pub(crate) const EFFECT_FILES: u64 = 100_000;

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

/// What a program left in the guest's file systems, as a backend found it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Traces {
    pub(crate) status: i32,
    pub(crate) output: Vec<u8>,
    /// What was touched, by its path, which contains no links.
    pub(crate) nodes: BTreeMap<GuestPath, Trace>,
}

/// What is at a path that was touched: with its content, if it is a file, and all its attributes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Trace {
    pub(crate) node: Node,
    /// Permission bits (`0o7777`).
    pub(crate) mode: u32,
    pub(crate) owner: (u32, u32),
    pub(crate) xattrs: Xattrs,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Node {
    /// Nothing any more.
    Gone,
    File(Rc<Vec<u8>>),
    /// A symbolic link.
    Link(Vec<u8>),
    /// A directory. What was in it before is still there unless it is touched itself; in an opaque
    /// one it is gone.
    Dir {
        opaque: bool,
    },
    /// A device, socket or pipe.
    Other,
}

impl Guest<'_> {
    /// Runs a program of the guest, as root, on a throw-away view of the guest as the plan so far
    /// leaves it. The guest itself is not touched.
    ///
    /// The program gets a minimal environment (`PATH`, `HOME=/root`, `LC_ALL=C`), its own empty
    /// `/run` and `/tmp`, the usual devices but no disk, read-only `/proc` and `/sys`, no network,
    /// and none of the capabilities that mounting, making devices or loading modules takes. No
    /// service manager runs: systemd's tools are told so by `SYSTEMD_OFFLINE=1` and only edit
    /// files. What the program leaves running is killed when it ends.
    ///
    /// All that differs from before in kind, content, permission bits or owner becomes a change,
    /// temporary files and logs included. Other differences do not: times, removed attributes,
    /// owners of symbolic links, new pipes and devices, sockets. A hard link becomes a copy. New
    /// SELinux labels are chosen when the changes are applied, as for all new files.
    ///
    /// A status other than 0 is no error: the caller knows what it means.
    ///
    /// # Errors
    /// [`RehearseError::Unavailable`] for a guest that is a directory of this host, whose programs
    /// are never run, for one of another processor architecture, and where the appliance lacks
    /// what it takes. [`RehearseError::Failed`] if the program does not end in time, leaves more
    /// than 512 MiB or 100000 files, gives a file other extended attributes (capabilities, access
    /// control lists), or if the appliance fails.
    pub fn rehearse(&self, command: &GuestCommand) -> Result<Rehearsal, RehearseError> {
        let unavailable = |reason: &str| RehearseError::Unavailable {
            reason: reason.to_owned(),
        };
        if self.facts().os != Some(Os::Linux) {
            return Err(unavailable("it is no Linux guest"));
        }
        let host = std::env::consts::ARCH;
        if let Some(arch) = &self.facts().arch
            && !runs_here(host, arch)
        {
            return Err(unavailable(&format!(
                "they are for {arch}, and this host is {host}"
            )));
        }
        let program = command.argv.first().map_or("", String::as_str);
        let traces = self.run(command).map_err(|error| match error {
            RehearseError::Failed(error) => error.context(format!("rehearsing {program:?}")).into(),
            unavailable @ RehearseError::Unavailable { .. } => unavailable,
        })?;
        let changes = effect::changes(self, &traces)
            .with_context(|| format!("reading what {program:?} would change"))?;
        Ok(Rehearsal {
            changes,
            status: traces.status,
            output: String::from_utf8_lossy(&traces.output).into_owned(),
        })
    }
}

/// Whether a processor of architecture `host` (Rust's name) runs programs for `guest`
/// (libguestfs's name).
fn runs_here(host: &str, guest: &str) -> bool {
    match host {
        "x86_64" => matches!(guest, "x86_64" | "i386"),
        "powerpc64" => guest.starts_with("ppc64"),
        _ => host == guest,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_run_on_their_own_architecture() {
        for (host, guest, runs) in [
            ("x86_64", "x86_64", true),
            ("x86_64", "i386", true),
            ("x86_64", "aarch64", false),
            ("aarch64", "aarch64", true),
            ("aarch64", "x86_64", false),
            ("powerpc64", "ppc64le", true),
        ] {
            assert_eq!(runs_here(host, guest), runs, "{guest} on {host}");
        }
    }
}
