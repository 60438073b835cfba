//! Files for their owner alone: they hold secrets, or what stands in files of a guest.

use std::fs::{self, Permissions};
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use tempfile::NamedTempFile;

/// A file in the making, which nobody but its owner ever reads. It appears under its name when it is complete, in the
/// place of an older one, and never if this is dropped before; nothing is written through a link.
#[derive(Debug)]
pub struct PrivateFile {
    path: PathBuf,
    file: NamedTempFile,
}

impl PrivateFile {
    /// Begins the file.
    ///
    /// # Errors
    /// If it cannot be written there, or there is something that is no regular file.
    pub fn create(path: &Path) -> anyhow::Result<Self> {
        let writing = || format!("writing {}", path.display());
        // Renaming would take the place of a device or a pipe.
        let other = fs::metadata(path).is_ok_and(|found| !found.is_file());
        anyhow::ensure!(!other, "{}: it is no regular file", writing());
        let dir = match path.parent() {
            Some(dir) if !dir.as_os_str().is_empty() => dir,
            _ => Path::new("."),
        };
        let file = NamedTempFile::new_in(dir).with_context(writing)?;
        // The umask may have taken more away.
        file.as_file()
            .set_permissions(Permissions::from_mode(0o600))
            .with_context(writing)?;
        Ok(Self {
            path: path.to_owned(),
            file,
        })
    }

    /// Gives the file its content and its name, and returns when the content is on stable storage.
    ///
    /// # Errors
    /// If it cannot be written; an older file stays then.
    pub fn finish(mut self, content: &[u8]) -> anyhow::Result<()> {
        let writing = || format!("writing {}", self.path.display());
        self.file.write_all(content).with_context(writing)?;
        self.file.as_file().sync_all().with_context(writing)?;
        self.file.persist(&self.path).with_context(writing)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_complete_and_private_or_not_there() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("report.json");
        fs::write(&path, "old").unwrap();
        drop(PrivateFile::create(&path).unwrap());
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);

        let linked = dir.path().join("link");
        std::os::unix::fs::symlink(&path, &linked).unwrap();
        PrivateFile::create(&linked)
            .unwrap()
            .finish(b"new")
            .unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"old");
        let made = linked.symlink_metadata().unwrap();
        assert!(made.is_file());
        assert_eq!(made.permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read(&linked).unwrap(), b"new");
    }

    #[test]
    fn what_is_no_file_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let missing = dir.path().join("none/report.json");
        for path in [dir.path(), Path::new("/dev/null"), &missing] {
            let error = PrivateFile::create(path).unwrap_err();
            let message = format!("{error:#}");
            assert!(message.contains(&path.display().to_string()), "{message}");
        }
    }
}
