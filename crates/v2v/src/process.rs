//! The running program: its process group, its streams, its end.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, Signal, kill_process_group};

use crate::log::Stream;
use crate::sockets::{self, socket_dir};

/// How long a program may take to end when it is asked to.
const GRACE: Duration = Duration::from_secs(10);
/// How long its helpers may outlive it.
const HELPERS_GRACE: Duration = Duration::from_secs(3);
/// How many pieces of output may wait to be read.
const QUEUE: usize = 64;

/// Stops a run from another thread, such as one that waits for signals.
#[derive(Debug, Clone, Default)]
pub struct CancelToken(Arc<AtomicBool>);

impl CancelToken {
    /// Asks the run to stop. It ends within about ten seconds.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    /// Whether it was asked to.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

/// How the program's output is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Output {
    /// Standard output and standard error by themselves; what order they were written in is lost.
    Apart,
    /// Both as one, in order. A piece is what was written at once, if that is no longer than 4096 bytes.
    Together,
}

/// A piece of output.
#[derive(Debug)]
pub(crate) struct Chunk {
    pub(crate) stream: Stream,
    pub(crate) bytes: Vec<u8>,
}

/// A program in a process group of its own.
#[derive(Debug)]
pub(crate) struct Running {
    child: Child,
    group: Pid,
    chunks: Receiver<Chunk>,
    ended: bool,
    sockets: BTreeSet<PathBuf>,
    record: PathBuf,
}

impl Running {
    /// Starts the command with nothing on standard input, and records its socket directories in a
    /// file, for the case that refit is killed. The thread that calls this must live as long as the
    /// program: the kernel's parent-death signal belongs to the thread.
    pub(crate) fn start(mut command: Command, output: Output, record: &Path) -> io::Result<Self> {
        let (sender, chunks) = sync_channel(QUEUE);
        match output {
            Output::Apart => {
                command.stdout(Stdio::piped()).stderr(Stdio::piped());
            }
            Output::Together => {
                // In packet mode (pipe(2), O_DIRECT); a sandbox may not know it.
                let (source, target) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::DIRECT)
                    .or_else(|_| pipe_with(PipeFlags::CLOEXEC))?;
                command.stdout(target.try_clone()?).stderr(target);
                forward(Stream::Both, File::from(source), sender.clone());
            }
        }
        let mut child = command.stdin(Stdio::null()).process_group(0).spawn()?;
        // It holds the pipe open, whose end is to be seen.
        drop(command);
        let group = Pid::from_child(&child);
        if let Some(stdout) = child.stdout.take() {
            forward(Stream::Out, stdout, sender.clone());
        }
        if let Some(stderr) = child.stderr.take() {
            forward(Stream::Err, stderr, sender);
        }
        Ok(Self {
            child,
            group,
            chunks,
            ended: false,
            sockets: BTreeSet::new(),
            record: record.to_owned(),
        })
    }

    /// The next piece of output; `None` if there is none within the time.
    pub(crate) fn next_chunk(&mut self, timeout: Duration) -> Option<Chunk> {
        if self.ended {
            thread::sleep(timeout);
            return None;
        }
        match self.chunks.recv_timeout(timeout) {
            Ok(chunk) => Some(chunk),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => {
                self.ended = true;
                None
            }
        }
    }

    /// Whether all output was read, and nobody is left who could write more.
    pub(crate) fn is_drained(&self) -> bool {
        self.ended
    }

    /// The exit status, once the program has ended.
    pub(crate) fn try_wait(&mut self) -> io::Result<Option<ExitStatus>> {
        self.child.try_wait()
    }

    /// Looks at the helpers: notes the appliance's socket directories, and says whether the
    /// appliance is being built (supermin, once for each kernel).
    pub(crate) fn look_at_helpers(&mut self) -> bool {
        let mut building = false;
        let known = self.sockets.len();
        for pid in members(self.group) {
            let Ok(arguments) = fs::read(format!("/proc/{pid}/cmdline")) else {
                continue;
            };
            let mut arguments = arguments.split(|byte| *byte == 0);
            building |= arguments
                .next()
                .is_some_and(|program| program.ends_with(b"supermin"));
            self.sockets.extend(arguments.filter_map(socket_dir));
        }
        if self.sockets.len() > known
            && let Err(error) = sockets::record(&self.record, &self.sockets)
        {
            tracing::debug!(%error, "cannot record the appliance's sockets");
        }
        building
    }

    /// Ends the program and all its helpers: politely, then not.
    pub(crate) fn stop(&mut self) {
        self.look_at_helpers();
        self.signal(Signal::TERM);
        self.wait_until_gone(GRACE);
    }

    /// Ends the program and all its helpers at once: for one that has nothing to tidy up.
    pub(crate) fn kill(&mut self) {
        self.signal(Signal::KILL);
        self.wait_until_gone(HELPERS_GRACE);
    }

    /// Waits for helpers that outlive the program, ends those that stay, and removes what
    /// libguestfs leaves outside `TMPDIR` when it is killed.
    pub(crate) fn clean_up(&mut self) {
        self.wait_until_gone(HELPERS_GRACE);
        sockets::remove(&self.sockets);
    }

    fn wait_until_gone(&mut self, grace: Duration) {
        let deadline = Instant::now() + grace;
        let mut killed = false;
        loop {
            // Output is read on, so that nobody waits for a full pipe.
            while self.chunks.try_recv().is_ok() {}
            let gone = !matches!(self.child.try_wait(), Ok(None));
            if gone && members(self.group).is_empty() {
                return;
            }
            if Instant::now() >= deadline && !killed {
                self.signal(Signal::KILL);
                killed = true;
            } else if Instant::now() >= deadline + grace {
                tracing::warn!(group = %self.group, "a helper of virt-v2v cannot be ended");
                return;
            }
            thread::sleep(Duration::from_millis(50));
        }
    }

    fn signal(&self, signal: Signal) {
        if let Err(error) = kill_process_group(self.group, signal) {
            tracing::debug!(%error, "the process group is gone already");
        }
    }
}

