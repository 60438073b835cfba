//! A command that is watched and interrupted while it runs.

use std::fs::{self, File};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};

use crate::{Run, must};

/// All processes of a command inherit this variable, by which they are found.
const MARKER: &str = "REFIT_TEST_MARKER";
/// How often something is looked at.
const TICK: Duration = Duration::from_millis(50);
/// How long a loaded machine without KVM may take for anything.
const LIMIT: Duration = Duration::from_secs(900);

/// Who gets a signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum To {
    /// The command alone, as by `kill`.
    Process,
    /// Its process group, as by Ctrl-C on a terminal.
    Group,
}

/// A running command with a temporary directory of its own. It is killed when dropped.
#[derive(Debug)]
pub struct Watched {
    child: Child,
    marker: String,
    dir: PathBuf,
}

impl Watched {
    /// Starts the command; `dir` is for its output and its temporary files.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn start(command: &mut Command, dir: &Path) -> anyhow::Result<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::SeqCst);
        let marker = format!("{}-{count}", std::process::id());
        let dir = dir.join(format!("watched-{count}"));
        fs::create_dir_all(dir.join("tmp")).context("making a temporary directory")?;
        // libguestfs would build its appliance anew in each TMPDIR.
        let cache = ["LIBGUESTFS_CACHEDIR", "TMPDIR"]
            .into_iter()
            .find_map(std::env::var_os);
        let create = |name: &str| File::create(dir.join(name)).context("making a file for output");
        let child = command
            .env(MARKER, &marker)
            .env("TMPDIR", dir.join("tmp"))
            .env(
                "LIBGUESTFS_CACHEDIR",
                cache.unwrap_or_else(|| "/var/tmp".into()),
            )
            .stdout(create("stdout")?)
            .stderr(create("stderr")?)
            .process_group(0)
            .spawn()
            .with_context(|| format!("starting {command:?}"))?;
        Ok(Self { child, marker, dir })
    }

    /// What it printed on standard error so far.
    #[must_use]
    pub fn stderr(&self) -> String {
        fs::read(self.dir.join("stderr"))
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .unwrap_or_default()
    }

    /// Waits for a text on its standard error.
    ///
    /// # Errors
    /// If it ends before, or takes too long.
    pub fn wait_for(&mut self, text: &str) -> anyhow::Result<()> {
        let what = format!("{text:?} on standard error");
        self.wait_until(&what, |watched| watched.stderr().contains(text))
    }

    /// Waits for a condition.
    ///
    /// # Errors
    /// If the command ends before, or takes too long.
    pub fn wait_until(
        &mut self,
        what: &str,
        mut condition: impl FnMut(&Self) -> bool,
    ) -> anyhow::Result<()> {
        let start = Instant::now();
        while !condition(self) {
            if let Some(status) = self.child.try_wait().context("waiting")? {
                bail!("ended ({status}) before {what}: {}", self.stderr());
            }
            ensure!(start.elapsed() < LIMIT, "no {what}: {}", self.stderr());
            thread::sleep(TICK);
        }
        Ok(())
    }

    /// Sends a signal by its name without `SIG`.
    ///
    /// # Errors
    /// If there is nobody to send it to.
    pub fn signal(&self, name: &str, to: To) -> anyhow::Result<()> {
        let group = if to == To::Group { "-" } else { "" };
        must(
            Command::new("kill")
                .args(["-s", name, "--"])
                .arg(format!("{group}{}", self.child.id())),
        )?;
        Ok(())
    }

    /// Waits for the end of the command.
    ///
    /// # Errors
    /// If it takes longer than `limit`.
    pub fn end(&mut self, limit: Duration) -> anyhow::Result<Run> {
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().context("waiting")? {
                let stdout = fs::read(self.dir.join("stdout")).context("reading its output")?;
                return Ok(Run {
                    code: status.code(),
                    stdout: String::from_utf8_lossy(&stdout).into_owned(),
                    stderr: self.stderr(),
                });
            }
            ensure!(
                start.elapsed() < limit,
                "still running after {limit:?}: {}",
                self.stderr()
            );
            thread::sleep(TICK);
        }
    }

    /// Waits until none of its processes is left.
    ///
    /// # Errors
    /// If one stays longer than `limit`.
    pub fn alone(&self, limit: Duration) -> anyhow::Result<()> {
        let start = Instant::now();
        loop {
            let left = self.command_lines();
            if left.is_empty() {
                return Ok(());
            }
            ensure!(
                start.elapsed() < limit,
                "left behind after {limit:?}: {left:#?}"
            );
            thread::sleep(TICK);
        }
    }

    /// The command lines of all its living processes, however far removed.
    #[must_use]
    pub fn command_lines(&self) -> Vec<String> {
        let wanted = format!("{MARKER}={}", self.marker).into_bytes();
        let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
        processes
            .filter(|process| {
                fs::read(process.path().join("environ")).is_ok_and(|variables| {
                    variables
                        .split(|byte| *byte == 0)
                        .any(|entry| entry == wanted)
                })
            })
            .filter_map(|process| fs::read(process.path().join("cmdline")).ok())
            .map(|arguments| String::from_utf8_lossy(&arguments).replace('\0', " "))
            .filter(|arguments| !arguments.is_empty())
            .collect()
    }

    /// What is in its temporary directory, but for a file of qemu's own: it makes one (`vl.XXXXXX`) for the
    /// appliance's root and removes its name at once, and a signal may fall in between.
    ///
    /// # Errors
    /// If that cannot be read.
    pub fn temporary_files(&self) -> anyhow::Result<Vec<PathBuf>> {
        let is_qemus = |path: &Path| {
            path.file_name()
                .is_some_and(|name| name.as_encoded_bytes().starts_with(b"vl."))
        };
        let entries =
            fs::read_dir(self.dir.join("tmp")).context("reading its temporary directory")?;
        let mut files = Vec::new();
        for entry in entries {
            files.push(entry.context("reading its temporary directory")?.path());
        }
        files.retain(|path| !is_qemus(path));
        Ok(files)
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        // Both fail only if it is gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
