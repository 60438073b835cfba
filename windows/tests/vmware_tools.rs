//! What the removal of guest tools leaves behind, on whole guests, after applying it.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use refit_cases::Case;
use refit_engine::backend::RootBackend;
use refit_engine::{Fixup, Guest, Hints, Planned, Request, Selection, plan, prepare};
use refit_hive::{Hive, Value};

const ID: &str = "windows-vmware-tools";

/// A guest whose tools were removed.
struct Removed {
    root: tempfile::TempDir,
    planned: Planned,
    before: BTreeSet<String>,
    after: BTreeSet<String>,
}

impl Removed {
    /// Of a golden case, whatever it asks for.
    fn case(name: &str) -> Self {
        Self::edited(name, |_| {})
    }

    /// Of a golden case whose `SYSTEM` is edited before.
    fn edited(name: &str, edit: impl Fn(&mut Hive)) -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("vmware-tools/cases")
            .join(name);
        let root = tempfile::tempdir().unwrap();
        Case::read(&folder).unwrap().make_tree(root.path()).unwrap();
        let system = root.path().join("Windows/System32/config/SYSTEM");
        if system.exists() {
            let mut hive = Hive::parse(fs::read(&system).unwrap()).unwrap();
            edit(&mut hive);
            fs::write(&system, hive.into_bytes()).unwrap();
        }
        let before = references(root.path());
        let mut backend = RootBackend::open(root.path()).unwrap();
        let fixups = refit_windows::all();
        let fixup: &dyn Fixup = *fixups.iter().find(|fixup| fixup.info().id == ID).unwrap();
        let mut request = Request::default();
        let all = ["virtualbox", "parallels", "xen"];
        let asked = all.map(|name| (name.to_owned(), toml::Value::Boolean(true)));
        request.parameters.insert(ID.to_owned(), asked.into());
        let mut guest = Guest::inspect(&backend, &Hints::default()).unwrap();
        let planned = plan(&mut guest, &[fixup], &Selection::default(), &request).remove(0);
        prepare(guest, &backend, Vec::new())
            .unwrap()
            .execute(&mut backend)
            .unwrap();
        let after = references(root.path());
        Self {
            root,
            planned,
            before,
            after,
        }
    }

    fn hive(&self, name: &str) -> Hive {
        let config = self.root.path().join("Windows/System32/config");
        Hive::parse(fs::read(config.join(name)).unwrap()).unwrap()
    }

    fn has(&self, path: &str) -> bool {
        self.root.path().join(path).exists()
    }
}

/// What points at nothing, by another reader; empty where there is none.
fn references(root: &Path) -> BTreeSet<String> {
    let Some(python) = python() else {
        return BTreeSet::new();
    };
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/readers/references.py");
    let output = Command::new(python).arg(script).arg(root).output().unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .map(str::to_owned)
        .collect()
}

/// A Python that can read hives: Debian's with libhivex, or one with python-registry, which `cargo xtask setup` installs.
fn python() -> Option<PathBuf> {
    let environment =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/hive-readers/bin/python");
    let candidates = [
        (PathBuf::from("/usr/bin/python3"), "hivex"),
        (environment, "Registry"),
    ];
    let found = candidates.into_iter().find(|(python, module)| {
        let import = format!("import {module}");
        Command::new(python)
            .args(["-c", &import])
            .output()
            .is_ok_and(|output| output.status.success())
    });
    assert!(
        found.is_some() || std::env::var_os("CI").is_none(),
        "no Python here reads hives: run `cargo xtask setup`"
    );
    if found.is_none() {
        println!("skipped: no Python here reads hives: run `cargo xtask setup`");
    }
    found.map(|(python, _)| python)
}

/// In none of the cases does anything point at nothing that did not before; and the fixup's own check agrees.
#[test]
fn nothing_dangles() {
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("vmware-tools/cases");
    let mut seen = 0;
    for case in fs::read_dir(cases).unwrap() {
        let name = case.unwrap().file_name().into_string().unwrap();
        let guest = Removed::case(&name);
        let new: Vec<_> = guest.after.difference(&guest.before).collect();
        assert!(new.is_empty(), "{name}: {new:#?}");
        for warning in &guest.planned.warnings {
            assert!(!warning.starts_with("still points"), "{name}: {warning}");
        }
        seen += guest.before.difference(&guest.after).count();
    }
    // The reader sees what it is to see: without the fixup the cases are full of it.
    assert!(python().is_none() || seen > 20, "{seen}");
}

