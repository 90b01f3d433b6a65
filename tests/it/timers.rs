//! Sleeping, ticks, and functions that run later: never early, never lost.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use gopark::time::{after_func, interval, sleep, sleep_until, timeout};
use gopark::{blocking, yield_now};
use gopark_tests::{Watchdog, nap, panic_text, run, runtime, spin, thread_id, wait_until};

const HOUR: Duration = Duration::from_secs(3600);
const SHORT: Duration = Duration::from_millis(10);

/// From what the kernel cannot wait for to a few slices.
fn durations() -> impl Iterator<Item = Duration> {
    [1, 999, 50_000, 999_999, 1_000_001, 7_300_000, 25_000_000]
        .into_iter()
        .map(Duration::from_nanos)
}

#[test]
fn a_sleep_is_never_early() {
    let sleeps = || {
        for time in durations() {
            let start = Instant::now();
            sleep(time);
            assert!(start.elapsed() >= time, "{:?} < {time:?}", start.elapsed());
            let moment = Instant::now() + time;
            sleep_until(moment);
            assert!(Instant::now() >= moment, "{time:?}");
        }
    };
    sleeps();
    for procs in [1, 4] {
        run(procs, || {
            let all: Vec<_> = (0..10).map(|_| gopark::spawn(sleeps)).collect();
            all.into_iter().for_each(|one| one.join().unwrap());
        });
    }
}

#[test]
fn a_function_runs_once_and_never_early() {
    for procs in [1, 4] {
        run(procs, || {
            let ran = Arc::new(AtomicUsize::new(0));
            let timers: Vec<_> = durations()
                .map(|time| {
                    let (ran, start) = (Arc::clone(&ran), Instant::now());
                    after_func(time, move || {
                        assert!(start.elapsed() >= time);
                        ran.fetch_add(1, Ordering::Relaxed);
                    })
                })
                .collect();
            wait_until("all run", || ran.load(Ordering::Relaxed) == timers.len());
            sleep(SHORT);
            assert_eq!(ran.load(Ordering::Relaxed), timers.len());
            assert!(timers.iter().all(|timer| !timer.stop()));
        });
    }
}

#[test]
fn what_is_over_is_not_waited_for() {
    let sleeps = || {
        sleep(Duration::ZERO);
        sleep_until(Instant::now());
        sleep_until(Instant::now() - SHORT);
    };
    sleeps();
    run(1, || {
        // Nobody else runs: none of them gives way.
        let ran = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&ran);
        let other = gopark::spawn(move || seen.store(true, Ordering::Relaxed));
        sleeps();
        other.join().unwrap();
        assert!(ran.load(Ordering::Relaxed));
    });
}

#[test]
fn ticks_come_at_their_pace() {
    run(2, || {
        let (period, start) = (Duration::from_millis(5), Instant::now());
        let mut ticks = interval(period);
        assert_eq!(ticks.period(), period);
        let mut last: Option<Instant> = None;
        for n in 1..=10 {
            let due = ticks.tick();
            assert!(Instant::now() >= due);
            assert!(due >= start + n * period, "tick {n} is early");
            if let Some(last) = last {
                let step = (due - last).as_nanos();
                assert!(step > 0 && step.is_multiple_of(period.as_nanos()), "{step}");
            }
            last = Some(due);
        }
        let reset = Instant::now();
        ticks.reset();
        assert!(ticks.tick() >= reset + period);
    });
}

#[test]
fn ticks_that_nobody_waits_for_are_left_out() {
    run(2, || {
        let (period, start) = (SHORT, Instant::now());
        let mut ticks = interval(period);
        blocking(|| nap(6 * period));
        let before = Instant::now();
        let late = ticks.tick();
        assert!(late <= before && late >= start + period);
        let next = ticks.tick();
        assert!(next > before, "a tick that was over came");
        let step = (next - late).as_nanos();
        assert!(step.is_multiple_of(period.as_nanos()), "{step}");
    });
}

#[test]
fn an_interval_of_zero_is_refused() {
    let refused = std::panic::catch_unwind(|| interval(Duration::ZERO)).unwrap_err();
    let text = panic_text(refused);
    assert!(text.contains("period of 0ns is not positive"), "{text}");
}

