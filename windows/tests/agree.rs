//! All fixups of Windows guests on one guest: what one plans is what the next sees, and together they are done after
//! one run.

use std::fs;
use std::path::Path;

use refit_cases::Case;
use refit_engine::backend::RootBackend;
use refit_engine::{Fixup, Guest, Hints, Request, Selection, VerdictKind, plan};
use refit_hive::{Hive, Value};

#[test]
fn together_they_are_done_at_once() {
    let all = refit_windows::all();
    let mut failures = Vec::new();
    let mut count = 0;
    for &owner in &all {
        let name = owner.info().id.strip_prefix("windows-").unwrap_or_default();
        // The others' cases have megabytes of hives, and they are about one thing.
        if !["network", "ghost-devices", "disks", "clock", "ovf-env"].contains(&name) {
            continue;
        }
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
        for case in refit_cases::find(&folder).unwrap() {
            count += 1;
            let result = Case::read(&case).and_then(|case| case.together(owner, &all));
            if let Err(error) = result {
                failures.push(format!("{}:\n{error:?}", case.display()));
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
    assert!(count > 15, "only {count} cases found");
}

/// The service has to come after everything that leaves a task, users' fixups too.
#[test]
fn the_service_is_the_last() {
    let all = refit_windows::all();
    let phase = |id: &str| {
        let found: Vec<&&dyn Fixup> = all.iter().filter(|fixup| fixup.info().id == id).collect();
        found[0].info().phase
    };
    let last = phase("windows-firstboot");
    for fixup in &all {
        let id = fixup.info().id.as_str();
        assert!(
            id == "windows-firstboot" || fixup.info().phase < last,
            "{id}"
        );
    }
    assert!(phase("windows-network") <= phase("windows-ghost-devices"));
}

/// Removing VMware Tools takes nothing away that the addresses are known by.
#[test]
fn addresses_are_known_although_the_tools_go() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("network/cases/server-2019-two-nics");
    let root = tempfile::tempdir().unwrap();
    Case::read(&folder).unwrap().make_tree(root.path()).unwrap();
    let config = root.path().join("Windows/System32/config");
    let system = config.join("SYSTEM");
    let mut hive = Hive::parse(fs::read(&system).unwrap()).unwrap();
    let program = "\"C:\\Program Files\\VMware\\VMware Tools\\vmtoolsd.exe\"";
    hive.set_value(
        "ControlSet001\\Services\\VMTools",
        "ImagePath",
        &Value::sz(program),
    )
    .unwrap();
    fs::write(&system, hive.into_bytes()).unwrap();
    let software = config.join("SOFTWARE");
    if !software.exists() {
        fs::write(&software, Hive::new().into_bytes()).unwrap();
    }
    let backend = RootBackend::open(root.path()).unwrap();
    let mut guest = Guest::inspect(&backend, &Hints::default()).unwrap();
    let request = Request {
        nics: ["00:50:56:aa:bb:01", "00:50:56:aa:bb:02"]
            .map(|mac| mac.parse().unwrap())
            .into(),
        ..Request::default()
    };
    let all = refit_windows::all();
    let planned = plan(&mut guest, &all, &Selection::default(), &request);
    let of = |id: &str| planned.iter().find(|planned| planned.id == id).unwrap();
    assert_eq!(of("windows-vmware-tools").verdict, VerdictKind::Change);
    let golden = fs::read(folder.join("changes.json")).unwrap();
    let golden: serde_json::Value = serde_json::from_slice(&golden).unwrap();
    let network = serde_json::to_value(&of("windows-network").changes).unwrap();
    assert_eq!(network, golden["changes"]);
}
