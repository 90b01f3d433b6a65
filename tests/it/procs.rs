//! The number of Ps: asked for, changed while goroutines run, taken from the environment.

#![expect(unsafe_code, reason = "sets the CPU affinity of threads")]

use std::panic::catch_unwind;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::hogs::hogs_take_turns;
use gopark::runtime::Builder;
use gopark::{blocking, procs, set_procs};
use gopark_tests::{
    Watchdog, alone, build, nap, panic_text, run, spin, thread_id, try_build, wait_until,
};

#[test]
fn set_procs_returns_the_number_before_and_zero_only_asks() {
    run(3, || {
        assert_eq!((procs(), set_procs(0), procs()), (3, 3, 3));
        assert_eq!((set_procs(5), procs(), set_procs(0)), (3, 5, 5));
        assert_eq!((set_procs(1), set_procs(1), set_procs(2)), (5, 1, 1));
        assert_eq!(gopark::spawn(procs).join().unwrap(), 2);
    });
}

/// Yields, spawns, parks and blocks, and counts the rounds.
fn work_until(stop: &AtomicBool, rounds: &AtomicU64) {
    while !stop.load(Ordering::Relaxed) {
        let n = rounds.fetch_add(gopark::spawn(|| 1).join().unwrap(), Ordering::Relaxed);
        gopark::yield_now();
        if n.is_multiple_of(64) {
            blocking(|| nap(Duration::from_micros(50)));
        }
        if n.is_multiple_of(100) {
            spin(Duration::from_micros(500));
        }
    }
}

#[test]
fn ps_come_and_go_while_goroutines_run_and_none_is_lost() {
    const GOROUTINES: usize = 50;
    let _watchdog = Watchdog::start();
    let runtime = build(Builder::new().procs(2));
    let last = runtime.run(|| {
        let stop = Arc::new(AtomicBool::new(false));
        let rounds: Arc<[AtomicU64; GOROUTINES]> =
            Arc::new([const { AtomicU64::new(0) }; GOROUTINES]);
        let work = |n: usize| {
            let (stop, rounds) = (Arc::clone(&stop), Arc::clone(&rounds));
            gopark::spawn(move || work_until(&stop, &rounds[n]))
        };
        let all: Vec<_> = (0..GOROUTINES).map(work).collect();
        let all_worked = || {
            rounds
                .iter()
                .all(|rounds| rounds.load(Ordering::Relaxed) > 100)
        };
        let (mut before, mut changes) = (procs(), 0);
        while changes < 400 || !all_worked() {
            let wanted = 1 + changes * 7 % 11 % 8;
            assert_eq!(set_procs(wanted), before);
            assert_eq!(procs(), wanted);
            (before, changes) = (wanted, changes + 1);
        }
        stop.store(true, Ordering::Relaxed);
        all.into_iter().for_each(|one| one.join().unwrap());
        before
    });
    wait_until("nobody is left", || runtime.num_goroutines() == 0);
    wait_until("all Ps are idle", || runtime.metrics().idle_procs == last);
}

#[test]
fn several_goroutines_may_change_the_number_at_once() {
    run(4, || {
        let changing = |n: usize| {
            gopark::spawn(move || {
                for round in 0..30 {
                    let before = set_procs(1 + (n + round) % 6);
                    assert!((1..=6).contains(&before));
                    gopark::yield_now();
                }
            })
        };
        let all: Vec<_> = (0..6).map(changing).collect();
        all.into_iter().for_each(|one| one.join().unwrap());
        set_procs(3);
        assert_eq!(procs(), 3);
    });
}

#[test]
fn the_number_can_be_changed_from_odd_places() {
    run(2, || {
        blocking(|| assert_eq!(set_procs(3), 2));
        let guard = gopark::lock_os_thread();
        let own = thread_id();
        for wanted in [1, 4, 1, 2] {
            set_procs(wanted);
            assert_eq!((procs(), thread_id()), (wanted, own));
        }
        drop(guard);
        gopark::no_preempt(|| assert_eq!(set_procs(1), 2));
        // Without the P, which the hog has, until the call.
        let stop = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&stop);
        let hog = gopark::spawn(move || while !seen.load(Ordering::Relaxed) {});
        nap(Duration::from_millis(20));
        assert_eq!(set_procs(4), 1);
        stop.store(true, Ordering::Relaxed);
        hog.join().unwrap();
    });
}

