//! Goroutines that borrow: whatever happens, the scope outlives them.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use gopark::time;
use gopark::{Cancelled, goroutine, raw};
use gopark_tests::{Watchdog, panic_text, run, runtime};

/// Counts down when it is dropped, some time after it should have been.
pub(crate) struct Late<'a>(pub(crate) &'a AtomicUsize);

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
fn the_closure_of_a_park_cannot_lend_anything() {
    run(2, || {
        let attempts: [fn(); 2] = [
            || gopark::scope(|s| drop(s.spawn(|| ()))),
            || runtime(1).run(|| ()),
        ];
        for attempt in attempts {
            let outcome = catch_unwind(|| {
                raw::park(|_| {
                    attempt();
                    false
                });
            });
            let text = panic_text(outcome.unwrap_err());
            assert!(text.contains("cannot wait for goroutines"), "{text}");
        }
        // One that was opened before may spawn there.
        let count = AtomicUsize::new(0);
        gopark::scope(|s| {
            raw::park(|_| {
                s.spawn(|| count.fetch_add(1, Ordering::Relaxed));
                false
            });
        });
        assert_eq!(count.load(Ordering::Relaxed), 1);
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
