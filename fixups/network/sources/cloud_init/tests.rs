//! Which file counts, and what is in it.

use super::*;
use crate::network::sources::reading::with_guest;
use crate::network::tests::interface;

fn read_files(files: &[(&str, &str)], known: &[Interface]) -> CloudInit {
    with_guest(files, |guest| read(guest, known).unwrap())
}

fn shown(interfaces: &[Interface]) -> Vec<String> {
    let shown = interfaces.iter().map(|one| {
        let mut words = vec![one.matches.name.clone().unwrap_or("-".to_owned())];
        words.push(format!("{:?}", one.kind));
        words.extend(one.matches.macs.iter().map(ToString::to_string));
        words.extend(one.addresses.iter().map(ToString::to_string));
        words.extend(one.dynamic.then(|| "dynamic".to_owned()));
        words.extend(one.lower.iter().map(|name| format!("on:{name}")));
        words.extend(one.upper.iter().map(|name| format!("in:{name}")));
        words.join(" ")
    });
    shown.collect()
}

fn seed(text: &str) -> CloudInit {
    read_files(&[("var/lib/cloud/seed/nocloud/network-config", text)], &[])
}

const VERSION_1: &str = "\
version: 1
config:
- type: physical
  name: ens192
  mac_address: '00:50:56:AA:BB:01'
  subnets:
  - {type: static, address: 192.0.2.10/24, gateway: 192.0.2.1}
  - {type: static6, address: '2001:db8::10/64'}
- {type: physical, name: ens224, subnets: [{type: dhcp}]}
- {type: physical, name: ens256, mac_address: null, subnets: [{type: manual, address: 192.0.2.99}]}
- type: bond
  name: bond0
  mac_address: 02:00:00:00:00:01
  bond_interfaces: [ens224, ens256]
  subnets: [{type: ipv6_slaac}]
- {type: vlan, name: bond0.5, vlan_link: bond0, vlan_id: 5}
- {type: bridge, name: br0, bridge_interfaces: [bond0.5], subnets: [{type: static, address: 192.0.2.20, netmask: 255.255.255.0}]}
- {type: infiniband, name: ib0}
- {type: loopback, name: lo, subnets: [{type: static, address: 192.0.2.30/32}]}
- {type: nameserver, address: [192.0.2.53]}
- {type: route, destination: 198.51.100.0/24, gateway: 192.0.2.1}
- {name: nothing}
-
";

#[test]
fn version_1() {
    let found = seed(VERSION_1);
    assert_eq!(found.warnings, [""; 0]);
    assert_eq!(
        shown(&found.interfaces),
        [
            "ens192 Physical 00:50:56:aa:bb:01 192.0.2.10 2001:db8::10",
            "ens224 Physical dynamic in:bond0",
            "ens256 Physical in:bond0",
            "bond0 Bond dynamic on:ens224 on:ens256",
            "bond0.5 Vlan on:bond0 in:br0",
            "br0 Bridge 192.0.2.20 on:bond0.5",
            "ib0 Other(\"modem\")",
            "lo Other(\"loopback\") 192.0.2.30",
        ]
    );
    assert!(found.interfaces.iter().all(|one| !one.matches.renames));
}

#[test]
fn version_2() {
    let text = "\
network:
  version: 2
  ethernets:
    a: {match: {macaddress: '00:50:56:aa:bb:01'}, set-name: ens192, dhcp4: true}
    b: {match: {macaddress: '00:50:56:aa:bb:02'}, addresses: [192.0.2.11/24]}
    ens256: {}
";
    let found = seed(text);
    let expected = [
        "ens192 Physical 00:50:56:aa:bb:01 dynamic",
        "- Physical 00:50:56:aa:bb:02 192.0.2.11",
        "ens256 Physical",
    ];
    assert_eq!(shown(&found.interfaces), expected);
    assert!(!found.interfaces[0].matches.renames);
    let (_, inner) = text.split_once('\n').unwrap();
    let inner = inner.replace("\n  ", "\n");
    assert_eq!(shown(&seed(inner.trim_start()).interfaces), expected);
}

fn card(name: &str) -> String {
    format!("network: {{version: 1, config: [{{type: physical, name: {name}}}]}}\n")
}

