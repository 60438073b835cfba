//! Tests on trees of files.

use super::*;
use crate::network::sources::reading::with_guest;

fn found(files: &[(&str, &str)]) -> Found {
    with_guest(files, |guest| read(guest).unwrap())
}

fn named<'a>(found: &'a Found, name: &str) -> &'a Interface {
    found
        .interfaces
        .iter()
        .find(|interface| interface.matches.name.as_deref() == Some(name))
        .unwrap_or_else(|| panic!("{name} in {found:#?}"))
}

#[test]
fn addresses_but_no_gateways_routes_or_servers() {
    let found = found(&[(
        "etc/systemd/network/10-lan.network",
        "[Match]\nName=ens192\n[Network]\nAddress=192.0.2.10/24\nAddress=2001:db8::10/64\n\
         Gateway=192.0.2.1\nDNS=192.0.2.53\n[Address]\nAddress=192.0.2.11/24\nPeer=192.0.2.99\n\
         [Address]\nAddress=0.0.0.0/24\n[Route]\nGateway=192.0.2.2\nDestination=10.0.0.0/8\n",
    )]);
    assert_eq!(found.warnings, [""; 0]);
    let [interface] = found.interfaces.as_slice() else {
        panic!("{found:#?}")
    };
    let addresses: Vec<_> = interface
        .addresses
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(addresses, ["192.0.2.10", "2001:db8::10", "192.0.2.11"]);
    assert_eq!(interface.kind, Kind::Physical);
    assert!(!interface.dynamic);
    assert_eq!(
        interface.source.to_string(),
        "/etc/systemd/network/10-lan.network"
    );
}

#[test]
fn dynamic_in_every_writing() {
    for (text, expected) in [
        ("DHCP=yes", true),
        ("DHCP=ipv4", true),
        ("DHCP=v6", true),
        ("DHCP=both", true),
        ("DHCP=no", false),
        ("DHCP=none", false),
        ("DHCP=yes\nDHCP=no", false),
        ("IPv6AcceptRA=true", true),
        ("IPv6AcceptRA=no", false),
        ("", false),
    ] {
        let text = format!("[Match]\nName=a\n[Network]\n{text}\n");
        let found = found(&[("etc/systemd/network/a.network", &text)]);
        assert_eq!(found.interfaces[0].dynamic, expected, "{text}");
    }
}

#[test]
fn bonds_bridges_and_vlans_are_a_graph() {
    let found = found(&[
        (
            "etc/systemd/network/10-bond0.netdev",
            "[NetDev]\nName=bond0\nKind=bond\nMACAddress=00:50:56:aa:bb:01\n",
        ),
        (
            "etc/systemd/network/10-port.network",
            "[Match]\nName=ens192\n[Network]\nBond=bond0\n",
        ),
        (
            "etc/systemd/network/11-ports.network",
            "[Match]\nMACAddress=00:50:56:aa:bb:02\n[Network]\nBond=bond0\n",
        ),
        (
            "etc/systemd/network/20-bond0.network",
            "[Match]\nName=bond0\n[Network]\nVLAN=bond0.100 vl200\nAddress=192.0.2.10/24\n",
        ),
        (
            "etc/systemd/network/30-v.netdev",
            "[NetDev]\nName=bond0.100\nKind=vlan\n[VLAN]\nId=100\n",
        ),
        (
            "etc/systemd/network/31-v.netdev",
            "[NetDev]\nName=vl200\nKind=vlan\n",
        ),
        (
            "etc/systemd/network/31-v.network",
            "[Match]\nName=vl200\n[Network]\nAddress=198.51.100.2/24\n",
        ),
        ("etc/systemd/network/40-x.netdev", "[NetDev]\nName=x\n"),
    ]);
    assert_eq!(named(&found, "ens192").upper.as_deref(), Some("bond0"));
    assert_eq!(named(&found, "ens192").kind, Kind::Physical);
    let bond = named(&found, "bond0");
    assert_eq!(bond.kind, Kind::Bond);
    assert_eq!(bond.lower, ["ens192"]);
    assert_eq!(
        bond.matches.macs,
        [],
        "the address that it sets selects nothing"
    );
    let vlan = named(&found, "bond0.100");
    assert_eq!(
        (&vlan.kind, vlan.lower.as_slice()),
        (&Kind::Vlan, &["bond0".to_owned()][..])
    );
    let vlan = named(&found, "vl200");
    assert_eq!(
        (&vlan.kind, vlan.lower.as_slice()),
        (&Kind::Vlan, &["bond0".to_owned()][..])
    );
    assert_eq!(vlan.addresses.len(), 1);
    assert_eq!(found.interfaces[1].upper.as_deref(), Some("bond0"));
    assert_eq!(found.interfaces[1].matches.macs.len(), 1);
    assert_eq!(found.interfaces.len(), 5);
    assert_eq!(found.warnings.len(), 1, "{:?}", found.warnings);
}

