//! Ending a running call from another thread.

use std::fmt;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use refit_guestfs_sys as sys;
use rustix::process::{Pid, Signal, kill_process};

use crate::launch::Watch;

/// What other threads may know of a handle.
pub(crate) struct Shared {
    /// NULL once the handle is closed.
    raw: Mutex<*mut sys::guestfs_h>,
    /// The launch that runs now.
    launch: Mutex<Option<Arc<Watch>>>,
    /// The appliance's process, from its launch until it is shut down: until then libguestfs has not waited
    /// for it, so that its number is no other's.
    appliance: Mutex<Option<Pid>>,
    /// No further call is to be made.
    stopped: AtomicBool,
}

// SAFETY: the pointer is used for `guestfs_user_cancel` only, which may be
// called from any thread at any time while the handle is open; the lock keeps
// it open for that long.
unsafe impl Send for Shared {}
// SAFETY: as above.
unsafe impl Sync for Shared {}

impl Shared {
    pub(crate) fn new(raw: NonNull<sys::guestfs_h>) -> Self {
        Self {
            raw: Mutex::new(raw.as_ptr()),
            launch: Mutex::new(None),
            appliance: Mutex::new(None),
            stopped: AtomicBool::new(false),
        }
    }

    /// Takes the pointer away before the handle is closed. False if it was
    /// away already.
    pub(crate) fn forget(&self) -> bool {
        !std::mem::replace(&mut *lock(&self.raw), ptr::null_mut()).is_null()
    }

    pub(crate) fn is_closed(&self) -> bool {
        lock(&self.raw).is_null()
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::SeqCst)
    }

    pub(crate) fn set_launch(&self, watch: Option<Arc<Watch>>) {
        *lock(&self.launch) = watch;
    }

    pub(crate) fn set_appliance(&self, process: Option<Pid>) {
        *lock(&self.appliance) = process;
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Ends what a [`Handle`](crate::Handle) is doing, from another thread.
#[derive(Clone)]
pub struct CancelHandle {
    shared: Arc<Shared>,
}

impl fmt::Debug for CancelHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CancelHandle")
            .field("closed", &self.shared.is_closed())
            .finish()
    }
}

impl CancelHandle {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// Ends the launch, or the upload, download, archive or other file
    /// transfer that runs now, with [`Error::Cancelled`](crate::Error).
    ///
    /// A transfer forgets a request that came before it began, and other calls
    /// do not notice one: [`stop`](Self::stop) is for who wants to end it all.
    /// A launch is ended by killing its processes, which works for the direct
    /// backend only. What a transfer has written so far stays.
    ///
    /// False means that the handle is closed, and nothing was done.
    pub fn cancel(&self) -> bool {
        if let Some(watch) = &*lock(&self.shared.launch) {
            watch.cancel();
        }
        let raw = lock(&self.shared.raw);
        if raw.is_null() {
            return false;
        }
        // SAFETY: open, and the lock keeps it open; this function may be
        // called from any thread. Its result is always 0.
        unsafe { sys::guestfs_user_cancel(*raw) };
        true
    }

    /// Ends what runs now as [`cancel`](Self::cancel) does, and has every later
    /// call refused with [`Error::Cancelled`](crate::Error). Another call that runs now
    /// is completed first.
    ///
    /// The appliance is shut down in order when the handle is closed, and
    /// [`Handle::close`](crate::Handle::close) then says that the work was cancelled: its owner
    /// cannot take it for complete.
    ///
    /// False means that the handle is closed, and nothing was done.
    pub fn stop(&self) -> bool {
        // Before the launch is looked at: one that begins now sees it.
        self.shared.stopped.store(true, Ordering::SeqCst);
        self.cancel()
    }

    /// As [`stop`](Self::stop), and ends any call at once, by killing the appliance: a program of the guest
    /// may run for a long time yet. What the appliance has not written out is lost, so this is for disks that are
    /// overlays, to be thrown away. It works for the direct backend.
    ///
    /// False means that the handle is closed, and nothing was done.
    pub fn kill(&self) -> bool {
        let open = self.stop();
        if let Some(process) = *lock(&self.shared.appliance)
            && let Err(error) = kill_process(process, Signal::KILL)
        {
            tracing::debug!(?process, %error, "killing the appliance");
        }
        open
    }
}

#[cfg(test)]
mod tests {
    use crate::{CancelHandle, Error, Handle};

    const fn send_sync_clone<T: Send + Sync + Clone>() {}
    const _: () = send_sync_clone::<CancelHandle>();

    #[test]
    fn cancelling_a_closed_handle_does_nothing() {
        let handle = Handle::new().unwrap();
        let cancel = handle.cancel_handle();
        assert!(cancel.cancel());
        handle.close().unwrap();
        assert!(!cancel.cancel());
        assert_eq!(format!("{cancel:?}"), "CancelHandle { closed: true }");

        let handle = Handle::new().unwrap();
        let cancel = handle.cancel_handle().clone();
        drop(handle);
        assert!(!cancel.cancel());
    }

    #[test]
    fn a_stopped_handle_refuses_every_call_and_says_so_when_it_is_closed() {
        let handle = Handle::new().unwrap();
        assert!(handle.cancel_handle().stop());
        for (call, result) in [
            ("launch", handle.launch()),
            ("set_pgroup", handle.set_pgroup(true)),
            ("shutdown", handle.shutdown()),
        ] {
            let error = result.unwrap_err();
            assert!(
                matches!(error, Error::Cancelled { call: refused, .. } if refused == call),
                "{error:?}"
            );
        }
        assert!(handle.close().is_err());
    }
}
