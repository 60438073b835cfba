use std::path::Path;

use super::*;
use crate::network::model::Match;

fn one(text: &str) -> Interface {
    let mut warnings = Vec::new();
    let interface = all(&[text], &mut warnings).remove(0);
    assert_eq!(warnings, Vec::<String>::new(), "{text}");
    interface
}

fn all(texts: &[&str], warnings: &mut Vec<String>) -> Vec<Interface> {
    let profiles = texts
        .iter()
        .map(|text| profile::interpret(&syntax::parse(text).unwrap(), &"/x".into()))
        .collect();
    resolve(profiles, warnings)
}

fn shown(interface: &Interface) -> Vec<String> {
    interface
        .addresses
        .iter()
        .map(ToString::to_string)
        .collect()
}

#[test]
fn what_selects_the_device() {
    let mac = "00:50:56:aa:bb:01".parse().unwrap();
    let named = |name: &str| Match {
        name: Some(name.to_owned()),
        ..Match::default()
    };
    for (text, matches) in [
        ("[connection]\ninterface-name=ens192\n", named("ens192")),
        (
            "[connection]\ntype=ethernet\n[ethernet]\nmac-address=00:50:56:AA:BB:01\n",
            Match {
                macs: vec![mac],
                ..Match::default()
            },
        ),
        (
            "[802-3-ethernet]\nmac-address=0;80;86;170;187;1;\n",
            Match {
                macs: vec![mac],
                ..Match::default()
            },
        ),
        (
            "[ethernet]\ncloned-mac-address=00:50:56:AA:BB:01\n",
            Match::default(),
        ),
        ("[match]\ninterface-name=ens192;\n", named("ens192")),
        (
            "[match]\ninterface-name=ens*;|&eth?;!veth*;\ndriver=vmxnet3;\npath=pci-0000:0b:00.0\n",
            Match {
                globs: vec!["ens*".to_owned(), "eth?".to_owned()],
                other: Some(
                    "interface-name=!veth* driver=vmxnet3; path=pci-0000:0b:00.0".to_owned(),
                ),
                ..Match::default()
            },
        ),
        (
            "[connection]\ninterface-name=eth0\n[match]\ninterface-name=eth0\n",
            Match {
                globs: vec!["eth0".to_owned()],
                ..named("eth0")
            },
        ),
        // A VLAN's is its parent's.
        (
            "[connection]\ntype=vlan\ninterface-name=v\n[ethernet]\nmac-address=00:50:56:AA:BB:01\n",
            named("v"),
        ),
        (
            "[connection]\ntype=bond\n[bond]\ninterface-name=bond0\n",
            named("bond0"),
        ),
    ] {
        assert_eq!(one(text).matches, matches, "{text}");
    }
}

#[test]
fn addresses_of_all_forms_but_no_gateways() {
    let interface = one(
        "[ipv4]\nmethod=manual\naddress2=192.0.2.2/24,192.0.2.254\naddress1=192.0.2.1/24\n\
         addresses3=192.0.2.3;24;192.0.2.254;\naddress=192.0.2.4\naddress10=192.0.2.5/24;192.0.2.254\n\
         addresses11=100794560;24;4261544128;117571776;24;0;\ngateway=192.0.2.254\ndns=192.0.2.53;\n\
         route1=198.51.100.0/24,192.0.2.254\naddress1_options=x\n\
         [ipv6]\nmethod=manual\naddress1=2001:db8::1/64,2001:db8::fe\naddresses2=2001:DB8::2;64;2001:db8::fe\n",
    );
    assert_eq!(
        shown(&interface),
        [
            "192.0.2.4",
            "192.0.2.1",
            "192.0.2.2",
            "192.0.2.3",
            "192.0.2.5",
            "192.0.2.6",
            "192.0.2.7",
            "2001:db8::1",
            "2001:db8::2"
        ]
    );
    assert!(!interface.dynamic);
    for (text, dynamic) in [
        ("[ipv4]\nmethod=auto\n", true),
        ("[ipv6]\nmethod=auto\n", true),
        ("[ipv6]\nmethod=dhcp\n", true),
        (
            "[ipv6]\nmethod=link-local\n[ipv4]\nmethod=disabled\n",
            false,
        ),
    ] {
        assert_eq!(one(text).dynamic, dynamic, "{text}");
    }
}

