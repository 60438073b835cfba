//! Who else uses an image, and what a file of it is to the kernel.

use std::{
    fs::{self, File},
    io::{Seek, SeekFrom},
    ops::RangeInclusive,
    os::unix::fs::{FileTypeExt, MetadataExt},
    path::Path,
};

use rustix::fs::{Mode, OFlags};

use crate::{Access, ImageError, Result};

/// qemu marks its use of an image by locks on single bytes (qemu, block/file-posix.c): byte 100 + n
/// for permission n that it uses, byte 200 + n for permission n that it does not share.
const QEMU_LOCKS: RangeInclusive<u64> = 100..=299;
/// The permission "write".
const QEMU_WRITING: RangeInclusive<u64> = 101..=101;

/// Refuses a file or device that another process uses in a way that conflicts with `access`: a reader
/// must not see changes, a writer must be alone.
///
/// # Errors
///
/// [`ImageError::InUse`], with the process if it can be found; [`ImageError::Io`] if it cannot be looked at.
pub fn refuse(path: &Path, access: Access) -> Result<()> {
    let metadata = fs::metadata(path).map_err(ImageError::io(path, "reading its attributes"))?;
    let in_use = |by: String| ImageError::InUse {
        path: path.into(),
        by,
    };
    if let Some(by) = lock_holder(&metadata, access) {
        return Err(in_use(by));
    }
    if metadata.file_type().is_block_device() {
        if held_exclusively(path).map_err(ImageError::io(path, "opening the device"))? {
            return Err(in_use(
                "a mount, LVM, RAID or another holder (see lsblk)".into(),
            ));
        }
    } else if let Some(device) = loop_device(path, access) {
        return Err(in_use(format!("the loop device {device} (see losetup)")));
    }
    Ok(())
}

/// Who holds a lock of qemu's kind on the file.
///
/// The kernel's list is read, because asking (`F_GETLK`) is not possible without unsafe code for locks that
/// no process owns (open file description locks, proc_locks(5)).
fn lock_holder(file: &fs::Metadata, access: Access) -> Option<String> {
    let bytes = match access {
        Access::Read => QEMU_WRITING,
        Access::Write => QEMU_LOCKS,
    };
    let list = fs::read_to_string("/proc/locks").ok()?;
    let devices: Vec<_> = list
        .lines()
        .filter_map(|line| lock_on(line, file.ino(), &bytes))
        .collect();
    if devices.is_empty() {
        return None;
    }
    // btrfs and overlayfs show another device number here than to stat(2); then only the process
    // tells whether it is this file.
    let device = (
        rustix::fs::major(file.dev()).into(),
        rustix::fs::minor(file.dev()).into(),
    );
    process_with_lock(file, &bytes).or_else(|| {
        devices
            .contains(&device)
            .then(|| "another process (qemu's image lock)".into())
    })
}

/// The device (major, minor) of a line of `/proc/locks` or of a `lock:` line of `/proc/PID/fdinfo/N`, if it is
/// a lock on `inode` that touches `bytes`.
fn lock_on(line: &str, inode: u64, bytes: &RangeInclusive<u64>) -> Option<(u64, u64)> {
    let fields: Vec<_> = line.split_whitespace().collect();
    let [.., file, start, end] = fields.as_slice() else {
        return None;
    };
    let mut parts = file.split(':');
    let major = u64::from_str_radix(parts.next()?, 16).ok()?;
    let minor = u64::from_str_radix(parts.next()?, 16).ok()?;
    let same = parts.next()?.parse() == Ok(inode);
    let start: u64 = start.parse().ok()?;
    let end = if *end == "EOF" {
        u64::MAX
    } else {
        end.parse().ok()?
    };
    // flock(2) locks are of no concern: udev and others take them on whole devices for moments.
    let record = fields
        .iter()
        .any(|kind| matches!(*kind, "OFDLCK" | "POSIX"));
    (same && record && start <= *bytes.end() && end >= *bytes.start()).then_some((major, minor))
}

