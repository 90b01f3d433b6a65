//! How an M waits for a P: the word that it sleeps on.
//!
//! ```text
//!            request (sysmon)        suspend (handler)         seize (sysmon)
//!   Running ------------------> Requested ----------> Suspended -------------> Claiming
//!    ^ ^ ^                          |                     |                     |    |
//!    | | +--------------------------+ cancel              | give_up             |    |
//!    | +--------------------------------------------------+---------------------+    |
//!    |  take            give                                                         |
//!    +-------- Given <---------------------------------------------------------------+
//!    |           ^                 claim (the M itself): Running -> Claiming
//!    |           +---------------- Waiting <--- wait (the M itself): Running
//!    +---- End, Called <----------/
//! ```
//!
//! *Suspension.* sysmon asks (`request`, then a signal). The M's signal handler agrees (`suspend`),
//! still holding its P, and sleeps. sysmon takes the P (`seize`) and queues the M's claim. Whoever
//! comes to the claim in the global queue gives his own P (`give`). The handler does not wait for
//! ever: at its deadline it gives up and the M runs on, detached: without a P if it was seized.
//! *Claim.* An M that lost its P and needs one on the same thread claims by itself.
//! *Waiting.* An M without work, and one that keeps its thread for a parked goroutine, sleep until
//! they are given a P, or are called to look for one; those never give up by themselves.
//!
//! # Invariants
//!
//! 1. One CAS decides between `give` and `give_up`: a P is given to an M that takes it.
//! 2. Only the M itself leaves `Given`, `Called` and `End`.
//! 3. From `Suspended` the M still holds its P; from `Claiming` and `Waiting` it has none.
//!
//! # Memory ordering
//!
//! `suspend`, `claim` and `wait` are Release and `seize` Acquire: the P's data go along. `give` is
//! Release and `take` Acquire, likewise.
//!
//! Modelled in `tests/loom_grant.rs`, each with a seeded bug: `bound_hand_over`,
//! `give_against_give_up`, `suspension_against_its_deadline`, `claim_against_its_stale_entry`,
//! `shield_against_request`.

use crate::shim::{AtomicU32, Ordering};

const RUNNING: u32 = 0;
const REQUESTED: u32 = 1;
const SUSPENDED: u32 = 2;
const CLAIMING: u32 = 3;
const WAITING: u32 = 4;
const END: u32 = 5;
const CALLED: u32 = 6;
const GIVEN: u32 = 8;

/// What an M was given.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Given {
    /// The P of this number.
    P(usize),
    /// The call to look for a P and for work; the M counts as searching.
    Call,
    /// The order to end.
    End,
}

/// What the giver of a P must do.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Give {
    /// Wake the thread: it has the P.
    Wake,
    /// It no longer wants one: the P stays with the giver.
    Stale,
}

/// What has become of a request.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Open,
    Suspended,
    /// Declined, or the M gave way by itself.
    Over,
}

/// How a wait with a deadline ended.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum GiveUp {
    /// The M runs on without having been given anything.
    Detached,
    /// Too late: something was given, take it.
    Given,
}

/// See the top of this file.
#[derive(Debug)]
pub(crate) struct Grant(AtomicU32);

impl Grant {
    pub(crate) fn new() -> Grant {
        Grant(AtomicU32::new(RUNNING))
    }

