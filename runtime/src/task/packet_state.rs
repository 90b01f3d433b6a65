//! The word between a goroutine and its `JoinHandle`.
//!
//! ```text
//!              wait
//!         ------------>            finish           publish
//!  Pending              Waiting ------------> Taking ----> Done
//!     |  \  <-----------    |                                ^
//!     |   \   withdraw                                       |
//!     |    \ finish                                          |
//!     |     +------------------------------------------------+
//!     +---- detach ----> Detached
//! ```
//!
//! Two parties own the packet. The goroutine finishes it once; the handle waits, asks, or goes
//! away. The last one to leave frees it: the goroutine from `Detached`, the handle from `Done`.
//!
//! A wait may end without a result: its goroutine is cancelled, or a task is polled again with
//! another waker. Then the handle withdraws, and has the slot back; if that fails, the goroutine is
//! taking the waiter out this very moment, and the handle waits for `Done`, a few instructions
//! away.
//! A goroutine that is taken out is woken, but not queued yet, before `Done`: so once a handle has
//! withdrawn or seen `Done`, no wake of this packet can end another park of its waiter.
//!
//! # Invariants
//!
//! 1. The waiter's slot belongs to the handle in `Pending`, then to whoever leaves `Waiting`.
//! 2. The result belongs to the goroutine until `Done`, then to the handle.
//! 3. After `publish` the goroutine does not touch the packet again.
//!
//! Modelled in `tests/loom_packet.rs`, each with a seeded bug: `join_against_finish`,
//! `withdrawal_against_finish`, `second_waiter_against_finish`.

use crate::shim::{AtomicU32, Ordering};

const PENDING: u32 = 0;
const WAITING: u32 = 1;
const TAKING: u32 = 2;
const DONE: u32 = 3;
const DETACHED: u32 = 4;

/// What a goroutine that has written its result must do.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Finish {
    /// Nothing: the handle will find the result.
    Leave,
    /// Take the waiter out, `publish`, wake the waiter.
    TakeWaiter,
    /// Nobody will ask: free the packet.
    Free,
}

/// Whether the handle must sleep.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wait {
    /// Registered: sleep until woken.
    Sleep,
    /// The result is there.
    Done,
}

/// Whether the handle has its slot back.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Withdraw {
    /// The slot is the handle's.
    Pending,
    /// The result is there, or will be in a moment.
    Done,
}

/// What a handle that goes away must do.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Detach {
    /// The goroutine frees the packet.
    Leave,
    /// Free the packet.
    Free,
    /// The goroutine is taking the waiter out this very moment: try again.
    Again,
}

/// See the top of this file.
#[derive(Debug)]
pub(crate) struct PacketState(AtomicU32);

impl PacketState {
    #[inline]
    pub(crate) fn new() -> PacketState {
        PacketState(AtomicU32::new(PENDING))
    }

    /// The goroutine has written its result.
    #[inline]
    pub(crate) fn finish(&self) -> Finish {
        let step = |word| match word {
            PENDING => Some(DONE),
            WAITING => Some(TAKING),
            _ => None,
        };
        // AcqRel: publishes the result, takes over the waiter or the whole packet.
        match self
            .0
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, step)
        {
            Ok(PENDING) => Finish::Leave,
            Ok(_) => Finish::TakeWaiter,
            Err(word) => {
                assert_eq!(word, DETACHED, "a packet is finished twice");
                Finish::Free
            }
        }
    }

    /// Ends `Taking`. The caller does not touch the packet again.
    #[inline]
    pub(crate) fn publish(&self) {
        // Release: the waiter's slot is empty and the result written; pairs with `is_done`.
        self.0.store(DONE, Ordering::Release);
    }

    /// Registers the waiter that the handle has put into the slot.
    #[inline]
    pub(crate) fn wait(&self) -> Wait {
        // Release publishes the slot; Acquire on failure takes over the result.
        match self
            .0
            .compare_exchange(PENDING, WAITING, Ordering::AcqRel, Ordering::Acquire)
        {
            Ok(_) => Wait::Sleep,
            Err(_) => Wait::Done,
        }
    }

    /// Ends the handle's wait, if there is one.
    #[inline]
    pub(crate) fn withdraw(&self) -> Withdraw {
        let word = self.0.load(Ordering::Relaxed);
        if word == PENDING {
            return Withdraw::Pending;
        }
        // AcqRel: orders the uses of the slot, and later waits after this one.
        let step = self
            .0
            .compare_exchange(WAITING, PENDING, Ordering::AcqRel, Ordering::Relaxed);
        match step {
            Ok(_) => Withdraw::Pending,
            Err(_) => Withdraw::Done,
        }
    }

    /// Whether the result is there.
    #[inline]
    pub(crate) fn is_done(&self) -> bool {
        // Acquire pairs with the Release in `finish` and `publish`.
        self.0.load(Ordering::Acquire) == DONE
    }

    /// The handle goes away, with nothing in its slot.
    #[inline]
    pub(crate) fn detach(&self) -> Detach {
        let step = |word| (word == PENDING).then_some(DETACHED);
        // AcqRel: hands the packet over, or takes it over.
        match self
            .0
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, step)
        {
            Ok(_) => Detach::Leave,
            Err(DONE) => Detach::Free,
            Err(word) => {
                debug_assert_ne!(word, WAITING, "a waiter was left behind");
                Detach::Again
            }
        }
    }

    /// `withdraw` that decides on a stale look: the bug that the model must find.
    #[cfg(all(test, gopark_loom))]
    pub(crate) fn withdraw_seeded(&self) -> Withdraw {
        let seen = self.0.load(Ordering::Acquire);
        if seen == WAITING {
            // Release as in `withdraw`: the step is what is wrong.
            self.0.store(PENDING, Ordering::Release);
        }
        if seen == WAITING || seen == PENDING {
            Withdraw::Pending
        } else {
            Withdraw::Done
        }
    }

    /// `finish` that decides on a stale look: the bug that the model must find.
    #[cfg(all(test, gopark_loom))]
    pub(crate) fn finish_seeded(&self) -> Finish {
        let seen = self.0.load(Ordering::Acquire);
        // Release and Acquire as in `finish`: the step is what is wrong.
        self.0.store(DONE, Ordering::Release);
        match seen {
            PENDING => Finish::Leave,
            WAITING => Finish::TakeWaiter,
            _ => Finish::Free,
        }
    }
}

#[cfg(all(test, gopark_loom))]
#[path = "tests/loom_packet.rs"]
mod loom_packet;
