//! Hogs: goroutines that run and run without a call of the runtime.
//!
//! Two of them share a P by slices, and a goroutine that is woken beside them gets in between.
//!
//! ```text
//!  hog 1   ▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇·····················▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇
//!  hog 2   ·····················▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇················
//!  ticker  ········(woken)······················· ▇ ················
//!                  └─ latency ───────────────────┘
//! ```

use std::hint;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, TryRecvError, channel};
use std::time::{Duration, Instant};

use gopark::runtime::Runtime;
use serde::{Deserialize, Serialize};

use super::accounts::{Accounts, Who};
use super::{goroutines, threads};
use crate::measure::Result;

/// No multiple of a slice, so that wakes fall on all parts of one.
const TICK: Duration = Duration::from_millis(23);

/// Until slices alternate and sysmon has found its pace.
pub(super) const SETTLING: Duration = Duration::from_millis(100);

/// What one process found.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Found {
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
    pub(crate) max_ms: f64,
    /// Of the work of both hogs, what the first did.
    pub(crate) share: f64,
    pub(crate) sysmon_percent: f64,
}

/// A goroutine that runs until this is dropped.
pub(super) struct Hog(Arc<Scene>);

#[derive(Default)]
struct Scene {
    stop: AtomicBool,
    work: AtomicU64,
}

impl Hog {
    pub(super) fn start(runtime: &Runtime) -> Self {
        let scene = Arc::new(Scene::default());
        let theirs = Arc::clone(&scene);
        // Detached: the end of the runtime waits for it.
        drop(runtime.spawn(move || theirs.run()));
        Self(scene)
    }

    fn work(&self) -> u64 {
        self.0.work.load(Ordering::Relaxed)
    }
}

impl Drop for Hog {
    fn drop(&mut self) {
        self.0.stop.store(true, Ordering::Relaxed);
    }
}

impl Scene {
    fn run(&self) {
        while !self.stop.load(Ordering::Relaxed) {
            for _ in 0..100 {
                hint::spin_loop();
            }
            // A plain add: nobody else writes.
            let done = self.work.load(Ordering::Relaxed);
            self.work.store(done + 1, Ordering::Relaxed);
        }
    }
}

/// Two hogs and a ticker on one P, for `time`.
pub(crate) fn measure(time: Duration) -> Result<Found> {
    let runtime = goroutines::runtime(1, None)?;
    let hogs = [Hog::start(&runtime), Hog::start(&runtime)];
    let (wakes, woken) = channel();
    let ticker = runtime.spawn(move || latencies(&woken));

    threads::sleep(SETTLING);
    let work = |hogs: &[Hog; 2]| hogs.each_ref().map(Hog::work);
    let work_before = work(&hogs);
    let before = Accounts::of(Who::Sysmon)?;
    let start = Instant::now();
    while start.elapsed() < time {
        threads::sleep(TICK);
        wakes.send(Instant::now())?;
        ticker.goroutine().unpark();
    }
    let activity = Accounts::of(Who::Sysmon)?.since(&before)?;
    let work_after = work(&hogs);

    drop(wakes);
    ticker.goroutine().unpark();
    let found = ticker.join().map_err(|_| "the ticker panicked")?;
    let [first, second] = [0, 1].map(|hog| (work_after[hog] - work_before[hog]) as f64);
    let quantile_ms = |part| quantile(&found, part).as_secs_f64() * 1e3;
    Ok(Found {
        p50_ms: quantile_ms(0.5),
        p99_ms: quantile_ms(0.99),
        max_ms: quantile_ms(1.0),
        share: first / (first + second),
        sysmon_percent: activity.cpu_percent,
    })
}

/// The ticker: what passed from each wake until it ran, sorted.
///
/// Wakes that come before it has run count each on their own, so a long wait is not one wait only.
fn latencies(woken: &Receiver<Instant>) -> Vec<Duration> {
    let mut found = Vec::new();
    loop {
        match woken.try_recv() {
            Ok(at) => found.push(at.elapsed()),
            Err(TryRecvError::Empty) => gopark::park(),
            Err(TryRecvError::Disconnected) => break,
        }
    }
    found.sort_unstable();
    found
}

/// The least value that `part` of all do not exceed.
fn quantile(sorted: &[Duration], part: f64) -> Duration {
    let rank = (part * sorted.len() as f64).ceil() as usize;
    sorted[rank.max(1) - 1]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantile_is_a_value_that_was_seen() {
        let sorted: Vec<_> = (1..=100).map(Duration::from_millis).collect();
        let ms = |part| quantile(&sorted, part).as_millis();
        assert_eq!([ms(0.0), ms(0.5), ms(0.99), ms(1.0)], [1, 50, 99, 100]);
        assert_eq!(
            quantile(&sorted[..43], 0.99),
            sorted[42],
            "of few, the last"
        );
    }

    #[test]
    fn each_wake_counts_also_when_it_is_late() {
        let (wakes, woken) = channel();
        let now = Instant::now();
        for late in [5, 0] {
            wakes.send(now - Duration::from_secs(late)).unwrap();
        }
        drop(wakes);
        let found = latencies(&woken);
        assert_eq!(found.len(), 2);
        assert!(found[1] - found[0] > Duration::from_secs(4));
    }
}
