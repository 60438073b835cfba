//! The private directory of a run: virt-v2v's temporary files, the messages, keys.
//!
//! libguestfs and virt-v2v leave directories behind when they are killed. Everything that obeys
//! `TMPDIR` goes here and is removed with it; the appliance cache stays where it is, because it
//! takes a minute to build.
//!
//! Other users may pass through but see nothing: libvirt runs qemu as a user of its own.

use std::fs::{self, DirBuilder, File, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::sockets;
use crate::tools::Environment;

const PREFIX: &str = "refit-v2v-";
const LOCK: &str = "in-use";
const SOCKETS: &str = "sockets";
const MODE: u32 = 0o711;
const DEFAULT_TMPDIR: &str = "/var/tmp";

/// A directory that only this user can list, removed when dropped.
#[derive(Debug)]
pub(crate) struct Scratch {
    dir: TempDir,
    // Held while the run lives, so that a later run can tell a directory that was left behind.
    _lock: File,
}

impl Scratch {
    /// Makes the directory in `parent`, else where virt-v2v itself would put its temporary files,
    /// and removes what killed runs have left there.
    pub(crate) fn create(parent: Option<&Path>, env: &Environment) -> io::Result<Self> {
        let parent = parent.map_or_else(|| named(env), Path::to_path_buf);
        let parent = std::path::absolute(parent)?;
        remove_abandoned(&parent);
        let dir = tempfile::Builder::new()
            .prefix(PREFIX)
            .permissions(fs::Permissions::from_mode(MODE))
            .tempdir_in(&parent)?;
        let lock = File::create(dir.path().join(LOCK))?;
        lock.try_lock()?;
        let tmp = dir.path().join("tmp");
        fs::create_dir(&tmp)?;
        fs::set_permissions(&tmp, fs::Permissions::from_mode(MODE))?;
        Ok(Self { dir, _lock: lock })
    }

    /// For `TMPDIR` and its like.
    pub(crate) fn tmp(&self) -> PathBuf {
        self.dir.path().join("tmp")
    }

    /// A file in the directory.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Where the appliance's socket directories are written down.
    pub(crate) fn sockets(&self) -> PathBuf {
        self.file(SOCKETS)
    }

    /// Writes a secret to a new file that only this user can read.
    pub(crate) fn secret(&self, name: &str, secret: &str) -> io::Result<PathBuf> {
        let path = self.file(name);
        let mut file = File::options()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)?;
        file.write_all(secret.as_bytes())?;
        Ok(path)
    }
}

/// Where virt-v2v itself would put its temporary files. What is named but not there is made; if it cannot be, a
/// conversion is not lost for it.
fn named(env: &Environment) -> PathBuf {
    let Some(named) = env.get("VIRT_V2V_TMPDIR").or_else(|| env.get("TMPDIR")) else {
        return PathBuf::from(DEFAULT_TMPDIR);
    };
    let named = PathBuf::from(named);
    if named.is_dir() {
        return named;
    }
    match DirBuilder::new().recursive(true).mode(0o700).create(&named) {
        Ok(()) => named,
        Err(error) => {
            tracing::warn!(
                "TMPDIR {}: {error}; temporary files go to {DEFAULT_TMPDIR}",
                named.display()
            );
            PathBuf::from(DEFAULT_TMPDIR)
        }
    }
}

/// Where libguestfs keeps its appliance (guestfs(3), `LIBGUESTFS_CACHEDIR`), given that `TMPDIR`
/// is about to be changed for it.
pub(crate) fn cache_dir(env: &Environment) -> PathBuf {
    let tmpdir = || env.get("TMPDIR").filter(|dir| Path::new(dir).is_dir());
    let variable = env.get("LIBGUESTFS_CACHEDIR").or_else(tmpdir);
    variable.map_or_else(|| PathBuf::from(DEFAULT_TMPDIR), PathBuf::from)
}

/// Removes directories of runs that were killed: ours by name, and nobody holds the lock.
fn remove_abandoned(parent: &Path) {
    let Ok(entries) = fs::read_dir(parent) else {
        return;
    };
    for entry in entries.flatten() {
        let is_ours = entry
            .file_name()
            .as_encoded_bytes()
            .starts_with(PREFIX.as_bytes())
            && entry.file_type().is_ok_and(|kind| kind.is_dir());
        if !is_ours {
            continue;
        }
        // Without a lock file the directory is just being made, or is somebody else's.
        let Ok(lock) = File::open(entry.path().join(LOCK)) else {
            continue;
        };
        match lock.try_lock() {
            Ok(()) => {
                tracing::info!(directory = %entry.path().display(), "removing what a killed run has left");
                sockets::remove(&sockets::recorded(&entry.path().join(SOCKETS)));
                if let Err(error) = fs::remove_dir_all(entry.path()) {
                    tracing::warn!(directory = %entry.path().display(), %error, "cannot remove what a killed run has left");
                }
            }
            Err(TryLockError::WouldBlock | TryLockError::Error(_)) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_and_removed() {
        let parent = tempfile::tempdir().unwrap();
        let scratch = Scratch::create(Some(parent.path()), &Environment::default()).unwrap();
        let secret = scratch.secret("key0", "geheim").unwrap();
        assert_eq!(
            secret.metadata().unwrap().permissions().mode() & 0o777,
            0o600
        );
        let dir = scratch.dir.path().to_owned();
        assert_eq!(dir.metadata().unwrap().permissions().mode() & 0o777, MODE);
        drop(scratch);
        assert!(!dir.exists());
    }

    #[test]
    fn only_abandoned_directories_are_removed() {
        let parent = tempfile::tempdir().unwrap();
        let alive = Scratch::create(Some(parent.path()), &Environment::default()).unwrap();
        let abandoned = parent.path().join("refit-v2v-dead");
        fs::create_dir(&abandoned).unwrap();
        File::create(abandoned.join(LOCK)).unwrap();
        let other = parent.path().join("refit-v2v-new");
        fs::create_dir(&other).unwrap();
        let _second = Scratch::create(Some(parent.path()), &Environment::default()).unwrap();
        assert!(alive.tmp().exists() && other.exists());
        assert!(!abandoned.exists());
    }

    #[test]
    fn a_tmpdir_that_is_not_there_is_made_or_done_without() {
        let dir = tempfile::tempdir().unwrap();
        let new = dir.path().join("a/b");
        let env = Environment::default().with("TMPDIR", &new);
        let scratch = Scratch::create(None, &env).unwrap();
        assert!(scratch.tmp().starts_with(&new));
        let mode = new.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o700);
        assert_eq!(cache_dir(&env), new);

        let file = dir.path().join("file");
        File::create(&file).unwrap();
        for no_directory in [file.join("x"), file] {
            let env = Environment::default().with("TMPDIR", no_directory);
            let scratch = Scratch::create(None, &env).unwrap();
            assert!(scratch.tmp().starts_with(DEFAULT_TMPDIR));
            assert_eq!(cache_dir(&env), Path::new(DEFAULT_TMPDIR));
        }
    }

    #[test]
    fn the_appliance_cache_stays() {
        let env = Environment::default();
        assert_eq!(cache_dir(&env), Path::new("/var/tmp"));
        let env = env.with("TMPDIR", "/");
        assert_eq!(cache_dir(&env), Path::new("/"));
        assert_eq!(
            cache_dir(&env.with("LIBGUESTFS_CACHEDIR", "/c")),
            Path::new("/c")
        );
    }
}
