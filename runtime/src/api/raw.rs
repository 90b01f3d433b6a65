//! Park and ready, the low level under every blocking operation (Go's `gopark` and `goready`).
//!
//! A primitive that wants to block a goroutine calls [`park`](fn@park) with a closure that puts the
//! [`Waiter`] where a waker will find it. The waker takes it out and calls [`Waiter::ready`].

use crate::sched::header::G;
use crate::sched::park;
pub use crate::sched::park::Waiter;

/// Parks the calling goroutine if `commit` returns true.
///
/// `commit` runs before the goroutine is suspended, on its stack. It publishes the waiter, and may
/// release a lock that protects the place; whoever finds the waiter may call
/// [`ready`](Waiter::ready) at once. If it returns false, `park` returns at once; the waiter must
/// then not have been published, or have been taken back.
///
/// There are no spurious returns: each park ends by the one `ready` of its own waiter. If the
/// goroutine is cancelled meanwhile, its runtime is dropped, or a time limit is reached, the park
/// unwinds, and [`ready`](Waiter::ready) then gives false and wakes nothing. When `ready` has given
/// true, the park returns normally, and the unwinding waits for the next suspension.
///
/// ```
/// use std::sync::{Arc, Mutex};
///
/// use gopark::raw::{self, Waiter};
///
/// # // SAFETY: no thread-local borrows here.
/// # unsafe { gopark::run(|| {
/// let waiting: Arc<Mutex<Option<Waiter>>> = Arc::default();
/// let place = Arc::clone(&waiting);
/// let parked = gopark::spawn(move || {
///     raw::park(|waiter| {
///         *place.lock().unwrap() = Some(waiter);
///         true
///     });
///     "woken"
/// });
/// let waiter = loop {
///     gopark::yield_now();
///     if let Some(waiter) = waiting.lock().unwrap().take() {
///         break waiter;
///     }
/// };
/// assert!(waiter.ready());
/// assert_eq!(parked.join().unwrap(), "woken");
/// # }) }
/// ```
///
/// # Panics
/// When called outside a goroutine, and when `commit` parks or yields. A panic of `commit` is
/// passed on; nothing was parked.
#[doc(alias = "gopark")]
#[track_caller]
pub fn park(commit: impl FnOnce(Waiter) -> bool) {
    let g = G::must_be_current("gopark::raw::park");
    park::park_raw(g, commit);
}
