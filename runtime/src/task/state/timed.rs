//! The transitions of waits that several may end, and of requests to unwind.
//!
//! A goroutine that waits for an event and for a deadline has two wakers, of which one may act.
//! They meet on the goroutine's wait word (`wait_word.rs`): the winner takes the wait, and then
//! delivers one wake here. A third party, who wants the goroutine to unwind, may end the park
//! before. So the wake may come late, and must not end the next park: it leaves a mark,
//! `DELIVERED`, whenever it comes, and the owner does not leave a wait that was taken before it has
//! seen the mark.
//!
//! *Owner:* 1. open the wait; 2. publish the ticket; 3. park; 4. close the wait; 5. if it was
//! taken: take the mark; if there is none yet, park once more until it comes.
//! *Waker:* 1. take the wait; 2. `deliver`.
//!
//! Modelled in `tests/loom_timed.rs`, each with a seeded bug: `event_against_deadline`,
//! `delivery_against_unwinding`, `unpark_against_deadline`, `interrupt_against_commit`,
//! `cancel_against_event`.

use super::{
    BY_TOKEN, CANCEL, DELIVERED, INTERRUPT, NOTIFIED, OWNED, PARKED, PARKING, PHASE, State, Wake,
};
use crate::shim::Ordering;

impl State {
    /// `Owned` to `Parking`, for a park that `unpark` ends too: a token that came first is found by
    /// the commit.
    pub(crate) fn begin_park_by_token(&self) {
        // Relaxed: publishing is the business of the timer that gets the ticket.
        let before = self
            .0
            .fetch_add(PARKING - OWNED + BY_TOKEN, Ordering::Relaxed);
        assert_eq!(before & PHASE, OWNED, "a park begins in {self:?}");
    }

    /// The one wake by whoever took the wait of goroutine `id`; ends its park, of either kind.
    #[inline]
    pub(crate) fn deliver(&self, id: u64) -> Wake {
        self.wake(id, |word| match word & PHASE {
            PARKED => (
                word & !(PHASE | BY_TOKEN) | OWNED | DELIVERED,
                Wake::Enqueue,
            ),
            PARKING => (word & !PHASE | NOTIFIED | DELIVERED, Wake::Done),
            _ => (word | DELIVERED, Wake::Done),
        })
    }

    /// Takes the mark of a wake that was delivered. For the owner.
    #[inline]
    pub(crate) fn take_delivery(&self) -> bool {
        // Acquire: pairs with the Release of `deliver`.
        self.0.fetch_and(!DELIVERED, Ordering::Acquire) & DELIVERED != 0
    }

    /// Asks goroutine `id` to see whether it must unwind, and ends whatever park it is in.
    pub(crate) fn interrupt(&self, id: u64) -> Wake {
        self.unwind(id, INTERRUPT)
    }

    /// The owner sees to the request; one that comes from now on is a new one.
    pub(crate) fn take_interrupt(&self) {
        // Acquire: pairs with the Release of `interrupt`, whose reason is looked at next.
        self.0.fetch_and(!INTERRUPT, Ordering::Acquire);
    }

    /// The owner finds later that a request is still to be followed.
    pub(crate) fn renew_interrupt(&self) {
        // Relaxed: the owner has seen the reason itself.
        self.0.fetch_or(INTERRUPT, Ordering::Relaxed);
    }

    /// Asks goroutine `id` to unwind, once, and ends whatever park it is in: one step, so that it
    /// ends no later park.
    pub(crate) fn cancel(&self, id: u64) -> Wake {
        self.unwind(id, CANCEL)
    }

    /// The owner follows the request: false if there is none.
    pub(crate) fn take_cancel(&self) -> bool {
        // Acquire: pairs with the Release of `cancel`.
        self.0.fetch_and(!CANCEL, Ordering::Acquire) & CANCEL != 0
    }

    /// `cancel` in two steps: the bug that the model must find.
    #[cfg(all(test, gopark_loom))]
    pub(crate) fn cancel_seeded(&self, id: u64) -> Wake {
        // AcqRel as in `cancel`.
        self.0.fetch_or(CANCEL, Ordering::AcqRel);
        self.ready(id)
    }

    /// `deliver` without the mark: the bug that the model must find.
    #[cfg(all(test, gopark_loom))]
    pub(crate) fn deliver_seeded(&self, id: u64) -> Wake {
        self.ready(id)
    }
}
