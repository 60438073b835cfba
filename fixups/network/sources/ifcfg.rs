//! `ifcfg-*` files: Red Hat's (`/usr/share/doc/initscripts/sysconfig.txt`,
//! `nm-settings-ifcfg-rh(5)`) and SUSE's (`ifcfg(5)`).
//!
//! Both are shell variables, with different names and meanings.

mod quoting;
mod redhat;
mod shell;
mod suse;
mod variables;

use std::net::IpAddr;

use refit_engine::{Guest, GuestPath};
use refit_machine::Mac;

pub use self::shell::{Assignment, assignments};

use self::variables::Variables;
use crate::network::model::{Found, Interface, Kind};

/// More files than any real guest has.
const FILE_LIMIT: usize = 4096;

/// Longer than any real file of the kind, in bytes.
const SIZE_LIMIT: usize = 256 * 1024;

/// Reads `/etc/sysconfig/network-scripts` (Red Hat) and `/etc/sysconfig/network` (SUSE).
///
/// # Errors
/// If a directory cannot be read. A file that cannot is a warning.
pub fn read(guest: &Guest<'_>) -> anyhow::Result<Found> {
    let mut found = redhat::read(guest)?;
    let suse = suse::read(guest)?;
    found.interfaces.extend(suse.interfaces);
    found.warnings.extend(suse.warnings);
    Ok(found)
}

/// Whose `ifcfg-*` files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Dialect {
    RedHat,
    Suse,
}

/// The files that [`read`] reads.
///
/// # Errors
/// If a directory cannot be read.
pub fn files(guest: &Guest<'_>) -> anyhow::Result<Vec<(Dialect, GuestPath)>> {
    let named = |name: &str, ignored: fn(&str) -> bool| {
        let suffix = name.strip_prefix("ifcfg-");
        suffix.is_some_and(|suffix| !suffix.is_empty() && !ignored(suffix))
    };
    let redhat = guest.files(redhat::DIR, |name| named(name, redhat::ignored))?;
    let suse = guest.files(suse::DIR, |name| named(name, suse::ignored))?;
    let redhat = redhat.into_iter().map(|path| (Dialect::RedHat, path));
    let suse = suse.into_iter().map(|path| (Dialect::Suse, path));
    Ok(redhat.chain(suse).take(FILE_LIMIT).collect())
}

/// The hardware address in the name of a SUSE configuration (`eth-id-00:0c:29:01:02:03`).
#[must_use]
pub fn mac_in_name(name: &str) -> Option<Mac> {
    suse::mac_in(name)
}

/// One `ifcfg-*` file.
#[derive(Debug)]
struct File {
    path: GuestPath,
    /// What follows `ifcfg-` in its name.
    suffix: String,
    variables: Variables,
}

/// Reads the `ifcfg-*` files of `dir` in the order of their names. Warnings go to `found`.
fn read_files(
    guest: &Guest<'_>,
    dir: &str,
    ignored: impl Fn(&str) -> bool,
    found: &mut Found,
) -> anyhow::Result<Vec<File>> {
    let mut paths = guest.files(dir, |name| {
        name.strip_prefix("ifcfg-")
            .is_some_and(|suffix| !suffix.is_empty() && !ignored(suffix))
    })?;
    if paths.len() > FILE_LIMIT {
        found.warnings.push(format!(
            "{dir}: only the first {FILE_LIMIT} of {} files are read",
            paths.len()
        ));
        paths.truncate(FILE_LIMIT);
    }
    let mut files = Vec::new();
    for path in paths {
        let text = match guest.read_text(&path) {
            Ok(Some(text)) if text.len() <= SIZE_LIMIT => text,
            Ok(Some(_)) => {
                found.warnings.push(format!(
                    "{path}: too long for an ifcfg file, more than {SIZE_LIMIT} bytes"
                ));
                continue;
            }
            Ok(None) => continue,
            Err(error) => {
                found.warnings.push(format!("{path}: {error:#}"));
                continue;
            }
        };
        let variables = shell::parse(&text);
        found.warnings.extend(
            variables
                .warnings
                .iter()
                .map(|warning| format!("{path}: {warning}")),
        );
        let suffix = path.file_name_str().unwrap_or_default()["ifcfg-".len()..].to_owned();
        files.push(File {
            path,
            suffix,
            variables,
        });
    }
    Ok(files)
}

