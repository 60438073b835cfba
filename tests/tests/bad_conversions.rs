//! Conversions that cannot be done: the source stays as it is, and nothing but virt-v2v's log remains.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::Path;
use std::process::Command;

use refit_tests::{
    SmallDisk, assert_refused, assert_says, encrypted_disk, failing_virt_v2v, guest, must, refit,
    run, shell, snapshot, system_disk, system_disk_with,
};

/// Converts what cannot be converted. The source stays as it is, nothing but the log remains, and
/// the message names that. Returns message and log.
fn unconverted(dir: &Path, arguments: &[&str]) -> (String, String) {
    let before = snapshot(dir).unwrap();
    let done = run(refit()
        .current_dir(dir)
        .args(["--json", "convert", "--out", "out"])
        .args(arguments))
    .unwrap();
    let message = assert_refused(&done, 1);
    let log = dir.join("out.failed.log");
    assert_says(&message, &[log.to_str().unwrap()]);
    let text = fs::read(&log).unwrap();
    fs::remove_file(&log).unwrap();
    assert_eq!(snapshot(dir).unwrap(), before, "{message}");
    (message, String::from_utf8_lossy(&text).into_owned())
}

#[test]
fn converting_a_disk_without_operating_system() {
    let dir = tempfile::tempdir().unwrap();
    shell(dir.path(), "mkfs.ext4 -q -F good.img 4M");
    let (message, log) = unconverted(dir.path(), &["--engine", "virt-v2v", "good.img"]);
    assert_says(
        &message,
        &[
            "good.img",
            "no operating system",
            "Check that this is the guest's system disk",
        ],
    );
    assert_says(&log, &["running", "good.img"]);
}

#[test]
fn converting_an_operating_system_that_virt_v2v_does_not_know() {
    let dir = tempfile::tempdir().unwrap();
    let disk = system_disk_with(dir.path(), "alpine", |tree| {
        let release = "ID=alpine\nVERSION_ID=3.19.1\nPRETTY_NAME=\"Alpine Linux v3.19\"\n";
        fs::write(tree.join("etc/os-release"), release)?;
        fs::remove_file(tree.join("etc/debian_version"))?;
        fs::create_dir_all(tree.join("lib/apk/db"))?;
        // Tells the architecture.
        fs::copy("/bin/ls", tree.join("bin/ls"))?;
        fs::write(
            tree.join("lib/apk/db/installed"),
            "P:busybox\nV:1.36.1-r15\nA:x86_64\n\n",
        )?;
        Ok(())
    })
    .unwrap();
    let (message, _) = unconverted(
        dir.path(),
        &["--engine", "virt-v2v", disk.to_str().unwrap()],
    );
    assert_says(
        &message,
        &[
            "alpine.img",
            "virt-v2v cannot convert this operating system",
            "alpine",
            "--engine refit",
        ],
    );
}

#[test]
fn converting_a_machine_with_two_operating_systems() {
    let dir = tempfile::tempdir().unwrap();
    let disks: String = ["web", "database"]
        .into_iter()
        .zip(["sda", "sdb"])
        .map(|(name, device)| {
            let path = system_disk(dir.path(), name).unwrap();
            format!(
                "<disk type='file' device='disk'><driver name='qemu' type='raw'/><source file='{}'/>\
                 <target dev='{device}' bus='scsi'/></disk>",
                path.display()
            )
        })
        .collect();
    let domain = format!(
        "<domain type='kvm'><name>two</name><memory unit='MiB'>512</memory><vcpu>1</vcpu>\
         <os><type>hvm</type></os><devices>{disks}</devices></domain>"
    );
    fs::write(dir.path().join("two.xml"), domain).unwrap();
    let (message, _) = unconverted(dir.path(), &["two.xml"]);
    assert_says(
        &message,
        &[
            "two.xml",
            "several operating systems",
            "/dev/sda",
            "/dev/sdb",
            "--os-device",
        ],
    );
}

#[test]
fn converting_an_encrypted_disk_without_its_key() {
    let dir = tempfile::tempdir().unwrap();
    encrypted_disk(dir.path(), "web");
    let (message, _) = unconverted(dir.path(), &["web.luks.img"]);
    assert_says(&message, &["web.luks.img", "encrypted", "--key"]);
}

#[test]
fn a_key_of_clevis_reaches_virt_v2v() {
    let (dir, tools) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    shell(dir.path(), "mkfs.ext4 -q -F good.img 4M");
    let done = run(refit()
        .current_dir(dir.path())
        .env("REFIT_VIRT_V2V", failing_virt_v2v(tools.path()))
        .args([
            "--json",
            "convert",
            "--out",
            "out",
            "--key",
            "all:clevis",
            "good.img",
        ]))
    .unwrap();
    assert_says(&assert_refused(&done, 1), &["told to fail"]);
    assert_says(&done.stderr, &["warning: \\u{1b}[2J\\u{202e}drow"]);
    let arguments = fs::read_to_string(tools.path().join("argv")).unwrap();
    assert_says(&arguments, &["--key all:clevis"]);
}

#[test]
fn converting_to_a_full_disk() {
    let dir = tempfile::tempdir().unwrap();
    let Some(out) = SmallDisk::mount(dir.path().join("out"), "48M") else {
        println!("skipped: this user may not mount a small file system");
        return;
    };
    let source = guest(&[]).unwrap();
    let digest = || must(Command::new("sha256sum").arg(source.disk())).unwrap();
    let before = digest();
    let done = run(refit()
        .args(["--json", "convert", "--out"])
        .arg(out.path())
        .arg(source.disk()))
    .unwrap();
    let message = assert_refused(&done, 1);
    assert_says(
        &message,
        &["no space left", "Free some space", "out.failed.log"],
    );
    assert!(
        done.stderr.contains("Copying disk 1 of 1"),
        "it got as far as that: {done:?}"
    );
    assert_eq!(digest(), before);
    let left: Vec<_> = fs::read_dir(out.path()).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
}
