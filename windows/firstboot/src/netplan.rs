//! What must change so that an interface has the wanted settings: commands for netsh and values of
//! the registry. Nothing is done here.

use std::net::{IpAddr, Ipv4Addr};

use crate::task::{Data, Edit, Gateway, Netbios, Network, Prefix};

/// Settings of all IPv4 interfaces, below HKLM.
pub const TCPIP: &str = "SYSTEM\\CurrentControlSet\\Services\\Tcpip\\Parameters";
/// NetBIOS settings of interfaces, below HKLM.
pub const NETBT: &str = "SYSTEM\\CurrentControlSet\\Services\\NetBT\\Parameters\\Interfaces";
/// Names of connections, below HKLM.
pub const CONNECTIONS: &str =
    "SYSTEM\\CurrentControlSet\\Control\\Network\\{4D36E972-E325-11CE-BFC1-08002BE10318}";

/// An interface as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Interface {
    /// `{GUID}`
    pub guid: String,
    /// Name of the connection.
    pub name: String,
    /// Index for IPv4.
    pub index4: u32,
    /// Index for IPv6.
    pub index6: u32,
    /// Whether IPv4 is configured by DHCP.
    pub dhcp4: bool,
    /// Whether the link is up.
    pub up: bool,
    /// Addresses that were set by hand.
    pub addresses: Vec<Prefix>,
    /// Default gateways.
    pub gateways: Vec<IpAddr>,
}

/// One change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Arguments of netsh; if it fails with these, the others are tried.
    Netsh {
        /// First try.
        args: Vec<String>,
        /// Second try.
        or: Option<Vec<String>>,
        /// Whether the task has failed with it.
        required: bool,
    },
    /// An edit of the registry.
    Registry(Edit),
}

fn words(text: &str) -> Vec<String> {
    text.split(' ').map(str::to_owned).collect()
}

fn netsh(text: &str) -> Change {
    Change::Netsh {
        args: words(text),
        or: None,
        required: true,
    }
}

/// `add`, and if it is there already, `set`.
fn add_or_set(what: &str, context: &str) -> Change {
    Change::Netsh {
        args: words(&format!("{context} add {what}")),
        or: Some(words(&format!("{context} set {what}"))),
        required: true,
    }
}

fn set(key: String, name: &str, data: Data) -> Edit {
    Edit::Set {
        key,
        name: name.to_owned(),
        data,
    }
}

fn metric(gateway: &Gateway, word: &str) -> String {
    gateway
        .metric
        .map_or_else(String::new, |metric| format!(" {word}={metric}"))
}

/// The changes that lead from `have` to `want`, in order. Registry values come first: netsh makes the
/// system read them.
pub fn plan(want: &Network, have: &Interface) -> Vec<Change> {
    let mut changes: Vec<Change> = registry_values(want, &have.guid)
        .into_iter()
        .map(Change::Registry)
        .collect();
    ipv4(want, have, &mut changes);
    ipv6(want, have, &mut changes);
    for route in &want.routes {
        let (family, index) = match route.to.address {
            IpAddr::V4(_) => ("ipv4", have.index4),
            IpAddr::V6(_) => ("ipv6", have.index6),
        };
        let route = format!(
            "route prefix={}/{} interface={index} nexthop={}{} store=persistent",
            route.to.address,
            route.to.length,
            route.via.address,
            metric(&route.via, "metric")
        );
        changes.push(add_or_set(&route, &format!("interface {family}")));
    }
    servers(want, have, &mut changes);
    link(want, have, &mut changes);
    changes
}

/// What netsh does not set, or not on every Windows.
pub fn registry_values(want: &Network, guid: &str) -> Vec<Edit> {
    let interface = format!("{TCPIP}\\Interfaces\\{guid}");
    let mut changes = Vec::new();
    if let Some(suffix) = &want.dns_suffix {
        changes.push(set(interface.clone(), "Domain", Data::Sz(suffix.clone())));
    }
    if let Some(register) = want.dns_register {
        let value = Data::Dword(register.into());
        changes.push(set(interface, "RegistrationEnabled", value));
    }
    if !want.dns_search.is_empty() {
        let list = Data::Sz(want.dns_search.join(","));
        changes.push(set(TCPIP.to_owned(), "SearchList", list));
    }
    if let Some(netbios) = want.netbios {
        let key = format!("{NETBT}\\Tcpip_{guid}");
        changes.push(set(key, "NetbiosOptions", Data::Dword(netbios as u32)));
    }
    changes
}

