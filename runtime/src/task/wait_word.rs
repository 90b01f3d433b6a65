//! The word that says who ends a wait.
//!
//! ```text
//!   63                2   1..0
//!  +-------------------+-------+
//!  |      ticket       | phase |
//!  +-------------------+-------+
//! ```
//!
//! A wait may end by an event, by a deadline, or because its owner no longer wants it. Whoever
//! takes the word from `Open` ends it; the others find it taken, or find another ticket, and do
//! nothing. The ticket only grows, so what is left of an old wait in a heap or a list is recognised
//! for ever.
//!
//! Each goroutine has such a word for its waits, and each timer of its own has one.
//!
//! | phase     | meaning                                 | left by, to                              |
//! |-----------|-----------------------------------------|------------------------------------------|
//! | `Over`    | nobody waits                            | the owner, `Open` with the next ticket    |
//! | `Open`    | the wait may be ended                   | one of: the owner, `Over`; an event, `Woken`; time, `Expired` |
//! | `Woken`, `Expired` | taken; a wake has been or will be delivered | the owner, `Over` or `Open`     |
//!
//! # Invariants
//!
//! 1. Of all who try to take one ticket, the owner's `close` included, one succeeds.
//!
//! Modelled in `tests/loom_timed.rs`: `event_against_deadline`, `stop_against_fire`.

use crate::shim::{AtomicU64, Ordering};

const PHASE: u64 = 0b11;
const TICKET_SHIFT: u32 = 2;

const OVER: u64 = 0;
const OPEN: u64 = 1;
const WOKEN: u64 = 2;
const EXPIRED: u64 = 3;

/// One wait of one owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ticket(u64);

/// The word of an owner that waits for nothing that has a ticket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Between(u64);

/// Who takes a wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum By {
    Event,
    Time,
}

/// How a wait ended.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The owner ended it himself: nobody will deliver a wake.
    Closed,
    /// Somebody took it, and delivers one wake.
    Taken(By),
}

/// See the top of this file. All zero is a word that nobody has used.
#[derive(Debug)]
pub(crate) struct WaitWord(AtomicU64);

impl WaitWord {
    pub(crate) fn new() -> WaitWord {
        WaitWord(AtomicU64::new(OVER))
    }

    /// Opens a wait. For the owner, between waits.
    #[inline]
    pub(crate) fn open(&self) -> Ticket {
        let word = self.0.load(Ordering::Relaxed);
        debug_assert_ne!(word & PHASE, OPEN, "a wait was opened twice");
        let ticket = (word >> TICKET_SHIFT) + 1;
        // Relaxed: whoever is given the ticket gets it by way of a lock.
        self.0
            .store(ticket << TICKET_SHIFT | OPEN, Ordering::Relaxed);
        Ticket(ticket)
    }

    /// What a waiter of a raw park carries: the word as it is between two waits. For the owner.
    #[inline]
    pub(crate) fn between(&self) -> Between {
        Between(self.0.load(Ordering::Relaxed))
    }

    /// Whether the word is still the one that [`WaitWord::between`] gave.
    #[inline]
    pub(crate) fn is_still(&self, between: Between) -> bool {
        // Relaxed: ordered by the life-cycle word, which is read before.
        self.0.load(Ordering::Relaxed) == between.0
    }

    /// Voids what [`WaitWord::between`] gave. For the owner, between waits.
    pub(crate) fn void(&self) {
        let word = self.0.load(Ordering::Relaxed);
        debug_assert_ne!(word & PHASE, OPEN, "a wait is open");
        // Relaxed: published by the life-cycle word.
        let next = (word >> TICKET_SHIFT) + 1;
        self.0.store(next << TICKET_SHIFT | OVER, Ordering::Relaxed);
    }

    /// Takes the wait with this ticket: true for one caller.
    #[inline]
    pub(crate) fn take(&self, ticket: Ticket, by: By) -> bool {
        let taken = match by {
            By::Event => WOKEN,
            By::Time => EXPIRED,
        };
        let open = ticket.0 << TICKET_SHIFT;
        // AcqRel: orders what the winner does after the wait began, and before its end is seen.
        self.0
            .compare_exchange(
                open | OPEN,
                open | taken,
                Ordering::AcqRel,
                Ordering::Relaxed,
            )
            .is_ok()
    }

    /// The owner's end of the wait that it opened last.
    #[inline]
    pub(crate) fn close(&self, ticket: Ticket) -> End {
        let open = ticket.0 << TICKET_SHIFT;
        // AcqRel: as in `take`.
        match self.0.compare_exchange(
            open | OPEN,
            open | OVER,
            Ordering::AcqRel,
            Ordering::Acquire,
        ) {
            Ok(_) => End::Closed,
            Err(word) => End::Taken(if word & PHASE == EXPIRED {
                By::Time
            } else {
                By::Event
            }),
        }
    }

    /// Whether the wait may still be ended: false for ever once it was.
    #[inline]
    pub(crate) fn is_open(&self, ticket: Ticket) -> bool {
        self.0.load(Ordering::Relaxed) == ticket.0 << TICKET_SHIFT | OPEN
    }

    /// Opens a new wait, whatever the word says; for words with many owners. Tells whether one was
    /// open, which nobody can take any more.
    pub(crate) fn reopen(&self) -> (Ticket, bool) {
        let next = |word: u64| ((word >> TICKET_SHIFT) + 1) << TICKET_SHIFT | OPEN;
        // AcqRel: as in `take`.
        let step = self
            .0
            .fetch_update(Ordering::AcqRel, Ordering::Relaxed, |word| Some(next(word)));
        let before = step.unwrap_or_default();
        (Ticket((before >> TICKET_SHIFT) + 1), before & PHASE == OPEN)
    }

    /// Ends whatever wait is open; for words with many owners. True if one was.
    pub(crate) fn stop(&self) -> bool {
        let over = |word: u64| (word & PHASE == OPEN).then_some(word & !PHASE | OVER);
        // AcqRel: as in `take`.
        self.0
            .fetch_update(Ordering::AcqRel, Ordering::Relaxed, over)
            .is_ok()
    }

    /// `take` as a load and a store: the bug that the model must find.
    #[cfg(all(test, gopark_loom))]
    pub(crate) fn take_seeded(&self, ticket: Ticket, by: By) -> bool {
        let is_open = self.is_open(ticket);
        if is_open {
            let phase = if by == By::Time { EXPIRED } else { WOKEN };
            self.0
                .store(ticket.0 << TICKET_SHIFT | phase, Ordering::Relaxed);
        }
        is_open
    }
}

#[cfg(all(test, gopark_loom))]
#[path = "tests/loom_timed.rs"]
mod loom_timed;
