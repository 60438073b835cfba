//! The appliance that a command is about.

use std::path::Path;

use anyhow::Context as _;
use refit_ovf::{Envelope, Package, Severity};

/// Reads the descriptor; what is wrong with it goes to standard error.
pub fn read(path: &Path) -> anyhow::Result<Envelope> {
    let package = Package::open(path)?;
    let envelope = package
        .envelope(None)
        .with_context(|| format!("reading {}", path.display()))?;
    for problem in &envelope.problems {
        match problem.severity {
            Severity::Warning => tracing::info!("{}: {problem}", path.display()),
            Severity::Error => tracing::warn!("{}: {problem}", path.display()),
        }
    }
    Ok(envelope)
}
