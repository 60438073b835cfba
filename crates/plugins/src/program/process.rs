//! The program as a process: started clean, listened to within limits, killed with its group.

use std::collections::VecDeque;
use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};

use super::protocol::PROTOCOL;
use crate::environment::PATH;
use crate::load::Stop;

/// How often the end of the program, and the user's wish to stop, are looked at.
const TICK: Duration = Duration::from_millis(20);
/// How much of the end of standard error is kept for a message.
const LAST_WORDS: usize = 2048;
/// How long its reader may take to come to the end, when the program is gone.
const LAST_WAIT: Duration = Duration::from_secs(1);
/// How much of standard error is logged.
const LOGGED: usize = 64 * 1024;

/// What a program may use up.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// For all its doings together; the time in which it waits for refit does not count.
    pub(super) time: Duration,
    /// Bytes of one line.
    pub(super) line: usize,
    /// Bytes of all lines.
    pub(super) all: usize,
}

/// What comes from the program's standard output.
enum Heard {
    Line(Vec<u8>),
    TooMuch,
    End,
}

/// A running program. When this goes, so does the program, with all that it started in its process
/// group.
#[derive(Debug)]
pub(super) struct Process {
    child: Child,
    heard: Receiver<Heard>,
    /// `None` once its standard input is closed.
    input: Option<Sender<Vec<u8>>>,
    last_words: Arc<Mutex<VecDeque<u8>>>,
    /// Disconnected when standard error is closed.
    silent: Receiver<()>,
    left: Duration,
    limits: Limits,
    stop: Stop,
    reaped: bool,
}

impl Process {
    /// Starts `program` in its own folder, in a process group of its own, with nothing of refit's
    /// environment: that may hold secrets.
    pub(super) fn start(program: &Path, limits: Limits, stop: Stop) -> anyhow::Result<Self> {
        let folder = program.parent().context("a program without a folder")?;
        let mut child = Command::new(program)
            .current_dir(folder)
            .env_clear()
            .env("PATH", PATH)
            .env("LC_ALL", "C.UTF-8")
            .env("REFIT_PROTOCOL", PROTOCOL)
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let (say, to_say) = channel();
        let (hear, heard) = sync_channel(1);
        let last_words = Arc::default();
        let (silence, silent) = channel();
        if let Some(stdin) = child.stdin.take() {
            thread::spawn(move || write_lines(stdin, &to_say));
        }
        if let Some(stdout) = child.stdout.take() {
            thread::spawn(move || read_lines(stdout, limits, &hear));
        }
        if let Some(stderr) = child.stderr.take() {
            let (last_words, span) = (Arc::clone(&last_words), tracing::Span::current());
            thread::spawn(move || {
                let _silence = silence;
                span.in_scope(|| read_words(stderr, &last_words));
            });
        }
        Ok(Self {
            child,
            heard,
            input: Some(say),
            last_words,
            silent,
            left: limits.time,
            limits,
            stop,
            reaped: false,
        })
    }

    /// Sends one line; it never waits for a program that does not read.
    pub(super) fn send(&self, mut line: Vec<u8>) {
        line.push(b'\n');
        if let Some(input) = &self.input {
            // It fails when the program has closed its input; then it has to say why.
            let _ = input.send(line);
        }
    }

    /// Nothing more will be sent.
    pub(super) fn close_input(&mut self) {
        self.input = None;
    }

