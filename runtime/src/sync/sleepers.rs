//! Those who wait at a condition variable.
//!
//! | who wants what                        | steps                                                   |
//! |---------------------------------------|---------------------------------------------------------|
//! | a waiter, with the guard of a mutex   | gets a number and goes into the queue, under the lock; then unlocks the mutex; then parks |
//! | a wake of one                         | answers the oldest, under the lock                      |
//! | a wake of all                         | answers those with a number below the next one, in several turns of the lock |
//! | a waiter whose time is over           | takes its node out, under the lock; or finds that it was answered: then it was woken |
//! | a waiter that is asked to unwind, but was answered | was woken; if it unwinds before it has the mutex, it wakes another in its place |
//!
//! Modelled in `tests/loom_condvar.rs`, with seeded bugs: `unlocking_before_queueing`,
//! `a_wake_that_dies_with_a_deadline`.

use std::cell::Cell;

use super::queue::{self, Entry, HasQueue, Outcome, Place, Queue, Waits};
use crate::shim::{AtomicUsize, Ordering};
use crate::task::reason::Wait;
use crate::wait::lock::Lock;

/// See the top of this file.
pub(super) struct Sleepers {
    synced: Lock<Synced>,
    /// The length of the queue, for those who come to wake.
    waiting: AtomicUsize,
}

/// What the lock protects.
pub(super) struct Synced {
    queue: Queue,
    /// The number of the next waiter.
    next: u64,
}

impl HasQueue for Synced {
    fn queue(&mut self) -> &mut Queue {
        &mut self.queue
    }
}

impl Synced {
    pub(super) const fn new() -> Synced {
        Synced {
            queue: Queue::new(),
            next: 0,
        }
    }
}

const WOKEN: u32 = 1;

impl Sleepers {
    /// Of a new lock and 0: in the model checker they are no constants.
    pub(super) const fn of(synced: Lock<Synced>, waiting: AtomicUsize) -> Sleepers {
        Sleepers { synced, waiting }
    }

    /// Waits until it is woken, or until `until`; drops the guard once it is in the queue.
    pub(super) fn wait<G>(&self, guard: G, until: u64) -> Outcome {
        let waiting = Waiting {
            sleepers: self,
            guard: Cell::new(Some(guard)),
        };
        queue::wait(&waiting, Entry::new(0, 0), until)
    }

    /// Wakes the one who has waited longest.
    pub(super) fn wake_one(&self) {
        if !self.has_waiters() {
            return;
        }
        let mut synced = self.synced.lock();
        let woken = synced.queue.answer_first(|_| true, |_| WOKEN);
        self.note(&synced);
        drop(synced);
        if let Some(woken) = woken {
            woken.go();
        }
    }

    /// Wakes all who wait now.
    pub(super) fn wake_all(&self) {
        if !self.has_waiters() {
            return;
        }
        let mut end = None;
        queue::wake_all(&self.synced, |synced| {
            let end = *end.get_or_insert(synced.next);
            let is_meant = |entry: &Entry| entry.asks.get() < end;
            let woken = synced.queue.answer_first(is_meant, |_| WOKEN);
            self.note(synced);
            woken
        });
    }

    fn has_waiters(&self) -> bool {
        // Relaxed: a wake that must reach a waiter follows a change under the mutex, which the
        // waiter unlocked after it had been counted.
        self.waiting.load(Ordering::Relaxed) != 0
    }

    fn note(&self, synced: &Synced) {
        self.waiting.store(synced.queue.len(), Ordering::Relaxed);
    }
}

/// One who waits, with the guard until it is in the queue.
struct Waiting<'a, G> {
    sleepers: &'a Sleepers,
    guard: Cell<Option<G>>,
}

impl<G> Waits for Waiting<'_, G> {
    type Synced = Synced;

    fn lock(&self) -> &Lock<Synced> {
        &self.sleepers.synced
    }

    fn why(&self) -> Wait {
        Wait::Condvar
    }

    fn begin(&self, synced: &mut Synced, entry: &Entry) -> Place {
        entry.asks.set(synced.next);
        synced.next += 1;
        let waiting = synced.queue.len() + 1;
        self.sleepers.waiting.store(waiting, Ordering::Relaxed);
        Place::Back
    }

    fn begun(&self) {
        drop(self.guard.take());
    }

    fn removed(&self, synced: &mut Synced, _: &Entry) -> u32 {
        self.sleepers.note(synced);
        0
    }

    fn pass_on(&self, _: u32) {
        self.sleepers.wake_one();
    }
}

#[cfg(all(test, gopark_loom))]
#[path = "tests/loom_condvar.rs"]
mod loom_condvar;