#[test]
fn what_was_applied_counts_before_what_the_system_says_before_seeds() {
    let json = r#"{"version": 1, "config": [{"type": "physical", "name": "applied",
        "mac_address": "00:50:56:aa:bb:01", "subnets": [{"type": "dhcp"}]}]}"#;
    let (system, seed) = (card("system"), card("seed"));
    let mut files = vec![
        ("var/lib/cloud/instance", "-> /var/lib/cloud/instances/i-1"),
        ("var/lib/cloud/instances/i-1/network-config.json", json),
        ("etc/cloud/cloud.cfg", "users: [default]\nversion: x\n"),
        ("etc/cloud/cloud.cfg.d/10.cfg", "network: {version: 2}\n"),
        ("etc/cloud/cloud.cfg.d/50.cfg", &system),
        ("etc/cloud/cloud.cfg.d/90.cfg.dpkg-old", &seed),
        ("var/lib/cloud/seed/nocloud-net/network-config", &seed),
    ];
    assert_eq!(
        shown(&read_files(&files, &[]).interfaces),
        ["applied Physical 00:50:56:aa:bb:01 dynamic"]
    );
    // Without the link it is still the newest instance.
    files.remove(0);
    assert_eq!(read_files(&files, &[]).interfaces.len(), 1);
    files.remove(0);
    assert_eq!(
        shown(&read_files(&files, &[]).interfaces),
        ["system Physical"]
    );
    files.retain(|(path, _)| !path.ends_with("50.cfg"));
    assert_eq!(
        shown(&read_files(&files, &[]).interfaces),
        ["seed Physical"]
    );
}

#[test]
fn what_is_rendered_counts_more() {
    let files = [("var/lib/cloud/seed/nocloud/network-config", VERSION_1)];
    let found = read_files(&files, &[interface("ens192"), interface("ens1")]);
    assert_eq!(found.interfaces, []);
    let pairs: Vec<_> = found
        .bindings
        .iter()
        .map(|one| (one.mac.to_string(), one.name.as_str()))
        .collect();
    assert_eq!(pairs, [("00:50:56:aa:bb:01".to_owned(), "ens192")]);
    let found = read_files(&files, &[interface("ens1")]);
    assert_eq!(found, CloudInit::default());
}

#[test]
fn cloud_init_that_is_off_configures_nothing() {
    let seed = ("var/lib/cloud/seed/nocloud/network-config", VERSION_1);
    for off in [
        ("etc/cloud/cloud-init.disabled", ""),
        (
            "etc/cloud/cloud.cfg.d/99.cfg",
            "network: {config: disabled}\n",
        ),
        (
            "etc/cloud/cloud.cfg.d/99.cfg",
            "network:\n  version: 1\n  config: disabled\n",
        ),
    ] {
        assert_eq!(read_files(&[off, seed], &[]), CloudInit::default());
        let known = [interface("ens192")];
        assert_eq!(read_files(&[off, seed], &known).bindings.len(), 1);
    }
}

#[test]
fn broken_files_cost_only_themselves() {
    let good = card("ens192");
    let laughs = "a: &a [x,x]\nb: &b [*a,*a]\nnetwork: {config: *b}\n";
    let found = read_files(
        &[
            ("etc/cloud/cloud.cfg", "network: [\n"),
            ("etc/cloud/cloud.cfg.d/1.cfg", "- a\n"),
            ("etc/cloud/cloud.cfg.d/2.cfg", "network: {config: [a, b]}\n"),
            ("etc/cloud/cloud.cfg.d/3.cfg", laughs),
            ("etc/cloud/cloud.cfg.d/4.cfg", "network: disabled\n"),
            (
                "var/lib/cloud/seed/a/network-config",
                "network: {config: {}}\n",
            ),
            ("var/lib/cloud/seed/b/network-config", &good),
            ("var/lib/cloud/instances/x/obj.pkl", "pickle"),
        ],
        &[],
    );
    assert_eq!(shown(&found.interfaces), ["ens192 Physical"]);
    assert_eq!(found.warnings.len(), 5, "{:?}", found.warnings);
}
