//! The environment of PID 1, out of which secrets are taken.
//!
//! PID 1 lives as long as the pod, and `/proc/1/environ` is readable for all that runs as the same user, so it starts
//! anew without the controller's variables before there are others.

use std::fs::OpenOptions;
use std::os::unix::process::CommandExt as _;

use anyhow::Context as _;

use crate::handover::{self, Variables};
use crate::settings;

/// Says that they are on standard input.
pub const MARK: &str = "REFIT_INIT";

/// What the child's environment has more than ours, of which no secret; nothing if they are the same. Does not return the first time that
/// it is called where there may be secrets.
///
/// # Errors
/// If the environment cannot be handed over.
pub fn take() -> anyhow::Result<Option<Variables>> {
    if std::env::var_os(MARK).is_some() {
        return receive()
            .map(Some)
            .context("reading the environment from standard input");
    }
    let mut variables: Variables = std::env::vars_os().collect();
    variables.retain(|(name, _)| handover::is_controllers(name));
    if variables.is_empty() {
        return Ok(None);
    }
    let names: Vec<_> = variables.iter().map(|(name, _)| name.clone()).collect();
    let memory = handover::keep(&settings::without_secrets(variables))
        .context("keeping the environment in memory")?;
    let mut again = super::again();
    for name in names {
        again.env_remove(name);
    }
    let error = again.env(MARK, "stdin").stdin(memory).exec();
    Err(error).context("starting PID 1 anew, without secrets")
}

fn receive() -> std::io::Result<Variables> {
    let memory = OpenOptions::new()
        .read(true)
        .write(true)
        .open("/proc/self/fd/0")?;
    let variables = handover::received(&memory)?;
    // It stays open as our standard input.
    memory.set_len(0)?;
    Ok(variables)
}
