//! DHCP leases that clients keep on disk: which interface got which address.
//!
//! | client | files |
//! |---|---|
//! | dhclient | `dhclient*.lease`, `dhclient*.leases` in `/var/lib/dhclient`, `/var/lib/dhcp`, `/var/lib/dhcp3` and, if NetworkManager runs it, `/var/lib/NetworkManager` |
//! | NetworkManager's own | `/var/lib/NetworkManager/internal-UUID-INTERFACE.lease` |
//! | dhcpcd | `/var/lib/dhcpcd/INTERFACE.lease` and `.lease6`; older: `dhcpcd-INTERFACE.lease`, `.info`, `/var/lib/dhcpcd5`, `/var/db` |
//! | wicked | `/var/lib/wicked/lease-INTERFACE-TYPE-FAMILY.xml` |
//!
//! systemd-networkd keeps its leases in `/run` only, by the index of the interface, and BusyBox'
//! udhcpc keeps none.

mod dhclient;
mod dhcpcd;
mod file_names;
mod variables;
mod wicked;

use std::collections::HashMap;
use std::net::IpAddr;

use refit_engine::{Guest, GuestPath};
use refit_machine::Mac;

use self::file_names::{
    Form, dhcpcd_interface, is_dhclient, network_manager_name, wicked_interface,
};
use super::reading::{Reading, quote};
use crate::network::model::is_device_name;

/// Most files that are read.
const FILE_LIMIT: usize = 2048;

const DHCLIENT_DIRS: [&str; 4] = [
    "/var/lib/dhclient",
    "/var/lib/dhcp",
    "/var/lib/dhcp3",
    NETWORK_MANAGER_DIR,
];
const NETWORK_MANAGER_DIR: &str = "/var/lib/NetworkManager";
/// dhcpcd 9 and later, Debian's older versions, and upstream's older ones.
const DHCPCD_DIRS: [&str; 4] = [
    "/var/lib/dhcpcd",
    "/var/lib/dhcpcd5",
    "/var/db/dhcpcd",
    "/var/db",
];
/// wicked writes to the second where the first cannot be written.
const WICKED_DIRS: [&str; 2] = ["/var/lib/wicked", "/run/wicked"];

/// An address that an interface once had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// The interface.
    pub name: String,
    /// The address.
    pub address: IpAddr,
    /// The interface's MAC at that time, where the lease tells it.
    pub mac: Option<Mac>,
    /// When it was obtained or last renewed, in seconds since the epoch: what the lease itself
    /// says, else when its file was written.
    pub obtained: i64,
    /// The file.
    pub source: GuestPath,
}

/// What one file says of one lease.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    /// `None` where the file's name says it.
    name: Option<String>,
    address: IpAddr,
    mac: Option<Mac>,
    obtained: Option<i64>,
}

/// All leases of one guest.
#[derive(Debug, Default)]
pub struct Leases {
    /// For each interface and address the newest.
    pub leases: Vec<Lease>,
    /// Files that could not be understood, each with the reason.
    pub warnings: Vec<String>,
}

/// Those of `leases` that satisfy `wanted` and are as new as the newest of them, one for each
/// interface.
pub fn newest(leases: &[Lease], wanted: impl Fn(&Lease) -> bool) -> Vec<&Lease> {
    let mut found: Vec<&Lease> = Vec::new();
    for lease in leases.iter().filter(|lease| wanted(lease)) {
        let newest = found.first().map_or(i64::MIN, |first| first.obtained);
        if lease.obtained > newest {
            found.clear();
        }
        if lease.obtained >= newest && found.iter().all(|other| other.name != lease.name) {
            found.push(lease);
        }
    }
    found
}

/// Reads the leases of all clients.
///
/// # Errors
/// If a directory cannot be read. A file that cannot is a warning.
pub fn read(guest: &Guest<'_>) -> anyhow::Result<Leases> {
    let mut found = Collection {
        reading: Reading::new(guest),
        leases: Vec::new(),
        index: HashMap::new(),
        files: 0,
    };
    for dir in DHCLIENT_DIRS {
        for path in found.files(dir, is_dhclient)? {
            found.text(&path, None, dhclient::parse);
        }
    }
    found.network_manager()?;
    for dir in DHCPCD_DIRS {
        let anything = dir != "/var/db";
        for path in found.files(dir, |name| dhcpcd_interface(name, anything).is_some())? {
            found.dhcpcd(&path, anything);
        }
    }
    for dir in WICKED_DIRS {
        for path in found.files(dir, |name| wicked_interface(name).is_some())? {
            let name = wicked_interface(path.file_name_str().unwrap_or_default());
            let name = name.map(str::to_owned);
            found.text(&path, name.as_deref(), wicked::parse);
        }
    }
    Ok(Leases {
        leases: found.leases,
        warnings: found.reading.into_warnings(),
    })
}

struct Collection<'g, 'b> {
    reading: Reading<'g, 'b>,
    leases: Vec<Lease>,
    index: HashMap<(String, IpAddr), usize>,
    files: usize,
}

impl Collection<'_, '_> {
    fn files(
        &mut self,
        dir: &str,
        wanted: impl Fn(&str) -> bool,
    ) -> anyhow::Result<Vec<GuestPath>> {
        let mut files = self.reading.guest.files(dir, wanted)?;
        let left = FILE_LIMIT - self.files;
        if files.len() > left {
            self.reading.warn(
                &dir.into(),
                None,
                "not all leases read: there are too many files",
            );
            files.truncate(left);
        }
        self.files += files.len();
        Ok(files)
    }

