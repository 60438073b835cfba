//! A Windows guest on a disk: what inspection says of it, a fixup of its registry and files, and one that must not be
//! written to.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::Path;

use refit_tests::{differences, fixup, refit, run, tree, windows};
use serde_json::json;

const FIXUP: &str = r#"
id = "old-tools"
summary = "Removes the old hypervisor's tools"
[when]
os = "windows"
[[rule]]
why = "nothing answers them any more"
remove = "/program files/VMware"
write = { path = "/PROGRAM FILES/Refit/Notes/left.txt", content = "by refit\r\n" }
[[rule.registry]]
hive = "SYSTEM"
key = 'ControlSet\Services\vmtools'
remove = true
[[rule.registry]]
hive = "SYSTEM"
key = 'ControlSet\Control\Class\{4D36E96F-E325-11CE-BFC1-08002BE10318}'
remove-items = { name = "UpperFilters", items = "vmmouse" }
[[rule.registry]]
hive = "SOFTWARE"
key = 'Microsoft\Windows\CurrentVersion\Run'
remove-values = "VMware User Process"
[[rule.registry]]
hive = "USERS"
key = 'Software\Refit'
set = { name = "Been", dword = 1 }
"#;

fn own(dir: &Path) -> std::path::PathBuf {
    let own = dir.join("fixups");
    fs::create_dir_all(own.join("old-tools")).unwrap();
    fs::write(own.join("old-tools/fixup.toml"), FIXUP).unwrap();
    own
}

#[test]
fn a_windows_is_inspected_fixed_and_restored() {
    let dir = tempfile::tempdir().unwrap();
    let disk = windows(dir.path(), &["--release", "win11", "--dirty"]).unwrap();
    let before = tree(&disk, "raw").unwrap();
    let undo = dir.path().join("undo");
    let fixed = run(refit()
        .args(["fix", "--json", "--accel", "tcg", "--only", "old-tools"])
        .arg("--fixups")
        .arg(own(dir.path()))
        .arg("--undo-dir")
        .arg(&undo)
        .arg(&disk))
    .unwrap();
    assert_eq!(fixed.code, Some(0), "{fixed:?}");
    let report = fixed.json().unwrap();
    let guest = &report["guest"];
    for (fact, expected) in [
        ("os", json!("windows")),
        ("distro", json!("windows")),
        ("version", json!("10.0.22631")),
        ("product", json!("Windows 11 Pro")),
        ("arch", json!("x86_64")),
        ("hostname", json!("synthetic")),
        ("firmware", json!("uefi")),
        ("boot_loader", json!("bootmgr")),
    ] {
        assert_eq!(guest[fact], expected, "{fact}");
    }
    assert_eq!(guest["windows"]["release"], "Windows 11");
    assert_eq!(
        guest["windows"]["esp"],
        json!({"device": "/dev/sda1", "fallback": true, "no_graphics": true})
    );
    let devices = guest["devices"].as_array().unwrap();
    let dirty = devices.iter().filter(|device| device["dirty"] == true);
    let dirty: Vec<_> = dirty.map(|device| &device["device"]).collect();
    assert_eq!(dirty, ["/dev/sda2"], "{devices:#?}");
    assert_eq!(guest["windows"]["control_sets"], json!([1, 2]));
    assert_eq!(report["checked"], true);
    let planned = fixup(&report, "old-tools");
    let changes = planned["changes"].as_array().unwrap();
    let of = |kind: &str| {
        changes
            .iter()
            .filter(|change| change["kind"] == kind)
            .count()
    };
    assert_eq!(of("registry-delete"), 2, "{planned:#}");
    assert_eq!(of("registry-set"), 2, "{planned:#}");
    assert!(changes.contains(&json!({
        "kind": "registry-set",
        "hive": "SYSTEM",
        "key": "ControlSet001\\Control\\Class\\{4d36e96f-e325-11ce-bfc1-08002be10318}",
        "name": "UpperFilters",
        "type": "REG_MULTI_SZ",
        "data": ["mouclass"],
    })));
    assert!(changes.contains(&json!({
        "kind": "registry-set",
        "hive": "/Users/Administrator/NTUSER.DAT",
        "key": "Software\\Refit",
        "name": "Been",
        "type": "REG_DWORD",
        "data": 1,
    })));

    let undone = run(refit()
        .args(["undo", "--accel", "tcg"])
        .arg(report["undo"].as_str().unwrap())
        .arg(&disk))
    .unwrap();
    assert_eq!(undone.code, Some(0), "{undone:?}");
    let after = tree(&disk, "raw").unwrap();
    assert_eq!(differences(&before, &after), Vec::<String>::new());
}

#[test]
fn a_hibernated_windows_is_left_alone_and_says_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let disk = windows(dir.path(), &["--hibernated", "--firmware", "bios"]).unwrap();
    let before = fs::read(&disk).unwrap();
    let run = |command: &str| {
        run(refit()
            .args([command, "--accel", "tcg", "--only", "old-tools"])
            .arg("--fixups")
            .arg(own(dir.path()))
            .arg(&disk))
        .unwrap()
    };
    let fixed = run("fix");
    assert_eq!(fixed.code, Some(1), "{fixed:?}");
    for part in ["cannot be changed", "hibernated", "powercfg /h off"] {
        assert!(fixed.stderr.contains(part), "{part}: {fixed:?}");
    }
    let planned = run("plan");
    assert_eq!(planned.code, Some(0), "{planned:?}");
    assert!(planned.stdout.contains("hibernated"), "{planned:?}");
    assert!(
        planned.stdout.contains("- \"VMware User Process\"="),
        "{planned:?}"
    );
    assert!(before == fs::read(&disk).unwrap(), "the disk was changed");
}
