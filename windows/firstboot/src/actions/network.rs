//! Settings of a network interface.

use std::time::{Duration, Instant};

use super::programs::system_program;
use super::{Done, Result, network_nt5, poll, registry};
use crate::mac::Mac;
use crate::netplan::{self, CONNECTIONS, Change, Earlier, Interface, NETBT, TCPIP};
use crate::netregistry;
use crate::task::{Data, Edit, Network, Prefix};
use crate::vars::Folders;
use crate::win32::adapters::{self, Adapter};
use crate::win32::registry::Key;
use crate::win32::system::is_before_vista;

/// How long new addresses may take: duplicate address detection needs some seconds.
const SETTLE: Duration = Duration::from_secs(30);

pub fn apply(want: &Network, folders: &Folders, deadline: Instant) -> Result {
    let adapter = poll(deadline, || match find(want.mac) {
        Ok(None) => None,
        Ok(Some(adapter)) => Some(Ok(adapter)),
        Err(error) => Some(Err(error)),
    })
    .unwrap_or_else(|| {
        Err(format!(
            "no network interface with the address {}",
            want.mac
        ))
    })?;
    let have = adapter.interface;
    println!("{} is {} {}", want.mac, have.guid, have.name);
    let mut want = want.clone();
    for guid in want.from_interface.iter().chain(&want.release) {
        if is_present(guid)? && !guid.eq_ignore_ascii_case(&have.guid) {
            return Err(format!("the interface {guid} is still there"));
        }
    }
    if let Some(guid) = want.from_interface.clone() {
        want = netplan::inherit(&want, &earlier(&guid)?);
    }
    let mut released = want.release.clone();
    released.extend(want.from_interface.clone());
    if is_before_vista() {
        let deadline = deadline.min(Instant::now() + SETTLE);
        return network_nt5::apply(&want, &have, &released, deadline);
    }
    let changes = netplan::plan(&want, &have);
    let mut by_registry = false;
    for change in &changes {
        match change {
            Change::Registry(edit) => registry::one(edit)?,
            Change::Netsh { args, or, required } => {
                let done =
                    netsh(args, folders) || or.as_ref().map_or(false, |args| netsh(args, folders));
                let sets_ipv4 = args.get(1).map_or(false, |family| family == "ipv4")
                    && args
                        .get(3)
                        .map_or(false, |what| what == "address" || what == "dnsservers");
                if !done && sets_ipv4 {
                    by_registry = true;
                } else if !done && *required {
                    return Err(format!("netsh {} failed", args.join(" ")));
                }
            }
        }
    }
    if by_registry {
        for edit in netregistry::ipv4(&want, &have.guid) {
            registry::one(&edit)?;
        }
        release(&released, &have)?;
        return Ok(Done {
            restart: true,
            message: format!("{}: set in the registry, for the next start", have.name),
        });
    }
    if !has_addresses(&want, deadline.min(Instant::now() + SETTLE)) {
        return Err(format!("{}: the addresses did not appear", have.name));
    }
    release(&released, &have)?;
    Ok(Done::new(format!(
        "{}: {} changes",
        have.name,
        changes.len()
    )))
}

/// The interface with this address. A team or a bridge may show the address of its member: the one that
/// is a PCI device is meant.
fn find(mac: Mac) -> std::result::Result<Option<Adapter>, String> {
    let all = adapters::all().map_err(|error| format!("listing network interfaces: {error}"))?;
    let mut found: Vec<Adapter> = all
        .into_iter()
        .filter(|adapter| adapter.mac == mac)
        .collect();
    if found.len() > 1 {
        found.retain(|adapter| {
            let key = format!("{CONNECTIONS}\\{}\\Connection", adapter.interface.guid);
            let device = Key::open(&key)
                .ok()
                .flatten()
                .and_then(|key| key.string("PnpInstanceID"));
            device.map_or(false, |device| {
                device.to_ascii_uppercase().starts_with("PCI\\")
            })
        });
    }
    match found.len() {
        0 => Ok(None),
        1 => Ok(found.pop()),
        count => Err(format!("{count} network interfaces have the address {mac}")),
    }
}

