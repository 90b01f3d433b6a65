//! Park and ready, the low level under every blocking operation (Go's `gopark` and `goready`).
//!
//! A primitive that wants to block a goroutine calls [`park`](fn@park) with a closure that puts the
//! [`Waiter`] where a waker will find it. The waker takes it out and calls [`Waiter::ready`].

use crate::sched::header::{G, Wait};
use crate::sched::park;
pub use crate::sched::park::Waiter;

/// Parks the calling goroutine if `commit` returns true.
///
/// `commit` runs before the goroutine is suspended, on its stack. It publishes the waiter, and may
/// release a lock that protects the place; whoever finds the waiter may call
/// [`ready`](Waiter::ready) at once. If it returns false, `park` returns at once; the waiter must
/// then not have been published, or have been taken back.
///
/// There are no spurious returns: each park ends by one `ready`. If the goroutine's runtime is
/// dropped meanwhile, the park unwinds with [`Cancelled`](crate::Cancelled).
///
/// # Panics
/// When called outside a goroutine, and when `commit` parks or yields. A panic of `commit` is
/// passed on; nothing was parked.
#[doc(alias = "gopark")]
#[track_caller]
pub fn park(commit: impl FnOnce(Waiter) -> bool) {
    let g = G::must_be_current("gopark::raw::park");
    let waiter = Waiter::of(g);
    park::park_with(g, Wait::Raw, move || commit(waiter));
}
