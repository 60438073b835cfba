//! Disks with odd names, and in odd places.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use refit_engine::disks::{DiskError, Options, Overlays};

use crate::support::*;

#[test]
fn hostile_names_are_only_names() {
    let names = [
        "nbd:x",
        "-f",
        "--help",
        "json:{}",
        "a b",
        "a,b=c",
        "file:x",
        "nbd://host/x",
        "%s\n$(true)`x`",
        "\"q'",
        "..img",
        "host_device:x",
        "ünïcode",
    ];
    for name in names {
        let dir = directory();
        let name = name.replace('/', "_");
        let raw = disk(dir.path(), "plain", "raw");
        let old = fs::read(&raw).unwrap();
        let path = dir.path().join(&name);
        fs::rename(raw, &path).unwrap();
        let overlays = open(std::slice::from_ref(&path));
        assert!(overlays.images().all(|image| image.is_absolute()));
        change(&overlays);
        overlays.commit(&mut |_| ()).unwrap();
        assert_eq!(fs::read(&path).unwrap(), changed(&old), "{name}");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "{name}");
    }
}

#[test]
fn a_disk_is_given_once() {
    let dir = directory();
    let path = disk(dir.path(), "disk.img", "raw");
    let hard = dir.path().join("hard.img");
    fs::hard_link(&path, &hard).unwrap();
    let top = dir.path().join("top.qcow2");
    qemu_img(&[
        "create",
        "-q",
        "-f",
        "qcow2",
        "-F",
        "raw",
        "-b",
        path.to_str().unwrap(),
        top.to_str().unwrap(),
    ]);
    for other in [&path, &hard, &top] {
        for disks in [[path.clone(), other.clone()], [other.clone(), path.clone()]] {
            let error = Overlays::create(&specs(&disks), &Options::default()).unwrap_err();
            assert!(
                matches!(error, DiskError::Duplicate { .. }),
                "{disks:?}: {error}"
            );
        }
    }
    assert!(leftovers(dir.path()).is_empty());
}

/// A directory that takes no new entries (immutable, so that root meets it, too): the state goes to /var/tmp.
#[test]
fn state_goes_elsewhere_if_the_directory_is_closed() {
    let dir = directory();
    let path = disk(dir.path(), "disk.img", "raw");
    let old = fs::read(&path).unwrap();
    let chattr = |flag: &str| Command::new("chattr").arg(flag).arg(dir.path()).status();
    if !chattr("+i").is_ok_and(|status| status.success()) {
        eprintln!("skipped: chattr +i does not work here");
        return;
    }
    let result = Overlays::create(&specs(std::slice::from_ref(&path)), &Options::default());
    let place = result
        .as_ref()
        .ok()
        .and_then(|overlays| overlays.images().next())
        .map(Path::to_owned);
    let result = result.and_then(|overlays| {
        change(&overlays);
        overlays.commit(&mut |_| ())
    });
    chattr("-i").unwrap();
    result.unwrap();
    assert!(place.unwrap().starts_with("/var/tmp"));
    assert_eq!(fs::read(&path).unwrap(), changed(&old));
}

#[test]
fn a_loop_device_is_a_disk() {
    let dir = directory();
    let path = disk(dir.path(), "disk.img", "raw");
    let old = fs::read(&path).unwrap();
    let output = Command::new("losetup")
        .args(["--find", "--show"])
        .arg(&path)
        .output();
    let device = match output {
        Ok(output) if output.status.success() => String::from_utf8(output.stdout).unwrap(),
        other => {
            eprintln!("skipped: losetup: {other:?}");
            return;
        }
    };
    let device = PathBuf::from(device.trim());
    let on_device = Overlays::create(&specs(std::slice::from_ref(&device)), &Options::default())
        .and_then(|overlays| {
            change(&overlays);
            assert!(overlays.images().all(|image| image.starts_with("/var/tmp")));
            overlays.commit(&mut |_| ())
        });
    Command::new("losetup")
        .arg("-d")
        .arg(&device)
        .status()
        .unwrap();
    on_device.unwrap();
    assert_eq!(fs::read(&path).unwrap(), changed(&old));
}
