//! Whose turn it is to poll: the word that one M at a time takes, and how its wait is broken.
//!
//! ```text
//!   31               8      3         2       1..0
//!  +------------------+----------+--------+-------+
//!  |  number of M + 1 | NOTIFIED | WANTED | state |
//!  +------------------+----------+--------+-------+
//! ```
//!
//! | state   | meaning                                                                 |
//! |---------|-------------------------------------------------------------------------|
//! | `Free`  | nobody polls: running Ms look in now and then, sysmon sees to the rest  |
//! | `Short` | somebody asks the system once, without waiting                          |
//! | `Long`  | an idle M waits in the poller, until an event or the earliest timer     |
//!
//! Poller:
//!
//! 1. Take the turn.
//! 2. `prepare`: forget the notification; the wait has no end yet; fence.
//! 3. Look whether it was given a P, and for the earliest timer.
//! 4. `set_until`.
//! 5. Wait; again from 2.
//!
//! A poller that found events, but no idle P, leaves and sleeps like the others: those that run
//! look in now and then. While it stayed, each event would wake its thread only to queue a
//! goroutine, in turns with the thread that runs them. It leaves the turn; fence; if a P is idle by
//! now, an M is woken for it. Who becomes idle with a P tries to take the turn again after his
//! announcement (`idle.rs`, I3).
//!
//! Who gives the poller a P, after giving: fence, look at the word; if the M polls, notify. Who
//! adds a timer, after adding: fence, look at the word and at the end of the wait; if somebody
//! waits for longer, notify.
//!
//! Notifying means: set `NOTIFIED`, and whoever set it writes to the poller's descriptor, which
//! keeps the note for a wait that has not begun.
//!
//! # Proof sketch
//!
//! Either the fence of the giver, or adder, comes before that of step 2: then step 3 sees the P or
//! the timer. Or it comes after: then it sees the M in the word, and an end of the wait that is
//! none or was chosen without the timer, and notifies after step 2 had forgotten earlier notes.
//!
//! Let an M become idle while the poller leaves for want of a P. Either its fence comes first: then
//! the poller sees an idle P. Or it comes after: then its second try finds the turn free.
//!
//! # Invariants
//!
//! 1. One party at a time holds the turn, and only it polls.
//! 2. An M that became idle while the turn was `Short` leaves `WANTED`; who ends the short turn
//!    sees to it that an M comes.
//!
//! Modelled in `tests/loom_turn.rs`, each with a seeded bug: `give_against_poll`,
//! `earlier_timer_against_poll`, `idle_against_short_turn`, `idle_against_a_poller_that_leaves`.

use crate::shim::{AtomicU32, AtomicU64, Ordering, fence};

const STATE: u32 = 0b11;
const WANTED: u32 = 1 << 2;
const NOTIFIED: u32 = 1 << 3;
const MACHINE_SHIFT: u32 = 8;

const FREE: u32 = 0;
const SHORT: u32 = 1;
const LONG: u32 = 2;

/// What a notifier must do.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Notify {
    /// Write to the poller's descriptor.
    Write,
    /// Somebody else has just done so, or is about to.
    Done,
    /// That M does not poll, or nobody waits for longer.
    No,
}

/// See the top of this file.
#[derive(Debug)]
pub(crate) struct Turn {
    word: AtomicU32,
    /// When the wait of a `Long` turn ends.
    until: AtomicU64,
}

impl Turn {
    pub(crate) fn new() -> Turn {
        Turn {
            word: AtomicU32::new(FREE),
            until: AtomicU64::new(u64::MAX),
        }
    }

    fn long(m: usize) -> u32 {
        (m as u32 + 1) << MACHINE_SHIFT | LONG
    }

    /// An M that becomes idle takes the turn, if it is free.
    pub(crate) fn begin_long(&self, m: usize) -> bool {
        let step = |word: u32| match word & STATE {
            FREE => Some(Turn::long(m)),
            SHORT => Some(word | WANTED),
            _ => None,
        };
        // AcqRel: what the poller fills goes from one holder to the next.
        let before = self
            .word
            .fetch_update(Ordering::AcqRel, Ordering::Relaxed, step);
        before.is_ok_and(|word| word & STATE == FREE)
    }

