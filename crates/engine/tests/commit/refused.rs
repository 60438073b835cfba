//! What the engine makes of disks that are not what they should be; `refit-image` tests which those are.

use std::{env, fs, process::Command};

use refit_engine::disks::{DiskSpec, Format, Options, Overlays};

use crate::support::*;

#[test]
fn a_raw_disk_that_looks_like_qcow2_stays_raw() {
    let dir = directory();
    let decoy = dir.path().join("decoy");
    qemu_img(&["create", "-q", "-f", "qcow2", decoy.to_str().unwrap(), "8M"]);
    let header = fs::read(&decoy).unwrap();
    // Where nothing is certain, the user decides. With the boot sector's signature, or with a name that says raw.
    for (name, signature) in [("disk.img", true), ("disk.raw", false)] {
        let path = disk(dir.path(), name, "raw");
        let mut bytes = fs::read(&path).unwrap();
        bytes[..500].copy_from_slice(&header[..500]);
        if !signature {
            bytes[510..512].fill(0);
        }
        fs::write(&path, &bytes).unwrap();
        let spec = DiskSpec {
            path: path.clone(),
            format: Some(Format::Raw),
        };
        let overlays = Overlays::create(&[spec], &Options::default()).unwrap();
        change(&overlays);
        overlays.commit(&mut |_| ()).unwrap();
        assert_eq!(fs::read(&path).unwrap(), changed(&bytes), "{name}");
    }
}

#[test]
fn without_qemu_img_the_message_says_so() {
    let dir = directory();
    let path = disk(dir.path(), "disk.img", "raw");
    let mut child = Command::new(env::current_exe().unwrap());
    let disks = arguments(&["hold"], &[path]);
    let output = child
        .args(["--exact", "child", "--nocapture", "--test-threads=1"])
        .env(CHILD, disks.join("\n"))
        .env("PATH", "/nonexistent")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stderr).into_owned()
        + &String::from_utf8_lossy(&output.stdout);
    assert!(
        !output.status.success() && text.contains("QemuImgMissing"),
        "{text}"
    );
}
