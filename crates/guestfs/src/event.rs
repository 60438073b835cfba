//! Events: what libguestfs reports while a call runs.

use std::cell::RefCell;
use std::ffi::{c_char, c_int, c_void};
use std::fmt;
use std::ops::BitOr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::slice;
use std::sync::{Arc, PoisonError};

use refit_guestfs_sys as sys;

use crate::error::{Error, Result};
use crate::handle::{Handle, Panic};
use crate::memory::copy_buffer;

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event<'a> {
    /// The handle is being closed.
    Close,
    /// The appliance ended, in order or not.
    SubprocessQuit,
    /// The appliance is up.
    LaunchDone,
    /// A long call has got on. The first comes after about two seconds, then
    /// about three a second.
    Progress(Progress),
    /// The appliance's console.
    Appliance(&'a [u8]),
    /// A debugging message of the library (with `set_verbose`).
    Library(&'a [u8]),
    /// A call and its arguments (with `set_trace`). Keys are not shown.
    Trace(&'a [u8]),
    /// The name of a function that has been entered.
    Enter(&'a [u8]),
    /// A warning of the library.
    Warning(&'a [u8]),
}

/// How far a long call has got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// The number of the daemon's procedure.
    pub procedure: u64,
    /// Tells apart calls of one handle.
    pub serial: u64,
    /// From 0 to `total`, in a unit of the call's own, often bytes.
    pub position: u64,
    /// Where the call ends; 1 while only "it is alive" is known.
    pub total: u64,
}

/// A set of kinds of event.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct EventMask(u64);

impl EventMask {
    /// [`Event::Close`].
    pub const CLOSE: Self = Self(sys::GUESTFS_EVENT_CLOSE as u64);
    /// [`Event::SubprocessQuit`].
    pub const SUBPROCESS_QUIT: Self = Self(sys::GUESTFS_EVENT_SUBPROCESS_QUIT as u64);
    /// [`Event::LaunchDone`].
    pub const LAUNCH_DONE: Self = Self(sys::GUESTFS_EVENT_LAUNCH_DONE as u64);
    /// [`Event::Progress`].
    pub const PROGRESS: Self = Self(sys::GUESTFS_EVENT_PROGRESS as u64);
    /// [`Event::Appliance`]; it no longer goes to standard error then.
    pub const APPLIANCE: Self = Self(sys::GUESTFS_EVENT_APPLIANCE as u64);
    /// [`Event::Library`]; it no longer goes to standard error then.
    pub const LIBRARY: Self = Self(sys::GUESTFS_EVENT_LIBRARY as u64);
    /// [`Event::Trace`]; it no longer goes to standard error then.
    pub const TRACE: Self = Self(sys::GUESTFS_EVENT_TRACE as u64);
    /// [`Event::Enter`].
    pub const ENTER: Self = Self(sys::GUESTFS_EVENT_ENTER as u64);
    /// [`Event::Warning`]; it no longer goes to standard error then.
    pub const WARNING: Self = Self(sys::GUESTFS_EVENT_WARNING as u64);
}

impl BitOr for EventMask {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl fmt::Debug for EventMask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EventMask({:#x})", self.0)
    }
}

/// Names a callback, to remove it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventId(i32);

type Function = Box<dyn FnMut(&Event<'_>) + Send>;

/// What C is given as the opaque pointer.
pub(crate) struct Callback {
    function: RefCell<Function>,
    panic: Panic,
}

impl Handle {
    /// Has `function` called for the events in `mask`, while the call that they
    /// belong to runs, until it is removed or the handle is closed. It is
    /// called in the thread of that call; a launch has a thread of its own.
    ///
    /// It cannot call the handle ([`Error::Reentrant`]). When it panics, no
    /// callback is called for the rest of the C call, and the panic goes on in
    /// whoever made that call.
    ///
    /// The function lives as long as the handle, so it cannot borrow:
    ///
    /// ```compile_fail,E0597
    /// # use refit_guestfs::{EventMask, Handle};
    /// let handle = Handle::new().unwrap();
    /// {
    ///     let seen = std::sync::Mutex::new(0);
    ///     let seen = &seen;
    ///     handle.on_event(EventMask::PROGRESS, move |_| *seen.lock().unwrap() += 1);
    /// }
    /// ```
    ///
    /// It goes where the handle goes, so what it owns must be `Send`:
    ///
    /// ```compile_fail,E0277
    /// # use refit_guestfs::{EventMask, Handle};
    /// let handle = Handle::new().unwrap();
    /// let seen = std::rc::Rc::new(std::cell::Cell::new(0));
    /// handle.on_event(EventMask::PROGRESS, move |_| seen.set(seen.get() + 1));
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Call`] when libguestfs has no memory.
    pub fn on_event<F>(&self, mask: EventMask, function: F) -> Result<EventId>
    where
        F: FnMut(&Event<'_>) + Send + 'static,
    {
        let callback = Box::into_raw(Box::new(Callback {
            function: RefCell::new(Box::new(function)),
            panic: Arc::clone(&self.panic),
        }));
        // SAFETY: the pointer is what `dispatch` expects, and stays valid until
        // the callback is removed or the handle closed.
        let id = unsafe {
            self.call("set_event_callback")
                .integer("event handle", |g| {
                    sys::guestfs_set_event_callback(g, Some(dispatch), mask.0, 0, callback.cast())
                })
        };
        match id {
            Ok(id) => {
                self.callbacks.borrow_mut().insert(id, callback);
                Ok(EventId(id))
            }
            Err(error) => {
                // SAFETY: from Box::into_raw above; C has not taken it.
                drop(unsafe { Box::from_raw(callback) });
                Err(error)
            }
        }
    }

    /// Removes a callback. One of another handle, or one that was removed
    /// already, is left alone.
    ///
    /// # Errors
    ///
    /// [`Error::Reentrant`] from within a callback.
    pub fn remove_event(&self, id: EventId) -> Result<()> {
        if self.busy.get() {
            return Err(Error::Reentrant {
                call: "delete_event_callback",
            });
        }
        let Some(callback) = self.callbacks.borrow_mut().remove(&id.0) else {
            return Ok(());
        };
        // SAFETY: the handle is open, and the number is one that it gave out.
        unsafe { sys::guestfs_delete_event_callback(self.raw(), id.0) };
        // SAFETY: from Box::into_raw; C has forgotten it, and as no call runs,
        // it is not being called.
        drop(unsafe { Box::from_raw(callback) });
        Ok(())
    }
}

/// What C calls. Nothing may unwind out of it.
unsafe extern "C" fn dispatch(
    _handle: *mut sys::guestfs_h,
    opaque: *mut c_void,
    kind: u64,
    _id: c_int,
    _flags: c_int,
    text: *const c_char,
    text_length: usize,
    numbers: *const u64,
    numbers_length: usize,
) {
    // SAFETY: from `on_event`; it is freed only while no call runs.
    let callback = unsafe { &*opaque.cast::<Callback>() };
    let mut panic = callback
        .panic
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    if panic.is_some() {
        return;
    }
    // SAFETY: libguestfs gives a text of that length, or none.
    let text = unsafe { copy_buffer(text, text_length) };
    let numbers = if numbers.is_null() {
        &[]
    } else {
        // SAFETY: libguestfs gives an array of that length.
        unsafe { slice::from_raw_parts(numbers, numbers_length) }
    };
    let Some(event) = event(kind, &text, numbers) else {
        return;
    };
    let Ok(mut function) = callback.function.try_borrow_mut() else {
        return;
    };
    if let Err(payload) = catch_unwind(AssertUnwindSafe(|| function(&event))) {
        *panic = Some(payload);
    }
}

/// `None` for what a later libguestfs may add.
fn event<'a>(kind: u64, text: &'a [u8], numbers: &[u64]) -> Option<Event<'a>> {
    Some(match (EventMask(kind), numbers) {
        (EventMask::CLOSE, _) => Event::Close,
        (EventMask::SUBPROCESS_QUIT, _) => Event::SubprocessQuit,
        (EventMask::LAUNCH_DONE, _) => Event::LaunchDone,
        (EventMask::PROGRESS, &[procedure, serial, position, total, ..]) => {
            Event::Progress(Progress {
                procedure,
                serial,
                position,
                total,
            })
        }
        (EventMask::APPLIANCE, _) => Event::Appliance(text),
        (EventMask::LIBRARY, _) => Event::Library(text),
        (EventMask::TRACE, _) => Event::Trace(text),
        (EventMask::ENTER, _) => Event::Enter(text),
        (EventMask::WARNING, _) => Event::Warning(text),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn events_are_recognised_and_unknown_ones_ignored() {
        let progress = Progress {
            procedure: 1,
            serial: 2,
            position: 3,
            total: 4,
        };
        for (kind, numbers, expected) in [
            (0x1, &[][..], Some(Event::Close)),
            (0x8, &[1, 2, 3, 4], Some(Event::Progress(progress))),
            (0x8, &[1, 2], None),
            (0x10, &[], Some(Event::Appliance(b"text"))),
            (0x200, &[], Some(Event::Warning(b"text"))),
            (0x100, &[], None),
            (0x8000, &[], None),
            (0x3, &[], None),
        ] {
            assert_eq!(event(kind, b"text", numbers), expected, "{kind:#x}");
        }
        let both = EventMask::CLOSE | EventMask::PROGRESS;
        assert_eq!(format!("{both:?}"), "EventMask(0x9)");
    }

    #[test]
    fn traces_come_until_the_callback_is_removed() {
        let handle = Handle::new().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let into = Arc::clone(&seen);
        let id = handle
            .on_event(EventMask::TRACE, move |event| {
                let Event::Trace(text) = event else { return };
                into.lock()
                    .unwrap()
                    .push(String::from_utf8_lossy(text).into_owned());
            })
            .unwrap();
        handle.set_trace(true).unwrap();
        handle.set_memsize(800).unwrap();
        let before = seen.lock().unwrap().len();
        assert!(
            seen.lock()
                .unwrap()
                .iter()
                .any(|line| line.contains("set_memsize 800"))
        );
        handle.remove_event(id).unwrap();
        handle.remove_event(id).unwrap();
        handle.set_trace(false).unwrap();
        assert_eq!(seen.lock().unwrap().len(), before);
        assert_eq!(Arc::strong_count(&seen), 1, "a removed callback is freed");
    }

    #[test]
    fn close_events_come_on_close_and_on_drop() {
        static CLOSED: AtomicUsize = AtomicUsize::new(0);
        for expected in [1, 2] {
            let handle = Handle::new().unwrap();
            handle
                .on_event(EventMask::CLOSE, |event| {
                    assert_eq!(*event, Event::Close);
                    CLOSED.fetch_add(1, Ordering::Relaxed);
                })
                .unwrap();
            if expected == 1 {
                handle.close().unwrap()
            } else {
                drop(handle)
            }
            assert_eq!(CLOSED.load(Ordering::Relaxed), expected);
        }
    }

    #[test]
    fn a_panic_of_a_callback_goes_on_in_the_caller() {
        let handle = Handle::new().unwrap();
        let id = handle
            .on_event(EventMask::ENTER, |_| panic!("from a callback"))
            .unwrap();
        let payload = catch_unwind(AssertUnwindSafe(|| handle.get_memsize())).unwrap_err();
        assert_eq!(payload.downcast_ref::<&str>(), Some(&"from a callback"));
        handle.remove_event(id).unwrap();
        handle.get_memsize().unwrap();

        handle
            .on_event(EventMask::CLOSE, |_| panic!("on close"))
            .unwrap();
        let payload = catch_unwind(AssertUnwindSafe(|| handle.close())).unwrap_err();
        assert_eq!(payload.downcast_ref::<&str>(), Some(&"on close"));

        // A drop must not panic.
        let handle = Handle::new().unwrap();
        handle
            .on_event(EventMask::CLOSE, |_| panic!("on drop"))
            .unwrap();
        drop(handle);
    }

    #[test]
    fn a_callback_cannot_call_its_handle() {
        thread_local! {
            static HANDLE: std::cell::OnceCell<Handle> = const { std::cell::OnceCell::new() };
        }
        let refused = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&refused);
        HANDLE.with(|cell| {
            let handle = cell.get_or_init(|| Handle::new().unwrap());
            let id = handle
                .on_event(EventMask::ENTER, move |_| {
                    HANDLE.with(|cell| {
                        let inner = cell.get().unwrap();
                        assert!(matches!(inner.get_memsize(), Err(Error::Reentrant { .. })));
                        let again = inner.on_event(EventMask::CLOSE, |_| {});
                        assert!(matches!(again, Err(Error::Reentrant { .. })));
                        count.fetch_add(1, Ordering::Relaxed);
                    });
                })
                .unwrap();
            handle.get_memsize().unwrap();
            assert!(refused.load(Ordering::Relaxed) > 0);
            handle.remove_event(id).unwrap();
        });
    }
}
