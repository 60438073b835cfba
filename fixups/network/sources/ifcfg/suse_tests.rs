use super::*;
use crate::network::sources::ifcfg::shell;

fn parse_all(files: &[(&str, &str)]) -> Found {
    let files: Vec<File> = files
        .iter()
        .map(|(suffix, text)| File {
            path: format!("{DIR}/ifcfg-{suffix}").as_str().into(),
            suffix: (*suffix).to_owned(),
            variables: shell::parse(text),
        })
        .collect();
    let mut found = Found::default();
    interpret(&files, &mut found);
    found
}

fn one(suffix: &str, text: &str) -> Interface {
    let mut found = parse_all(&[(suffix, text)]);
    assert_eq!(found.warnings, Vec::<String>::new(), "{suffix} {text}");
    assert_eq!(found.interfaces.len(), 1, "{suffix} {text}");
    found.interfaces.remove(0)
}

fn shown(interface: &Interface) -> Vec<String> {
    interface
        .addresses
        .iter()
        .map(ToString::to_string)
        .collect()
}

#[test]
fn the_file_is_named_after_the_device_or_its_address_or_place() {
    let mac: Mac = "00:0c:29:01:02:03".parse().unwrap();
    for (suffix, text, name, macs, other) in [
        ("eth0", "", Some("eth0"), vec![], None),
        (
            "eth0",
            "LLADDR='00:0c:29:01:02:03'\n",
            Some("eth0"),
            vec![],
            None,
        ),
        ("eth-id-00:0c:29:01:02:03", "", None, vec![mac], None),
        ("id-00:0C:29:01:02:03", "", None, vec![mac], None),
        (
            "eth-id-00:0c:29:01:02:03",
            "PERSISTENT_NAME=net0\n",
            Some("net0"),
            vec![mac],
            None,
        ),
        (
            "eth-bus-pci-0000:02:01.0",
            "",
            None,
            vec![],
            Some("bus-pci-0000:02:01.0"),
        ),
        (
            "bus-pci-0000:02:01.0",
            "_nm_name='eth-id-00:0c:29:01:02:03'\n",
            None,
            vec![mac],
            Some("bus-pci-0000:02:01.0"),
        ),
        (
            "vpid-0x8086-0x1014-0x0549",
            "",
            None,
            vec![],
            Some("vpid-0x8086-0x1014-0x0549"),
        ),
    ] {
        let interface = one(suffix, text);
        assert_eq!(interface.matches.name.as_deref(), name, "{suffix} {text}");
        assert_eq!(interface.matches.macs, macs, "{suffix} {text}");
        assert_eq!(interface.matches.other.as_deref(), other, "{suffix} {text}");
        assert_eq!(
            interface.matches.renames,
            name == Some("net0"),
            "{suffix} {text}"
        );
        assert_eq!(interface.kind, Kind::Physical, "{suffix} {text}");
    }
    let found = parse_all(&[("a name with spaces", ""), ("eth0", "")]);
    assert_eq!(found.interfaces.len(), 1);
    assert_eq!(found.warnings.len(), 1);
}

#[test]
fn every_suffix_makes_an_address() {
    let interface = one(
        "eth0",
        "BOOTPROTO='static'\nIPADDR='192.0.2.1/24'\nIPADDR_0='192.0.2.2'\nNETMASK_0=255.255.255.0\n\
         IPADDR1=192.0.2.3\nPREFIXLEN1=24\nLABEL_1=x\nIPADDR_home='192.0.2.4/24'\nIPADDR6=2001:db8::1/64\n\
         IPADDR_9=''\nREMOTE_IPADDR=192.0.2.254\nTUNNEL_LOCAL_IPADDR=192.0.2.253\nBROADCAST=192.0.2.255\n",
    );
    assert_eq!(
        shown(&interface),
        [
            "192.0.2.1",
            "192.0.2.2",
            "192.0.2.3",
            "2001:db8::1",
            "192.0.2.4"
        ]
    );
    assert!(!interface.dynamic);
    for (value, dynamic) in [
        ("dhcp", true),
        ("dhcp4", true),
        ("DHCP6", true),
        ("dhcp+autoip", true),
        ("auto6", true),
        ("static", false),
        ("none", false),
        ("autoip", false),
    ] {
        assert_eq!(
            one("eth0", &format!("BOOTPROTO='{value}'\n")).dynamic,
            dynamic,
            "{value}"
        );
    }
}

