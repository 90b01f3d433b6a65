//! Coroutines that sleep beside others that do not let go of their workers.
//!
//! may knows no word for a call that blocks its thread.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use may::coroutine::{self, JoinHandle};

use super::gate::Gate;
use crate::peers::may::{join, root, spawn};
use crate::peers::threads;
use crate::solo::Answer;
use crate::solo::tick::{BESIDE_BLOCKED, BESIDE_HOGS, HOGS_PER_PROC, Ticks, hog, lateness};

pub(super) fn hogs(procs: usize, time: Duration) -> Answer {
    lateness(root(move || {
        let gate = Gate::new(1);
        let deadline = Instant::now() + BESIDE_HOGS + time;
        let ticker = tick(BESIDE_HOGS, &gate, move || Instant::now() >= deadline);
        gate.wait_for_all();
        let hogs = (0..HOGS_PER_PROC * procs).map(|_| spawn(move || hog(deadline)));
        let hogs: Vec<_> = hogs.collect();
        let late = join(ticker);
        hogs.into_iter().for_each(join);
        late
    })?)
}

pub(super) fn blocked(procs: usize, time: Duration) -> Answer {
    lateness(root(move || {
        let gate = Gate::new(procs);
        let over = Arc::new(AtomicBool::new(false));
        let tickers = (0..procs).map(|_| {
            let over = Arc::clone(&over);
            tick(BESIDE_BLOCKED, &gate, move || over.load(Ordering::Relaxed))
        });
        let tickers: Vec<_> = tickers.collect();
        gate.wait_for_all();
        let blocked = spawn(move || {
            threads::sleep(time);
            over.store(true, Ordering::Relaxed);
        });
        let late: Vec<_> = tickers.into_iter().flat_map(join).collect();
        join(blocked);
        late
    })?)
}

/// Somebody who sleeps again and again, at least twice, until it is over: how late each of its
/// moments was but the first, after which it arrives at the gate.
fn tick(
    period: Duration,
    gate: &Arc<Gate>,
    over: impl Fn() -> bool + Send + 'static,
) -> JoinHandle<Vec<Duration>> {
    let gate = Arc::clone(gate);
    spawn(move || {
        let mut ticks = Ticks::every(period);
        let next = |ticks: &mut Ticks| {
            coroutine::sleep(ticks.ahead());
            ticks.awake(Instant::now());
        };
        next(&mut ticks);
        ticks.begin();
        gate.arrive();
        while !over() {
            next(&mut ticks);
        }
        ticks.late()
    })
}
