//! Settings of a network interface.

use std::net::{IpAddr, Ipv4Addr};
use std::str::FromStr;

use super::fields::{Fields, number};
use super::kinds::is_guid;
use crate::mac::Mac;

/// Settings; what is `None` or empty stays as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Network {
    /// Which interface.
    pub mac: Mac,
    /// Name of the connection.
    pub name: Option<String>,
    /// Whether IPv4 addresses come from DHCP.
    pub dhcp4: Option<bool>,
    /// Static addresses.
    pub addresses: Vec<Prefix>,
    /// Default gateways.
    pub gateways: Vec<Gateway>,
    /// More persistent routes.
    pub routes: Vec<Route>,
    /// DNS servers.
    pub dns: Vec<IpAddr>,
    /// Connection-specific suffix.
    pub dns_suffix: Option<String>,
    /// The machine's list of suffixes.
    pub dns_search: Vec<String>,
    /// Whether addresses are registered in DNS.
    pub dns_register: Option<bool>,
    /// WINS servers.
    pub wins: Vec<Ipv4Addr>,
    /// NetBIOS over TCP/IP.
    pub netbios: Option<Netbios>,
    /// Interface metric.
    pub metric: Option<u32>,
    /// MTU in bytes.
    pub mtu: Option<u32>,
    /// An earlier interface whose settings fill the gaps.
    pub from_interface: Option<String>,
    /// Earlier interfaces that lose their addresses.
    pub release: Vec<String>,
}

/// An address or network with its length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Prefix {
    /// The address.
    pub address: IpAddr,
    /// Bits of the network.
    pub length: u8,
}

/// A default gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gateway {
    /// Its address.
    pub address: IpAddr,
    /// Its metric; Windows decides if `None`.
    pub metric: Option<u32>,
}

/// A route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Route {
    /// Where to.
    pub to: Prefix,
    /// Through whom.
    pub via: Gateway,
}

/// `NetbiosOptions` in the registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Netbios {
    /// As DHCP says.
    Default = 0,
    /// On.
    Enabled = 1,
    /// Off.
    Disabled = 2,
}

impl Netbios {
    /// From the value in the registry.
    pub fn from_registry(value: u32) -> Option<Self> {
        [Self::Default, Self::Enabled, Self::Disabled]
            .into_iter()
            .find(|option| *option as u32 == value)
    }
}

impl Network {
    pub(super) fn parse(fields: &mut Fields) -> Result<Self, String> {
        let network = Self {
            mac: fields.required("mac")?.parse()?,
            name: fields.one("name")?,
            dhcp4: fields.yes_no("dhcp4")?,
            addresses: fields.parsed("address")?,
            gateways: fields.parsed("gateway")?,
            routes: fields.parsed("route")?,
            dns: fields
                .many("dns")
                .iter()
                .map(|text| host("dns", text))
                .collect::<Result<_, _>>()?,
            dns_suffix: fields.one("dns-suffix")?,
            dns_search: fields.many("dns-search"),
            dns_register: fields.yes_no("dns-register")?,
            wins: wins(fields)?,
            netbios: match fields.one("netbios")?.as_deref() {
                None => None,
                Some("default") => Some(Netbios::Default),
                Some("enabled") => Some(Netbios::Enabled),
                Some("disabled") => Some(Netbios::Disabled),
                Some(other) => {
                    return Err(format!(
                        "netbios: not default, enabled or disabled: {other}"
                    ));
                }
            },
            metric: fields.number("metric", 1, 9999)?,
            mtu: fields.number("mtu", 576, 65535)?,
            from_interface: fields.one("from-interface")?,
            release: fields.many("release-interface"),
        };
        network.check()?;
        Ok(network)
    }

    fn check(&self) -> Result<(), String> {
        if let Some(name) = &self.name {
            // ncpa.cpl refuses these, and netsh would take the first for a file.
            if name.chars().count() > 255
                || name.contains(['\\', '/', ':', '*', '?', '"', '<', '>', '|'])
            {
                return Err(format!("name: not the name of a connection: {name}"));
            }
        }
        for suffix in self.dns_suffix.iter().chain(&self.dns_search) {
            let plain =
                |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
            if suffix.len() > 253 || !suffix.bytes().all(plain) {
                return Err(format!("not a DNS suffix: {suffix}"));
            }
        }
        for guid in self.from_interface.iter().chain(&self.release) {
            if !is_guid(guid) {
                return Err(format!("not {{GUID}}: {guid}"));
            }
        }
        for prefix in &self.addresses {
            host("address", &prefix.address.to_string())?;
        }
        let static4 = self.addresses.iter().any(|prefix| prefix.address.is_ipv4());
        if static4 && self.dhcp4 == Some(true) {
            return Err("dhcp4: yes with a static IPv4 address".into());
        }
        Ok(())
    }
}

/// An address that a machine can have.
fn host(key: &str, text: &str) -> Result<IpAddr, String> {
    text.parse()
        .ok()
        .filter(|address: &IpAddr| !address.is_unspecified() && !address.is_multicast())
        .ok_or_else(|| format!("{key}: not an address: {text}"))
}

