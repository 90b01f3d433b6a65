//! Plain threads and goroutines at one lock, in all ways that it offers, at random.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use gopark::sync::{Barrier, Condvar, LazyLock, Mutex, Once, OnceLock, RwLock, RwLockWriteGuard};
use gopark_tests::{Random, run};

use crate::mixed::{ALL, PROCS, brief, crowd};

#[test]
fn a_mutex_excludes_whoever_locks_it_in_whatever_way() {
    for procs in PROCS {
        run(procs, || {
            let mutex = Arc::new(Mutex::new(0));
            let counts = crowd(|n| {
                let mutex = Arc::clone(&mutex);
                let mut random = Random::new(n as u64);
                move || {
                    let mut count = 0;
                    for _ in 0..2000 {
                        let guard = match random.below(3) {
                            0 => Some(mutex.lock()),
                            1 => mutex.try_lock(),
                            _ => mutex.try_lock_for(brief(&mut random)),
                        };
                        if let Some(mut guard) = guard {
                            let before = *guard;
                            if random.below(20) == 0 {
                                gopark::yield_now();
                            }
                            *guard = before + 1;
                            count += 1;
                        }
                    }
                    count
                }
            });
            assert_eq!(counts.into_iter().sum::<i32>(), *mutex.lock());
        });
    }
}

#[test]
fn a_rwlock_keeps_writers_alone_and_readers_among_themselves() {
    for procs in PROCS {
        run(procs, || {
            let lock = Arc::new(RwLock::new((0, 0)));
            let writes = crowd(|n| {
                let lock = Arc::clone(&lock);
                let mut random = Random::new(n as u64);
                move || {
                    let mut writes = 0;
                    for _ in 0..1500 {
                        let way = random.below(8);
                        let pause = random.below(20) == 0;
                        let writer = match way {
                            0 => Some(lock.write()),
                            1 => lock.try_write(),
                            2 => lock.try_write_for(brief(&mut random)),
                            _ => None,
                        };
                        let reader = match (writer, way) {
                            (Some(mut pair), _) => {
                                pair.0 += 1;
                                if pause {
                                    gopark::yield_now();
                                }
                                pair.1 += 1;
                                writes += 1;
                                Some(RwLockWriteGuard::downgrade(pair))
                            }
                            (None, 3 | 4) => Some(lock.read()),
                            (None, 5) => lock.try_read(),
                            (None, _) => lock.try_read_for(brief(&mut random)),
                        };
                        if let Some(pair) = reader {
                            let before = *pair;
                            if pause {
                                gopark::yield_now();
                            }
                            assert!(before.0 == before.1 && before == *pair);
                        }
                    }
                    writes
                }
            });
            assert_eq!(writes.into_iter().sum::<i32>(), lock.read().0);
            assert!(lock.try_write().is_some());
        });
    }
}

/// A place for one message with two condition variables.
#[test]
fn condvars_wake_threads_and_goroutines() {
    const EACH: usize = 500;
    for procs in PROCS {
        run(procs, || {
            let place = Arc::new((Mutex::new(None::<usize>), Condvar::new(), Condvar::new()));
            let sums = crowd(|n| {
                let place = Arc::clone(&place);
                let mut random = Random::new(n as u64);
                move || {
                    let (value, filled, emptied) = &*place;
                    let mut sum = 0;
                    for i in 0..EACH {
                        let is_sender = n % 2 == 0;
                        let ready = if is_sender { emptied } else { filled };
                        let mut value = value.lock();
                        while value.is_some() == is_sender {
                            value = match random.below(2) {
                                0 => ready.wait(value),
                                _ => ready.wait_timeout(value, brief(&mut random)).0,
                            };
                        }
                        if is_sender {
                            *value = Some(i);
                            filled.notify_one();
                        } else {
                            sum += value.take().unwrap();
                            emptied.notify_one();
                        }
                    }
                    sum
                }
            });
            assert_eq!(
                sums.into_iter().sum::<usize>(),
                ALL / 2 * EACH * (EACH - 1) / 2
            );
        });
    }
}

#[test]
fn what_happens_once_happens_once_for_threads_and_goroutines() {
    static LAZY: [LazyLock<usize>; 2] = [const { LazyLock::new(|| MADE.fetch_add(1, R)) }; 2];
    static MADE: AtomicUsize = AtomicUsize::new(40);
    const R: Ordering = Ordering::Relaxed;
    for (at, procs) in PROCS.into_iter().enumerate() {
        run(procs, || {
            let meet = Arc::new(Barrier::new(ALL));
            let rounds: Vec<_> = (0..200)
                .map(|_| (Once::new(), OnceLock::new(), AtomicUsize::new(0)))
                .collect();
            let rounds = Arc::new(rounds);
            let got = crowd(|n| {
                let (meet, rounds) = (Arc::clone(&meet), Arc::clone(&rounds));
                move || {
                    for (round, (once, cell, calls)) in rounds.iter().enumerate() {
                        meet.wait();
                        // The first one fails in some rounds: another tries again.
                        let call = || {
                            once.call_once(|| {
                                let nth = calls.fetch_add(1, Ordering::Relaxed);
                                gopark::yield_now();
                                if round % 4 == 0 && nth == 0 {
                                    std::panic::resume_unwind(Box::new(()));
                                }
                            });
                        };
                        if (n + round) % 3 == 0 {
                            once.wait();
                        } else {
                            let failed = catch_unwind(AssertUnwindSafe(call)).is_err();
                            assert!(!failed || round % 4 == 0);
                        }
                        let value = *cell.get_or_init(|| n);
                        assert_eq!(cell.wait(), &value);
                    }
                    *LAZY[at]
                }
            });
            assert!(got.iter().all(|value| *value == got[0]) && got[0] >= 40);
            for (round, (once, _, calls)) in rounds.iter().enumerate() {
                let expected = if round % 4 == 0 { 2 } else { 1 };
                assert_eq!(calls.load(Ordering::Relaxed), expected);
                assert!(once.is_completed());
            }
        });
    }
    assert_eq!(MADE.load(Ordering::Relaxed), 42);
}