#[test]
fn kinds_and_what_they_are_made_of() {
    let other = |word: &str| Kind::Other(word.to_owned());
    for (suffix, text, kind, lower) in [
        ("eth0", "", Kind::Physical, vec![]),
        ("lo", "IPADDR=127.0.0.1/8", other("loopback"), vec![]),
        (
            "bond0",
            "BONDING_MASTER=yes\nBONDING_SLAVE0=eth0\nBONDING_SLAVE1=eth1",
            Kind::Bond,
            vec!["eth0", "eth1"],
        ),
        (
            "b",
            "BONDING_SLAVE_1=eth1\nBONDING_SLAVE_0=eth0",
            Kind::Bond,
            vec!["eth0", "eth1"],
        ),
        (
            "team0",
            "TEAM_RUNNER=lacp\nTEAM_PORT_DEVICE_1=en0\nTEAM_PORT_PRIO_1=3",
            Kind::Team,
            vec!["en0"],
        ),
        ("team0", "TEAM_PORT_DEVICE=en0", Kind::Team, vec!["en0"]),
        (
            "br0",
            "BRIDGE='yes'\nBRIDGE_PORTS='eth0 eth1'\nBRIDGE_STP=off",
            Kind::Bridge,
            vec!["eth0", "eth1"],
        ),
        (
            "ovs0",
            "OVS_BRIDGE=yes\nOVS_BRIDGE_PORT_DEVICE_1=eth0",
            Kind::Bridge,
            vec!["eth0"],
        ),
        ("vlan7", "ETHERDEVICE=eth0", Kind::Vlan, vec!["eth0"]),
        ("eth0.7", "", Kind::Vlan, vec!["eth0"]),
        (
            "ib0.8001",
            "IPOIB_MODE=datagram",
            other("infiniband"),
            vec!["ib0"],
        ),
        ("m0", "MACVLAN_DEVICE=eth0", other("macvlan"), vec!["eth0"]),
        ("m0", "MACVTAP_DEVICE=eth0", other("macvtap"), vec!["eth0"]),
        (
            "gre1",
            "TUNNEL=gre\nTUNNEL_DEVICE=eth0",
            other("gre"),
            vec!["eth0"],
        ),
        ("d", "INTERFACETYPE=dummy", other("dummy"), vec![]),
        ("dummy0", "", other("dummy"), vec![]),
        ("wlan0", "WIRELESS_ESSID=x", other("wireless"), vec![]),
        (
            "eth0",
            "INTERFACETYPE=eth\nWIRELESS_ESSID=''",
            Kind::Physical,
            vec![],
        ),
    ] {
        let interface = one(suffix, text);
        assert_eq!(interface.kind, kind, "{suffix} {text}");
        assert_eq!(interface.lower, lower, "{suffix} {text}");
    }
}

#[test]
fn ports_know_their_bond_and_are_no_bridges() {
    let found = parse_all(&[
        ("bond0", "BONDING_MASTER=yes\nBONDING_SLAVE_0=eth0\n"),
        ("br0", "BRIDGE_PORTS='eth1'\n"),
        ("eth0", "STARTMODE=hotplug\n"),
        ("eth1", "BRIDGE=yes\n"),
        ("eth2", "TEAM_MASTER=team0\n"),
        ("eth3", "MASTER_DEVICE=ovs-system\n"),
        ("team0", "BOOTPROTO=dhcp\n"),
    ]);
    let by_name = |name: &str| {
        found
            .interfaces
            .iter()
            .find(|i| i.matches.name.as_deref() == Some(name))
            .unwrap()
    };
    assert_eq!(by_name("eth0").upper.as_deref(), Some("bond0"));
    assert_eq!(by_name("eth1").upper.as_deref(), Some("br0"));
    assert_eq!(by_name("eth1").kind, Kind::Physical);
    assert_eq!(by_name("eth2").upper.as_deref(), Some("team0"));
    assert_eq!(by_name("eth3").upper.as_deref(), Some("ovs-system"));
    assert_eq!(by_name("team0").kind, Kind::Team);
    assert_eq!(by_name("team0").lower, ["eth2"]);
}

#[test]
fn files_of_aliases_add_to_their_device() {
    let found = parse_all(&[
        ("eth0", "IPADDR=192.0.2.1/24\n"),
        ("eth0:1", "IPADDR=192.0.2.2/24\n"),
        ("eth5:1", "IPADDR=192.0.2.5/24\n"),
    ]);
    assert_eq!(found.interfaces.len(), 2);
    assert_eq!(shown(&found.interfaces[0]), ["192.0.2.1", "192.0.2.2"]);
    assert_eq!(found.interfaces[1].matches.name.as_deref(), Some("eth5"));
}

#[test]
fn files_of_a_guest() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("etc/sysconfig/network");
    std::fs::create_dir_all(&dir).unwrap();
    for (name, text) in [
        ("ifcfg-eth0", "IPADDR='192.0.2.1/24'\n"),
        ("ifcfg-eth0.rpmsave", "IPADDR='192.0.2.9/24'\n"),
        ("ifcfg-eth1~", ""),
        ("ifcfg.template", "IPADDR=''\n"),
        ("ifroute-eth0", "default 192.0.2.254\n"),
        ("config", "X=1\n"),
    ] {
        std::fs::write(dir.join(name), text).unwrap();
    }
    let backend = refit_engine::backend::RootBackend::open(root.path()).unwrap();
    let guest = Guest::inspect(&backend, &Default::default()).unwrap();
    let found = super::super::read(&guest).unwrap();
    assert_eq!(found.warnings, Vec::<String>::new());
    assert_eq!(found.interfaces.len(), 1);
    assert_eq!(
        found.interfaces[0].source,
        "/etc/sysconfig/network/ifcfg-eth0".into()
    );
}
