//! Windows guests on disks get their virtio drivers, with virt-v2v and without.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use refit_tests::{Run, fixup, refit, run, windows};

fn testdata(path: &str) -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.join("../crates/virtio-win/testdata").join(path)
}

fn convert(dir: &Path, engine: &str, drivers: &Path, disk: &Path) -> Run {
    run(refit()
        .args(["convert", "--json", "--accel", "tcg", "--engine", engine])
        .args(["--only", "windows-virtio,windows-disks", "--format", "raw"])
        .arg("--virtio-win")
        .arg(drivers)
        .arg("--out")
        .arg(dir.join("out"))
        // What virt-v2v copies into the guest is not run here.
        .env("VIRT_TOOLS_DATA_DIR", dir)
        .arg(disk))
    .unwrap()
}

/// Adds a driver for Windows 11 to a directory.
fn bring(drivers: &Path, driver: &str) {
    let folder = format!("{driver}/w11/amd64");
    fs::create_dir_all(drivers.join(&folder)).unwrap();
    for file in fs::read_dir(testdata("virtio-win").join(&folder)).unwrap() {
        let file = file.unwrap();
        let target = drivers.join(&folder).join(file.file_name());
        fs::copy(file.path(), target).unwrap();
    }
}

/// libguestfs 1.48 takes Windows 11 for 10, and virt-v2v goes by the names of folders.
#[test]
fn drivers_that_virt_v2v_does_not_find_are_brought_nevertheless() {
    let dir = tempfile::tempdir().unwrap();
    for program in ["rhsrvany.exe", "pnp_wait.exe"] {
        fs::write(dir.path().join(program), "MZ").unwrap();
    }
    let disk = windows(
        dir.path(),
        &["--release", "win11", "--firmware", "bios", "--dirty"],
    )
    .unwrap();
    let drivers = dir.path().join("drivers");
    bring(&drivers, "NetKVM");
    // Without a driver for disks it would not start: virt-v2v's exit status 0 is no success.
    let refused = convert(dir.path(), "virt-v2v", &drivers, &disk);
    assert_eq!(refused.code, Some(1), "{refused:?}");
    let error = refused.json().unwrap();
    assert_eq!(error["schema"], "refit/error/v1", "{error:#}");
    let message = error["error"].as_str().unwrap();
    for part in [
        "no virtio drivers were found for this Windows guest",
        "there is no driver for disks on virtio-blk for Windows 11 (amd64)",
        "--virtio-win",
    ] {
        assert!(message.contains(part), "{part}: {message}");
    }
    assert!(!dir.path().join("out").exists(), "{refused:?}");

    bring(&drivers, "viostor");
    let converted = convert(dir.path(), "virt-v2v", &drivers, &disk);
    // A volume that Windows is going to check is a warning.
    assert_eq!(converted.code, Some(3), "{converted:?}");
    let report = converted.json().unwrap();
    assert_eq!(report["v2v"]["virtio"], false, "{report:#}");
    let planned = fixup(&report["fixups"], "windows-virtio");
    assert_eq!(planned["verdict"], "change", "{planned:#}");
    assert_eq!(report["fixups"]["checked"], true);
    let warnings = fixup(&report["fixups"], "windows-disks")["warnings"].to_string();
    assert!(warnings.contains("chkdsk"), "{warnings}");
    assert_eq!(report["machine"]["disks"][0]["bus"], "virtio");
    assert_eq!(report["machine"]["nics"][0]["model"], "virtio");
}

#[test]
fn drivers_are_read_from_an_image() {
    let dir = tempfile::tempdir().unwrap();
    let disk = windows(dir.path(), &["--release", "server-2025"]).unwrap();
    let image = dir.path().join("virtio-win.iso");
    let packed = fs::File::open(testdata("iso/joliet.iso.xz")).unwrap();
    let mut unpacked = fs::File::create(&image).unwrap();
    let mut reader = lzma_rust2::XzReader::new(packed, false);
    io::copy(&mut reader, &mut unpacked).unwrap();
    let converted = convert(dir.path(), "refit", &image, &disk);
    // There is no driver for network cards on the image.
    assert_eq!(converted.code, Some(3), "{converted:?}");
    let report = converted.json().unwrap();
    assert_eq!(report["machine"]["disks"][0]["bus"], "virtio", "{report:#}");
    assert_eq!(report["machine"]["nics"][0]["model"], "e1000e");
    let planned = fixup(&report["fixups"], "windows-virtio");
    let evidence = planned["evidence"].to_string();
    assert!(
        evidence.contains("viostor/w11/amd64/viostor.inf"),
        "{evidence}"
    );
    let warnings = planned["warnings"].to_string();
    for part in [
        "no driver for virtio network cards",
        // virt-v2v would have changed that.
        "graphicsmodedisabled",
    ] {
        assert!(warnings.contains(part), "{part}: {planned:#}");
    }
}