    /// Adds what `parse` finds in a text, and its problems (line and reason).
    fn text(&mut self, path: &GuestPath, name: Option<&str>, parse: fn(&str) -> Parsed) {
        if let Some(text) = self.reading.text(path) {
            let parsed = parse(&text);
            for (line, reason) in parsed.problems {
                self.reading.warn(path, line, reason);
            }
            self.add_all(path, name, None, parsed.entries);
        }
    }

    /// NetworkManager's own client: the address alone; when its profile was last active is in
    /// `timestamps`.
    fn network_manager(&mut self) -> anyhow::Result<()> {
        let files = self.files(NETWORK_MANAGER_DIR, |name| {
            network_manager_name(name).is_some()
        })?;
        if files.is_empty() {
            return Ok(());
        }
        let timestamps = GuestPath::new(NETWORK_MANAGER_DIR).join("timestamps");
        let timestamps = self.reading.text(&timestamps).unwrap_or_default();
        let timestamps: HashMap<&str, i64> = timestamps
            .lines()
            .filter_map(|line| line.split_once('='))
            .filter_map(|(uuid, time)| Some((uuid.trim(), time.trim().parse().ok()?)))
            .collect();
        for path in files {
            let Some((uuid, name)) = network_manager_name(path.file_name_str().unwrap_or_default())
            else {
                continue;
            };
            let time = timestamps.get(uuid).copied();
            if let Some(text) = self.reading.text(&path) {
                match variables::internal(&text) {
                    Ok(entry) => self.add_all(&path, Some(name), time, vec![entry]),
                    Err(reason) => self.reading.warn(&path, None, reason),
                }
            }
        }
        Ok(())
    }

    fn dhcpcd(&mut self, path: &GuestPath, anything: bool) {
        let file_name = path.file_name_str().unwrap_or_default();
        let Some((name, form)) = dhcpcd_interface(file_name, anything) else {
            return;
        };
        let Some(content) = self.reading.bytes(path) else {
            return;
        };
        // dhcpcd empties the file of a lease that has ended.
        if content.is_empty() {
            return;
        }
        let entries = match form {
            Form::Dhcp4 => dhcpcd::packet(&content).map(|entry| vec![entry]),
            Form::Dhcp6 => dhcpcd::packet6(&content),
            Form::Info => variables::info(&String::from_utf8_lossy(&content)).map(|one| vec![one]),
        };
        match entries {
            Ok(entries) => self.add_all(path, Some(name), None, entries),
            Err(reason) => self.reading.warn(path, None, reason),
        }
    }

    /// Adds entries of one file; `name` and `time` are for those that say neither.
    fn add_all(
        &mut self,
        path: &GuestPath,
        name: Option<&str>,
        time: Option<i64>,
        entries: Vec<Entry>,
    ) {
        let mut written = None;
        for entry in entries {
            let Some(name) = entry.name.or_else(|| name.map(str::to_owned)) else {
                continue;
            };
            if !is_device_name(&name) {
                let reason = format!("left out: no device can have the name {}", quote(&name));
                self.reading.warn(path, None, reason);
                continue;
            }
            let obtained = entry.obtained.or(time).unwrap_or_else(|| {
                *written.get_or_insert_with(|| match self.reading.guest.stat(path) {
                    Ok(Some(stat)) => stat.mtime.0,
                    _ => 0,
                })
            });
            self.add(Lease {
                name,
                address: entry.address,
                mac: entry.mac,
                obtained,
                source: path.clone(),
            });
        }
    }

    fn add(&mut self, lease: Lease) {
        let key = (lease.name.clone(), lease.address);
        match self.index.get(&key) {
            Some(&known) if self.leases[known].obtained <= lease.obtained => {
                self.leases[known] = lease;
            }
            Some(_) => {}
            None => {
                self.index.insert(key, self.leases.len());
                self.leases.push(lease);
            }
        }
    }
}

/// What is in a text.
#[derive(Debug, Default)]
struct Parsed {
    entries: Vec<Entry>,
    /// Line, if one is to blame, and reason.
    problems: Vec<(Option<usize>, String)>,
}

/// The MAC in a DHCP client identifier of hardware type Ethernet (RFC 2132, 9.14).
fn mac_of_client(identifier: &[u8]) -> Option<Mac> {
    match identifier {
        [1, mac @ ..] => usable(mac.try_into().ok()?),
        _ => None,
    }
}

/// [`mac_of_client`] of an identifier in hexadecimal digits, with or without colons.
fn mac_of_client_text(text: &str) -> Option<Mac> {
    let byte = |digits: &str| u8::from_str_radix(digits, 16).ok();
    let bytes: Option<Vec<u8>> = if text.contains(':') {
        text.split(':').take(16).map(byte).collect()
    } else {
        let pairs = text.as_bytes().chunks(2).take(16);
        pairs
            .map(|pair| byte(std::str::from_utf8(pair).ok()?))
            .collect()
    };
    mac_of_client(&bytes?)
}

fn usable(octets: [u8; 6]) -> Option<Mac> {
    (octets != [0; 6] && octets != [0xff; 6]).then_some(Mac(octets))
}

#[cfg(test)]
mod tests;
