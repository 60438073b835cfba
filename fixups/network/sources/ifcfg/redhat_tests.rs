use super::*;
use crate::network::sources::ifcfg::shell;

fn parse_all(files: &[(&str, &str)], renamed: bool) -> Found {
    let files: Vec<File> = files
        .iter()
        .map(|(suffix, text)| File {
            path: format!("{DIR}/ifcfg-{suffix}").as_str().into(),
            suffix: (*suffix).to_owned(),
            variables: shell::parse(text),
        })
        .collect();
    let mut found = Found::default();
    interpret(&files, renamed, &mut found);
    found
}

fn one(suffix: &str, text: &str) -> Interface {
    let mut found = parse_all(&[(suffix, text)], false);
    assert_eq!(found.warnings, Vec::<String>::new(), "{text}");
    assert_eq!(found.interfaces.len(), 1, "{text}");
    found.interfaces.remove(0)
}

fn shown(addresses: &[IpAddr]) -> Vec<String> {
    addresses.iter().map(ToString::to_string).collect()
}

#[test]
fn names_come_from_device_or_a_telling_file_name() {
    let mac = "00:50:56:aa:bb:01".parse().unwrap();
    for (suffix, text, name, has_mac) in [
        ("x", "DEVICE=\"ens192\"\n", Some("ens192"), false),
        (
            "x",
            "DEVICE=eth0\nHWADDR=00:50:56:AA:BB:01\n",
            Some("eth0"),
            true,
        ),
        ("eth3", "HWADDR=00:50:56:AA:BB:01\n", Some("eth3"), true),
        (
            "Wired-eth3",
            "HWADDR='00:50:56:AA:BB:01'\n",
            Some("eth3"),
            true,
        ),
        ("Wired_1", "HWADDR=00:50:56:AA:BB:01\n", None, true),
        ("eth0", "IPADDR=192.0.2.1\n", Some("eth0"), false),
        ("Wired", "IPADDR=192.0.2.1\n", None, false),
        // It sets this address, so it says nothing of the card's own.
        (
            "eth0",
            "DEVICE=eth0\nMACADDR=00:50:56:AA:BB:01\n",
            Some("eth0"),
            false,
        ),
        (
            "x",
            "TYPE=Vlan\nPHYSDEV=eth9\nVLAN_ID=43\n",
            Some("eth9.43"),
            false,
        ),
    ] {
        let interface = one(suffix, text);
        assert_eq!(interface.matches.name.as_deref(), name, "{suffix} {text}");
        assert_eq!(interface.matches.macs == [mac], has_mac, "{suffix} {text}");
        assert!(!interface.matches.renames, "{suffix} {text}");
    }
}

#[test]
fn a_device_that_is_no_name_or_only_the_shell_knows_is_not_every_device() {
    for device in ["$(cat /etc/dev)", "../../x"] {
        let text = format!("DEVICE={device}\nIPADDR=192.0.2.1\n");
        let found = parse_all(&[("eth0", &text)], false);
        let matches = &found.interfaces[0].matches;
        assert_eq!(matches.name, None, "{device}");
        assert!(matches.other.is_some(), "{device}");
        assert_eq!(shown(&found.interfaces[0].addresses), ["192.0.2.1"]);
    }
}

#[test]
fn cards_are_renamed_where_the_helper_is() {
    let text = "DEVICE=eth0\nHWADDR=00:50:56:AA:BB:01\n";
    assert!(
        parse_all(&[("eth0", text)], true).interfaces[0]
            .matches
            .renames
    );
    // Without DEVICE, the helper has nothing to print.
    let found = parse_all(&[("eth0", "HWADDR=00:50:56:AA:BB:01\n")], true);
    assert!(!found.interfaces[0].matches.renames);
    for text in [
        "DEVICE=eth0\n",
        "DEVICE=eth0.5\nVLAN=yes\nHWADDR=00:50:56:AA:BB:01\n",
        "DEVICE=bond0\nTYPE=Bond\nHWADDR=00:50:56:AA:BB:01\n",
    ] {
        let interface = parse_all(&[("x", text)], true).interfaces.remove(0);
        assert!(!interface.matches.renames, "{text}");
        assert!(interface.matches.macs.is_empty(), "{text}");
    }
}

