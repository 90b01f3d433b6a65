//! The transitions of a raw park, whose waiter belongs to one park only.
//!
//! A raw park publishes a waiter where no lock of this crate protects it. If something else ends
//! the park (a request to unwind, a panic of the closure that publishes), the waiter stays out
//! there, and must not end a later park. So a waiter carries the ticket that the goroutine's wait
//! word showed when it was made, and the owner voids that ticket when a park is over that its
//! waiter has not ended. Nothing of that costs the usual park or wake a locked instruction.
//!
//! *Owner:* 1. park; 2. if `ENDED` is there: void the ticket, then `close_ended`, which tells
//! whether the waiter came before; or, to wait on, `resume_park`.
//! *Waker:* 1. read the life-cycle word; 2. compare the ticket; 3. exchange the word that was read
//! in step 1; begin again if it changed.
//!
//! A waker that is slow between 2 and 3 holds a word of before the voiding. The exchange then
//! fails, because `GEN` has changed with the voiding. It would succeed if the goroutine lost
//! exactly four (or eight, ...) raw parks to requests in between.
//!
//! While `ENDED` is set the park is not over for its waiter: the waker leaves `DELIVERED`, and the
//! owner takes that for the wake that it waited for.
//!
//! Modelled in `tests/loom_raw.rs`, with seeded bugs: `request_against_a_raw_wake`,
//! `raw_park_goes_on`.

use super::{BY_TOKEN, DELIVERED, ENDED, GEN, GEN_ONE, NOTIFIED, OWNED, PARKED, PARKING, PHASE};
use super::{ID_SHIFT, State, Wake};
use crate::shim::Ordering;

/// How a raw park ended that a request has ended.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Closed {
    /// The waiter came all the same.
    Woken,
    /// The waiter is void: it will wake nobody.
    Void,
    /// The goroutine is in the middle of a park again, for the same waiter: it commits next.
    Parking,
}

/// The word with the next generation.
pub(super) fn next_generation(word: u64) -> u64 {
    word & !GEN | word.wrapping_add(GEN_ONE) & GEN
}

impl State {
    /// Ends the raw park of goroutine `id` that the waiter is for, as far as `is_current` says that
    /// the waiter is not void. [`Wake::Gone`]: it ended nothing, nor will.
    #[inline]
    pub(crate) fn ready_once(&self, id: u64, is_current: impl Fn() -> bool) -> Wake {
        // Acquire here and on failure: a ticket that was voided before this word is seen.
        let mut word = self.0.load(Ordering::Acquire);
        loop {
            if word >> ID_SHIFT != id || !is_current() {
                return Wake::Gone;
            }
            let (new, wake) = match word & PHASE {
                PARKED if word & BY_TOKEN == 0 => (word & !PHASE | OWNED, Wake::Enqueue),
                PARKING if word & BY_TOKEN == 0 => (word & !PHASE | NOTIFIED, Wake::Done),
                OWNED | NOTIFIED if word & ENDED != 0 => (word | DELIVERED, Wake::Done),
                _ => return Wake::Gone,
            };
            // AcqRel: publishes what the waker wrote, takes over the saved registers.
            match self
                .0
                .compare_exchange_weak(word, new, Ordering::AcqRel, Ordering::Acquire)
            {
                Ok(_) => return wake,
                Err(now) => word = now,
            }
        }
    }

    /// The owner leaves a raw park that a request has ended. Its ticket is void already, so a waker
    /// that has not come by now will not.
    pub(crate) fn close_ended(&self) -> Closed {
        self.leave_ended(|word| (next_generation(word), Closed::Void))
    }

    /// The owner waits on, for the same waiter: `Owned` to `Parking`, unless the waker came.
    pub(crate) fn resume_park(&self) -> Closed {
        self.leave_ended(|word| (word & !PHASE | PARKING, Closed::Parking))
    }

    fn leave_ended(&self, otherwise: impl Fn(u64) -> (u64, Closed)) -> Closed {
        let mut word = self.0.load(Ordering::Relaxed);
        loop {
            debug_assert_eq!(word & (PHASE | ENDED), OWNED | ENDED);
            let (new, closed) = match word & DELIVERED {
                0 => otherwise(word),
                _ => (word, Closed::Woken),
            };
            // AcqRel: takes what the waker wrote; publishes the ticket that was voided.
            match self.0.compare_exchange_weak(
                word,
                new & !(ENDED | DELIVERED),
                Ordering::AcqRel,
                Ordering::Relaxed,
            ) {
                Ok(_) => return closed,
                Err(now) => word = now,
            }
        }
    }
}
