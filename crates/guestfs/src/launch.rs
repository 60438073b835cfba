//! Starting the appliance, with a limit.
//!
//! `guestfs_launch` has no limit of its own, and `guestfs_user_cancel` does
//! not end it: with a KVM that does not work, it waits for ever. It does end
//! when the process that it waits for ends. So it runs in a thread of its own,
//! and the caller's thread kills what that one has started.

use std::collections::HashSet;
use std::panic::resume_unwind;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use refit_guestfs_sys as sys;
use rustix::process::Pid;

use crate::error::{Error, Result};
use crate::handle::Handle;
use crate::process::{Children, Whom};

/// How long supermin may go on with building the appliance when a launch is
/// ended. Killed, it would leave its temporary directory, with as much as the
/// appliance, to nobody. With an appliance in the cache it takes less than a
/// second.
const SUPERMIN_GRACE: Duration = Duration::from_secs(120);
/// How often the processes of a launch that is to end are killed: libguestfs
/// may start the next one.
const KILL_INTERVAL: Duration = Duration::from_millis(50);

impl Handle {
    /// Starts the appliance, however long it takes (1 to 15 seconds as a
    /// rule; for ever where KVM is there but does not work).
    ///
    /// # Errors
    ///
    /// [`Error::Call`]: the appliance cannot be built or does not start;
    /// [`Error::Cancelled`].
    pub fn launch(&self) -> Result<()> {
        self.launch_watched(None)
    }

    /// Starts the appliance, unless that takes longer than `limit`: the
    /// processes that this launch has started are killed then.
    ///
    /// The limit holds for the direct backend. libvirt's qemu belongs to
    /// libvirt, and there libguestfs's own errors have to do.
    ///
    /// # Errors
    ///
    /// As [`launch`](Self::launch), and [`Error::LaunchTimeout`].
    pub fn launch_within(&self, limit: Duration) -> Result<()> {
        self.launch_watched(Some(limit))
    }

    /// Whether the appliance is up.
    ///
    /// # Errors
    ///
    /// None that is known.
    pub fn is_launched(&self) -> Result<bool> {
        // SAFETY: one call on the handle.
        unsafe { self.call("is_ready").flag(|g| sys::guestfs_is_ready(g)) }
    }

    /// The process number of the appliance's qemu.
    ///
    /// # Errors
    ///
    /// [`Error::Call`] before launch, and with libvirt.
    pub fn get_pid(&self) -> Result<u32> {
        // SAFETY: one call on the handle.
        unsafe {
            self.call("get_pid")
                .integer("process number", |g| sys::guestfs_get_pid(g))
        }
    }

    /// libvirt's appliance has no process of ours.
    fn remember_appliance(&self) {
        let number = self.get_pid().ok().and_then(|pid| i32::try_from(pid).ok());
        self.shared.set_appliance(number.and_then(Pid::from_raw));
    }

    fn launch_watched(&self, limit: Option<Duration>) -> Result<()> {
        // A call from a callback must not replace the running watch.
        if self.busy.get() {
            return Err(Error::Reentrant { call: "launch" });
        }
        let watch = Arc::new(Watch::default());
        self.shared.set_launch(Some(Arc::clone(&watch)));
        let launching = Launching(self);
        let joined = thread::scope(|scope| {
            let thread = thread::Builder::new()
                .name("guestfs-launch".to_owned())
                .spawn_scoped(scope, || launching.run(&watch))?;
            let ended = watch.guard(limit);
            Ok((thread.join(), ended))
        });
        self.shared.set_launch(None);
        let (result, ended) = joined.map_err(|source| Error::Host {
            call: "launch",
            source,
        })?;
        // The thread panics only with the panic of a callback.
        let result = result.unwrap_or_else(|payload| resume_unwind(payload));
        let Some(reason) = ended else {
            if result.is_ok() {
                self.remember_appliance();
            }
            return result;
        };
        let message = match result {
            Err(error) => error.to_string(),
            Ok(()) => {
                // It was up just as its processes were killed.
                let shutdown = self.shutdown();
                tracing::debug!(?shutdown, "shutting down the appliance that was killed");
                "it came up at the last moment".to_owned()
            }
        };
        Err(match reason {
            Ending::Cancelled => Error::Cancelled {
                call: "launch",
                path: None,
            },
            Ending::Expired(limit) => Error::LaunchTimeout { limit, message },
        })
    }
}

/// The handle, lent to the thread that launches it.
struct Launching<'h>(&'h Handle);

// SAFETY: a handle may be used by any thread, by one at a time; the thread that
// lends it does not use it until the other has ended.
unsafe impl Send for Launching<'_> {}
// SAFETY: as above; only the one thread calls `run`.
unsafe impl Sync for Launching<'_> {}

impl Launching<'_> {
    fn run(&self, watch: &Watch) -> Result<()> {
        block_interrupt();
        // Also when a callback's panic comes out of the call.
        let _over = Over(watch);
        watch.set_thread();
        // SAFETY: one call on the handle.
        unsafe { self.0.call("launch").unit(|g| sys::guestfs_launch(g)) }
    }
}

