//! Settings of a network interface on Windows before Vista: written to the registry, which the interface
//! reads when its device is restarted. Its netsh knows other words and no index.

use std::time::Instant;

use super::network::{has_addresses, release};
use super::{Done, Result, registry};
use crate::netplan::Interface;
use crate::netregistry;
use crate::task::Network;
use crate::win32::adapters;

/// `released` are the interfaces that are no more.
pub fn apply(want: &Network, have: &Interface, released: &[String], deadline: Instant) -> Result {
    let mut changed = 0;
    let mut needs_restart = false;
    for edit in &netregistry::all(want, &have.guid) {
        if registry::is_made(edit) {
            continue;
        }
        registry::one(edit)?;
        changed += 1;
        // Only the start of the system reads them.
        needs_restart |= edit.key().ends_with("\\PersistentRoutes");
    }
    // Before the interface starts anew: it refuses an address that another one has.
    release(released, have)?;
    if changed > 0 {
        match adapters::restart(&have.guid) {
            Ok(()) => println!("{} was restarted", have.guid),
            Err(error) => {
                println!("{} cannot be restarted: {error}", have.guid);
                needs_restart = true;
            }
        }
    }
    if netregistry::names_ipv6(want) {
        return Err(format!(
            "{}: IPv4 is set, but IPv6 cannot be set on Windows before Vista",
            have.name
        ));
    }
    if needs_restart {
        return Ok(Done {
            restart: true,
            message: format!("{}: set in the registry, for the next start", have.name),
        });
    }
    if !has_addresses(want, deadline) {
        return match changed {
            0 => Err(format!("{}: the addresses did not appear", have.name)),
            _ => Ok(Done {
                restart: true,
                message: format!("{}: set in the registry, for the next start", have.name),
            }),
        };
    }
    Ok(Done::new(format!("{}: {changed} changes", have.name)))
}
