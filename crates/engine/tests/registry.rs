//! The registry of a Windows guest in a directory: found, planned, written, taken back.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use refit_engine::backend::RootBackend;
use refit_engine::{
    Change, Facts, Fixup, Guest, GuestPath, Held, Hints, HiveName, Info, Job, Os, Phase, Proposal,
    Request, Selection, UndoFile, Verdict, VerdictKind, fix, plan_guest,
};
use refit_hive::{Hive, Value};

const START: &str = "ControlSet001\\Services\\pvscsi";

/// A Windows Server 2019 with names in letters that no other has.
struct Tree {
    dir: tempfile::TempDir,
}

impl Tree {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let config = dir.path().join("WINDOWS/system32/Config");
        fs::create_dir_all(&config).unwrap();
        fs::write(config.join("system"), system().bytes()).unwrap();
        fs::write(config.join("SOFTWARE"), software().bytes()).unwrap();
        Self { dir }
    }

    fn path(&self, path: &str) -> PathBuf {
        self.dir.path().join(path)
    }

    fn system(&self) -> Vec<u8> {
        fs::read(self.path("WINDOWS/system32/Config/system")).unwrap()
    }

    fn backend(&self) -> RootBackend {
        RootBackend::open(self.dir.path()).unwrap()
    }

    fn facts(&self) -> Facts {
        let backend = self.backend();
        let guest = Guest::inspect(&backend, &Hints::default()).unwrap();
        guest.facts().clone()
    }

    /// The names below, with content.
    fn all(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        fn walk(dir: &Path, found: &mut BTreeMap<PathBuf, Vec<u8>>) {
            for entry in fs::read_dir(dir).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    found.insert(path.clone(), Vec::new());
                    walk(&path, found);
                } else {
                    found.insert(path.clone(), fs::read(&path).unwrap());
                }
            }
        }
        let mut found = BTreeMap::new();
        walk(self.dir.path(), &mut found);
        found
    }
}

fn hive(values: &[(&str, &str, Value)]) -> Hive {
    let mut hive = Hive::new();
    for (key, name, value) in values {
        hive.set_value(key, name, value).unwrap();
    }
    hive
}

fn system() -> Hive {
    hive(&[
        ("Select", "Current", Value::dword(1)),
        ("Select", "Default", Value::dword(3)),
        ("Select", "Failed", Value::dword(2)),
        ("Select", "LastKnownGood", Value::dword(1)),
        (START, "Start", Value::dword(0)),
        (
            START,
            "ImagePath",
            Value::expand_sz("System32\\drivers\\pvscsi.sys"),
        ),
        ("ControlSet003\\Control", "x", Value::sz("")),
        (
            "ControlSet001\\Control\\Session Manager\\Environment",
            "PROCESSOR_ARCHITECTURE",
            Value::sz("AMD64"),
        ),
        (
            "ControlSet001\\Control\\ProductOptions",
            "ProductType",
            Value::sz("ServerNT"),
        ),
        (
            "ControlSet001\\Control\\Session Manager\\Power",
            "HiberbootEnabled",
            Value::dword(1),
        ),
        (
            "ControlSet001\\Services\\Tcpip\\Parameters",
            "Hostname",
            Value::sz("web1"),
        ),
    ])
}

fn software() -> Hive {
    let key = "Microsoft\\Windows NT\\CurrentVersion";
    hive(&[
        (
            key,
            "ProductName",
            Value::sz("Windows Server 2019 Standard"),
        ),
        (key, "CurrentVersion", Value::sz("6.3")),
        (key, "CurrentMajorVersionNumber", Value::dword(10)),
        (key, "CurrentMinorVersionNumber", Value::dword(0)),
        (key, "CurrentBuildNumber", Value::sz("17763")),
        (key, "UBR", Value::dword(5122)),
        (key, "EditionID", Value::sz("ServerStandard")),
        (key, "InstallationType", Value::sz("Server")),
        (key, "SystemRoot", Value::sz("D:\\WINDOWS")),
    ])
}

fn set(key: &str, name: &str, value: Value) -> Change {
    Change::RegistrySet {
        hive: HiveName::System,
        key: key.to_owned(),
        name: name.to_owned(),
        value,
    }
}

fn delete(key: &str, name: Option<&str>) -> Change {
    Change::RegistryDelete {
        hive: HiveName::System,
        key: key.to_owned(),
        name: name.map(str::to_owned),
    }
}

/// Proposes these changes whatever the guest is like.
struct Always(Info, Vec<Change>);

impl Always {
    fn new(id: &str, changes: &[Change]) -> Self {
        let info = Info {
            id: id.to_owned(),
            summary: String::new(),
            phase: Phase::Drivers,
            parameters: BTreeMap::new(),
        };
        Self(info, changes.to_vec())
    }
}

impl Fixup for Always {
    fn info(&self) -> &Info {
        &self.0
    }

