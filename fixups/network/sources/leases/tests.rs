//! Which lease speaks for which interface.

use super::*;
use crate::network::sources::reading::with_guest;

fn read_files(files: &[(&str, &str)]) -> Leases {
    with_guest(files, |guest| read(guest).unwrap())
}

fn shown(leases: &[Lease]) -> Vec<String> {
    let shown = leases.iter().map(|lease| {
        let Lease { name, address, .. } = lease;
        format!("{name} {address} {}", lease.obtained)
    });
    shown.collect()
}

fn dhclient(name: &str, address: &str, day: u8) -> String {
    format!(
        "lease {{\n  interface \"{name}\";\n  fixed-address {address};\n  \
         option dhcp-lease-time 86400;\n  expire 4 1970/01/{day:02} 00:00:00;\n}}\n"
    )
}

#[test]
fn the_newest_lease_wins_across_files_and_clients() {
    let old = dhclient("eth1", "192.0.2.10", 3) + &dhclient("eth1", "192.0.2.11", 9);
    let new = dhclient("eth0", "192.0.2.10", 5);
    let wicked = "<lease><state>granted</state><acquired>86400</acquired><ipv4:dhcp>\
        <address>192.0.2.11</address></ipv4:dhcp></lease>";
    let found = read_files(&[
        ("var/lib/dhclient/dhclient-eth0.leases", &new),
        ("var/lib/NetworkManager/dhclient-x-eth1.lease", &old),
        ("var/lib/wicked/lease-eth2-dhcp-ipv4.xml", wicked),
        (
            "var/lib/dhcp/dhcpd.leases",
            &dhclient("eth9", "192.0.2.10", 30),
        ),
    ]);
    assert_eq!(found.warnings, [""; 0]);
    assert_eq!(
        shown(&found.leases),
        [
            "eth0 192.0.2.10 259200",
            "eth1 192.0.2.10 86400",
            "eth1 192.0.2.11 604800",
            "eth2 192.0.2.11 86400"
        ]
    );
    for (address, name) in [("192.0.2.10", "eth0"), ("192.0.2.11", "eth1")] {
        let address: IpAddr = address.parse().unwrap();
        let newest = newest(&found.leases, |lease| lease.address == address);
        let names: Vec<_> = newest.iter().map(|lease| lease.name.as_str()).collect();
        assert_eq!(names, [name]);
    }
    assert!(newest(&found.leases, |_| false).is_empty());
}

#[test]
fn of_equally_old_leases_none_is_preferred() {
    let both = dhclient("eth0", "192.0.2.10", 5) + &dhclient("eth1", "192.0.2.10", 5);
    let found = read_files(&[("var/lib/dhcp/dhclient.leases", &both)]);
    assert_eq!(newest(&found.leases, |_| true).len(), 2);
}

#[test]
fn network_manager_tells_the_time_in_another_file() {
    const DIR: &str = "var/lib/NetworkManager";
    const A: &str = "1f2ea111-624b-32f6-8c93-12b2388516a6";
    const B: &str = "6a0608c2-9d57-46d8-84d1-d2bbf6767acc";
    let a = format!("{DIR}/internal-{A}-ens192.lease");
    let b = format!("{DIR}/internal-{B}-br-lan.lease");
    let found = read_files(&[
        (
            &a,
            "# This is private data. Do not parse.\nADDRESS=192.0.2.10\n",
        ),
        (&b, "ADDRESS=192.0.2.11\n"),
        (
            &format!("{DIR}/timestamps"),
            &format!("[timestamps]\n{A}=1700000000\n{B}=1700000001\n"),
        ),
        (&format!("{DIR}/internal-{B}.lease"), "ADDRESS=192.0.2.12\n"),
    ]);
    assert_eq!(
        shown(&found.leases),
        [
            "ens192 192.0.2.10 1700000000",
            "br-lan 192.0.2.11 1700000001"
        ]
    );
}

#[test]
fn where_the_lease_has_no_time_its_file_has() {
    let found = read_files(&[("var/lib/dhcpcd/dhcpcd-eth0.info", "IPADDR='192.0.2.10'\n")]);
    assert!(found.leases[0].obtained > 1_700_000_000, "{found:?}");
}

#[test]
fn hostile_files_are_warnings() {
    let found = read_files(&[
        (
            "var/lib/dhcp/dhclient.leases",
            &dhclient("../../x", "192.0.2.10", 5),
        ),
        ("var/lib/dhcpcd/eth0.lease", "not a packet"),
        ("var/lib/dhcpcd/eth1.lease", ""),
        ("var/lib/wicked/lease-eth0-dhcp-ipv4.xml", "<lease>"),
        (
            "var/lib/dhclient/dhclient.leases",
            "-> /var/lib/dhclient/dhclient.leases",
        ),
    ]);
    assert_eq!(shown(&found.leases), [""; 0]);
    assert_eq!(found.warnings.len(), 3, "{:?}", found.warnings);
}

#[test]
fn macs_in_client_identifiers() {
    for (text, expected) in [
        ("01:00:50:56:aa:bb:01", Some("00:50:56:aa:bb:01")),
        ("1:0:50:56:aa:bb:1", Some("00:50:56:aa:bb:01")),
        ("01005056aabb01", Some("00:50:56:aa:bb:01")),
        // A DUID; another type of hardware; too short, too long; no address at all.
        ("ff:11:22:33:44:00:01", None),
        ("06:00:50:56:aa:bb:01", None),
        ("01:00:50:56:aa:bb", None),
        ("01:00:50:56:aa:bb:01:02", None),
        ("01:00:00:00:00:00:00", None),
        ("name", None),
        ("01é", None),
        ("", None),
    ] {
        let found = mac_of_client_text(text).map(|mac| mac.to_string());
        assert_eq!(found.as_deref(), expected, "{text}");
    }
}