fn ipv4(want: &Network, have: &Interface, changes: &mut Vec<Change>) {
    let index = have.index4;
    if want.dhcp4 == Some(true) && !have.dhcp4 {
        changes.push(netsh(&format!(
            "interface ipv4 set address name={index} source=dhcp"
        )));
    }
    let addresses = of_family(&want.addresses, true);
    let gateways: Vec<&Gateway> = want
        .gateways
        .iter()
        .filter(|gateway| gateway.address.is_ipv4())
        .collect();
    let (first, more) = match addresses.split_first() {
        Some(split) => split,
        None => {
            // Gateways alone are added to the addresses that are there.
            let missing = gateways
                .iter()
                .filter(|gateway| !have.gateways.contains(&gateway.address));
            changes.extend(missing.map(|gateway| gateway4(index, gateway)));
            return;
        }
    };
    let same_gateways = gateways.is_empty()
        || of_ip_family(&have.gateways, true)
            == gateways.iter().map(|g| g.address).collect::<Vec<_>>();
    if !have.dhcp4 && of_family(&have.addresses, true) == addresses && same_gateways {
        return;
    }
    let gateway = match gateways.first() {
        Some(gateway) => format!("gateway={}{}", gateway.address, metric(gateway, "gwmetric")),
        None => "gateway=none".to_owned(),
    };
    changes.push(netsh(&format!(
        "interface ipv4 set address name={index} source=static address={} mask={} {gateway}",
        first.address,
        first.mask()
    )));
    for prefix in more {
        changes.push(netsh(&format!(
            "interface ipv4 add address name={index} address={} mask={}",
            prefix.address,
            prefix.mask()
        )));
    }
    for gateway in gateways.into_iter().skip(1) {
        changes.push(gateway4(index, gateway));
    }
}

fn gateway4(index: u32, gateway: &Gateway) -> Change {
    netsh(&format!(
        "interface ipv4 add address name={index} gateway={}{}",
        gateway.address,
        metric(gateway, "gwmetric")
    ))
}

fn ipv6(want: &Network, have: &Interface, changes: &mut Vec<Change>) {
    let index = have.index6;
    let addresses = of_family(&want.addresses, false);
    if !addresses.is_empty() {
        for old in of_family(&have.addresses, false) {
            if !addresses.contains(&old) {
                changes.push(netsh(&format!(
                    "interface ipv6 delete address interface={index} address={} store=persistent",
                    old.address
                )));
            }
        }
    }
    for prefix in addresses {
        let address = format!(
            "address interface={index} address={}/{} store=persistent",
            prefix.address, prefix.length
        );
        if !have.addresses.contains(&prefix) {
            changes.push(add_or_set(&address, "interface ipv6"));
        }
    }
    for gateway in want
        .gateways
        .iter()
        .filter(|gateway| gateway.address.is_ipv6())
    {
        let route = format!(
            "route prefix=::/0 interface={index} nexthop={}{} store=persistent",
            gateway.address,
            metric(gateway, "metric")
        );
        changes.push(add_or_set(&route, "interface ipv6"));
    }
}

/// DNS and WINS servers: the first replaces what is there, the others are added.
fn servers(want: &Network, have: &Interface, changes: &mut Vec<Change>) {
    for (family, index, is_ipv4) in [("ipv4", have.index4, true), ("ipv6", have.index6, false)] {
        for (position, server) in of_ip_family(&want.dns, is_ipv4).iter().enumerate() {
            changes.push(netsh(&match position {
                0 => format!(
                    "interface {family} set dnsservers name={index} source=static address={server} validate=no"
                ),
                _ => format!(
                    "interface {family} add dnsservers name={index} address={server} index={} validate=no",
                    position + 1
                ),
            }));
        }
    }
    let index = have.index4;
    for (position, server) in want.wins.iter().enumerate() {
        changes.push(netsh(&match position {
            0 => format!(
                "interface ipv4 set winsservers name={index} source=static address={server}"
            ),
            _ => format!(
                "interface ipv4 add winsservers name={index} address={server} index={}",
                position + 1
            ),
        }));
    }
}

