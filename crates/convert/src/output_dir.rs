//! The output directory: empty before, complete after, and never in between.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use rustix::fs::{FlockOperation, flock};

/// Everything is made in here, inside the output directory, so that renaming is atomic.
const STAGING: &str = ".refit-partial";

/// Why an output directory cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OutputDirError {
    /// There is something in it.
    #[error(
        "the output directory {} is not empty (it has {example}). \
         Give another one with --out, or empty it; nothing in it is ever overwritten", path.display()
    )]
    NotEmpty {
        /// The directory.
        path: PathBuf,
        /// One of the names in it.
        example: String,
    },
    /// It is no directory.
    #[error("{} is not a directory. Give one with --out", path.display())]
    NotADirectory {
        /// The path.
        path: PathBuf,
    },
    /// Another run works in it.
    #[error("another refit is converting into {}. Wait for it, or give another directory with --out", path.display())]
    Busy {
        /// The directory.
        path: PathBuf,
    },
}

/// Results in the making. Removed when dropped before [`publish`](Self::publish).
#[derive(Debug)]
pub(crate) struct Staging {
    out: PathBuf,
    staging: PathBuf,
    created_out: bool,
    /// Held while this run lives; the kernel drops it with the process.
    _lock: File,
    published: bool,
}

impl Staging {
    /// Prepares `out`, which is missing or empty. What a run that was killed left behind in it is
    /// removed.
    pub(crate) fn create(out: &Path) -> anyhow::Result<Self> {
        let making = || format!("preparing the output directory {}", out.display());
        if out.exists() && !out.is_dir() {
            return Err(OutputDirError::NotADirectory {
                path: out.to_owned(),
            }
            .into());
        }
        let created_out = !out.exists();
        fs::create_dir_all(out).with_context(making)?;
        let out = out.canonicalize().with_context(making)?;
        let lock = File::open(&out).with_context(making)?;
        if let Err(error) = flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            if io::Error::from(error).kind() == io::ErrorKind::WouldBlock {
                return Err(OutputDirError::Busy { path: out }.into());
            }
            return Err(error).with_context(making);
        }
        let staging = out.join(STAGING);
        for entry in fs::read_dir(&out).with_context(making)? {
            let name = entry.with_context(making)?.file_name();
            if name != STAGING {
                let example = name.to_string_lossy().into_owned();
                return Err(OutputDirError::NotEmpty { path: out, example }.into());
            }
        }
        if staging.symlink_metadata().is_ok() {
            tracing::info!(
                "removing what an interrupted conversion left in {}",
                staging.display()
            );
            fs::remove_dir_all(&staging).with_context(making)?;
        }
        fs::create_dir(&staging).with_context(making)?;
        Ok(Self {
            out,
            staging,
            created_out,
            _lock: lock,
            published: false,
        })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.staging
    }

    /// Where a result will be.
    pub(crate) fn final_path(&self, name: &str) -> PathBuf {
        self.out.join(name)
    }

    /// Where the result with this final path is made.
    pub(crate) fn staged(&self, path: &Path) -> PathBuf {
        self.staging.join(path.file_name().unwrap_or_default())
    }

    /// Moves everything to its final place, the report last: where it is, all is.
    pub(crate) fn publish(mut self) -> anyhow::Result<()> {
        let publishing = || format!("moving the results to {}", self.out.display());
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.staging).with_context(publishing)? {
            names.push(entry.with_context(publishing)?.file_name());
        }
        names.sort_by_key(|name| (name == super::REPORT, name.clone()));
        for name in &names {
            let made = self.staging.join(name);
            File::open(&made)
                .and_then(|file| file.sync_all())
                .with_context(publishing)?;
            fs::rename(&made, self.out.join(name)).with_context(publishing)?;
        }
        fs::remove_dir(&self.staging).with_context(publishing)?;
        File::open(&self.out)
            .and_then(|dir| dir.sync_all())
            .with_context(publishing)?;
        self.published = true;
        Ok(())
    }

    /// Moves the log of a failed run beside the output directory's place; returns where it is.
    pub(crate) fn keep_log(&self, name: &str) -> Option<PathBuf> {
        let made = self.staging.join(name);
        let kept = PathBuf::from(format!("{}.failed.log", self.out.display()));
        fs::copy(made, &kept).ok().map(|_| kept)
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        if self.published {
            return;
        }
        if let Err(error) = fs::remove_dir_all(&self.staging) {
            tracing::warn!("{} could not be removed: {error}", self.staging.display());
        }
        if self.created_out {
            let _ = fs::remove_dir(&self.out);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(dir: &Path) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(dir)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn results_appear_when_they_are_published() {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("out");
        let staging = Staging::create(&out).unwrap();
        fs::write(staging.staged(&staging.final_path("a")), "1").unwrap();
        assert_eq!(names(&out), [STAGING]);
        staging.publish().unwrap();
        assert_eq!(names(&out), ["a"]);
        let error = Staging::create(&out).unwrap_err();
        assert!(
            matches!(error.downcast_ref(), Some(OutputDirError::NotEmpty { .. })),
            "{error}"
        );
    }

    #[test]
    fn a_failed_run_leaves_nothing_and_a_killed_one_is_cleared_away() {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("out");
        drop(Staging::create(&out).unwrap());
        assert!(!out.exists());
        fs::create_dir_all(out.join(STAGING)).unwrap();
        fs::write(out.join(STAGING).join("half"), "1").unwrap();
        let staging = Staging::create(&out).unwrap();
        assert_eq!(names(staging.path()), Vec::<String>::new());
        let error = Staging::create(&out).unwrap_err();
        assert!(
            matches!(error.downcast_ref(), Some(OutputDirError::Busy { .. })),
            "{error}"
        );
        drop(staging);
        assert_eq!(
            names(&out),
            Vec::<String>::new(),
            "the directory was there before"
        );
    }
}
