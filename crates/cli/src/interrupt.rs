//! Ctrl-C and its kin: stop cleanly, or not at all.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

type Action = Box<dyn FnMut() + Send>;

/// Knows whether the user wants to stop, and what has to be told so.
#[derive(Clone)]
pub struct Interrupt {
    state: Arc<State>,
}

struct State {
    raised: Arc<AtomicBool>,
    asked: AtomicBool,
    shielded: AtomicBool,
    actions: Mutex<Vec<Action>>,
}

impl Interrupt {
    /// Takes over SIGINT, SIGTERM and SIGHUP.
    pub fn install() -> std::io::Result<Self> {
        let state = Arc::new(State {
            raised: Arc::default(),
            asked: AtomicBool::new(false),
            shielded: AtomicBool::new(false),
            actions: Mutex::default(),
        });
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
                    shared.raised.store(true, Ordering::SeqCst);
                    for action in shared
                        .actions
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .iter_mut()
                    {
                        action();
                    }
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
        if self.is_raised() {
            action();
        }
        self.state
            .actions
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(Box::new(action));
    }

    /// From now on the user's wish is not followed: stopping would help nobody.
    pub fn shield(&self) {
        self.state.shielded.store(true, Ordering::SeqCst);
    }
}