/// The disk controller of before is not touched: a guest that is moved back, or was not recognised, boots.
#[test]
fn pvscsi_and_vmxnet3_stay() {
    for name in ["server-2019", "other-products", "vmware-without-tools"] {
        let guest = Removed::case(name);
        let system = guest.hive("SYSTEM");
        for (service, start) in [("pvscsi", 0), ("vmxnet3ndis6", 3)] {
            let key = system
                .key(&format!("ControlSet001\\Services\\{service}"))
                .unwrap();
            assert_eq!(
                key.value("Start").unwrap().as_dword(),
                Some(start),
                "{name}: {service}"
            );
        }
        assert!(guest.has("Windows/System32/drivers/pvscsi.sys"), "{name}");
        assert!(guest.has("Windows/System32/drivers/vmxnet3.sys"), "{name}");
    }
}

/// Services are removed from every control set that may boot, not from one that is only there while Windows runs.
#[test]
fn every_control_set_that_may_boot() {
    let guest = Removed::case("server-2019");
    let system = guest.hive("SYSTEM");
    for set in ["ControlSet001", "ControlSet002"] {
        for service in [
            "VMTools",
            "VGAuthService",
            "vmci",
            "vsock",
            "vmhgfs",
            "vmmouse",
            "vmvss",
            "vsepflt",
        ] {
            assert!(
                system.key(&format!("{set}\\Services\\{service}")).is_none(),
                "{set}: {service}"
            );
        }
    }
    assert!(
        system.key("ControlSet003\\Services\\VMTools").is_some(),
        "one that does not boot stays as it is"
    );
    assert!(system.key("CurrentControlSet").is_none());
}

/// A filter goes with its driver, from the class and from every device; the others stay, in their order.
#[test]
fn filters() {
    let guest = Removed::case("server-2019");
    let system = guest.hive("SYSTEM");
    let filters = |path: &str, name: &str| {
        let key = system.key(&format!("ControlSet002\\{path}")).unwrap();
        key.value(name).map(|value| value.as_multi().unwrap())
    };
    let mouse = "Control\\Class\\{4d36e96f-e325-11ce-bfc1-08002be10318}";
    assert_eq!(filters(mouse, "UpperFilters").unwrap(), ["mouclass"]);
    let hid = "Enum\\HID\\VID_0E0F&PID_0003&MI_00\\8&367bfb7c&0&0000";
    assert_eq!(filters(hid, "UpperFilters").unwrap(), ["OtherFilter"]);
    assert_eq!(filters(hid, "LowerFilters"), None);
    assert_eq!(
        filters("Enum\\ACPI\\PNP0F13\\4&205ad762&0", "UpperFilters"),
        None
    );
    let drivers = guest.hive("DRIVERS");
    let staged = "DriverDatabase\\DriverPackages\\vmmouse.inf_amd64_916101d3748847e7\\Configurations\\VMMouse";
    assert!(drivers.key(staged).unwrap().value("UpperFilters").is_none());
}

/// Packages in the driver store stay, files and database alike; but none is chosen for others' devices.
#[test]
fn driver_store() {
    let guest = Removed::case("server-2019");
    let drivers = guest.hive("DRIVERS");
    assert!(guest.has(
        "Windows/System32/DriverStore/FileRepository/vmmouse.inf_amd64_916101d3748847e7/vmmouse.sys"
    ));
    assert!(
        drivers
            .key("DriverDatabase\\DriverPackages\\vmmouse.inf_amd64_916101d3748847e7")
            .is_some()
    );
    assert!(
        drivers
            .key("DriverDatabase\\DriverInfFiles\\oem7.inf")
            .is_some()
    );
    let mouse = drivers.key("DriverDatabase\\DeviceIds\\*PNP0F13").unwrap();
    assert!(mouse.value("oem7.inf").is_none());
    assert!(mouse.value("msmouse.inf").is_some());
    assert!(
        drivers
            .key("DriverDatabase\\DeviceIds\\*VMW0003")
            .unwrap()
            .value("oem7.inf")
            .is_some()
    );
}