fn link(want: &Network, have: &Interface, changes: &mut Vec<Change>) {
    let six = want.addresses.iter().any(|prefix| prefix.address.is_ipv6());
    let families = [("ipv4", have.index4, 576), ("ipv6", have.index6, 1280)];
    for (family, index, least_mtu) in families.into_iter().take(if six { 2 } else { 1 }) {
        if let Some(metric) = want.metric {
            changes.push(netsh(&format!(
                "interface {family} set interface interface={index} metric={metric} store=persistent"
            )));
        }
        if let Some(mtu) = want.mtu.filter(|mtu| *mtu >= least_mtu) {
            changes.push(netsh(&format!(
                "interface {family} set subinterface interface={index} mtu={mtu} store=persistent"
            )));
        }
    }
    if let Some(name) = want.name.as_ref().filter(|name| **name != have.name) {
        // A connection without its old name still works.
        changes.push(Change::Netsh {
            args: [
                "interface",
                "set",
                "interface",
                &format!("name={}", have.name),
                &format!("newname={name}"),
            ]
            .map(str::to_owned)
            .to_vec(),
            or: None,
            required: false,
        });
    }
}

/// What the registry says of an earlier interface.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Earlier {
    /// `Name` of the connection.
    pub name: Option<String>,
    /// `EnableDHCP`
    pub dhcp: Option<u32>,
    /// `IPAddress`
    pub addresses: Vec<String>,
    /// `SubnetMask`
    pub masks: Vec<String>,
    /// `DefaultGateway`
    pub gateways: Vec<String>,
    /// `DefaultGatewayMetric`
    pub metrics: Vec<String>,
    /// `NameServer`
    pub dns: Option<String>,
    /// `Domain`
    pub domain: Option<String>,
    /// `RegistrationEnabled`
    pub register: Option<u32>,
    /// `InterfaceMetric`
    pub metric: Option<u32>,
    /// `MTU`
    pub mtu: Option<u32>,
    /// `NameServerList` of NetBT
    pub wins: Vec<String>,
    /// `NetbiosOptions`
    pub netbios: Option<u32>,
}

/// Fills what `want` does not name with what the interface `earlier` had. What is not understood is
/// left out.
pub fn inherit(want: &Network, earlier: &Earlier) -> Network {
    let mut want = want.clone();
    want.name = want.name.or_else(|| earlier.name.clone());
    let named4 =
        want.dhcp4.is_some() || want.addresses.iter().any(|prefix| prefix.address.is_ipv4());
    if !named4 && earlier.dhcp == Some(1) {
        want.dhcp4 = Some(true);
    } else if !named4 {
        let prefix = |(address, mask): (&String, &String)| {
            let address: Ipv4Addr = address.parse().ok()?;
            let prefix = Prefix::from_mask(address, mask.parse().ok()?)?;
            (!address.is_unspecified()).then_some(prefix)
        };
        let found = earlier
            .addresses
            .iter()
            .zip(&earlier.masks)
            .filter_map(prefix);
        want.addresses.extend(found);
        if want
            .gateways
            .iter()
            .all(|gateway| gateway.address.is_ipv6())
        {
            let gateway = |(index, address): (usize, &String)| {
                let address: Ipv4Addr = address.parse().ok()?;
                let metric = earlier
                    .metrics
                    .get(index)
                    .and_then(|metric| metric.parse().ok());
                (!address.is_unspecified()).then(|| Gateway {
                    address: address.into(),
                    metric: metric.filter(|metric| (1..=9999).contains(metric)),
                })
            };
            want.gateways
                .extend(earlier.gateways.iter().enumerate().filter_map(gateway));
        }
    }
    if want.dns.iter().all(IpAddr::is_ipv6) {
        let list = earlier.dns.as_deref().unwrap_or_default();
        let servers = list
            .split([',', ' '])
            .filter_map(|server| server.parse::<Ipv4Addr>().ok());
        want.dns.extend(servers.map(IpAddr::V4));
    }
    let domain = earlier.domain.clone().filter(|domain| !domain.is_empty());
    want.dns_suffix = want.dns_suffix.or(domain);
    want.dns_register = want
        .dns_register
        .or_else(|| earlier.register.map(|value| value != 0));
    want.metric = want
        .metric
        .or_else(|| earlier.metric.filter(|metric| (1..=9999).contains(metric)));
    want.mtu = want
        .mtu
        .or_else(|| earlier.mtu.filter(|mtu| (576..=65535).contains(mtu)));
    if want.wins.is_empty() {
        want.wins = earlier
            .wins
            .iter()
            .filter_map(|server| server.parse().ok())
            .collect();
    }
    want.netbios = want
        .netbios
        .or_else(|| earlier.netbios.and_then(Netbios::from_registry));
    want
}

