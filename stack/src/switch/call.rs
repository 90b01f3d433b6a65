//! Calling a function on another stack and coming back, over corosensei's `on_stack`. A panic is
//! carried over by hand: without its `unwind` feature that function lets none through.

#![expect(unsafe_code, reason = "runs a function on memory that a caller names")]

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use corosensei::stack::{DefaultStack, Stack, StackPointer};

/// A stack that somebody else owns, and vouches for where he names it.
pub(super) struct Borrowed {
    pub(super) base: usize,
    pub(super) limit: usize,
}

// SAFETY: the callers of `call_on` and `prepare` vouch for a guarded stack of sufficient size.
unsafe impl Stack for Borrowed {
    fn base(&self) -> StackPointer {
        StackPointer::new(self.base).expect("not null")
    }

    fn limit(&self) -> StackPointer {
        StackPointer::new(self.limit).expect("not null")
    }
}

/// Runs `f` on the stack `limit..base`, and returns or unwinds with what it gave.
///
/// # Safety
/// - `limit..base` is part of a stack that nobody uses meanwhile, with a guard at or below `limit`;
/// - `base` is 16-byte aligned.
pub unsafe fn call_on<R>(base: usize, limit: usize, f: impl FnOnce() -> R) -> R {
    carry_over(Borrowed { base, limit }, f)
}

/// Runs `f` on a fresh stack of `bytes` bytes with a guard.
///
/// # Errors
/// When the system gives no memory; `f` was not called.
pub fn call_on_new<R>(bytes: usize, f: impl FnOnce() -> R) -> io::Result<R> {
    Ok(carry_over(DefaultStack::new(bytes)?, f))
}

fn carry_over<R>(stack: impl Stack, f: impl FnOnce() -> R) -> R {
    let outcome = corosensei::on_stack(stack, || catch_unwind(AssertUnwindSafe(f)));
    outcome.unwrap_or_else(|payload| resume_unwind(payload))
}
