use std::{
    fs::{self, DirBuilder},
    io,
    os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt},
    path::{Path, PathBuf},
};

use super::{DiskError, Options, Result, inuse};

/// The directory that holds a disk's overlay, record and lock while refit works on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct StateDir(PathBuf);

impl StateDir {
    /// Creates the state directory of the disk, or takes the one that is there.
    ///
    /// # Errors
    ///
    /// [`DiskError::State`] if it belongs to somebody else; [`DiskError::Io`] if it cannot be created
    /// anywhere.
    pub(super) fn create(disk: &Path, options: &Options) -> Result<Self> {
        let mut failure = None;
        for path in candidates(disk, options) {
            match make(&path) {
                Ok(()) => {
                    let state = Self(path);
                    state.check_owner()?;
                    return Ok(state);
                }
                // Not here: a directory that cannot be written to, or a name that gets too long.
                Err(error) => {
                    failure = Some(DiskError::io(path, "creating the state directory")(error))
                }
            }
        }
        Err(failure.unwrap_or_else(|| DiskError::State {
            path: disk.into(),
            detail: "no place for a state directory".into(),
        }))
    }

    /// The state directories of the disk that exist, whoever made them.
    pub(super) fn existing(disk: &Path, options: &Options) -> Result<Vec<Self>> {
        let mut found = Vec::new();
        for path in candidates(disk, options) {
            if fs::symlink_metadata(&path).is_ok() {
                let state = Self(path);
                state.check_owner()?;
                found.push(state);
            }
        }
        Ok(found)
    }

    /// Others could plant overlays and records in a directory that is not ours alone.
    fn check_owner(&self) -> Result<()> {
        // In /var/tmp anybody could have made the parent; beside an image, that is the user's choice.
        if let Some(parent) = self.0.parent().filter(|parent| *parent == shared_place()) {
            check_owner(parent)?;
        }
        check_owner(&self.0)
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    pub(super) fn overlay(&self) -> PathBuf {
        self.0.join("overlay.qcow2")
    }

    pub(super) fn record(&self) -> PathBuf {
        self.0.join("record.json")
    }

    pub(super) fn lock(&self) -> PathBuf {
        self.0.join("lock")
    }

    /// Makes what was created, renamed or removed in the directory durable, and the directory itself.
    pub(super) fn sync(&self) -> Result<()> {
        inuse::sync(&self.0)?;
        if let Some(parent) = self.0.parent() {
            inuse::sync(parent)?;
        }
        Ok(())
    }

    /// Removes overlay and record, durably; the directory stays for the lock in it.
    ///
    /// The record goes last: as long as anything is there it says how the run ended.
    pub(super) fn clear(&self) -> Result<()> {
        for path in [
            self.overlay(),
            self.record().with_extension("new"),
            self.record(),
        ] {
            remove_file(&path)?;
        }
        Ok(inuse::sync(&self.0)?)
    }

    /// Removes the lock and the directory. What does not go, is left: it does no harm.
    pub(super) fn remove(&self) {
        let removed = remove_file(&self.lock())
            .and_then(|()| fs::remove_dir(&self.0).map_err(DiskError::io(&self.0, "removing")));
        if let Err(error) = removed {
            tracing::debug!(%error, "leaving a state directory");
        }
    }
}

fn check_owner(path: &Path) -> Result<()> {
    let found = fs::symlink_metadata(path)
        .map_err(DiskError::io(path, "looking at the state directory"))?;
    let why = if !found.is_dir() {
        "it is in the place of refit's state directory, but it is no directory"
    } else if found.uid() != rustix::process::geteuid().as_raw() {
        "the state directory belongs to another user; run refit as that user"
    } else if found.mode() & 0o022 != 0 {
        "other users may write to the state directory; do not trust what is in it"
    } else {
        return Ok(());
    };
    Err(DiskError::State {
        path: path.into(),
        detail: format!("{why} (or remove it if nothing in it is needed)"),
    })
}

fn remove_file(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(DiskError::io(path, "removing")(error))
        }
        _ => Ok(()),
    }
}

/// Where a disk's state may be, the preferred place first. Only the disk's path decides, so a record
/// cannot lead elsewhere.
fn candidates(disk: &Path, options: &Options) -> Vec<PathBuf> {
    let digest = crate::sha256_hex(disk.as_os_str().as_encoded_bytes());
    let digest = &digest[..32.min(digest.len())];
    let mut places = Vec::new();
    places.extend(options.state_dir.as_ref().map(|dir| dir.join(digest)));
    let device = fs::metadata(disk).is_ok_and(|found| found.file_type().is_block_device());
    if let (false, Some(directory), Some(name)) = (device, disk.parent(), disk.file_name()) {
        let mut hidden = std::ffi::OsString::from(".refit-");
        hidden.push(name);
        places.push(directory.join(hidden));
    }
    places.push(shared_place().join(digest));
    places
}

/// One directory for each user: nobody can be kept out by another who came first.
fn shared_place() -> PathBuf {
    let user = rustix::process::geteuid().as_raw();
    PathBuf::from(format!("/var/tmp/refit-{user}"))
}

/// Creates the directory, and its parent if that is not there, for this user alone.
fn make(path: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.mode(0o700);
    if let Some(parent) = path.parent().filter(|parent| !parent.exists()) {
        builder.recursive(true).create(parent)?;
        builder.recursive(false);
    }
    match builder.create(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn state_is_beside_the_image_and_private() {
        let dir = tempfile::tempdir().unwrap();
        let disk = dir.path().join("a b.img");
        let options = Options::default();
        assert!(StateDir::existing(&disk, &options).unwrap().is_empty());
        let state = StateDir::create(&disk, &options).unwrap();
        assert_eq!(state.path(), dir.path().join(".refit-a b.img"));
        let mode = fs::metadata(state.path()).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
        let found = StateDir::existing(&disk, &options).unwrap();
        assert_eq!(found, std::slice::from_ref(&state));
        state.remove();
        assert!(StateDir::existing(&disk, &options).unwrap().is_empty());
    }

    #[test]
    fn a_given_directory_is_preferred() {
        let dir = tempfile::tempdir().unwrap();
        let options = Options {
            state_dir: Some(dir.path().join("state")),
            ..Options::default()
        };
        let state = StateDir::create(&dir.path().join("disk"), &options).unwrap();
        assert!(state.path().starts_with(dir.path().join("state")));
    }

    #[test]
    fn what_others_can_write_is_not_trusted() {
        let dir = tempfile::tempdir().unwrap();
        let (disk, options) = (dir.path().join("disk"), Options::default());
        let place = dir.path().join(".refit-disk");
        fs::create_dir(&place).unwrap();
        fs::set_permissions(&place, fs::Permissions::from_mode(0o777)).unwrap();
        assert!(matches!(
            StateDir::existing(&disk, &options),
            Err(DiskError::State { .. })
        ));
        fs::remove_dir(&place).unwrap();
        std::os::unix::fs::symlink("/tmp", &place).unwrap();
        assert!(matches!(
            StateDir::create(&disk, &options),
            Err(DiskError::State { .. })
        ));
    }

    #[test]
    fn a_long_name_goes_elsewhere() {
        let dir = tempfile::tempdir().unwrap();
        let disk = dir.path().join("x".repeat(255));
        let state = StateDir::create(&disk, &Options::default()).unwrap();
        assert!(state.path().starts_with("/var/tmp"));
        state.remove();
    }
}
