//! The word of a wait group.
//!
//! ```text
//!   63         32   31        1      0
//!  +-------------+-------------+---------+
//!  |    round    |    count    | WAITERS |
//!  +-------------+-------------+---------+
//! ```
//!
//! When the count comes to 0 a round ends, in the same step, and those who waited in it are woken.
//! The group may be used again at once, also before they have run: a waiter notes its round, and
//! whoever ends a round wakes those of that round only.
//!
//! # Invariants
//!
//! 1. `WAITERS` implies a count above 0, and is set under the queue's lock.
//! 2. Whoever ends a round with `WAITERS` wakes; nobody else does.
//!
//! Modelled in `tests/loom_wait_group.rs`, each with a seeded bug: `reuse_against_wake`,
//! `wait_against_done`.

use crate::shim::{AtomicU64, Ordering};

const WAITERS: u64 = 1;
const ONE: u64 = 1 << 1;
const COUNT: u64 = (1 << 32) - ONE;
const ROUND: u64 = 1 << 32;
/// The largest count.
pub(crate) const COUNT_MAX: u64 = COUNT / ONE;

/// Whether to wait.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Begin {
    /// In this round.
    Queue(u32),
    /// The count is 0.
    Over,
}

/// What one who counts must do.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Counted {
    Nothing,
    /// Wake those who wait in this round.
    Wake(u32),
    /// The count would leave its bounds; nothing was changed.
    TooSmall,
    TooLarge,
}

/// See the top of this file.
#[derive(Debug)]
pub(crate) struct WaitGroupState(AtomicU64);

fn count(word: u64) -> u64 {
    (word & COUNT) / ONE
}

fn round(word: u64) -> u32 {
    (word / ROUND) as u32
}

impl WaitGroupState {
    /// From a word that is 0.
    pub(crate) const fn of(word: AtomicU64) -> WaitGroupState {
        WaitGroupState(word)
    }

    /// Adds to the count.
    pub(crate) fn add(&self, n: u64) -> Counted {
        let step = |word: u64| (n <= COUNT_MAX - count(word)).then(|| word + n * ONE);
        // Relaxed: who adds is ordered before who waits by other means.
        match self
            .0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, step)
        {
            Ok(_) => Counted::Nothing,
            Err(_) => Counted::TooLarge,
        }
    }

    /// Takes one from the count.
    pub(crate) fn done(&self) -> Counted {
        let step = |word: u64| match count(word) {
            0 => None,
            1 => Some((word & !(COUNT | WAITERS)).wrapping_add(ROUND)),
            _ => Some(word - ONE),
        };
        // AcqRel: what was done comes before what those do who waited.
        match self
            .0
            .fetch_update(Ordering::AcqRel, Ordering::Relaxed, step)
        {
            Ok(before) if count(before) == 1 && before & WAITERS != 0 => {
                Counted::Wake(round(before))
            }
            Ok(_) => Counted::Nothing,
            Err(_) => Counted::TooSmall,
        }
    }

    /// Whether the count is 0.
    pub(crate) fn is_over(&self) -> bool {
        // Acquire: pairs with `done`.
        count(self.0.load(Ordering::Acquire)) == 0
    }

    pub(crate) fn count(&self) -> u64 {
        count(self.0.load(Ordering::Relaxed))
    }

    /// Decides under the queue's lock whether to wait.
    pub(crate) fn begin_wait(&self) -> Begin {
        let step = |word: u64| (count(word) != 0).then_some(word | WAITERS);
        // Acquire on failure: pairs with `done`.
        match self
            .0
            .fetch_update(Ordering::Relaxed, Ordering::Acquire, step)
        {
            Ok(before) => Begin::Queue(round(before)),
            Err(_) => Begin::Over,
        }
    }

    /// `done` that begins no new round: the bug that the model must find.
    #[cfg(all(test, gopark_loom))]
    pub(crate) fn done_seeded(&self) -> Counted {
        let counted = self.done();
        if self.is_over() {
            self.0.fetch_sub(ROUND, Ordering::Relaxed);
        }
        counted
    }

    /// `begin_wait` on a stale look: the bug that the model must find.
    #[cfg(all(test, gopark_loom))]
    pub(crate) fn begin_wait_seeded(&self) -> Begin {
        let word = self.0.load(Ordering::Relaxed);
        if count(word) == 0 {
            return Begin::Over;
        }
        self.0.fetch_or(WAITERS, Ordering::Relaxed);
        Begin::Queue(round(word))
    }
}

#[cfg(all(test, gopark_loom))]
#[path = "tests/loom_wait_group.rs"]
mod loom_wait_group;
