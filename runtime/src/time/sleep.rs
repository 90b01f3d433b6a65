//! Sleeping.

use std::time::{Duration, Instant};

use crate::sched::blocking::Aside;
use crate::sched::header::G;
use crate::sched::{park, timed};
use crate::sys::clock;

/// Blocks the calling goroutine for at least `time`; other goroutines run meanwhile. Zero returns
/// at once. On a plain thread: [`std::thread::sleep`].
///
/// # Panics
/// Unwinds with [`Cancelled`](crate::Cancelled) when the runtime is dropped.
pub fn sleep(time: Duration) {
    if time.is_zero() {
        return;
    }
    match G::current() {
        Some(g) => timed::sleep_until(g, clock::after(time)),
        None => sleep_thread(time),
    }
}

/// Blocks the calling goroutine until `moment`; returns at once if that has come. On a plain
/// thread: the thread.
///
/// # Panics
/// As [`sleep`].
pub fn sleep_until(moment: Instant) {
    let left = moment.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return;
    }
    match G::current() {
        Some(g) => timed::sleep_until(g, clock::of(moment)),
        None => sleep_thread(left),
    }
}

#[expect(clippy::disallowed_methods, reason = "there is no M here to block")]
fn sleep_thread(time: Duration) {
    let _aside = Aside::begin();
    std::thread::sleep(time);
}

/// Waits like [`park`](fn@crate::park), but for `time` at most. Whether the token came is not told,
/// as in std; an `unpark` that comes too late is kept for the next park.
///
/// # Panics
/// As [`park`](fn@crate::park).
#[track_caller]
pub fn park_timeout(time: Duration) {
    let g = G::must_be_current("gopark::park_timeout");
    if g.state.take_token() || time.is_zero() {
        return park::yield_now(g);
    }
    timed::park_by_token_until(g, clock::after(time));
}