#[test]
fn what_is_wrong_in_a_profile_is_a_warning() {
    let mut warnings = Vec::new();
    let found = all(
        &[
            "[connection]\ninterface-name=a/b\n[ethernet]\nmac-address=x\n[ipv4]\naddress1=VMIP/24\naddress2=192.0.2.1/24\n",
        ],
        &mut warnings,
    );
    assert_eq!(shown(&found[0]), ["192.0.2.1"]);
    assert_eq!(found[0].matches, Match::default());
    assert_eq!(warnings.len(), 3, "{warnings:?}");
}

#[test]
fn kinds() {
    let other = |word: &str| Kind::Other(word.to_owned());
    for (text, kind) in [
        ("[connection]\ntype=ethernet\n", Kind::Physical),
        ("[connection]\ntype=802-3-ethernet\n", Kind::Physical),
        ("[802-3-ethernet]\n", Kind::Physical),
        (
            "[connection]\ntype=bond\n[ethernet]\nmtu=9000\n",
            Kind::Bond,
        ),
        ("[connection]\ntype=team\n", Kind::Team),
        ("[connection]\ntype=bridge\n", Kind::Bridge),
        ("[connection]\ntype=ovs-bridge\n", Kind::Bridge),
        ("[connection]\ntype=ovs-port\n", other("ovs-port")),
        ("[connection]\ntype=vlan\n", Kind::Vlan),
        ("[connection]\ntype=wifi\n", other("wifi")),
        ("[connection]\ntype=802-11-wireless\n", other("wifi")),
        ("[connection]\ntype=macvlan\n", other("macvlan")),
        ("[connection]\ntype=loopback\n", other("loopback")),
    ] {
        assert_eq!(one(text).kind, kind, "{text}");
    }
}

#[test]
fn references_are_names_in_the_end() {
    let uuid = "54317911-f840-516b-a10d-82cb4c1f075c";
    let found = all(
        &[
            &format!("[connection]\ntype=bond\ninterface-name=bond0\nuuid={uuid}\n"),
            &format!(
                "[connection]\ntype=ethernet\ninterface-name=eth0\nmaster={}\nslave-type=bond\n",
                uuid.to_uppercase()
            ),
            "[connection]\ntype=ethernet\ncontroller=bond0\nport-type=bond\n[ethernet]\nmac-address=00:50:56:aa:bb:01\n",
            &format!("[connection]\ntype=vlan\nuuid=v\n[vlan]\nparent={uuid}\nid=7\n"),
            "[connection]\ntype=vlan\ninterface-name=w\n[vlan]\nparent=00:50:56:AA:BB:02\nid=8\n",
            "[connection]\ntype=ethernet\ninterface-name=eth2\n[ethernet]\nmac-address=00:50:56:aa:bb:02\n",
            "[connection]\ntype=macvlan\ninterface-name=m0\n[macvlan]\nparent=eth2\n",
            "[connection]\ntype=ethernet\nuuid=nameless\n[ethernet]\nmac-address=00:50:56:aa:bb:03\n",
            "[connection]\ntype=vlan\ninterface-name=x\n[vlan]\nparent=nameless\n",
        ],
        &mut Vec::new(),
    );
    let lower = |index: usize| found[index].lower.clone();
    assert_eq!(lower(0), ["eth0"]);
    assert_eq!(found[1].upper.as_deref(), Some("bond0"));
    assert_eq!(found[2].upper.as_deref(), Some("bond0"));
    assert_eq!(lower(3), ["bond0"]);
    assert_eq!(found[3].matches.name.as_deref(), Some("bond0.7"));
    assert_eq!(lower(4), ["eth2"]);
    assert_eq!(lower(6), ["eth2"]);
    // Its parent is known by address alone, so that there is no name to keep.
    assert_eq!(lower(8), Vec::<String>::new());
}

