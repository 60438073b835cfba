//! From a hive to tasks.

use refit_engine::Nic;
use refit_hive::{Hive, Value};

use super::{Findings, examine};
use crate::testing::{Card, SET, hive, set};

const FIRST: Card = Card {
    number: 1,
    instance: r"PCI\VEN_15AD&DEV_07B0&SUBSYS_07B015AD&REV_01\4&1&0&00A8",
    name: "LAN",
};
const SECOND: Card = Card {
    number: 2,
    instance: r"PCI\VEN_15AD&DEV_07B0&SUBSYS_07B015AD&REV_01\4&2&0&00B8",
    name: "Ethernet1",
};
const VIRTIO: Card = Card {
    number: 5,
    instance: r"PCI\VEN_1AF4&DEV_1041&SUBSYS_11001AF4&REV_01\4&5&0&00C8",
    name: "Ethernet 2",
};
const MAC: [u8; 6] = [0, 0x50, 0x56, 0xaa, 0xbb, 1];
const OTHER_MAC: [u8; 6] = [0, 0x50, 0x56, 0xaa, 0xbb, 2];

fn nic(text: &str) -> Nic {
    text.parse().unwrap()
}

fn look(hive: &Hive, nics: &[Nic]) -> Findings {
    examine(hive, SET, nics)
}

fn texts(found: &Findings) -> Vec<&str> {
    found.tasks.iter().map(crate::tasks::Task::text).collect()
}

/// The tasks without the lines that all have.
fn lines(found: &Findings) -> Vec<Vec<&str>> {
    let own = |line: &&str| {
        !["refit-task", "kind ", "title ", "timeout "]
            .iter()
            .any(|all| line.starts_with(all))
    };
    texts(found)
        .into_iter()
        .map(|text| text.lines().filter(own).collect())
        .collect()
}

fn one_static() -> Hive {
    let mut hive = hive();
    FIRST.enter(&mut hive);
    FIRST.address(&mut hive, "192.0.2.10", "255.255.255.0");
    hive
}

#[test]
fn everything_that_an_interface_can_have() {
    let mut hive = one_static();
    FIRST.mac(&mut hive, MAC);
    FIRST.ipv4(
        &mut hive,
        &[
            (
                "IPAddress",
                Value::multi_sz(&["192.0.2.10", "192.0.2.11", "0.0.0.0"]),
            ),
            (
                "SubnetMask",
                Value::multi_sz(&["255.255.255.0", "255.255.255.128", "0.0.0.0"]),
            ),
            (
                "DefaultGateway",
                Value::multi_sz(&["192.0.2.1", "192.0.2.2"]),
            ),
            ("DefaultGatewayMetric", Value::multi_sz(&["0", "20"])),
            ("NameServer", Value::sz("192.0.2.53,198.51.100.53")),
            ("Domain", Value::sz("example.net")),
            ("RegistrationEnabled", Value::dword(0)),
            ("InterfaceMetric", Value::dword(15)),
            ("MTU", Value::dword(9000)),
        ],
    );
    let netbt = format!(
        r"Services\NetBT\Parameters\Interfaces\Tcpip_{}",
        FIRST.guid()
    );
    let wins = Value::multi_sz(&["192.0.2.60"]);
    set(
        &mut hive,
        &netbt,
        &[
            ("NameServerList", wins),
            ("NetbiosOptions", Value::dword(2)),
        ],
    );
    let ipv6 = format!(r"Services\Tcpip6\Parameters\Interfaces\{}", FIRST.guid());
    set(
        &mut hive,
        &ipv6,
        &[("NameServer", Value::sz("2001:db8::53"))],
    );
    FIRST.ipv6(&mut hive, "2001:db8::10", 64);
    FIRST.route(&mut hive, "::", 0, "fe80::1", 0);
    FIRST.route(&mut hive, "2001:db8:1::", 48, "2001:db8::2", 7);
    // Of another interface, and of the machine.
    SECOND.ipv6(&mut hive, "2001:db8::99", 64);
    let routes = r"Services\Tcpip\Parameters\PersistentRoutes";
    set(
        &mut hive,
        routes,
        &[("10.0.0.0,255.0.0.0,192.0.2.254,1", Value::sz(""))],
    );

    let found = look(&hive, &[]);
    assert_eq!(found.warnings, Vec::<String>::new());
    assert_eq!(
        texts(&found),
        ["refit-task 1\n\
          kind network\n\
          title Network settings of 00:50:56:aa:bb:01\n\
          timeout 300\n\
          mac 00:50:56:aa:bb:01\n\
          release-interface {00000001-1111-2222-3333-444444444444}\n\
          name LAN\n\
          dhcp4 no\n\
          address 192.0.2.10/24\n\
          address 192.0.2.11/25\n\
          address 2001:db8::10/64\n\
          gateway 192.0.2.1\n\
          gateway 192.0.2.2 20\n\
          gateway fe80::1\n\
          route 2001:db8:1::/48 2001:db8::2 7\n\
          dns 192.0.2.53\n\
          dns 198.51.100.53\n\
          dns 2001:db8::53\n\
          dns-suffix example.net\n\
          dns-register no\n\
          wins 192.0.2.60\n\
          netbios disabled\n\
          metric 15\n\
          mtu 9000\n"]
    );
    let kept = found.evidence.iter().find_map(|fact| fact.0.get("route"));
    assert_eq!(kept.map(String::as_str), Some("10.0.0.0/8 via 192.0.2.254"));
}

