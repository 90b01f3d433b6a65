//! Goroutines that wake each other in turns call no other thread in; one that is left behind does.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use gopark::chan::bounded;
use gopark::runtime::Preemption;
use gopark_tests::{Watchdog, build, nap};

const TURNS: usize = 10;
const LONG: Duration = Duration::from_secs(20);

/// Two wake each other for a while, so that a thief sees that their M switches often; then one
/// wakes the other and `waits`, without a call of the runtime that would let him run here, until he
/// has run.
fn left_behind(waits: fn(&dyn Fn() -> bool)) {
    let _watchdog = Watchdog::start();
    let builder = gopark::runtime::Builder::new().procs(2);
    let builder = builder.preemption(Preemption::Cooperative);
    build(builder.time_slice(Duration::from_secs(1000))).run(|| {
        let ran = Arc::new(AtomicUsize::new(0));
        let (to, from_us) = bounded(0);
        let (to_us, from) = bounded(0);
        let counter = Arc::clone(&ran);
        let other = gopark::spawn(move || {
            while from_us.recv().is_ok() {
                counter.fetch_add(1, Ordering::Relaxed);
                to_us.send(()).unwrap();
            }
        });
        for _ in 0..TURNS {
            let start = Instant::now();
            while start.elapsed() < Duration::from_millis(10) {
                to.send(()).unwrap();
                from.recv().unwrap();
            }
            let before = ran.load(Ordering::Relaxed);
            to.send(()).unwrap();
            waits(&|| ran.load(Ordering::Relaxed) != before);
            from.recv().unwrap();
        }
        drop(to);
        other.join().unwrap();
    });
}

fn spin_until(done: &dyn Fn() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < LONG, "nobody came");
        std::hint::spin_loop();
    }
}

#[test]
fn who_is_left_behind_by_a_hog_runs_elsewhere() {
    left_behind(spin_until);
}

#[test]
fn who_is_left_behind_by_a_sleeping_thread_runs_elsewhere() {
    left_behind(|done| {
        let start = Instant::now();
        while !done() {
            assert!(start.elapsed() < LONG, "nobody came");
            nap(Duration::from_millis(1));
        }
    });
}

#[test]
fn who_is_left_behind_by_a_blocking_call_runs_elsewhere() {
    left_behind(|done| gopark::blocking(|| spin_until(done)));
}
