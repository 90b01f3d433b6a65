//! Timers that are stopped and moved, in masses, and while the number of Ps changes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use gopark::blocking;
use gopark::time::{Timer, after_func, sleep, timeout};
use gopark_tests::{Watchdog, nap, run, runtime, wait_until};

const HOUR: Duration = Duration::from_secs(3600);
const SHORT: Duration = Duration::from_millis(10);
/// What is stopped leaves fewer entries than this.
const FEW: usize = 2000;
const MANY: usize = if cfg!(debug_assertions) {
    100_000
} else {
    1_000_000
};

/// Different every time, the same in every run.
fn micros(n: usize, below: usize) -> Duration {
    Duration::from_micros((n * 7919 % below) as u64)
}

/// A timer and how often its function has run.
fn counting(time: Duration) -> (Timer, Arc<AtomicUsize>) {
    let runs = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&runs);
    let count = move || {
        seen.fetch_add(1, Ordering::Relaxed);
    };
    (after_func(time, count), runs)
}

fn has_run(runs: &AtomicUsize, times: usize) {
    wait_until("it runs", || runs.load(Ordering::Relaxed) >= times);
    assert_eq!(runs.load(Ordering::Relaxed), times);
}

#[test]
fn stop_and_reset_tell_whether_the_function_was_to_come() {
    run(2, || {
        let (timer, runs) = counting(HOUR);
        assert!(timer.stop());
        assert!(!timer.stop());
        assert!(!timer.reset(HOUR));
        assert!(timer.reset(HOUR));
        assert!(timer.clone().stop());
        assert!(!timer.reset(Duration::from_millis(1)));
        has_run(&runs, 1);
        assert!(!timer.stop());
        assert!(!timer.reset(HOUR));
        assert!(timer.reset(Duration::ZERO));
        has_run(&runs, 2);
        assert!(!timer.stop());
        // Dropped, it runs all the same.
        let (timer, runs) = counting(SHORT);
        drop(timer);
        has_run(&runs, 1);
    });
}

/// Stopped or moved at about the time that it is due: whoever was first, both know it.
#[test]
fn stop_and_reset_tell_the_truth_at_the_last_moment() {
    for procs in [1, 4] {
        run(procs, || {
            let racers: Vec<_> = (0..1000)
                .map(|n| {
                    gopark::spawn(move || {
                        let (timer, runs) = counting(micros(n, 3000));
                        sleep(micros(n * 31, 3000));
                        if n % 2 == 0 {
                            let expected = usize::from(!timer.stop());
                            return (timer, runs, expected);
                        }
                        let expected = 1 + usize::from(!timer.reset(micros(n, 100)));
                        (timer, runs, expected)
                    })
                })
                .collect();
            let all: Vec<_> = racers.into_iter().map(|one| one.join().unwrap()).collect();
            for (_timer, runs, expected) in &all {
                has_run(runs, *expected);
            }
            sleep(SHORT);
            for (timer, runs, expected) in all {
                assert_eq!(runs.load(Ordering::Relaxed), expected);
                assert!(!timer.stop());
            }
        });
    }
}

#[test]
fn a_timer_that_is_stopped_in_time_never_fires() {
    run(4, || {
        let fired = Arc::new(AtomicBool::new(false));
        let stress = |_| {
            let fired = Arc::clone(&fired);
            gopark::spawn(move || {
                for n in 0..20 {
                    let fired = Arc::clone(&fired);
                    let timer = after_func(HOUR, move || fired.store(true, Ordering::Relaxed));
                    sleep(micros(n, 2000));
                    assert!(timer.stop());
                }
            })
        };
        let all: Vec<_> = (0..100).map(stress).collect();
        all.into_iter().for_each(|one| one.join().unwrap());
        assert!(!fired.load(Ordering::Relaxed));
    });
}

