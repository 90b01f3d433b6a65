//! Models of the mutex: one holder at a time, and nobody waits for a mutex that is free.

use std::collections::VecDeque;

use loom::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use loom::sync::{Arc, Mutex};
use loom::thread;

use super::{Begin, Found, MutexState, Pass, Unlock, Who};

/// The transitions that a model may replace by a seeded bug.
#[derive(Clone, Copy)]
struct Steps {
    begin_wait: fn(&MutexState, Who, bool) -> Begin,
    pass: fn(&MutexState, Found) -> Pass,
    give_up: fn(&MutexState) -> bool,
}

const REAL: Steps = Steps {
    begin_wait: MutexState::begin_wait,
    pass: MutexState::pass,
    give_up: MutexState::give_up,
};

/// Nobody blocks here: who must wait is in the queue, and whoever wakes it goes on in its place.
struct Fake {
    steps: Steps,
    state: MutexState,
    queue: Mutex<VecDeque<usize>>,
    is_held: AtomicBool,
}

/// One that gives up when it was woken, but not handed the mutex.
const IMPATIENT: usize = 9;

impl Fake {
    fn new(steps: Steps) -> Arc<Fake> {
        Arc::new(Fake {
            steps,
            state: MutexState::of(AtomicU32::new(0)),
            queue: Mutex::new(VecDeque::new()),
            is_held: AtomicBool::new(false),
        })
    }

    fn enter(&self) {
        let was_held = self.is_held.swap(true, Ordering::Relaxed);
        assert!(!was_held, "two hold the mutex");
    }

    /// Whether it has the mutex; if not, it is in the queue.
    fn lock(&self, me: usize, who: Who, is_starved: bool) -> bool {
        while !self.state.try_lock(who) {
            let mut queue = self.queue.lock().unwrap();
            match (self.steps.begin_wait)(&self.state, who, is_starved) {
                Begin::TryAgain => {}
                Begin::Queue if who == Who::Woken => {
                    queue.push_front(me);
                    return false;
                }
                Begin::Queue => {
                    queue.push_back(me);
                    return false;
                }
            }
        }
        self.enter();
        true
    }

    /// Unlocks; returns whom it woke, and how.
    fn unlock(&self) -> Option<(usize, Pass)> {
        self.is_held.store(false, Ordering::Relaxed);
        if self.state.unlock() == Unlock::Done {
            return None;
        }
        let mut queue = self.queue.lock().unwrap();
        let Some(next) = queue.pop_front() else {
            let _ = (self.steps.pass)(&self.state, Found::Nobody);
            return None;
        };
        let found = if queue.is_empty() {
            Found::Last
        } else {
            Found::OneOfSeveral
        };
        Some((next, (self.steps.pass)(&self.state, found)))
    }

    /// Unlocks, and does what those do who are woken by that, one after the other.
    fn unlock_and_go_on(&self) {
        while let Some((next, pass)) = self.unlock() {
            match pass {
                Pass::HandOver => self.enter(),
                Pass::Try if next == IMPATIENT => {
                    let look = (self.steps.give_up)(&self.state);
                    if !look || !self.state.try_lock(Who::Newcomer) {
                        return;
                    }
                    self.enter();
                }
                Pass::Try if !self.lock(next, Who::Woken, true) => return,
                Pass::Try => {}
            }
        }
    }

    fn critical(&self, me: usize, is_starved: bool) {
        if self.lock(me, Who::Newcomer, is_starved) {
            self.unlock_and_go_on();
        }
    }

    fn check_end(&self) {
        assert!(!self.state.is_locked(), "it is left locked");
        let queue = self.queue.lock().unwrap();
        assert!(queue.is_empty(), "somebody waits for a free mutex");
    }
}

/// Goal: nobody queues for a mutex that is free.
fn lock_against_unlock(steps: Steps) {
    loom::model(move || {
        let fake = Fake::new(steps);
        let other = Arc::clone(&fake);
        let locks = thread::spawn(move || other.critical(1, false));
        fake.critical(0, false);
        fake.critical(0, false);
        locks.join().unwrap();
        fake.check_end();
    });
}

#[test]
fn loom_lock_against_unlock() {
    lock_against_unlock(REAL);
}

#[test]
#[should_panic(expected = "for a free mutex")]
fn loom_seeded_bug_wait_on_a_stale_look_is_found() {
    let begin_wait = MutexState::begin_wait_seeded;
    lock_against_unlock(Steps { begin_wait, ..REAL });
}

/// A waiter starves; two newcomers come when the mutex is handed over.
fn starvation_hand_off(steps: Steps) {
    loom::model(move || {
        let fake = Fake::new(steps);
        assert!(fake.lock(0, Who::Newcomer, false));
        assert!(!fake.lock(1, Who::Newcomer, true));
        let others = [2, 3].map(|me| {
            let fake = Arc::clone(&fake);
            thread::spawn(move || fake.critical(me, false))
        });
        fake.unlock_and_go_on();
        for other in others {
            other.join().unwrap();
        }
        fake.check_end();
    });
}

#[test]
fn loom_starvation_hand_off() {
    starvation_hand_off(REAL);
}

#[test]
#[should_panic(expected = "two hold")]
fn loom_seeded_bug_hand_off_of_a_free_mutex_is_found() {
    let pass = MutexState::pass_seeded;
    starvation_hand_off(Steps { pass, ..REAL });
}

/// One who was woken gives up while a newcomer comes and goes; another waits behind it.
fn giving_up_when_woken(steps: Steps) {
    loom::model(move || {
        let fake = Fake::new(steps);
        assert!(fake.lock(0, Who::Newcomer, false));
        assert!(!fake.lock(IMPATIENT, Who::Newcomer, false));
        assert!(!fake.lock(1, Who::Newcomer, false));
        let other = Arc::clone(&fake);
        let comes = thread::spawn(move || other.critical(2, false));
        fake.unlock_and_go_on();
        comes.join().unwrap();
        fake.check_end();
    });
}

#[test]
fn loom_giving_up_when_woken() {
    giving_up_when_woken(REAL);
}

#[test]
#[should_panic(expected = "for a free mutex")]
fn loom_seeded_bug_giving_up_without_a_look_is_found() {
    let give_up = MutexState::give_up_seeded;
    giving_up_when_woken(Steps { give_up, ..REAL });
}
