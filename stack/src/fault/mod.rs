//! What a memory fault means for a growable stack.
//!
//! The first touch below a window faults; the handler lowers the window and the instruction runs
//! again, so the program never learns of it. A fault can also be an overflow, or a plain bug that
//! has nothing to do with stacks. This file tells the three apart: arithmetic on two addresses,
//! without a system call or a lock. Acting on the verdict is the business of `handler.rs`.
//!
//! | fault at, with SP in the same slot  | verdict    | the handler then                       |
//! |-------------------------------------|------------|----------------------------------------|
//! | between hard guard and window       | `Grow`     | lowers the window, prefaults, returns  |
//! | the hard guard                      | `Overflow` | reports the goroutine, aborts          |
//! | the window; another slot; elsewhere | `NotOurs`  | calls the handler that was before      |
//!
//! The address decides, not `si_code`: a marker gives MAPERR, a closed page ACCERR. A fault inside
//! the window is not ours on purpose: such memory faults only when somebody changed its
//! protection, and hiding that would hide a bug. A pointer into another goroutine's slot is a bug
//! as well, so the faulting thread's own stack pointer must lie in the slot.
//!
//! # What no handler sees
//!
//! The kernel does not signal a bad buffer: a system call whose buffer lies below the window
//! returns `EFAULT`. Rust frames touch each of their pages first; C frames need not. Hence the wide
//! first window.

pub(crate) mod altstack;
pub(crate) mod chain;
mod handler;
pub(crate) mod report;

pub(crate) use handler::install;

use crate::layout::{Geometry, Slot};

/// A window grows by its own size, but at most by this, which bounds what is prefaulted in vain.
/// Steps of 1, 4, 16 and 64 MiB take the same time for a page of a deep recursion, within noise.
pub(crate) const STEP_BYTES_MAX: usize = 4 << 20;

/// What to do about a fault.
#[must_use]
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Lower the window of this slot from `old` to `new` bytes.
    Grow { slot: Slot, old: usize, new: usize },
    /// The stack is at its limit.
    Overflow(Slot),
    /// Not about our stacks.
    NotOurs,
}

/// Judges a fault at `addr` of a thread whose stack pointer is `sp`.
pub(crate) fn classify(
    geometry: &Geometry,
    window_of: impl Fn(Slot) -> Option<usize>,
    addr: usize,
    sp: usize,
) -> Verdict {
    let Some(slot) = geometry.locate(addr) else {
        return Verdict::NotOurs;
    };
    if geometry.locate(sp) != Some(slot) {
        return Verdict::NotOurs;
    }
    let Some(old) = window_of(slot) else {
        return Verdict::NotOurs;
    };
    // Above the top there is nothing.
    let depth = geometry.top(slot).saturating_sub(addr);
    if depth <= old {
        return Verdict::NotOurs;
    }
    if addr < geometry.floor(slot) {
        return Verdict::Overflow(slot);
    }
    Verdict::Grow {
        slot,
        old,
        new: next_window(geometry.usable_bytes(slot), old, depth),
    }
}

/// The window that reaches at least `depth` bytes below the top, and `most` bytes at most.
fn next_window(most: usize, old: usize, depth: usize) -> usize {
    let mut new = old;
    while new < depth {
        new += new.min(STEP_BYTES_MAX);
    }
    new.min(most)
}

#[cfg(test)]
#[path = "../tests/classify.rs"]
mod tests;
