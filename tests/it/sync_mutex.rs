//! Mutex: exclusion, fairness, time limits, unwinding; goroutines and threads.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use gopark::sync::{Mutex, MutexGuard};
use gopark::time::{sleep, timeout};
use gopark_tests::{run, runtime, spin, wait_until};

const SHORT: Duration = Duration::from_millis(20);
const LONG: Duration = Duration::from_secs(30);

#[test]
fn a_hundred_thousand_increments_by_goroutines_and_threads_are_all_there() {
    for procs in [1, 4] {
        run(procs, || {
            let count = Arc::new(Mutex::new(0));
            let hammer = |rounds: usize| {
                let count = Arc::clone(&count);
                move || {
                    for n in 0..rounds {
                        let mut count = count.lock();
                        let before = *count;
                        if n % 100 == 0 {
                            gopark::yield_now();
                        }
                        *count = before + 1;
                    }
                }
            };
            let goroutines: Vec<_> = (0..8).map(|_| gopark::spawn(hammer(10_000))).collect();
            let threads: Vec<_> = (0..2).map(|_| std::thread::spawn(hammer(10_000))).collect();
            goroutines.into_iter().for_each(|one| one.join().unwrap());
            for thread in threads {
                gopark::blocking(|| thread.join().unwrap());
            }
            assert_eq!(*count.lock(), 100_000);
        });
    }
}

/// Go's TestMutexFairness: one who sleeps with the lock held does not starve the other.
#[test]
fn a_holder_that_takes_the_lock_again_at_once_does_not_starve_others() {
    for procs in [1, 2, 4] {
        let holds = || sleep(Duration::from_micros(100));
        beside_a_greedy_holder(procs, holds, |mutex| {
            let start = Instant::now();
            for _ in 0..10 {
                sleep(Duration::from_micros(100));
                let _guard = mutex.lock();
            }
            assert!(start.elapsed() < Duration::from_secs(10));
        });
    }
}

/// Runs `others` with a mutex that a goroutine locks again and again, and `holds` each time.
fn beside_a_greedy_holder(procs: usize, holds: fn(), others: fn(&Mutex<()>)) {
    run(procs, || {
        let mutex = Arc::new(Mutex::new(()));
        let stop = Arc::new(AtomicBool::new(false));
        let (shared, stopped) = (Arc::clone(&mutex), Arc::clone(&stop));
        let greedy = gopark::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                let _guard = shared.lock();
                holds();
            }
        });
        others(&mutex);
        stop.store(true, Ordering::Relaxed);
        greedy.join().unwrap();
    });
}

/// The same with a holder that never parks by itself, as in Go's TestSemaHandoff.
#[test]
fn a_busy_holder_hands_over_to_one_who_has_waited_for_long() {
    for procs in [1, 4] {
        let holds = || spin(Duration::from_micros(200));
        beside_a_greedy_holder(procs, holds, |mutex| {
            for _ in 0..20 {
                drop(mutex.lock());
            }
        });
    }
}

#[test]
fn time_limits_end_waits_on_goroutines_and_threads() {
    for procs in [1, 4] {
        run(procs, || {
            let mutex = Arc::new(Mutex::new(1));
            let guard = mutex.lock();
            let waits = |mutex: &Mutex<i32>| {
                assert!(mutex.try_lock().is_none());
                assert!(mutex.try_lock_for(Duration::ZERO).is_none());
                let start = Instant::now();
                assert!(mutex.try_lock_for(SHORT).is_none());
                assert!(mutex.try_lock_until(Instant::now() + SHORT).is_none());
                assert!(start.elapsed() >= 2 * SHORT);
            };
            waits(&mutex);
            let (shared, over) = (Arc::clone(&mutex), Arc::new(AtomicBool::new(false)));
            let told = Arc::clone(&over);
            let thread = std::thread::spawn(move || {
                waits(&shared);
                told.store(true, Ordering::Relaxed);
                *shared.try_lock_for(LONG).expect("it is unlocked")
            });
            wait_until("its limits are over", || over.load(Ordering::Relaxed));
            drop(guard);
            assert_eq!(gopark::blocking(|| thread.join().unwrap()), 1);
            assert!(mutex.try_lock_for(Duration::MAX).is_some());
        });
    }
}