    /// Step 2 of the poller.
    pub(crate) fn prepare(&self) {
        self.word.fetch_and(!NOTIFIED, Ordering::Relaxed);
        self.until.store(u64::MAX, Ordering::Relaxed);
        // SeqCst: pairs with that of `notify` and of `earlier`.
        fence(Ordering::SeqCst);
    }

    /// Step 4.
    pub(crate) fn set_until(&self, until: u64) {
        // Relaxed: who still sees no end notifies once too often.
        self.until.store(until, Ordering::Relaxed);
    }

    /// The poller leaves.
    pub(crate) fn end_long(&self) {
        // Release: see `begin_long`.
        self.word.store(FREE, Ordering::Release);
    }

    /// The poller leaves, for there is no P for what it finds. If one is idle after this, the
    /// caller sees to it that an M comes.
    pub(crate) fn end_crowded(&self) {
        self.end_long();
        // SeqCst: pairs with I3, and with that of `notify`.
        fence(Ordering::SeqCst);
    }

    /// Somebody who is not idle takes the turn for one look.
    pub(crate) fn begin_short(&self) -> bool {
        // Acquire: see `begin_long`.
        self.word.load(Ordering::Relaxed) == FREE
            && self
                .word
                .compare_exchange(FREE, SHORT, Ordering::Acquire, Ordering::Relaxed)
                .is_ok()
    }

    /// Ends it: true if an idle M wanted the turn, and one must be woken.
    pub(crate) fn end_short(&self) -> bool {
        // AcqRel: see `begin_long`; the M that wanted the turn is on the idle list.
        self.word.swap(FREE, Ordering::AcqRel) & WANTED != 0
    }

    /// Whether nobody polls.
    #[inline]
    pub(crate) fn is_free(&self) -> bool {
        self.word.load(Ordering::Relaxed) == FREE
    }

    /// Something was given to M `m`.
    pub(crate) fn notify(&self, m: usize) -> Notify {
        // SeqCst: pairs with that of `prepare`.
        fence(Ordering::SeqCst);
        let word = self.word.load(Ordering::Relaxed);
        if word & !NOTIFIED != Turn::long(m) {
            return Notify::No;
        }
        self.note(word)
    }

    /// A timer was added.
    #[inline]
    pub(crate) fn earlier(&self, when: u64) -> Notify {
        // SeqCst: pairs with that of `prepare`.
        fence(Ordering::SeqCst);
        let word = self.word.load(Ordering::Relaxed);
        if word & STATE != LONG || self.until.load(Ordering::Relaxed) <= when {
            return Notify::No;
        }
        self.note(word)
    }

    /// Leaves a note for the holder of a `Long` turn that was seen.
    fn note(&self, mut word: u32) -> Notify {
        loop {
            if word & NOTIFIED != 0 {
                return Notify::Done;
            }
            let noted = word | NOTIFIED;
            // Relaxed: the write to the descriptor that follows orders.
            match self
                .word
                .compare_exchange(word, noted, Ordering::Relaxed, Ordering::Relaxed)
            {
                Ok(_) => return Notify::Write,
                // The poller has left, and looks at everything, or was noted by somebody else.
                Err(now) if now & !NOTIFIED != word => return Notify::No,
                Err(now) => word = now,
            }
        }
    }

    /// `prepare` without its fence, after the look: the bug that the model must find.
    #[cfg(all(test, gopark_loom))]
    pub(crate) fn prepare_seeded(&self) {
        self.word.fetch_and(!NOTIFIED, Ordering::Relaxed);
        self.until.store(u64::MAX, Ordering::Relaxed);
    }

    /// `end_short` that forgets who wanted the turn: the bug that the model must find.
    #[cfg(all(test, gopark_loom))]
    pub(crate) fn end_short_seeded(&self) -> bool {
        // AcqRel as in the real one.
        self.word.swap(FREE, Ordering::AcqRel);
        false
    }
}

#[cfg(all(test, gopark_loom))]
#[path = "tests/loom_turn.rs"]
mod loom_turn;