fn is_present(guid: &str) -> std::result::Result<bool, String> {
    let all = adapters::all().map_err(|error| format!("listing network interfaces: {error}"))?;
    Ok(all
        .iter()
        .any(|adapter| adapter.interface.guid.eq_ignore_ascii_case(guid)))
}

fn netsh(arguments: &[String], folders: &Folders) -> bool {
    let result = system_program("netsh.exe", arguments, folders);
    let text = arguments.join(" ");
    match &result {
        Ok(0) => println!("netsh {text}"),
        Ok(code) => println!("netsh {text}: exit code {code}"),
        Err(error) => println!("netsh {text}: {error}"),
    }
    matches!(result, Ok(0))
}

pub(super) fn has_addresses(want: &Network, deadline: Instant) -> bool {
    let there = || -> bool {
        let adapter = match find(want.mac) {
            Ok(Some(adapter)) => adapter,
            _ => return false,
        };
        let configured = configured4(&adapter.interface.guid);
        want.addresses.iter().all(|prefix| {
            // Without a link, an IPv4 address is only configured.
            adapter.addresses.contains(prefix)
                || (!adapter.interface.up && configured.contains(prefix))
        })
    };
    poll(deadline, || there().then_some(())).is_some()
}

/// The static IPv4 addresses that the registry has for an interface.
fn configured4(guid: &str) -> Vec<Prefix> {
    let earlier = earlier(guid).unwrap_or_default();
    let parse = |(address, mask): (&String, &String)| {
        Prefix::from_mask(address.parse().ok()?, mask.parse().ok()?)
    };
    earlier
        .addresses
        .iter()
        .zip(&earlier.masks)
        .filter_map(parse)
        .collect()
}

fn earlier(guid: &str) -> std::result::Result<Earlier, String> {
    let open = |path: String| Key::open(&path).map_err(|error| format!("HKLM\\{path}: {error}"));
    let mut found = Earlier::default();
    if let Some(key) = open(format!("{TCPIP}\\Interfaces\\{guid}"))? {
        found.dhcp = key.dword("EnableDHCP");
        found.addresses = key.strings("IPAddress");
        found.masks = key.strings("SubnetMask");
        found.gateways = key.strings("DefaultGateway");
        found.metrics = key.strings("DefaultGatewayMetric");
        found.dns = key.string("NameServer");
        found.domain = key.string("Domain");
        found.register = key.dword("RegistrationEnabled");
        found.metric = key.dword("InterfaceMetric");
        found.mtu = key.dword("MTU");
    }
    if let Some(key) = open(format!("{NETBT}\\Tcpip_{guid}"))? {
        found.wins = key.strings("NameServerList");
        found.netbios = key.dword("NetbiosOptions");
    }
    if let Some(key) = open(format!("{CONNECTIONS}\\{guid}\\Connection"))? {
        found.name = key.string("Name");
    }
    Ok(found)
}

/// Takes the addresses from interfaces that are no more. Last, so that an attempt that is cut before
/// finds them still there.
pub(super) fn release(guids: &[String], have: &Interface) -> std::result::Result<(), String> {
    for guid in guids
        .iter()
        .filter(|guid| !guid.eq_ignore_ascii_case(&have.guid))
    {
        let key = format!("{TCPIP}\\Interfaces\\{guid}");
        if matches!(Key::open(&key), Ok(None)) {
            continue;
        }
        for name in [
            "IPAddress",
            "SubnetMask",
            "DefaultGateway",
            "DefaultGatewayMetric",
        ] {
            registry::one(&Edit::Delete {
                key: key.clone(),
                name: name.to_owned(),
            })?;
        }
        registry::one(&Edit::Set {
            key,
            name: "EnableDHCP".to_owned(),
            data: Data::Dword(1),
        })?;
        println!("released {guid}");
    }
    Ok(())
}
