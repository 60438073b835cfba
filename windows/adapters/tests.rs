//! What is read from hives of adapters.

use refit_hive::Value;

use super::{Role, hints, read};
use crate::testing::{Card, SET, hive, set};

#[test]
fn software_and_leftovers_are_no_cards() {
    let mut hive = hive();
    let instances = [
        (r"PCI\VEN_15AD&DEV_07B0\4&1", Role::Card),
        (r"ROOT\NET\0000", Role::Other),
        (r"BTH\MS_BTHPAN\7&1", Role::Other),
        (r"VMBUS\{f8615163}\1", Role::Card),
    ];
    for (number, (instance, _)) in (1..).zip(&instances) {
        let card = Card {
            number,
            instance,
            name: "x",
        };
        card.enter(&mut hive);
    }
    // An instance without an interface, one that is no number, one whose GUID would leave its key.
    set(
        &mut hive,
        r"Control\Class\{4d36e972-e325-11ce-bfc1-08002be10318}\0010",
        &[],
    );
    set(
        &mut hive,
        r"Control\Class\{4d36e972-e325-11ce-bfc1-08002be10318}\Properties",
        &[],
    );
    set(
        &mut hive,
        r"Control\Class\{4d36e972-e325-11ce-bfc1-08002be10318}\0011",
        &[("NetCfgInstanceId", Value::sz(r"{..}\..\Select"))],
    );
    let roles: Vec<Role> = read(&hive, SET)
        .into_iter()
        .map(|adapter| adapter.role)
        .collect();
    assert_eq!(roles, instances.map(|(_, role)| role));
}

#[test]
fn an_adapter_is_put_together_from_everywhere() {
    let mut hive = hive();
    let card = Card {
        number: 1,
        instance: r"PCI\VEN_8086&DEV_10D3&SUBSYS_07D015AD&REV_00\000C29FFFF661AA200",
        name: "Ethernet0",
    };
    card.enter(&mut hive);
    card.slot(&mut hive, 160);
    let adapter = read(&hive, SET).remove(0);
    assert_eq!(adapter.label(), "\"Ethernet0\" (Test Adapter)");
    assert_eq!(adapter.luid, Some([0, 0, 0, 1, 0x80, 0, 6, 0]));
    assert_eq!(adapter.slot, Some(160));
    assert_eq!(adapter.mac.unwrap().0.to_string(), "00:0c:29:66:1a:a2");
    // What Windows was told to use is not the card's own.
    let key = format!(r"Control\NetworkSetup2\Interfaces\{}\Kernel", card.guid());
    set(
        &mut hive,
        &key,
        &[("CurrentAddress", Value::binary([2, 0, 0, 0, 0, 1]))],
    );
    assert_eq!(
        read(&hive, SET)[0].mac.unwrap().0.to_string(),
        "00:0c:29:66:1a:a2"
    );
    card.mac(&mut hive, [0, 0x0c, 0x29, 1, 2, 3]);
    assert_eq!(
        read(&hive, SET)[0].mac.unwrap().0.to_string(),
        "00:0c:29:01:02:03"
    );
}

#[test]
fn hints_of_the_machine() {
    let mut hive = hive();
    let duid = [0, 3, 0, 1, 0, 0x0c, 0x29, 1, 2, 3];
    set(
        &mut hive,
        r"Services\Tcpip6\Parameters",
        &[("Dhcpv6DUID", Value::binary(duid))],
    );
    for volume in [
        r"\??\Volume{11c333b2-468c-11e6-ba8e-000c29010203}",
        r"\??\Volume{11c333b2-468c-11e6-ba8e-000c29010204}",
        r"\??\Volume{11c333b2-468c-11e6-ba8e-806e6f6e6963}",
        r"\??\Volume{x}",
    ] {
        hive.set_value("MountedDevices", volume, &Value::binary([]))
            .unwrap();
    }
    let found: Vec<String> = hints(&hive, SET)
        .iter()
        .map(|hint| hint.mac.to_string())
        .collect();
    assert_eq!(found, ["00:0c:29:01:02:03", "00:0c:29:01:02:04"]);
}
