//! The output directory: empty before, complete after, and never in between.

use std::ffi::OsString;
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
    /// Beside which path the log of a failed run is kept.
    logs_beside: PathBuf,
    created_out: bool,
    /// Held while this run lives; the kernel drops it with the process.
    lock: File,
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
            logs_beside: out.clone(),
            out,
            staging,
            created_out,
            lock,
            published: false,
        })
    }

    /// The same for one machine, in the directory `name` among these results. Its log is kept beside them, because
    /// nothing else is left of a machine that fails.
    pub(crate) fn machine(&self, name: &str) -> anyhow::Result<Self> {
        let mut staging = Self::create(&self.final_path(name))?;
        staging.logs_beside = with_suffix(&self.logs_beside, &format!(".{name}"));
        Ok(staging)
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

    /// Moves everything to its final place, the report last: where it is, all is. If that fails, nothing is left there.
    pub(crate) fn publish(mut self) -> anyhow::Result<()> {
        let publishing = || format!("moving the results to {}", self.out.display());
        let names = self.ready().with_context(publishing)?;
        let mut moved = Vec::new();
        if let Err(error) = self.move_all(&names, &mut moved) {
            for name in moved {
                if let Err(error) = fs::rename(self.out.join(name), self.staging.join(name)) {
                    tracing::warn!("{} stays: {error}", self.out.join(name).display());
                }
            }
            return Err(error).with_context(publishing);
        }
        self.published = true;
        Ok(())
    }

    /// What was made, on stable storage. That takes long and may fail, so it comes before anything is moved.
    fn ready(&self) -> io::Result<Vec<OsString>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.staging)? {
            let entry = entry?;
            File::open(entry.path())?.sync_all()?;
            names.push(entry.file_name());
        }
        names.sort_by_key(|name| (name == super::REPORT, name.clone()));
        Ok(names)
    }

    fn move_all<'n>(&self, names: &'n [OsString], moved: &mut Vec<&'n OsString>) -> io::Result<()> {
        for name in names {
            fs::rename(self.staging.join(name), self.out.join(name))?;
            moved.push(name);
        }
        File::open(&self.out)?.sync_all()?;
        fs::remove_dir(&self.staging)
    }

    /// Keeps the log of a failed run beside the output directory, and those of earlier runs, too; returns where it is.
    pub(crate) fn keep_log(&self, name: &str) -> Option<PathBuf> {
        let mut made = File::open(self.staging.join(name)).ok()?;
        let later = (2..).map(|number| format!(".failed-{number}.log"));
        let mut suffixes = std::iter::once(".failed.log".to_owned()).chain(later);
        let kept = suffixes.find_map(|suffix| {
            let path = with_suffix(&self.logs_beside, &suffix);
            match File::create_new(&path) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => None,
                file => Some(file.map(|file| (path, file))),
            }
        });
        let (path, mut file) = kept?.ok()?;
        io::copy(&mut made, &mut file).ok().map(|_| path)
    }
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut path = path.as_os_str().to_owned();
    path.push(suffix);
    path.into()
}

impl Drop for Staging {
    fn drop(&mut self) {
        if !self.published {
            self.remove();
        }
        // Closing it would not do: a program that is being started by another thread may have a copy for a moment.
        if let Err(error) = flock(&self.lock, FlockOperation::Unlock) {
            tracing::debug!("unlocking {}: {error}", self.out.display());
        }
    }
}

impl Staging {
    /// Takes back what was made.
    fn remove(&self) {
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
    fn results_that_cannot_be_published_are_taken_back() {
        type Obstacle = fn(&Staging, &Path);
        let obstacles: [Obstacle; 2] = [
            // Cannot be made durable.
            |staging, _| std::os::unix::fs::symlink("gone", staging.path().join("b")).unwrap(),
            // Cannot be moved.
            |staging, out| {
                fs::write(staging.path().join("b"), "2").unwrap();
                fs::create_dir(out.join("b")).unwrap();
            },
        ];
        for obstacle in obstacles {
            let dir = tempfile::tempdir().unwrap();
            let out = dir.path().join("out");
            let staging = Staging::create(&out).unwrap();
            for name in ["a", crate::REPORT] {
                fs::write(staging.path().join(name), "1").unwrap();
            }
            obstacle(&staging, &out);
            staging.publish().unwrap_err();
            let _ = fs::remove_dir(out.join("b"));
            assert!(!out.exists() || names(&out).is_empty());
        }
    }

    #[test]
    fn logs_of_failed_runs_are_kept_beside_each_other() {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("out");
        let log = |staging: &Staging, text: &str| {
            fs::write(staging.path().join("log"), text).unwrap();
            staging.keep_log("log").unwrap()
        };
        for (name, text) in [("out.failed.log", "1"), ("out.failed-2.log", "2")] {
            let kept = log(&Staging::create(&out).unwrap(), text);
            assert_eq!(kept.file_name().unwrap(), name);
        }
        let all = Staging::create(&out).unwrap();
        log(&all.machine("web").unwrap(), "3");
        drop(all);
        let kept = ["out.failed-2.log", "out.failed.log", "out.web.failed.log"];
        assert_eq!(names(dir.path()), kept);
        let texts = kept.map(|name| fs::read_to_string(dir.path().join(name)).unwrap());
        assert_eq!(texts, ["2", "1", "3"]);
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
