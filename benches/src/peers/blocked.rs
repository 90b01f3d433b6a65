//! A thread that blocks while goroutines wait for its P.
//!
//! The goroutine that blocks has just begun its slice, so nobody takes the P from it for another
//! reason.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use super::{goroutines, threads};
use crate::measure::{Result, median};

pub(crate) const WAITING: usize = 1000;
pub(crate) const BLOCKED: Duration = Duration::from_millis(300);

/// Until sysmon has slowed down, as it does beside a P that is busy and on which nobody waits.
const BUSY: Duration = Duration::from_millis(30);

/// How long to wait for those that have not run when the blocked thread is back.
const LATE_MAX: Duration = Duration::from_secs(10);

/// Rounds for each that counts. On a loaded machine the slice may be over before the sleep begins.
const ATTEMPTS: usize = 5;

/// How the thread blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Call {
    /// Without a word.
    Unsaid,
    /// Inside of `gopark::blocking`.
    Said,
}

/// What one process found, from the begin of the sleep: medians of its rounds.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Found {
    /// Until the first ran.
    pub(crate) first_us: f64,
    /// Until the last ran.
    pub(crate) all_us: f64,
}

/// Blocks a thread `rounds` times, each in a new runtime.
pub(crate) fn measure(call: Call, rounds: usize) -> Result<Found> {
    let (mut firsts, mut alls) = (Vec::new(), Vec::new());
    for _ in 0..rounds * ATTEMPTS {
        if let Some([first, all]) = round(call)? {
            firsts.push(first.as_secs_f64() * 1e6);
            alls.push(all.as_secs_f64() * 1e6);
        }
        if firsts.len() == rounds {
            return Ok(Found {
                first_us: median(firsts),
                all_us: median(alls),
            });
        }
    }
    Err("others ran before the thread was blocked, in most rounds".into())
}

/// Moments of goroutines.
#[derive(Debug)]
struct Log {
    begin: Instant,
    ran: AtomicUsize,
    first_ns: AtomicU64,
    last_ns: AtomicU64,
}

impl Log {
    fn new() -> Self {
        Self {
            begin: Instant::now(),
            ran: AtomicUsize::new(0),
            first_ns: AtomicU64::new(u64::MAX),
            last_ns: AtomicU64::new(0),
        }
    }

    fn note(&self) {
        let now = self.begin.elapsed().as_nanos() as u64;
        self.first_ns.fetch_min(now, Ordering::Relaxed);
        self.last_ns.fetch_max(now, Ordering::Relaxed);
        // Release: who sees the count sees the moments.
        self.ran.fetch_add(1, Ordering::Release);
    }

    /// From `start` until the first and the last; `None` if one was before that.
    fn since(&self, start: Duration) -> Option<[Duration; 2]> {
        let moments = [&self.first_ns, &self.last_ns].map(|ns| ns.load(Ordering::Relaxed));
        let [first, last] = moments.map(|ns| Duration::from_nanos(ns).checked_sub(start));
        Some([first?, last?])
    }
}

fn round(call: Call) -> Result<Option<[Duration; 2]>> {
    let runtime = goroutines::runtime(1, None)?;
    let log = Arc::new(Log::new());
    let (start, ran) = runtime.run(|| {
        let busy = Instant::now();
        while busy.elapsed() < BUSY {
            gopark::yield_now();
        }
        // Somebody else has a turn: a new slice.
        gopark::go(|| ());
        gopark::yield_now();
        for _ in 0..WAITING {
            let log = Arc::clone(&log);
            gopark::go(move || log.note());
        }
        let start = log.begin.elapsed();
        match call {
            Call::Unsaid => threads::sleep(BLOCKED),
            Call::Said => gopark::blocking(|| threads::sleep(BLOCKED)),
        }
        // Late ones count as late: on a loaded machine all threads may wait for a core that long.
        let woken = Instant::now();
        // Acquire: pairs with the Release in `note`.
        while log.ran.load(Ordering::Acquire) < WAITING && woken.elapsed() < LATE_MAX {
            gopark::yield_now();
        }
        // Acquire: as above.
        (start, log.ran.load(Ordering::Acquire))
    });
    if ran < WAITING {
        return Err(format!("only {ran} of {WAITING} ran at all").into());
    }
    Ok(log.since(start))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_round_in_which_somebody_ran_too_early_does_not_count() {
        let log = Log::new();
        log.note();
        let late = log.begin.elapsed() + Duration::from_millis(1);
        assert_eq!(log.since(late), None);
        let [first, last] = log.since(Duration::ZERO).unwrap();
        assert_eq!(first, last);
    }
}
