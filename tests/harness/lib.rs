//! What the end-to-end tests share: guests to work on, the built command, and a way to compare
//! whole guests.
//!
//! Everything here is real: guests that boot, libguestfs, qemu, virt-v2v. Tests force emulation,
//! because KVM opens and hangs on some machines.

mod booted;
mod controller;
mod firstboot;
mod guests;
mod http;
mod machines;
mod pod;
mod podman;
mod refusals;
mod stand_ins;
mod tree;
mod watched;
mod wine;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context as _, ensure};
use serde_json::Value;

pub use booted::booted;
pub use controller::{Controller, Migration, Provider};
pub use firstboot::{FirstBoot, firstboot, wait_for};
pub use guests::{Guest, PASSWORD, edit, guest, system_disk, system_disk_with, windows};
pub use http::{Answer, Client};
pub use machines::{MACHINES, Machine, Untouched};
pub use pod::{Loop, Pod, PodSpec};
pub use podman::{Container, Podman, image, volume};
pub use refusals::{
    SECRET, SmallDisk, assert_refused, assert_says, encrypted_disk, failing_virt_v2v, shell,
};
pub use stand_ins::{Started, started};
pub use tree::{differences, tree};
pub use watched::{To, Watched};
pub use wine::Wine;

/// The top of the checkout.
#[must_use]
pub fn root() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// The built `refit`, which `cargo build -p refit-cli` puts beside the tests.
#[must_use]
pub fn refit() -> Command {
    let beside = std::env::current_exe()
        .ok()
        .and_then(|test| Some(test.parent()?.parent()?.join("refit")));
    let mut command = Command::new(beside.unwrap_or_else(|| "refit".into()));
    command
        .env("LIBGUESTFS_BACKEND", "direct")
        .env("LIBGUESTFS_BACKEND_SETTINGS", "force_tcg")
        .env("REFIT_LOG", "info");
    command
}

/// A finished command.
#[derive(Debug)]
pub struct Run {
    /// Exit code; `None` if a signal ended it.
    pub code: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Run {
    /// The JSON document on standard output.
    ///
    /// # Errors
    /// If there is none, or anything beside it.
    pub fn json(&self) -> anyhow::Result<Value> {
        serde_json::from_str(&self.stdout)
            .with_context(|| format!("reading the document of {self:?}"))
    }
}

/// What the fixup `id` says in a report of `plan` or `fix`; null if it is not in it.
#[must_use]
pub fn fixup<'r>(report: &'r Value, id: &str) -> &'r Value {
    let fixups = report["fixups"].as_array();
    let mut fixups = fixups.into_iter().flatten();
    fixups
        .find(|fixup| fixup["id"] == id)
        .unwrap_or(&Value::Null)
}

impl From<Output> for Run {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

/// Runs to the end and catches what is printed.
///
/// # Errors
/// If the command cannot be started.
pub fn run(command: &mut Command) -> anyhow::Result<Run> {
    Ok(command
        .output()
        .with_context(|| format!("starting {command:?}"))?
        .into())
}

/// All files below a directory with their kinds, modes, targets and digests: equal before and after
/// if nothing was changed, added or removed.
///
/// # Errors
/// If they cannot be read.
pub fn snapshot(dir: &Path) -> anyhow::Result<String> {
    let script =
        r"find . -printf '%p %y %m %l\n' | sort; find . -type f -exec sha256sum {} + | sort";
    must(Command::new("sh").args(["-ec", script]).current_dir(dir))
}

/// Runs a helper program that must succeed.
///
/// # Errors
/// If it does not.
pub fn must(command: &mut Command) -> anyhow::Result<String> {
    let done = run(command)?;
    ensure!(done.code == Some(0), "{command:?}: {done:?}");
    Ok(done.stdout)
}