#[test]
fn after_set_procs_of_one_hogs_no_longer_run_at_once() {
    let case = || {
        let shrink = || assert_eq!(set_procs(1), 3);
        hogs_take_turns(3, || (), shrink, || _ = set_procs(3));
    };
    let name = "procs::after_set_procs_of_one_hogs_no_longer_run_at_once";
    alone(name, |_| (), case);
}

#[test]
fn many_more_ps_than_cores_work() {
    run(64, || {
        let work = |n: usize| {
            gopark::spawn(move || {
                for _ in 0..20 {
                    gopark::yield_now();
                    assert_eq!(gopark::spawn(move || n).join().unwrap(), n);
                }
            })
        };
        let all: Vec<_> = (0..640).map(work).collect();
        all.into_iter().for_each(|one| one.join().unwrap());
        set_procs(1024);
        assert_eq!(gopark::spawn(procs).join().unwrap(), 1024);
    });
}

#[test]
fn too_many_ps_are_refused_and_named() {
    run(2, || {
        let text = panic_text(catch_unwind(|| set_procs(1025)).unwrap_err());
        assert!(
            text.contains("gopark::set_procs") && text.contains("1025"),
            "{text}"
        );
        assert_eq!(procs(), 2);
        assert_eq!(set_procs(3), 2);
    });
    let error = try_build(Builder::new().procs(1025)).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
    assert!(error.to_string().contains("1025"), "{error}");
}

#[test]
fn the_environment_gives_the_number() {
    let name = "procs::the_environment_gives_the_number";
    for given in ["3", "0", "1024"] {
        let case = || {
            let cpus = gopark::num_cpu();
            let default = build(Builder::new()).run(procs);
            let expected = match std::env::var("GOPARK_PROCS").unwrap().parse() {
                Ok(0) => cpus,
                number => number.unwrap(),
            };
            assert_eq!(default, expected);
            // What the program says comes first.
            assert_eq!(build(Builder::new().procs(2)).run(procs), 2);
            // SAFETY: no preconditions are left: `run` is called where no thread-local is held.
            assert_eq!(unsafe { gopark::run(procs) }, expected);
        };
        let set_up = |command: &mut std::process::Command| _ = command.env("GOPARK_PROCS", given);
        if alone(name, set_up, case).is_none() {
            return;
        }
    }
}

/// Leaves one of its CPUs to every thread of this process.
fn restrict_to_one_cpu() {
    // SAFETY: zeroes are an empty set.
    let mut allowed: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    let size = size_of::<libc::cpu_set_t>();
    // SAFETY: a set of its size, for this thread.
    let code = unsafe { libc::sched_getaffinity(0, size, &raw mut allowed) };
    assert_eq!(code, 0);
    // SAFETY: a number below the size of a set.
    let is_allowed = |cpu: &usize| unsafe { libc::CPU_ISSET(*cpu, &allowed) };
    let first = (0..libc::CPU_SETSIZE as usize).find(is_allowed).unwrap();
    // SAFETY: as above.
    let mut one: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    // SAFETY: as above.
    unsafe { libc::CPU_SET(first, &mut one) };
    for thread in std::fs::read_dir("/proc/self/task").unwrap() {
        let thread = thread.unwrap().file_name().into_string().unwrap();
        let thread = thread.parse().unwrap();
        // SAFETY: a set of its size, for a thread of this process.
        unsafe { libc::sched_setaffinity(thread, size, &raw const one) };
    }
}

#[test]
fn the_default_number_follows_the_cpus_that_may_be_used() {
    let case = || {
        let cpus = gopark::num_cpu();
        let (default, chosen) = (build(Builder::new()), build(Builder::new().procs(2)));
        assert_eq!(default.run(procs), cpus);
        assert_eq!(chosen.run(procs), 2);
        let asked = build(Builder::new());
        asked.run(|| _ = set_procs(3));
        restrict_to_one_cpu();
        assert_eq!(gopark::num_cpu(), 1);
        // Limits are looked at while anything runs.
        let start = Instant::now();
        let look = || while procs() != 1 && start.elapsed() < Duration::from_secs(60) {};
        default.run(look);
        assert_eq!(default.run(procs), 1);
        let wait = || spin(Duration::from_secs(2));
        chosen.run(wait);
        asked.run(wait);
        assert_eq!((chosen.run(procs), asked.run(procs)), (2, 3));
        assert_eq!(build(Builder::new()).run(procs), 1);
    };
    let name = "procs::the_default_number_follows_the_cpus_that_may_be_used";
    alone(name, |command| _ = command.env_remove("GOPARK_PROCS"), case);
}
