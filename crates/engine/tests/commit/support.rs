//! Disks to work on, the changes that are made to them, and the process that is killed meanwhile.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use refit_engine::disks::{DiskSpec, Options, Overlays};
use tempfile::TempDir;

#[path = "../../../image/tests/support/mod.rs"]
mod images;
pub use images::*;

/// `commit STEP DISK...`, `hold DISK...` or `recover DISK...`, separated by newlines.
pub const CHILD: &str = "REFIT_TEST_CHILD";

/// What a guest would read, whatever the format.
pub fn content(path: &Path, format: &str) -> Vec<u8> {
    let out = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let raw = out.path().join("raw");
    qemu_img(&[
        "convert",
        "-f",
        format,
        "-O",
        "raw",
        path.to_str().unwrap(),
        raw.to_str().unwrap(),
    ]);
    fs::read(raw).unwrap()
}

pub fn specs(disks: &[PathBuf]) -> Vec<DiskSpec> {
    disks.iter().map(DiskSpec::new).collect()
}

pub fn open(disks: &[PathBuf]) -> Overlays {
    Overlays::create(&specs(disks), &Options::default()).unwrap()
}

/// What is left beside the disks.
pub fn leftovers(directory: &Path) -> Vec<String> {
    let names = fs::read_dir(directory).unwrap();
    names
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.starts_with(".refit-"))
        .collect()
}

/// The change that the tests make: some of it where the base has data, some where it has none.
pub fn change(overlays: &Overlays) {
    for image in overlays.images() {
        qemu_io(image, "qcow2", "write -P 0x55 2M 2M");
        qemu_io(image, "qcow2", "write -P 0x66 6M 1k");
    }
}

pub fn changed(old: &[u8]) -> Vec<u8> {
    let mut new = old.to_vec();
    new[2 << 20..4 << 20].fill(0x55);
    new[6 << 20..(6 << 20) + 1024].fill(0x66);
    new
}

pub fn spawn(arguments: &[String]) -> Child {
    Command::new(env::current_exe().unwrap())
        .args(["--exact", "child", "--nocapture", "--test-threads=1"])
        .env(CHILD, arguments.join("\n"))
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

pub fn arguments(first: &[&str], disks: &[PathBuf]) -> Vec<String> {
    let disks = disks.iter().map(|disk| disk.to_str().unwrap().to_owned());
    first
        .iter()
        .map(|word| (*word).to_owned())
        .chain(disks)
        .collect()
}