impl Drop for Running {
    /// A panic or an early return must not leave an appliance behind.
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            self.stop();
            self.clean_up();
        }
    }
}

fn forward(stream: Stream, mut source: impl Read + Send + 'static, sender: SyncSender<Chunk>) {
    thread::spawn(move || {
        let mut buffer = vec![0u8; 16 * 1024];
        while let Ok(count) = source.read(&mut buffer) {
            let Some(bytes) = buffer.get(..count).filter(|bytes| !bytes.is_empty()) else {
                break;
            };
            let bytes = bytes.to_vec();
            if sender.send(Chunk { stream, bytes }).is_err() {
                break;
            }
        }
    });
}

/// Living processes of the group.
fn members(group: Pid) -> Vec<u32> {
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|pid| {
            fs::read_to_string(format!("/proc/{pid}/stat"))
                .is_ok_and(|stat| is_living_member(&stat, group.as_raw_nonzero().get()))
        })
        .collect()
}

/// Reads a line of `/proc/PID/stat` (proc(5)): after the name in parentheses come the state, the
/// parent and the process group.
fn is_living_member(stat: &str, group: i32) -> bool {
    let Some((_, fields)) = stat.rsplit_once(") ") else {
        return false;
    };
    let mut fields = fields.split(' ');
    let state = fields.next();
    state != Some("Z") && fields.nth(1).and_then(|field| field.parse().ok()) == Some(group)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_told_by_the_third_field_after_the_name() {
        assert!(is_living_member("12 (a) b) S 1 77 77 0 -1", 77));
        assert!(
            !is_living_member("12 (qemu) Z 1 77 77 0 -1", 77),
            "a zombie does nothing"
        );
        assert!(!is_living_member("77 (qemu) S 77 76 77 0", 77));
        assert!(!is_living_member("", 77));
    }

    #[test]
    fn together_what_was_written_at_once_stays_so_and_in_order() {
        let mut command = Command::new("sh");
        command.args([
            "-c",
            "for i in $(seq 500); do echo a$i; printf 'b\nc' >&2; done",
        ]);
        let mut running =
            Running::start(command, Output::Together, Path::new("/nonexistent")).unwrap();
        let mut pieces = Vec::new();
        while !running.is_drained() {
            let chunk = running.next_chunk(Duration::from_secs(10));
            pieces.extend(chunk.map(|chunk| String::from_utf8(chunk.bytes).unwrap()));
        }
        let expected = (1..=500).flat_map(|i| [format!("a{i}\n"), "b\nc".to_owned()]);
        assert_eq!(pieces, expected.collect::<Vec<_>>());
    }

    #[test]
    fn stopping_ends_the_whole_group() {
        let mut command = Command::new("sh");
        command.args(["-c", "sleep 600 & sleep 600"]);
        let mut running =
            Running::start(command, Output::Apart, Path::new("/nonexistent")).unwrap();
        while members(running.group).len() < 2 {
            thread::sleep(Duration::from_millis(10));
        }
        running.stop();
        assert!(members(running.group).is_empty());
    }
}
