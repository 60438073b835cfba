//! Settings of an interface as values of the registry: where netsh cannot set them, and on Windows before
//! Vista, whose netsh is another one. They take effect when the interface or the machine starts.

use std::net::IpAddr;

use crate::netplan::{self, CONNECTIONS, NETBT, TCPIP};
use crate::task::{Data, Edit, Gateway, Network, Prefix};

fn value(key: &str, name: &str, data: Data) -> Edit {
    Edit::Set {
        key: key.to_owned(),
        name: name.to_owned(),
        data,
    }
}

fn list<T: ToString>(items: impl IntoIterator<Item = T>) -> Data {
    Data::MultiSz(items.into_iter().map(|item| item.to_string()).collect())
}

/// Addresses, gateways and DNS servers of IPv4.
pub fn ipv4(want: &Network, guid: &str) -> Vec<Edit> {
    let key = format!("{TCPIP}\\Interfaces\\{guid}");
    let mut edits = Vec::new();
    let addresses: Vec<&Prefix> = want
        .addresses
        .iter()
        .filter(|prefix| prefix.address.is_ipv4())
        .collect();
    if !addresses.is_empty() {
        edits.push(value(&key, "EnableDHCP", Data::Dword(0)));
        let texts = addresses.iter().map(|prefix| prefix.address);
        edits.push(value(&key, "IPAddress", list(texts)));
        let masks = addresses.iter().map(|prefix| prefix.mask());
        edits.push(value(&key, "SubnetMask", list(masks)));
    } else if want.dhcp4 == Some(true) {
        edits.push(value(&key, "EnableDHCP", Data::Dword(1)));
    }
    let gateways: Vec<&Gateway> = want
        .gateways
        .iter()
        .filter(|gateway| gateway.address.is_ipv4())
        .collect();
    if !gateways.is_empty() {
        let texts = gateways.iter().map(|gateway| gateway.address);
        edits.push(value(&key, "DefaultGateway", list(texts)));
        let metrics = gateways.iter().map(|gateway| gateway.metric.unwrap_or(0));
        edits.push(value(&key, "DefaultGatewayMetric", list(metrics)));
    }
    let dns: Vec<String> = want
        .dns
        .iter()
        .filter(|server| server.is_ipv4())
        .map(IpAddr::to_string)
        .collect();
    if !dns.is_empty() {
        edits.push(value(&key, "NameServer", Data::Sz(dns.join(","))));
    }
    edits
}

/// Everything that a task can say of IPv4, and the connection's name.
pub fn all(want: &Network, guid: &str) -> Vec<Edit> {
    let interface = format!("{TCPIP}\\Interfaces\\{guid}");
    let netbt = format!("{NETBT}\\Tcpip_{guid}");
    let mut edits = netplan::registry_values(want, guid);
    edits.extend(ipv4(want, guid));
    if !want.wins.is_empty() {
        edits.push(value(&netbt, "NameServerList", list(&want.wins)));
    }
    if let Some(metric) = want.metric {
        edits.push(value(&interface, "InterfaceMetric", Data::Dword(metric)));
    }
    if let Some(mtu) = want.mtu {
        edits.push(value(&interface, "MTU", Data::Dword(mtu)));
    }
    if let Some(name) = &want.name {
        let key = format!("{CONNECTIONS}\\{guid}\\Connection");
        edits.push(value(&key, "Name", Data::Sz(name.clone())));
    }
    for route in &want.routes {
        if route.to.address.is_ipv4() {
            // As `route -p add` keeps them: destination, mask, gateway, metric.
            let name = format!(
                "{},{},{},{}",
                route.to.address,
                route.to.mask(),
                route.via.address,
                route.via.metric.unwrap_or(1)
            );
            let key = format!("{TCPIP}\\PersistentRoutes");
            edits.push(value(&key, &name, Data::Sz(String::new())));
        }
    }
    edits
}