    /// The next line; `None` when it says no more.
    pub(super) fn line(&mut self) -> anyhow::Result<Option<Vec<u8>>> {
        loop {
            let start = Instant::now();
            let heard = self.heard.recv_timeout(TICK.min(self.left));
            self.spend(start)?;
            match heard {
                Ok(Heard::Line(line)) => return Ok(Some(line)),
                Ok(Heard::End) => return Ok(None),
                Ok(Heard::TooMuch) => bail!(
                    "the program said more than {} MiB in one line or {} MiB in all and was stopped",
                    self.limits.line >> 20,
                    self.limits.all >> 20
                ),
                // A process of its own that outlives it may keep its output open.
                Err(RecvTimeoutError::Timeout) if self.has_ended()? => {
                    return Ok(match self.heard.try_recv() {
                        Ok(Heard::Line(line)) => Some(line),
                        _ => None,
                    });
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Ok(None),
            }
        }
    }

    /// Waits for its end.
    pub(super) fn end(&mut self) -> anyhow::Result<ExitStatus> {
        self.close_input();
        while !self.has_ended()? {
            let start = Instant::now();
            thread::sleep(TICK.min(self.left));
            self.spend(start)?;
        }
        self.reap()
    }

    /// The end of what it wrote to standard error.
    pub(super) fn last_words(&mut self) -> String {
        // With the group gone, the reader comes to the end of what is there.
        self.kill();
        let _ = self.silent.recv_timeout(LAST_WAIT);
        let mut words = self
            .last_words
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(words.make_contiguous())
            .trim()
            .to_owned()
    }

    fn spend(&mut self, start: Instant) -> anyhow::Result<()> {
        self.left = self.left.saturating_sub(start.elapsed());
        if self.stop.0.load(Ordering::SeqCst) {
            bail!("interrupted");
        }
        if self.left.is_zero() {
            bail!(
                "the program took longer than {} s and was stopped (`timeout` in fixup.toml)",
                self.limits.time.as_secs()
            );
        }
        Ok(())
    }

    /// Whether it has ended. It is not reaped yet, so that its group's number stays its own.
    fn has_ended(&self) -> anyhow::Result<bool> {
        let Some(pid) = self.pid() else {
            return Ok(true);
        };
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        Ok(waitid(WaitId::Pid(pid), options)
            .context("waiting for the program")?
            .is_some())
    }

    fn pid(&self) -> Option<Pid> {
        (!self.reaped).then(|| Pid::from_child(&self.child))
    }

    fn kill(&self) {
        if let Some(pid) = self.pid() {
            // It fails only if none of the group is left.
            let _ = kill_process_group(pid, Signal::KILL);
        }
    }

    fn reap(&mut self) -> anyhow::Result<ExitStatus> {
        self.kill();
        self.reaped = true;
        self.child.wait().context("waiting for the program")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if !self.reaped {
            let _ = self.reap();
        }
    }
}

fn write_lines(mut stdin: ChildStdin, lines: &Receiver<Vec<u8>>) {
    for line in lines {
        if stdin.write_all(&line).and_then(|()| stdin.flush()).is_err() {
            return;
        }
    }
}

fn read_lines(stdout: ChildStdout, limits: Limits, hear: &SyncSender<Heard>) {
    let mut stdout = BufReader::new(stdout);
    let mut all = 0;
    loop {
        let room = limits.line.min(limits.all - all);
        let mut line = Vec::new();
        let read = stdout
            .by_ref()
            .take(room as u64 + 1)
            .read_until(b'\n', &mut line);
        let heard = match read {
            Ok(0) | Err(_) => Heard::End,
            Ok(count) if count > room => Heard::TooMuch,
            Ok(count) => {
                all += count;
                line.truncate(line.trim_ascii_end().len());
                Heard::Line(line)
            }
        };
        let more = matches!(heard, Heard::Line(_));
        if hear.send(heard).is_err() || !more {
            return;
        }
    }
}

fn read_words(stderr: ChildStderr, last_words: &Mutex<VecDeque<u8>>) {
    let mut stderr = BufReader::new(stderr);
    let mut logged = 0;
    loop {
        let mut line = Vec::new();
        match stderr
            .by_ref()
            .take(LAST_WORDS as u64)
            .read_until(b'\n', &mut line)
        {
            Ok(0) | Err(_) => return,
            Ok(count) => {
                if logged < LOGGED {
                    logged += count;
                    let text = String::from_utf8_lossy(&line);
                    tracing::info!("it says: {:?}", text.trim_end());
                }
                let mut words = last_words.lock().unwrap_or_else(PoisonError::into_inner);
                words.extend(line);
                let surplus = words.len().saturating_sub(LAST_WORDS);
                words.drain(..surplus);
            }
        }
    }
}
