//! Goroutines that run for long without a call of the runtime.

use std::hint::black_box;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

use gopark::blocking;
use gopark::runtime::{Builder, Preemption, Runtime};
use gopark_tests::{Watchdog, alone, build, nap, run, spin, try_build, wait_until};

/// Runs `hogs` on one P until a goroutine that yields 20 times has ended, and another has come back
/// from a blocking call.
fn others_run_beside(preemption: Preemption, hogs: &[fn(&AtomicBool)]) -> Runtime {
    let _watchdog = Watchdog::start();
    let runtime = build(Builder::new().procs(1).preemption(preemption));
    runtime.run(|| {
        let stop = Arc::new(AtomicBool::new(false));
        let begin = |hog: &fn(&AtomicBool)| {
            let (hog, stop) = (*hog, Arc::clone(&stop));
            gopark::spawn(move || hog(&stop))
        };
        let hogs: Vec<_> = hogs.iter().map(begin).collect();
        let light = gopark::spawn(|| (0..20).for_each(|_| gopark::yield_now()));
        blocking(|| nap(Duration::from_millis(20)));
        light.join().unwrap();
        stop.store(true, Ordering::Relaxed);
        hogs.into_iter().for_each(|hog| hog.join().unwrap());
    });
    runtime
}

fn load_for_ever(stop: &AtomicBool) {
    while !stop.load(Ordering::Relaxed) {}
}

fn calculate_for_ever(stop: &AtomicBool) {
    let mut x = 1u64;
    while !stop.load(Ordering::Relaxed) {
        let mut n = 0;
        while n < 5_000_000 {
            x = x.rotate_left(5) ^ n;
            n += 1;
        }
    }
    black_box(x);
}

fn do_nothing_for_ever(stop: &AtomicBool) {
    while !stop.load(Ordering::Relaxed) {
        (0..5_000_000).for_each(|n| _ = black_box(n));
    }
}

#[test]
fn loops_without_calls_are_suspended_and_others_run() {
    let hogs: [fn(&AtomicBool); 3] = [load_for_ever, calculate_for_ever, do_nothing_for_ever];
    let runtime = others_run_beside(Preemption::Suspend, &hogs);
    assert!(runtime.metrics().procs[0].preemptions > 0);
}

#[test]
fn loops_without_calls_are_detached_and_others_run() {
    let hogs: [fn(&AtomicBool); 2] = [load_for_ever, calculate_for_ever];
    let runtime = others_run_beside(Preemption::Detach, &hogs);
    let metrics = runtime.metrics();
    assert!(metrics.procs[0].retakes > 0);
    assert_eq!(metrics.procs[0].preemptions, 0);
}

#[test]
fn more_hogs_than_may_be_suspended_let_others_run() {
    let hog: fn(&AtomicBool) = load_for_ever;
    others_run_beside(Preemption::Suspend, &[hog; 10]);
}

#[test]
fn cooperation_waits_for_a_call_and_takes_any() {
    let calls: [fn(); 4] = [
        || gopark::go(|| ()),
        || drop(gopark::spawn(|| ())),
        || blocking(|| ()),
        gopark::yield_now,
    ];
    let _watchdog = Watchdog::start();
    let runtime = build(Builder::new().procs(1).preemption(Preemption::Cooperative));
    for call in calls {
        runtime.run(|| {
            let ran = Arc::new(AtomicBool::new(false));
            let seen = Arc::clone(&ran);
            let waiting = gopark::spawn(move || seen.store(true, Ordering::Relaxed));
            spin(Duration::from_millis(100));
            assert!(!ran.load(Ordering::Relaxed), "it ran beside a hog");
            while !ran.load(Ordering::Relaxed) {
                call();
            }
            waiting.join().unwrap();
        });
    }
}