    fn step(&self, from: u32, to: u32) -> bool {
        // AcqRel: see the top of this file.
        self.0
            .compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire)
            .is_ok()
    }

    /// sysmon asks the M to suspend itself; a signal follows.
    pub(crate) fn request(&self) -> bool {
        self.step(RUNNING, REQUESTED)
    }

    /// Takes a request back: true if it was still open.
    pub(crate) fn cancel(&self) -> bool {
        self.step(REQUESTED, RUNNING)
    }

    /// What has become of a request, by one look.
    pub(crate) fn answer(&self) -> Answer {
        match self.0.load(Ordering::Relaxed) {
            REQUESTED => Answer::Open,
            SUSPENDED => Answer::Suspended,
            _ => Answer::Over,
        }
    }

    /// Whether a request is open.
    pub(crate) fn is_requested(&self) -> bool {
        self.0.load(Ordering::Relaxed) == REQUESTED
    }

    /// Whether the M sleeps in its handler and still has its P.
    pub(crate) fn is_suspended(&self) -> bool {
        self.0.load(Ordering::Relaxed) == SUSPENDED
    }

    /// Whether the M sleeps until it is given something.
    pub(crate) fn sleeps(&self) -> bool {
        [SUSPENDED, CLAIMING, WAITING].contains(&self.0.load(Ordering::Relaxed))
    }

    /// The handler agrees.
    pub(crate) fn suspend(&self) -> bool {
        self.step(REQUESTED, SUSPENDED)
    }

    /// sysmon turns a suspension into a claim: it has the P now. False if the M gave up.
    pub(crate) fn seize(&self) -> bool {
        self.step(SUSPENDED, CLAIMING)
    }

    /// The M claims a P for its thread. An open request is void: the M gives way already.
    pub(crate) fn claim(&self) {
        let before = self.0.swap(CLAIMING, Ordering::AcqRel); // AcqRel: see the top of this file
        debug_assert!(before <= REQUESTED, "claim in state {before}");
    }

    /// The M is about to sleep until it is given something.
    pub(crate) fn wait(&self) {
        let before = self.0.swap(WAITING, Ordering::AcqRel); // AcqRel: see the top of this file
        debug_assert!(before <= REQUESTED, "wait in state {before}");
    }

    /// The M does not sleep after all, and nobody can have given anything.
    pub(crate) fn unwait(&self) {
        let waited = self.step(WAITING, RUNNING);
        debug_assert!(waited, "unwait of an M that was given something");
    }

    /// Gives P number `p`, which the caller owns, to an M that waits: it cannot have given up.
    pub(crate) fn give(&self, p: usize) {
        let waited = self.step(WAITING, GIVEN + p as u32);
        assert!(
            waited,
            "P{p} was given to an M that does not wait: {self:?}"
        );
    }

    /// Calls a waiting M, which the caller has taken off the idle list.
    pub(crate) fn call(&self) {
        let called = self.step(WAITING, CALLED);
        debug_assert!(called, "a call of an M that does not wait");
    }

    /// Gives P number `p`, which the caller owns, to an M whose claim was in the queue.
    pub(crate) fn give_to_claim(&self, p: usize) -> Give {
        if self.step(CLAIMING, GIVEN + p as u32) {
            Give::Wake
        } else {
            Give::Stale
        }
    }

    /// Ends a waiting M, which the caller has taken off the idle list.
    pub(crate) fn end(&self) {
        let ended = self.step(WAITING, END);
        debug_assert!(ended, "the end of an M that does not wait");
    }

    /// Takes what was given.
    pub(crate) fn take(&self) -> Option<Given> {
        // Acquire: takes over the P; pairs with `give`.
        let given = match self.0.load(Ordering::Acquire) {
            END => Given::End,
            CALLED => Given::Call,
            word if word >= GIVEN => Given::P((word - GIVEN) as usize),
            _ => return None,
        };
        // Relaxed: invariant 2.
        self.0.store(RUNNING, Ordering::Relaxed);
        Some(given)
    }

    /// The deadline of a suspension is over.
    pub(crate) fn give_up(&self) -> GiveUp {
        if self.step(SUSPENDED, RUNNING) || self.step(CLAIMING, RUNNING) {
            GiveUp::Detached
        } else {
            GiveUp::Given
        }
    }

    /// The word to sleep on, and its value while nothing is given.
    pub(crate) fn futex(&self) -> (&AtomicU32, u32) {
        (&self.0, self.0.load(Ordering::Relaxed))
    }

    /// Whether a value of the word means that something was given.
    pub(crate) fn is_given(word: u32) -> bool {
        word == END || word == CALLED || word >= GIVEN
    }

    /// `give_to_claim` as a load and a store: the bug that the model must find.
    #[cfg(all(test, gopark_loom))]
    pub(crate) fn give_to_claim_seeded(&self, p: usize) -> Give {
        // Acquire as in the real one.
        if self.0.load(Ordering::Acquire) != CLAIMING {
            return Give::Stale;
        }
        // Release as in the real one.
        self.0.store(GIVEN + p as u32, Ordering::Release);
        Give::Wake
    }
}

#[cfg(all(test, gopark_loom))]
#[path = "tests/loom_grant.rs"]
mod loom_grant;
