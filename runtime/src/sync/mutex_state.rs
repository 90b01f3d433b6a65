//! The word of a mutex.
//!
//! ```text
//!   31        4      3         2        1        0
//!  +-----------+----------+-------+---------+--------+
//!  |     0     | STARVING | WOKEN | WAITERS | LOCKED |
//!  +-----------+----------+-------+---------+--------+
//! ```
//!
//! | bit        | meaning                                                                       |
//! |------------|-------------------------------------------------------------------------------|
//! | `LOCKED`   | somebody holds the mutex                                                      |
//! | `WAITERS`  | there may be somebody in the queue; never clear when there is                 |
//! | `WOKEN`    | a waiter was woken and is about to try: an unlock need not wake another        |
//! | `STARVING` | somebody has waited too long: an unlock hands the mutex to the oldest waiter   |
//!
//! Whoever comes to a free mutex may take it, before those who were woken for it: that saves a
//! switch for each critical section. The price is that a waiter may come too late again and again.
//! It then goes to the front of the queue, and after 1 ms it sets `STARVING`. From then on the
//! mutex is never free until the queue is empty or its oldest has not waited for long: a newcomer
//! queues. This is Go's rule.
//!
//! # Invariants
//!
//! 1. `STARVING` implies `LOCKED`, and not `WOKEN`.
//! 2. `WAITERS`, `WOKEN` and `STARVING` are set under the lock of the queue.
//! 3. `WOKEN` belongs to one waiter, who clears it: by taking the mutex, by queuing again, or by
//!    giving up; then it sees to it that another is woken, if the mutex is free.
//!
//! # Memory ordering
//!
//! Taking is Acquire, freeing is Release. A mutex that is handed over goes through the queue's
//! lock. The rest is Relaxed: it is decided on this one word.
//!
//! Modelled in `tests/loom_mutex.rs`, each with a seeded bug: `lock_against_unlock`,
//! `starvation_hand_off`, `giving_up_when_woken`.

use crate::shim::{AtomicU32, Ordering};

const LOCKED: u32 = 1;
const WAITERS: u32 = 1 << 1;
const WOKEN: u32 = 1 << 2;
const STARVING: u32 = 1 << 3;

/// Who tries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Who {
    Newcomer,
    /// Was woken: `WOKEN` is its.
    Woken,
}

impl Who {
    fn mark(self) -> u32 {
        match self {
            Who::Newcomer => 0,
            Who::Woken => WOKEN,
        }
    }
}

/// Whether to wait.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Begin {
    /// Queue: an unlock will see it.
    Queue,
    /// The mutex is free.
    TryAgain,
}

/// What the holder must do who unlocks.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unlock {
    /// Nothing: it is unlocked.
    Done,
    /// Look into the queue, and `pass` the mutex on.
    PassOn,
}

/// Whom the holder found in the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    Nobody,
    /// One, and no other.
    Last,
    OneOfSeveral,
}

/// What the one who was found is told.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pass {
    /// The mutex is free: try.
    Try,
    /// The mutex is yours.
    HandOver,
}

/// See the top of this file.
#[derive(Debug)]
pub(crate) struct MutexState(AtomicU32);

impl MutexState {
    /// From a word that is 0.
    pub(crate) const fn of(word: AtomicU32) -> MutexState {
        MutexState(word)
    }

    /// Takes the mutex if it is free and nobody waits.
    #[inline]
    pub(crate) fn lock(&self) -> bool {
        // Acquire: pairs with the Release of the last unlock.
        self.0
            .compare_exchange_weak(0, LOCKED, Ordering::Acquire, Ordering::Relaxed)
            .is_ok()
    }

    /// Takes the mutex if it is free.
    #[inline]
    pub(crate) fn try_lock(&self, who: Who) -> bool {
        let step = |word: u32| (word & LOCKED == 0).then_some((word | LOCKED) & !who.mark());
        // Acquire: pairs with the Release of the last unlock.
        self.0
            .fetch_update(Ordering::Acquire, Ordering::Relaxed, step)
            .is_ok()
    }

    pub(crate) fn is_locked(&self) -> bool {
        self.0.load(Ordering::Relaxed) & LOCKED != 0
    }

    /// Whether it may soon be free for a newcomer.
    pub(crate) fn is_worth_spinning(&self) -> bool {
        self.0.load(Ordering::Relaxed) & (LOCKED | STARVING) == LOCKED
    }

