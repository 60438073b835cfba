//! The handle: its life, and the only owner of the C pointer.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fmt;
use std::panic::resume_unwind;
use std::ptr::{self, NonNull};
use std::sync::{Arc, Mutex, PoisonError};

use refit_guestfs_sys as sys;

use crate::cancel::{CancelHandle, Shared};
use crate::error::{Error, Result};
use crate::event::Callback;
use crate::memory::{copy_string, last_message, lossy};

/// A panic that a callback ended with, on its way to the caller.
pub(crate) type Panic = Arc<Mutex<Option<Box<dyn Any + Send>>>>;

/// One libguestfs handle, and with it one appliance.
///
/// Configure it, [`launch`](Self::launch) it once, use it, and
/// [`close`](Self::close) it: only closing tells whether late writes reached
/// the disks. Dropping it closes it too, and logs what `close` would have
/// returned.
///
/// It can be given to another thread, but not be used by two at once; the
/// appliance does one thing at a time anyway.
pub struct Handle {
    raw: NonNull<sys::guestfs_h>,
    pub(crate) shared: Arc<Shared>,
    /// A C function runs. As the handle is not `Sync`, a second call while
    /// this is set can only come from a callback.
    pub(crate) busy: Cell<bool>,
    /// The path of the hive that is open; libguestfs has one at a time.
    pub(crate) hive: RefCell<Option<Vec<u8>>>,
    /// Owned: from `Box::into_raw`, freed after C has forgotten the pointer.
    pub(crate) callbacks: RefCell<BTreeMap<i32, *mut Callback>>,
    pub(crate) panic: Panic,
}

// SAFETY: since 1.38 libguestfs may be called from any thread; its error
// message is thread-local, and `Call` reads it on the thread of the call.
// Callbacks and panic payloads are Send.
unsafe impl Send for Handle {}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle")
            .field("raw", &self.raw)
            .finish_non_exhaustive()
    }
}

impl Handle {
    /// Creates a handle and lets it read the `LIBGUESTFS_*` and `TMPDIR`
    /// variables (guestfs(3), ENVIRONMENT VARIABLES).
    ///
    /// # Errors
    ///
    /// [`Error::Create`]: no memory, or a variable has a wrong value.
    pub fn new() -> Result<Self> {
        // Reading the environment while creating would print its errors; the
        // exit handler would run callbacks while the process is torn down.
        let flags = sys::GUESTFS_CREATE_NO_ENVIRONMENT | sys::GUESTFS_CREATE_NO_CLOSE_ON_EXIT;
        // SAFETY: these flags take no further arguments.
        let raw = unsafe { sys::guestfs_create_flags(flags) };
        let raw = NonNull::new(raw).ok_or_else(|| Error::Create {
            reason: "out of memory, or too many handles".to_owned(),
        })?;
        let handle = Self {
            raw,
            shared: Arc::new(Shared::new(raw)),
            busy: Cell::new(false),
            hive: RefCell::new(None),
            callbacks: RefCell::new(BTreeMap::new()),
            panic: Panic::default(),
        };
        handle.silence();
        // SAFETY: the handle is open.
        if unsafe { sys::guestfs_parse_environment(handle.raw()) } == -1 {
            // SAFETY: the handle is open.
            let message = unsafe { last_message(handle.raw()) };
            return Err(Error::Create {
                reason: message
                    .unwrap_or_else(|| "a LIBGUESTFS_* variable has a wrong value".to_owned()),
            });
        }
        Ok(handle)
    }

    /// The version of the library.
    ///
    /// # Errors
    ///
    /// [`Error::Call`] when it has no memory.
    pub fn version(&self) -> Result<Version> {
        // SAFETY: a structure function and the function that frees it; its
        // `extra` is a string.
        unsafe {
            self.call("version").structure(
                |g| sys::guestfs_version(g),
                sys::guestfs_free_version,
                |version| {
                    Ok(Version {
                        major: version.major,
                        minor: version.minor,
                        release: version.release,
                        extra: lossy(copy_string(version.extra)),
                    })
                },
            )
        }
    }

    /// Ends the appliance in order, after it has written out all file
    /// systems. The handle cannot be launched again. A second call does
    /// nothing.
    ///
    /// # Errors
    ///
    /// [`Error::Call`]: what was written may not be on the disks.
    pub fn shutdown(&self) -> Result<()> {
        self.shared.set_appliance(None);
        // SAFETY: one call on the handle.
        unsafe { self.call("shutdown").unit(|g| sys::guestfs_shutdown(g)) }
    }

    /// Shuts the appliance down and closes the handle.
    ///
    /// # Errors
    ///
    /// As [`shutdown`](Self::shutdown), and [`Error::Cancelled`] after
    /// [`CancelHandle::stop`]; the handle is closed all the same.
    pub fn close(mut self) -> Result<()> {
        let result = match self.shutdown() {
            // It was stopped while it shut down.
            Ok(()) if self.shared.is_stopped() => Err(Error::Cancelled {
                call: "shutdown",
                path: None,
            }),
            result => result,
        };
        self.release();
        if let Some(payload) = self.take_panic() {
            resume_unwind(payload);
        }
        result
    }