#[test]
fn precedence_of_directories_masks_and_drop_ins() {
    let network = |address: &str| format!("[Match]\nName=a\n[Network]\nAddress={address}\n");
    let found = found(&[
        (
            "usr/lib/systemd/network/50-a.network",
            &network("192.0.2.1/24"),
        ),
        (
            "usr/local/lib/systemd/network/50-a.network",
            &network("192.0.2.2/24"),
        ),
        ("run/systemd/network/50-a.network", &network("192.0.2.3/24")),
        ("etc/systemd/network/50-a.network", &network("192.0.2.4/24")),
        (
            "etc/systemd/network/50-a.network.d/2.conf",
            "[Network]\nAddress=192.0.2.6/24\n",
        ),
        (
            "run/systemd/network/50-a.network.d/1.conf",
            "[Network]\nAddress=\n",
        ),
        (
            "usr/lib/systemd/network/50-a.network.d/3.conf",
            "[Network]\nAddress=192.0.2.7/24\n",
        ),
        ("etc/systemd/network/50-a.network.d/3.conf", "-> /dev/null"),
        (
            "etc/systemd/network/50-a.network.d/README",
            "[Network]\nAddress=192.0.2.8/24\n",
        ),
        (
            "usr/lib/systemd/network/60-b.network",
            "[Match]\nName=b\n[Network]\nDHCP=yes\n",
        ),
        ("etc/systemd/network/60-b.network", ""),
        (
            "usr/lib/systemd/network/70-c.network",
            "[Match]\nName=c\n[Network]\nDHCP=yes\n",
        ),
        ("etc/systemd/network/70-c.network", "-> /dev/null"),
        (
            "etc/systemd/network/80-d.network",
            "-> ../../../srv/d.network",
        ),
        ("srv/d.network", "[Match]\nName=d\n"),
        ("etc/systemd/network/90-e.conf", "[Match]\nName=e\n"),
    ]);
    assert_eq!(found.warnings, [""; 0]);
    let names: Vec<_> = found
        .interfaces
        .iter()
        .map(|i| i.matches.name.as_deref().unwrap())
        .collect();
    assert_eq!(names, ["a", "d"]);
    let a = named(&found, "a");
    assert_eq!(
        a.addresses,
        ["192.0.2.6".parse::<std::net::IpAddr>().unwrap()]
    );
    assert_eq!(
        a.source.to_string(),
        "/etc/systemd/network/50-a.network.d/2.conf"
    );
}

#[test]
fn a_file_that_never_applies_is_left_out() {
    let network = |name: &str| format!("[Match]\nName={name}\n[Network]\nDHCP=yes\n");
    for (first, second, kept) in [
        ("Name=ens192", "Name=ens192", 1),
        ("Name=en*", "Name=ens192", 1),
        ("Name=en* eth0", "Name=eth0 ens1", 1),
        ("Name=*", "Name=en*", 1),
        ("Name=ens192", "Name=en*", 2),
        ("Name=en*\nDriver=vmxnet3", "Name=ens192", 2),
        ("MACAddress=00:50:56:aa:bb:01", "Name=ens192", 2),
        ("Name=*\nType=wlan", "Name=ens192", 2),
        ("Name=*\nKind=!*", "Name=ens192", 1),
        ("Name=*\nKind=!*", "Name=br0", 2),
    ] {
        let first = first.strip_prefix("Name=").unwrap_or(first);
        let first = if first.starts_with("MAC") {
            format!("[Match]\n{first}\n")
        } else {
            network(first)
        };
        let second = network(second.strip_prefix("Name=").unwrap());
        let found = found(&[
            (
                "etc/systemd/network/0.netdev",
                "[NetDev]\nName=br0\nKind=bridge\n",
            ),
            ("etc/systemd/network/1.network", &first),
            ("etc/systemd/network/2.network", &second),
        ]);
        let networks = found
            .interfaces
            .iter()
            .filter(|interface| interface.source.to_string().ends_with(".network"))
            .count();
        assert_eq!(networks, kept, "{first} {second}");
        assert_eq!(found.warnings.len(), 2 - kept, "{:?}", found.warnings);
    }
}

#[test]
fn broken_files_do_not_hide_others() {
    let found = found(&[
        ("etc/systemd/network/1.network", "[Match\nName=a\n"),
        (
            "etc/systemd/network/2.network",
            "Name=x\n[Match]\nName=b\nword\n",
        ),
        ("etc/systemd/network/3.network", "[Network]\nDHCP=yes\n"),
        ("etc/systemd/network/4.network", "-> /nowhere"),
        (
            "etc/systemd/network/5.network",
            "[Match]\nName=c\n[Network]\nAddress=10.0.0.300/24\nAddress=10.0.0.3/24\n",
        ),
        ("etc/systemd/network/6.network/file", ""),
        ("dev/zero", ""),
    ]);
    let names: Vec<_> = found
        .interfaces
        .iter()
        .map(|i| i.matches.name.as_deref().unwrap())
        .collect();
    assert_eq!(names, ["b", "c"]);
    assert_eq!(named(&found, "c").addresses.len(), 1);
    let warnings = found.warnings.join("\n");
    for expected in [
        "1.network, line 1: the section header",
        "2.network, line 1: the assignment is outside",
        "2.network, line 4: the line is no assignment: \"word\"",
        "3.network: ignored: its [Match]",
        "4.network: passed over",
        "5.network: Address= is no address: \"10.0.0.300/24\"",
        "6.network: passed over",
    ] {
        assert!(warnings.contains(expected), "{expected} in\n{warnings}");
    }
    assert_eq!(found.warnings.len(), 7, "{warnings}");
}