fn wins(fields: &mut Fields) -> Result<Vec<Ipv4Addr>, String> {
    let parse = |text: &String| match host("wins", text)? {
        IpAddr::V4(address) => Ok(address),
        IpAddr::V6(_) => Err(format!("wins: not an IPv4 address: {text}")),
    };
    fields.many("wins").iter().map(parse).collect()
}

impl FromStr for Prefix {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("not an address with a length: {text}");
        let (address, length) = text.split_once('/').ok_or_else(wrong)?;
        let address: IpAddr = address.parse().map_err(|_| wrong())?;
        let bits = if address.is_ipv4() { 32 } else { 128 };
        let length = number(length)
            .filter(|length| *length <= bits)
            .ok_or_else(wrong)?;
        Ok(Self { address, length })
    }
}

impl FromStr for Gateway {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("not an address, or one with a metric: {text}");
        let (address, metric) = match text.split_once(' ') {
            None => (text, None),
            Some((address, metric)) => {
                let metric = number(metric).filter(|metric| (1..=9999).contains(metric));
                (address, Some(metric.ok_or_else(wrong)?))
            }
        };
        let address = host("gateway", address).map_err(|_| wrong())?;
        Ok(Self { address, metric })
    }
}

impl FromStr for Route {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (to, via) = text
            .split_once(' ')
            .ok_or_else(|| format!("no gateway: {text}"))?;
        let (to, via): (Prefix, Gateway) = (to.parse()?, via.parse()?);
        if to.address.is_ipv4() != via.address.is_ipv4() {
            return Err(format!("network and gateway are of two families: {text}"));
        }
        Ok(Self { to, via })
    }
}

impl Prefix {
    /// The mask of an IPv4 address.
    pub fn mask(&self) -> Ipv4Addr {
        let host = 32_u32.saturating_sub(self.length.into());
        Ipv4Addr::from(u32::MAX.checked_shl(host).unwrap_or(0))
    }

    /// An IPv4 address with a mask, if the mask is one.
    pub fn from_mask(address: Ipv4Addr, mask: Ipv4Addr) -> Option<Self> {
        let bits = u32::from(mask);
        let length = bits.leading_ones();
        (bits.count_ones() == length).then(|| Self {
            address: address.into(),
            length: length as u8,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Kind, Task};
    use super::*;

    fn network(lines: &str) -> Result<Network, String> {
        let content = format!("refit-task 1\nkind network\n{lines}");
        match Task::parse("40-a.task", content.as_bytes())?.kind {
            Kind::Network(network) => Ok(*network),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn everything() {
        let found = network(
            "mac 00-50-56-01-02-03\nname Ethernet 2\naddress 192.0.2.10/24\naddress 2001:db8::10/64\ngateway 192.0.2.1 10\ngateway fe80::1\nroute 10.0.0.0/8 192.0.2.254\ndns 192.0.2.53\ndns 2001:db8::53\ndns-suffix example.com\ndns-search a.example\ndns-search b.example\ndns-register no\nwins 192.0.2.60\nnetbios disabled\nmetric 5\nmtu 1400\nfrom-interface {AAAAAAAA-1111-2222-3333-444444444444}\nrelease-interface {BAAAAAAA-1111-2222-3333-444444444444}",
        )
        .unwrap();
        assert_eq!(found.name.as_deref(), Some("Ethernet 2"));
        assert_eq!(found.addresses[1].length, 64);
        assert_eq!(found.gateways[0].metric, Some(10));
        assert_eq!(found.routes[0].via.metric, None);
        assert_eq!(found.dns_search.len(), 2);
        assert_eq!(found.netbios, Some(Netbios::Disabled));
    }

    #[test]
    fn refused() {
        const MAC: &str = "mac 00:50:56:01:02:03\n";
        for lines in [
            "address 192.0.2.10",
            "address 192.0.2.10/33",
            "address 0.0.0.0/0",
            "address 224.0.0.1/24",
            "address 2001:db8::1/129",
            "address 192.0.2.010/24",
            "address 192.0.2.1/+4",
            "address 192.0.2.1/24\ndhcp4 yes",
            "gateway 192.0.2.1 0",
            "gateway 0.0.0.0",
            "route 10.0.0.0/8",
            "route 10.0.0.0/8 fe80::1",
            "dns example.com",
            "dns-suffix a b",
            "dns-suffix a;b",
            "wins fe80::1",
            "netbios off",
            "mtu 100",
            "metric 0",
            "name a\"b",
            "name a/b",
            "from-interface AAAAAAAA-1111-2222-3333-444444444444",
            "release-interface {..}",
            "mac 00:50:56:01:02:04",
        ] {
            assert!(network(&format!("{MAC}{lines}")).is_err(), "{lines}");
        }
        assert!(network("").is_err(), "no address of an interface");
    }

    #[test]
    fn masks() {
        for (length, mask) in [(0, [0, 0, 0, 0]), (20, [255, 255, 240, 0]), (32, [255; 4])] {
            let address = Ipv4Addr::new(192, 0, 2, 1);
            let prefix = Prefix {
                address: address.into(),
                length,
            };
            assert_eq!(prefix.mask(), Ipv4Addr::from(mask));
            assert_eq!(Prefix::from_mask(address, mask.into()), Some(prefix));
        }
        assert_eq!(
            Prefix::from_mask(Ipv4Addr::LOCALHOST, Ipv4Addr::new(255, 0, 255, 0)),
            None
        );
    }
}