/// The other process that has the file open with such a lock. Processes of other users cannot be seen.
fn process_with_lock(file: &fs::Metadata, bytes: &RangeInclusive<u64>) -> Option<String> {
    let own = std::process::id().to_string();
    for process in fs::read_dir("/proc").ok()?.flatten() {
        let Ok(pid) = process.file_name().into_string() else {
            continue;
        };
        if pid == own || !pid.bytes().all(|byte| byte.is_ascii_digit()) {
            continue;
        }
        let Ok(descriptors) = fs::read_dir(process.path().join("fd")) else {
            continue;
        };
        for descriptor in descriptors.flatten() {
            let same = fs::metadata(descriptor.path())
                .is_ok_and(|open| (open.dev(), open.ino()) == (file.dev(), file.ino()));
            if !same {
                continue;
            }
            let info = process.path().join("fdinfo").join(descriptor.file_name());
            let info = fs::read_to_string(info).unwrap_or_default();
            let mut locks = info.lines().filter(|line| line.starts_with("lock:"));
            if locks.any(|line| lock_on(line, file.ino(), bytes).is_some()) {
                let name = fs::read_to_string(process.path().join("comm")).unwrap_or_default();
                return Some(format!("{} (process {pid})", name.trim()));
            }
        }
    }
    None
}

/// The kernel refuses `O_EXCL` on a block device that is mounted or held by another driver (open(2)).
fn held_exclusively(path: &Path) -> std::io::Result<bool> {
    let flags = OFlags::RDONLY | OFlags::EXCL | OFlags::CLOEXEC;
    match rustix::fs::open(path, flags, Mode::empty()) {
        Ok(_) => Ok(false),
        Err(rustix::io::Errno::BUSY) => Ok(true),
        Err(error) => Err(error.into()),
    }
}

/// The loop device that is bound to the file; a read-only one does not disturb a reader.
fn loop_device(path: &Path, access: Access) -> Option<String> {
    for device in fs::read_dir("/sys/block").ok()?.flatten() {
        let attribute = |name: &str| fs::read_to_string(device.path().join(name));
        let Ok(backing) = attribute("loop/backing_file") else {
            continue;
        };
        let read_only = attribute("ro").is_ok_and(|ro| ro.trim() == "1");
        if Path::new(backing.trim_end_matches('\n')) == path
            && !(read_only && access == Access::Read)
        {
            return Some(format!("/dev/{}", device.file_name().to_string_lossy()));
        }
    }
    None
}

/// Length of a file or block device, in bytes.
///
/// # Errors
///
/// [`ImageError::Io`] if it cannot be opened.
pub fn length(path: &Path) -> Result<u64> {
    let mut file = File::open(path).map_err(ImageError::io(path, "opening"))?;
    file.seek(SeekFrom::End(0))
        .map_err(ImageError::io(path, "finding its size"))
}

/// Makes all writes to `path` durable: a file, a block device or a directory.
///
/// # Errors
///
/// [`ImageError::Io`] if the kernel cannot promise it.
pub fn sync(path: &Path) -> Result<()> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    let file = rustix::fs::open(path, flags, Mode::empty())
        .map_err(|error| ImageError::io(path, "opening")(error.into()))?;
    rustix::fs::fsync(&file)
        .map_err(|error| ImageError::io(path, "writing to disk (fsync)")(error.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_kernels_list_of_locks() {
        let cases = [
            (
                "1: OFDLCK ADVISORY  READ -1 fe:00:42 100 101",
                42,
                QEMU_WRITING,
                true,
            ),
            (
                "1: OFDLCK ADVISORY  READ -1 fe:00:42 100 100",
                42,
                QEMU_WRITING,
                false,
            ),
            (
                "1: OFDLCK ADVISORY  READ -1 fe:00:42 100 100",
                42,
                QEMU_LOCKS,
                true,
            ),
            (
                "1: OFDLCK ADVISORY  READ -1 fe:00:43 100 101",
                42,
                QEMU_LOCKS,
                false,
            ),
            (
                "2: POSIX  ADVISORY  WRITE 77 fe:00:42 0 EOF",
                42,
                QEMU_WRITING,
                true,
            ),
            (
                "3: FLOCK  ADVISORY  WRITE 77 fe:00:42 0 EOF",
                42,
                QEMU_LOCKS,
                false,
            ),
            (
                "lock:\t1: OFDLCK ADVISORY  READ -1 fe:00:42 201 201",
                42,
                QEMU_LOCKS,
                true,
            ),
            (
                "1: -> OFDLCK ADVISORY  READ -1 fe:00:42",
                42,
                QEMU_LOCKS,
                false,
            ),
            ("", 42, QEMU_LOCKS, false),
        ];
        for (line, inode, bytes, expected) in cases {
            let found = lock_on(line, inode, &bytes);
            assert_eq!(found, expected.then_some((0xfe, 0)), "{line:?}");
        }
    }
}
