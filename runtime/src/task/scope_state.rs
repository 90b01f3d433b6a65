//! The word between a scope and its goroutines.
//!
//! ```text
//!   63      32 31     4    3        2          1           0
//!  +----------+--------+-------+---------+-----------+-----------+
//!  | children | panics | taken | waiting | cancelled | fail fast |
//!  +----------+--------+-------+---------+-----------+-----------+
//! ```
//!
//! The children of a scope are counted: each from before its launch until nothing of what it
//! borrows is used by it any more. The parent, who runs the scope's closure, does not leave before
//! there are none. It registers as waiting; the last child finds that and wakes it.
//!
//! | who    | steps                                                                     |
//! |--------|---------------------------------------------------------------------------|
//! | parent | `enter` for each child; after its closure: 1. fill the slot; 2. `wait`; 3. sleep; 4. `withdraw`; again until it is over |
//! | child  | may `enter` others; 1. `fail`, if it panicked; 2. drop what it borrows; 3. `leave`; 4. if told so, wake whoever is in the slot |
//!
//! A child does not touch the scope after its `leave`, but what it shares the ownership of.
//!
//! # Invariants
//!
//! 1. Once the parent's closure is over and there are no children, there never will be: only those
//!    two can `enter`.
//! 2. Of all children one is told to wake the parent, for each `wait` that says to sleep, unless
//!    the parent withdraws.
//! 3. Of all panics of a scope that fails fast one is taken, before its child leaves.
//!
//! Modelled in `tests/loom_scope.rs`, each with a seeded bug: `last_child_against_parent`,
//! `first_panic_of_two`.

use std::fmt;

use crate::shim::{AtomicU64, Ordering};

/// A panic cancels all children.
const FAIL_FAST: u64 = 1;
/// The children are cancelled, and those that come.
const CANCELLED: u64 = 1 << 1;
/// The parent is in the slot.
const WAITING: u64 = 1 << 2;
/// Somebody has the right to leave his panic for the parent.
const TAKEN: u64 = 1 << 3;
/// Panics that nobody has been told of. At their maximum they stay there.
const ONE_PANIC: u64 = 1 << 4;
const PANICS: u64 = ONE_CHILD - ONE_PANIC;
const ONE_CHILD: u64 = 1 << 32;

const _: () = assert!(TAKEN < ONE_PANIC, "fields overlap");

/// What to do with a panic.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fail {
    /// It has been counted, for the parent.
    Counted,
    /// It is the first of a scope that fails fast: leave it for the parent, cancel the others.
    First,
    /// Nothing: another was first.
    Late,
}

/// Whether the parent must sleep.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wait {
    Sleep,
    /// There are no children.
    Over,
}

/// What a child that has left must do.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Leave {
    Nothing,
    /// Wake whoever is in the slot, if it is still there.
    WakeParent,
}

/// See the top of this file.
pub(crate) struct ScopeState(AtomicU64);

impl fmt::Debug for ScopeState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = self.0.load(Ordering::Relaxed);
        let (children, panics) = (word / ONE_CHILD, (word & PANICS) / ONE_PANIC);
        write!(f, "{children} children, {panics} panics")?;
        for (bit, name) in [
            (FAIL_FAST, "fail fast"),
            (CANCELLED, "cancelled"),
            (WAITING, "waiting"),
            (TAKEN, "taken"),
        ] {
            if word & bit != 0 {
                write!(f, "+{name}")?;
            }
        }
        Ok(())
    }
}

impl ScopeState {
    pub(crate) fn new() -> ScopeState {
        ScopeState(AtomicU64::new(0))
    }

    fn step(&self, step: impl Fn(u64) -> u64) -> u64 {
        // AcqRel: orders what is done on both sides of a step; who leaves publishes what it did.
        let before = self
            .0
            .fetch_update(Ordering::AcqRel, Ordering::Relaxed, |word| Some(step(word)));
        before.unwrap_or_default()
    }

    /// A panic cancels all children from now on.
    pub(crate) fn fail_fast(&self) {
        self.step(|word| word | FAIL_FAST);
    }

    /// A child more. For the parent's closure, and for children.
    ///
    /// # Panics
    /// When there are 2^32 already.
    pub(crate) fn enter(&self) {
        let before = self.0.load(Ordering::Relaxed);
        assert!(
            before < u64::MAX - ONE_CHILD,
            "too many goroutines in {self:?}"
        );
        // Relaxed: the caller keeps the scope alive itself.
        self.0.fetch_add(ONE_CHILD, Ordering::Relaxed);
    }

    /// A panic: of a child that has not left, or of the parent's closure.
    pub(crate) fn fail(&self) -> Fail {
        let before = self.step(|word| {
            if word & FAIL_FAST != 0 {
                word | TAKEN | CANCELLED
            } else if word & PANICS == PANICS {
                word
            } else {
                word + ONE_PANIC
            }
        });
        match before {
            word if word & FAIL_FAST == 0 => Fail::Counted,
            word if word & TAKEN == 0 => Fail::First,
            _ => Fail::Late,
        }
    }

    /// Somebody was told of a panic that was counted.
    pub(crate) fn told(&self) {
        self.step(|word| match word & PANICS {
            0 | PANICS => word,
            _ => word - ONE_PANIC,
        });
    }

    /// Whether there are panics that nobody was told of.
    pub(crate) fn has_panics(&self) -> bool {
        self.0.load(Ordering::Relaxed) & PANICS != 0
    }

    /// Children that come from now on are cancelled.
    pub(crate) fn cancel(&self) {
        self.step(|word| word | CANCELLED);
    }

    pub(crate) fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed) & CANCELLED != 0
    }

    /// A child is over.
    pub(crate) fn leave(&self) -> Leave {
        let is_last = |word: u64| word < 2 * ONE_CHILD && word & WAITING != 0;
        let before = self.step(|word| {
            debug_assert!(word >= ONE_CHILD, "more have left than came");
            let waiting = if is_last(word) { WAITING } else { 0 };
            (word & !waiting) - ONE_CHILD
        });
        if is_last(before) {
            Leave::WakeParent
        } else {
            Leave::Nothing
        }
    }

    /// Registers the parent, who has filled the slot.
    pub(crate) fn wait(&self) -> Wait {
        let before = self.step(|word| match word < ONE_CHILD {
            true => word,
            false => word | WAITING,
        });
        if before < ONE_CHILD {
            Wait::Over
        } else {
            Wait::Sleep
        }
    }

    /// The parent does not sleep any more.
    pub(crate) fn withdraw(&self) {
        self.step(|word| word & !WAITING);
    }

    /// Whether there are no children.
    pub(crate) fn is_over(&self) -> bool {
        // Acquire: pairs with the Release of those that have left.
        self.0.load(Ordering::Acquire) < ONE_CHILD
    }

    /// `wait` that decides on a stale look: the bug that the model must find.
    #[cfg(all(test, gopark_loom))]
    pub(crate) fn wait_seeded(&self) -> Wait {
        if self.is_over() {
            return Wait::Over;
        }
        self.step(|word| word | WAITING);
        Wait::Sleep
    }

    /// `fail` as a look and a step: the bug that the model must find.
    #[cfg(all(test, gopark_loom))]
    pub(crate) fn fail_seeded(&self) -> Fail {
        let seen = self.0.load(Ordering::Acquire);
        self.step(|word| word | TAKEN | CANCELLED);
        match seen & TAKEN {
            0 => Fail::First,
            _ => Fail::Late,
        }
    }
}

#[cfg(all(test, gopark_loom))]
#[path = "tests/loom_scope.rs"]
mod loom_scope;