/// Whether a task says something of IPv6.
pub fn names_ipv6(want: &Network) -> bool {
    let addresses = want.addresses.iter().map(|prefix| prefix.address);
    let gateways = want.gateways.iter().map(|gateway| gateway.address);
    let routes = want.routes.iter().map(|route| route.to.address);
    addresses
        .chain(gateways)
        .chain(routes)
        .chain(want.dns.iter().copied())
        .any(|address| address.is_ipv6())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::{Kind, Task};

    const GUID: &str = "{AAAAAAAA-1111-2222-3333-444444444444}";

    fn network(lines: &str) -> Network {
        let text = format!("refit-task 1\nkind network\nmac 00:50:56:01:02:03\n{lines}");
        match Task::parse("40-a.task", text.as_bytes()).unwrap().kind {
            Kind::Network(network) => *network,
            other => panic!("{other:?}"),
        }
    }

    /// Each edit as the key's last part, the value's name and the data.
    fn shown(edits: &[Edit]) -> Vec<String> {
        let show = |edit: &Edit| match edit {
            Edit::Set { key, name, data } => {
                let last = key.rsplit('\\').next().unwrap();
                format!("{last} {name} {data:?}")
            }
            other => panic!("{other:?}"),
        };
        edits.iter().map(show).collect()
    }

    #[test]
    fn everything_of_ipv4() {
        let want = network(
            "name LAN\naddress 192.0.2.10/20\naddress 192.0.2.11/20\naddress 2001:db8::1/64\n\
             gateway 192.0.2.1\ngateway 192.0.2.2 20\ndns 192.0.2.53\ndns 192.0.2.54\n\
             dns-suffix example.com\ndns-search a.example\ndns-register no\nwins 192.0.2.60\n\
             netbios disabled\nmetric 5\nmtu 1400\nroute 10.0.0.0/8 192.0.2.254\nroute 10.9.0.0/16 192.0.2.253 7",
        );
        let interface = [
            "EnableDHCP Dword(0)",
            "IPAddress MultiSz([\"192.0.2.10\", \"192.0.2.11\"])",
            "SubnetMask MultiSz([\"255.255.240.0\", \"255.255.240.0\"])",
            "DefaultGateway MultiSz([\"192.0.2.1\", \"192.0.2.2\"])",
            "DefaultGatewayMetric MultiSz([\"0\", \"20\"])",
            "NameServer Sz(\"192.0.2.53,192.0.2.54\")",
        ]
        .map(|line| format!("{GUID} {line}"));
        assert_eq!(shown(&ipv4(&want, GUID)), interface);
        let mut expected = vec![
            format!("{GUID} Domain Sz(\"example.com\")"),
            format!("{GUID} RegistrationEnabled Dword(0)"),
            "Parameters SearchList Sz(\"a.example\")".to_owned(),
            format!("Tcpip_{GUID} NetbiosOptions Dword(2)"),
        ];
        expected.extend(interface);
        expected.extend([
            format!("Tcpip_{GUID} NameServerList MultiSz([\"192.0.2.60\"])"),
            format!("{GUID} InterfaceMetric Dword(5)"),
            format!("{GUID} MTU Dword(1400)"),
            "Connection Name Sz(\"LAN\")".to_owned(),
            "PersistentRoutes 10.0.0.0,255.0.0.0,192.0.2.254,1 Sz(\"\")".to_owned(),
            "PersistentRoutes 10.9.0.0,255.255.0.0,192.0.2.253,7 Sz(\"\")".to_owned(),
        ]);
        assert_eq!(shown(&all(&want, GUID)), expected);
        assert!(names_ipv6(&want));
    }

    #[test]
    fn only_what_is_named() {
        let want = network("dhcp4 yes");
        assert_eq!(
            shown(&all(&want, GUID)),
            [format!("{GUID} EnableDHCP Dword(1)")]
        );
        assert!(!names_ipv6(&want));
        assert_eq!(all(&network("gateway 2001:db8::1"), GUID), []);
        assert!(names_ipv6(&network("gateway 2001:db8::1")));
    }
}
