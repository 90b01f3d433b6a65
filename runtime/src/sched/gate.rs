//! The gate between spawns from outside and the end of a runtime.
//!
//! A handle to a runtime does not keep it from ending. Whoever spawns by one enters the gate, makes
//! the goroutine, which is counted, and leaves. The end closes the gate first: from then on nobody
//! enters. It has come when nobody is inside and no goroutine is left.
//!
//! ```text
//!  63                1      0
//! +-------------------+--------+
//! | spawners inside   | closed |
//! +-------------------+--------+
//! ```
//!
//! | party       | steps                                                               |
//! |-------------|---------------------------------------------------------------------|
//! | the spawner | 1. `enter`; 2. count the goroutine; 3. `leave`                      |
//! | the end     | 1. `close`; 2. wait for `is_empty`; 3. then look at the count       |
//!
//! Goroutines of the runtime spawn without the gate: each is counted itself, so the end has not
//! come.
//!
//! # Invariant
//!
//! 1. Once the gate is closed and empty, no goroutine is counted that was spawned through it.
//!
//! Modelled in `tests/loom_gate.rs`, with the seeded bugs of a count that is looked at first, and
//! of a spawner that looks before it enters: `a_spawn_against_the_end`.

use crate::shim::{AtomicUsize, Ordering};

const CLOSED: usize = 1;
const ONE: usize = 2;

/// Whether a spawner may go on.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Enter {
    /// It is inside, and must leave.
    Inside,
    /// The runtime has ended, or is about to.
    Closed,
}

/// The word.
#[derive(Debug)]
pub(crate) struct Gate(AtomicUsize);

impl Gate {
    pub(crate) fn new() -> Gate {
        Gate(AtomicUsize::new(0))
    }

    /// Step 1 of a spawner.
    pub(crate) fn enter(&self) -> Enter {
        let mut word = self.0.load(Ordering::Relaxed);
        while word & CLOSED == 0 {
            // Relaxed: one word decides who comes first, the spawner or the end.
            match self.0.compare_exchange_weak(
                word,
                word + ONE,
                Ordering::Relaxed,
                Ordering::Relaxed,
            ) {
                Ok(_) => return Enter::Inside,
                Err(now) => word = now,
            }
        }
        Enter::Closed
    }

    /// Step 3 of a spawner.
    pub(crate) fn leave(&self) {
        // Release: the goroutine is counted; pairs with `is_empty`.
        self.0.fetch_sub(ONE, Ordering::Release);
    }

    /// Step 1 of the end. Again is harmless.
    pub(crate) fn close(&self) {
        self.0.fetch_or(CLOSED, Ordering::Relaxed);
    }

    /// Whether nobody can enter any more.
    pub(crate) fn is_closed(&self) -> bool {
        self.0.load(Ordering::Relaxed) & CLOSED != 0
    }

    /// Step 2 of the end: whether nobody is inside.
    pub(crate) fn is_empty(&self) -> bool {
        // Acquire: pairs with `leave`.
        self.0.load(Ordering::Acquire) < ONE + CLOSED
    }
}

#[cfg(all(test, gopark_loom))]
#[path = "tests/loom_gate.rs"]
mod loom_gate;
