//! Progress on standard error: bars on a terminal, plain lines elsewhere.

use std::io::{IsTerminal as _, Write};
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{HumanBytes, MultiProgress, ProgressBar, ProgressStyle};

use crate::render::printable;

/// All bars are drawn through this, so that lines of a log do not tear them.
static BARS: LazyLock<MultiProgress> = LazyLock::new(MultiProgress::new);

/// Prints one line above the bars.
pub fn eprint_line(line: &str) {
    BARS.suspend(|| {
        let _ = writeln!(anstream::stderr(), "{line}");
    });
}

/// Where log lines go: above the bars.
#[derive(Debug, Default)]
pub struct LogWriter(Vec<u8>);

impl Write for LogWriter {
    fn write(&mut self, buffer: &[u8]) -> std::io::Result<usize> {
        self.0.extend_from_slice(buffer);
        Ok(buffer.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Drop for LogWriter {
    fn drop(&mut self) {
        if !self.0.is_empty() {
            BARS.suspend(|| {
                let _ = std::io::stderr().write_all(&self.0);
            });
        }
    }
}

/// Shows what one command is doing. Some of its words are those of guests and of virt-v2v.
#[derive(Debug)]
pub struct Progress {
    start: Instant,
    terminal: bool,
    current: Mutex<Current>,
}

#[derive(Debug, Default)]
struct Current {
    text: String,
    since: Option<Instant>,
    bar: Option<ProgressBar>,
    /// Last tenth of a copy that a plain line was printed for.
    tenth: Option<u64>,
}

impl Progress {
    /// Starts the clock.
    pub fn new() -> Self {
        Self {
            start: Instant::now(),
            terminal: std::io::stderr().is_terminal(),
            current: Mutex::default(),
        }
    }

    /// A new phase begins; the one before is done.
    pub fn phase(&self, text: &str) {
        let text = &*printable(text);
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if current.text == text {
            return;
        }
        self.close(&mut current);
        current.text = text.to_owned();
        current.since = Some(Instant::now());
        if self.terminal {
            let bar = BARS.add(ProgressBar::new_spinner());
            bar.set_style(style("{spinner} {msg} ({elapsed})"));
            bar.set_message(text.to_owned());
            bar.enable_steady_tick(Duration::from_millis(120));
            current.bar = Some(bar);
        } else {
            self.line(text);
        }
    }

    /// A disk is being copied.
    pub fn copy(&self, disk: u32, disks: u32, percent: u8, bytes: Option<u64>, total: Option<u64>) {
        self.bytes(
            &format!("Copying disk {disk} of {disks}"),
            percent,
            bytes,
            total,
        );
    }

    /// Something with a known end goes on: a phase with a bar.
    pub fn bytes(&self, text: &str, percent: u8, bytes: Option<u64>, total: Option<u64>) {
        self.phase(text);
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let percent = u64::from(percent);
        let rate = current
            .since
            .zip(bytes)
            .map(|(since, bytes)| bytes as f64 / since.elapsed().as_secs_f64().max(0.1));
        let size = total
            .map(|total| format!(" of {}", HumanBytes(total)))
            .unwrap_or_default();
        let rate = rate
            .map(|rate| format!(", {}/s", HumanBytes(rate as u64)))
            .unwrap_or_default();
        if let Some(bar) = &current.bar {
            if bar.length() != Some(100) {
                bar.set_length(100);
                bar.set_style(style(
                    "{spinner} {prefix} [{bar:30}] {pos}%{msg} ({elapsed})",
                ));
            }
            bar.set_prefix(text.to_owned());
            bar.set_message(format!("{size}{rate}"));
            bar.set_position(percent);
        } else if current.tenth.is_none_or(|tenth| percent / 10 > tenth) {
            current.tenth = Some(percent / 10);
            self.line(&format!("{text}: {percent}%{size}{rate}"));
        }
    }

    /// A remark in the middle of it.
    pub fn note(&self, text: &str) {
        let text = printable(text);
        if self.terminal {
            eprint_line(&text)
        } else {
            self.line(&text)
        }
    }

    /// The last phase is done.
    pub fn finish(&self) {
        self.close(&mut self.current.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn close(&self, current: &mut Current) {
        if let Some(bar) = current.bar.take() {
            bar.finish_and_clear();
            BARS.remove(&bar);
            if let Some(since) = current.since {
                eprint_line(&format!(
                    "  {} ({:.1} s)",
                    current.text,
                    since.elapsed().as_secs_f64()
                ));
            }
        }
        *current = Current::default();
    }

    fn line(&self, text: &str) {
        eprint_line(&format!(
            "[{:6.1}] {text}",
            self.start.elapsed().as_secs_f64()
        ));
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = self
            .current
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .bar
            .take()
        {
            bar.finish_and_clear();
        }
    }
}

fn style(template: &str) -> ProgressStyle {
    // A wrong template is a mistake in this file that any run on a terminal shows.
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_spinner())
}