#[test]
fn limits_that_are_over_when_the_lock_comes_lose_nothing() {
    run(4, || {
        let count = Arc::new(Mutex::new(0));
        let taken = Arc::new(AtomicUsize::new(0));
        let workers: Vec<_> = (0..8u64)
            .map(|n| {
                let (count, taken) = (Arc::clone(&count), Arc::clone(&taken));
                gopark::spawn(move || {
                    for round in 0..500 {
                        let limit = Duration::from_micros(10 * ((n + round) % 7));
                        let within = |guard: Option<MutexGuard<'_, i32>>| {
                            if let Some(mut count) = guard {
                                *count += 1;
                                taken.fetch_add(1, Ordering::Relaxed);
                                spin(Duration::from_micros(20));
                            }
                        };
                        if round % 2 == 0 {
                            within(count.try_lock_for(limit));
                        } else {
                            let _ = timeout(limit, || within(Some(count.lock())));
                        }
                    }
                })
            })
            .collect();
        workers.into_iter().for_each(|one| one.join().unwrap());
        assert_eq!(*count.lock(), taken.load(Ordering::Relaxed) as i32);
    });
}

#[test]
fn waits_that_unwind_leave_the_lock_to_others() {
    for procs in [1, 4] {
        run(procs, || {
            let mutex = Arc::new(Mutex::new(()));
            let guard = mutex.lock();
            let shared = Arc::clone(&mutex);
            let limited = gopark::spawn(move || timeout(SHORT, || drop(shared.lock())).is_err());
            let shared = Arc::clone(&mutex);
            let patient = gopark::spawn(move || drop(shared.lock()));
            assert!(limited.join().unwrap(), "the limit ended the wait");
            drop(guard);
            patient.join().unwrap();
            assert!(mutex.try_lock().is_some());
        });
    }
}

#[test]
fn the_end_of_a_runtime_ends_waits_and_frees_what_was_held() {
    for procs in [1, 4] {
        let mutex = Arc::new(Mutex::new(()));
        let waiting = Arc::new(AtomicUsize::new(0));
        let runtime = runtime(procs);
        let guard = mutex.lock();
        for _ in 0..10 {
            let (mutex, waiting) = (Arc::clone(&mutex), Arc::clone(&waiting));
            drop(runtime.spawn(move || {
                waiting.fetch_add(1, Ordering::Relaxed);
                let _guard = mutex.lock();
                gopark::park();
            }));
        }
        wait_until("all come", || waiting.load(Ordering::Relaxed) == 10);
        drop(guard);
        drop(runtime);
        assert!(mutex.try_lock().is_some(), "somebody unwound with the lock");
    }
}

#[test]
fn a_panic_unlocks_and_poisons_nothing() {
    run(2, || {
        let mutex = Arc::new(Mutex::new(0));
        let shared = Arc::clone(&mutex);
        let panics = gopark::spawn(move || {
            *shared.lock() = 1;
            let _guard = shared.lock();
            panic!("under the lock");
        });
        assert!(panics.join().is_err());
        assert_eq!(*mutex.lock(), 1);
        assert_eq!(Arc::into_inner(mutex).unwrap().into_inner(), 1);
    });
}

#[test]
fn guards_move_with_their_goroutines_and_to_other_threads() {
    static MUTEX: Mutex<u32> = Mutex::new(0);
    run(4, || {
        let guard = MUTEX.lock();
        for _ in 0..100 {
            gopark::yield_now();
        }
        let unlocks = std::thread::spawn(move || drop(guard));
        *MUTEX.lock() += 1;
        gopark::blocking(|| unlocks.join().unwrap());
    });
}