fn of_family(addresses: &[Prefix], is_ipv4: bool) -> Vec<Prefix> {
    let wanted = |prefix: &&Prefix| prefix.address.is_ipv4() == is_ipv4;
    addresses.iter().filter(wanted).copied().collect()
}

fn of_ip_family(addresses: &[IpAddr], is_ipv4: bool) -> Vec<IpAddr> {
    let wanted = |address: &&IpAddr| address.is_ipv4() == is_ipv4;
    addresses.iter().filter(wanted).copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const GUID: &str = "{AAAAAAAA-1111-2222-3333-444444444444}";

    fn network(build: impl FnOnce(&mut Network)) -> Network {
        let content = b"refit-task 1\nkind network\nmac 00:50:56:01:02:03";
        let task = crate::task::Task::parse("40-a.task", content).unwrap();
        let mut network = match task.kind {
            crate::task::Kind::Network(network) => *network,
            other => panic!("{other:?}"),
        };
        build(&mut network);
        network
    }

    fn interface() -> Interface {
        Interface {
            guid: GUID.into(),
            name: "Ethernet 2".into(),
            index4: 7,
            index6: 8,
            dhcp4: true,
            up: true,
            ..Interface::default()
        }
    }

    fn shown(changes: &[Change]) -> Vec<String> {
        let show = |change: &Change| match change {
            Change::Netsh { args, or, .. } => {
                let or = or
                    .as_ref()
                    .map_or(String::new(), |args| format!(" / {}", args.join("|")));
                args.join("|") + &or
            }
            Change::Registry(Edit::Set { key, name, data }) => {
                format!("{}: {name} = {data:?}", key.rsplit('\\').next().unwrap())
            }
            Change::Registry(other) => format!("{other:?}"),
        };
        changes.iter().map(show).collect()
    }

    #[test]
    fn both_families_with_everything() {
        let want = network(|n| {
            n.name = Some("LAN & co".into());
            n.addresses = ["192.0.2.10/24", "192.0.2.11/32", "2001:db8::10/64"]
                .map(|text| text.parse().unwrap())
                .to_vec();
            n.gateways = ["192.0.2.1 10", "192.0.2.2", "fe80::1"]
                .map(|text| text.parse().unwrap())
                .to_vec();
            n.routes = vec!["10.0.0.0/8 192.0.2.254 5".parse().unwrap()];
            n.dns = ["192.0.2.53", "2001:db8::53", "192.0.2.54"]
                .map(|text| text.parse().unwrap())
                .to_vec();
            n.dns_suffix = Some("example.com".into());
            n.dns_search = vec!["a".into(), "b".into()];
            n.dns_register = Some(false);
            n.wins = vec![Ipv4Addr::new(192, 0, 2, 60)];
            n.netbios = Some(Netbios::Disabled);
            n.metric = Some(5);
            n.mtu = Some(1000);
        });
        assert_eq!(
            shown(&plan(&want, &interface())),
            [
                format!("{GUID}: Domain = Sz(\"example.com\")"),
                format!("{GUID}: RegistrationEnabled = Dword(0)"),
                "Parameters: SearchList = Sz(\"a,b\")".into(),
                format!("Tcpip_{GUID}: NetbiosOptions = Dword(2)"),
                "interface|ipv4|set|address|name=7|source=static|address=192.0.2.10|mask=255.255.255.0|gateway=192.0.2.1|gwmetric=10".into(),
                "interface|ipv4|add|address|name=7|address=192.0.2.11|mask=255.255.255.255".into(),
                "interface|ipv4|add|address|name=7|gateway=192.0.2.2".into(),
                "interface|ipv6|add|address|interface=8|address=2001:db8::10/64|store=persistent / interface|ipv6|set|address|interface=8|address=2001:db8::10/64|store=persistent".into(),
                "interface|ipv6|add|route|prefix=::/0|interface=8|nexthop=fe80::1|store=persistent / interface|ipv6|set|route|prefix=::/0|interface=8|nexthop=fe80::1|store=persistent".into(),
                "interface|ipv4|add|route|prefix=10.0.0.0/8|interface=7|nexthop=192.0.2.254|metric=5|store=persistent / interface|ipv4|set|route|prefix=10.0.0.0/8|interface=7|nexthop=192.0.2.254|metric=5|store=persistent".into(),
                "interface|ipv4|set|dnsservers|name=7|source=static|address=192.0.2.53|validate=no".into(),
                "interface|ipv4|add|dnsservers|name=7|address=192.0.2.54|index=2|validate=no".into(),
                "interface|ipv6|set|dnsservers|name=8|source=static|address=2001:db8::53|validate=no".into(),
                "interface|ipv4|set|winsservers|name=7|source=static|address=192.0.2.60".into(),
                "interface|ipv4|set|interface|interface=7|metric=5|store=persistent".into(),
                "interface|ipv4|set|subinterface|interface=7|mtu=1000|store=persistent".into(),
                "interface|ipv6|set|interface|interface=8|metric=5|store=persistent".into(),
                "interface|set|interface|name=Ethernet 2|newname=LAN & co".into(),
            ] as [String; 18]
        );
    }

    #[test]
    fn what_is_right_is_left_alone() {
        let want = network(|n| {
            n.addresses = vec![
                "192.0.2.10/24".parse().unwrap(),
                "2001:db8::10/64".parse().unwrap(),
            ];
            n.gateways = vec!["192.0.2.1".parse().unwrap()];
            n.name = Some("Ethernet 2".into());
        });
        let mut have = interface();
        have.dhcp4 = false;
        have.addresses = want.addresses.clone();
        have.gateways = vec!["192.0.2.1".parse().unwrap()];
        assert_eq!(plan(&want, &have), []);
        have.gateways.clear();
        assert_eq!(plan(&want, &have).len(), 1);
        have.addresses.push("2001:db8::99/64".parse().unwrap());
        assert!(
            shown(&plan(&want, &have))[1]
                .contains("delete|address|interface=8|address=2001:db8::99")
        );
        let dhcp = network(|n| n.dhcp4 = Some(true));
        assert_eq!(plan(&dhcp, &interface()), []);
        assert_eq!(
            shown(&plan(&dhcp, &have)),
            ["interface|ipv4|set|address|name=7|source=dhcp"]
        );
        assert_eq!(plan(&network(|_| ()), &have), []);
    }

    fn earlier() -> Earlier {
        let list = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        Earlier {
            name: Some("Ethernet0".into()),
            dhcp: Some(0),
            addresses: list(&["192.0.2.10", "0.0.0.0", "nonsense"]),
            masks: list(&["255.255.255.0", "0.0.0.0", "255.0.0.0"]),
            gateways: list(&["192.0.2.1", "192.0.2.2"]),
            metrics: list(&["0", "20"]),
            dns: Some("192.0.2.53, 192.0.2.54".into()),
            domain: Some(String::new()),
            register: Some(1),
            metric: Some(0),
            mtu: Some(9000),
            wins: list(&["192.0.2.60", ""]),
            netbios: Some(2),
        }
    }

    #[test]
    fn an_earlier_interface_fills_the_gaps() {
        let found = inherit(&network(|_| ()), &earlier());
        let expected = network(|n| {
            n.name = Some("Ethernet0".into());
            n.addresses = vec!["192.0.2.10/24".parse().unwrap()];
            n.gateways = vec![
                "192.0.2.1".parse().unwrap(),
                "192.0.2.2 20".parse().unwrap(),
            ];
            n.dns = vec!["192.0.2.53".parse().unwrap(), "192.0.2.54".parse().unwrap()];
            n.dns_register = Some(true);
            n.mtu = Some(9000);
            n.wins = vec![Ipv4Addr::new(192, 0, 2, 60)];
            n.netbios = Some(Netbios::Disabled);
        });
        assert_eq!(found, expected);
        let named = network(|n| {
            n.addresses = vec!["192.0.2.99/24".parse().unwrap()];
            n.dns = vec!["192.0.2.99".parse().unwrap()];
            n.name = Some("LAN".into());
        });
        let found = inherit(&named, &earlier());
        assert_eq!(
            (found.addresses, found.gateways, found.dns),
            (named.addresses, vec![], named.dns)
        );
        let mut dhcp = earlier();
        dhcp.dhcp = Some(1);
        let found = inherit(&network(|_| ()), &dhcp);
        assert_eq!((found.dhcp4, found.addresses), (Some(true), vec![]));
    }
}
