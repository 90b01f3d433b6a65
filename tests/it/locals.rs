//! Goroutine-locals.

use std::cell::{Cell, RefCell};
use std::panic::catch_unwind;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use gopark_tests::{alone, nap, panic_text, run, runtime};

gopark::goroutine_local! {
    static NUMBER: Cell<usize> = Cell::new(7);
    static TEXT: RefCell<String> = RefCell::new(String::from("fresh"));
    static MADE: usize = {
        MAKINGS.fetch_add(1, Ordering::Relaxed);
        42
    };
}

static MAKINGS: AtomicUsize = AtomicUsize::new(0);

#[test]
fn every_goroutine_has_its_own_value() {
    run(2, || {
        NUMBER.set(1);
        let others: Vec<_> = (100..200)
            .map(|n| {
                gopark::spawn(move || {
                    assert_eq!(NUMBER.get(), 7);
                    NUMBER.set(n);
                    gopark::yield_now();
                    assert_eq!(NUMBER.replace(n + 1), n);
                    NUMBER.get()
                })
            })
            .collect();
        for (n, other) in (101..).zip(others) {
            assert_eq!(other.join().unwrap(), n);
        }
        assert_eq!(NUMBER.get(), 1);
    });
}

#[test]
fn a_value_is_made_at_its_first_use_and_once() {
    run(1, || {
        let before = MAKINGS.load(Ordering::Relaxed);
        for _ in 0..3 {
            gopark::spawn(|| {
                let first = MADE.with(|made| std::ptr::from_ref(made).addr());
                gopark::yield_now();
                MADE.with(|made| assert_eq!((*made, std::ptr::from_ref(made).addr()), (42, first)));
            })
            .join()
            .unwrap();
            gopark::spawn(|| ()).join().unwrap();
        }
        assert_eq!(MAKINGS.load(Ordering::Relaxed), before + 3);
    });
}

#[test]
fn values_can_be_lent_replaced_and_taken() {
    run(1, || {
        TEXT.with_borrow_mut(|text| text.push_str(" and more"));
        assert_eq!(TEXT.with_borrow(String::clone), "fresh and more");
        assert_eq!(TEXT.replace(String::from("b")), "fresh and more");
        assert_eq!(TEXT.take(), "b");
        assert_eq!(TEXT.take(), "");
        TEXT.set(String::from("c"));
        assert_eq!(TEXT.with(|text| text.borrow().len()), 1);
        assert_eq!((NUMBER.take(), NUMBER.take()), (7, 0));
        let lent = catch_unwind(|| TEXT.with_borrow(|_| TEXT.with_borrow_mut(|_| ())));
        assert!(lent.is_err());
        assert_eq!(TEXT.take(), "c");
    });
}

#[test]
fn a_borrow_and_its_value_go_along_to_other_threads() {
    run(4, || {
        let wandering = |n: usize| {
            gopark::spawn(move || {
                TEXT.with_borrow_mut(|text| {
                    for _ in 0..50 {
                        text.push('x');
                        gopark::yield_now();
                        gopark::blocking(|| nap(Duration::from_micros(20)));
                    }
                });
                NUMBER.set(n);
                gopark::yield_now();
                assert_eq!(TEXT.with_borrow(|text| text.matches('x').count()), 50);
                NUMBER.get()
            })
        };
        let all: Vec<_> = (0..20).map(wandering).collect();
        for (n, one) in all.into_iter().enumerate() {
            assert_eq!(one.join().unwrap(), n);
        }
    });
}

#[test]
fn off_a_goroutine_there_is_an_error_and_no_value() {
    let error = NUMBER.try_with(Cell::get).unwrap_err();
    assert_eq!(error, TEXT.try_with(|_| ()).unwrap_err());
    assert!(error.to_string().contains("outside a goroutine"), "{error}");
    let text = panic_text(catch_unwind(|| NUMBER.get()).unwrap_err());
    assert!(text.contains("outside a goroutine"), "{text}");
    run(1, || {
        assert_eq!(NUMBER.try_with(Cell::get), Ok(7));
        // The thread's stack is another stack of the goroutine.
        gopark::on_thread_stack(|| assert_eq!(NUMBER.try_with(Cell::get), Ok(7)));
    });
}

