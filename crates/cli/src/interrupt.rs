//! Ctrl-C and its kin: stop cleanly, or not at all.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

type Action = Box<dyn FnMut() + Send>;

/// Knows whether the user wants to stop, and what has to be told so.
#[derive(Clone)]
pub struct Interrupt {
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    raised: AtomicBool,
    asked: AtomicBool,
    shielded: AtomicBool,
    actions: Mutex<Vec<Action>>,
}

impl State {
    fn actions(&self) -> MutexGuard<'_, Vec<Action>> {
        self.actions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells everybody that the user wants to stop.
    fn raise(&self) {
        self.raised.store(true, Ordering::SeqCst);
        for action in self.actions().iter_mut() {
            action();
        }
    }
}

impl Interrupt {
    /// Takes over SIGINT, SIGTERM and SIGHUP.
    pub fn install() -> std::io::Result<Self> {
        let state = Arc::<State>::default();
        let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP])?;
        let shared = Arc::clone(&state);
        std::thread::Builder::new()
            .name("signals".to_owned())
            .spawn(move || {
                for _ in signals.forever() {
                    shared.asked.store(true, Ordering::SeqCst);
                    if shared.shielded.load(Ordering::SeqCst) {
                        crate::progress::eprint_line(
                            "the disks are being committed; this takes a moment and ends by itself",
                        );
                        continue;
                    }
                    shared.raise();
                }
            })?;
        Ok(Self { state })
    }

    /// Whether the user wants to stop.
    pub fn is_raised(&self) -> bool {
        self.state.raised.load(Ordering::SeqCst)
    }

    /// Whether the user has asked to stop, be it when that could not be followed.
    pub fn was_asked(&self) -> bool {
        self.state.asked.load(Ordering::SeqCst)
    }

    /// The same, for loops in libraries.
    pub fn flag(&self) -> &AtomicBool {
        &self.state.raised
    }

    /// Calls `action` when the user wants to stop, at once if that is already so.
    pub fn on_raise(&self, mut action: impl FnMut() + Send + 'static) {
        // Asked before the lock is held, a signal in between would find the action nowhere.
        let mut actions = self.state.actions();
        if self.is_raised() {
            action();
        }
        actions.push(Box::new(action));
    }

    /// From now on the user's wish is not followed: stopping would help nobody.
    pub fn shield(&self) {
        self.state.shielded.store(true, Ordering::SeqCst);
    }

    /// It is followed again.
    pub fn lift_shield(&self) {
        self.state.shielded.store(false, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn no_signal_passes_an_action_that_is_being_added() {
        let interrupt = Interrupt {
            state: Arc::default(),
        };
        let called = Arc::new(AtomicBool::new(false));
        // As the signals' thread does it, but with time for the other in between.
        let actions = interrupt.state.actions();
        let adding = {
            let (interrupt, called) = (interrupt.clone(), Arc::clone(&called));
            std::thread::spawn(move || {
                interrupt.on_raise(move || called.store(true, Ordering::SeqCst));
            })
        };
        std::thread::sleep(Duration::from_millis(100));
        interrupt.state.raised.store(true, Ordering::SeqCst);
        drop(actions);
        adding.join().unwrap();
        assert!(called.load(Ordering::SeqCst));
    }

    #[test]
    fn every_action_is_called_once_it_is_raised() {
        let interrupt = Interrupt {
            state: Arc::default(),
        };
        let calls = Arc::new(Mutex::new(Vec::new()));
        let action = |name| {
            let calls = Arc::clone(&calls);
            move || calls.lock().unwrap().push(name)
        };
        interrupt.on_raise(action("before"));
        assert!(calls.lock().unwrap().is_empty());
        interrupt.state.raise();
        interrupt.on_raise(action("after"));
        assert_eq!(*calls.lock().unwrap(), ["before", "after"]);
    }
}
