//! What a memory fault means for a growable stack.
//!
//! The first touch below a window faults; the handler lowers the window and the instruction runs
//! again, so the program never learns of it. A fault can also be an overflow, or a plain bug that
//! has nothing to do with stacks. This file tells them apart: arithmetic on addresses, and three
//! facts that a [`Facts`] supplies. Acting on the verdict is the business of `handler.rs`.
//!
//! | fault at                            | stack pointer   | verdict    | the handler then          |
//! |-------------------------------------|-----------------|------------|---------------------------|
//! | between hard guard and window       | in that slot    | `Grow`     | lowers the window, prefaults |
//! | the hard guard                      | in that slot    | `Overflow` | reports, aborts           |
//! | anywhere                            | below the slot of the thread's user | `Overflow` | reports, aborts |
//! | between hard guard and window, something lies below | elsewhere | `Lend` | opens the guard from there up |
//! | the window                          | elsewhere       | `Recheck`  | returns if it is accessible now |
//! | no address: no room for a signal's frame | near the window's end | `Grow` | lowers the window |
//! | the window; another slot; elsewhere | any             | `NotOurs`  | calls the handler that was before |
//!
//! The address decides, not `si_code`: a marker gives MAPERR, a closed page ACCERR. A fault of a
//! thread inside its own window is not ours on purpose: such memory faults only when somebody
//! changed its protection, and hiding that would hide a bug.
//!
//! # Frames that are larger than the guard
//!
//! Rust code touches each page of a frame in order. C code need not (gcc and clang do so with
//! `-fstack-clash-protection` only), so a frame may begin above the guard and end far below it.
//! A window therefore reaches down to the touched address and to the stack pointer, whichever is
//! lower: nothing lives below the stack pointer less the red zone. With mprotect guards everything
//! below the window is closed, and the first touch tells. With markers only [`GUARD_BYTES`] are:
//! what lies below that is memory of the same slot, and a frame that ends there is served without a
//! fault until the guard is touched, which then lies inside the frame. What is true of it:
//!
//! 1. Nothing of the frame is lost: guards and trimming keep below the stack pointer.
//! 2. Another thread, or the same one on another stack, may fault on the guard inside such a frame.
//!    Where the owner's stack pointer is, is not known then. So nothing is closed, and the window
//!    stays; the guard is opened from the touched page up, if something is resident below: a
//!    pointer into the guard of a stack that has no such frame is a bug of the program.
//! 3. A frame that ends below its slot lies in a neighbour's. The first fault, or the next call of
//!    the runtime, tells that from who runs on the thread ([`set_running`](report::set_running)),
//!    and reports the overflow. What was written until then is lost to the neighbour: as behind the
//!    guard of a thread's stack. Dense slots have neighbours within 132 KiB.
//!
//! # What no handler sees
//!
//! The kernel does not signal a bad buffer: a system call whose buffer lies in a guard returns
//! `EFAULT`. The call that makes it touches the low end of its own frame first, so this concerns
//! frames that are larger than the guard, and system calls without a call instruction.
//!
//! [`GUARD_BYTES`]: crate::layout::GUARD_BYTES

pub(crate) mod altstack;
pub(crate) mod chain;
pub(crate) mod dump;
mod handler;
pub(crate) mod report;

pub(crate) use handler::install;
pub use handler::{Intruder, intruder};

use crate::layout::{Geometry, RED_ZONE_BYTES, Slot, Span};

/// A window grows by its own size, but at most by this, unless a fault asks for more. It bounds
/// what is prefaulted in vain. Steps of 1, 4, 16 and 64 MiB take the same time for a page of a deep
/// recursion, within noise.
pub(crate) const STEP_BYTES_MAX: usize = 4 << 20;

/// What to do about a fault.
#[must_use]
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Lower the window of this slot from `old` to `new` bytes.
    Grow { slot: Slot, old: usize, new: usize },
    /// Open the guard below the window of this slot from an address up.
    Lend {
        slot: Slot,
        window: usize,
        from: usize,
    },
    /// The memory may have become accessible since.
    Recheck,
    /// The stack is at its limit.
    Overflow(Slot),
    /// Not about our stacks.
    NotOurs,
}