#[test]
fn dhcp_needs_a_task_only_for_what_is_special() {
    let mut plain = hive();
    SECOND.enter(&mut plain);
    SECOND.mac(&mut plain, MAC);
    // From before DHCP.
    SECOND.ipv4(
        &mut plain,
        &[("IPAddress", Value::multi_sz(&["192.0.2.10"]))],
    );
    assert_eq!(lines(&look(&plain, &[])), Vec::<Vec<&str>>::new());

    let mut servers = plain;
    SECOND.ipv4(
        &mut servers,
        &[("NameServer", Value::sz("192.0.2.53 192.0.2.54"))],
    );
    assert_eq!(
        lines(&look(&servers, &[])),
        [[
            "mac 00:50:56:aa:bb:01",
            "release-interface {00000002-1111-2222-3333-444444444444}",
            "name Ethernet1",
            "dhcp4 yes",
            "dns 192.0.2.53",
            "dns 192.0.2.54"
        ]]
    );

    let mut named = hive();
    FIRST.enter(&mut named);
    FIRST.mac(&mut named, MAC);
    assert_eq!(lines(&look(&named, &[]))[0].get(2), Some(&"name LAN"));
}

#[test]
fn hostile_values_are_told_and_left_out() {
    let mut hive = hive();
    let card = Card {
        name: "a\" & calc\r\nkind run",
        ..FIRST
    };
    card.enter(&mut hive);
    card.mac(&mut hive, MAC);
    card.ipv4(
        &mut hive,
        &[
            ("EnableDHCP", Value::dword(0)),
            (
                "IPAddress",
                Value::multi_sz(&[
                    "192.0.2.10",
                    "1.2.3",
                    "192.0.2.11\nkind run",
                    "224.0.0.1",
                    "192.0.2.12",
                ]),
            ),
            (
                "SubnetMask",
                Value::multi_sz(&[
                    "255.255.255.0",
                    "255.0.0.0",
                    "255.0.0.0",
                    "255.0.0.0",
                    "255.0.255.0",
                ]),
            ),
            ("DefaultGateway", Value::multi_sz(&["$(calc)", "192.0.2.1"])),
            ("DefaultGatewayMetric", Value::multi_sz(&["x", "-1"])),
            ("NameServer", Value::sz("%COMSPEC%,192.0.2.53;::1'")),
            ("Domain", Value::sz("a b.example\u{7}")),
            ("InterfaceMetric", Value::dword(u32::MAX)),
            ("MTU", Value::dword(70_000)),
        ],
    );
    let netbt = format!(
        r"Services\NetBT\Parameters\Interfaces\Tcpip_{}",
        card.guid()
    );
    let odd = Value::multi_sz(&["wins.example"]);
    set(
        &mut hive,
        &netbt,
        &[("NameServerList", odd), ("NetbiosOptions", Value::dword(9))],
    );
    card.ipv6(&mut hive, "2001:db8::10", 200);
    card.ipv6(&mut hive, "ff02::1", 64);
    card.route(&mut hive, "2001:db8::", 129, "fe80::1", 0);
    let routes = r"Control\Nsi\{eb004a01-9b1a-11d4-9123-0050047759bc}\16";
    set(
        &mut hive,
        routes,
        &[("00ff", Value::binary([])), ("x", Value::binary([]))],
    );

    let found = look(&hive, &[]);
    assert_eq!(
        lines(&found),
        [[
            "mac 00:50:56:aa:bb:01",
            "release-interface {00000001-1111-2222-3333-444444444444}",
            "dhcp4 no",
            "address 192.0.2.10/24",
            "gateway 192.0.2.1",
            "dns 192.0.2.53",
        ]]
    );
    assert_eq!(found.warnings.len(), 15, "{:#?}", found.warnings);
    assert!(
        !found
            .warnings
            .iter()
            .any(|warning| warning.contains(['\n', '\r', '\u{7}']))
    );
}

