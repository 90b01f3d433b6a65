//! A mutex that blocks the goroutine only.

#![expect(unsafe_code, reason = "implements lock_api's traits")]

use std::cell::Cell;
use std::sync::atomic::AtomicU32;
use std::time::{Duration, Instant};

use super::lot;
use super::mutex_state::{Begin, Found, MutexState, Pass, Unlock, Who};
use super::queue::{self, Entry, Outcome, Place, Queue, Waits};
use crate::sched::header::{G, Wait};
use crate::sys::clock::{self, NEVER};
use crate::wait::lock::Lock;

/// Mutual exclusion: std's, for goroutines and plain threads at once, and without poison.
///
/// A newcomer may overtake those who wait; one who has waited for more than 1 ms is next, as in Go.
/// A recursive lock waits for ever. Guards may be sent to other threads. Besides std's methods
/// there are those of [`lock_api::Mutex`], with time limits (`try_lock_for`, `try_lock_until`) and
/// mapped guards. The mutex has 4 bytes beside the value.
///
/// ```
/// use gopark::sync::Mutex;
/// static COUNT: Mutex<u32> = Mutex::new(0);
/// *COUNT.lock() += 1;
/// assert_eq!(*COUNT.lock(), 1);
/// ```
pub type Mutex<T> = lock_api::Mutex<RawMutex, T>;

/// A locked [`Mutex`]; unlocks when it is dropped.
pub type MutexGuard<'a, T> = lock_api::MutexGuard<'a, RawMutex, T>;

/// A part of a locked [`Mutex`]'s value.
pub type MappedMutexGuard<'a, T> = lock_api::MappedMutexGuard<'a, RawMutex, T>;

/// Who waits for longer is handed the mutex.
const STARVED_NANOS: u64 = 1_000_000;
/// Looks at a held mutex before a park, and pauses between two.
const SPINS_MAX: u32 = 4;
const SPIN_PAUSES: u32 = 30;

const TRY: u32 = 1;
const HANDED_OVER: u32 = 2;

/// The lock of a [`Mutex`], without a value.
#[derive(Debug)]
pub struct RawMutex {
    state: MutexState,
}

const _: () = assert!(size_of::<Mutex<u32>>() == 8, "a mutex is one word");

impl RawMutex {
    pub(crate) const fn new() -> RawMutex {
        RawMutex {
            state: MutexState::of(AtomicU32::new(0)),
        }
    }

    /// Locks, or gives up at `until`: whether it has the mutex.
    #[cold]
    pub(crate) fn lock_slow(&self, until: u64, why: Wait) -> bool {
        let attempt = Attempt {
            raw: self,
            who: Cell::new(Who::Newcomer),
            is_starved: Cell::new(false),
            why,
        };
        attempt.run(until)
    }

    #[inline]
    pub(crate) fn unlock_now(&self) {
        if self.state.unlock() == Unlock::PassOn {
            self.pass_on();
        }
    }

    #[cold]
    fn pass_on(&self) {
        let addr = lot::addr(self);
        let mut queue = lot::bucket(addr).lock();
        let next = queue.answer_first(
            |entry| entry.addr == addr,
            |more| match self.state.pass(if more {
                Found::OneOfSeveral
            } else {
                Found::Last
            }) {
                Pass::Try => TRY,
                Pass::HandOver => HANDED_OVER,
            },
        );
        if next.is_none() {
            // Nobody is told.
            let _ = self.state.pass(Found::Nobody);
        }
        drop(queue);
        if let Some(woken) = next {
            woken.go();
        }
    }

    fn give_up(&self) {
        // Whoever takes it wakes the next when it is unlocked.
        if self.state.give_up() && self.state.try_lock(Who::Newcomer) {
            self.unlock_now();
        }
    }
}

/// Somebody who wants the mutex.
struct Attempt<'a> {
    raw: &'a RawMutex,
    who: Cell<Who>,
    is_starved: Cell<bool>,
    why: Wait,
}

impl Attempt<'_> {
    fn run(&self, until: u64) -> bool {
        let addr = lot::addr(self.raw);
        let state = &self.raw.state;
        let mut since = 0;
        let mut spins = 0;
        loop {
            if state.try_lock(self.who.get()) {
                self.who.set(Who::Newcomer);
                return true;
            }
            if spins < SPINS_MAX && state.is_worth_spinning() && may_spin() {
                spins += 1;
                (0..SPIN_PAUSES).for_each(|_| std::hint::spin_loop());
                continue;
            }
            let now = clock::now();
            if now >= until {
                return false;
            }
            if since == 0 {
                since = now;
            }
            let waited = now - since;
            self.is_starved.set(waited > STARVED_NANOS);
            match queue::wait(self, Entry::new(addr, 0), until) {
                Outcome::Answered(HANDED_OVER) => {
                    if clock::now() - since <= STARVED_NANOS {
                        state.sate();
                    }
                    return true;
                }
                Outcome::Answered(_) => {
                    self.who.set(Who::Woken);
                    spins = 0;
                }
                Outcome::NotBegun => {}
                Outcome::TimedOut => return false,
            }
        }
    }
}

impl Waits for Attempt<'_> {
    type Synced = Queue;

    fn lock(&self) -> &Lock<Queue> {
        lot::bucket(lot::addr(self.raw))
    }

    fn why(&self) -> Wait {
        self.why
    }

    fn begin(&self, _: &mut Queue, _: &Entry) -> Place {
        let who = self.who.get();
        match self.raw.state.begin_wait(who, self.is_starved.get()) {
            Begin::TryAgain => Place::Nowhere,
            Begin::Queue => {
                self.who.set(Who::Newcomer);
                match who {
                    Who::Newcomer => Place::Back,
                    Who::Woken => Place::Front,
                }
            }
        }
    }

    fn pass_on(&self, answer: u32) {
        match answer {
            HANDED_OVER => self.raw.unlock_now(),
            _ => self.raw.give_up(),
        }
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        if self.who.get() == Who::Woken {
            self.raw.give_up();
        }
    }
}

/// Whether the holder may run at the same time.
fn may_spin() -> bool {
    G::current().is_none_or(|g| g.machine().shared().procs.limit() > 1)
}

// SAFETY: `LOCKED` is set by one caller at a time, and cleared or handed over by the holder.
unsafe impl lock_api::RawMutex for RawMutex {
    const INIT: RawMutex = RawMutex::new();

    type GuardMarker = lock_api::GuardSend;

    #[inline]
    fn lock(&self) {
        if !self.state.lock() {
            self.lock_slow(NEVER, Wait::Mutex);
        }
    }

    #[inline]
    fn try_lock(&self) -> bool {
        self.state.try_lock(Who::Newcomer)
    }

    #[inline]
    unsafe fn unlock(&self) {
        self.unlock_now();
    }

    fn is_locked(&self) -> bool {
        self.state.is_locked()
    }
}

// SAFETY: as for RawMutex; true is told to who has it.
unsafe impl lock_api::RawMutexTimed for RawMutex {
    type Duration = Duration;
    type Instant = Instant;

    fn try_lock_for(&self, timeout: Duration) -> bool {
        self.state.lock() || self.lock_slow(clock::after(timeout), Wait::Mutex)
    }

    fn try_lock_until(&self, timeout: Instant) -> bool {
        self.state.lock() || self.lock_slow(clock::of(timeout), Wait::Mutex)
    }
}