#[test]
fn addresses_of_every_numbering_but_no_gateways() {
    let interface = one(
        "eth0",
        "DEVICE=eth0\nIPADDR=192.0.2.1\nIPADDR0=192.0.2.1\nIPADDR10=192.0.2.4\nIPADDR3=192.0.2.3\n\
         PREFIX=24\nNETMASK=255.255.255.0\nGATEWAY=192.0.2.254\nDNS1=192.0.2.53\nIPADDR5=0.0.0.0\n\
         IPV6ADDR=2001:DB8::1/64\nIPV6ADDR_SECONDARIES=\"2001:db8::2/64 2001:db8::3\"\n\
         IPV6_DEFAULTGW=2001:db8::fe\nBOOTPROTO=none\n",
    );
    assert_eq!(
        shown(&interface.addresses),
        [
            "192.0.2.1",
            "192.0.2.3",
            "192.0.2.4",
            "2001:db8::1",
            "2001:db8::2",
            "2001:db8::3"
        ]
    );
    assert!(!interface.dynamic);
    for text in [
        "DEVICE=eth0\nBOOTPROTO=DHCP\n",
        "DEVICE=eth0\nBOOTPROTO=bootp\n",
        "DEVICE=eth0\nDHCPV6C=yes\n",
        "DEVICE=eth0\nIPV6_AUTOCONF=yes\n",
    ] {
        assert!(one("eth0", text).dynamic, "{text}");
    }
}

#[test]
fn what_is_no_address_is_a_warning() {
    let found = parse_all(
        &[("eth0", "DEVICE=eth0\nIPADDR=VMIP\nIPADDR1=192.0.2.1\n")],
        false,
    );
    assert_eq!(shown(&found.interfaces[0].addresses), ["192.0.2.1"]);
    assert_eq!(
        found.warnings,
        ["/etc/sysconfig/network-scripts/ifcfg-eth0: IPADDR is no address: \"VMIP\""]
    );
}

#[test]
fn kinds() {
    let other = |word: &str| Kind::Other(word.to_owned());
    for (text, kind) in [
        ("DEVICE=eth0", Kind::Physical),
        ("DEVICE=eth0\nTYPE=Ethernet", Kind::Physical),
        ("DEVICE=lo", other("loopback")),
        ("DEVICE=x\nTYPE=Bond", Kind::Bond),
        ("DEVICE=x\nTYPE=Ethernet\nBONDING_MASTER=yes", Kind::Bond),
        ("DEVICE=x\nBONDING_OPTS='mode=1'", Kind::Bond),
        ("DEVICE=bond0\nIPADDR=192.0.2.1", Kind::Bond),
        ("DEVICE=x\nTYPE=Bridge", Kind::Bridge),
        ("DEVICE=x\nTYPE=OVSBridge\nDEVICETYPE=ovs", Kind::Bridge),
        (
            "DEVICE=eth1\nTYPE=OVSPort\nDEVICETYPE=ovs\nOVS_BRIDGE=x",
            Kind::Physical,
        ),
        (
            "DEVICE=x\nTYPE=OVSIntPort\nDEVICETYPE=ovs",
            other("ovsintport"),
        ),
        ("DEVICE=x\nDEVICETYPE=Team", Kind::Team),
        ("DEVICE=x\nTEAM_CONFIG='{}'", Kind::Team),
        (
            "DEVICE=p1\nDEVICETYPE=TeamPort\nTEAM_MASTER=x",
            Kind::Physical,
        ),
        ("DEVICE=x\nTYPE=Vlan\nPHYSDEV=eth0", Kind::Vlan),
        ("DEVICE=eth0.7\nVLAN=yes", Kind::Vlan),
        ("DEVICE=eth0.7\nTYPE=Ethernet", Kind::Vlan),
        ("DEVICE=x\nTYPE=InfiniBand", other("infiniband")),
        ("DEVICE=x\nTYPE=Wireless", other("wireless")),
        ("DEVICE=x\nTYPE=IPIP", other("ipip")),
        ("DEVICE=dummy0", other("dummy")),
        (
            "DEVICE=x\nTYPE=macvlan\nMACVLAN_PARENT=eth0",
            other("macvlan"),
        ),
        ("DEVICE=ppp0\nTYPE=xDSL\nETH=eth0", other("xdsl")),
    ] {
        assert_eq!(one("f", text).kind, kind, "{text}");
    }
}

