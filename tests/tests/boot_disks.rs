//! A guest whose initramfs knows VMware's disks alone, and whose configuration says `/dev/sda1`: on
//! virtio it finds no root file system, and after `refit fix` it boots.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::Path;

use refit_tests::{PASSWORD, Run, fixup, guest, refit, run};
use serde_json::Value;

const MAC: &str = "00:50:56:aa:bb:01";

/// Boots a disk on virtio.
fn boot(disk: &Path) -> Run {
    let password = disk.with_extension("password");
    fs::write(&password, PASSWORD).unwrap();
    run(refit()
        .args(["boot", "--json", "--accel", "tcg", "--timeout", "900"])
        .args(["--nic", MAC, "--user", "root", "--password-file"])
        .arg(&password)
        .arg(disk))
    .unwrap()
}

#[test]
fn an_initramfs_without_virtio_and_a_root_on_sda_boot_once_they_are_fixed() {
    let dir = tempfile::tempdir().unwrap();
    let original = guest(&["--initramfs", "vmware", "--root-by", "sda"]).unwrap();
    let disk = original.copy(dir.path()).unwrap();

    let before = boot(&disk);
    assert_eq!(before.code, Some(1), "{before:?}");
    assert_eq!(before.json().unwrap()["outcome"], "initramfs-shell");

    let nic = format!("{MAC}=10.0.2.15/24");
    let fixed = run(refit().args(["fix", "--json", "--nic", &nic]).arg(&disk)).unwrap();
    assert_eq!(fixed.code, Some(0), "{fixed:?}");
    let fixed = fixed.json().unwrap();
    let ours = fixup(&fixed, "boot-disks");
    assert_eq!(ours["verdict"], "change", "{ours:#}");
    let changes: Vec<(&str, &str)> = ours["changes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|change| {
            let text = |key: &str| change[key].as_str().unwrap();
            (text("kind"), text("path"))
        })
        .collect();
    assert!(
        matches!(
            changes[..],
            [
                ("initramfs-append", _),
                ("write", "/etc/initramfs-tools/modules"),
                ("write", "/etc/fstab"),
                ("write", "/boot/grub/grub.cfg"),
            ]
        ),
        "{changes:#?}"
    );
    assert_eq!(fixed["checked"], true);

    let after = boot(&disk);
    assert_eq!(after.code, Some(0), "{after:?}");
    let after = after.json().unwrap();
    assert_eq!(after["root_device"], "/dev/vda1");
    assert_eq!(after["nics"][0]["driver"], "virtio_net");
    assert_eq!(after["failed_units"], Value::Array(Vec::new()));
}
