//! Who has never run, where many wait: the newest go first, and nobody stays behind them.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use gopark::stack::{GuardKind, stats};
use gopark_tests::{Watchdog, run_calmly, runtime};

/// More than find room in the ring of a P: the first ones are sent away before they have run.
const CROWD: usize = 2000;

/// Spawns the crowd, each of which has its first turn and then does `then`, until all had theirs.
fn all_have_their_turn(procs: usize, then: fn(Arc<AtomicUsize>)) {
    let _watchdog = Watchdog::start();
    let left = Arc::new(AtomicUsize::new(CROWD));
    runtime(procs).run(|| {
        for _ in 0..CROWD {
            let left = Arc::clone(&left);
            gopark::go(move || {
                left.fetch_sub(1, Ordering::Relaxed);
                then(left);
            });
        }
        while left.load(Ordering::Relaxed) != 0 {
            gopark::time::sleep(Duration::from_millis(1));
        }
    });
}

/// Puts another one in its place.
fn relay(left: Arc<AtomicUsize>) {
    // Else one after the other would be next, all in one slice.
    gopark::yield_now();
    if left.load(Ordering::Relaxed) != 0 {
        gopark::go(move || relay(left));
    }
}

#[test]
fn newer_ones_do_not_keep_the_first_from_their_turn() {
    all_have_their_turn(1, relay);
    all_have_their_turn(4, relay);
}

#[test]
fn yielders_do_not_keep_the_first_from_their_turn() {
    all_have_their_turn(1, |left| {
        while left.load(Ordering::Relaxed) != 0 {
            gopark::yield_now();
        }
    });
}

#[test]
fn of_those_without_room_the_warm_ones_go_first() {
    /// More than are thought to be warm.
    const BURST: usize = 12_000;
    if stats().unwrap().guard == GuardKind::Protect {
        return; // Nobody is without a stack there.
    }
    let order = Arc::new(Mutex::new(Vec::new()));
    let ran = Arc::clone(&order);
    run_calmly(move || {
        let numbered = |n| {
            let ran = Arc::clone(&ran);
            gopark::spawn(move || ran.lock().unwrap().push(n))
        };
        let all: Vec<_> = (0..BURST).map(numbered).collect();
        all.into_iter().for_each(|one| one.join().unwrap());
    });
    let order = order.lock().unwrap();
    assert_eq!(order.len(), BURST);
    // In the mean, since one of 61 is the oldest.
    let place = |of: std::ops::Range<usize>| {
        let places = order.iter().enumerate().filter(|(_, n)| of.contains(n));
        places.map(|(at, _)| at).sum::<usize>() / of.len()
    };
    let (first, middle) = (place(500..1500), place(6000..7000));
    let (late, last) = (place(9000..10_000), place(10_500..11_500));
    let found = [last, late, first, middle];
    assert!(found.is_sorted(), "{found:?}");
}
