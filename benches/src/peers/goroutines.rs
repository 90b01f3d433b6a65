//! Goroutines: yielding, handing over, spawning, and single calls of the runtime.
#![expect(
    unsafe_code,
    reason = "starting a runtime is unsafe: its contract is about all code on it"
)]
//!
//! Each function enters the runtime, sets its scene, times the operation from inside of a
//! goroutine and leaves again, so that entering and leaving are not part of the interval.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use gopark::runtime::{Builder, Runtime};

use crate::measure::{Result, time};

/// A runtime with `procs` Ps whose goroutines may use `stack_limit` bytes, or the default.
pub(crate) fn runtime(procs: usize, stack_limit: Option<usize>) -> io::Result<Runtime> {
    let mut builder = Builder::new().procs(procs);
    if let Some(bytes) = stack_limit {
        builder = builder.stack_limit(bytes);
    }
    // SAFETY: no goroutine of this program holds a thread-local borrow, or a guard bound to its
    // thread, across a call that may suspend it.
    unsafe { builder.build() }
}

/// Two goroutines that yield in turn; the time that `count` of their yields take.
pub(crate) fn yields(runtime: &Runtime, count: u64) -> Result<Duration> {
    let mine = count.div_ceil(2);
    let (elapsed, theirs) = runtime.run(move || {
        let scene = Arc::new((AtomicBool::new(false), AtomicU64::new(0)));
        let partner = gopark::spawn({
            let scene = Arc::clone(&scene);
            move || {
                let (stop, yields) = &*scene;
                while !stop.load(Ordering::Relaxed) {
                    gopark::yield_now();
                    // A plain add: nobody else writes.
                    yields.store(yields.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
                }
            }
        });
        let (stop, yields) = &*scene;
        gopark::yield_now();
        let before = yields.load(Ordering::Relaxed);
        let elapsed = time(mine, gopark::yield_now);
        let theirs = yields.load(Ordering::Relaxed) - before;
        stop.store(true, Ordering::Relaxed);
        partner.join().expect("a partner that only yields");
        (elapsed, theirs)
    });
    // A few yields may find nobody else, not half of them.
    if theirs < mine / 2 {
        return Err(format!("the partner had {theirs} turns of {mine}: no real switches").into());
    }
    Ok(elapsed.mul_f64(count as f64 / (mine + theirs) as f64))
}

const MAIN: usize = 0;
const PARTNER: usize = 1;

/// What the first of two goroutines has done with its thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Thread {
    /// Nothing: both run on the same one.
    Shared,
    /// Locked it: each hand-over leads to another one.
    Locked,
}

/// Two goroutines that wake each other and park; the time that `count` hand-overs take.
pub(crate) fn handoffs(runtime: &Runtime, thread: Thread, count: u64) -> Duration {
    let round_trips = count.div_ceil(2);
    let elapsed = runtime.run(move || {
        let _locked = (thread == Thread::Locked).then(gopark::lock_os_thread);
        let turn = Arc::new(AtomicUsize::new(MAIN));
        let main = gopark::current();
        let partner = gopark::spawn({
            let turn = Arc::clone(&turn);
            move || {
                for _ in 0..=round_trips {
                    park_until(&turn, PARTNER);
                    // Release: a plain hand-over of the turn.
                    turn.store(MAIN, Ordering::Release);
                    main.unpark();
                }
            }
        });
        let round_trip = || {
            // Release: a plain hand-over of the turn.
            turn.store(PARTNER, Ordering::Release);
            partner.goroutine().unpark();
            park_until(&turn, MAIN);
        };
        // The first one starts the partner.
        round_trip();
        let elapsed = time(round_trips, round_trip);
        partner.join().expect("a partner that only hands over");
        elapsed
    });
    elapsed.mul_f64(count as f64 / (2 * round_trips) as f64)
}

/// As with threads, a park may end without a reason.
#[inline(always)]
fn park_until(turn: &AtomicUsize, me: usize) {
    // Acquire: pairs with the store of whoever passed the turn.
    while turn.load(Ordering::Acquire) != me {
        gopark::park();
    }
}

/// Spawns and joins, one at a time.
pub(crate) fn spawn_joins(runtime: &Runtime, count: u64) -> Duration {
    runtime.run(move || {
        let start = Instant::now();
        for _ in 0..count {
            gopark::spawn(|| ()).join().expect("an empty goroutine");
        }
        start.elapsed()
    })
}

/// Calls that may block and do not.
pub(crate) fn blocking_calls(runtime: &Runtime, count: u64) -> Duration {
    runtime.run(move || time(count, || gopark::blocking(|| ())))
}

/// Changes of the number of Ps from one to two and back.
pub(crate) fn resizes(runtime: &Runtime, count: u64) -> Result<Duration> {
    let (elapsed, procs) = runtime.run(move || {
        let elapsed = time(count, || {
            gopark::set_procs(2);
            gopark::set_procs(1);
        });
        (elapsed, gopark::procs())
    });
    match procs {
        1 => Ok(elapsed),
        procs => Err(format!("{procs} Ps after a change to one").into()),
    }
}
