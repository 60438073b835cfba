//! Tests on trees of files.

use super::*;
use crate::network::sources::reading::with_guest;

fn found(files: &[(&str, &str)]) -> Found {
    with_guest(files, |guest| read(guest).unwrap())
}

fn one(text: &str) -> Found {
    found(&[("etc/netplan/01-netcfg.yaml", text)])
}

fn named<'a>(found: &'a Found, name: &str) -> &'a Interface {
    found
        .interfaces
        .iter()
        .find(|interface| interface.matches.name.as_deref() == Some(name))
        .unwrap_or_else(|| panic!("{name} in {found:#?}"))
}

fn addresses(interface: &Interface) -> Vec<String> {
    interface
        .addresses
        .iter()
        .map(ToString::to_string)
        .collect()
}

#[test]
fn a_definition_without_match_is_for_the_device_of_that_name() {
    let found = one("\
network:
  version: 2
  renderer: networkd
  ethernets:
    ens192:
      addresses:
      - 192.0.2.10/24
      - 2001:db8::10/64:
          label: x
      gateway4: 192.0.2.1
      nameservers: {addresses: [192.0.2.53]}
      routes: [{to: default, via: 192.0.2.2}]
      macaddress: 00:50:56:aa:bb:99
    ens224: {dhcp4: yes}
    ens256: {accept-ra: true, dhcp4: false}
    ens288: {optional: true}
");
    assert_eq!(found.warnings, [""; 0]);
    let nic = named(&found, "ens192");
    assert_eq!(addresses(nic), ["192.0.2.10", "2001:db8::10"]);
    assert_eq!(nic.matches.macs, [], "macaddress sets, it does not select");
    assert_eq!((nic.kind.clone(), nic.dynamic), (Kind::Physical, false));
    assert!(named(&found, "ens224").dynamic);
    assert!(named(&found, "ens256").dynamic);
    assert!(!named(&found, "ens288").dynamic);
}

#[test]
fn matches_and_new_names() {
    let mac = "00:50:56:aa:bb:01";
    for (text, name, globs, macs, renames, other) in [
        (
            "match: {macaddress: \"00:50:56:AA:BB:01\"}\n      set-name: lan0",
            Some("lan0"),
            &[][..],
            &[mac][..],
            true,
            None,
        ),
        (
            "match: {macaddress: 00:50:56:aa:bb:01}",
            None,
            &[],
            &[mac],
            false,
            None,
        ),
        (
            "match: {name: ens192}",
            Some("ens192"),
            &[],
            &[],
            false,
            None,
        ),
        ("match: {name: \"en*\"}", None, &["en*"], &[], false, None),
        (
            "match: {name: ens192}\n      set-name: lan0",
            Some("lan0"),
            &["ens192"],
            &[],
            false,
            None,
        ),
        (
            "match: {name: en*, driver: [vmxnet3, e1000]}",
            None,
            &["en*"],
            &[],
            false,
            Some("driver: vmxnet3 driver: e1000"),
        ),
        ("match: {}", None, &[], &[], false, None),
        (
            "match: {macaddress: 80:00:02:08:fe}",
            None,
            &[],
            &[],
            false,
            Some("macaddress: \"80:00:02:08:fe\""),
        ),
    ] {
        let text = format!("network:\n  ethernets:\n    id0:\n      {text}\n");
        let found = one(&text);
        let matches = &found.interfaces[0].matches;
        assert_eq!(matches.name.as_deref(), name, "{text}");
        assert_eq!(matches.globs, globs, "{text}");
        let found_macs: Vec<_> = matches.macs.iter().map(ToString::to_string).collect();
        assert_eq!(found_macs, macs, "{text}");
        assert_eq!(matches.renames, renames, "{text}");
        assert_eq!(matches.other.as_deref(), other, "{text}");
    }
}

#[test]
fn devices_refer_to_each_other_by_id() {
    let found = one("\
network:
  version: 2
  ethernets:
    lo: {addresses: [192.0.2.200/32]}
    uplink: {match: {macaddress: 00:50:56:aa:bb:01}, set-name: lan0}
    other: {match: {macaddress: 00:50:56:aa:bb:02}}
    ens256: {}
  bonds:
    bond0:
      interfaces: [uplink, other]
      addresses: [192.0.2.10/24]
  bridges:
    br0: {interfaces: [bond0.100, ens256, absent]}
  vlans:
    bond0.100: {id: 100, link: bond0}
    mgmt: {id: 5, link: other, addresses: [198.51.100.1/24]}
  vrfs:
    red: {table: 5, interfaces: [mgmt]}
  tunnels:
    gre1: {mode: gre, remote: 192.0.2.9, local: 192.0.2.10, addresses: [10.0.0.1/30]}
  wifis:
    wlan0: {dhcp4: true, access-points: {x: {password: secret}}}
  dummy-devices:
    dm0: {addresses: [192.0.2.99/32]}
");
    assert_eq!(found.warnings, [""; 0]);
    let check = |name: &str, kind: Kind, lower: &[&str], upper: Option<&str>| {
        let interface = named(&found, name);
        assert_eq!(interface.kind, kind, "{name}");
        assert_eq!(interface.lower, lower, "{name}");
        assert_eq!(interface.upper.as_deref(), upper, "{name}");
    };
    check("lo", Kind::Other("loopback".into()), &[], None);
    check("lan0", Kind::Physical, &[], Some("bond0"));
    check("ens256", Kind::Physical, &[], Some("br0"));
    check("bond0", Kind::Bond, &["lan0"], None);
    check(
        "br0",
        Kind::Bridge,
        &["bond0.100", "ens256", "absent"],
        None,
    );
    check("bond0.100", Kind::Vlan, &["bond0"], Some("br0"));
    check("mgmt", Kind::Vlan, &[], None);
    check("red", Kind::Other("vrf".into()), &[], None);
    check("gre1", Kind::Other("tunnel".into()), &[], None);
    check("wlan0", Kind::Other("wifi".into()), &[], None);
    check("dm0", Kind::Other("dummy".into()), &[], None);
    let unnamed = &found.interfaces[2];
    assert_eq!(unnamed.matches.name, None);
    assert_eq!(unnamed.upper.as_deref(), Some("bond0"));
}

#[test]
fn files_are_merged_in_the_order_of_their_names() {
    let file = |body: &str| format!("network:\n  ethernets:\n    {body}\n");
    let found = found(&[
        (
            "etc/netplan/10-a.yaml",
            &file("ens192: {dhcp4: true, addresses: [192.0.2.1/24]}"),
        ),
        (
            "lib/netplan/20-b.yaml",
            &file("ens192: {dhcp4: false, addresses: [192.0.2.2/24, 192.0.2.1/24]}"),
        ),
        (
            "run/netplan/05-c.yaml",
            &file("ens192: {match: {macaddress: 00:50:56:aa:bb:01}, dhcp4: false}"),
        ),
        ("etc/netplan/30-d.yaml", &file("ens192: {set-name: ens192}")),
        // Hidden by the file of that name in /run.
        ("etc/netplan/05-c.yaml", &file("ens224: {}")),
        ("lib/netplan/10-a.yaml", &file("ens256: {}")),
        ("etc/netplan/99-e.yml", &file("ens288: {}")),
        ("etc/netplan/.hidden.yaml", &file("ens320: {}")),
        ("etc/netplan/dir.yaml/x", ""),
        ("usr/lib/netplan/10-a.yaml", &file("ens352: {}")),
    ]);
    assert_eq!(found.warnings, [""; 0]);
    let [nic] = found.interfaces.as_slice() else {
        panic!("{found:#?}")
    };
    assert_eq!(nic.matches.name.as_deref(), Some("ens192"));
    assert_eq!(nic.matches.macs.len(), 1);
    assert!(nic.matches.renames);
    assert!(!nic.dynamic);
    assert_eq!(addresses(nic), ["192.0.2.1", "192.0.2.2"]);
    assert_eq!(nic.source.to_string(), "/etc/netplan/10-a.yaml");
}

#[test]
fn broken_files_do_not_hide_others() {
    let found = found(&[
        ("etc/netplan/1.yaml", "network: [\n"),
        (
            "etc/netplan/2.yaml",
            "network:\n  version: 1\n  config:\n  - {type: physical, name: eth0}\n",
        ),
        (
            "etc/netplan/3.yaml",
            "network:\n  ethernets:\n    ens192: {addresses: [dhcp, 192.0.2.10/24]}\n",
        ),
        (
            "etc/netplan/4.yaml",
            "network:\n  bridges:\n    ens192: {}\n",
        ),
        ("etc/netplan/5.yaml", "\u{0}\u{1}"),
        ("etc/netplan/6.yaml", "-> 6.yaml"),
    ]);
    assert_eq!(found.interfaces.len(), 1);
    assert_eq!(addresses(&found.interfaces[0]), ["192.0.2.10"]);
    let warnings = found.warnings.join("\n");
    for expected in [
        "1.yaml, line ",
        "2.yaml: not used: netplan reads version 2",
        "3.yaml: \"ens192\": no address: \"dhcp\"",
        "4.yaml: \"ens192\" is defined in /etc/netplan/3.yaml already",
        "5.yaml",
    ] {
        assert!(warnings.contains(expected), "{expected} in\n{warnings}");
    }
    assert_eq!(found.warnings.len(), 5, "{warnings}");
}
