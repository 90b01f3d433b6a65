//! Somebody who wakes up at moments that are set beforehand, and how late that is.

use std::hint;
use std::time::{Duration, Instant};

use super::Answer;
use crate::peers::latencies::Latencies;

/// Between two moments, beside hogs and beside a thread that is blocked.
pub(super) const BESIDE_HOGS: Duration = Duration::from_millis(10);
pub(super) const BESIDE_BLOCKED: Duration = Duration::from_millis(1);

/// How many hogs there are for each core.
pub(super) const HOGS_PER_PROC: usize = 2;

/// Uses the CPU until `end`, and knows of no runtime.
pub(super) fn hog(end: Instant) {
    while Instant::now() < end {
        hint::spin_loop();
    }
}

/// Moments with a period between them.
#[derive(Debug)]
pub(super) struct Ticks {
    period: Duration,
    due: Instant,
    late: Vec<Duration>,
}

impl Ticks {
    /// The first one is a period from now.
    pub(super) fn every(period: Duration) -> Self {
        Self {
            period,
            due: Instant::now() + period,
            late: Vec::new(),
        }
    }

    /// How long to sleep until the next moment.
    pub(super) fn ahead(&self) -> Duration {
        self.due.saturating_duration_since(Instant::now())
    }

    /// Awake again, at `now`: how late that is counts. The next moment is the first one after now.
    pub(super) fn awake(&mut self, now: Instant) {
        self.late.push(now.saturating_duration_since(self.due));
        while self.due <= now {
            self.due += self.period;
        }
    }

    /// Forgets what was late so far.
    pub(super) fn begin(&mut self) {
        self.late.clear();
    }

    pub(super) fn late(self) -> Vec<Duration> {
        self.late
    }
}

/// What stands in the answer, in microseconds.
pub(super) fn lateness(all: impl IntoIterator<Item = Duration>) -> Answer {
    let all: Latencies = all.into_iter().collect();
    if all.count() == 0 {
        return Err("nobody woke up within the time".into());
    }
    Ok(vec![
        ("p50", all.quantile_us(0.5)),
        ("p99", all.quantile_us(0.99)),
        ("max", all.max_us()),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_that_were_missed_are_skipped_and_counted_once() {
        let mut ticks = Ticks::every(Duration::from_secs(10));
        let first = ticks.due;
        ticks.awake(first + Duration::from_secs(1));
        ticks.awake(first + Duration::from_secs(35));
        assert_eq!(ticks.due, first + Duration::from_secs(40));
        assert_eq!(ticks.late(), [1, 25].map(Duration::from_secs));
    }

    #[test]
    fn nobody_awake_is_no_answer() {
        assert!(lateness([]).is_err());
        let answer = lateness([Duration::from_millis(2); 3]).unwrap();
        assert_eq!(answer.len(), 3);
    }
}