/// Names alone remove nothing.
#[test]
fn look_alikes_stay() {
    let guest = Removed::case("look-alikes");
    let system = guest.hive("SYSTEM");
    let hyper_v = [
        "vmbus",
        "vmgid",
        "vmstorfl",
        "vms3cap",
        "vmgencounter",
        "VMBusHID",
        "storvsc",
        "vmicvss",
        "vmicheartbeat",
    ];
    for service in [
        "VMTools",
        "vmmouse",
        "vmvss",
        "b57nd60a",
        "vmwareBackup",
        "vnetflt",
    ]
    .iter()
    .chain(&hyper_v)
    {
        assert!(
            system
                .key(&format!("ControlSet001\\Services\\{service}"))
                .is_some(),
            "{service}"
        );
    }
    let mouse = system
        .key("ControlSet001\\Control\\Class\\{4d36e96f-e325-11ce-bfc1-08002be10318}")
        .unwrap();
    assert_eq!(
        mouse.value("UpperFilters").unwrap().as_multi().unwrap(),
        ["vmmouse", "mouclass"]
    );
    let software = guest.hive("SOFTWARE");
    assert!(
        software
            .key("Classes\\CLSID\\{12345678-1111-4222-8333-444444444444}")
            .is_some()
    );
    let run = software
        .key("Microsoft\\Windows\\CurrentVersion\\Run")
        .unwrap();
    assert!(run.value("VMware Tools").is_some());
    assert!(guest.has("Windows/System32/drivers/vmbus.sys"));
    assert!(
        guest.has("Windows/System32/drivers/vnetflt.sys"),
        "the network stack is bound to it"
    );
    assert!(guest.has("Program Files/Contoso/VMware/VMware Tools/backup.exe"));
}

/// Other products of the vendor keep their files, records, classes and the drivers that they share.
#[test]
fn other_products_stay() {
    let guest = Removed::case("other-products");
    let (system, software) = (guest.hive("SYSTEM"), guest.hive("SOFTWARE"));
    for service in [
        "vmci",
        "vsock",
        "vmx86",
        "hcmon",
        "WSNM",
        "VMAuthdService",
        "VMUSBArbService",
    ] {
        assert!(
            system
                .key(&format!("ControlSet001\\Services\\{service}"))
                .is_some(),
            "{service}"
        );
    }
    for file in [
        "Program Files/VMware/VMware View/Agent/bin/wsnm.exe",
        "Program Files (x86)/VMware/VMware Workstation/vmware.exe",
        "Program Files/Common Files/VMware/Drivers/vmci/device/Win8/vmci.sys",
        "Windows/System32/drivers/vmci.sys",
        "Windows/System32/vsocklib.dll",
        "ProgramData/VMware/VDM/logs/x",
        "Users/jo/AppData/Local/VMware/VDM/x",
    ] {
        assert!(guest.has(file), "{file}");
    }
    let provider = "{33333333-4444-4555-8666-777777777777}";
    assert!(
        software
            .key(&format!("Classes\\CLSID\\{provider}"))
            .is_some()
    );
    let providers = "Microsoft\\Windows\\CurrentVersion\\Authentication\\Credential Providers";
    assert!(software.key(&format!("{providers}\\{provider}")).is_some());
    assert!(software.key("VMware, Inc.\\VMware VDM").is_some());
    assert!(
        !guest.has("Apps/Guest Tools"),
        "the product's own folder, wherever it is"
    );
}

