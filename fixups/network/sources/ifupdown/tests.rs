//! Tests on trees of files.

use super::*;
use crate::network::model::{Interface, Kind};
use crate::network::sources::reading::with_guest;

fn found(files: &[(&str, &str)]) -> Found {
    with_guest(files, |guest| read(guest).unwrap())
}

fn one(text: &str) -> Found {
    found(&[("etc/network/interfaces", text)])
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
fn stanzas_of_one_name_and_its_aliases_are_one_interface() {
    let found = one("\
auto lo ens192 ens192:1
iface lo inet loopback
iface ens192 inet static
    address 192.0.2.10
    netmask 255.255.255.0
    network 192.0.2.0
    broadcast 192.0.2.255
    gateway 192.0.2.1
    dns-nameservers 192.0.2.53
    hwaddress ether 00:50:56:aa:bb:99
iface ens192 inet6 static
    address 2001:db8::10/64
    gateway fe80::1
iface ens192:1 inet static
    address 192.0.2.11/24
allow-hotplug ens224
iface ens224 inet dhcp
iface ens256 inet6 auto
iface ens288 inet manual
");
    assert_eq!(found.warnings, [""; 0]);
    assert_eq!(found.interfaces.len(), 5);
    let nic = named(&found, "ens192");
    assert_eq!(addresses(nic), ["192.0.2.10", "2001:db8::10", "192.0.2.11"]);
    assert_eq!(nic.kind, Kind::Physical);
    assert_eq!(nic.matches.macs, [], "hwaddress sets, it does not select");
    assert!(!nic.dynamic);
    assert!(named(&found, "ens224").dynamic);
    assert!(named(&found, "ens256").dynamic);
    assert!(!named(&found, "ens288").dynamic);
    assert_eq!(named(&found, "lo").kind, Kind::Other("loopback".into()));
}

#[test]
fn included_files() {
    let iface = |name: &str, n: u8| format!("iface {name} inet static\n address 192.0.2.{n}/24\n");
    let found = found(&[
        (
            "etc/network/interfaces",
            "source interfaces.d/*\nsource-directory more\nsource /etc/network/interfaces\n\
             source /absent /etc/network/no*pattern\nsource $HOME/x\niface ens192 inet manual\n",
        ),
        ("etc/network/interfaces.d/b.cfg", &iface("b", 2)),
        ("etc/network/interfaces.d/a", &iface("a", 1)),
        ("etc/network/interfaces.d/.hidden", &iface("hidden", 9)),
        ("etc/network/interfaces.d/sub/x", &iface("sub", 9)),
        (
            "etc/network/interfaces.d/up",
            "source ../interfaces.d/a\nsource ../../elsewhere\n",
        ),
        ("etc/elsewhere", &iface("ens192", 5)),
        ("etc/network/more/c", &iface("c", 3)),
        ("etc/network/more/c.bak", &iface("bak", 9)),
        ("etc/network/more/d~", &iface("tilde", 9)),
    ]);
    let names: Vec<_> = found
        .interfaces
        .iter()
        .map(|i| i.matches.name.as_deref().unwrap())
        .collect();
    assert_eq!(names, ["a", "b", "ens192", "c"]);
    assert_eq!(named(&found, "ens192").source.to_string(), "/etc/elsewhere");
    let warnings = found.warnings.join("\n");
    assert_eq!(found.warnings.len(), 2, "{warnings}");
    assert!(warnings.contains("interfaces, line 4: source: there is no file /absent"));
    assert!(warnings.contains("interfaces, line 5: not followed"));
}

#[test]
fn bonds_bridges_and_vlans_are_a_graph() {
    let found = one("\
iface ens192 inet manual
    bond-master bond0
    bond-mode active-backup
iface ens224 inet manual
iface bond0 inet static
    address 192.0.2.10/24
    bond-slaves ens224
    bond-mode active-backup
iface bond1 inet manual
    bond-slaves none
iface br0 inet static
    bridge_ports bond0.100 ens256
    address 198.51.100.1/24
iface br1 inet manual
    bridge-ports regex eth[0-9]+ none
iface vlan200 inet static
    vlan-raw-device ens288
    address 203.0.113.1/24
iface ens288.7 inet6 static
    address 2001:db8:7::1/64
iface servers
    use vlan
    vlan-id 8
    requires ens320
iface bond2
    use bond
    requires ens352 ens384
iface wlan0 inet dhcp
    wpa-ssid secret
iface gre1 inet tunnel
    address 10.9.9.1
    local 192.0.2.10
iface br3 inet manual
    ovs_type OVSBridge
    ovs_ports ens416
");
    let check = |name: &str, kind: Kind, lower: &[&str], upper: Option<&str>| {
        let interface = named(&found, name);
        assert_eq!(interface.kind, kind, "{name}");
        assert_eq!(interface.lower, lower, "{name}");
        assert_eq!(interface.upper.as_deref(), upper, "{name}");
    };
    check("ens192", Kind::Physical, &[], Some("bond0"));
    check("ens224", Kind::Physical, &[], Some("bond0"));
    check("bond0", Kind::Bond, &["ens224", "ens192"], None);
    check("bond1", Kind::Bond, &[], None);
    check("br0", Kind::Bridge, &["bond0.100", "ens256"], None);
    check("br1", Kind::Bridge, &[], None);
    check("vlan200", Kind::Vlan, &["ens288"], None);
    check("ens288.7", Kind::Vlan, &["ens288"], None);
    check("servers", Kind::Vlan, &["ens320"], None);
    check("bond2", Kind::Bond, &["ens352", "ens384"], None);
    check("wlan0", Kind::Other("wireless".into()), &[], None);
    check("gre1", Kind::Other("tunnel".into()), &[], None);
    check("br3", Kind::Bridge, &["ens416"], None);
    assert_eq!(found.warnings.len(), 1, "{:?}", found.warnings);
    assert!(found.warnings[0].contains("line 15: not all bridge ports"));
}

#[test]
fn inheritance() {
    let found = one("\
auto eth0
iface ethernet inet static
    mtu 1500
iface eth0 inet static inherits ethernet
    address 192.0.2.10/24
template uplink
    use dhcp
iface eth1
    inherit uplink
iface base inet static
    address 192.0.2.20/24
iface eth2 inet inherits base
iface eth3 inherits eth4
iface eth4 inherits eth3
");
    let names: Vec<_> = found
        .interfaces
        .iter()
        .map(|i| i.matches.name.as_deref().unwrap())
        .collect();
    assert_eq!(names, ["eth0", "eth1", "base", "eth2"]);
    assert!(named(&found, "eth1").dynamic);
    assert_eq!(addresses(named(&found, "eth2")), ["192.0.2.20"]);
}

#[test]
fn patterns_and_renaming() {
    let found = one("\
auto /en*=lan mac/00:50:56:aa:bb:01/=dmz ens1=host /eth*/2=second /wl*
rename mac/00:50:56:aa:bb:02=wan0 enx1=old0 mac/00:50:56:aa:bb:03=bare0
iface lan inet dhcp
iface dmz inet static
    address 192.0.2.10/24
iface host inet manual
iface second inet manual
iface wan0 inet dhcp
iface old0 inet dhcp
iface ens* inet dhcp
");
    assert_eq!(found.warnings, [""; 0]);
    let matches: Vec<_> = found
        .interfaces
        .iter()
        .map(|i| {
            let m = &i.matches;
            let macs: Vec<_> = m.macs.iter().map(ToString::to_string).collect();
            (
                m.name.as_deref(),
                m.globs.join(" "),
                macs.join(" "),
                m.renames,
                m.other.as_deref(),
            )
        })
        .collect();
    let text = |text: &str| text.to_owned();
    assert_eq!(
        matches,
        [
            (None, text("en*"), text(""), false, None),
            (None, text(""), text("00:50:56:aa:bb:01"), false, None),
            (Some("ens1"), text(""), text(""), false, None),
            (None, text("eth*"), text(""), false, Some("/eth*/2")),
            (
                Some("wan0"),
                text(""),
                text("00:50:56:aa:bb:02"),
                true,
                None
            ),
            (Some("old0"), text("enx1"), text(""), false, None),
            (None, text("ens*"), text(""), false, None),
            (
                Some("bare0"),
                text(""),
                text("00:50:56:aa:bb:03"),
                true,
                None
            ),
        ]
    );
}

#[test]
fn a_mapping_hides_whose_configuration_it_is() {
    let found = one("\
auto lo eth0 eth1
iface lo inet loopback
mapping eth0
    script /usr/local/sbin/where
    map HOME home
iface home inet static
    address 192.0.2.10/24
iface eth0 inet dhcp
iface eth1 inet dhcp
");
    assert_eq!(found.warnings.len(), 1, "{:?}", found.warnings);
    let home = &found.interfaces[1].matches;
    assert_eq!(home.name, None);
    assert_eq!(home.globs, ["eth0"]);
    assert_eq!(home.other.as_deref(), Some("mapping to home"));
    assert!(named(&found, "eth0").dynamic);
    assert!(named(&found, "eth1").dynamic);
}

#[test]
fn what_is_not_understood_is_named_and_the_rest_counts() {
    let found = one("\
stray line
mapping eth0
    script /usr/local/sbin/map
    map HOME eth0-home
iface
iface eth0 inet static
    address 300.0.0.1
    address 192.0.2.10/24 # home
%for v in range(1,3):
iface can0 can static
    address 1f
auto can0
");
    assert_eq!(addresses(named(&found, "eth0")), ["192.0.2.10"]);
    assert_eq!(addresses(named(&found, "can0")), [""; 0]);
    let lines: Vec<_> = found
        .warnings
        .iter()
        .map(|w| w.split(": ").next().unwrap().rsplit(' ').next().unwrap())
        .collect();
    assert_eq!(lines, ["1", "2", "5", "7", "9"], "{:?}", found.warnings);
}

#[test]
fn hostile_trees_end() {
    let wide: String = (0..10_000)
        .map(|n| {
            format!(
                "iface e{n} inet static inherits e{}\n address 10.0.0.1\n",
                n + 1
            )
        })
        .collect();
    let found = found(&[
        (
            "etc/network/interfaces",
            "source d/*\nsource-directory d\nsource big\n",
        ),
        ("etc/network/d/a", "source b\nsource ../d/*/../*\n"),
        ("etc/network/d/b", "source a\nsource ../interfaces\n"),
        ("etc/network/d/loop", "-> loop"),
        ("etc/network/d/out", "-> ../../../../../../etc/passwd"),
        ("etc/network/big", &wide),
    ]);
    assert_eq!(found.interfaces.len(), 4096);
    assert!(found.warnings.len() <= 101);
    with_guest(&[], |guest| {
        assert_eq!(read(guest).unwrap(), Found::default());
    });
}
