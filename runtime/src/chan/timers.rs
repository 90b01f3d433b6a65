//! Receivers whose messages are moments: they are computed from the clock.
//!
//! Nothing runs for such a channel. Who receives sleeps until its moment; a select takes that for a
//! deadline of its own.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::error::RecvTimeoutError;
use crate::sys::clock::{self, NEVER};
use crate::task::reason::Wait;
use crate::wait::parker::{self, Ended, Lists};

/// Delivers one moment when it has come.
pub(super) struct At<T> {
    moment: Instant,
    when: u64,
    is_received: AtomicBool,
    message: fn(Instant) -> T,
}

/// Delivers moments at a regular pace; one that nobody receives in time is left out.
pub(super) struct Tick<T> {
    period: u64,
    next: AtomicU64,
    message: fn(Instant) -> T,
}

/// A channel whose messages come by themselves.
pub(super) trait Timed<T> {
    /// When the next message comes; [`NEVER`] if none does.
    fn next(&self) -> u64;

    /// Takes the message that has come, as a moment.
    fn take_moment(&self) -> Option<u64>;

    /// The message of a moment that was taken.
    fn message(&self, moment: u64) -> Option<T>;
}

impl At<Instant> {
    pub(super) fn new(moment: Instant) -> At<Instant> {
        At {
            moment,
            when: clock::of(moment),
            is_received: AtomicBool::new(false),
            message: |moment| moment,
        }
    }
}

impl<T> Timed<T> for At<T> {
    fn next(&self) -> u64 {
        if self.is_received.load(Ordering::Relaxed) {
            NEVER
        } else {
            self.when
        }
    }

    fn take_moment(&self) -> Option<u64> {
        let has_come = !self.is_received.load(Ordering::Relaxed) && self.when <= clock::now();
        let is_first = has_come && !self.is_received.swap(true, Ordering::Relaxed);
        is_first.then_some(self.when)
    }

    fn message(&self, _: u64) -> Option<T> {
        Some((self.message)(self.moment))
    }
}

impl Tick<Instant> {
    /// The first comes one period from now.
    pub(super) fn new(period: Duration) -> Tick<Instant> {
        Tick {
            period: clock::nanos(period),
            next: AtomicU64::new(clock::after(period)),
            message: |moment| moment,
        }
    }
}

impl<T> Timed<T> for Tick<T> {
    fn next(&self) -> u64 {
        self.next.load(Ordering::Relaxed)
    }

    fn take_moment(&self) -> Option<u64> {
        let due = self.next.load(Ordering::Relaxed);
        let now = clock::now();
        if due > now {
            return None;
        }
        let next = now.saturating_add(self.period);
        let taken = self
            .next
            .compare_exchange(due, next, Ordering::Relaxed, Ordering::Relaxed);
        taken.ok()
    }

    fn message(&self, moment: u64) -> Option<T> {
        clock::instant(moment).map(self.message)
    }
}

/// Receives, or waits until `until`; `None` does not wait.
pub(super) fn recv<T>(timed: &dyn Timed<T>, until: Option<u64>) -> Result<T, RecvTimeoutError> {
    loop {
        if let Some(message) = timed.take_moment().and_then(|at| timed.message(at)) {
            return Ok(message);
        }
        wait(timed.next(), until)?;
    }
}

/// Receives what never comes.
pub(super) fn recv_never<T>(until: Option<u64>) -> Result<T, RecvTimeoutError> {
    loop {
        wait(NEVER, until)?;
    }
}

/// Sleeps until `next`, but not longer than `until`.
fn wait(next: u64, until: Option<u64>) -> Result<(), RecvTimeoutError> {
    let until = until.ok_or(RecvTimeoutError::Timeout)?;
    let is_over = |moment| moment != NEVER && moment <= clock::now();
    if is_over(until) {
        return Err(RecvTimeoutError::Timeout);
    }
    if !is_over(next) {
        let why = if next == NEVER {
            Wait::Never
        } else {
            Wait::Timer
        };
        let ended = parker::park(Lists::One, why, until.min(next), |_| true);
        if ended == Ended::Interrupted {
            parker::heed();
        }
    }
    Ok(())
}
