//! `image-converter` with the real qemu-img.

#![allow(clippy::unwrap_used)] // a test fails by panicking

use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::process::{Command, ExitCode};

use refit_pod::image_converter;

const MIB: u64 = 1 << 20;

fn qemu_img(args: &[&str]) {
    let status = Command::new("qemu-img").args(args).status().unwrap();
    assert!(status.success(), "qemu-img {args:?}");
}

/// What the guest wrote: something at both ends of a disk of 32 MiB.
fn content() -> Vec<u8> {
    let mut bytes = vec![0; usize::try_from(32 * MIB).unwrap()];
    for (index, byte) in bytes.iter_mut().take(100_000).enumerate() {
        *byte = u8::try_from(index % 251).unwrap();
    }
    bytes.iter_mut().rev().take(512).for_each(|byte| *byte = 9);
    bytes
}

fn qcow2(path: &Path) {
    let raw = path.with_extension("source");
    fs::write(&raw, content()).unwrap();
    let (raw, image) = (raw.to_str().unwrap(), path.to_str().unwrap());
    qemu_img(&["convert", "-f", "raw", "-O", "qcow2", raw, image]);
    fs::remove_file(raw).unwrap();
}

fn convert(source: &Path, target: &Path, format: &str, mode: &str) -> ExitCode {
    let (source, target) = (source.to_str().unwrap(), target.to_str().unwrap());
    let args = [
        "-src-path",
        source,
        "-dst-path",
        target,
        "-src-format",
        format,
        "-dst-format",
        "raw",
        "-volume-mode",
        mode,
    ];
    image_converter(args.into_iter().map(str::to_owned))
}

#[test]
fn a_file_is_replaced_by_its_raw_form() {
    let directory = tempfile::tempdir().unwrap();
    // As in the pod, the second volume is another file system.
    let scratch = tempfile::tempdir_in("/dev/shm").unwrap();
    let (source, target) = (
        directory.path().join("disk.img"),
        scratch.path().join("disk.img"),
    );
    qcow2(&source);
    assert_eq!(
        convert(&source, &target, "qcow2", "Filesystem"),
        ExitCode::SUCCESS
    );
    assert!(fs::read(&source).unwrap() == content());
    assert!(!target.exists());
    // Raw is what it is, even if that looks like something else.
    qcow2(&source);
    let image = fs::read(&source).unwrap();
    assert_eq!(
        convert(&source, &target, "raw", "Filesystem"),
        ExitCode::SUCCESS
    );
    assert!(fs::read(&source).unwrap()[..image.len()] == image);
}

#[test]
fn without_a_volume_mode_the_source_stays() {
    let directory = tempfile::tempdir().unwrap();
    let (source, target) = (
        directory.path().join("disk.img"),
        directory.path().join("raw"),
    );
    qcow2(&source);
    let before = fs::read(&source).unwrap();
    assert_eq!(convert(&source, &target, "qcow2", ""), ExitCode::SUCCESS);
    assert!(fs::read(&source).unwrap() == before);
    assert!(fs::read(&target).unwrap() == content());
}

#[test]
fn a_source_that_cannot_be_converted_is_untouched() {
    let directory = tempfile::tempdir().unwrap();
    let (source, target) = (
        directory.path().join("disk.img"),
        directory.path().join("raw"),
    );
    // It is not what it is said to be.
    fs::write(&source, [1; 4096]).unwrap();
    for mode in ["Block", "Filesystem"] {
        assert_eq!(convert(&source, &target, "qcow2", mode), ExitCode::FAILURE);
        assert_eq!(fs::read(&source).unwrap(), [1; 4096]);
        assert!(!target.exists());
    }
    // It refers to a file of this host.
    fs::remove_file(&source).unwrap();
    let secret = tempfile::NamedTempFile::new().unwrap();
    secret.as_file().set_len(MIB).unwrap();
    let secret = secret.path().to_str().unwrap();
    qemu_img(&[
        "create",
        "-q",
        "-f",
        "qcow2",
        "-F",
        "raw",
        "-b",
        secret,
        source.to_str().unwrap(),
    ]);
    assert_eq!(
        convert(&source, &target, "qcow2", "Filesystem"),
        ExitCode::FAILURE
    );
    assert!(!target.exists());
    // The target cannot be written.
    fs::remove_file(&source).unwrap();
    qcow2(&source);
    let before = fs::read(&source).unwrap();
    let nowhere = directory.path().join("nowhere/disk.img");
    assert_eq!(
        convert(&source, &nowhere, "qcow2", "Filesystem"),
        ExitCode::FAILURE
    );
    assert!(fs::read(&source).unwrap() == before);
}

/// A loop device, which is gone at the end.
struct Device(String);

impl Device {
    fn new(file: &Path) -> Self {
        let output = Command::new("losetup")
            .args(["--find", "--show"])
            .arg(file)
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        Self(String::from_utf8(output.stdout).unwrap().trim().to_owned())
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        let _ = Command::new("losetup").args(["--detach", &self.0]).status();
    }
}

#[test]
fn a_block_device_is_overwritten_with_its_raw_form() {
    if !rustix::process::geteuid().is_root() || !Path::new("/dev/loop-control").exists() {
        eprintln!("left out: there are no loop devices for us");
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let device = |name: &str, size: u64| {
        let path = directory.path().join(name);
        let file = File::create(&path).unwrap();
        file.set_len(size).unwrap();
        (Device::new(&path), file)
    };
    let image = directory.path().join("image");
    qcow2(&image);
    let (source, source_file) = device("source", 33 * MIB);
    let (target, _) = device("target", 33 * MIB);
    let (small, _) = device("small", 31 * MIB);
    let source = Path::new(&source.0);
    fs::OpenOptions::new()
        .write(true)
        .open(source)
        .unwrap()
        .write_all_at(&fs::read(&image).unwrap(), 0)
        .unwrap();
    // It is seen before anything is written that the disk does not fit.
    assert_eq!(
        convert(source, Path::new(&small.0), "qcow2", "Block"),
        ExitCode::FAILURE
    );
    assert_eq!(
        convert(source, Path::new(&target.0), "qcow2", "Block"),
        ExitCode::SUCCESS
    );
    drop(source_file);
    let raw = fs::read(source).unwrap();
    assert_eq!(raw.len() as u64, 33 * MIB);
    assert!(raw[..content().len()] == content());
}
