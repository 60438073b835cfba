//! Ending a running call from another thread.

use std::fmt;
use std::ptr::{self, NonNull};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use refit_guestfs_sys as sys;

use crate::launch::Watch;

/// What other threads may know of a handle.
pub(crate) struct Shared {
    /// NULL once the handle is closed.
    raw: Mutex<*mut sys::guestfs_h>,
    /// The launch that runs now.
    launch: Mutex<Option<Arc<Watch>>>,
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

    pub(crate) fn set_launch(&self, watch: Option<Arc<Watch>>) {
        *lock(&self.launch) = watch;
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
    /// do not notice one, so a caller that wants to stop also keeps a flag of
    /// its own, or repeats this. A launch is ended by killing its processes,
    /// which works for the direct backend only. What a transfer has written
    /// so far stays.
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
}

#[cfg(test)]
mod tests {
    use crate::{CancelHandle, Handle};

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
}
