//! Cancelling goroutines: where it ends them, where not, and how often.

use std::any::Any;
use std::io::Read;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use gopark::net::{TcpListener, TcpStream};
use gopark::{Cancelled, JoinHandle, raw, time};
use gopark_tests::{Counted, Watchdog, nap, run, runtime, spin, wait_until};

const LONG: Duration = Duration::from_secs(1000);

#[track_caller]
fn assert_cancelled<T>(outcome: Result<T, Box<dyn Any + Send>>) {
    match outcome {
        Ok(_) => panic!("it was not cancelled"),
        Err(payload) => assert!(payload.is::<Cancelled>()),
    }
}

/// Cancels what waits in `wait`.
#[track_caller]
fn ends(wait: impl FnOnce() + Send + 'static) {
    let drops = Arc::new(AtomicUsize::new(0));
    let (begun, counted) = (
        Arc::new(AtomicBool::new(false)),
        Counted(Arc::clone(&drops)),
    );
    let seen = Arc::clone(&begun);
    let waiter = gopark::spawn(move || {
        let _counted = counted;
        begun.store(true, Ordering::Relaxed);
        wait();
        unreachable!("the wait ended otherwise");
    });
    while !seen.load(Ordering::Relaxed) {
        gopark::yield_now();
    }
    time::sleep(Duration::from_millis(2));
    assert!(!waiter.is_finished());
    waiter.cancel();
    assert_cancelled(waiter.join());
    assert_eq!(drops.load(Ordering::Relaxed), 1);
}

#[test]
fn cancel_ends_every_kind_of_wait() {
    for procs in [1, 2] {
        run(procs, || {
            ends(gopark::park);
            ends(|| gopark::park_timeout(LONG));
            ends(|| time::sleep(LONG));
            ends(|| raw::park(|_| true));
            ends(|| drop(gopark::spawn(gopark::park).join()));
            ends(|| {
                let _ = time::timeout(LONG, gopark::park);
            });
            ends(|| {
                let _guard = gopark::lock_os_thread();
                gopark::park();
            });
            ends(|| gopark::blocking(gopark::park));
            ends(|| gopark::no_preempt(gopark::park));
            ends(|| {
                loop {
                    gopark::yield_now();
                }
            });
        });
    }
}

#[test]
fn cancel_ends_waits_for_the_network() {
    run(2, || {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        ends(move || drop(stream.read(&mut [0])));
        ends(move || {
            let _ = listener.accept();
            let _ = listener.accept();
        });
    });
}

#[test]
fn a_blocking_call_is_not_ended_but_the_wait_after_it() {
    run(2, || {
        let (begun, done) = (
            Arc::new(AtomicBool::new(false)),
            Arc::new(AtomicBool::new(false)),
        );
        let (tells, seen) = (Arc::clone(&begun), Arc::clone(&done));
        let caller = gopark::spawn(move || {
            gopark::blocking(|| {
                tells.store(true, Ordering::Relaxed);
                nap(Duration::from_millis(20));
            });
            done.store(true, Ordering::Relaxed);
            gopark::park();
        });
        wait_until("it blocks", || begun.load(Ordering::Relaxed));
        caller.cancel();
        assert_cancelled(caller.join());
        assert!(seen.load(Ordering::Relaxed));
    });
}

#[test]
fn a_hog_is_ended_at_its_next_suspension_point() {
    run(2, || {
        let begun = Arc::new(AtomicBool::new(false));
        let tells = Arc::clone(&begun);
        let hog = gopark::spawn(move || {
            tells.store(true, Ordering::Relaxed);
            spin(Duration::from_millis(30));
            gopark::yield_now();
            unreachable!();
        });
        while !begun.load(Ordering::Relaxed) {
            gopark::yield_now();
        }
        hog.cancel();
        assert_cancelled(hog.join());
        // One that does not suspend any more ends as it would have.
        let begun = Arc::new(AtomicBool::new(false));
        let tells = Arc::clone(&begun);
        let hog = gopark::spawn(move || {
            tells.store(true, Ordering::Relaxed);
            spin(Duration::from_millis(30));
            5
        });
        while !begun.load(Ordering::Relaxed) {
            gopark::yield_now();
        }
        hog.cancel();
        assert_eq!(hog.join().unwrap(), 5);
    });
}

#[test]
fn cancel_of_one_that_has_ended_does_nothing_also_to_its_heir() {
    run(1, || {
        let dead = gopark::spawn(|| 3);
        wait_until("it has ended", || {
            gopark::yield_now();
            dead.is_finished()
        });
        let late = dead.goroutine().clone();
        dead.cancel();
        assert_eq!(dead.join().unwrap(), 3);
        for _ in 0..10 {
            let heir = gopark::spawn(|| time::sleep(Duration::from_millis(1)));
            late.cancel();
            gopark::yield_now();
            late.cancel();
            heir.join().unwrap();
        }
    });
}

#[test]
fn one_that_has_not_begun_drops_its_closure() {
    run(1, || {
        let drops = Arc::new(AtomicUsize::new(0));
        let counted = Counted(Arc::clone(&drops));
        let never: JoinHandle<()> = gopark::spawn(move || {
            let _counted = &counted;
            unreachable!("it ran");
        });
        never.cancel();
        assert_cancelled(never.join());
        assert_eq!(drops.load(Ordering::Relaxed), 1);
    });
}

