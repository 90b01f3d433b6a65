//! How many slots have been carved: numbers are handed out once, up to a total.
//!
//! Each class has a count of its slots that were handed out, which only grows: listings walk up to
//! it, and the next number is the count. With mprotect guards the total over all classes is limited
//! as well. A carver takes its share of the total first and gives the share back if the class has
//! no slot left. A count is never taken back: between the two steps another carver may have got the
//! next number, which the smaller count would hide from listings and hand out again.
//!
//! # Invariants
//!
//! 1. A number is handed out once.
//! 2. Every number that was handed out is below the count of its class.
//! 3. The counts together never exceed the limit.
//!
//! Modelled in `tests/loom_carving.rs`: `carvers_at_the_limit` (with a carving that counts first
//! and takes the count back as the seeded bug).

use crate::shim::{AtomicU32, Ordering};

/// What a carver got.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Carved {
    /// The slot of this number within its class.
    Nth(u32),
    /// The class has no slot left.
    ClassIsFull,
    /// There may be no more slots, of whatever class.
    LimitIsReached,
}

/// The counts.
#[derive(Debug)]
pub(crate) struct Carving {
    counts: [AtomicU32; 3],
    /// Shares of the limit that are taken. As many as the counts together, or more for a moment.
    total: AtomicU32,
    /// Slots over all classes that may be handed out.
    pub(crate) limit: u32,
}

impl Carving {
    /// Nothing is carved yet; over all classes at most `limit` slots will be.
    pub(crate) fn new(limit: u32) -> Carving {
        Carving {
            counts: [AtomicU32::new(0), AtomicU32::new(0), AtomicU32::new(0)],
            total: AtomicU32::new(0),
            limit,
        }
    }

    /// A slot of a class that has `slots` of them.
    pub(crate) fn carve(&self, class: usize, slots: u32) -> Carved {
        if !self.bump(&self.total, self.limit) {
            return Carved::LimitIsReached;
        }
        match self.next(class, slots) {
            Some(nth) => Carved::Nth(nth),
            None => {
                // Relaxed: the number alone counts.
                self.total.fetch_sub(1, Ordering::Relaxed);
                Carved::ClassIsFull
            }
        }
    }

    fn bump(&self, word: &AtomicU32, most: u32) -> bool {
        let more = |n: u32| (n < most).then_some(n + 1);
        // Relaxed: the number alone counts.
        word.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more)
            .is_ok()
    }

    fn next(&self, class: usize, slots: u32) -> Option<u32> {
        let more = |n: u32| (n < slots).then_some(n + 1);
        // Relaxed: the number alone is handed out.
        self.counts[class]
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, more)
            .ok()
    }

    /// Slots of a class that were handed out.
    pub(crate) fn count(&self, class: usize) -> u32 {
        self.counts[class].load(Ordering::Relaxed)
    }

    /// Slots of all classes that were handed out.
    pub(crate) fn total(&self) -> usize {
        (0..3).map(|class| self.count(class) as usize).sum()
    }

    /// A carving with the bug that a count is taken back, for the model that must find it.
    #[cfg(all(test, gopark_loom))]
    pub(crate) fn carve_and_take_back(&self, class: usize, slots: u32) -> Carved {
        let Some(nth) = self.next(class, slots) else {
            return Carved::ClassIsFull;
        };
        if self.total() > self.limit as usize {
            self.counts[class].fetch_sub(1, Ordering::Relaxed);
            return Carved::LimitIsReached;
        }
        Carved::Nth(nth)
    }
}

#[cfg(all(test, gopark_loom))]
#[path = "tests/loom_carving.rs"]
mod loom_carving;
