//! Condvar, RwLock, Semaphore, WaitGroup and the rest, on goroutines and threads.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use gopark::sync::{
    Barrier, CancellationToken, Condvar, LazyLock, Mutex, Notify, Once, OnceLock, RwLock,
    Semaphore, TryAcquireError, WaitGroup,
};
use gopark::time::{sleep, timeout};
use gopark_tests::{panic_text, run, runtime, wait_until};

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
                        if (round + n) % 5 == 0 {
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

#[test]
fn permits_are_given_in_order_and_come_back() {
    for procs in [1, 4] {
        run(procs, || {
            let semaphore = Arc::new(Semaphore::new(3));
            let most = Arc::new((AtomicUsize::new(0), AtomicUsize::new(0)));
            let worker = |n: usize| {
                let (semaphore, most) = (Arc::clone(&semaphore), Arc::clone(&most));
                move || {
                    for _ in 0..300 {
                        let permit = semaphore.acquire_many(1 + n % 2).unwrap();
                        let inside = most.0.fetch_add(permit.num_permits(), Ordering::Relaxed);
                        most.1
                            .fetch_max(inside + permit.num_permits(), Ordering::Relaxed);
                        gopark::yield_now();
                        most.0.fetch_sub(permit.num_permits(), Ordering::Relaxed);
                    }
                }
            };
            let thread = std::thread::spawn(worker(0));
            let goroutines: Vec<_> = (0..8).map(|n| gopark::spawn(worker(n))).collect();
            goroutines.into_iter().for_each(|one| one.join().unwrap());
            gopark::blocking(|| thread.join().unwrap());
            assert!(most.1.load(Ordering::Relaxed) <= 3);
            assert_eq!(semaphore.available_permits(), 3);
            let refused = semaphore.acquire_many_timeout(4, SHORT).unwrap_err();
            assert_eq!(refused, TryAcquireError::NoPermits);
            assert!(timeout(SHORT, || semaphore.acquire_many(4).is_ok()).is_err());
            assert_eq!(semaphore.available_permits(), 3);
            let shared = Arc::clone(&semaphore);
            let waits = gopark::spawn(move || shared.acquire_many(4).is_err());
            gopark::yield_now();
            semaphore.close();
            assert!(waits.join().unwrap(), "it is closed");
            let closed = semaphore.try_acquire().unwrap_err();
            assert_eq!(closed, TryAcquireError::Closed);
        });
    }
    let full = Semaphore::new(Semaphore::MAX_PERMITS);
    let call = std::panic::AssertUnwindSafe(|| full.add_permits(1));
    let text = panic_text(std::panic::catch_unwind(call).unwrap_err());
    assert!(text.contains("too many permits"), "{text}");
}

#[test]
fn wait_groups_count_are_used_again_and_refuse_less_than_nothing() {
    for procs in [1, 4] {
        run(procs, || {
            let group = WaitGroup::new();
            group.wait();
            let sum = Arc::new(AtomicUsize::new(0));
            for round in 1..200 {
                for n in 0..5 {
                    let sum = Arc::clone(&sum);
                    group.go(move || {
                        sum.fetch_add(1, Ordering::Relaxed);
                        assert!(n != 9);
                    });
                }
                let worker = group.worker();
                let also = gopark::spawn(move || drop(worker));
                let waits = group.clone();
                let other = gopark::spawn(move || waits.wait());
                group.wait();
                assert_eq!(sum.load(Ordering::Relaxed), 5 * round);
                also.join().unwrap();
                other.join().unwrap();
            }
            group.add(1);
            assert!(!group.wait_timeout(SHORT));
            assert!(timeout(SHORT, || group.wait()).is_err());
            let waits = group.clone();
            let thread = std::thread::spawn(move || waits.wait());
            group.done();
            gopark::blocking(|| thread.join().unwrap());
            let call = std::panic::AssertUnwindSafe(|| group.done());
            let text = panic_text(std::panic::catch_unwind(call).unwrap_err());
            assert_eq!(text, "gopark: negative WaitGroup counter");
        });
    }
}

#[test]
fn a_panic_in_a_group_counts_as_its_end() {
    run(2, || {
        let group = WaitGroup::new();
        group.go(|| std::panic::resume_unwind(Box::new(())));
        group.wait();
    });
}

/// Go's TestOncePanic, and who waits for it.
#[test]
fn once_happens_once_and_again_after_a_panic() {
    static ONCE: Once = Once::new();
    static CELL: OnceLock<u32> = OnceLock::new();
    static LAZY: LazyLock<u32> = LazyLock::new(|| 7);
    run(4, || {
        let waits = gopark::spawn(|| ONCE.wait());
        let panics = gopark::spawn(|| ONCE.call_once(|| panic!("the first")));
        assert!(panics.join().is_err());
        assert!(!ONCE.is_completed());
        assert!(CELL.wait_timeout(SHORT).is_none());
        let calls = Arc::new(AtomicUsize::new(0));
        let callers: Vec<_> = (0..10)
            .map(|n| {
                let calls = Arc::clone(&calls);
                gopark::spawn(move || {
                    ONCE.call_once(|| {
                        sleep(Duration::from_millis(2));
                        calls.fetch_add(1, Ordering::Relaxed);
                    });
                    *CELL.get_or_init(|| n)
                })
            })
            .collect();
        let got: Vec<u32> = callers.into_iter().map(|one| one.join().unwrap()).collect();
        assert_eq!(calls.load(Ordering::Relaxed), 1);
        assert!(got.iter().all(|n| *n == got[0]));
        waits.join().unwrap();
        assert_eq!(CELL.set(99), Err(99));
        assert_eq!((*CELL.wait(), *LAZY), (got[0], 7));
    });
}

#[test]
fn barriers_let_through_all_or_nobody() {
    for procs in [1, 4] {
        run(procs, || {
            let barrier = Arc::new(Barrier::new(20));
            let leaders = Arc::new(AtomicUsize::new(0));
            let meets = || {
                let (barrier, leaders) = (Arc::clone(&barrier), Arc::clone(&leaders));
                move || {
                    for _ in 0..50 {
                        let is_leader = barrier.wait().is_leader();
                        leaders.fetch_add(usize::from(is_leader), Ordering::Relaxed);
                    }
                }
            };
            assert!(barrier.wait_timeout(SHORT).is_none());
            assert!(timeout(SHORT, || barrier.wait()).is_err());
            let thread = std::thread::spawn(meets());
            let goroutines: Vec<_> = (0..19).map(|_| gopark::spawn(meets())).collect();
            goroutines.into_iter().for_each(|one| one.join().unwrap());
            gopark::blocking(|| thread.join().unwrap());
            assert_eq!(leaders.load(Ordering::Relaxed), 50);
        });
    }
}

#[test]
fn notes_are_kept_and_calls_to_all_reach_all() {
    run(4, || {
        let notify = Arc::new(Notify::new());
        notify.notify_one();
        notify.notify_one();
        notify.notified().wait();
        assert!(!notify.notified().wait_timeout(SHORT));
        let early = notify.notified();
        notify.notify_waiters();
        early.wait();
        assert!(timeout(SHORT, || notify.notified().wait()).is_err());
        let woken = Arc::new(AtomicBool::new(false));
        let waiters: Vec<_> = (0..40)
            .map(|_| {
                let (notify, woken) = (Arc::clone(&notify), Arc::clone(&woken));
                gopark::spawn(move || {
                    let notified = notify.notified();
                    notified.wait();
                    assert!(woken.load(Ordering::Relaxed));
                })
            })
            .collect();
        woken.store(true, Ordering::Relaxed);
        while !waiters.iter().all(|one| one.is_finished()) {
            notify.notify_waiters();
            gopark::yield_now();
        }
        waiters.into_iter().for_each(|one| one.join().unwrap());
    });
}

#[test]
fn cancellation_goes_down_the_tree_and_wakes() {
    run(4, || {
        let root = CancellationToken::new();
        let (left, right) = (root.child_token(), root.child_token());
        let leaf = {
            let middle = left.child_token();
            middle.child_token()
        };
        right.cancel();
        assert!(right.is_cancelled() && !root.is_cancelled());
        assert!(!leaf.wait_timeout(SHORT));
        assert!(timeout(SHORT, || leaf.wait()).is_err());
        let waits = leaf.clone();
        let goroutine = gopark::spawn(move || waits.wait());
        let waits = leaf.clone();
        let thread = std::thread::spawn(move || waits.wait());
        drop(root.clone().drop_guard().disarm());
        assert!(!root.is_cancelled());
        drop(root.clone().drop_guard());
        goroutine.join().unwrap();
        gopark::blocking(|| thread.join().unwrap());
        assert!(leaf.child_token().is_cancelled());
        let mut deep = CancellationToken::new();
        let top = deep.clone();
        for _ in 0..100_000 {
            deep = deep.child_token();
        }
        top.cancel();
        assert!(deep.is_cancelled());
    });
}
