//! Goroutines that wait while they unwind: they hold no threads, and std's count of panics is
//! theirs wherever they run.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::panicking;
use std::time::Duration;

use gopark::runtime::Builder;
use gopark::sync::Barrier;
use gopark_tests::{Watchdog, build, run, wait_until};

const THREADS_MAX: usize = 6;
const MANY: usize = 300;

/// Its destructor waits until as many others do.
struct Meets(Arc<Barrier>, Arc<AtomicUsize>);

impl Drop for Meets {
    fn drop(&mut self) {
        assert!(panicking());
        self.0.wait();
        assert!(panicking(), "the count was left behind");
        self.1.fetch_add(1, Ordering::Relaxed);
    }
}

/// With a thread for each they would never meet.
#[test]
fn destructors_that_wait_after_a_storm_of_cancels_meet_on_few_threads() {
    let _watchdog = Watchdog::start();
    let runtime = build(Builder::new().procs(2).max_threads(THREADS_MAX));
    runtime.run(|| {
        let (barrier, met) = (Arc::new(Barrier::new(MANY)), Arc::new(AtomicUsize::new(0)));
        let parked: Vec<_> = (0..MANY)
            .map(|_| {
                let meets = Meets(Arc::clone(&barrier), Arc::clone(&met));
                gopark::spawn(move || {
                    let _meets = meets;
                    gopark::park();
                })
            })
            .collect();
        gopark::yield_now();
        parked.iter().for_each(gopark::JoinHandle::cancel);
        for one in parked {
            assert!(one.join().unwrap_err().is::<gopark::Cancelled>());
        }
        assert_eq!(met.load(Ordering::Relaxed), MANY);
        assert!(!panicking());
    });
}

#[test]
fn destructors_that_wait_at_the_end_of_a_runtime_meet_on_few_threads() {
    let _watchdog = Watchdog::start();
    let runtime = build(Builder::new().procs(2).max_threads(THREADS_MAX));
    let (barrier, met) = (Arc::new(Barrier::new(MANY)), Arc::new(AtomicUsize::new(0)));
    let begun = Arc::new(AtomicUsize::new(0));
    for _ in 0..MANY {
        let meets = Meets(Arc::clone(&barrier), Arc::clone(&met));
        let begun = Arc::clone(&begun);
        drop(runtime.spawn(move || {
            let _meets = meets;
            begun.fetch_add(1, Ordering::Relaxed);
            gopark::park();
        }));
    }
    wait_until("all have begun", || begun.load(Ordering::Relaxed) == MANY);
    drop(runtime);
    assert_eq!(met.load(Ordering::Relaxed), MANY);
}

/// Waits in a destructor, inside of which others panic, are caught, and wait too.
struct Nested(u32);

impl Drop for Nested {
    fn drop(&mut self) {
        assert!(panicking());
        gopark::time::sleep(Duration::from_micros(50));
        assert!(panicking());
        if self.0 > 0 {
            let inner = catch_unwind(|| {
                let _nested = Nested(self.0 - 1);
                std::panic::resume_unwind(Box::new(self.0));
            });
            assert_eq!(inner.unwrap_err().downcast_ref(), Some(&self.0));
            assert!(panicking(), "the outer panic is still under way");
            gopark::time::sleep(Duration::from_micros(50));
        }
        assert!(panicking());
    }
}

#[test]
fn each_goroutine_has_its_own_count_of_panics() {
    for procs in [1, 2, 4] {
        run(procs, || {
            let ends = Arc::new(AtomicBool::new(false));
            let watchers: Vec<_> = (0..4)
                .map(|_| {
                    let ends = Arc::clone(&ends);
                    gopark::spawn(move || {
                        while !ends.load(Ordering::Relaxed) {
                            assert!(!panicking(), "the count of another goroutine");
                            gopark::time::sleep(Duration::from_micros(20));
                            let lock = std::sync::Mutex::new(());
                            drop(lock.lock());
                            assert!(!lock.is_poisoned());
                        }
                    })
                })
                .collect();
            let unwinding: Vec<_> = (0..60)
                .map(|n| {
                    gopark::spawn(move || {
                        let caught = catch_unwind(AssertUnwindSafe(|| {
                            let _nested = Nested(n % 4);
                            std::panic::resume_unwind(Box::new("outer"));
                        }));
                        assert!(!panicking(), "caught");
                        gopark::yield_now();
                        assert!(!panicking(), "caught");
                        caught.unwrap_err().downcast_ref::<&str>().copied()
                    })
                })
                .collect();
            for one in unwinding {
                assert_eq!(one.join().unwrap(), Some("outer"));
            }
            ends.store(true, Ordering::Relaxed);
            for watcher in watchers {
                watcher.join().unwrap();
            }
        });
    }
}

/// A goroutine that has locked its thread keeps it, also while it unwinds.
#[test]
fn a_destructor_that_waits_on_a_locked_thread_stays_there() {
    struct Stays(i64);
    impl Drop for Stays {
        fn drop(&mut self) {
            gopark::time::sleep(Duration::from_millis(1));
            assert!(panicking());
            assert_eq!(gopark_tests::thread_id(), self.0);
        }
    }
    run(2, || {
        let all: Vec<_> = (0..20)
            .map(|_| {
                gopark::spawn(|| {
                    let _locked = gopark::lock_os_thread();
                    let _stays = Stays(gopark_tests::thread_id());
                    std::panic::resume_unwind(Box::new(1));
                })
            })
            .collect();
        for one in all {
            let payload = one.join().unwrap_err();
            assert!(payload.is::<i32>());
        }
    });
}
