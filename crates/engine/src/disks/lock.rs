use std::{
    fs::{self, File},
    io::{Read, Write},
    os::unix::fs::MetadataExt,
    path::Path,
    thread,
    time::Duration,
};

use rustix::{
    fs::{FlockOperation, Mode, OFlags},
    io::Errno,
};

use super::{DiskError, Result, state::StateDir};

/// How often a lock is tried: another process may just be asking whether it is held.
const ATTEMPTS: u32 = 10;

/// The right to work on a disk, until it is dropped. It is a flock(2) lock on a file in the disk's state
/// directory: the kernel releases it when the process ends in whatever way, and child processes
/// that inherit it have ended, too.
#[derive(Debug)]
pub(super) struct Lock {
    file: File,
}

impl Lock {
    /// Takes the lock of `disk`, whose state directory must exist.
    ///
    /// # Errors
    ///
    /// [`DiskError::Busy`] if another process has it.
    pub(super) fn take(disk: &Path, state: &StateDir) -> Result<Self> {
        let path = state.lock();
        let locking = || DiskError::io(&path, "locking");
        for attempt in 0..ATTEMPTS {
            let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            match rustix::fs::open(&path, flags, Mode::from_raw_mode(0o600)) {
                Ok(file) => {
                    let file = File::from(file);
                    match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
                        Ok(()) if same_file(&file, &path) => {
                            let mut lock = Self { file };
                            lock.sign().map_err(locking())?;
                            return Ok(lock);
                        }
                        // The one who had it removed the file: this lock keeps nobody out.
                        Ok(()) | Err(Errno::WOULDBLOCK) => {}
                        Err(error) => return Err(locking()(error.into())),
                    }
                }
                // Another process is just removing the directory.
                Err(Errno::NOENT) => {}
                Err(error) => return Err(locking()(error.into())),
            }
            if attempt + 1 < ATTEMPTS {
                thread::sleep(Duration::from_millis(20));
            }
        }
        Err(DiskError::Busy {
            path: disk.into(),
            by: holder(state),
        })
    }

    /// Whether another process holds the lock.
    pub(super) fn is_held(state: &StateDir) -> bool {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        rustix::fs::open(state.lock(), flags, Mode::empty()).is_ok_and(|file| {
            rustix::fs::flock(&file, FlockOperation::NonBlockingLockShared)
                == Err(Errno::WOULDBLOCK)
        })
    }

    /// The open lock file; a process that inherits it shares the lock.
    pub(super) fn file(&self) -> &File {
        &self.file
    }

    /// Writes down who has the lock, for the others' messages.
    fn sign(&mut self) -> std::io::Result<()> {
        self.file.set_len(0)?;
        write!(self.file, "{}", std::process::id())
    }
}

/// Who holds the lock, for messages.
pub(super) fn holder(state: &StateDir) -> String {
    let mut text = String::new();
    let _ = File::open(state.lock()).and_then(|file| file.take(16).read_to_string(&mut text));
    match text.trim().parse::<u32>() {
        Ok(pid) => format!("process {pid}, or a qemu-img that it started"),
        Err(_) => "an unknown process".into(),
    }
}

fn same_file(file: &File, path: &Path) -> bool {
    match (file.metadata(), fs::symlink_metadata(path)) {
        (Ok(open), Ok(named)) => (open.dev(), open.ino()) == (named.dev(), named.ino()),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disks::Options;

    #[test]
    fn one_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let disk = dir.path().join("disk");
        let state = StateDir::create(&disk, &Options::default()).unwrap();
        assert!(!Lock::is_held(&state));
        let first = Lock::take(&disk, &state).unwrap();
        assert!(Lock::is_held(&state));
        let error = Lock::take(&disk, &state).unwrap_err().to_string();
        let pid = std::process::id();
        assert!(error.contains(&format!("process {pid}")), "{error}");
        drop(first);
        assert!(!Lock::is_held(&state));
        Lock::take(&disk, &state).unwrap();
    }
}
