//! Condvar and RwLock, on goroutines and threads.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use gopark::sync::{Condvar, Mutex, RwLock};
use gopark::time::timeout;
use gopark_tests::{run, runtime, wait_until};

const SHORT: Duration = Duration::from_millis(20);
const LONG: Duration = Duration::from_secs(30);

/// Go's TestCondSignalStealing and Generations: the oldest is woken, and only it.
#[test]
fn a_signal_goes_to_the_oldest_waiter() {
    for procs in [1, 4] {
        run(procs, || {
            let pair = Arc::new((Mutex::new(Vec::new()), Condvar::new()));
            let come = Arc::new(AtomicUsize::new(0));
            let mut waiters = Vec::new();
            for n in 0..20 {
                let (shared, arrived) = (Arc::clone(&pair), Arc::clone(&come));
                waiters.push(gopark::spawn(move || {
                    let guard = shared.0.lock();
                    arrived.fetch_add(1, Ordering::Relaxed);
                    shared.1.wait(guard).push(n);
                }));
                wait_until("it comes", || come.load(Ordering::Relaxed) == n + 1);
                drop(pair.0.lock());
            }
            for n in 0..20 {
                pair.1.notify_one();
                wait_until("one wakes", || pair.0.lock().len() == n + 1);
            }
            waiters.into_iter().for_each(|one| one.join().unwrap());
            assert_eq!(*pair.0.lock(), (0..20).collect::<Vec<_>>());
        });
    }
}

#[test]
fn condvars_wake_all_and_end_in_time() {
    for procs in [1, 4] {
        run(procs, || {
            let pair = Arc::new((Mutex::new((0, false)), Condvar::new()));
            let waits = |pair: &(Mutex<(i32, bool)>, Condvar)| {
                pair.0.lock().0 += 1;
                let is_closed = |state: &mut (i32, bool)| !state.1;
                pair.1.wait_while(pair.0.lock(), is_closed).0 -= 1;
            };
            let shared = Arc::clone(&pair);
            let thread = std::thread::spawn(move || waits(&shared));
            let goroutines: Vec<_> = (0..50)
                .map(|_| {
                    let pair = Arc::clone(&pair);
                    gopark::spawn(move || waits(&pair))
                })
                .collect();
            let (guard, result) = pair.1.wait_timeout(pair.0.lock(), SHORT);
            assert!(result.timed_out());
            drop(guard);
            wait_until("all come", || pair.0.lock().0 == 51);
            pair.0.lock().1 = true;
            pair.1.notify_all();
            goroutines.into_iter().for_each(|one| one.join().unwrap());
            gopark::blocking(|| thread.join().unwrap());
            let (guard, result) = pair
                .1
                .wait_timeout_while(pair.0.lock(), LONG, |state| state.0 != 0);
            assert!(!result.timed_out() && guard.0 == 0);
        });
    }
}

#[test]
fn a_signal_to_one_that_unwinds_or_is_late_reaches_another() {
    run(4, || {
        let pair = Arc::new((Mutex::new(0usize), Condvar::new()));
        let takers: Vec<_> = (0..6u64)
            .map(|n| {
                let pair = Arc::clone(&pair);
                gopark::spawn(move || {
                    let mut taken = 0;
                    for round in 0..200 {
                        let limit = Duration::from_micros(20 * ((n + round) % 5));
                        let is_empty = |count: &mut usize| *count == 0;
                        let got = timeout(limit, || {
                            let wait = pair.1.wait_while(pair.0.lock(), is_empty);
                            let mut count = wait;
                            *count -= 1;
                        });
                        taken += usize::from(got.is_ok());
                    }
                    taken
                })
            })
            .collect();
        let shared = Arc::clone(&pair);
        let patient = gopark::spawn(move || {
            for _ in 0..300 {
                let mut count = shared.1.wait_while(shared.0.lock(), |count| *count == 0);
                *count -= 1;
            }
        });
        let mut given = 0;
        while !patient.is_finished() {
            *pair.0.lock() += 1;
            given += 1;
            pair.1.notify_one();
            gopark::yield_now();
        }
        let taken: usize = takers.into_iter().map(|one| one.join().unwrap()).sum();
        patient.join().unwrap();
        assert_eq!(given, taken + 300 + *pair.0.lock());
    });
}

/// Go's HammerRWMutex.
#[test]
fn readers_and_writers_exclude_each_other() {
    for procs in [1, 4] {
        run(procs, || {
            let lock = Arc::new(RwLock::new((0u64, 0u64)));
            let hammer = |n: usize, rounds: usize| {
                let lock = Arc::clone(&lock);
                move || {
                    for round in 0..rounds {
                        if (round + n).is_multiple_of(5) {
                            let mut pair = lock.write();
                            pair.0 += 1;
                            if round % 50 == 0 {
                                gopark::yield_now();
                            }
                            pair.1 += 1;
                        } else {
                            let pair = lock.read();
                            assert_eq!(pair.0, pair.1);
                            if round % 50 == 1 {
                                gopark::yield_now();
                            }
                        }
                    }
                }
            };
            let thread = std::thread::spawn(hammer(0, 20_000));
            let goroutines: Vec<_> = (1..9).map(|n| gopark::spawn(hammer(n, 10_000))).collect();
            goroutines.into_iter().for_each(|one| one.join().unwrap());
            gopark::blocking(|| thread.join().unwrap());
            assert_eq!(lock.read().0, 20_000);
            assert!(lock.try_write().is_some());
        });
    }
}

/// Go's TestParallelReaders, and a writer between them.
#[test]
fn readers_are_parallel_and_a_waiting_writer_stops_new_ones() {
    for procs in [1, 4] {
        run(procs, || {
            let lock = Arc::new(RwLock::new(0));
            let first = lock.read();
            let second = lock.read();
            assert!(lock.try_write().is_none());
            assert!(lock.try_write_for(SHORT).is_none());
            assert!(lock.try_read().is_some(), "the writer has given up");
            let shared = Arc::clone(&lock);
            let writer = gopark::spawn(move || *shared.write() = 1);
            wait_until("the writer waits", || lock.try_read().is_none());
            assert!(lock.try_read_for(SHORT).is_none());
            let shared = Arc::clone(&lock);
            let limited = gopark::spawn(move || timeout(SHORT, || *shared.read()).is_err());
            assert!(limited.join().unwrap());
            let shared = Arc::clone(&lock);
            let reader = gopark::spawn(move || *shared.read());
            drop((first, second));
            writer.join().unwrap();
            assert_eq!(reader.join().unwrap(), 1);
        });
    }
}

#[test]
fn a_writer_whose_wait_unwinds_lets_readers_in() {
    for procs in [1, 4] {
        let lock = Arc::new(RwLock::new(()));
        let runtime = runtime(procs);
        let reads = lock.read();
        let shared = Arc::clone(&lock);
        drop(runtime.spawn(move || drop(shared.write())));
        wait_until("the writer waits", || lock.try_read().is_none());
        let shared = Arc::clone(&lock);
        let reader = std::thread::spawn(move || drop(shared.read()));
        drop(runtime);
        reader.join().unwrap();
        drop(reads);
        assert!(lock.try_write().is_some());
    }
}