    /// A handle by which another thread, for example one that waits for
    /// Ctrl-C, ends a launch or a transfer of this one.
    pub fn cancel_handle(&self) -> CancelHandle {
        CancelHandle::new(Arc::clone(&self.shared))
    }

    /// The pointer for one C call.
    pub(crate) fn raw(&self) -> *mut sys::guestfs_h {
        self.raw.as_ptr()
    }

    /// Has errors of this thread not printed on standard error. libguestfs
    /// keeps the handler for each thread, and prints in those without.
    pub(crate) fn silence(&self) {
        // SAFETY: the handle is open.
        unsafe { sys::guestfs_set_error_handler(self.raw(), None, ptr::null_mut()) };
    }

    /// The panic of a callback, once.
    pub(crate) fn take_panic(&self) -> Option<Box<dyn Any + Send>> {
        self.panic
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }

    /// Closes the C handle, unless that is done, and frees the callbacks.
    fn release(&mut self) {
        // From here on nobody else has the pointer.
        if !self.shared.forget() {
            return;
        }
        // Close events still come; calls from them are refused.
        self.busy.set(true);
        // SAFETY: open until now: `forget` says true once only.
        unsafe { sys::guestfs_close(self.raw()) };
        for (_, callback) in std::mem::take(self.callbacks.get_mut()) {
            // SAFETY: from Box::into_raw, and C knows it no longer.
            drop(unsafe { Box::from_raw(callback) });
        }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        if self.shared.is_closed() {
            return;
        }
        // Not through `Call`: a panic of a callback must not leave a drop.
        self.busy.set(true);
        self.silence();
        self.shared.set_appliance(None);
        // SAFETY: the handle is open.
        if unsafe { sys::guestfs_shutdown(self.raw()) } == -1 {
            // SAFETY: the handle is open.
            let message = unsafe { last_message(self.raw()) };
            tracing::error!(
                error = message.as_deref().unwrap_or("unknown"),
                "shutting the appliance down: what was written may not be on the disks"
            );
        }
        self.release();
        if self.take_panic().is_some() {
            tracing::error!("an event callback panicked while its handle was dropped");
        }
    }
}

/// The version of a libguestfs library. An even `minor` is a stable branch.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// 1 for as long as there has been libguestfs.
    pub major: i64,
    /// The branch.
    pub minor: i64,
    /// The release on the branch.
    pub release: i64,
    /// What the distribution appended.
    pub extra: String,
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}.{}.{}{}",
            self.major, self.minor, self.release, self.extra
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Resolves to the inherent constant for `Sync` types only, so the
    /// assertion below can tell.
    trait NotSync {
        const IS_SYNC: bool = false;
    }
    impl<T: ?Sized> NotSync for Check<T> {}
    struct Check<T: ?Sized>(std::marker::PhantomData<T>);
    impl<T: ?Sized + Sync> Check<T> {
        const IS_SYNC: bool = true;
    }

    const fn send<T: Send>() {}
    const _: () = send::<Handle>();
    const _: () = assert!(!Check::<Handle>::IS_SYNC);
    const _: () = assert!(Check::<CancelHandle>::IS_SYNC);

    #[test]
    fn a_handle_has_the_version_we_bind_or_later() {
        let handle = Handle::new().unwrap();
        let version = handle.version().unwrap();
        assert!((version.major, version.minor) >= (1, 48), "{version}");
        assert!(version.to_string().starts_with("1."));
        handle.close().unwrap();
    }

    #[test]
    fn calls_before_launch_are_typed_errors() {
        let handle = Handle::new().unwrap();
        let error = handle.read_file("/etc/hostname").unwrap_err();
        let Error::Call {
            call,
            path,
            message,
            ..
        } = &error
        else {
            panic!("{error:?}")
        };
        assert_eq!(*call, "read_file");
        assert_eq!(path.as_deref(), Some(&b"/etc/hostname"[..]));
        assert!(message.contains("launch"), "{message}");
        assert!(!handle.is_launched().unwrap());
        handle.shutdown().unwrap();
        handle.shutdown().unwrap();
    }

    #[test]
    fn errors_are_not_printed_in_any_thread() {
        let output = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "--nocapture"])
            .arg("handle::tests::a_handle_moves_to_another_thread_with_its_errors")
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        assert!(
            String::from_utf8_lossy(&output.stdout).contains("1 passed"),
            "{output:?}"
        );
        assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    }

    #[test]
    fn a_handle_moves_to_another_thread_with_its_errors() {
        let handle = Handle::new().unwrap();
        std::thread::spawn(move || {
            let error = handle.sync().unwrap_err();
            assert!(
                matches!(error, Error::Call { call: "sync", .. }),
                "{error:?}"
            );
            handle.close().unwrap();
        })
        .join()
        .unwrap();
    }
}