    /// Decides under the queue's lock whether to queue. `is_starved`: it has waited too long.
    pub(crate) fn begin_wait(&self, who: Who, is_starved: bool) -> Begin {
        let starving = if is_starved { STARVING } else { 0 };
        let step = |word: u32| {
            let is_locked = word & LOCKED != 0;
            is_locked.then_some((word & !who.mark()) | WAITERS | starving)
        };
        match self
            .0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, step)
        {
            Ok(_) => Begin::Queue,
            Err(_) => Begin::TryAgain,
        }
    }

    /// Frees the mutex, unless somebody must be told.
    #[inline]
    pub(crate) fn unlock(&self) -> Unlock {
        // Release: pairs with the Acquire of the next lock.
        let step = self
            .0
            .compare_exchange(LOCKED, 0, Ordering::Release, Ordering::Relaxed);
        match step {
            Ok(_) => Unlock::Done,
            Err(_) => self.unlock_slow(),
        }
    }

    #[cold]
    fn unlock_slow(&self) -> Unlock {
        let step = |word: u32| {
            debug_assert!(word & LOCKED != 0, "an unlock of a mutex that is free");
            let is_somebody_awake = word & (STARVING | WOKEN) == WOKEN;
            (word & WAITERS == 0 || is_somebody_awake).then_some(word & !(LOCKED | STARVING))
        };
        // Release: as in `unlock`.
        match self
            .0
            .fetch_update(Ordering::Release, Ordering::Relaxed, step)
        {
            Ok(_) => Unlock::Done,
            Err(_) => Unlock::PassOn,
        }
    }

    /// The holder, under the queue's lock, gives the mutex to whom it found, or to anybody.
    pub(crate) fn pass(&self, found: Found) -> Pass {
        let waiters = match found {
            Found::OneOfSeveral => WAITERS,
            Found::Nobody | Found::Last => 0,
        };
        let step = |word: u32| {
            let rest = word & !(LOCKED | WAITERS | STARVING) | waiters;
            Some(match found {
                Found::Nobody => rest,
                _ if word & STARVING == 0 => rest | WOKEN,
                Found::Last => rest | LOCKED,
                Found::OneOfSeveral => rest | LOCKED | STARVING,
            })
        };
        // Release: as in `unlock`.
        let before = self
            .0
            .fetch_update(Ordering::Release, Ordering::Relaxed, step);
        match before.unwrap_or_default() & STARVING {
            0 => Pass::Try,
            _ => Pass::HandOver,
        }
    }

    /// The holder, to whom the mutex was handed over, has not waited for long: the others are no
    /// longer starving.
    pub(crate) fn sate(&self) {
        self.0.fetch_and(!STARVING, Ordering::Relaxed);
    }

    /// One who was woken gives up. Whether the mutex is free, and somebody may have to be woken.
    #[must_use]
    pub(crate) fn give_up(&self) -> bool {
        let before = self.0.fetch_and(!WOKEN, Ordering::Relaxed);
        before & (LOCKED | WAITERS) == WAITERS
    }

    /// `pass` that frees a mutex which it says it has handed over: the bug that the model must
    /// find.
    #[cfg(all(test, gopark_loom))]
    pub(crate) fn pass_seeded(&self, found: Found) -> Pass {
        let pass = self.pass(found);
        if pass == Pass::HandOver {
            // Release as in `unlock`: the step is what is wrong.
            self.0.fetch_and(!LOCKED, Ordering::Release);
        }
        pass
    }

    /// `begin_wait` on a stale look: the bug that the model must find.
    #[cfg(all(test, gopark_loom))]
    pub(crate) fn begin_wait_seeded(&self, who: Who, _: bool) -> Begin {
        let word = self.0.load(Ordering::Relaxed);
        if word & LOCKED == 0 {
            return Begin::TryAgain;
        }
        self.0.fetch_or(WAITERS, Ordering::Relaxed);
        self.0.fetch_and(!who.mark(), Ordering::Relaxed);
        Begin::Queue
    }

    /// `give_up` that does not look whether the mutex is free: the bug that the model must find.
    #[cfg(all(test, gopark_loom))]
    pub(crate) fn give_up_seeded(&self) -> bool {
        self.0.fetch_and(!WOKEN, Ordering::Relaxed);
        false
    }
}

#[cfg(all(test, gopark_loom))]
#[path = "tests/loom_mutex.rs"]
mod loom_mutex;
