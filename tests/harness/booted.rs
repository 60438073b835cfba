//! A guest that comes up, and what it says of itself.
#![expect(
    clippy::unwrap_used,
    reason = "what is asserted here fails by panicking"
)]

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::{PASSWORD, refit, run};

/// Boots a guest's disks, logs in, and returns the report of `refit boot` with these further arguments.
///
/// # Panics
/// If the guest does not come up.
#[must_use]
pub fn booted<P: AsRef<Path>>(disks: &[P], arguments: &[&str]) -> Value {
    let password = tempfile::NamedTempFile::new().unwrap();
    fs::write(password.path(), PASSWORD).unwrap();
    let booted = run(refit()
        .args(["boot", "--json", "--accel", "tcg", "--timeout", "900"])
        .args(["--user", "root", "--password-file"])
        .arg(password.path())
        .args(arguments)
        .args(disks.iter().map(AsRef::as_ref)))
    .unwrap();
    assert_eq!(booted.code, Some(0), "{booted:?}");
    booted.json().unwrap()
}