#[test]
fn a_timer_that_is_moved_to_an_earlier_time_is_not_missed() {
    for procs in [1, 2] {
        run(procs, || {
            for n in 0..50 {
                let (timer, runs) = counting(HOUR);
                if n % 2 == 0 {
                    // Whoever waits for the next timer has gone to sleep.
                    sleep(Duration::from_millis(1));
                }
                let start = Instant::now();
                assert!(timer.reset(Duration::from_millis(2)));
                has_run(&runs, 1);
                let took = start.elapsed();
                assert!(took >= Duration::from_millis(2), "early: {took:?}");
            }
        });
    }
}

#[test]
fn a_timer_that_is_moved_to_a_later_time_waits_for_it() {
    run(2, || {
        let (timer, runs) = counting(SHORT);
        while !timer.reset(HOUR) {
            // Too late on a busy machine.
            wait_until("it has run", || runs.load(Ordering::Relaxed) > 0);
            runs.store(0, Ordering::Relaxed);
            timer.reset(SHORT);
        }
        sleep(4 * SHORT);
        assert_eq!(runs.load(Ordering::Relaxed), 0);
        assert!(timer.stop());
    });
}

/// Moved to and fro from everywhere, each runs at last.
#[test]
fn timers_that_are_moved_by_many_are_not_lost() {
    run(4, || {
        let timers: Vec<_> = (0..50).map(|_| counting(HOUR)).collect();
        let timers = Arc::new(timers);
        let movers = |seed: usize| {
            let timers = Arc::clone(&timers);
            gopark::spawn(move || {
                for n in 0..2000 {
                    let (timer, _) = &timers[(n * 13 + seed) % timers.len()];
                    match (n + seed) % 5 {
                        0 => drop(timer.stop()),
                        1 => drop(timer.reset(micros(n, 500))),
                        _ => drop(timer.reset(HOUR + micros(n, 1_000_000))),
                    }
                    if n % 100 == 0 {
                        sleep(micros(n, 1000));
                    }
                }
            })
        };
        let all: Vec<_> = (0..8).map(movers).collect();
        all.into_iter().for_each(|one| one.join().unwrap());
        for (timer, runs) in timers.iter() {
            timer.stop();
            sleep(Duration::from_millis(1));
            let before = runs.load(Ordering::Relaxed);
            assert!(!timer.reset(Duration::ZERO));
            wait_until("it runs", || runs.load(Ordering::Relaxed) > before);
        }
    });
}

#[test]
fn five_thousand_timers_and_sleepers_come_in_their_time() {
    const TIMERS: usize = 5000;
    run(2, || {
        let ran = Arc::new(AtomicUsize::new(0));
        let sleepers: Vec<_> = (0..TIMERS)
            .map(|n| {
                let (time, start, ran) = (micros(n, 100_000), Instant::now(), Arc::clone(&ran));
                after_func(time, move || {
                    assert!(start.elapsed() >= time);
                    ran.fetch_add(1, Ordering::Relaxed);
                });
                gopark::spawn(move || {
                    sleep(time);
                    assert!(start.elapsed() >= time);
                })
            })
            .collect();
        sleepers.into_iter().for_each(|one| one.join().unwrap());
        wait_until("all run", || ran.load(Ordering::Relaxed) == TIMERS);
        // All of them moved, in the order of the heap and against it.
        let timers: Vec<_> = (0..TIMERS)
            .map(|n| counting(HOUR + micros(n, 1000)))
            .collect();
        for (n, (timer, _)) in timers.iter().enumerate() {
            assert!(timer.reset(HOUR - micros(n, 1_000_000)));
        }
        for (n, (timer, _)) in timers.iter().enumerate().rev() {
            assert!(timer.reset(micros(n, 10_000)));
        }
        timers.iter().for_each(|(_, runs)| has_run(runs, 1));
    });
}

