//! What a semaphore has to give; under its lock.
//!
//! # Invariants
//!
//! 1. Once closed, nothing is given.
//! 2. Whoever adds or closes serves the queue afterwards; whoever queues has looked, under the same
//!    lock.
//!
//! Modelled in `tests/loom_permits.rs`, with a close that is not seen by the queue as the seeded
//! bug: `close_against_acquire`.

/// Why permits are not given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    Closed,
    TooFew,
}

/// See the top of this file.
#[derive(Debug)]
pub(crate) struct Permits {
    available: usize,
    is_closed: bool,
}

impl Permits {
    pub(crate) const MAX: usize = usize::MAX >> 3;

    pub(crate) const fn new(available: usize) -> Permits {
        Permits {
            available,
            is_closed: false,
        }
    }

    /// Takes `n`; `has_waiters` in front of the caller come first.
    pub(crate) fn take(&mut self, n: usize, has_waiters: bool) -> Result<(), Refused> {
        if self.is_closed {
            return Err(Refused::Closed);
        }
        match self.available.checked_sub(n) {
            Some(left) if !has_waiters => {
                self.available = left;
                Ok(())
            }
            _ => Err(Refused::TooFew),
        }
    }

    /// Adds `n`, unless they become too many.
    #[must_use]
    pub(crate) fn add(&mut self, n: usize) -> bool {
        let fits = n <= Permits::MAX - self.available;
        if fits {
            self.available += n;
        }
        fits
    }

    /// Takes up to `n` away: how many.
    pub(crate) fn forget(&mut self, n: usize) -> usize {
        let gone = n.min(self.available);
        self.available -= gone;
        gone
    }

    pub(crate) fn available(&self) -> usize {
        self.available
    }

    pub(crate) fn close(&mut self) {
        self.is_closed = true;
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.is_closed
    }
}

#[cfg(all(test, gopark_loom))]
#[path = "tests/loom_permits.rs"]
mod loom_permits;