#[test]
fn who_catches_the_unwinding_goes_on_and_may_be_cancelled_again() {
    run(2, || {
        let caught = Arc::new(AtomicUsize::new(0));
        let counts = Arc::clone(&caught);
        let stubborn = gopark::spawn(move || {
            assert_cancelled(catch_unwind(gopark::park));
            // It is not cancelled any more: these wait as they should.
            let begin = Instant::now();
            time::sleep(Duration::from_millis(5));
            gopark::spawn(gopark::yield_now).join().unwrap();
            assert!(begin.elapsed() >= Duration::from_millis(5));
            counts.store(1, Ordering::Relaxed);
            assert_cancelled(catch_unwind(gopark::park));
            9
        });
        // Those that come before the first unwinding count once.
        time::sleep(Duration::from_millis(2));
        stubborn.cancel();
        while caught.load(Ordering::Relaxed) == 0 {
            time::sleep(Duration::from_millis(1));
        }
        stubborn.cancel();
        assert_eq!(stubborn.join().unwrap(), 9);
    });
}

#[test]
fn destructors_may_wait_while_it_unwinds() {
    struct Waits(Arc<AtomicUsize>);
    impl Drop for Waits {
        fn drop(&mut self) {
            gopark::current().cancel();
            let begin = Instant::now();
            time::sleep(Duration::from_millis(5));
            assert!(begin.elapsed() >= Duration::from_millis(5));
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
    run(2, || {
        let drops = Arc::new(AtomicUsize::new(0));
        let waits = Waits(Arc::clone(&drops));
        let child = gopark::spawn(move || {
            let _waits = waits;
            gopark::park();
        });
        time::sleep(Duration::from_millis(2));
        child.cancel();
        child.cancel();
        time::sleep(Duration::from_millis(2));
        child.cancel();
        assert_cancelled(child.join());
        assert_eq!(drops.load(Ordering::Relaxed), 1);
    });
}

#[test]
fn a_goroutine_may_cancel_itself() {
    run(1, || {
        let child = gopark::spawn(|| {
            gopark::current().cancel();
            gopark::yield_now();
        });
        assert_cancelled(child.join());
    });
}

#[test]
fn a_cancel_passes_through_a_time_limit() {
    run(2, || {
        let child = gopark::spawn(|| time::timeout(LONG, || time::sleep(LONG)));
        time::sleep(Duration::from_millis(2));
        child.cancel();
        assert_cancelled(child.join());
    });
}

#[test]
fn a_limit_that_is_due_counts_after_a_cancel_was_caught() {
    run(1, || {
        let child = gopark::spawn(|| {
            time::timeout(Duration::from_millis(1), || {
                gopark::current().cancel();
                spin(Duration::from_millis(20));
                assert_cancelled(catch_unwind(gopark::park));
                gopark::park();
            })
            .is_err()
        });
        assert!(child.join().unwrap());
    });
}

#[test]
fn cancels_race_with_completion() {
    run(4, || {
        let (mut cancelled, mut ended) = (0, 0);
        for n in 0..10_000 {
            let child = gopark::spawn(move || {
                if n % 2 == 0 {
                    gopark::yield_now();
                }
                n
            });
            let target = child.goroutine().clone();
            let canceller = gopark::spawn(move || {
                if n % 3 == 0 {
                    gopark::yield_now();
                }
                target.cancel();
            });
            match child.join() {
                Ok(value) => {
                    assert_eq!(value, n);
                    ended += 1;
                }
                payload => {
                    assert_cancelled(payload);
                    cancelled += 1;
                }
            }
            canceller.join().unwrap();
        }
        assert_eq!(cancelled + ended, 10_000);
    });
}

#[test]
fn a_join_that_is_left_wakes_nobody_later() {
    run(4, || {
        for n in 0..3_000 {
            let joiner = gopark::spawn(move || {
                let child = gopark::spawn(gopark::yield_now);
                let left = catch_unwind(AssertUnwindSafe(|| child.join().unwrap()));
                // No stale wake ends this: only the waker.
                let mut woken = Arc::new(AtomicBool::new(false));
                let tells = Arc::clone(&woken);
                raw::park(|waiter| {
                    gopark::go(move || {
                        tells.store(true, Ordering::Relaxed);
                        waiter.ready();
                    });
                    true
                });
                assert!(woken.load(Ordering::Relaxed), "a stale wake, {n}");
                let _ = Arc::get_mut(&mut woken);
                left.is_ok()
            });
            if n % 2 == 0 {
                gopark::yield_now();
            }
            joiner.cancel();
            match joiner.join() {
                Ok(_) => {}
                // Before it began, or in its last park.
                payload => assert_cancelled(payload),
            }
        }
    });
}

#[test]
fn a_plain_thread_cancels_sleepers_of_a_runtime() {
    let _watchdog = Watchdog::start();
    let runtime = runtime(2);
    let sleepers: Vec<_> = (0..1000)
        .map(|_| runtime.spawn(|| time::sleep(LONG)))
        .collect();
    nap(Duration::from_millis(10));
    sleepers.iter().for_each(JoinHandle::cancel);
    for sleeper in sleepers {
        assert_cancelled(sleeper.join());
    }
    // Another runtime's goroutine does too.
    let sleeper = runtime.spawn(|| time::sleep(LONG));
    run(1, || {
        sleeper.cancel();
        assert_cancelled(sleeper.join());
    });
}