/// What the destructors note.
static LOG: Mutex<Vec<(usize, &str)>> = Mutex::new(Vec::new());

struct Noting {
    name: &'static str,
    test: Cell<usize>,
}

impl Noting {
    fn new(name: &'static str) -> Noting {
        let test = Cell::new(0);
        Noting { name, test }
    }
}

impl Drop for Noting {
    fn drop(&mut self) {
        // Destructors may use the runtime, and other locals.
        gopark::yield_now();
        if self.name == "second" {
            assert_eq!(OLDEST.with(|oldest| oldest.name), "oldest");
        }
        let mut log = LOG.lock().unwrap();
        log.push((self.test.get(), self.name));
    }
}

gopark::goroutine_local! {
    static OLDEST: Noting = Noting::new("oldest");
    static SECOND: Noting = Noting::new("second");
    static NEWEST: Noting = {
        // Made while another is being made: the inner one is there first.
        SECOND.with(|second| assert_eq!(second.name, "second"));
        Noting::new("newest")
    };
}

fn use_all(test: usize) {
    OLDEST.with(|noting| noting.test.set(test));
    NEWEST.with(|noting| noting.test.set(test));
    SECOND.with(|noting| noting.test.set(test));
}

const ORDER: [&str; 3] = ["newest", "second", "oldest"];

fn logged(test: usize) -> Vec<&'static str> {
    let log = LOG.lock().unwrap();
    let own = log.iter().filter(|(of, _)| *of == test);
    own.map(|(_, name)| *name).collect()
}

#[test]
fn values_are_dropped_at_the_end_newest_first() {
    run(1, || {
        gopark::spawn(|| use_all(1)).join().unwrap();
        assert_eq!(logged(1), ORDER);
        let panicking = gopark::spawn(|| {
            use_all(2);
            panic!("on purpose");
        });
        assert!(panicking.join().is_err());
        assert_eq!(logged(2), ORDER);
        let exiting = gopark::spawn(|| {
            use_all(3);
            gopark::exit();
        });
        assert!(exiting.join().is_err());
        assert_eq!(logged(3), ORDER);
    });
}

/// In a process of its own: what goes wrong here aborts.
#[test]
fn values_are_dropped_when_their_runtime_ends() {
    let case = || {
        let runtime = runtime(1);
        let parked = runtime.spawn(|| {
            use_all(4);
            gopark::park();
        });
        runtime.run(gopark::yield_now);
        assert!(logged(4).is_empty());
        drop(runtime);
        assert!(parked.join().unwrap_err().is::<gopark::Cancelled>());
        assert_eq!(logged(4), ORDER);
    };
    let name = "locals::values_are_dropped_when_their_runtime_ends";
    alone(name, |_| (), case);
}

#[test]
fn a_value_may_be_bound_to_its_goroutine() {
    gopark::goroutine_local! {
        static GUARD: RefCell<Option<gopark::OsThreadGuard>> = RefCell::new(None);
    }
    let ends = Arc::new(AtomicUsize::new(0));
    run(2, || {
        let locked = |_| {
            let ends = Arc::clone(&ends);
            gopark::spawn(move || {
                GUARD.set(Some(gopark::lock_os_thread()));
                gopark::yield_now();
                ends.fetch_add(1, Ordering::Relaxed);
            })
        };
        let all: Vec<_> = (0..10).map(locked).collect();
        all.into_iter().for_each(|one| one.join().unwrap());
    });
    assert_eq!(ends.load(Ordering::Relaxed), 10);
}

#[test]
fn an_initialiser_that_uses_its_own_key_keeps_the_inner_value() {
    gopark::goroutine_local! {
        static KNOT: Cell<usize> = {
            if NUMBER.replace(8) == 7 {
                KNOT.set(3);
            }
            Cell::new(4)
        };
    }
    run(1, || {
        assert_eq!(KNOT.get(), 3);
        NUMBER.set(0);
        assert_eq!(gopark::spawn(|| KNOT.get()).join().unwrap(), 3);
    });
}