/// The addresses in `values` (name of the variable, `ADDRESS` or `ADDRESS/LENGTH`), each once.
/// What is no address is a warning; the unspecified address (`0.0.0.0`) stands for none.
fn addresses<'v>(
    path: &GuestPath,
    values: impl IntoIterator<Item = (&'v str, &'v str)>,
    warnings: &mut Vec<String>,
) -> Vec<IpAddr> {
    let mut found = Vec::new();
    for (name, value) in values {
        let bare = value.split('/').next().unwrap_or_default().trim();
        match bare.parse::<IpAddr>() {
            Ok(address) if address.is_unspecified() || found.contains(&address) => {}
            Ok(address) => found.push(address),
            Err(_) => {
                let shown: String = value.chars().take(60).collect();
                warnings.push(format!("{path}: {name} is no address: {shown:?}"));
            }
        }
    }
    found
}

/// Adds the addresses of an alias to its device. The file with the addresses is the one to name.
fn add_addresses(device: &mut Interface, addresses: Vec<IpAddr>, source: &GuestPath) {
    if device.addresses.is_empty() && !addresses.is_empty() {
        device.source = source.clone();
    }
    for address in addresses {
        if !device.addresses.contains(&address) {
            device.addresses.push(address);
        }
    }
}

/// A name that somebody gave to a network card or got from the kernel, rather than a title that
/// somebody gave to a profile: lower case, with a number (`eth0`, `ens192`, `p2p1`).
fn looks_like_device(name: &str) -> bool {
    (2..16).contains(&name.len())
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
        && name.bytes().any(|b| b.is_ascii_digit())
}

/// Parent and number of a VLAN that is named after them (`eth0.100`).
fn dotted_vlan(name: &str) -> Option<(&str, &str)> {
    let (parent, id) = name.rsplit_once('.')?;
    let is_id = !id.is_empty() && id.len() <= 4 && id.bytes().all(|b| b.is_ascii_digit());
    (is_id && !parent.is_empty()).then_some((parent, id))
}

/// Makes both ends of every bond, team and bridge know of each other, and gives a kind to those
/// that only their ports tell of.
fn link_ports(interfaces: &mut [Interface], aggregates: &[(String, Kind)]) {
    for (upper, kind) in aggregates {
        for interface in interfaces.iter_mut() {
            if interface.matches.name.as_ref() == Some(upper) && interface.kind == Kind::Physical {
                interface.kind = kind.clone();
                interface.matches.macs.clear();
                interface.matches.renames = false;
            }
        }
    }
    let joins_ports = |kind: &Kind| matches!(kind, Kind::Bond | Kind::Team | Kind::Bridge);
    let mut pairs: Vec<(String, String)> = Vec::new();
    for interface in interfaces.iter() {
        let Some(name) = &interface.matches.name else {
            continue;
        };
        if let Some(upper) = &interface.upper {
            pairs.push((upper.clone(), name.clone()));
        }
        if joins_ports(&interface.kind) {
            pairs.extend(
                interface
                    .lower
                    .iter()
                    .map(|port| (name.clone(), port.clone())),
            );
        }
    }
    for (upper, port) in pairs {
        for interface in interfaces.iter_mut() {
            let name = interface.matches.name.as_ref();
            if name == Some(&upper)
                && joins_ports(&interface.kind)
                && !interface.lower.contains(&port)
            {
                interface.lower.push(port.clone());
            } else if name == Some(&port) && interface.upper.is_none() {
                interface.upper = Some(upper.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_devices_and_titles_of_profiles() {
        for name in ["eth0", "ens192", "p2p1", "eno16777984", "enp0s31f6"] {
            assert!(looks_like_device(name), "{name}");
        }
        for name in ["Wired1", "System_eth0", "test", "e", "0eth", "eth0.1", ""] {
            assert!(!looks_like_device(name), "{name}");
        }
    }

    #[test]
    fn vlans_named_after_their_parent() {
        assert_eq!(dotted_vlan("eth0.100"), Some(("eth0", "100")));
        assert_eq!(dotted_vlan("bond0.1.2"), Some(("bond0.1", "2")));
        for name in ["eth0", "eth0.", ".1", "eth0.x", "eth0.12345"] {
            assert_eq!(dotted_vlan(name), None, "{name}");
        }
    }
}
