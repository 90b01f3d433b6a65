//! Regular ticks.

use std::time::{Duration, Instant};

use super::sleep::sleep_until;

/// Ticks at a regular pace; see [`interval`].
#[derive(Debug)]
pub struct Interval {
    period: Duration,
    next: Option<Instant>,
}

/// Ticks every `period`, the first time one period from now.
///
/// # Panics
/// When `period` is zero.
#[doc(alias = "NewTicker")]
#[track_caller]
pub fn interval(period: Duration) -> Interval {
    assert!(
        !period.is_zero(),
        "gopark::time::interval: the period of {period:?} is not positive"
    );
    Interval {
        period,
        next: Instant::now().checked_add(period),
    }
}

impl Interval {
    /// Waits for the next tick and returns the moment that it was due. Ticks that nobody waited for
    /// in time are left out, as Go's ticker drops them; the pace stays that of the first tick.
    ///
    /// # Panics
    /// As [`sleep`](fn@crate::time::sleep).
    pub fn tick(&mut self) -> Instant {
        let Some(due) = self.next else {
            // Beyond what the clock can say.
            loop {
                super::sleep::sleep(Duration::MAX);
            }
        };
        sleep_until(due);
        let late = due.elapsed().as_nanos() / self.period.as_nanos();
        let periods = u32::try_from(late + 1).unwrap_or(u32::MAX);
        let step = self.period.checked_mul(periods);
        self.next = step.and_then(|step| due.checked_add(step));
        due
    }

    /// The time between two ticks.
    pub fn period(&self) -> Duration {
        self.period
    }

    /// The next tick comes one period from now.
    pub fn reset(&mut self) {
        self.next = Instant::now().checked_add(self.period);
    }
}