/// What a verdict depends on, beside addresses.
pub(crate) trait Facts {
    /// Bytes of the window of a slot, if it has one.
    fn window(&self, slot: Slot) -> Option<usize>;
    /// The slot of whoever runs on this thread, given the slot that the stack pointer is in, if
    /// any.
    /// `None` if that is the same one, or nothing is known.
    fn user(&self, at: Option<Slot>) -> Option<Slot>;
    /// Whether nothing is mapped at an address.
    fn is_void(&self, addr: usize) -> bool;
    /// Whether anything lies in a slot below an address and above the hard guard.
    fn is_used_below(&self, slot: Slot, addr: usize) -> bool;
}

/// Judges a fault at `addr` of a thread whose stack pointer is `sp`.
pub(crate) fn classify(geometry: &Geometry, facts: &impl Facts, addr: usize, sp: usize) -> Verdict {
    let here = geometry.locate(sp);
    if let Some(slot) = left_from(geometry, facts, here, sp) {
        return Verdict::Overflow(slot);
    }
    let Some(slot) = geometry.locate(addr) else {
        return Verdict::NotOurs;
    };
    let Some(old) = facts.window(slot) else {
        return Verdict::NotOurs;
    };
    let span = geometry.span(slot);
    // Above the top there is nothing.
    if addr >= span.top {
        return Verdict::NotOurs;
    }
    let is_below = span.top - addr > old;
    match (here == Some(slot), is_below) {
        (true, true) => grow(
            slot,
            span,
            old,
            addr.min(sp.saturating_sub(RED_ZONE_BYTES)),
            addr,
        ),
        (true, false) => Verdict::NotOurs,
        (false, false) => Verdict::Recheck,
        (false, true) if addr >= span.floor && facts.is_used_below(slot, addr) => Verdict::Lend {
            slot,
            window: old,
            from: addr,
        },
        (false, true) => Verdict::NotOurs,
    }
}

/// Judges a fault without an address of a thread whose stack pointer is `sp`: the kernel may have
/// had no room there for the frame of a signal, of `frame_bytes`.
pub(crate) fn classify_frame(
    geometry: &Geometry,
    facts: &impl Facts,
    sp: usize,
    frame_bytes: usize,
) -> Verdict {
    let here = geometry.locate(sp);
    if let Some(slot) = left_from(geometry, facts, here, sp) {
        return Verdict::Overflow(slot);
    }
    let Some((slot, old)) = here.and_then(|slot| Some((slot, facts.window(slot)?))) else {
        return Verdict::NotOurs;
    };
    let span = geometry.span(slot);
    let low = sp.saturating_sub(RED_ZONE_BYTES + frame_bytes);
    if sp >= span.top || span.top - low <= old {
        // There was room.
        return Verdict::NotOurs;
    }
    grow(slot, span, old, low, low)
}

/// The slot that the stack pointer has left downwards: into another slot, or out of the arena,
/// where nothing is mapped. A stack pointer outside of the arena that points to memory is on
/// another stack.
fn left_from(
    geometry: &Geometry,
    facts: &impl Facts,
    here: Option<Slot>,
    sp: usize,
) -> Option<Slot> {
    if here.is_none() && !facts.is_void(sp) {
        return None;
    }
    facts.user(here).filter(|slot| sp < geometry.low(*slot))
}

/// The window of `slot` must reach down to `low`; `touched` is what may not lie in the hard guard.
fn grow(slot: Slot, span: Span, old: usize, low: usize, touched: usize) -> Verdict {
    if touched < span.floor || low + RED_ZONE_BYTES < span.floor {
        return Verdict::Overflow(slot);
    }
    Verdict::Grow {
        slot,
        old,
        new: next_window(span.usable_bytes(), old, span.top - low),
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