#[test]
fn what_is_stopped_before_its_time_is_not_kept() {
    let _watchdog = Watchdog::start();
    let runtime = runtime(2);
    let held = Arc::new(());
    runtime.run(|| {
        let func = |n: usize| {
            let held = Arc::clone(&held);
            after_func(HOUR + micros(n, 1_000_000), move || drop(Arc::clone(&held)))
        };
        for n in 0..MANY {
            assert!(func(n).stop());
            if n % 50_000 == 0 {
                let left = runtime.metrics().timers;
                assert!(left < FEW, "{left} are left after {n}");
            }
        }
        // Many at a time.
        let all: Vec<_> = (0..MANY / 10).map(func).collect();
        assert!(runtime.metrics().timers >= MANY / 10);
        assert!(all.iter().all(Timer::stop));
        let left = runtime.metrics().timers;
        assert!(left < FEW, "{left} are left of many at a time");
        drop(all);
        // One that is moved for ever.
        let timer = func(0);
        assert!((0..MANY / 10).all(|n| timer.reset(HOUR + micros(n, 1_000_000))));
        let left = runtime.metrics().timers;
        assert!(left < FEW, "{left} are left of one that was moved");
    });
    wait_until("the functions are dropped", || {
        Arc::strong_count(&held) < FEW
    });
}

#[test]
fn waits_that_end_before_their_time_are_not_kept() {
    let _watchdog = Watchdog::start();
    let runtime = runtime(2);
    runtime.run(|| {
        for _ in 0..MANY / 10 {
            assert!(timeout(HOUR, || ()).is_ok());
        }
        let left = runtime.metrics().timers;
        assert!(left < FEW, "{left} are left of limits");
        let me = gopark::current();
        let waker = gopark::spawn(move || {
            for _ in 0..MANY / 10 {
                me.unpark();
                gopark::park();
            }
        });
        for _ in 0..MANY / 10 {
            gopark::park_timeout(HOUR);
            waker.goroutine().unpark();
        }
        waker.join().unwrap();
        let left = runtime.metrics().timers;
        assert!(left < FEW, "{left} are left of parks");
    });
}

/// Timers wait on every P while Ps come and go: none is lost, none early.
#[test]
fn timers_outlive_the_ps_that_they_were_set_on() {
    run(8, || {
        let (woken, ran) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let sleeper = |n: usize| {
            let (woken, ran) = (Arc::clone(&woken), Arc::clone(&ran));
            gopark::spawn(move || {
                for round in 0..10 {
                    let (time, start) = (micros(n * 10 + round, 30_000), Instant::now());
                    let ran = Arc::clone(&ran);
                    after_func(time, move || {
                        assert!(start.elapsed() >= time);
                        ran.fetch_add(1, Ordering::Relaxed);
                    });
                    sleep(time);
                    assert!(start.elapsed() >= time);
                    woken.fetch_add(1, Ordering::Relaxed);
                }
            })
        };
        let all: Vec<_> = (0..400).map(sleeper).collect();
        for procs in [1, 8, 3, 7, 2, 8, 1, 4].into_iter().cycle() {
            gopark::set_procs(procs);
            sleep(Duration::from_millis(3));
            if all.iter().all(gopark::JoinHandle::is_finished) {
                break;
            }
        }
        all.into_iter().for_each(|one| one.join().unwrap());
        assert_eq!(woken.load(Ordering::Relaxed), 4000);
        wait_until("all run", || ran.load(Ordering::Relaxed) == 4000);
    });
}

/// Two suspended hogs are all that wants the P, threads sleep, and none of them polls: the one that
/// did woke the goroutine which starts the hogs.
#[test]
fn a_sleeper_wakes_while_two_hogs_pass_the_only_p_to_each_other() {
    run(1, || {
        let sleepy = |_| gopark::spawn(|| blocking(|| nap(Duration::from_millis(20))));
        let sleepy: Vec<_> = (0..4).map(sleepy).collect();
        sleepy.into_iter().for_each(|one| one.join().unwrap());
        sleep(Duration::from_millis(20));
        let stop = Arc::new(AtomicBool::new(false));
        let hog = |_| {
            let stop = Arc::clone(&stop);
            gopark::spawn(move || while !stop.load(Ordering::Relaxed) {})
        };
        let hogs: Vec<_> = (0..2).map(hog).collect();
        for _ in 0..5 {
            sleep(Duration::from_millis(30));
        }
        stop.store(true, Ordering::Relaxed);
        hogs.into_iter().for_each(|hog| hog.join().unwrap());
    });
}
