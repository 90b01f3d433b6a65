//! Goroutines that borrow: whatever happens, the scope outlives them.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use gopark::time::{self, Elapsed};
use gopark::{Cancelled, goroutine};
use gopark_tests::{Watchdog, nap, panic_text, run, runtime, wait_until};

/// Counts down when it is dropped, some time after it should have been.
struct Late<'a>(&'a AtomicUsize);

impl Drop for Late<'_> {
    fn drop(&mut self) {
        time::sleep(Duration::from_millis(5));
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[test]
fn children_borrow_and_are_joined() {
    for procs in [1, 4] {
        run(procs, || {
            let mut numbers = [0; 100];
            let words = vec!["a".to_owned(); 3];
            let len = gopark::scope(|s| {
                for (n, number) in numbers.iter_mut().enumerate() {
                    s.spawn(move || {
                        gopark::yield_now();
                        *number = n;
                    });
                }
                let first = s.spawn(|| &words[0]);
                first.join().unwrap().len() + words.len()
            });
            assert_eq!(len, 4);
            assert!(numbers.iter().enumerate().all(|(n, number)| n == *number));
        });
    }
}

#[test]
fn scopes_nest_and_children_spawn_children() {
    run(4, || {
        let count = AtomicUsize::new(0);
        gopark::scope(|s| {
            for _ in 0..10 {
                s.spawn(|| {
                    gopark::scope(|inner| {
                        for _ in 0..10 {
                            inner.spawn(|| count.fetch_add(1, Ordering::Relaxed));
                        }
                    });
                    // A grandchild that its parent does not wait for.
                    s.spawn(|| {
                        time::sleep(Duration::from_millis(1));
                        count.fetch_add(1, Ordering::Relaxed)
                    });
                });
            }
        });
        assert_eq!(count.load(Ordering::Relaxed), 110);
    });
}

#[test]
fn handles_that_are_dropped_or_forgotten_are_waited_for() {
    run(2, || {
        let alive = AtomicUsize::new(3);
        gopark::scope(|s| {
            let [a, b, _c] = [0, 1, 2].map(|_| {
                s.spawn(|| {
                    time::sleep(Duration::from_millis(10));
                    // The result is dropped late, by whoever drops it.
                    Late(&alive)
                })
            });
            drop(a);
            b.join().unwrap();
        });
        assert_eq!(alive.load(Ordering::Relaxed), 0);
        gopark::scope(|s| {
            std::mem::forget(s.spawn(|| {
                time::sleep(Duration::from_millis(10));
                alive.store(7, Ordering::Relaxed);
            }));
        });
        assert_eq!(alive.load(Ordering::Relaxed), 7);
    });
}

#[test]
fn a_panic_of_a_child_is_the_scope_s_unless_joined() {
    run(2, || {
        let outcome = catch_unwind(|| {
            gopark::scope(|s| {
                s.spawn(|| panic!("of a child"));
                5
            })
        });
        assert_eq!(
            panic_text(outcome.unwrap_err()),
            "a scoped goroutine panicked"
        );
        let text = gopark::scope(|s| {
            let child = s.spawn(|| panic!("of a child"));
            panic_text(child.join().unwrap_err())
        });
        assert_eq!(text, "of a child");
        // Ends that are no panics.
        gopark::scope(|s| {
            s.spawn(|| gopark::exit());
            s.spawn(gopark::park).cancel();
        });
    });
}

#[test]
fn a_panic_of_the_closure_waits_for_the_children() {
    run(2, || {
        for child_panics in [false, true] {
            let ended = AtomicBool::new(false);
            let outcome = catch_unwind(AssertUnwindSafe(|| {
                gopark::scope(|s| {
                    s.spawn(|| {
                        time::sleep(Duration::from_millis(20));
                        ended.store(true, Ordering::Relaxed);
                        assert!(!child_panics, "of a child");
                    });
                    panic!("of the closure");
                })
            }));
            assert!(ended.load(Ordering::Relaxed));
            assert_eq!(panic_text(outcome.unwrap_err()), "of the closure");
        }
    });
}

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
fn a_plain_thread_and_another_runtime_may_have_a_scope() {
    let _watchdog = Watchdog::start();
    let (one, two) = (runtime(2), runtime(1));
    let mut numbers = [1, 2, 3];
    let double = |numbers: &mut [i32; 3]| {
        one.scope(|s| {
            for number in numbers {
                s.spawn(move || {
                    time::sleep(Duration::from_millis(5));
                    *number *= 2;
                });
            }
        });
    };
    double(&mut numbers);
    two.run(|| double(&mut numbers));
    assert_eq!(numbers, [4, 8, 12]);
    let outcome = catch_unwind(|| gopark::scope(|_| ()));
    assert_eq!(
        panic_text(outcome.unwrap_err()),
        "gopark::scope called outside a runtime"
    );
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

#[test]
fn a_scope_in_a_destructor_of_an_unwinding_waits() {
    struct Scoped<'a>(&'a AtomicUsize);
    impl Drop for Scoped<'_> {
        fn drop(&mut self) {
            gopark::scope(|s| {
                s.spawn(|| {
                    time::sleep(Duration::from_millis(5));
                    self.0.fetch_add(1, Ordering::Relaxed);
                });
            });
        }
    }
    run(1, || {
        let count = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&count);
        let child = gopark::spawn(move || {
            let _scoped = Scoped(&counted);
            gopark::park();
        });
        gopark::yield_now();
        child.cancel();
        child.cancel();
        assert!(child.join().unwrap_err().is::<Cancelled>());
        assert_eq!(count.load(Ordering::Relaxed), 1);
    });
}

#[test]
fn a_child_may_have_options_and_a_handle() {
    run(2, || {
        let text = String::from("borrowed");
        gopark::scope(|s| {
            let builder = goroutine::Builder::new().name("child");
            let child = builder.spawn_scoped(s, || text.len()).unwrap();
            assert_eq!(child.goroutine().name(), Some("child"));
            assert_eq!(child.join().unwrap(), 8);
            let wrong = goroutine::Builder::new()
                .stack_limit(1)
                .spawn_scoped(s, || ());
            assert!(wrong.is_err());
        });
    });
}

#[test]
fn a_long_scope_forgets_children_that_have_ended() {
    run(2, || {
        let count = AtomicUsize::new(0);
        gopark::scope(|s| {
            for _ in 0..20_000 {
                s.spawn(|| count.fetch_add(1, Ordering::Relaxed));
                gopark::yield_now();
            }
        });
        assert_eq!(count.load(Ordering::Relaxed), 20_000);
    });
}
