//! ifupdown: `/etc/network/interfaces`.

mod assemble;
mod device;
mod include;
mod options;
pub mod stanza;

use refit_engine::{Guest, GuestPath};

use crate::network::model::Found;
use crate::network::sources::reading::Reading;

/// Reads `/etc/network/interfaces` and what it includes (interfaces(5)), in the syntax of ifupdown
/// and, as far as it differs, of ifupdown2 and ifupdown-ng.
///
/// Not followed, with a warning: `mapping` scripts, templates of ifupdown2 (`%for`), and the
/// bridge ports that a regular expression selects. Addresses that a command adds (`up ip addr add`)
/// are not seen.
///
/// # Errors
/// If the backend cannot be read.
pub fn read(guest: &Guest<'_>) -> anyhow::Result<Found> {
    let mut reading = Reading::new(guest);
    let directives = include::read_all(&mut reading)?;
    let interfaces = assemble::interfaces(&mut reading, directives);
    Ok(reading.finish(interfaces))
}

/// The main file and those that it includes, in the order in which they are read.
///
/// # Errors
/// If the backend cannot be read.
pub fn files(guest: &Guest<'_>) -> anyhow::Result<Vec<GuestPath>> {
    include::files(&mut Reading::new(guest))
}

#[cfg(test)]
mod tests;
