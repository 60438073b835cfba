//! Commands and how long they took.

use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context as _, ensure};

/// Runs commands and adds up.
#[derive(Debug, Default)]
pub struct Stopwatch {
    total: f64,
}

impl Stopwatch {
    /// Runs a command that must succeed, prints its time, and returns what it printed on standard
    /// output. Its log goes to `log`.
    ///
    /// # Errors
    /// If it fails; the log says why.
    pub fn run(&mut self, name: &str, command: &mut Command, log: &Path) -> anyhow::Result<String> {
        let file = File::create(log).with_context(|| format!("creating {}", log.display()))?;
        let start = Instant::now();
        let output = command
            .stdin(Stdio::null())
            .stderr(file)
            .output()
            .with_context(|| format!("starting {name}"))?;
        let seconds = start.elapsed().as_secs_f64();
        ensure!(
            output.status.success(),
            "{name}: {}; see {}",
            output.status,
            log.display()
        );
        println!("{seconds:8.1} s  {name}");
        self.total += seconds;
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Seconds of all commands together.
    pub fn total(&self) -> f64 {
        self.total
    }
}
