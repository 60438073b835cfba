//! What reaches the user, and the exit code.

use std::io::{IsTerminal as _, Write as _};
use std::process::ExitCode;

use refit_engine::target::Failure;
use refit_ovf::properties::{Violation, Violations};
use serde::Serialize;

use crate::render;

/// How the command ended; the codes are part of the contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// 0: done.
    Done,
    /// 1: failed, and nothing was changed.
    Failed,
    /// 2: wrong usage. (clap uses it, too.)
    Usage,
    /// 3: done, with warnings: a fixup failed, is blocked, or left something alone.
    Warnings,
    /// 4: failed after the disks were changed; the message says how to go back.
    Changed,
    /// 130: interrupted.
    Interrupted,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Done => 0,
            Exit::Failed => 1,
            Exit::Usage => 2,
            Exit::Warnings => 3,
            Exit::Changed => 4,
            Exit::Interrupted => 130,
        })
    }
}

/// An error of the arguments that clap cannot see.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct UsageError(pub String);

/// Whether the disks or the directory may have been changed before it failed.
pub fn has_changed(error: &anyhow::Error) -> bool {
    error
        .downcast_ref::<Failure>()
        .is_some_and(|failure| failure.changed)
}

/// Standard output and error.
#[derive(Debug)]
pub struct Output {
    json: bool,
}

impl Output {
    /// Sets up logging: warnings, or more with `-v`, `-vv`; `REFIT_LOG` overrides.
    pub fn new(json: bool, verbose: u8) -> Self {
        let default = match verbose {
            0 => "warn",
            1 => "info,refit=debug",
            _ => "debug",
        };
        log(default, verbose > 1);
        Self { json }
    }

    /// Prints the result: the JSON document, or what `text` makes of it.
    pub fn print<T: Serialize>(
        &self,
        document: &T,
        text: impl FnOnce() -> String,
    ) -> anyhow::Result<()> {
        let mut stdout = anstream::stdout().lock();
        let written = if self.json {
            serde_json::to_writer_pretty(&mut stdout, document)
                .map_err(std::io::Error::from)
                .and_then(|()| writeln!(stdout))
        } else {
            write!(stdout, "{}", text())
        };
        match written.and_then(|()| stdout.flush()) {
            // `refit plan | head` is no failure.
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
            result => Ok(result?),
        }
    }

    /// Says why the command failed.
    pub fn fail(&self, error: &anyhow::Error) -> Exit {
        let exit = if error.downcast_ref::<UsageError>().is_some() {
            Exit::Usage
        } else if has_changed(error) {
            Exit::Changed
        } else {
            Exit::Failed
        };
        let message = chain(error);
        let violations = error.downcast_ref::<Violations>();
        if let (true, Some(Violations(violations))) = (self.json, violations) {
            print_violations(&message, exit, violations);
        } else if self.json {
            print_error(&message, exit);
        }
        say_error(&message);
        exit
    }

    /// Says that the user ended it.
    pub fn interrupted(&self) {
        let message = "interrupted; nothing was changed";
        if self.json {
            print_error(message, Exit::Interrupted);
        }
        say_error(message);
    }
}

/// Where log lines go; `default` says which, and `REFIT_LOG` overrides it.
fn log(default: &str, with_target: bool) {
    let filter = tracing_subscriber::EnvFilter::try_from_env("REFIT_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new(default));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(crate::progress::LogWriter::default)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(with_target)
        .without_time()
        .init();
}

/// Sets up logging for a command that has no other output.
pub fn log_to_stderr(default: &str) {
    log(default, false);
}

fn say_error(message: &str) {
    crate::progress::eprint_line(&format!(
        "{}error:{} {message}",
        render::ERROR,
        render::RESET
    ));
}

/// The document of a command that was given wrong answers for an appliance.
fn print_violations(message: &str, exit: Exit, violations: &[Violation]) {
    let document = serde_json::json!({
        "schema": "refit/error/v1",
        "error": message,
        "changed": exit == Exit::Changed,
        "violations": violations,
    });
    let _ = writeln!(std::io::stdout(), "{document:#}");
}

/// The document of a command that failed.
pub fn print_error(message: &str, exit: Exit) {
    let document = serde_json::json!({
        "schema": "refit/error/v1",
        "error": message,
        "changed": exit == Exit::Changed,
    });
    let _ = writeln!(std::io::stdout(), "{document:#}");
}

/// The chain of causes in one line, without the same words twice: libraries that include their
/// cause in their own message are chained all the same.
fn chain(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain() {
        let cause = render::printable(&cause.to_string());
        if !text.ends_with(&cause) {
            if !text.is_empty() {
                text.push_str(": ");
            }
            text.push_str(&cause);
        }
    }
    text
}
