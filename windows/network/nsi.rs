//! The store of the network store interface (`Control\Nsi`), from Vista on: static IPv6 addresses, and routes
//! bound to an interface, are nowhere else.
//!
//! It is not documented. A value's name is the hexadecimal form of the structure by which the running system
//! knows the object, and its data the settings. Read here is what is known from two sides: what real
//! hives hold (an IPv4 address is also in `Services\Tcpip`, so the layout can be compared), and the
//! structures that Wine tests against Windows (`nsi_ipv6_unicast_key`, `nsi_ip_unicast_rw`,
//! `nsi_ipv6_forward_key`, `nsi_ip_forward_rw`). What has another shape is left out, with a warning.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv6Net};
use refit_hive::{Hive, Key};

use super::settings::{Settings, push, usable};

/// Module identifiers of IPv4 and IPv6.
const MODULES: [&str; 2] = [
    "{eb004a00-9b1a-11d4-9123-0050047759bc}",
    "{eb004a01-9b1a-11d4-9123-0050047759bc}",
];
/// The object of unicast addresses.
const ADDRESSES: &str = "10";
/// The object of routes.
const ROUTES: &str = "16";
/// More values than an object has.
const MOST: usize = 4096;

/// Adds what the store has for the interface `luid`.
pub(super) fn read(
    system: &Hive,
    set: &str,
    luid: [u8; 8],
    warn: &mut dyn FnMut(String),
    settings: &mut Settings,
) {
    let object =
        |module: &str, object: &str| system.key(&format!(r"{set}\Control\Nsi\{module}\{object}"));
    let [ipv4, ipv6] = MODULES;
    if let Some(key) = object(ipv4, ADDRESSES) {
        for (name, data) in values(&key) {
            let of_this = name.len() == 16 && name.starts_with(&luid);
            if of_this && data.get(17) == Some(&1) {
                let [a, b, c, d] = [name[8], name[9], name[10], name[11]];
                let address = Ipv4Addr::new(a, b, c, d);
                warn(format!(
                    "{address} is marked as no source address (SkipAsSource); the mark is not carried over"
                ));
            }
        }
    }
    if let Some(key) = object(ipv6, ADDRESSES) {
        for (name, data) in values(&key) {
            if let Some(address) = ipv6_address(&name, luid) {
                match ipv6_network(address, &data) {
                    Some(network) => push(&mut settings.addresses, IpNet::V6(network)),
                    None => warn(format!(
                        "the IPv6 address {address} is left out: it has no sound prefix"
                    )),
                }
            }
        }
    }
    for (module, family) in [(ipv4, Family::V4), (ipv6, Family::V6)] {
        let Some(key) = object(module, ROUTES) else {
            continue;
        };
        for (name, data) in values(&key) {
            match family.route(&name) {
                Some(route) if route.luid == luid => add(&route, &data, settings),
                Some(_) => {}
                None => warn(format!(
                    "a persistent route in {module} is left out: it has a form that is not known"
                )),
            }
        }
    }
}

fn add(route: &Route, data: &[u8], settings: &mut Settings) {
    // Metric 0: the interface's own.
    let metric = data
        .get(12..16)
        .and_then(|bytes| Some(u32::from_le_bytes(bytes.try_into().ok()?)))
        .filter(|metric| (1..=9999).contains(metric));
    if route.next_hop.is_unspecified() {
        // To the link itself; Windows makes those of the addresses.
        return;
    }
    if route.destination.prefix_len() == 0 {
        if settings
            .gateways
            .iter()
            .all(|(known, _)| *known != route.next_hop)
        {
            settings.gateways.push((route.next_hop, metric));
        }
        return;
    }
    let (destination, next_hop) = (route.destination, route.next_hop);
    if settings
        .routes
        .iter()
        .all(|known| (known.0, known.1) != (destination, next_hop))
    {
        settings.routes.push((destination, next_hop, metric));
    }
}

/// The values whose names are hexadecimal, with these bytes.
fn values<'k>(key: &'k Key<'_>) -> impl Iterator<Item = (Vec<u8>, Vec<u8>)> + 'k {
    key.values().take(MOST).filter_map(|value| {
        let name = &value.name;
        let digits = name.as_bytes();
        if digits.len() % 2 != 0 || digits.len() > 512 {
            return None;
        }
        let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
        let bytes: Option<Vec<u8>> = digits.chunks(2).map(byte).collect();
        Some((bytes?, value.value.data))
    })
}

/// `NET_LUID`, address.
fn ipv6_address(name: &[u8], luid: [u8; 8]) -> Option<Ipv6Addr> {
    let address: [u8; 16] = name.strip_prefix(&luid)?.try_into().ok()?;
    Some(Ipv6Addr::from(address)).filter(|address| usable(*address))
}

/// Two lifetimes, origin of prefix and of suffix, then the length of the on-link prefix in one byte.
fn ipv6_network(address: Ipv6Addr, data: &[u8]) -> Option<Ipv6Net> {
    let length = *data.get(16)?;
    Ipv6Net::new(address, length)
        .ok()
        .filter(|net| net.prefix_len() > 0)
}

/// A persistent route of some interface.
struct Route {
    luid: [u8; 8],
    destination: IpNet,
    next_hop: IpAddr,
}

#[derive(Clone, Copy)]
enum Family {
    V4,
    V6,
}

impl Family {
    /// Four bytes, destination, length of its prefix, fifteen bytes of zero, (IPv6: four bytes), the `NET_LUID` twice,
    /// next hop, (IPv4: four bytes).
    fn route(self, name: &[u8]) -> Option<Route> {
        let (size, total) = match self {
            Self::V4 => (4, 48),
            Self::V6 => (16, 72),
        };
        if name.len() != total {
            return None;
        }
        let length = *name.get(4 + size)?;
        let luids = match self {
            Self::V4 => 24,
            Self::V6 => 40,
        };
        let zero = name.get(4 + size + 1..luids)?.iter().all(|byte| *byte == 0);
        let luid: [u8; 8] = name.get(luids..luids + 8)?.try_into().ok()?;
        let again = name.get(luids + 8..luids + 16)?;
        if !zero || again != luid {
            return None;
        }
        let destination = address(name.get(4..4 + size)?)?;
        let next_hop = address(name.get(luids + 16..luids + 16 + size)?)?;
        Some(Route {
            luid,
            destination: IpNet::new(destination, length).ok()?.trunc(),
            next_hop,
        })
    }
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    if let Ok(bytes) = <[u8; 4]>::try_from(bytes) {
        return Some(IpAddr::from(bytes));
    }
    Some(IpAddr::from(<[u8; 16]>::try_from(bytes).ok()?))
}
