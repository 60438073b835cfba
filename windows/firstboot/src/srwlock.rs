//! Locks of the standard library for Windows before Vista, which has no slim reader/writer locks.
//!
//! One word says all: nobody, how many readers, or a writer. Who must wait asks again after `wait`: this
//! program has next to no contention, so a queue would be more than it needs.

use std::sync::atomic::{AtomicUsize, Ordering};

const FREE: usize = 0;
const WRITER: usize = usize::MAX;

/// Takes the lock as its only user, if nobody has it.
pub fn try_exclusive(lock: &AtomicUsize) -> bool {
    lock.compare_exchange(FREE, WRITER, Ordering::Acquire, Ordering::Relaxed)
        .is_ok()
}

/// Takes the lock as its only user.
pub fn exclusive(lock: &AtomicUsize, wait: impl Fn()) {
    while !try_exclusive(lock) {
        wait();
    }
}

/// Takes the lock as one of several readers, if no writer has it.
pub fn try_shared(lock: &AtomicUsize) -> bool {
    // One less than the writer's mark is the largest number of readers.
    let next = |readers: usize| readers.checked_add(1).filter(|next| *next != WRITER);
    lock.fetch_update(Ordering::Acquire, Ordering::Relaxed, next)
        .is_ok()
}

/// Takes the lock as one of several readers.
pub fn shared(lock: &AtomicUsize, wait: impl Fn()) {
    while !try_shared(lock) {
        wait();
    }
}

/// Gives back what [`exclusive`] took.
pub fn release_exclusive(lock: &AtomicUsize) {
    lock.store(FREE, Ordering::Release);
}

/// Gives back what [`shared`] took.
pub fn release_shared(lock: &AtomicUsize) {
    lock.fetch_sub(1, Ordering::Release);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::thread;

    #[test]
    fn readers_and_writers_exclude_each_other() {
        let lock = AtomicUsize::new(0);
        assert!(try_shared(&lock) && try_shared(&lock));
        assert!(!try_exclusive(&lock));
        release_shared(&lock);
        assert!(!try_exclusive(&lock));
        release_shared(&lock);
        assert!(try_exclusive(&lock));
        assert!(!try_shared(&lock) && !try_exclusive(&lock));
        release_exclusive(&lock);
        assert!(try_shared(&lock));
        let full = AtomicUsize::new(WRITER - 1);
        assert!(!try_shared(&full), "a reader never looks like a writer");
    }

    #[test]
    fn no_update_is_lost() {
        let lock = Arc::new((AtomicUsize::new(0), AtomicUsize::new(0)));
        let work = |lock: Arc<(AtomicUsize, AtomicUsize)>| {
            for _ in 0..1000 {
                exclusive(&lock.0, thread::yield_now);
                // Two steps on purpose: only the lock makes them one.
                let value = lock.1.load(Ordering::Relaxed);
                thread::yield_now();
                lock.1.store(value + 1, Ordering::Relaxed);
                release_exclusive(&lock.0);
                shared(&lock.0, thread::yield_now);
                release_shared(&lock.0);
            }
        };
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let lock = Arc::clone(&lock);
                thread::spawn(move || work(lock))
            })
            .collect();
        for thread in threads {
            thread.join().unwrap();
        }
        assert_eq!(lock.1.load(Ordering::Relaxed), 4000);
    }
}