/// Which NIC takes over two cards whose MAC Windows did not record.
#[test]
fn evidence_decides_which_nic_it_is() {
    let mut hive = one_static();
    SECOND.enter(&mut hive);
    SECOND.address(&mut hive, "198.51.100.10", "255.255.255.0");
    FIRST.slot(&mut hive, 33);
    SECOND.slot(&mut hive, 34);
    let slot = |mac: &str, slot| Nic {
        pci_slot: Some(slot),
        ..nic(mac)
    };
    let (a, b) = ("00:50:56:aa:bb:01", "00:50:56:aa:bb:02");
    let addresses = |nics: &[Nic]| -> Vec<(String, String)> {
        lines(&look(&hive, nics))
            .iter()
            .map(|task| (task[0].to_owned(), task[4].to_owned()))
            .collect()
    };
    let of = |first: &str, second: &str| {
        vec![
            (format!("mac {first}"), "address 192.0.2.10/24".to_owned()),
            (
                format!("mac {second}"),
                "address 198.51.100.10/24".to_owned(),
            ),
        ]
    };
    assert_eq!(addresses(&[slot(a, 34), slot(b, 33)]), of(b, a));
    // By address, the other is then the only one left.
    assert_eq!(
        addresses(&[nic(&format!("{a}=198.51.100.10/24")), nic(b)]),
        of(b, a)
    );
    // Nothing tells them apart.
    let found = look(&hive, &[nic(a), nic(b)]);
    assert_eq!((found.tasks.len(), found.lost), (0, 2));
    assert!(
        found
            .warnings
            .iter()
            .all(|warning| warning.contains("--nic"))
    );
    let found = look(&hive, &[]);
    assert_eq!((found.tasks.len(), found.lost), (0, 2));
    assert_eq!(found.warnings.len(), 2);
}

#[test]
fn a_recorded_mac_wins() {
    let mut hive = one_static();
    FIRST.mac(&mut hive, MAC);
    FIRST.slot(&mut hive, 33);
    SECOND.enter(&mut hive);
    let mac = |nics: &[Nic]| lines(&look(&hive, nics))[0][0].to_owned();
    let wrong_slot = Nic {
        pci_slot: Some(33),
        ..nic("00:50:56:aa:bb:02")
    };
    assert_eq!(
        mac(&[wrong_slot, nic("00:50:56:aa:bb:01")]),
        "mac 00:50:56:aa:bb:01"
    );
    let replaced = nic("00:50:56:aa:bb:01=>52:54:00:00:00:01");
    assert_eq!(
        mac(&[nic("52:54:00:00:00:02"), replaced]),
        "mac 52:54:00:00:00:01"
    );
    // The only pair, against the record: said.
    let found = look(&hive, &[nic("52:54:00:00:00:02")]);
    assert_eq!(lines(&found)[0][0], "mac 52:54:00:00:00:02");
    assert!(
        found.warnings[0].contains("00:50:56:aa:bb:01"),
        "{:?}",
        found.warnings
    );
    // Two that neither is.
    let found = look(&hive, &[nic("52:54:00:00:00:02"), nic("52:54:00:00:00:03")]);
    assert_eq!((found.tasks.len(), found.lost), (0, 1));
    assert!(
        found.warnings[0].contains("--nic 00:50:56:aa:bb:01=>NEW"),
        "{:?}",
        found.warnings
    );
}

