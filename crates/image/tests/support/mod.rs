//! Real images of all formats, made with the real qemu-img. Shared with the engine's tests.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::Duration,
};

use tempfile::TempDir;

pub const MIB: u64 = 1 << 20;

/// A directory for disks; beside the build, because /tmp may be small or in memory.
pub fn directory() -> TempDir {
    TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap()
}

pub fn qemu_img(arguments: &[&str]) {
    let output = Command::new("qemu-img").args(arguments).output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "qemu-img {arguments:?}: {stderr}");
}

pub fn qemu_io(image: &Path, format: &str, command: &str) {
    let mut qemu_io = Command::new("qemu-io");
    let output = qemu_io
        .args(["-f", format, "-c", command])
        .arg(image)
        .output()
        .unwrap();
    // qemu-io exits with 0 although a write failed; then it says so.
    let text = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && text.contains("wrote"),
        "{command}: {text}"
    );
}

/// A raw disk with an MBR, filled with 0x11 from 1 MiB to 3 MiB.
pub fn raw_disk(path: &Path, size: u64) {
    let mut file = fs::File::create(path).unwrap();
    let mut sector = [0; 512];
    sector[510..].copy_from_slice(&[0x55, 0xaa]);
    file.write_all(&sector).unwrap();
    file.set_len(size).unwrap();
    qemu_io(path, "raw", "write -P 0x11 1M 2M");
}

pub fn disk(directory: &Path, name: &str, format: &str) -> PathBuf {
    let raw = directory.join("source");
    raw_disk(&raw, 8 * MIB);
    let path = directory.join(name);
    let (raw_name, name) = (raw.to_str().unwrap(), path.to_str().unwrap());
    match format.split_once(':') {
        Some((format, kind)) => {
            let kind = format!("subformat={kind}");
            qemu_img(&[
                "convert", "-f", "raw", "-O", format, "-o", &kind, raw_name, name,
            ]);
        }
        None => qemu_img(&["convert", "-f", "raw", "-O", format, raw_name, name]),
    }
    fs::remove_file(raw).unwrap();
    path
}

pub fn wait_for(mark: &Path) {
    for _ in 0..3000 {
        if mark.exists() {
            return;
        }
        thread::sleep(Duration::from_millis(20));
    }
    panic!("{} did not appear", mark.display());
}

pub const FORMATS: [&str; 9] = [
    "raw",
    "qcow2",
    "vmdk",
    "vmdk:monolithicFlat",
    "vmdk:twoGbMaxExtentSparse",
    "vhdx",
    "vdi",
    "vpc",
    "vpc:fixed",
];

pub fn name_for(kind: &str) -> String {
    let format = kind.split(':').next().unwrap();
    let extension = if format == "vpc" { "vhd" } else { format };
    format!("{}.{extension}", kind.replace(':', "-"))
}

/// A mount that goes away with the test.
pub struct Mount(PathBuf);

impl Mount {
    /// None, with the reason printed, where mounting is not possible.
    pub fn new(arguments: &[&str], target: &Path) -> Option<Self> {
        let output = Command::new("mount")
            .args(arguments)
            .arg(target)
            .output()
            .ok()?;
        if output.status.success() {
            return Some(Self(target.into()));
        }
        eprintln!(
            "skipped: mount {arguments:?}: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        );
        None
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).status();
    }
}
