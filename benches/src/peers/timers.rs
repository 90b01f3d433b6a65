//! Timers: how late they are, and what one costs that is stopped.

use std::time::{Duration, Instant};

use gopark::runtime::Runtime;

use super::latencies::Latencies;
use super::threads;
use crate::measure::Result;

/// How long sleepers sleep at most, and at least.
pub(crate) const SLEEP_MAX: Duration = Duration::from_millis(100);
const SLEEP_MIN: Duration = Duration::from_millis(1);

pub(crate) const SHORT: Duration = Duration::from_micros(50);

/// When a timer is due that will be stopped.
const FAR: Duration = Duration::from_secs(3600);

/// Timers that are set and stopped between two yields.
pub(crate) const YIELD_EVERY: u64 = 64;

/// Many sleepers, each of which sleeps once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Crowd {
    pub(crate) sleepers: u32,
    /// From the first spawn until the moment from which all delays count: all sleep by then.
    pub(crate) lead: Duration,
}

/// By how much a sleeper woke up too late.
fn late(due: Instant) -> Duration {
    let now = Instant::now();
    assert!(now >= due, "woken {:?} too early", due - now);
    now - due
}

impl Crowd {
    /// When the sleepers are due; the delays look random and are the same in every run.
    fn dues(self) -> impl Iterator<Item = Instant> {
        let begin = Instant::now() + self.lead;
        (0..self.sleepers).map(move |index| begin + delay(index))
    }

    pub(crate) fn goroutines(self, runtime: &Runtime) -> Result<Latencies> {
        Ok(runtime.run(move || {
            let sleepers = self.dues().map(|due| {
                gopark::spawn(move || {
                    let due = not_past(due);
                    gopark::time::sleep_until(due);
                    late(due)
                })
            });
            let sleepers: Vec<_> = sleepers.collect();
            let lates = sleepers.into_iter().map(|sleeper| sleeper.join());
            lates
                .map(|late| late.expect("nobody is too early"))
                .collect()
        }))
    }

    pub(crate) fn tasks(self, runtime: &tokio::runtime::Runtime) -> Result<Latencies> {
        runtime.block_on(async move {
            let sleepers = self.dues().map(|due| {
                tokio::spawn(async move {
                    let due = not_past(due);
                    tokio::time::sleep_until(due.into()).await;
                    late(due)
                })
            });
            let sleepers: Vec<_> = sleepers.collect();
            let mut lates = Vec::with_capacity(sleepers.len());
            for sleeper in sleepers {
                lates.push(sleeper.await?);
            }
            Ok(lates.into_iter().collect())
        })
    }
}

/// On a loaded machine a sleeper may begin when it ought to wake up. That is not its timer's fault.
fn not_past(due: Instant) -> Instant {
    due.max(Instant::now() + SLEEP_MIN)
}

/// Between the least and the longest sleep: a multiplicative hash, in microseconds.
fn delay(index: u32) -> Duration {
    let range = (SLEEP_MAX - SLEEP_MIN).as_micros() as u64;
    let hash = u64::from(index.wrapping_mul(0x9E37_79B9));
    SLEEP_MIN + Duration::from_micros((hash * range) >> 32)
}

/// One goroutine that sleeps for a short time, while nothing else runs.
pub(crate) fn short_goroutine(runtime: &Runtime, count: u32) -> Latencies {
    runtime.run(move || {
        let sleeps = (0..count).map(|_| short(gopark::time::sleep));
        sleeps.collect()
    })
}

/// The same with a thread, with the kernel's slack of 50 us unless somebody has set another.
pub(crate) fn short_thread(count: u32) -> Latencies {
    (0..count).map(|_| short(threads::sleep)).collect()
}

fn short(sleep: impl Fn(Duration)) -> Duration {
    let due = Instant::now() + SHORT;
    sleep(SHORT);
    late(due)
}

/// The same with a task.
pub(crate) fn short_task(runtime: &tokio::runtime::Runtime, count: u32) -> Result<Latencies> {
    let sleeper = runtime.spawn(async move {
        let mut lates = Vec::with_capacity(count as usize);
        for _ in 0..count {
            let due = Instant::now() + SHORT;
            tokio::time::sleep(SHORT).await;
            lates.push(late(due));
        }
        lates
    });
    Ok(runtime.block_on(sleeper)?.into_iter().collect())
}

/// Sets `count` timers, then stops them all: how long each half takes.
pub(crate) fn set_and_stop_all(runtime: &Runtime, count: u32) -> Result<[Duration; 2]> {
    runtime.run(move || {
        let mut timers = Vec::with_capacity(count as usize);
        let start = Instant::now();
        for index in 0..count {
            timers.push(gopark::time::after_func(FAR + delay(index), || ()));
        }
        let set = start.elapsed();
        let start = Instant::now();
        let stopped = timers.iter().filter(|timer| timer.stop()).count();
        let stop = start.elapsed();
        if stopped != timers.len() {
            return Err(format!("{stopped} of {count} were to come, after a moment").into());
        }
        Ok([set, stop])
    })
}

/// Sets a timer and stops it, again and again: a time limit that is not reached.
///
/// It yields now and then: what the runtime does elsewhere for stopped timers is part of their
/// price.
pub(crate) fn set_and_stop_each(runtime: &Runtime, count: u64) -> Duration {
    runtime.run(move || {
        let start = Instant::now();
        for number in 1..=count {
            gopark::time::after_func(FAR, || ()).stop();
            if number % YIELD_EVERY == 0 {
                gopark::yield_now();
            }
        }
        start.elapsed()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peers::goroutines;
    use crate::peers::tasks::{self, Workers};

    #[test]
    fn delays_fill_their_range() {
        let mut delays: Vec<_> = (0..1000).map(delay).collect();
        delays.sort_unstable();
        assert!(SLEEP_MIN <= delays[0] && delays[0] < Duration::from_millis(2));
        assert!(Duration::from_millis(99) < delays[999] && delays[999] < SLEEP_MAX);
    }

    #[test]
    fn every_sleeper_counts() {
        let crowd = Crowd {
            sleepers: 10,
            lead: Duration::from_millis(1),
        };
        let runtime = goroutines::runtime(1, None).unwrap();
        assert_eq!(crowd.goroutines(&runtime).unwrap().count(), 10);
        assert_eq!(short_goroutine(&runtime, 3).count(), 3);
        let runtime = tasks::runtime(Workers::Caller).unwrap();
        assert_eq!(crowd.tasks(&runtime).unwrap().count(), 10);
        assert_eq!(short_task(&runtime, 3).unwrap().count(), 3);
    }

    #[test]
    fn stopped_timers_were_to_come() {
        let runtime = goroutines::runtime(1, None).unwrap();
        set_and_stop_all(&runtime, 100).unwrap();
    }
}