    fn plan(&self, _: &Guest<'_>, _: &Request) -> anyhow::Result<Proposal> {
        Ok(Verdict::Change {
            reason: "as asked".to_owned(),
            changes: self.1.clone(),
        }
        .into())
    }
}

#[test]
fn facts_come_from_the_hives() {
    let facts = Tree::new().facts();
    assert_eq!(facts.os, Some(Os::Windows));
    assert_eq!(facts.distro.as_deref(), Some("windows"));
    assert_eq!(facts.version.as_deref(), Some("10.0.17763"));
    assert_eq!(
        facts.product.as_deref(),
        Some("Windows Server 2019 Standard")
    );
    assert_eq!(facts.arch.as_deref(), Some("x86_64"));
    assert_eq!(facts.hostname.as_deref(), Some("web1"));
    let windows = facts.windows.unwrap();
    assert_eq!(windows.release.as_deref(), Some("Windows Server 2019"));
    assert_eq!(windows.revision, Some(5122));
    assert!(windows.server && windows.fast_startup && !windows.hibernated);
    assert_eq!(windows.control_set(), "ControlSet001");
    assert_eq!(windows.control_sets, [1, 3], "2 is the one that failed");
    assert_eq!(windows.system_root, "/WINDOWS".into());
    assert_eq!(windows.guest_path(r"D:\x"), Some("/x".into()));
    assert_eq!(windows.guest_path(r"C:\x"), None);
    assert_eq!(windows.unreadable, [""; 0]);
}

#[test]
fn windows_11_is_not_10_and_hibernation_shows() {
    let tree = Tree::new();
    let mut software = software();
    let key = "Microsoft\\Windows NT\\CurrentVersion";
    for (name, value) in [
        ("ProductName", "Windows 10 Pro"),
        ("CurrentBuildNumber", "22631"),
        ("InstallationType", "Client"),
    ] {
        software.set_value(key, name, &Value::sz(value)).unwrap();
    }
    let mut system = system();
    system
        .set_value(
            "ControlSet001\\Control\\ProductOptions",
            "ProductType",
            &Value::sz("WinNT"),
        )
        .unwrap();
    let config = tree.path("WINDOWS/system32/Config");
    fs::write(config.join("SOFTWARE"), software.bytes()).unwrap();
    fs::write(config.join("system"), system.bytes()).unwrap();
    fs::write(tree.path("hiberfil.sys"), b"hibr\0\0\0\0").unwrap();
    let facts = tree.facts();
    assert_eq!(facts.product.as_deref(), Some("Windows 11 Pro"));
    assert!(facts.windows.unwrap().hibernated);
}

#[test]
fn a_damaged_hive_costs_only_what_it_holds() {
    let tree = Tree::new();
    fs::write(tree.path("WINDOWS/system32/Config/system"), b"regf rubbish").unwrap();
    let facts = tree.facts();
    assert_eq!(facts.version.as_deref(), Some("10.0.17763"));
    let unreadable = facts.windows.unwrap().unreadable;
    assert_eq!(unreadable.len(), 1);
    assert!(
        unreadable[0].contains("/WINDOWS/system32/Config/system"),
        "{unreadable:?}"
    );
    let backend = tree.backend();
    let guest = Guest::inspect(&backend, &Hints::default()).unwrap();
    assert!(guest.hive(&HiveName::System).is_err());
    assert!(guest.hive(&HiveName::Drivers).unwrap().is_none());
}

#[test]
fn without_software_the_drivers_tell_the_version() {
    let tree = Tree::new();
    let mut system = system();
    let mut version = vec![0; 48];
    version[32..40].copy_from_slice(&[0x15, 3, 0x61, 0x4a, 0, 0, 10, 0]);
    system
        .set_value(
            "DriverDatabase\\DriverPackages\\disk.inf_amd64_cc4dba2066ccf53c",
            "Version",
            &Value::binary(version),
        )
        .unwrap();
    let config = tree.path("WINDOWS/system32/Config");
    fs::write(config.join("system"), system.bytes()).unwrap();
    fs::remove_file(config.join("SOFTWARE")).unwrap();
    let facts = tree.facts();
    assert_eq!(facts.version.as_deref(), Some("10.0.19041"));
    assert_eq!(facts.product.as_deref(), Some("Windows Server 2019"));
}

