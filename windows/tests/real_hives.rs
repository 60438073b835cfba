//! Plans on hives of real machines, which other packages have for their tests.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::io::Read as _;
use std::path::Path;

use refit_engine::backend::RootBackend;
use refit_engine::{Change, Fixup, Guest, Hints, Planned, Request, Selection, VerdictKind, plan};

const TASKS: &str = "/Program Files/refit/firstboot/tasks";

/// A guest's tree with these files (`SYSTEM`, `SYSTEM.LOG1`) of compressed ones.
fn tree(files: &[(&str, &str)]) -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    let config = root.path().join("Windows/System32/config");
    fs::create_dir_all(&config).unwrap();
    for (name, packed) in files {
        let packed = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("..")
            .join(packed);
        let packed =
            fs::read(&packed).unwrap_or_else(|error| panic!("{}: {error}", packed.display()));
        let mut content = Vec::new();
        lzma_rust2::XzReader::new(packed.as_slice(), true)
            .read_to_end(&mut content)
            .unwrap();
        fs::write(config.join(name), content).unwrap();
    }
    root
}

/// What the network's fixups and those of the disks say.
fn planned(root: &Path, request: &Request) -> Vec<Planned> {
    let backend = RootBackend::open(root).unwrap();
    let mut guest = Guest::inspect(&backend, &Hints::default()).unwrap();
    let ids = ["windows-network", "windows-ghost-devices", "windows-disks"];
    let fixups: Vec<&dyn Fixup> = refit_windows::all()
        .into_iter()
        .filter(|fixup| ids.contains(&fixup.info().id.as_str()))
        .collect();
    plan(&mut guest, &fixups, &Selection::default(), request)
}

fn of<'p>(planned: &'p [Planned], id: &str) -> &'p Planned {
    planned.iter().find(|planned| planned.id == id).unwrap()
}

/// The text of a task.
fn task<'p>(planned: &'p Planned, name: &str) -> &'p str {
    let path = format!("{TASKS}/{name}");
    let found = planned.changes.iter().find_map(|change| match change {
        Change::Write {
            path: written,
            content,
            ..
        } if written.to_string() == path => Some(content),
        _ => None,
    });
    std::str::from_utf8(found.unwrap_or_else(|| panic!("{path}: {planned:#?}"))).unwrap()
}

const WIN7: &str = "windows/vmware-tools/cases/windows-7/guest/Windows/System32/config";

#[test]
fn windows_7_on_vmware() {
    let system = format!("{WIN7}/SYSTEM.xz");
    let root = tree(&[("SYSTEM", &system)]);
    let request = Request {
        nics: vec!["00:0c:29:ec:25:45".parse().unwrap()],
        ..Request::default()
    };
    let planned = planned(root.path(), &request);
    let network = of(&planned, "windows-network");
    assert_eq!(
        task(network, "40-network-000c29ec2545.task"),
        "refit-task 1\n\
         kind network\n\
         title Network settings of 00:0c:29:ec:25:45\n\
         timeout 300\n\
         mac 00:0c:29:ec:25:45\n\
         release-interface {EA0D33C1-284E-4484-8F65-3C42B6100E4A}\n\
         name Local Area Connection\n\
         dhcp4 no\n\
         address 192.168.115.40/24\n\
         dns 192.168.115.152\n"
    );
    assert_eq!(network.warnings, Vec::<String>::new());
    let by = network.evidence[0].0.get("by").map(String::as_str);
    assert_eq!(
        by,
        Some("the only ones left, and the MAC is in the DHCPv6 identifier")
    );
    let ghosts = task(
        of(&planned, "windows-ghost-devices"),
        "30-ghost-devices.task",
    );
    let ids: Vec<&str> = ghosts
        .lines()
        .filter_map(|line| line.strip_prefix("hardware-id "))
        .collect();
    assert!(ids.contains(&r"PCI\VEN_8086&DEV_100F&SUBSYS_075015AD&REV_01\4&3AD87E0A&0&0888"));
    assert!(ids.contains(&r"PCI\VEN_15AD&DEV_0405&SUBSYS_040515AD&REV_00"));
    let storage = ["VEN_1000&DEV_0054", "VEN_8086&DEV_7111"];
    assert!(
        !ids.iter()
            .any(|id| storage.iter().any(|kept| id.contains(kept))),
        "{ids:?}"
    );
    assert_eq!(of(&planned, "windows-disks").verdict, VerdictKind::Fine);
}

/// Written back by its transaction logs: a wired card with DHCP, a wireless one, nothing of VMware.
#[test]
fn a_laptop_with_windows_10() {
    let file = |name| format!("crates/hive/tests/data/win10-SYSTEM{name}.xz");
    let root = tree(&[
        ("SYSTEM", &file("")),
        ("SYSTEM.LOG1", &file(".LOG1")),
        ("SYSTEM.LOG2", &file(".LOG2")),
    ]);
    let planned = planned(root.path(), &Request::default());
    let network = of(&planned, "windows-network");
    assert_eq!(network.verdict, VerdictKind::Fine, "{network:#?}");
    assert_eq!(network.evidence.len(), 1, "{:#?}", network.evidence);
    let card = &network.evidence[0].0;
    assert_eq!(card["mac"], "ec:f4:bb:48:7f:ed");
    assert_eq!(card["addresses"], "DHCP, nothing special");
    assert_eq!(
        of(&planned, "windows-ghost-devices").verdict,
        VerdictKind::Fine
    );
}

#[test]
fn windows_xp_on_virtual_pc() {
    let root = tree(&[("SYSTEM", "crates/hive/tests/data/winxp-SYSTEM.xz")]);
    let mut request = Request::default();
    let from = toml::Value::String("hyper-v".to_owned());
    request.parameters.insert(
        "windows-ghost-devices".to_owned(),
        [("from".to_owned(), from)].into(),
    );
    let planned = planned(root.path(), &request);
    assert_eq!(of(&planned, "windows-network").verdict, VerdictKind::Fine);
    let ghosts = task(
        of(&planned, "windows-ghost-devices"),
        "30-ghost-devices.task",
    );
    let card = r"hardware-id PCI\VEN_1011&DEV_0009&SUBSYS_21140A00&REV_20\3&267A616A&0&50";
    assert!(ghosts.lines().any(|line| line == card), "{ghosts}");
}

/// Its card had 192.168.1.16 by DHCP.
#[test]
fn windows_8_1_on_virtualbox() {
    let system = "windows/virtio/cases/win81-x64/guest/Windows/System32/config/SYSTEM.xz";
    let root = tree(&[("SYSTEM", system)]);
    let mut request = Request::default();
    let from = toml::Value::String("virtualbox".to_owned());
    request.parameters.insert(
        "windows-ghost-devices".to_owned(),
        [("from".to_owned(), from)].into(),
    );
    let planned = planned(root.path(), &request);
    let network = of(&planned, "windows-network");
    assert_eq!(network.verdict, VerdictKind::Fine, "{network:#?}");
    let card = &network.evidence[0].0;
    assert_eq!(card["guid"], "{143ED9ED-ABBA-4E29-A597-ABD62167CD04}");
    assert_eq!(card["addresses"], "DHCP, nothing special");
    let ghosts = task(
        of(&planned, "windows-ghost-devices"),
        "30-ghost-devices.task",
    );
    let card = r"hardware-id PCI\VEN_8086&DEV_100E&SUBSYS_001E8086&REV_02\3&267A616A&2&18";
    assert!(ghosts.lines().any(|line| line == card), "{ghosts}");
}
