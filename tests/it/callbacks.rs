//! Waits in callbacks of foreign code, into whose frames no unwinding may come.

#![expect(unsafe_code, reason = "calls functions of C, with callbacks")]

use std::cell::Cell;
use std::ffi::{c_int, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use gopark::time::{Elapsed, sleep, timeout};
use gopark::{Cancelled, chan};
use gopark_tests::{Watchdog, run, runtime, wait_until};

const TICK: Duration = Duration::from_millis(2);

gopark::goroutine_local! {
    /// What the callback does.
    static BODY: Cell<Option<&'static (dyn Fn() + Sync)>> = Cell::new(None);
}

extern "C" fn compare(_: *const c_void, _: *const c_void) -> c_int {
    if let Some(body) = BODY.take() {
        body();
    }
    0
}

/// Calls `body` below a frame of C, once.
fn below_c(body: impl Fn() + Sync + Send + 'static) {
    BODY.set(Some(Box::leak(Box::new(body))));
    let mut numbers = [3, 2, 1];
    let base = numbers.as_mut_ptr().cast();
    // SAFETY: three numbers of four bytes.
    unsafe { libc::qsort(base, 3, 4, Some(compare)) };
}

/// Its destructors, if it unwinds.
struct Drops(Arc<AtomicUsize>);

impl Drop for Drops {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn a_cancel_waits_for_a_callback() {
    run(2, || {
        let drops = Arc::new(AtomicUsize::new(0));
        let counted = Drops(Arc::clone(&drops));
        let (tx, rx) = chan::bounded::<u32>(0);
        let (began, begun) = chan::bounded(1);
        let calls = gopark::spawn(move || {
            let _counted = counted;
            let got = Arc::new(AtomicUsize::new(0));
            let seen = Arc::clone(&got);
            below_c(move || {
                began.send(()).unwrap();
                // Each kind of wait is deferred.
                got.fetch_add(rx.recv().unwrap() as usize, Ordering::Relaxed);
                got.fetch_add(
                    rx.recv_timeout(1000 * TICK).unwrap() as usize,
                    Ordering::Relaxed,
                );
                sleep(TICK);
                gopark::yield_now();
            });
            assert_eq!(seen.load(Ordering::Relaxed), 11);
            gopark::park();
            unreachable!("it was cancelled");
        });
        begun.recv().unwrap();
        calls.cancel();
        sleep(TICK);
        tx.send(5).unwrap();
        calls.cancel();
        tx.send(6).unwrap();
        let outcome: Result<(), _> = calls.join();
        assert!(outcome.unwrap_err().is::<Cancelled>());
        assert_eq!(drops.load(Ordering::Relaxed), 1);
    });
}

#[test]
fn a_limit_waits_for_a_callback() {
    run(2, || {
        let begin = Instant::now();
        let outcome = timeout(TICK, || {
            below_c(|| sleep(10 * TICK));
            5
        });
        assert_eq!(outcome, Ok(5), "there was no suspension after it");
        assert!(begin.elapsed() >= 10 * TICK);
        let outcome = timeout(TICK, || {
            below_c(|| sleep(10 * TICK));
            gopark::park();
        });
        assert!(matches!(outcome, Err(Elapsed { .. })));
    });
}

#[test]
fn parks_in_a_callback_are_woken_as_usual_while_a_cancel_waits() {
    run(2, || {
        let (tx, rx) = chan::bounded(2);
        let calls = gopark::spawn(move || {
            below_c(move || {
                gopark::current().cancel();
                tx.send(None).unwrap();
                gopark::park();
                gopark::raw::park(|waiter| tx.try_send(Some(waiter)).is_ok());
            });
            gopark::yield_now();
        });
        assert!(rx.recv().unwrap().is_none());
        sleep(TICK);
        calls.goroutine().unpark();
        let waiter = rx.recv().unwrap().unwrap();
        sleep(TICK);
        assert!(waiter.ready());
        assert!(calls.join().unwrap_err().is::<Cancelled>());
    });
}

#[test]
fn a_limit_inside_of_a_callback_ends_its_wait() {
    run(2, || {
        let calls = gopark::spawn(|| {
            below_c(|| {
                assert!(timeout(TICK, gopark::park).is_err());
                // Also while a cancel waits, which the limit does not catch.
                gopark::current().cancel();
                assert!(timeout(TICK, gopark::park).is_err());
                assert!(
                    timeout(1000 * TICK, || timeout(TICK, gopark::park))
                        .unwrap()
                        .is_err()
                );
            });
            timeout(1000 * TICK, gopark::park).is_err()
        });
        assert!(calls.join().unwrap_err().is::<Cancelled>());
    });
}

#[test]
fn a_callback_that_catches_is_unwound() {
    run(2, || {
        let (began, begun) = chan::bounded(1);
        let calls = gopark::spawn(move || {
            let caught = Arc::new(AtomicUsize::new(0));
            let seen = Arc::clone(&caught);
            below_c(move || {
                let outcome = catch_unwind(AssertUnwindSafe(|| {
                    began.send(()).unwrap();
                    timeout(1000 * TICK, gopark::park)
                }));
                assert!(outcome.unwrap_err().is::<Cancelled>());
                caught.fetch_add(1, Ordering::Relaxed);
            });
            seen.load(Ordering::Relaxed)
        });
        begun.recv().unwrap();
        calls.cancel();
        assert_eq!(calls.join().unwrap(), 1);
    });
}

#[test]
fn a_scope_in_a_callback_is_not_left_by_a_cancel() {
    run(2, || {
        let calls = gopark::spawn(|| {
            below_c(|| {
                gopark::current().cancel();
                let value = gopark::scope(|s| {
                    s.spawn(|| sleep(TICK));
                    sleep(TICK);
                    5
                });
                assert_eq!(value, 5);
            });
            gopark::yield_now();
        });
        assert!(calls.join().unwrap_err().is::<Cancelled>());
    });
}

#[test]
fn a_masked_callback_is_left_alone() {
    run(2, || {
        let calls = gopark::spawn(|| {
            below_c(|| {
                gopark::mask_cancel(|| {
                    gopark::current().cancel();
                    sleep(TICK);
                    gopark::yield_now();
                });
            });
            gopark::yield_now();
        });
        assert!(calls.join().unwrap_err().is::<Cancelled>());
    });
}

#[test]
fn the_end_of_a_runtime_waits_for_callbacks() {
    let _watchdog = Watchdog::start();
    let runtime = runtime(2);
    let steps = Arc::new(AtomicUsize::new(0));
    for _ in 0..10 {
        let counts = Arc::clone(&steps);
        let counted = Drops(Arc::clone(&steps));
        drop(runtime.spawn(move || {
            let _counted = counted;
            below_c(move || {
                counts.fetch_add(1, Ordering::Relaxed);
                sleep(10 * TICK);
            });
            gopark::park();
        }));
    }
    wait_until("all are in callbacks", || {
        steps.load(Ordering::Relaxed) == 10
    });
    drop(runtime);
    assert_eq!(steps.load(Ordering::Relaxed), 20);
}

/// The kernel of it: an unwinding is known to come to its end before it begins.
#[test]
fn requests_are_followed_through_frames_of_all_other_kinds() {
    #[inline(never)]
    extern "C-unwind" fn may_unwind(depth: usize) {
        let _kept = Box::new(depth);
        match depth {
            0 => gopark::park(),
            _ => may_unwind(depth - 1),
        }
    }
    run(2, || {
        let frames: [fn(); 4] = [
            || may_unwind(3),
            || gopark::blocking(|| may_unwind(1)),
            || gopark::no_preempt(|| may_unwind(1)),
            || {
                let _bound = gopark::lock_os_thread();
                gopark::scope(|s| drop(s.spawn(|| may_unwind(2))));
            },
        ];
        for frame in frames {
            let calls = gopark::spawn(frame);
            sleep(TICK);
            calls.cancel();
            assert!(calls.join().unwrap_err().is::<Cancelled>());
        }
    });
}