/// Keeps Ctrl-C from the processes that this thread starts, which inherit the
/// mask: the terminal sends it to all of the process group, and supermin would
/// die of it and leave its temporary directory. Who cancels ends them in order.
fn block_interrupt() {
    // SAFETY: the set is initialised by sigemptyset before it is used, and
    // pthread_sigmask changes the calling thread alone.
    let result = unsafe {
        let mut set = std::mem::MaybeUninit::uninit();
        libc::sigemptyset(set.as_mut_ptr());
        libc::sigaddset(set.as_mut_ptr(), libc::SIGINT);
        libc::pthread_sigmask(libc::SIG_BLOCK, set.as_ptr(), std::ptr::null_mut())
    };
    if result != 0 {
        tracing::warn!(result, "cannot keep Ctrl-C from the appliance's processes");
    }
}

/// Tells the waiting thread that the launch is over.
struct Over<'a>(&'a Watch);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        *self.0.lock() = Stage::Over;
        self.0.changed.notify_all();
    }
}

/// Why a launch was ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ending {
    Cancelled,
    Expired(Duration),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Stage {
    #[default]
    Running,
    Cancelled,
    Over,
}

/// The state of one launch, shared by the thread that is in C, the one that
/// waits, and those that cancel.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    children: OnceLock<Children>,
    stage: Mutex<Stage>,
    changed: Condvar,
}

impl Watch {
    /// Ends the launch, unless it is over.
    pub(crate) fn cancel(&self) {
        let mut stage = self.lock();
        if *stage == Stage::Running {
            *stage = Stage::Cancelled;
            self.changed.notify_all();
        }
    }

    /// Says that the calling thread is the one that launches.
    fn set_thread(&self) {
        self.children.get_or_init(Children::of_this_thread);
    }

    fn lock(&self) -> MutexGuard<'_, Stage> {
        self.stage.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the end of the launch, and brings it about when the limit is
    /// reached or it is cancelled.
    fn guard(&self, limit: Option<Duration>) -> Option<Ending> {
        let deadline = limit.and_then(|limit| Instant::now().checked_add(limit));
        let mut stage = self.lock();
        let ending = loop {
            match (*stage, limit) {
                (Stage::Over, _) => return None,
                (Stage::Cancelled, _) => break Ending::Cancelled,
                (Stage::Running, Some(limit)) => {
                    let left = deadline.map(|at| at.saturating_duration_since(Instant::now()));
                    match left {
                        Some(Duration::ZERO) => break Ending::Expired(limit),
                        _ => stage = self.wait(stage, left),
                    }
                }
                (Stage::Running, None) => stage = self.wait(stage, None),
            }
        };
        let mut reached = HashSet::new();
        let ended = Instant::now();
        while *stage != Stage::Over {
            drop(stage);
            if let Some(children) = self.children.get() {
                let whom = if ended.elapsed() < SUPERMIN_GRACE {
                    Whom::AllButSupermin
                } else {
                    Whom::All
                };
                children.kill(whom, &mut reached);
            }
            stage = self.wait(self.lock(), Some(KILL_INTERVAL));
        }
        tracing::debug!(?reached, ?ending, "killed the processes of the launch");
        Some(ending)
    }

    fn wait<'a>(
        &self,
        stage: MutexGuard<'a, Stage>,
        limit: Option<Duration>,
    ) -> MutexGuard<'a, Stage> {
        match limit {
            Some(limit) => {
                self.changed
                    .wait_timeout(stage, limit)
                    .unwrap_or_else(PoisonError::into_inner)
                    .0
            }
            None => self
                .changed
                .wait(stage)
                .unwrap_or_else(PoisonError::into_inner),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use super::*;
    use crate::EventMask;

    #[test]
    fn a_finished_launch_has_no_ending() {
        let watch = Watch::default();
        drop(Over(&watch));
        watch.cancel();
        assert_eq!(watch.guard(Some(Duration::ZERO)), None);
    }

    #[test]
    fn a_panic_of_a_callback_comes_out_of_the_launch() {
        let handle = Handle::new().unwrap();
        handle.set_path("/nonexistent").unwrap();
        handle
            .on_event(EventMask::ENTER, |_| panic!("in launch"))
            .unwrap();
        let payload = catch_unwind(AssertUnwindSafe(|| handle.launch())).unwrap_err();
        assert_eq!(payload.downcast_ref::<&str>(), Some(&"in launch"));
    }

    #[test]
    fn a_refused_launch_is_neither_a_timeout_nor_hangs() {
        let handle = Handle::new().unwrap();
        handle.set_backend("direct").unwrap();
        handle.set_path("/nonexistent").unwrap();
        let error = handle.launch_within(Duration::from_secs(600)).unwrap_err();
        assert!(
            matches!(error, Error::Call { call: "launch", .. }),
            "{error:?}"
        );
        assert!(handle.cancel_handle().cancel());
    }
}
