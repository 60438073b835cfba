//! What evidence leads to which name.

use super::*;
use crate::network::model::{Binding, Interface, Kind};
use crate::network::tests::{interface, virtual_interface, with_address, with_mac};

const A: &str = "00:50:56:aa:bb:01";
const B: &str = "00:50:56:aa:bb:02";
const C: &str = "00:50:56:aa:bb:03";

fn nic(mac: &str, addresses: &[&str], slot: Option<u32>) -> Nic {
    Nic {
        addresses: addresses.iter().map(|one| one.parse().unwrap()).collect(),
        pci_slot: slot,
        ..Nic::new(mac.parse().unwrap(), "--nic")
    }
}

fn binding(mac: &str, name: &str) -> Binding {
    Binding {
        mac: mac.parse().unwrap(),
        name: name.to_owned(),
        source: "/etc/binding".into(),
    }
}

struct Case<'c> {
    nics: &'c [Nic],
    interfaces: &'c [Interface],
    links: &'c [Binding],
    rules: &'c [Binding],
    leases: &'c [Lease],
}

const NOTHING: Case<'static> = Case {
    nics: &[],
    interfaces: &[],
    links: &[],
    rules: &[],
    leases: &[],
};

/// For each NIC its name, `-` where it needs none, `?` where it is unknown, with the decisive
/// evidence; and the number of warnings.
fn run(case: &Case<'_>) -> (Vec<String>, usize) {
    let topology = Topology::new(case.interfaces);
    let mut warnings = Vec::new();
    let bindings = Bindings {
        links: case.links,
        rules: case.rules,
        leases: case.leases,
        ..Bindings::default()
    };
    let naming = Naming {
        slots: true,
        new_name: "enp1s0",
    };
    let decided = decide(case.nics, &topology, bindings, naming, &mut warnings);
    let shown = decided.iter().map(|one| match &one.outcome {
        Outcome::Name(name) => format!("{name}: {}", one.evidence[0].by),
        Outcome::NotNeeded { by, .. } => format!("-: {by}"),
        Outcome::Unknown { .. } => "?".to_owned(),
    });
    (shown.collect(), warnings.len())
}

#[test]
fn an_address_is_an_address() {
    let interfaces = [
        with_address("ens224", "110.0.0.5"),
        with_address("ens192", "10.0.0.5"),
        with_address("ens256", "2001:db8::5"),
    ];
    let nics = [
        nic(A, &["10.0.0.5/24"], None),
        nic(B, &["2001:DB8:0::5/64"], None),
        nic(C, &["110.0.0.5/8"], None),
    ];
    let (names, warnings) = run(&Case {
        nics: &nics,
        interfaces: &interfaces,
        ..NOTHING
    });
    assert_eq!(
        names,
        [
            "ens192: address 10.0.0.5",
            "ens256: address 2001:db8::5",
            "ens224: address 110.0.0.5"
        ]
    );
    assert_eq!(warnings, 0);
}

#[test]
fn the_stated_order_decides_and_contradictions_are_said() {
    let by_mac = with_mac(Some("ens224"), A);
    let interfaces = [
        with_address("ens192", "192.0.2.1"),
        by_mac,
        interface("ens256"),
    ];
    let links = [binding(A, "ens256"), binding(B, "ens256")];
    let rules = [binding(B, "ens224")];
    let nics = [nic(A, &["192.0.2.1/24"], None), nic(B, &[], Some(224))];
    let (names, warnings) = run(&Case {
        nics: &nics,
        interfaces: &interfaces,
        links: &links,
        rules: &rules,
        ..NOTHING
    });
    assert_eq!(
        names,
        ["ens192: address 192.0.2.1", "ens256: MAC in .link file"]
    );
    // A: MAC and link disagree with the address. B: rule and slot disagree with the link.
    assert_eq!(warnings, 4);
}