#[test]
fn the_users_addresses_win() {
    let mut hive = one_static();
    FIRST.mac(&mut hive, MAC);
    FIRST.ipv4(
        &mut hive,
        &[
            ("DefaultGateway", Value::multi_sz(&["192.0.2.1"])),
            ("DefaultGatewayMetric", Value::multi_sz(&["5"])),
            ("NameServer", Value::sz("192.0.2.53")),
        ],
    );
    FIRST.ipv6(&mut hive, "2001:db8::10", 64);
    let settings = |text: &str| {
        let found = look(&hive, &[nic(text)]);
        let task = lines(&found)[0][3..]
            .iter()
            .map(|line| (*line).to_owned())
            .collect::<Vec<_>>();
        (task, found.warnings.len())
    };
    let (same, warnings) = settings("00:50:56:aa:bb:01=192.0.2.20/24,192.0.2.1");
    assert_eq!(
        same,
        [
            "dhcp4 no",
            "address 192.0.2.20/24",
            "address 2001:db8::10/64",
            "gateway 192.0.2.1 5",
            "dns 192.0.2.53"
        ]
    );
    assert_eq!(warnings, 0);
    let (moved, warnings) = settings("00:50:56:aa:bb:01=203.0.113.20/24");
    assert_eq!(
        moved,
        [
            "dhcp4 no",
            "address 203.0.113.20/24",
            "address 2001:db8::10/64",
            "dns 192.0.2.53"
        ]
    );
    assert_eq!(warnings, 1, "the old gateway cannot be reached");
    // A NIC that had no card.
    let found = look(
        &hive,
        &[
            nic("00:50:56:aa:bb:01"),
            nic("52:54:00:00:00:07=203.0.113.7/24"),
        ],
    );
    assert_eq!(
        lines(&found)[1],
        [
            "mac 52:54:00:00:00:07",
            "dhcp4 no",
            "address 203.0.113.7/24"
        ]
    );
}

#[test]
fn a_nic_that_has_them_already_is_left_alone() {
    let mut hive = one_static();
    FIRST.mac(&mut hive, MAC);
    VIRTIO.enter(&mut hive);
    VIRTIO.mac(&mut hive, MAC);
    assert_eq!(look(&hive, &[]).tasks.len(), 1, "it has come up with DHCP");
    VIRTIO.address(&mut hive, "192.0.2.10", "255.255.255.0");
    let found = look(&hive, &[]);
    assert_eq!(
        (found.tasks.len(), found.done, found.warnings.len()),
        (0, 1, 0)
    );
    VIRTIO.address(&mut hive, "192.0.2.77", "255.255.255.0");
    let found = look(&hive, &[]);
    assert_eq!(
        (found.tasks.len(), found.done, found.warnings.len()),
        (0, 1, 1)
    );
}

#[test]
fn teams_are_left_alone() {
    let mut hive = hive();
    FIRST.enter_bound(&mut hive, &["NdisImPlatform", "MsLldp"]);
    FIRST.mac(&mut hive, MAC);
    SECOND.enter_bound(&mut hive, &["ms_implat"]);
    SECOND.mac(&mut hive, OTHER_MAC);
    let team = Card {
        number: 3,
        instance: r"COMPOSITEBUS\MS_IMPLAT_MP\{1}",
        name: "Team1",
    };
    team.enter(&mut hive);
    team.address(&mut hive, "192.0.2.10", "255.255.255.0");
    set(
        &mut hive,
        &team.class(),
        &[("ComponentId", Value::sz(r"COMPOSITEBUS\MS_IMPLAT_MP"))],
    );
    let found = look(&hive, &[]);
    assert_eq!(found.tasks.len(), 0);
    assert_eq!(found.warnings.len(), 3, "{:#?}", found.warnings);
}