#[test]
fn changes_are_planned_written_checked_and_taken_back() {
    let tree = Tree::new();
    let before = tree.all();
    let first = Always::new(
        "first",
        &[
            set(START, "Start", Value::dword(4)),
            set(START, "start", Value::dword(4)),
            set("ControlSet001\\Services\\viostor", "Start", Value::dword(0)),
        ],
    );
    // Sees what the first one did.
    let second = Always::new(
        "second",
        &[
            delete("ControlSet001\\Services\\viostor", Some("Start")),
            delete("ControlSet001\\services\\VIOSTOR", Some("Start")),
            delete("ControlSet003", None),
            Change::RegistryCreate {
                hive: HiveName::System,
                key: "ControlSet001\\New".to_owned(),
            },
        ],
    );
    let fixups: [&dyn Fixup; 2] = [&first, &second];
    let job = Job {
        fixups: &fixups[..1],
        selection: &Selection::default(),
        request: &Request::default(),
    };
    let mut backend = tree.backend();
    let undo = tempfile::tempdir().unwrap();
    let undo = undo.path().join("undo.json");
    let report = fix(&mut backend, &Hints::default(), job, &undo, &mut |_| {}).unwrap();
    let planned = &report.fixups[0];
    assert_eq!(
        planned.changes.len(),
        2,
        "one of the values is the same: {planned:?}"
    );
    assert_eq!(planned.held[&0], Held::Value(Value::dword(0)));
    assert_eq!(report.checked, Some(true));
    let hive = Hive::parse(tree.system()).unwrap();
    assert_eq!(
        hive.key(START).unwrap().value("Start"),
        Some(Value::dword(4))
    );

    let again = plan_guest(&backend, &Hints::default(), job).unwrap();
    assert_eq!(again.fixups[0].verdict, VerdictKind::Fine);

    UndoFile::load(&undo)
        .unwrap()
        .restore(&mut backend, false)
        .unwrap();
    assert_eq!(tree.all(), before);

    // Both, one after the other.
    let job = Job {
        fixups: &fixups,
        ..job
    };
    let report = plan_guest(&backend, &Hints::default(), job).unwrap();
    let kinds: Vec<_> = report.fixups[1].changes.iter().map(Change::kind).collect();
    assert_eq!(
        kinds,
        ["registry-delete", "registry-delete", "registry-create"]
    );
    assert_eq!(report.fixups[1].held[&1], Held::Key { keys: 1, values: 1 });
    assert_eq!(tree.all(), before);
}

#[test]
fn what_is_so_already_is_fine() {
    let tree = Tree::new();
    let fixup = Always::new(
        "idle",
        &[
            set(START, "Start", Value::dword(0)),
            delete(START, Some("Nothing")),
            delete("ControlSet001\\Services\\nothing", None),
            Change::RegistryCreate {
                hive: HiveName::System,
                key: START.to_owned(),
            },
        ],
    );
    let job = Job {
        fixups: &[&fixup],
        selection: &Selection::default(),
        request: &Request::default(),
    };
    let report = plan_guest(&tree.backend(), &Hints::default(), job).unwrap();
    assert_eq!(report.fixups[0].verdict, VerdictKind::Fine);
    assert!(report.fixups[0].changes.is_empty());
}

#[test]
fn what_cannot_be_is_refused() {
    let tree = Tree::new();
    let drivers = Change::RegistryCreate {
        hive: HiveName::Drivers,
        key: "x".to_owned(),
    };
    for (change, expected) in [
        (
            set("CurrentControlSet\\Services\\x", "Start", Value::dword(4)),
            "must name the control set",
        ),
        (drivers, "no registry hive DRIVERS"),
        (delete("", None), "root of a hive"),
    ] {
        let backend = tree.backend();
        let mut guest = Guest::inspect(&backend, &Hints::default()).unwrap();
        let error = guest.stage(&[change]).unwrap_err();
        assert!(format!("{error:#}").contains(expected), "{error:#}");
    }
}

#[test]
fn names_are_found_in_any_case() {
    let tree = Tree::new();
    fs::create_dir_all(tree.path("Program Files/Über")).unwrap();
    fs::write(tree.path("Program Files/Über/Lesen.txt"), "x").unwrap();
    let backend = tree.backend();
    let mut guest = Guest::inspect(&backend, &Hints::default()).unwrap();
    let path = GuestPath::new("/program files/üBER/LESEN.TXT");
    assert_eq!(guest.read(&path).unwrap().as_deref(), Some(&b"x"[..]));
    assert_eq!(
        guest.resolve(&path).unwrap(),
        Some("/Program Files/Über/Lesen.txt".into())
    );
    let write = |path: &str| Change::Write {
        path: path.into(),
        content: b"y".to_vec(),
        mode: None,
    };
    guest
        .stage(&[write("/PROGRAM FILES/New Dir/a.txt")])
        .unwrap();
    guest
        .stage(&[write("/program files/new dir/B.txt")])
        .unwrap();
    let names: Vec<_> = guest.list("/program files/NEW DIR").unwrap();
    let names: Vec<_> = names
        .iter()
        .map(|entry| String::from_utf8_lossy(&entry.name))
        .collect();
    assert_eq!(names, ["B.txt", "a.txt"]);
    assert_eq!(
        guest
            .read("/Program Files/New Dir/b.TXT")
            .unwrap()
            .as_deref(),
        Some(&b"y"[..])
    );
}
