//! Families that cannot be built here as bootable guests: the same tree as a directory and as a disk
//! in the appliance, of which refit must say the same.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;
use std::process::Command;

use refit_tests::{fixup, must, refit, root, run};
use serde_json::Value;

const NIC: &str = "00:50:56:aa:bb:01=10.0.2.15/24";
/// What the trees' fstab names.
const UUID: &str = "6f1d2a54-9c7e-4d0b-8a55-0c2f4a1e7b90";
/// The family, and what becomes of the names of its cards.
const FAMILIES: &[(&str, &str)] = &[
    ("rhel6", "change"),
    ("rhel7", "change"),
    ("rhel8", "change"),
    ("rhel9", "change"),
    ("rhel10", "change"),
    ("sles15", "change"),
    ("photon5", "change"),
    ("alpine", "fine"),
];

#[test]
fn a_directory_and_a_disk_get_the_same_plan() {
    for (family, names) in FAMILIES {
        let dir = tempfile::tempdir().unwrap();
        let tree = dir.path().join("tree");
        must(
            Command::new(root().join("tests/guests/trees.sh"))
                .arg(&tree)
                .arg(family),
        )
        .unwrap();
        let disk = disk_of(&tree);

        let on_disk = fix(refit().arg("fix").arg(&disk), family);
        let in_tree = fix(refit().args(["fix", "--root"]).arg(&tree), family);
        assert_eq!(fixup(&on_disk, "nic-names")["verdict"], *names, "{family}");
        assert_ne!(
            fixup(&on_disk, "boot-disks")["verdict"],
            "blocked",
            "{family}"
        );
        for of_tree in in_tree["fixups"].as_array().unwrap() {
            // Without an appliance the guest's own programs cannot be run.
            if of_tree["verdict"] == "blocked" {
                continue;
            }
            let id = of_tree["id"].as_str().unwrap();
            let of_disk = fixup(&on_disk, id);
            for what in ["verdict", "changes"] {
                assert_eq!(of_tree[what], of_disk[what], "{family}: {what} of {id}");
            }
        }
    }
}

/// A disk with the tree as its one file system.
fn disk_of(tree: &Path) -> std::path::PathBuf {
    let disk = tree.with_extension("img");
    must(
        Command::new("mkfs.ext4")
            .args(["-q", "-U", UUID, "-d"])
            .arg(tree)
            .arg(&disk)
            .arg("256M"),
    )
    .unwrap();
    disk
}

/// The report of a fix that was checked, if it changed anything.
fn fix(command: &mut Command, family: &str) -> Value {
    let undo = tempfile::tempdir().unwrap();
    let done = run(command
        .args(["--json", "--nic", NIC, "--undo-dir"])
        .arg(undo.path()))
    .unwrap();
    // 3: something is blocked, which is said in the report.
    assert!(matches!(done.code, Some(0 | 3)), "{family}: {done:?}");
    let report = done.json().unwrap();
    assert_ne!(report["checked"], false, "{family}: {report:#}");
    report
}
