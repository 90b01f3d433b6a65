//! Models of condition variables: a wake is not lost, also when its waiter's time is over.

use std::cell::Cell;
use std::sync::Arc;

use loom::sync::{Mutex, MutexGuard};
use loom::thread;

use super::{Entry, Lock, Outcome, Place, Sleepers, Synced, WOKEN, Wait, Waiting, Waits};
use crate::shim::AtomicUsize;
use crate::sync::queue;
use crate::sys::clock::NEVER;
use crate::wait::parker::SOON;

/// A number of wakes that are for somebody, and where one waits for them.
struct Shared {
    mutex: Mutex<u32>,
    sleepers: Sleepers,
}

type Sleep = fn(&Sleepers, MutexGuard<'_, u32>, u64) -> Outcome;

fn shared() -> Arc<Shared> {
    Arc::new(Shared {
        mutex: Mutex::new(0),
        sleepers: Sleepers::of(Lock::new(Synced::new()), AtomicUsize::new(0)),
    })
}

impl Shared {
    /// Waits for a wake and takes it; false if time is over first.
    fn take(&self, until: u64, sleep: Sleep) -> bool {
        let mut ready = self.mutex.lock().unwrap();
        while *ready == 0 {
            let outcome = sleep(&self.sleepers, ready, until);
            ready = self.mutex.lock().unwrap();
            if outcome == Outcome::TimedOut {
                return false;
            }
        }
        *ready -= 1;
        true
    }

    fn give(&self) {
        *self.mutex.lock().unwrap() += 1;
        self.sleepers.wake_one();
    }
}

fn sleep(sleepers: &Sleepers, guard: MutexGuard<'_, u32>, until: u64) -> Outcome {
    sleepers.wait(guard, until)
}

/// A wait that unlocks the mutex before it is in the queue.
fn sleep_unlocking_first(sleepers: &Sleepers, guard: MutexGuard<'_, u32>, until: u64) -> Outcome {
    drop(guard);
    sleepers.wait((), until)
}

/// A wait that believes its clock: one that was woken at the last moment says that it was not.
struct Clockwise<'a>(Waiting<'a, MutexGuard<'a, u32>>);

impl Waits for Clockwise<'_> {
    type Synced = Synced;

    fn lock(&self) -> &Lock<Synced> {
        self.0.lock()
    }

    fn why(&self) -> Wait {
        self.0.why()
    }

    fn begin(&self, synced: &mut Synced, entry: &Entry) -> Place {
        self.0.begin(synced, entry)
    }

    fn begun(&self) {
        self.0.begun();
    }

    fn removed(&self, synced: &mut Synced, entry: &Entry) -> u32 {
        self.0.removed(synced, entry)
    }

    fn pass_on(&self, _: u32) {}
}

fn sleep_believing_the_clock(
    sleepers: &Sleepers,
    guard: MutexGuard<'_, u32>,
    until: u64,
) -> Outcome {
    let waiting = Clockwise(Waiting {
        sleepers,
        guard: Cell::new(Some(guard)),
    });
    match queue::wait(&waiting, Entry::new(0, 0), until) {
        Outcome::Answered(WOKEN) if until != NEVER => Outcome::TimedOut,
        outcome => outcome,
    }
}

/// Goal: a wake after a change under the mutex reaches the one who waits for the change.
fn one(sleep: Sleep) {
    loom::model(move || {
        let shared = shared();
        let waiter = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || shared.take(NEVER, sleep))
        };
        shared.give();
        assert!(waiter.join().unwrap());
    });
}

#[test]
fn loom_condvar_wake_against_wait() {
    one(sleep);
}

#[test]
#[should_panic]
fn loom_seeded_bug_unlocking_before_queueing_is_found() {
    one(sleep_unlocking_first);
}

/// Goal: one wake, for one whose time is over and one who waits on: one of them has it.
fn deadline(sleep: Sleep) {
    loom::model(move || {
        let shared = shared();
        let patient = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || shared.take(NEVER, sleep))
        };
        let giver = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || shared.give())
        };
        if shared.take(SOON, sleep) {
            // The other one needs a wake of his own.
            shared.give();
        }
        assert!(patient.join().unwrap());
        giver.join().unwrap();
    });
}

#[test]
fn loom_condvar_wake_against_deadline() {
    deadline(sleep);
}

#[test]
#[should_panic]
fn loom_seeded_bug_a_wake_that_dies_with_a_deadline_is_found() {
    deadline(sleep_believing_the_clock);
}

/// Goal: all who waited are woken.
#[test]
fn loom_condvar_wakes_all() {
    loom::model(|| {
        let shared = shared();
        let waiters = [0, 1].map(|_| {
            let shared = Arc::clone(&shared);
            thread::spawn(move || shared.take(NEVER, sleep))
        });
        *shared.mutex.lock().unwrap() += 2;
        shared.sleepers.wake_all();
        assert!(waiters.map(|waiter| waiter.join().unwrap()) == [true, true]);
    });
}
