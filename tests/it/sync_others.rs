//! Semaphore, WaitGroup and the rest, on goroutines and threads.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use gopark::sync::{
    Barrier, CancellationToken, LazyLock, Notify, Once, OnceLock, Semaphore, TryAcquireError,
    WaitGroup,
};
use gopark::time::{sleep, timeout};
use gopark_tests::{panic_text, run};

const SHORT: Duration = Duration::from_millis(20);

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
