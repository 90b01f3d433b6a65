//! Scopes that are cancelled: by a panic, by hand, with their parent, with the runtime.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use gopark::Cancelled;
use gopark::time::{self, Elapsed};
use gopark_tests::{Watchdog, nap, panic_text, run, runtime, wait_until};

use crate::scope::Late;

#[test]
fn the_first_panic_cancels_the_others_if_asked_to() {
    run(2, || {
        let drops = AtomicUsize::new(2);
        let begun = AtomicUsize::new(0);
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            gopark::scope(|s| {
                s.cancel_on_panic();
                for _ in 0..2 {
                    s.spawn(|| {
                        let _late = Late(&drops);
                        begun.fetch_add(1, Ordering::Relaxed);
                        gopark::park();
                    });
                }
                let first = s.spawn(|| {
                    while begun.load(Ordering::Relaxed) < 2 {
                        gopark::yield_now();
                    }
                    panic!("the first");
                });
                assert!(first.join().unwrap_err().is::<Cancelled>());
                // It comes too late, and is cancelled.
                let late = s.spawn(gopark::park);
                assert!(late.join().unwrap_err().is::<Cancelled>());
                panic!("of the closure, later");
            })
        }));
        assert_eq!(panic_text(outcome.unwrap_err()), "the first");
        assert_eq!(drops.load(Ordering::Relaxed), 0);
    });
}

#[test]
fn a_panic_of_the_closure_cancels_the_children_if_asked_to() {
    run(2, || {
        let outcome = catch_unwind(|| {
            gopark::scope(|s| {
                s.cancel_on_panic();
                s.spawn(gopark::park);
                panic!("of the closure");
            })
        });
        assert_eq!(panic_text(outcome.unwrap_err()), "of the closure");
    });
}

#[test]
fn cancel_cancels_children_and_those_that_come() {
    run(2, || {
        let value = gopark::scope(|s| {
            s.spawn(gopark::park);
            s.spawn(|| time::sleep(Duration::from_secs(1000)));
            s.cancel();
            s.spawn(gopark::park);
            gopark::yield_now();
            7
        });
        assert_eq!(value, 7);
    });
}

#[test]
fn a_parent_that_is_cancelled_cancels_its_children_and_waits_for_them() {
    run(2, || {
        for in_closure in [false, true] {
            let alive = Arc::new(AtomicUsize::new(0));
            let seen = Arc::clone(&alive);
            let parent = gopark::spawn(move || {
                let borrowed = AtomicUsize::new(10);
                let _check = Check(&borrowed, &seen);
                gopark::scope(|s| {
                    for _ in 0..10 {
                        s.spawn(|| {
                            let _late = Late(&borrowed);
                            alive.fetch_add(1, Ordering::Relaxed);
                            gopark::park();
                        });
                    }
                    if in_closure {
                        gopark::park();
                    }
                });
                unreachable!("a scope that was cancelled returned");
            });
            nap(Duration::from_millis(20));
            parent.cancel();
            assert!(parent.join().unwrap_err().is::<Cancelled>());
        }
    });
    /// The children must be gone when the parent unwinds.
    struct Check<'a>(&'a AtomicUsize, &'a AtomicUsize);
    impl Drop for Check<'_> {
        fn drop(&mut self) {
            let begun = self.1.load(Ordering::Relaxed);
            assert_eq!(self.0.load(Ordering::Relaxed), 10 - begun);
        }
    }
}

#[test]
fn a_time_limit_ends_a_scope() {
    run(2, || {
        let alive = AtomicUsize::new(0);
        let outcome = time::timeout(Duration::from_millis(10), || {
            gopark::scope(|s| {
                for _ in 0..3 {
                    s.spawn(|| {
                        alive.fetch_add(1, Ordering::Relaxed);
                        let _late = Late(&alive);
                        gopark::park();
                    });
                }
            });
        });
        assert!(matches!(outcome, Err(Elapsed { .. })));
        assert_eq!(alive.load(Ordering::Relaxed), 0);
        // The caller goes on.
        assert_eq!(gopark::scope(|s| s.spawn(|| 4).join().unwrap()), 4);
    });
}

#[test]
fn a_runtime_that_ends_waits_for_scopes() {
    let _watchdog = Watchdog::start();
    for procs in [1, 4] {
        let runtime = runtime(procs);
        let begun = Arc::new(AtomicUsize::new(0));
        for _ in 0..20 {
            let begun = Arc::clone(&begun);
            drop(runtime.spawn(move || {
                let borrowed = AtomicUsize::new(3);
                let _check = Gone(&borrowed);
                gopark::scope(|s| {
                    for _ in 0..3 {
                        s.spawn(|| {
                            let _late = Late(&borrowed);
                            begun.fetch_add(1, Ordering::Relaxed);
                            gopark::park();
                        });
                    }
                });
            }));
        }
        wait_until("all have begun", || begun.load(Ordering::Relaxed) == 60);
        drop(runtime);
    }
    struct Gone<'a>(&'a AtomicUsize);
    impl Drop for Gone<'_> {
        fn drop(&mut self) {
            assert_eq!(self.0.load(Ordering::Relaxed), 0);
        }
    }
}
