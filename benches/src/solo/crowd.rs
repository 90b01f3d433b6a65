//! Many that wait: when sleepers are to wake up, and what those at a gate cost.
//!
//! Only how they wait depends on who they are.

use std::time::{Duration, Instant};

use crate::peers::parked::Memory;

/// Over which the moments of sleepers are spread.
const SPREAD: Duration = Duration::from_millis(100);

/// Before the first moment all are to be asleep: there is this time, and some for each.
const LEAD: Duration = Duration::from_millis(100);
pub(super) const LEAD_EACH: Duration = Duration::from_micros(2);

/// How long nothing happens at `idle`.
pub(super) const IDLE: Duration = Duration::from_secs(1);

/// Moments at which sleepers wake up.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moments {
    first: Instant,
    count: u32,
}

impl Moments {
    /// For so many, of whom each needs `lead_each` to fall asleep.
    pub(super) fn new(count: usize, lead_each: Duration) -> Result<Self, String> {
        let count = u32::try_from(count).map_err(|_| format!("{count} sleepers are too many"))?;
        Ok(Self {
            first: Instant::now() + LEAD + lead_each * count,
            count,
        })
    }

    pub(super) fn all(self) -> impl Iterator<Item = Instant> {
        let part = move |index| f64::from(index) / f64::from(self.count);
        (0..self.count).map(move |index| self.first + SPREAD.mul_f64(part(index)))
    }

    /// All are spawned: an error if one was due already.
    pub(super) fn check(self) -> Result<(), String> {
        if Instant::now() > self.first {
            return Err("the first was due before all were spawned".into());
        }
        Ok(())
    }
}

/// Awake: how late that is.
pub(super) fn late(due: Instant) -> Duration {
    let now = Instant::now();
    assert!(now >= due, "woken {:?} too early", due - now);
    now - due
}

/// What a crowd costs that is about to gather.
#[derive(Debug)]
pub(super) struct Gathering {
    before: Memory,
    start: Instant,
}

impl Gathering {
    pub(super) fn begin() -> Self {
        Self {
            before: Memory::now(),
            start: Instant::now(),
        }
    }

    /// All are there, and about to be released.
    pub(super) fn complete(self) -> Departure {
        let gathered = self.start.elapsed();
        let after = Memory::now();
        Departure {
            bytes: after.bytes - self.before.bytes,
            gathered,
            start: Instant::now(),
        }
    }
}

/// What it costs to let a crowd go.
#[derive(Debug)]
pub(super) struct Departure {
    bytes: f64,
    gathered: Duration,
    start: Instant,
}

impl Departure {
    /// All of `count` are gone: what stands in the answer.
    pub(super) fn answer(self, count: usize) -> Vec<(&'static str, f64)> {
        let released = self.start.elapsed();
        let each = |total: f64| total / count as f64;
        vec![
            ("bytes", each(self.bytes)),
            ("spawn", each(self.gathered.as_nanos() as f64)),
            ("wake", each(released.as_nanos() as f64)),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_spread_after_the_first() {
        let moments = Moments::new(4, Duration::from_secs(100)).unwrap();
        let all: Vec<_> = moments.all().map(|due| due - moments.first).collect();
        assert_eq!(all, [0, 25, 50, 75].map(Duration::from_millis));
        assert_eq!(moments.check(), Ok(()));
        let past = Moments {
            first: Instant::now() - Duration::from_millis(1),
            count: 1,
        };
        assert!(past.check().is_err());
        let refused = Moments::new(1 << 40, LEAD_EACH).unwrap_err();
        assert!(refused.contains("1099511627776"), "{refused}");
    }
}
