//! Which devices go, and which stay.

use refit_hive::{Hive, Value};

use super::find::find;
use super::origin::Origin;
use crate::adapters::Guid;
use crate::testing::{Card, SET, hive, set};

const CARD: Card = Card {
    number: 1,
    instance: r"PCI\VEN_15AD&DEV_07B0&SUBSYS_07B015AD&REV_01\FF565000BB0895FE00",
    name: "LAN",
};
const OLDER: Card = Card {
    number: 2,
    instance: r"PCI\VEN_8086&DEV_100F&SUBSYS_075015AD&REV_01\4&3AD87E0A&0&0888",
    name: "Ethernet0",
};

/// Ids with whether they go.
fn fates(hive: &Hive, released: &[&str]) -> Vec<(String, bool)> {
    let released: Vec<Guid> = released.iter().map(|guid| guid.parse().unwrap()).collect();
    find(hive, SET, &[Origin::VmWare], &released)
        .into_iter()
        .map(|ghost| (ghost.id, ghost.kept.is_none()))
        .collect()
}

#[test]
fn devices_by_class() {
    let mut hive = hive();
    let devices = [
        (
            r"PCI\VEN_15AD&DEV_0405&SUBSYS_040515AD&REV_00\3&1",
            "{4d36e968-e325-11ce-bfc1-08002be10318}",
        ),
        (
            r"PCI\VEN_15AD&DEV_0740&SUBSYS_074015AD&REV_10\3&2",
            "{4d36e97d-e325-11ce-bfc1-08002be10318}",
        ),
        (
            r"PCI\VEN_15AD&DEV_07A0&SUBSYS_07A015AD&REV_01\3&3",
            "{4d36e97d-e325-11ce-bfc1-08002be10318}",
        ),
        (
            r"PCI\VEN_15AD&DEV_07C0&SUBSYS_07C015AD&REV_02\3&4",
            "{4D36E97B-E325-11CE-BFC1-08002BE10318}",
        ),
        (
            r"PCI\VEN_1AF4&DEV_1041&SUBSYS_11001AF4&REV_01\3&5",
            "{4d36e972-e325-11ce-bfc1-08002be10318}",
        ),
        (
            r"USB\VID_0E0F&PID_0003\6&1",
            "{36fc9e60-c465-11cf-8056-444553540000}",
        ),
        (
            r"USB\VID_0627&PID_0001\6&2",
            "{36fc9e60-c465-11cf-8056-444553540000}",
        ),
        // Cannot be written in a task.
        (
            "PCI\\VEN_15AD&DEV_0800 x\\3&6",
            "{36fc9e60-c465-11cf-8056-444553540000}",
        ),
    ];
    for (instance, class) in devices {
        set(
            &mut hive,
            &format!(r"Enum\{instance}"),
            &[("ClassGUID", Value::sz(class))],
        );
    }
    let go = |id: &str, goes| (id.to_owned(), goes);
    assert_eq!(
        fates(&hive, &[]),
        [
            go(r"PCI\VEN_15AD&DEV_0405&SUBSYS_040515AD&REV_00", true),
            go(r"PCI\VEN_15AD&DEV_0740&SUBSYS_074015AD&REV_10", true),
            go(r"PCI\VEN_15AD&DEV_07A0&SUBSYS_07A015AD&REV_01", false),
            go(r"PCI\VEN_15AD&DEV_07C0&SUBSYS_07C015AD&REV_02", false),
            go(r"USB\VID_0E0F&PID_0003", true),
        ]
    );
}

#[test]
fn a_card_goes_when_its_addresses_are_safe() {
    let mut hive = hive();
    CARD.enter(&mut hive);
    assert_eq!(
        fates(&hive, &[]),
        [(CARD.instance.to_owned(), true)],
        "DHCP"
    );
    CARD.address(&mut hive, "192.0.2.10", "255.255.255.0");
    assert_eq!(
        fates(&hive, &[]),
        [(CARD.instance.to_owned(), false)],
        "nothing else knows them"
    );
    assert_eq!(
        fates(&hive, &[&CARD.guid()]),
        [(CARD.instance.to_owned(), true)]
    );
    // One from an earlier change of hardware, with the same address.
    OLDER.enter(&mut hive);
    OLDER.address(&mut hive, "192.0.2.10", "255.255.255.0");
    let both = |goes| {
        [
            (CARD.instance.to_owned(), goes),
            (OLDER.instance.to_owned(), goes),
        ]
    };
    assert_eq!(fates(&hive, &[&CARD.guid()]), both(true));
    OLDER.address(&mut hive, "192.0.2.99", "255.255.255.0");
    assert!(!fates(&hive, &[&CARD.guid()])[1].1);
    // The new machine's NIC has it.
    let virtio = Card {
        number: 5,
        instance: r"PCI\VEN_1AF4&DEV_1041&SUBSYS_11001AF4&REV_01\4&5",
        name: "Ethernet 2",
    };
    virtio.enter(&mut hive);
    virtio.address(&mut hive, "192.0.2.99", "255.255.255.0");
    assert_eq!(fates(&hive, &[&CARD.guid()]), both(true));
}

#[test]
fn a_member_of_a_team_stays() {
    let mut hive = hive();
    CARD.enter_bound(&mut hive, &["NdisImPlatform"]);
    assert_eq!(
        fates(&hive, &[&CARD.guid()]),
        [(CARD.instance.to_owned(), false)]
    );
}