#[test]
fn of_two_that_claim_one_name_the_stronger_has_it() {
    let interfaces = [with_address("eth0", "192.0.2.1"), with_mac(Some("eth0"), A)];
    let nics = [nic(A, &[], None), nic(B, &["192.0.2.1/24"], None)];
    let (names, warnings) = run(&Case {
        nics: &nics,
        interfaces: &interfaces,
        ..NOTHING
    });
    assert_eq!(names, ["?", "eth0: address 192.0.2.1"]);
    assert_eq!(warnings, 1);
    // Equal evidence: the one that more speaks for.
    let nics = [
        nic(B, &["192.0.2.1/24"], None),
        nic(A, &["192.0.2.1/24"], None),
    ];
    let (names, warnings) = run(&Case {
        nics: &nics,
        interfaces: &interfaces,
        ..NOTHING
    });
    assert_eq!(names, ["?", "eth0: address 192.0.2.1"]);
    assert_eq!(warnings, 1);
}

#[test]
fn slots_count_where_the_configuration_asks_for_them_or_asks_nothing() {
    let nics = [
        nic(A, &[], Some(192)),
        nic(B, &[], Some(224)),
        nic(C, &[], Some(1184)),
    ];
    let names = |interfaces: &[Interface]| {
        run(&Case {
            nics: &nics,
            interfaces,
            ..NOTHING
        })
    };
    let all = [
        interface("ens224"),
        interface("ens161"),
        interface("ens192"),
    ];
    assert_eq!(
        names(&all).0,
        ["ens192: slot 192", "ens224: slot 224", "ens161: slot 1184"]
    );
    // The last by elimination, as its slot says nothing that is known.
    let other = [interface("ens224"), interface("lan"), interface("ens192")];
    assert_eq!(
        names(&other).0,
        [
            "ens192: slot 192",
            "ens224: slot 224",
            "lan: only NIC and only name left"
        ]
    );
    // No configuration: their slots.
    assert_eq!(
        names(&[]).0,
        ["ens192: slot 192", "ens224: slot 224", "ens161: slot 1184"]
    );
    // Names that no slot gives: no guessing.
    let eth = [interface("eth0"), interface("eth1"), interface("eth2")];
    assert_eq!(names(&eth).0, ["?", "?", "?"]);
    // Patterns that take any card, and such that take none on virtio.
    let mut any = interface("x");
    any.matches.name = None;
    any.matches.globs = vec!["en*".to_owned()];
    assert_eq!(names(&[any.clone()]).0, ["-: names like en*"; 3]);
    any.matches.globs = vec!["ens*".to_owned()];
    assert_eq!(
        names(&[any]).0,
        ["ens192: slot 192", "ens224: slot 224", "ens161: slot 1184"]
    );
}

#[test]
fn virtual_devices_lead_down_to_their_ports_and_never_lend_their_names() {
    let mut bond = virtual_interface("bond0", Kind::Bond, &["ens192", "ens224"]);
    bond.addresses = vec!["192.0.2.9".parse().unwrap()];
    let mut vlan = virtual_interface("bond0.7", Kind::Vlan, &["bond0"]);
    vlan.addresses = vec!["198.51.100.9".parse().unwrap()];
    let interfaces = [bond, vlan, interface("ens192"), interface("ens224")];
    let case = |nics: &[Nic], rules: &[Binding]| {
        run(&Case {
            nics,
            interfaces: &interfaces,
            rules,
            ..NOTHING
        })
    };
    let plain = [nic(A, &["198.51.100.9/24"], None), nic(B, &[], None)];
    let (names, warnings) = case(&plain, &[]);
    assert_eq!(
        names,
        [
            "ens192: address 198.51.100.9 on bond0.7, first free port",
            "ens224: only NIC and only name left"
        ]
    );
    assert_eq!(warnings, 0);
    // Both are said to have the address.
    let both = [
        nic(A, &["192.0.2.9/24"], None),
        nic(B, &["192.0.2.9/24"], None),
    ];
    assert_eq!(
        case(&both, &[]).0[1],
        "ens224: address 192.0.2.9 on bond0, first free port"
    );
    // A rule, or a slot, knows the port better.
    assert_eq!(
        case(&plain, &[binding(A, "ens224")]).0,
        [
            "ens224: address 198.51.100.9 on bond0.7",
            "ens192: only NIC and only name left"
        ]
    );
    let slots = [nic(A, &["192.0.2.9/24"], Some(224)), nic(B, &[], Some(192))];
    assert_eq!(
        case(&slots, &[]).0,
        ["ens224: address 192.0.2.9 on bond0", "ens192: slot 192"]
    );
    // A rule that gives the bond's name to a port, or a name that is no port.
    let (names, warnings) = case(&plain, &[binding(A, "bond0"), binding(A, "eth7")]);
    assert!(names[0].starts_with("ens192: "), "{names:?}");
    assert_eq!(warnings, 1);
}

