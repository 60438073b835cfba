//! The processes that one launch has started, and killing them.
//!
//! Other threads may launch other handles, and run programs of their own, so
//! "all our children" is too many. Linux keeps the children of each thread
//! apart (`/proc/PID/task/TID/children`, proc(5)). What a thread leaves behind
//! when it ends is given to the process's first thread, so the list of any
//! other has only what that thread has started. A launch runs in a thread of
//! its own, whose children are therefore those of the launch.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

/// Far more than supermin's and qemu's families; a limit to be sure.
const MAX_DEPTH: u32 = 16;

/// The children of one thread.
#[derive(Debug)]
pub(crate) struct Children {
    list: PathBuf,
}

impl Children {
    /// Those of the calling thread, which is not the process's first.
    pub(crate) fn of_this_thread() -> Self {
        let thread = rustix::thread::gettid().as_raw_nonzero();
        let list = PathBuf::from(format!("/proc/self/task/{thread}/children"));
        if let Err(error) = read(&list) {
            tracing::warn!(
                list = %list.display(),
                %error,
                "a launch cannot be ended here: the kernel does not list children"
            );
        }
        Self { list }
    }

    /// Kills them and what they have started; adds their numbers to `reached`.
    pub(crate) fn kill(&self, whom: Whom, reached: &mut HashSet<i32>) {
        kill_listed(&self.list, whom, MAX_DEPTH, reached);
    }
}

/// Which processes of a launch are killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Whom {
    /// All but supermin, which would leave its temporary directory behind.
    AllButSupermin,
    /// All.
    All,
}

fn kill_listed(list: &Path, whom: Whom, depth: u32, reached: &mut HashSet<i32>) {
    let Ok(children) = read(list) else { return };
    for number in children {
        let Some(pid) = Pid::from_raw(number) else {
            continue;
        };
        let Ok(process) = pidfd_open(pid, PidfdFlags::empty()) else {
            continue;
        };
        // The child may have ended, and its number be another's, between the
        // two calls above. Still listed, the descriptor is the child's.
        if !read(list).is_ok_and(|children| children.contains(&number)) {
            continue;
        }
        if whom == Whom::AllButSupermin && may_be_supermin(number) {
            continue;
        }
        let send = |signal| {
            if let Err(error) = pidfd_send_signal(&process, signal) {
                tracing::debug!(number, %error, "sending a signal to a process of the launch");
            }
        };
        // Stopped first, so that it starts nothing more while its own
        // children are killed; after its death they could not be found.
        send(Signal::STOP);
        // It may have become supermin just before.
        if whom == Whom::AllButSupermin && may_be_supermin(number) {
            send(Signal::CONT);
            continue;
        }
        if depth > 0 {
            for task in tasks(number) {
                kill_listed(&task.join("children"), whom, depth - 1, reached);
            }
        }
        send(Signal::KILL);
        reached.insert(number);
    }
}

/// Whether a process runs supermin(1), or may: in the middle of execve(2) it
/// has no arguments yet.
fn may_be_supermin(process: i32) -> bool {
    fs::read(format!("/proc/{process}/cmdline")).is_ok_and(|arguments| {
        let program = arguments
            .split(|byte| *byte == 0)
            .next()
            .unwrap_or_default();
        program.is_empty() || program == b"supermin" || program.ends_with(b"/supermin")
    })
}

fn tasks(process: i32) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(format!("/proc/{process}/task")) else {
        return Vec::new();
    };
    entries.flatten().map(|entry| entry.path()).collect()
}

fn read(list: &Path) -> io::Result<HashSet<i32>> {
    let text = fs::read_to_string(list)?;
    Ok(text
        .split_ascii_whitespace()
        .filter_map(|number| number.parse().ok())
        .collect())
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead as _, BufReader};
    use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn supermin_is_spared_until_everything_must_go() {
        std::thread::spawn(|| {
            let children = Children::of_this_thread();
            let mut supermin = Command::new("sleep")
                .arg0("/usr/bin/supermin")
                .arg("603")
                .spawn()
                .unwrap();
            let mut reached = HashSet::new();
            children.kill(Whom::AllButSupermin, &mut reached);
            assert_eq!(reached, HashSet::new());
            assert!(supermin.try_wait().unwrap().is_none());
            children.kill(Whom::All, &mut reached);
            assert_eq!(supermin.wait().unwrap().signal(), Some(9));
        })
        .join()
        .unwrap();
    }

    #[test]
    fn children_of_the_thread_and_theirs_are_killed_and_no_others() {
        let mut elsewhere = Command::new("sleep").arg("600").spawn().unwrap();
        // Its children go to the first thread of the process.
        let mut orphan = std::thread::spawn(|| Command::new("sleep").arg("601").spawn())
            .join()
            .unwrap()
            .unwrap();
        std::thread::spawn(|| {
            let children = Children::of_this_thread();
            let mut child = Command::new("sh")
                .args(["-c", "sleep 602 & echo $!; wait"])
                .stdout(Stdio::piped())
                .spawn()
                .unwrap();
            let mut output = BufReader::new(child.stdout.take().unwrap());
            let mut grandchild = String::new();
            output.read_line(&mut grandchild).unwrap();
            let grandchild: i32 = grandchild.trim().parse().unwrap();

            let mut reached = HashSet::new();
            children.kill(Whom::All, &mut reached);
            assert_eq!(
                reached,
                HashSet::from([i32::try_from(child.id()).unwrap(), grandchild])
            );
            assert_eq!(child.wait().unwrap().signal(), Some(9));
        })
        .join()
        .unwrap();
        for process in [&mut elsewhere, &mut orphan] {
            assert!(process.try_wait().unwrap().is_none());
            process.kill().unwrap();
            process.wait().unwrap();
        }
    }
}