#[test]
fn two_hogs_share_a_p() {
    let counts = run(1, || {
        let stop = Arc::new(AtomicBool::new(false));
        let hog = || {
            let stop = Arc::clone(&stop);
            gopark::spawn(move || {
                let mut n = 0u64;
                while !stop.load(Ordering::Relaxed) {
                    n += 1;
                }
                n
            })
        };
        let hogs = [hog(), hog()];
        blocking(|| nap(Duration::from_secs(2)));
        stop.store(true, Ordering::Relaxed);
        hogs.map(|hog| hog.join().unwrap())
    });
    let share = counts[0] as f64 / (counts[0] + counts[1]) as f64;
    assert!((0.2..0.8).contains(&share), "{counts:?}");
}

/// The slice of the runtimes whose hogs are watched.
pub(crate) const SLICE: Duration = Duration::from_millis(2);
const ROUNDS: usize = 20;
/// A thread that was suspended for 100 ms runs on: on a busy machine that happens.
const TOGETHER_MAX: usize = 5;

/// Rounds of [`ROUNDS`] in which two hogs ran at the same time after `prepare`.
///
/// Each hog does `first`, then writes its number where the other does: every change is a switch,
/// unless both run.
fn rounds_together(first: fn(), prepare: impl Fn(), finish: impl Fn()) -> usize {
    let round = |_: &usize| {
        let stop = Arc::new(AtomicBool::new(false));
        let who = Arc::new(AtomicU64::new(0));
        let switches = Arc::new(AtomicU64::new(0));
        let hog = |me| {
            let (stop, who) = (Arc::clone(&stop), Arc::clone(&who));
            let switches = Arc::clone(&switches);
            gopark::spawn(move || {
                first();
                while !stop.load(Ordering::Relaxed) {
                    if who.swap(me, Ordering::Relaxed) != me {
                        switches.fetch_add(1, Ordering::Relaxed);
                    }
                }
            })
        };
        let hogs = [hog(1), hog(2)];
        wait_until("both run", || switches.load(Ordering::Relaxed) > 1);
        prepare();
        let (start, before) = (Instant::now(), switches.load(Ordering::Relaxed));
        blocking(|| nap(50 * SLICE));
        let switches = u128::from(switches.load(Ordering::Relaxed) - before);
        let slices = start.elapsed().as_nanos() / SLICE.as_nanos();
        stop.store(true, Ordering::Relaxed);
        hogs.into_iter().for_each(|hog| hog.join().unwrap());
        finish();
        switches > 2 * slices + 20
    };
    (0..ROUNDS).filter(round).count()
}

/// Two hogs do not run at the same time, in a runtime with so many Ps of which `prepare` leaves
/// one; see [`rounds_together`].
pub(crate) fn hogs_take_turns(procs: usize, first: fn(), prepare: impl Fn(), finish: impl Fn()) {
    build(Builder::new().procs(procs).time_slice(SLICE)).run(|| {
        let together = rounds_together(first, prepare, finish);
        assert!(together <= TOGETHER_MAX, "in {together} rounds");
    });
}

#[test]
fn two_hogs_on_one_p_do_not_run_at_once() {
    let case = || hogs_take_turns(1, || (), || (), || ());
    alone("hogs::two_hogs_on_one_p_do_not_run_at_once", |_| (), case);
}

/// Sixteen values that live across a long loop, in registers where there is an optimiser.
#[inline(never)]
fn churn(seed: u64, rounds: u64) -> (u64, f64) {
    let mut a = [1, 3, 5, 7, 11, 13, 17, 19].map(|n| seed.wrapping_mul(n));
    let mut x = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8].map(|n| n + seed as f64);
    let mut round = 0;
    while round < rounds {
        let mut i = 0;
        while i < 8 {
            a[i] = a[i].rotate_left(7) ^ a[(i + 3) % 8].wrapping_add(round);
            x[i] = x[i] * 0.999 + x[(i + 5) % 8] * 0.001;
            i += 1;
        }
        round += 1;
    }
    (a.iter().fold(0, |all, n| all ^ n), x.iter().sum())
}