#[test]
fn names_of_files() {
    for name in [
        "ens192.nmconnection",
        "ens192",
        "Wired connection 1",
        "a.b",
        "x.nmconnection.5",
    ] {
        assert!(!ignored(name, true), "{name}");
    }
    for name in [
        ".ens192",
        "ens192~",
        "ens192.nmconnection~",
        "ens192.backup",
        "ens192.AbC123",
        "ens192.bak",
        "ens192.swp",
        "cert.pem",
        "ens192.nmconnection.rpmsave",
    ] {
        assert!(ignored(name, true), "{name}");
    }
    assert!(ignored("ens192", false));
    assert!(!ignored("ens192.nmconnection", false));
}

#[test]
fn directories_shadow_each_other_by_uuid() {
    let root = tempfile::tempdir().unwrap();
    let write = |path: &str, text: &str| {
        let path = root.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    let profile = |uuid: &str, name: &str| {
        format!("[connection]\nuuid={uuid}\ntype=ethernet\ninterface-name={name}\n")
    };
    let etc = "etc/NetworkManager/system-connections";
    let lib = "usr/lib/NetworkManager/system-connections";
    let dead = "11111111-1111-1111-1111-111111111111";
    let gone = "22222222-2222-2222-2222-222222222222";
    write(&format!("{etc}/eth0"), &profile("a", "eth0"));
    write(&format!("{etc}/old.nmconnection"), &profile("b", "stale"));
    write(&format!("{etc}/new.nmconnection"), &profile("b", "eth1"));
    write(
        &format!("{etc}/broken.nmconnection"),
        "[connection]\npsk geheim\n",
    );
    write(
        &format!("{etc}/{gone}.nmmeta"),
        "[nmmeta]\nloaded-path=/dev/null\n",
    );
    write(
        &format!("{lib}/shadowed.nmconnection"),
        &profile("A", "shadowed"),
    );
    write(
        &format!("{lib}/tombstone.nmconnection"),
        &profile(dead, "dead"),
    );
    write(
        &format!("{lib}/tombstone2.nmconnection"),
        &profile(gone, "gone"),
    );
    write(&format!("{lib}/no-extension"), &profile("d", "ignored"));
    write(&format!("{lib}/eth3.nmconnection"), &profile("e", "eth3"));
    write(&format!("{etc}/README"), "[main]\nplugins=keyfile\n");
    write(&format!("{etc}/huge.nmconnection"), &"#\n".repeat(200_000));
    std::os::unix::fs::symlink(
        "/dev/null",
        root.path().join(format!("{etc}/{dead}.nmmeta")),
    )
    .unwrap();
    let age = |path: String, seconds: u64| {
        let file = std::fs::File::options()
            .append(true)
            .open(root.path().join(path))
            .unwrap();
        file.set_modified(std::time::UNIX_EPOCH + std::time::Duration::from_secs(seconds))
            .unwrap();
    };
    age(format!("{etc}/old.nmconnection"), 1000);
    age(format!("{etc}/new.nmconnection"), 2000);

    let found = read_tree(root.path());

    let names: Vec<_> = found
        .interfaces
        .iter()
        .filter_map(|i| i.matches.name.as_deref())
        .collect();
    assert_eq!(names, ["eth0", "eth1", "eth3"]);
    assert_eq!(
        found.warnings,
        [
            "/etc/NetworkManager/system-connections/README: not a connection profile",
            "/etc/NetworkManager/system-connections/broken.nmconnection: line 2: neither a group nor key=value",
            "/etc/NetworkManager/system-connections/huge.nmconnection: too long for a profile, more than 262144 bytes",
        ]
    );
}

fn read_tree(root: &Path) -> Found {
    let backend = refit_engine::backend::RootBackend::open(root).unwrap();
    let guest = Guest::inspect(&backend, &Default::default()).unwrap();
    read(&guest).unwrap()
}
