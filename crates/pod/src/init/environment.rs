//! The environment of PID 1, out of which secrets are taken.
//!
//! A controller puts the source's password into it. PID 1 lives as long as the pod, and `/proc/1/environ` is readable
//! for all that runs as the same user, so it starts anew without the controller's variables before there are others.
//! What the child is to have of them comes on standard input, in a file in memory.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{Read as _, Seek as _, Write as _};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::process::CommandExt as _;

use anyhow::Context as _;
use rustix::fs::{MemfdFlags, memfd_create};

/// What begins so comes from the controller, and may be a secret.
const PREFIX: &[u8] = b"V2V_";
/// Says that they are on standard input.
pub const MARK: &str = "REFIT_INIT";

/// Names and values.
pub type Variables = Vec<(OsString, OsString)>;

/// What the child's environment has more than ours; nothing if they are the same. Does not return the first time that it is called where there may
/// be secrets.
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
    variables.retain(|(name, _)| name.as_bytes().starts_with(PREFIX));
    if variables.is_empty() {
        return Ok(None);
    }
    let memory = keep(&variables).context("keeping the environment in memory")?;
    let mut again = super::again();
    for (name, _) in &variables {
        again.env_remove(name);
    }
    let error = again.env(MARK, "stdin").stdin(memory).exec();
    Err(error).context("starting PID 1 anew, without secrets")
}

fn keep(variables: &Variables) -> std::io::Result<File> {
    let mut memory = File::from(memfd_create("environment", MemfdFlags::CLOEXEC)?);
    for (name, value) in variables {
        memory.write_all(&[name.as_bytes(), b"=", value.as_bytes(), b"\0"].concat())?;
    }
    memory.rewind()?;
    Ok(memory)
}

fn receive() -> std::io::Result<Variables> {
    let mut memory = OpenOptions::new()
        .read(true)
        .write(true)
        .open("/proc/self/fd/0")?;
    let mut bytes = Vec::new();
    memory.read_to_end(&mut bytes)?;
    // It stays open as our standard input.
    memory.set_len(0)?;
    let pairs = bytes.split(|byte| *byte == 0).filter_map(|pair| {
        let at = pair.iter().position(|byte| *byte == b'=')?;
        let text = |bytes: &[u8]| OsString::from_vec(bytes.to_vec());
        Some((text(&pair[..at]), text(&pair[at + 1..])))
    });
    Ok(pairs.collect())
}