/// Components that two products have stay with the other one; records go for every user.
#[test]
fn installer_records() {
    let guest = Removed::case("server-2019");
    let software = guest.hive("SOFTWARE");
    let (own, other) = (
        "E1D6B4E5C3D625B4E8B1B3F1D5A2C711",
        "D3C2B1A0F5E416042837495A6B7C8D9E",
    );
    let users = "Microsoft\\Windows\\CurrentVersion\\Installer\\UserData";
    let mut shared = 0;
    for sid in software.key(users).unwrap().subkeys() {
        for list in ["Products", "Components"] {
            for key in sid.subkey(list).iter().flat_map(|list| list.subkeys()) {
                assert_ne!(key.name(), own);
                assert!(key.value(own).is_none(), "{}", key.name());
                if list == "Components" {
                    assert!(key.value(other).is_some(), "{} is empty", key.name());
                    shared += 1;
                }
            }
        }
    }
    assert_eq!(shared, 2);
    assert!(
        software
            .key(&format!("Classes\\Installer\\Products\\{other}"))
            .is_some()
    );
    let counters = software
        .key("Microsoft\\Windows\\CurrentVersion\\SharedDLLs")
        .unwrap();
    assert_eq!(
        counters.values().count(),
        1,
        "only the file that others use"
    );
}

/// Neither the services' error dialogs nor virt-v2v's uninstaller start at the first boot.
#[test]
fn nothing_starts_at_first_boot() {
    let guest = Removed::case("server-2019");
    let software = guest.hive("SOFTWARE");
    let run = software
        .key("Microsoft\\Windows\\CurrentVersion\\Run")
        .unwrap();
    assert!(run.value("VMware User Process").is_none());
    assert!(run.value("SecurityHealth").is_some());
    let scripts = "Program Files/Guestfs/Firstboot/scripts";
    assert!(!guest.has(&format!("{scripts}/5000-0003-uninstall-VMware-Tools.bat")));
    assert!(guest.has(&format!("{scripts}/5000-0001-wait-pnp.bat")));
}

/// Users' drives on shared folders go with the provider, and so do choices of programs that go; what is theirs stays.
#[test]
fn users_hives() {
    let guest = Removed::case("users");
    let said: Vec<_> = guest.before.difference(&guest.after).collect();
    if python().is_some() {
        for part in ["provider VMware Shared Folders", "Users/Default/"] {
            assert!(
                said.iter().any(|said| said.contains(part)),
                "{part}: {said:#?}"
            );
        }
        assert!(
            !guest.after.iter().any(|line| line.contains("vmware")),
            "{:#?}",
            guest.after
        );
    }
    let user = |path: &str| Hive::parse(fs::read(guest.root.path().join(path)).unwrap()).unwrap();
    let administrator = user("Users/Administrator/NTUSER.DAT");
    assert!(administrator.key("Network\\H").is_some());
    let explorer = "Software\\Microsoft\\Windows\\CurrentVersion\\Explorer";
    let text = |key: &str, name: &str| {
        let value = administrator
            .key(&format!("{explorer}\\{key}"))?
            .value(name)?;
        value.as_str()
    };
    assert_eq!(text("TypedPaths", "url2").unwrap(), "D:\\");
    assert_eq!(
        text("Map Network Drive MRU", "c").unwrap(),
        "\\\\vmware-host2\\x"
    );
    let run = "Software\\Microsoft\\Windows\\CurrentVersion\\Run";
    let run_of = |hive: &Hive, name: &str| hive.key(run).and_then(|run| run.value(name)).is_some();
    assert!(run_of(&administrator, "Contoso"));
    // A name alone removes nothing.
    assert!(run_of(&user("Users/ann/NTUSER.DAT"), "VMware User Process"));
    assert!(
        user("Profiles/eve/NTUSER.DAT")
            .key("Software\\VMware, Inc.\\VMware Horizon Client")
            .is_some()
    );
}

/// What the fixup cannot put right, it says.
#[test]
fn what_still_points_there_is_said() {
    let key = "ControlSet001\\Services\\ContosoCounters\\Performance";
    let library =
        "C:\\Program Files\\VMware\\VMware Tools\\vmStatsProvider\\win64\\vmStatsProvider.dll";
    let guest = Removed::edited("server-2019", |system| {
        system
            .set_value(key, "Library", &Value::sz(library))
            .unwrap();
    });
    let warnings = guest.planned.warnings.iter();
    let said: Vec<_> = warnings
        .filter(|warning| warning.contains("still points"))
        .collect();
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0].contains(key), "{said:?}");
    let new: Vec<_> = guest.after.difference(&guest.before).collect();
    assert!(new.len() == usize::from(python().is_some()), "{new:?}");
}