#[test]
fn parents_and_ports() {
    for (text, lower, upper) in [
        ("DEVICE=eth0.7\nVLAN=yes", vec!["eth0"], None),
        ("DEVICE=vlan7\nVLAN=yes\nPHYSDEV=eth1", vec!["eth1"], None),
        ("DEVICE=m0\nMACVLAN_PARENT=eth2", vec!["eth2"], None),
        (
            "DEVICE=eth0\nMASTER=bond0\nSLAVE=yes",
            vec![],
            Some("bond0"),
        ),
        ("DEVICE=eth0\nTEAM_MASTER=team0", vec![], Some("team0")),
        ("DEVICE=eth0\nBRIDGE=br0", vec![], Some("br0")),
        (
            "DEVICE=eth0\nTYPE=OVSPort\nOVS_BRIDGE=br1",
            vec![],
            Some("br1"),
        ),
        (
            "DEVICE=b\nTYPE=OVSBond\nOVS_BRIDGE=br1\nBOND_IFACES='eth1 eth2'",
            vec!["eth1", "eth2"],
            Some("br1"),
        ),
        (
            "DEVICE=b\nTYPE=Bond\nBONDING_SLAVE1=eth1\nBONDING_SLAVE0=eth0",
            vec!["eth0", "eth1"],
            None,
        ),
    ] {
        let interface = one("f", text);
        assert_eq!(interface.lower, lower, "{text}");
        assert_eq!(interface.upper.as_deref(), upper, "{text}");
    }
}

#[test]
fn a_bond_knows_its_ports_and_uuids_are_names() {
    let found = parse_all(
        &[
            (
                "bond0",
                "DEVICE=bond0\nTYPE=Ethernet\nUUID=11111111-2222-3333-4444-555555555555\nIPADDR=192.0.2.1\nHWADDR=00:50:56:aa:bb:09\n",
            ),
            (
                "eth0",
                "DEVICE=eth0\nMASTER=11111111-2222-3333-4444-555555555555\nSLAVE=yes\n",
            ),
            (
                "eth1",
                "DEVICE=eth1\nMASTER_UUID=11111111-2222-3333-4444-555555555555\n",
            ),
            (
                "v",
                "TYPE=Vlan\nPHYSDEV=11111111-2222-3333-4444-555555555555\nDEVICE=v\n",
            ),
        ],
        true,
    );
    let bond = &found.interfaces[0];
    assert_eq!(bond.kind, Kind::Bond);
    assert_eq!(bond.lower, ["eth0", "eth1"]);
    assert!(bond.matches.macs.is_empty() && !bond.matches.renames);
    assert_eq!(found.interfaces[1].upper.as_deref(), Some("bond0"));
    assert_eq!(found.interfaces[2].upper.as_deref(), Some("bond0"));
    assert_eq!(found.interfaces[3].lower, ["bond0"]);
}

#[test]
fn aliases_and_ranges_belong_to_their_device() {
    let found = parse_all(
        &[
            ("eth0", "DEVICE=eth0\nIPADDR=192.0.2.1\n"),
            (
                "eth0-range0",
                "IPADDR_START=192.0.2.10\nIPADDR_END=192.0.2.12\nCLONENUM_START=0\n",
            ),
            ("eth0:1", "DEVICE=eth0:1\nIPADDR=192.0.2.2\n"),
            ("eth0:2", "IPADDR=192.0.2.3\n"),
            ("eth7:1", "DEVICE='eth7:1'\nIPADDR=198.51.100.1\n"),
        ],
        false,
    );
    assert_eq!(found.warnings, Vec::<String>::new());
    assert_eq!(found.interfaces.len(), 2);
    assert_eq!(
        shown(&found.interfaces[0].addresses),
        [
            "192.0.2.1",
            "192.0.2.10",
            "192.0.2.11",
            "192.0.2.12",
            "192.0.2.2",
            "192.0.2.3"
        ]
    );
    assert_eq!(found.interfaces[1].matches.name.as_deref(), Some("eth7"));
    assert_eq!(shown(&found.interfaces[1].addresses), ["198.51.100.1"]);

    for bad in [
        "IPADDR_START=1.2.3.4\n",
        "IPADDR_START=1.2.3.4\nIPADDR_END=1.2.9.5\n",
        "IPADDR_START=1.2.3.9\nIPADDR_END=1.2.3.4\n",
    ] {
        let found = parse_all(&[("eth0", "DEVICE=eth0\n"), ("eth0-range0", bad)], false);
        assert_eq!(found.warnings.len(), 1, "{bad}");
        assert_eq!(found.interfaces[0].addresses, Vec::<IpAddr>::new(), "{bad}");
    }
}

