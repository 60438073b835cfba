//! What a refusal must be like, and input that is refused.
#![expect(
    clippy::unwrap_used,
    reason = "what is asserted here fails by panicking"
)]

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{Run, must, system_disk};

/// Runs a script in `dir`; a command that fails ends it.
///
/// # Panics
/// If it fails.
pub fn shell(dir: &Path, script: &str) {
    must(
        Command::new("sh")
            .args(["-ec", script])
            .current_dir(dir)
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"),
    )
    .unwrap();
}

/// What holds for every refusal: one document, one line with `error:`, the same words in both, and
/// nothing changed. Returns the message.
///
/// # Panics
/// If something else is found.
pub fn assert_refused(done: &Run, code: i32) -> String {
    assert_eq!(done.code, Some(code), "{done:?}");
    let document = done.json().unwrap();
    assert_eq!(document["schema"], "refit/error/v1", "{done:?}");
    assert_eq!(document["changed"], false, "{done:?}");
    let lines: Vec<&str> = done
        .stderr
        .lines()
        .filter(|line| line.contains("error:"))
        .collect();
    assert_eq!(lines.len(), 1, "{done:?}");
    let message = document["error"].as_str().unwrap().to_owned();
    let first = message.lines().next().unwrap();
    assert_eq!(lines, [format!("error: {first}")], "{done:?}");
    message
}

/// # Panics
/// If one of the words is not in the message.
pub fn assert_says(message: &str, words: &[&str]) {
    for word in words {
        assert!(message.contains(word), "{word:?} is not in {message:?}");
    }
}

/// The key of [`encrypted_disk`].
pub const SECRET: &str = "geheim-7391";

/// `NAME.img` inside of a LUKS volume that fills `NAME.luks.img`, with a file `key` that holds its key and a file `wrong`
/// that does not.
///
/// # Panics
/// If it cannot be made.
pub fn encrypted_disk(dir: &Path, name: &str) {
    system_disk(dir, name).unwrap();
    fs::remove_dir_all(dir.join(format!("{name}.tree"))).unwrap();
    fs::write(dir.join("key"), SECRET).unwrap();
    fs::write(dir.join("wrong"), "another").unwrap();
    shell(
        dir,
        &format!(
            "qemu-img create -q -f luks --object secret,id=k,file=key \
                 -o key-secret=k,iter-time=10 {name}.luks.img 64M
             qemu-img convert -n -f raw --object secret,id=k,file=key {name}.img \
                 --target-image-opts driver=luks,key-secret=k,file.filename={name}.luks.img
             rm {name}.img"
        ),
    );
}

/// A virt-v2v for `REFIT_VIRT_V2V` that fails. Before that it adds its arguments to the file `argv` in `dir`, and warns
/// with a word that clears a terminal and turns its direction.
///
/// # Panics
/// If it cannot be made.
#[must_use]
pub fn failing_virt_v2v(dir: &Path) -> PathBuf {
    let path = dir.join("virt-v2v");
    let script = r#"#!/bin/sh
        case $* in
            --version) echo virt-v2v 2.10.0; exit ;;
            --machine-readable) echo input:disk; echo input:libvirtxml; echo output:disk; exit ;;
            --help) exit ;;
        esac
        echo "$*" >> "${0%/*}/argv"
        for argument; do
            case $argument in --machine-readable=file:*) messages=${argument#*:} ;; esac
        done
        printf '%s\n' '{"type": "warning", "message": "\u001b[2J\u202edrow"}' \
            '{"type": "error", "message": "libguestfs error: told to fail"}' >> "$messages"
        exit 1"#;
    fs::write(&path, script).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
    path
}

/// A small file system of its own, gone when dropped.
#[derive(Debug)]
pub struct SmallDisk(PathBuf);

impl SmallDisk {
    /// `None` where mounting is not allowed.
    ///
    /// # Panics
    /// If the directory cannot be made.
    #[must_use]
    pub fn mount(dir: PathBuf, size: &str) -> Option<Self> {
        fs::create_dir(&dir).unwrap();
        let options = format!("size={size}");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &options, "refit-test"])
            .arg(&dir)
            .output();
        mounted
            .is_ok_and(|output| output.status.success())
            .then_some(Self(dir))
    }

    /// Where it is mounted.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).status();
    }
}
