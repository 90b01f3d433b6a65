//! Handles of scopes as futures.

use std::any::Any;
use std::future::{Future, IntoFuture};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Waker};
use std::time::Duration;

use gopark::{Cancelled, time};
use gopark_tests::{Watchdog, block_on, panic_text, run, runtime};

use crate::scope::Late;

#[test]
fn a_future_gives_what_the_goroutine_borrowed() {
    for procs in [1, 2] {
        run(procs, || {
            let words = [String::from("one"), String::from("three")];
            let joined = gopark::scope(|s| {
                let lengths: Vec<_> = words.iter().map(|word| s.spawn(|| word.as_str())).collect();
                block_on(async {
                    let mut joined = String::new();
                    for handle in lengths {
                        joined += handle.await.unwrap();
                    }
                    joined
                })
            });
            assert_eq!(joined, "onethree");
            // Waited for, and had at once.
            for n in 0..2000 {
                let got = gopark::scope(|s| {
                    let handle = s.spawn(|| {
                        if n % 2 == 0 {
                            gopark::yield_now();
                        }
                        &n
                    });
                    *block_on(handle.into_future()).unwrap()
                });
                assert_eq!(got, n);
            }
        });
    }
}

#[test]
fn a_plain_thread_may_await() {
    let _watchdog = Watchdog::start();
    let rt = runtime(2);
    let mut count = 0;
    let got = rt.scope(|s| {
        let handle = s.spawn(|| {
            time::sleep(Duration::from_millis(5));
            count += 1;
            count
        });
        block_on(handle.into_future()).unwrap()
    });
    assert_eq!((got, count), (1, 1));
}

#[test]
fn who_awaits_a_panic_has_seen_to_it_and_who_drops_the_future_has_not() {
    run(2, || {
        gopark::scope(|s| {
            let failed = block_on(s.spawn(|| panic!("seen")).into_future());
            let payload: Box<dyn Any + Send> = failed.map(|(): ()| ()).unwrap_err();
            assert_eq!(panic_text(payload), "seen");
            let parked = s.spawn(gopark::park).into_future();
            parked.goroutine().cancel();
            assert!(block_on(parked).unwrap_err().is::<Cancelled>());
        });
        for polls in [false, true] {
            let go_on = AtomicBool::new(false);
            let scope = AssertUnwindSafe(|| {
                gopark::scope(|s| {
                    let mut future = s
                        .spawn(|| {
                            while !go_on.load(Ordering::Relaxed) {
                                gopark::yield_now();
                            }
                            panic!("unseen");
                        })
                        .into_future();
                    if polls {
                        let mut cx = Context::from_waker(Waker::noop());
                        let poll: std::task::Poll<Result<(), _>> =
                            Pin::new(&mut future).poll(&mut cx);
                        assert!(poll.is_pending());
                    }
                    drop(future);
                    go_on.store(true, Ordering::Relaxed);
                });
            });
            let text = panic_text(catch_unwind(scope).unwrap_err());
            assert_eq!(text, "a scoped goroutine panicked");
        }
    });
}

#[test]
fn futures_that_are_dropped_or_forgotten_leave_the_goroutine_to_the_scope() {
    for procs in [1, 2] {
        run(procs, || {
            let alive = AtomicUsize::new(4);
            gopark::scope(|s| {
                let lives = || {
                    let late = Late(&alive);
                    move || {
                        gopark::yield_now();
                        late
                    }
                };
                let mut polled = s.spawn(lives()).into_future();
                let _ = Pin::new(&mut polled).poll(&mut Context::from_waker(Waker::noop()));
                drop(polled);
                drop(s.spawn(lives()).into_future());
                // The last waker is the one that counts.
                let mut awaited = s.spawn(lives()).into_future();
                let _ = Pin::new(&mut awaited).poll(&mut Context::from_waker(Waker::noop()));
                drop(block_on(awaited));
                let late = lives();
                std::mem::forget(s.spawn(|| drop(late())).into_future());
            });
            assert_eq!(alive.load(Ordering::Relaxed), 0);
        });
    }
}