#[test]
fn registers_survive_a_suspension() {
    const ROUNDS: u64 = 1_000_000;
    let _watchdog = Watchdog::start();
    let runtime = build(Builder::new().procs(1).time_slice(Duration::from_millis(1)));
    let undisturbed: Vec<_> = (1..6).map(|seed| churn(seed, ROUNDS)).collect();
    wait_until("some were suspended", || {
        let disturbed: Vec<_> = runtime.run(|| {
            let churning = |seed| gopark::spawn(move || churn(seed, ROUNDS));
            let all: Vec<_> = (1..6).map(churning).collect();
            all.into_iter().map(|one| one.join().unwrap()).collect()
        });
        assert_eq!(undisturbed, disturbed);
        runtime.metrics().procs[0].preemptions > 0
    });
}

#[test]
fn a_suspended_holder_of_a_std_lock_gets_on() {
    let _watchdog = Watchdog::start();
    let runtime = build(Builder::new().procs(1).time_slice(Duration::from_millis(1)));
    let total = Arc::new(Mutex::new(0));
    runtime.run(|| {
        let worker = || {
            let total = Arc::clone(&total);
            gopark::spawn(move || {
                for _ in 0..20 {
                    let mut total = total.lock().unwrap();
                    spin(Duration::from_millis(3));
                    *total += 1;
                }
            })
        };
        let workers: Vec<_> = (0..4).map(|_| worker()).collect();
        workers.into_iter().for_each(|one| one.join().unwrap());
    });
    assert_eq!(*total.lock().unwrap(), 80);
}

#[test]
fn a_long_slice_is_told_once_with_name_and_place() {
    const LONG: Duration = Duration::from_millis(30);
    let _watchdog = Watchdog::start();
    let told = Arc::new(AtomicU64::new(0));
    let (send, reports) = mpsc::channel();
    let seen = Arc::clone(&told);
    let runtime = build(Builder::new().procs(1).on_long_slice(LONG, move |slice| {
        let _ = send.send(slice.clone());
        seen.fetch_add(1, Ordering::Relaxed);
    }));
    let line = line!() + 9;
    for n in 1..3 {
        let told = Arc::clone(&told);
        runtime.run(|| {
            let hog = gopark::goroutine::Builder::new().name("hog");
            let busy = move || {
                wait_busily(|| told.load(Ordering::Relaxed) >= n);
                spin(3 * LONG);
            };
            let hog = hog.spawn(busy).unwrap();
            let id = hog.goroutine().id();
            hog.join().unwrap();
            let slice = reports.try_recv().unwrap();
            assert_eq!(slice.name.as_deref(), Some("hog"));
            assert_eq!(format!("{}", slice.id), id.to_string());
            let place = slice.spawned_at.unwrap();
            assert_eq!((place.file(), place.line()), (file!(), line));
            assert!(slice.running_for >= LONG, "{slice:?}");
            assert!(reports.try_recv().is_err(), "told twice");
        });
    }
}

fn wait_busily(condition: impl Fn() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < Duration::from_secs(60), "in vain");
    }
}

#[test]
fn a_time_slice_below_the_least_is_an_error_that_names_it() {
    let absurd = Builder::new().time_slice(Duration::from_micros(37));
    let error = try_build(absurd).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
    assert!(error.to_string().contains("37µs"), "{error}");
}

/// A hog that was detached comes back to a P at its next call.
#[test]
fn detached_hogs_come_back() {
    let _watchdog = Watchdog::start();
    let runtime = build(Builder::new().procs(1).preemption(Preemption::Detach));
    runtime.run(|| {
        let rounds = |_| {
            gopark::spawn(|| {
                for _ in 0..5 {
                    spin(Duration::from_millis(15));
                    gopark::yield_now();
                    assert_eq!(gopark::spawn(|| 1).join().unwrap(), 1);
                }
            })
        };
        let hogs: Vec<_> = (0..3).map(rounds).collect();
        hogs.into_iter().for_each(|hog| hog.join().unwrap());
    });
    wait_until("the P is idle", || runtime.metrics().idle_procs == 1);
}
