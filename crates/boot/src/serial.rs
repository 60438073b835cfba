//! The wire to the guest's serial console.

use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::Error;
use crate::console::Console;

/// How long one look at the wire waits: the time in which a cancellation is noticed.
const TICK: Duration = Duration::from_millis(200);
/// A console log grows no larger, in bytes.
const MAX_LOG: usize = 16 << 20;

/// A serial line, what it said so far, and the log of it.
#[derive(Debug)]
pub(crate) struct Serial<'a> {
    stream: UnixStream,
    cancel: &'a AtomicBool,
    log: Option<Log>,
    /// What was read.
    pub console: Console,
}

#[derive(Debug)]
struct Log {
    file: File,
    room: usize,
    position: u64,
}

/// Why waiting on the guest ended without what was waited for.
#[derive(Debug)]
pub(crate) enum Stop {
    /// The whole attempt is over.
    Error(Error),
    /// The guest did not do its part; said for people.
    Guest(String),
    /// The guest did not say what was waited for, in time; said for people.
    Silent(String),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

impl<'a> Serial<'a> {
    /// # Errors
    /// [`Error::Io`] if the log cannot be created.
    pub fn new(
        stream: UnixStream,
        log: Option<&Path>,
        cancel: &'a AtomicBool,
    ) -> Result<Self, Error> {
        stream
            .set_read_timeout(Some(TICK))
            .map_err(Error::io("configuring the serial line"))?;
        let create = |path: &Path| -> Result<_, Error> {
            let file =
                File::create(path).map_err(Error::io(format!("creating {}", path.display())))?;
            Ok(Log {
                file,
                room: MAX_LOG,
                position: 0,
            })
        };
        Ok(Self {
            stream,
            cancel,
            log: log.map(create).transpose()?,
            console: Console::default(),
        })
    }

    /// Reads what is there, waiting for a moment if nothing is. False once the machine is gone.
    ///
    /// # Errors
    /// [`Error::Cancelled`]; [`Error::Io`] if the log cannot be written.
    pub fn pump(&mut self) -> Result<bool, Error> {
        if self.cancel.load(Ordering::Relaxed) {
            return Err(Error::Cancelled);
        }
        let mut chunk = [0; 4096];
        match self.stream.read(&mut chunk) {
            Ok(0) => return Ok(false),
            Ok(n) => self.console.feed(&chunk[..n]),
            Err(error)
                if matches!(
                    error.kind(),
                    ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted
                ) => {}
            Err(_) => return Ok(false),
        }
        self.write_log()?;
        Ok(true)
    }

    fn write_log(&mut self) -> Result<(), Error> {
        let Some(log) = &mut self.log else {
            return Ok(());
        };
        for line in self.console.since(log.position) {
            let Some(room) = log.room.checked_sub(line.len() + 1) else {
                break;
            };
            log.room = room;
            writeln!(log.file, "{line}").map_err(Error::io("writing the console log"))?;
        }
        log.position = self.console.position();
        Ok(())
    }

    /// Adds the unfinished last line to the log.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn finish_log(&mut self) -> Result<(), Error> {
        self.console.feed(b"\n");
        self.write_log()
    }

    /// Types a line.
    ///
    /// # Errors
    /// [`Stop::Guest`] if the machine is gone.
    pub fn send(&mut self, line: &str) -> Result<(), Stop> {
        let typed = self.stream.write_all(format!("{line}\n").as_bytes());
        typed.map_err(|error| Stop::Guest(format!("the serial line broke: {error}")))
    }

    /// Reads until `found` finds something in the console, or `end`.
    ///
    /// # Errors
    /// [`Stop::Silent`] at `end`, [`Stop::Guest`] when the machine is gone.
    pub fn wait<T>(
        &mut self,
        what: &str,
        end: Instant,
        mut found: impl FnMut(&Console) -> Option<T>,
    ) -> Result<T, Stop> {
        loop {
            if let Some(result) = found(&self.console) {
                return Ok(result);
            }
            if Instant::now() > end {
                return Err(Stop::Silent(format!("no {what} came in time")));
            }
            if !self.pump()? {
                return Err(Stop::Guest(format!(
                    "the machine went off before {what} came"
                )));
            }
        }
    }
}
