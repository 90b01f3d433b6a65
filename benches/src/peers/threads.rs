//! OS threads: what a program without goroutines would use.
//!
//! On one core (*pinned*) a hand-over between threads is two system calls and a context switch.
//! On two cores it is an interrupt to a sleeping core as well, which is many times dearer; the
//! kernel decides which of the two a program gets. Both are measured.

use std::io;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use super::accounts;
use super::baton::Baton;
use crate::facts;
use crate::measure::{Result, time};

/// Where two threads run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Placement {
    /// Both on the same core.
    Pinned,
    /// Where the kernel likes.
    Free,
}

impl Placement {
    /// Cores that the two threads may use.
    pub(crate) fn cores(self) -> usize {
        match self {
            Self::Pinned => 1,
            Self::Free => facts::cores(),
        }
    }

    /// Applies to the calling thread.
    fn take(self) -> io::Result<()> {
        if self == Self::Free {
            return Ok(());
        }
        let allowed = sched_getaffinity(None)?;
        // The last core: interrupts mostly go to the first.
        let last = (0..CpuSet::MAX_CPU).rev().find(|&cpu| allowed.is_set(cpu));
        let mut one = CpuSet::new();
        one.set(last.expect("a running thread has a core"));
        Ok(sched_setaffinity(None, &one)?)
    }
}

/// Runs `f` on a thread of its own at this place; threads that it starts stay there too.
pub(crate) fn placed<T: Send>(
    placement: Placement,
    f: impl FnOnce() -> io::Result<T> + Send,
) -> io::Result<T> {
    thread::scope(|scope| {
        let thread = scope.spawn(|| placement.take().and_then(|()| f()));
        thread.join().expect("a thread that does not panic")
    })
}

/// Two threads that pass a baton; the time that `count` hand-overs take.
pub(crate) fn handoffs(baton: &impl Baton, placement: Placement, count: u64) -> Result<Duration> {
    let round_trips = count.div_ceil(2);
    let elapsed = thread::scope(|scope| {
        let partner = scope.spawn(move || {
            let placed = placement.take();
            for _ in 0..=round_trips {
                baton.wait(1);
                baton.pass(0);
            }
            placed
        });
        let main = scope.spawn(move || {
            let placed = placement.take();
            let round_trip = || {
                baton.pass(1);
                baton.wait(0);
            };
            // The first one waits until the partner has started.
            round_trip();
            let elapsed = time(round_trips, round_trip);
            placed.map(|()| elapsed)
        });
        partner.join().expect("a partner that only hands over")?;
        main.join().expect("a thread that only hands over")
    })?;
    Ok(elapsed.mul_f64(count as f64 / (2 * round_trips) as f64))
}

/// Two threads on one core that yield; the time that `count` switches between them take.
///
/// The kernel need not switch at a yield, so the switches are counted, not the calls.
pub(crate) fn yields(count: u64) -> Result<Duration> {
    let (stop, start) = (&AtomicBool::new(false), &Barrier::new(2));
    thread::scope(|scope| {
        let partner = scope.spawn(move || {
            let placed = Placement::Pinned.take();
            start.wait();
            while !stop.load(Ordering::Relaxed) {
                thread::yield_now();
            }
            placed
        });
        let main = scope.spawn(move || {
            let placed = Placement::Pinned.take();
            start.wait();
            let before = accounts::own_switches();
            let elapsed = time(count.div_ceil(2), thread::yield_now);
            let away = accounts::own_switches() - before;
            stop.store(true, Ordering::Relaxed);
            placed.map(|()| elapsed.mul_f64(count as f64 / (2 * away).max(1) as f64))
        });
        partner.join().expect("a partner that only yields")?;
        Ok(main.join().expect("a thread that only yields")?)
    })
}

/// Blocks the calling thread, and whichever goroutine runs on it.
#[expect(
    clippy::disallowed_methods,
    reason = "on a plain thread, or where a blocked thread is what is measured"
)]
pub(crate) fn sleep(time: Duration) {
    thread::sleep(time);
}

/// Spawns and joins, one at a time.
pub(crate) fn spawn_joins(count: u64) -> Result<Duration> {
    let start = Instant::now();
    for _ in 0..count {
        thread::Builder::new()
            .spawn(|| ())?
            .join()
            .expect("an empty thread");
    }
    Ok(start.elapsed())
}