#[test]
fn what_is_found_by_mac_needs_no_name() {
    let mut keyed = with_mac(None, A);
    keyed.addresses = vec!["192.0.2.1".parse().unwrap()];
    let interfaces = [keyed, interface("ens224")];
    let nics = [nic(A, &["192.0.2.1/24"], Some(192)), nic(B, &[], None)];
    let (names, warnings) = run(&Case {
        nics: &nics,
        interfaces: &interfaces,
        ..NOTHING
    });
    assert_eq!(
        names,
        [
            "-: MAC, whatever the name",
            "ens224: only NIC and only name left"
        ]
    );
    assert_eq!(warnings, 0);
}

#[test]
fn a_name_that_is_pinned_to_another_mac_is_the_last_choice() {
    let interfaces = [with_mac(Some("ens192"), C), interface("ens224")];
    let nics = [nic(A, &[], None)];
    let (names, _) = run(&Case {
        nics: &nics,
        interfaces: &interfaces,
        ..NOTHING
    });
    assert_eq!(names, ["ens224: only NIC and only name left"]);
    let (names, warnings) = run(&Case {
        nics: &nics,
        interfaces: &interfaces[..1],
        ..NOTHING
    });
    assert_eq!(
        (names[0].as_str(), warnings),
        ("ens192: only NIC and only name left", 1)
    );
}

#[test]
fn without_nics_the_pairs_of_the_configuration_count() {
    let interfaces = [
        with_mac(Some("ens192"), A),
        interface("eth1"),
        interface("eth2"),
    ];
    let topology = Topology::new(&interfaces);
    let rules = [binding(B, "eth1"), binding(C, "stale")];
    let bindings = Bindings {
        rules: &rules,
        ..Bindings::default()
    };
    let nics = paired_nics(&topology, bindings);
    let macs: Vec<String> = nics.iter().map(|nic| nic.mac.to_string()).collect();
    assert_eq!(macs, [A, B]);
    // Leases come last.
    let leases = [with_mac_in_lease("eth1", A), with_mac_in_lease("eth2", C)];
    let bindings = Bindings {
        leases: &leases,
        ..bindings
    };
    let nics = paired_nics(&topology, bindings);
    let macs: Vec<String> = nics.iter().map(|nic| nic.mac.to_string()).collect();
    assert_eq!(macs, [A, B, C]);
}

fn lease(name: &str, address: &str, obtained: i64) -> Lease {
    Lease {
        name: name.to_owned(),
        address: address.parse().unwrap(),
        mac: None,
        obtained,
        source: "/var/lib/leases".into(),
    }
}

fn with_mac_in_lease(name: &str, mac: &str) -> Lease {
    Lease {
        mac: Some(mac.parse().unwrap()),
        ..lease(name, "198.51.100.1", 1)
    }
}

fn dynamic(name: &str) -> Interface {
    Interface {
        dynamic: true,
        ..interface(name)
    }
}

