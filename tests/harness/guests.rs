//! Guests, made once and kept in `target/guests`.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, ensure};

use crate::{must, root};

/// Root's password in every guest.
pub const PASSWORD: &str = "refit";

/// A guest that is never written to.
#[derive(Debug)]
pub struct Guest {
    disk: PathBuf,
}

impl Guest {
    /// The original, for reading.
    #[must_use]
    pub fn disk(&self) -> &Path {
        &self.disk
    }

    /// A sparse copy of its disk in `dir` that a test may do anything to.
    ///
    /// # Errors
    /// If it cannot be copied.
    pub fn copy(&self, dir: &Path) -> anyhow::Result<PathBuf> {
        let copy = dir.join("disk.img");
        must(
            Command::new("cp")
                .args(["--sparse=always", "--reflink=auto"])
                .arg(&self.disk)
                .arg(&copy),
        )?;
        Ok(copy)
    }
}

/// The guest that `tests/guests/debian.sh` makes with these options.
///
/// # Errors
/// If it cannot be made.
pub fn guest(options: &[&str]) -> anyhow::Result<Guest> {
    let cache = root().join("target/guests");
    fs::create_dir_all(&cache).context("creating target/guests")?;
    let name: String = options
        .concat()
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .collect();
    let disk = cache.join(format!("debian{name}.img"));
    let lock =
        File::create(cache.join(format!("debian{name}.lock"))).context("creating a lock file")?;
    lock.lock().context("waiting for another builder")?;
    if !disk.exists() {
        let made = disk.with_extension("part");
        must(
            Command::new(root().join("tests/guests/debian.sh"))
                .arg(&made)
                .args(options),
        )?;
        fs::rename(&made, &disk).context("keeping the guest")?;
    }
    Ok(Guest { disk })
}

/// The disk that `tests/guests/windows.sh` makes with these options, in `dir`. It does not boot.
///
/// # Errors
/// If it cannot be made.
pub fn windows(dir: &Path, options: &[&str]) -> anyhow::Result<PathBuf> {
    let disk = dir.join("windows.img");
    let test = std::env::current_exe().context("finding this test")?;
    let beside = test.parent().and_then(Path::parent);
    let beside = beside.context("finding the other programs")?;
    must(
        Command::new(root().join("tests/guests/windows.sh"))
            .arg(&disk)
            .args(options)
            .env("HIVE_FROM_REG", beside.join("hive-from-reg"))
            .env("LIBGUESTFS_BACKEND_SETTINGS", "force_tcg"),
    )?;
    Ok(disk)
}

/// A disk that libguestfs takes for a small Linux system, in a second: one ext4 file system with
/// the given os-release name. It does not boot.
///
/// # Errors
/// If mkfs.ext4 fails.
pub fn system_disk(dir: &Path, name: &str) -> anyhow::Result<PathBuf> {
    system_disk_with(dir, name, |_| Ok(()))
}

/// [`system_disk`] with more in it: `add` is given the tree before it becomes a disk.
///
/// # Errors
/// If mkfs.ext4 or `add` fails.
pub fn system_disk_with(
    dir: &Path,
    name: &str,
    add: impl FnOnce(&Path) -> anyhow::Result<()>,
) -> anyhow::Result<PathBuf> {
    let tree = dir.join(format!("{name}.tree"));
    for sub in [
        "etc/network",
        "bin",
        "boot",
        "var/lib/dpkg",
        "lib/modules/6.1.0",
    ] {
        fs::create_dir_all(tree.join(sub)).context("making a tree")?;
    }
    let write = |path: &str, text: &str| fs::write(tree.join(path), text).context("making a tree");
    write(
        "etc/os-release",
        &format!("ID=debian\nVERSION_ID=\"12\"\nPRETTY_NAME=\"{name}\"\n"),
    )?;
    write("etc/debian_version", "12.5\n")?;
    write("etc/fstab", "/dev/sda / ext4 defaults 0 1\n")?;
    write("etc/hostname", &format!("{name}\n"))?;
    write(
        "etc/network/interfaces",
        "auto ens192\niface ens192 inet static\n  address 192.0.2.10/24\n",
    )?;
    write(
        "var/lib/dpkg/status",
        "Package: systemd\nStatus: install ok installed\nVersion: 252.1-1\n\n",
    )?;
    write("boot/vmlinuz-6.1.0", "kernel")?;
    write("lib/modules/6.1.0/modules.dep", "")?;
    write(
        "lib/modules/6.1.0/modules.builtin",
        "kernel/drivers/virtio/virtio_pci.ko\nkernel/drivers/block/virtio_blk.ko\n",
    )?;
    write("boot/initrd.img-6.1.0", &"\u{1}".repeat(4097))?;
    add(&tree)?;
    let disk = dir.join(format!("{name}.img"));
    File::create(&disk)
        .and_then(|file| file.set_len(64 << 20))
        .context("making a disk")?;
    must(
        Command::new("mkfs.ext4")
            .args(["-q", "-F", "-d"])
            .arg(&tree)
            .arg(&disk),
    )?;
    Ok(disk)
}

/// Replaces files of the ext4 file system at 1 MiB of a raw disk, by commands of debugfs(8).
///
/// # Errors
/// If debugfs fails, or finds not what it is told to change.
pub fn edit(disk: &Path, commands: &str) -> anyhow::Result<()> {
    let script = disk.with_extension("debugfs");
    fs::write(&script, commands).with_context(|| format!("writing {}", script.display()))?;
    let said = must(
        Command::new("debugfs")
            .args(["-w", "-f"])
            .arg(&script)
            .arg(format!("{}?offset=1048576", disk.display())),
    )?;
    ensure!(!said.contains("not found"), "{said}");
    Ok(())
}