#[test]
fn calls_off_a_runtime_name_themselves() {
    let text = panic_text(
        std::panic::catch_unwind(|| after_func(SHORT, || ()))
            .map(drop)
            .unwrap_err(),
    );
    assert!(text.starts_with("gopark::time::after_func called outside"));
    let text = panic_text(std::panic::catch_unwind(|| gopark::park_timeout(SHORT)).unwrap_err());
    assert!(text.starts_with("gopark::park_timeout called outside"));
}

/// Goroutines that wake each other never leave the slot of who runs next.
#[test]
fn a_function_runs_beside_a_pair_that_wakes_each_other() {
    run(1, || {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let timer = after_func(SHORT, move || stopped.store(true, Ordering::Relaxed));
        let me = gopark::current();
        let over = Arc::clone(&stop);
        let partner = gopark::spawn(move || {
            while !over.load(Ordering::Relaxed) {
                me.unpark();
                gopark::park();
            }
            me.unpark();
        });
        while !stop.load(Ordering::Relaxed) {
            partner.goroutine().unpark();
            gopark::park();
        }
        partner.goroutine().unpark();
        partner.join().unwrap();
        assert!(!timer.stop());
    });
}

/// A busy machine may start functions whose times are close in another order: the times are farther
/// apart in each new attempt.
#[test]
fn functions_run_in_the_order_of_their_times() {
    const SLOTS: [u32; 13] = [5, 3, 6, 6, 6, 1, 1, 2, 7, 9, 4, 8, 0];
    run(1, || {
        let attempt = |step: Duration| {
            let log = Arc::new(Mutex::new(Vec::new()));
            for slot in SLOTS {
                let log = Arc::clone(&log);
                after_func(slot * step, move || log.lock().unwrap().push(slot));
            }
            wait_until("all run", || log.lock().unwrap().len() == SLOTS.len());
            let log = log.lock().unwrap();
            log.is_sorted()
        };
        let steps = [2, 10, 50, 200, 1000].map(Duration::from_millis);
        assert!(steps.into_iter().any(attempt));
    });
}

#[test]
fn no_function_without_delay_is_lost() {
    for procs in [1, 4] {
        run(procs, || {
            for _ in 0..50_000 {
                let me = gopark::current();
                after_func(Duration::ZERO, move || me.unpark());
                gopark::park();
            }
        });
    }
}

#[test]
fn sleepers_wake_while_all_ps_are_hogged() {
    for procs in [1, 2] {
        run(procs, || {
            let stop = Arc::new(AtomicBool::new(false));
            let hog = |_| {
                let stop = Arc::clone(&stop);
                gopark::spawn(move || while !stop.load(Ordering::Relaxed) {})
            };
            let hogs: Vec<_> = (0..2 * procs).map(hog).collect();
            let ran = Arc::new(AtomicBool::new(false));
            let seen = Arc::clone(&ran);
            after_func(SHORT, move || seen.store(true, Ordering::Relaxed));
            for _ in 0..5 {
                sleep(SHORT);
            }
            while !ran.load(Ordering::Relaxed) {
                yield_now();
            }
            stop.store(true, Ordering::Relaxed);
            hogs.into_iter().for_each(|hog| hog.join().unwrap());
        });
    }
}

/// The only P belongs to a thread in the kernel when the time comes.
#[test]
fn a_sleeper_wakes_while_its_p_is_in_a_blocking_call() {
    run(1, || {
        let woke = Arc::new(AtomicBool::new(false));
        let wakes = Arc::clone(&woke);
        let sleeper = gopark::spawn(move || {
            sleep(SHORT);
            wakes.store(true, Ordering::Relaxed);
        });
        yield_now();
        blocking(|| {
            while !woke.load(Ordering::Relaxed) {
                nap(Duration::from_millis(1));
            }
        });
        sleeper.join().unwrap();
        // One that does not say that it blocks.
        let woke = Arc::new(AtomicBool::new(false));
        let wakes = Arc::clone(&woke);
        gopark::go(move || {
            sleep(SHORT);
            wakes.store(true, Ordering::Relaxed);
        });
        yield_now();
        while !woke.load(Ordering::Relaxed) {
            nap(Duration::from_millis(30));
        }
    });
}

