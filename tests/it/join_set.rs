//! Sets of goroutines, and handles as futures.

use std::future::{Future, IntoFuture};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use gopark::goroutine::Goroutine;
use gopark::{Cancelled, JoinSet, time};
use gopark_tests::{Counted, Watchdog, block_on, panic_text, run, runtime, wait_until};

const LONG: Duration = Duration::from_secs(1000);

#[test]
fn results_come_in_the_order_of_the_ends() {
    run(2, || {
        let mut set = JoinSet::new();
        for n in [3, 1, 2] {
            set.spawn(move || {
                time::sleep(Duration::from_millis(40 * n));
                n
            });
        }
        assert_eq!(set.len(), 3);
        assert!(set.try_join_next().is_none());
        let order: Vec<_> = std::iter::from_fn(|| set.join_next())
            .map(Result::unwrap)
            .collect();
        assert_eq!(order, [1, 2, 3]);
        assert!(set.is_empty() && set.join_next().is_none());
    });
}

#[test]
fn places_of_a_set_are_used_again() {
    run(4, || {
        let mut set = JoinSet::new();
        let mut sum = 0;
        for n in 0..10_000_u64 {
            set.spawn(move || n);
            if set.len() == 10 {
                sum += set.join_next().unwrap().unwrap();
            }
            while let Some(n) = set.try_join_next() {
                sum += n.unwrap();
            }
        }
        sum += set.join_all().into_iter().sum::<u64>();
        assert_eq!(sum, 9_999 * 10_000 / 2);
    });
}

#[test]
fn panics_and_cancels_are_results() {
    run(2, || {
        let mut set = JoinSet::new();
        set.spawn(|| panic!("of a member"));
        assert_eq!(
            panic_text(set.join_next().unwrap().unwrap_err()),
            "of a member"
        );
        let one: Goroutine = set.spawn(gopark::park);
        one.cancel();
        assert!(set.join_next().unwrap().unwrap_err().is::<Cancelled>());
        for _ in 0..10 {
            set.spawn(gopark::park);
        }
        set.cancel_all();
        assert_eq!(set.len(), 10);
        while let Some(outcome) = set.join_next() {
            assert!(outcome.unwrap_err().is::<Cancelled>());
        }
    });
}

#[test]
fn a_set_that_is_dropped_cancels_and_one_that_is_shut_down_waits() {
    run(2, || {
        let drops = Arc::new(AtomicUsize::new(0));
        let fill = || {
            let mut set = JoinSet::new();
            for _ in 0..10 {
                let counted = Counted(Arc::clone(&drops));
                set.spawn(move || {
                    let _counted = counted;
                    gopark::park();
                });
            }
            gopark::yield_now();
            set
        };
        let mut set = fill();
        set.shutdown();
        assert!(set.is_empty());
        assert_eq!(drops.load(Ordering::Relaxed), 10);
        drop(fill());
        wait_until("all are dropped", || {
            gopark::yield_now();
            drops.load(Ordering::Relaxed) == 20
        });
        let mut set = fill();
        set.detach_all();
        assert!(set.is_empty());
        drop(set);
        time::sleep(Duration::from_millis(5));
        assert_eq!(drops.load(Ordering::Relaxed), 20);
    });
}

#[test]
fn a_panic_in_join_all_cancels_the_others() {
    run(2, || {
        let mut set = JoinSet::new();
        let other = gopark::spawn(gopark::park);
        let watched = other.goroutine().clone();
        set.insert(other);
        set.spawn(|| panic!("of a member"));
        let outcome = catch_unwind(AssertUnwindSafe(|| set.join_all()));
        assert_eq!(panic_text(outcome.unwrap_err()), "of a member");
        watched.cancel();
    });
}

#[test]
fn a_wait_that_is_cancelled_loses_nothing() {
    run(2, || {
        let waiter = gopark::spawn(|| {
            let mut set = JoinSet::new();
            set.spawn(|| {
                time::sleep(Duration::from_millis(20));
                6
            });
            let left = catch_unwind(AssertUnwindSafe(|| set.join_next()));
            assert!(left.unwrap_err().is::<Cancelled>());
            set.join_next().unwrap().unwrap()
        });
        time::sleep(Duration::from_millis(5));
        waiter.cancel();
        assert_eq!(waiter.join().unwrap(), 6);
    });
}

#[test]
fn a_plain_thread_may_have_a_set() {
    let _watchdog = Watchdog::start();
    let runtime = runtime(2);
    let mut set = JoinSet::new();
    for n in 0..100 {
        set.spawn_on(move || n, &runtime);
    }
    assert_eq!(set.join_all().into_iter().sum::<i32>(), 4950);
    let mut set = JoinSet::new();
    set.spawn_on(|| time::sleep(LONG), &runtime);
    set.shutdown();
}

#[test]
fn a_handle_is_a_future_in_any_executor() {
    let _watchdog = Watchdog::start();
    let runtime = runtime(2);
    let sleeper = |n: i32| {
        move || {
            time::sleep(Duration::from_millis(5));
            n
        }
    };
    let handles = [runtime.spawn(sleeper(1)), runtime.spawn(sleeper(2))];
    let sum = block_on(async {
        let mut sum = 0;
        for handle in handles {
            sum += handle.await.unwrap();
        }
        sum
    });
    assert_eq!(sum, 3);
    runtime.run(|| {
        let value = block_on(async { gopark::spawn(sleeper(4)).await.unwrap() });
        assert_eq!(value, 4);
        let failed = block_on(async { gopark::spawn(|| panic!("of a task")).await });
        let payload: Box<dyn std::any::Any + Send> = failed.map(|(): ()| ()).unwrap_err();
        assert_eq!(panic_text(payload), "of a task");
        for n in 0..5_000 {
            assert_eq!(block_on(gopark::spawn(move || n).into_future()).unwrap(), n);
        }
    });
}

#[test]
fn the_last_waker_is_woken_and_none_is_kept() {
    struct Count(AtomicUsize);
    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
    run(1, || {
        let mut future = gopark::spawn(|| 8).into_future();
        let counts = [0, 1].map(|_| Arc::new(Count(AtomicUsize::new(0))));
        let mut poll = |count: &Arc<Count>| {
            let waker = Waker::from(Arc::clone(count));
            std::pin::Pin::new(&mut future).poll(&mut Context::from_waker(&waker))
        };
        assert!(counts.iter().all(|count| poll(count).is_pending()));
        assert_eq!(Arc::strong_count(&counts[0]), 1, "the old waker is kept");
        gopark::yield_now();
        assert_eq!(
            counts
                .each_ref()
                .map(|count| count.0.load(Ordering::Relaxed)),
            [0, 1]
        );
        assert!(matches!(poll(&counts[0]), Poll::Ready(Ok(8))));
        // Dropped while it waits, it detaches the goroutine and lets the waker go.
        let mut future = gopark::spawn(gopark::park).into_future();
        let goroutine = future.goroutine().clone();
        let waker = Waker::from(Arc::clone(&counts[0]));
        let poll = std::pin::Pin::new(&mut future).poll(&mut Context::from_waker(&waker));
        assert!(poll.is_pending());
        drop((future, waker));
        assert_eq!(Arc::strong_count(&counts[0]), 1);
        goroutine.cancel();
    });
}