#[test]
fn what_is_left_over_from_before_is_not_carried_over() {
    // Windows 8 and later know which device was there last.
    let mut hive = one_static();
    FIRST.mac(&mut hive, MAC);
    SECOND.enter(&mut hive);
    SECOND.mac(&mut hive, OTHER_MAC);
    SECOND.address(&mut hive, "192.0.2.10", "255.255.255.0");
    let found = look(&hive, &[]);
    assert_eq!(
        (found.tasks.len(), found.warnings.len()),
        (2, 1),
        "both may be there"
    );
    let dates = format!(
        r"Enum\{}\Properties\{{83da6326-97a6-4088-9453-a1923f573b29}}",
        FIRST.instance
    );
    for (property, time) in [("0066", 1_u64), ("0067", 2)] {
        let date = Value::binary(time.to_le_bytes());
        set(&mut hive, &format!(r"{dates}\{property}"), &[("", date)]);
    }
    let found = look(&hive, &[]);
    assert_eq!((found.tasks.len(), found.warnings.len()), (1, 0));
    assert_eq!(lines(&found)[0][0], "mac 00:50:56:aa:bb:02");
}

#[test]
fn what_a_task_cannot_say_is_said() {
    let mut hive = hive();
    FIRST.enter_bound(&mut hive, &["Tcpip"]);
    FIRST.mac(&mut hive, MAC);
    FIRST.address(&mut hive, "192.0.2.10", "255.255.255.0");
    set(&mut hive, "Services\\Tcpip6", &[("Start", Value::dword(1))]);
    set(
        &mut hive,
        &FIRST.class(),
        &[("NetworkAddress", Value::sz("02005056AABB"))],
    );
    let balanced = format!(r"Services\WLBS\Parameters\Interface\{}", FIRST.guid());
    set(&mut hive, &balanced, &[]);
    let found = look(&hive, &[]);
    assert_eq!(found.tasks.len(), 1);
    for (warning, word) in
        found
            .warnings
            .iter()
            .zip(["02:00:50:56:aa:bb", "IPv6", "Load Balancing"])
    {
        assert!(warning.contains(word), "{warning}");
    }
    assert_eq!(found.warnings.len(), 3);
}

/// Before Windows 8, and on cards that are not PCI Express, only the machine as a whole has a MAC on record.
#[test]
fn a_hint_counts_for_a_single_card() {
    let mut hive = one_static();
    let duid = Value::binary([0, 3, 0, 1, 0, 0x0c, 0x29, 1, 2, 3]);
    set(
        &mut hive,
        r"Services\Tcpip6\Parameters",
        &[("Dhcpv6DUID", duid)],
    );
    let found = look(&hive, &[]);
    assert_eq!(lines(&found)[0][0], "mac 00:0c:29:01:02:03");
    assert!(found.warnings[0].contains("clone"), "{:?}", found.warnings);
    // The machine's NIC is known: that counts, and needs no warning.
    let found = look(&hive, &[nic("52:54:00:00:00:02")]);
    assert_eq!(lines(&found)[0][0], "mac 52:54:00:00:00:02");
    assert_eq!(found.warnings, Vec::<String>::new());
    // Whose of two it is cannot be said.
    SECOND.enter(&mut hive);
    let found = look(&hive, &[]);
    assert_eq!((found.tasks.len(), found.lost), (0, 1));
    // Two addresses on record.
    let mut two = one_static();
    for volume in ["000c29010203", "000c29010204"] {
        let name = format!(r"\??\Volume{{11c333b2-468c-11e6-ba8e-{volume}}}");
        two.set_value("MountedDevices", &name, &Value::binary([]))
            .unwrap();
    }
    assert_eq!(look(&two, &[]).tasks.len(), 0);
}