#[test]
fn the_newest_lease_of_an_address_names_its_card() {
    let nics = [
        nic(A, &["192.0.2.10/24"], None),
        nic(B, &["192.0.2.11/24"], None),
    ];
    let interfaces = [dynamic("eth0"), dynamic("eth1")];
    let leases = [
        lease("eth1", "192.0.2.10", 1),
        lease("eth1", "192.0.2.11", 5),
        lease("eth0", "192.0.2.10", 3),
        lease("eth0", "192.0.2.100", 9),
    ];
    for interfaces in [&interfaces[..], &[]] {
        let (names, warnings) = run(&Case {
            nics: &nics,
            interfaces,
            leases: &leases,
            ..NOTHING
        });
        assert_eq!(
            names,
            ["eth0: lease of 192.0.2.10", "eth1: lease of 192.0.2.11"]
        );
        assert_eq!(warnings, 0);
    }
    let leases = [with_mac_in_lease("eth1", A)];
    let (names, _) = run(&Case {
        nics: &nics,
        interfaces: &interfaces,
        leases: &leases,
        ..NOTHING
    });
    assert_eq!(
        names,
        ["eth1: MAC in lease", "eth0: only NIC and only name left"]
    );
}

#[test]
fn a_lease_is_weaker_than_configuration_and_rules_and_stronger_than_a_slot() {
    let nics = [nic(A, &["192.0.2.10/24"], Some(192))];
    let leases = [lease("eth1", "192.0.2.10", 1)];
    let rules = [binding(A, "eth0")];
    let interfaces = [dynamic("eth0"), dynamic("eth1"), dynamic("ens192")];
    let case = Case {
        nics: &nics,
        interfaces: &interfaces,
        leases: &leases,
        rules: &rules,
        ..NOTHING
    };
    assert_eq!(run(&case), (vec!["eth0: MAC in rule".to_owned()], 2));
    let case = Case { rules: &[], ..case };
    assert_eq!(
        run(&case),
        (vec!["eth1: lease of 192.0.2.10".to_owned()], 1)
    );
}

#[test]
fn leases_that_say_nothing_of_a_card() {
    let nics = [nic(A, &["192.0.2.10/24"], None), nic(B, &[], None)];
    let mut unnamed = dynamic("x");
    unnamed.matches.name = None;
    unnamed.matches.globs = vec!["en*".to_owned()];
    let bridge = virtual_interface("br0", Kind::Bridge, &[]);
    for (name, interface, expected) in [
        // It has static addresses now.
        ("eth0", with_address("eth0", "192.0.2.99"), "?"),
        // It is, or may be, no hardware.
        ("br0", bridge, "?"),
        ("virbr0", dynamic("eth0"), "?"),
        // The name does not matter.
        ("ens192", unnamed, "-: names like en*"),
    ] {
        let (names, _) = run(&Case {
            nics: &nics,
            interfaces: &[interface],
            leases: &[lease(name, "192.0.2.10", 1)],
            ..NOTHING
        });
        assert_eq!(names[0], expected, "{name}");
    }
}

#[test]
fn leases_of_bridges_and_bonds_lead_to_the_cards_below() {
    let nics = [
        nic(A, &["192.0.2.10/24"], None),
        nic(B, &["192.0.2.11/24"], None),
    ];
    let mut bond = virtual_interface("bond0", Kind::Bond, &["eth1", "eth2"]);
    bond.dynamic = true;
    let interfaces = [virtual_interface("br0", Kind::Bridge, &["eth0"]), bond];
    let leases = [
        lease("br0", "192.0.2.10", 1),
        lease("bond0", "192.0.2.11", 1),
    ];
    let case = Case {
        nics: &nics,
        interfaces: &interfaces,
        leases: &leases,
        ..NOTHING
    };
    let (names, warnings) = run(&case);
    assert_eq!(
        names,
        [
            "eth0: lease of 192.0.2.10 on br0",
            "eth1: lease of 192.0.2.11 on bond0, first free port"
        ]
    );
    assert_eq!(warnings, 0);
    let rules = [binding(B, "eth2")];
    let (names, warnings) = run(&Case {
        rules: &rules,
        ..case
    });
    assert_eq!((names[1].as_str(), warnings), ("eth2: MAC in rule", 0));
}