#[test]
fn match_settings() {
    let interface = one(
        "x",
        "MATCH_INTERFACE_NAME=\"ens* |eth? eth\\\\ 1? !veth*\"\n",
    );
    assert_eq!(interface.matches.globs, ["ens*", "eth?", "eth 1?"]);
    assert_eq!(interface.matches.name, None);
    let interface = one("eth0", "MATCH_DRIVER=vmxnet3\n");
    assert_eq!(
        interface.matches.other.as_deref(),
        Some("MATCH_DRIVER=vmxnet3")
    );
    assert_eq!(interface.matches.name, None);
}

#[test]
fn backups_are_passed_over() {
    for name in [
        "eth0.bak",
        "eth0~",
        "eth0.orig",
        "eth0.old",
        "eth0.rpmsave",
        "eth0.rpmnew",
        "eth0.BAK",
        "eth0.augnew",
        "eth0;5f3a0c1d",
        "eth0.rej",
    ] {
        assert!(ignored(name), "{name}");
    }
    for name in ["eth0", "eth0.100", "eth0:1", "bak", "eth0;zz"] {
        assert!(!ignored(name), "{name}");
    }
}

#[test]
fn files_of_a_guest() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("etc/sysconfig/network-scripts");
    std::fs::create_dir_all(&dir).unwrap();
    std::fs::create_dir_all(root.path().join("usr/lib/udev")).unwrap();
    std::fs::write(root.path().join("usr/lib/udev/rename_device"), "").unwrap();
    for (name, text) in [
        (
            "ifcfg-eth0",
            "DEVICE=eth0\nHWADDR=00:50:56:aa:bb:01\nIPADDR=192.0.2.1\n",
        ),
        ("ifcfg-eth0.bak", "DEVICE=eth9\n"),
        ("keys-eth0", "KEY=geheim\n"),
        ("route-eth0", "192.0.2.0/24 via 192.0.2.254\n"),
        ("ifup-eth", "DEVICE=eth8\n"),
        ("ifcfg-", "DEVICE=eth7\n"),
    ] {
        std::fs::write(dir.join(name), text).unwrap();
    }
    std::fs::write(dir.join("ifcfg-huge"), vec![b'#'; 300 * 1024]).unwrap();
    std::fs::write(
        dir.join("ifcfg-eth1"),
        b"DEVICE=eth1\nNAME='\xff\xfe\x00'\n",
    )
    .unwrap();
    std::os::unix::fs::symlink("ifcfg-loop", dir.join("ifcfg-loop")).unwrap();
    std::fs::create_dir(dir.join("ifcfg-dir")).unwrap();
    let backend = refit_engine::backend::RootBackend::open(root.path()).unwrap();
    let guest = Guest::inspect(&backend, &Default::default()).unwrap();

    let found = super::super::read(&guest).unwrap();

    let names: Vec<_> = found
        .interfaces
        .iter()
        .map(|i| i.matches.name.as_deref())
        .collect();
    assert_eq!(names, [Some("eth0"), Some("eth1")]);
    assert!(found.interfaces[0].matches.renames);
    assert_eq!(found.warnings.len(), 1, "{:?}", found.warnings);
    assert!(found.warnings[0].starts_with("/etc/sysconfig/network-scripts/ifcfg-huge: too long"));
}