#[test]
fn a_goroutine_sleeps_inside_a_blocking_call() {
    run(1, || {
        let sleepers: Vec<_> = (0..5)
            .map(|_| {
                gopark::spawn(|| {
                    let start = Instant::now();
                    blocking(|| {
                        nap(Duration::from_millis(1));
                        sleep(SHORT);
                        sleep(SHORT);
                    });
                    sleep(SHORT);
                    assert!(start.elapsed() >= 3 * SHORT);
                })
            })
            .collect();
        sleepers.into_iter().for_each(|one| one.join().unwrap());
    });
}

#[test]
fn a_goroutine_that_keeps_its_thread_sleeps_on_it() {
    run(2, || {
        let _guard = gopark::lock_os_thread();
        let thread = thread_id();
        for time in durations() {
            let start = Instant::now();
            sleep(time);
            assert!(start.elapsed() >= time);
            assert_eq!(thread_id(), thread);
        }
    });
}

#[test]
fn sleeps_without_end_are_ended_by_a_limit_or_by_the_runtime() {
    struct Ended(Arc<AtomicUsize>);
    impl Drop for Ended {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
    let _watchdog = Watchdog::start();
    let ended = Arc::new(AtomicUsize::new(0));
    let runtime = runtime(2);
    let sleeps: [fn(); 5] = [
        || sleep(Duration::MAX),
        || sleep(Duration::MAX - Duration::from_nanos(1)),
        || sleep(HOUR),
        || gopark::park_timeout(Duration::MAX),
        || _ = interval(Duration::MAX).tick(),
    ];
    for sleeps in sleeps.into_iter().cycle().take(100) {
        let life = Ended(Arc::clone(&ended));
        drop(runtime.spawn(move || {
            let _life = life;
            sleeps();
            unreachable!("it has slept for ever");
        }));
    }
    runtime.run(move || {
        for sleeps in sleeps {
            assert!(timeout(SHORT, sleeps).is_err());
        }
        let timer = after_func(Duration::MAX, || unreachable!("it is not due"));
        sleep(SHORT);
        assert!(timer.stop());
        assert!(!timer.stop());
    });
    assert_eq!(ended.load(Ordering::Relaxed), 0);
    drop(runtime);
    assert_eq!(ended.load(Ordering::Relaxed), 100);
}

/// The functions of a runtime that ends do not run; what they hold is dropped.
#[test]
fn functions_end_with_their_runtime() {
    let _watchdog = Watchdog::start();
    let held = Arc::new(());
    let runtime = runtime(2);
    let timers: Vec<_> = runtime.run(|| {
        let func = |_| {
            let held = Arc::clone(&held);
            after_func(HOUR, move || unreachable!("{held:?} is not due"))
        };
        (0..100).map(func).collect()
    });
    assert_eq!(Arc::strong_count(&held), 101);
    drop(runtime);
    for timer in timers {
        assert!(!timer.reset(Duration::ZERO));
        assert!(!timer.stop());
    }
    assert_eq!(Arc::strong_count(&held), 1);
}

#[test]
fn two_runtimes_keep_their_own_time() {
    let _watchdog = Watchdog::start();
    let runtimes = [runtime(1), runtime(2)];
    let ran = Arc::new(AtomicBool::new(false));
    let late = runtimes[0].run(|| {
        let ran = Arc::clone(&ran);
        after_func(HOUR, move || ran.store(true, Ordering::Relaxed))
    });
    let sleeper = || {
        for time in durations() {
            let start = Instant::now();
            sleep(time);
            assert!(start.elapsed() >= time);
            spin(Duration::from_micros(100));
        }
    };
    let all: Vec<_> = (0..40).map(|n| runtimes[n % 2].spawn(sleeper)).collect();
    all.into_iter().for_each(|one| one.join().unwrap());
    // A timer of one, moved by a goroutine of the other and by a thread.
    assert!(runtimes[1].run(|| late.reset(2 * HOUR)));
    assert!(late.reset(Duration::ZERO));
    wait_until("it has run", || ran.load(Ordering::Relaxed));
    assert!(!runtimes[1].run(|| late.stop()));
}
