//! Where two rules meet: borrows and shutdown, the thread limit, closures that misbehave.

use std::io::{Read, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use gopark::goroutine;
use gopark::runtime::Builder;
use gopark_tests::{Watchdog, build, run, runtime};

/// What `main` borrows from its caller must stay while it runs, whatever becomes of the caller.
#[test]
fn run_waits_for_its_main_although_the_callers_runtime_is_dropped() {
    struct Frame(Arc<AtomicBool>);
    impl Drop for Frame {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
    let _watchdog = Watchdog::start();
    let (gone, begun) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicBool::new(false)),
    );
    let inner = Arc::new(runtime(1));
    let outer = runtime(1);
    let caller = {
        let (inner, gone, begun) = (Arc::clone(&inner), Arc::clone(&gone), Arc::clone(&begun));
        outer.spawn(move || {
            let frame = Frame(gone);
            let lent = &frame;
            inner.run(|| {
                begun.store(true, Ordering::Relaxed);
                std::thread::park_timeout(Duration::from_millis(100));
                assert!(!lent.0.load(Ordering::Relaxed), "what main borrows is gone");
            });
        })
    };
    while !begun.load(Ordering::Relaxed) {
        std::thread::yield_now();
    }
    drop(outer);
    // It may be unwound, but only after its main has ended.
    drop(caller.join());
    assert!(gone.load(Ordering::Relaxed));
}

/// A is blocked until B writes; there are no more threads. B must get on, by whatever it does.
fn at_the_thread_limit(b: impl Fn()) {
    let _watchdog = Watchdog::start();
    build(Builder::new().procs(1).max_threads(2)).run(|| {
        let (mut reader, mut writer) = std::io::pipe().unwrap();
        let a = gopark::spawn(move || {
            gopark::blocking(|| reader.read_exact(&mut [0; 1]).unwrap());
        });
        gopark::yield_now();
        b();
        writer.write_all(b"x").unwrap();
        a.join().unwrap();
    });
}

#[test]
fn a_slice_that_ends_at_the_thread_limit_goes_on() {
    at_the_thread_limit(|| {
        let start = Instant::now();
        while start.elapsed() < Duration::from_millis(300) {
            gopark::go(|| ());
            let pause = Instant::now();
            while pause.elapsed() < Duration::from_micros(200) {}
        }
    });
}

#[test]
fn a_bound_goroutine_that_yields_at_the_thread_limit_goes_on() {
    at_the_thread_limit(|| {
        let _guard = gopark::lock_os_thread();
        gopark::go(|| ());
        gopark::yield_now();
    });
}

#[test]
fn a_commit_that_parks_or_yields_panics_and_parks_nobody() {
    run(1, || {
        for wait in [gopark::park, gopark::yield_now] {
            let caught = catch_unwind(|| {
                gopark::raw::park(|_waiter| {
                    wait();
                    true
                });
            });
            let text = *caught.unwrap_err().downcast::<&str>().unwrap();
            assert!(text.contains("closure that begins a park"), "{text}");
        }
        // It can still park.
        gopark::current().unpark();
        gopark::park();
    });
}

/// The closure of a spawn that fails is dropped; its destructor may use the runtime.
#[test]
fn a_closure_that_got_no_goroutine_may_use_the_runtime_when_dropped() {
    struct Yields(Arc<AtomicUsize>);
    impl Drop for Yields {
        fn drop(&mut self) {
            gopark::yield_now();
            gopark::current().unpark();
            gopark::park();
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
    gopark_tests::alone(
        "edges::a_closure_that_got_no_goroutine_may_use_the_runtime_when_dropped",
        |command| _ = command.env("GOPARK_ARENA", "16777216"),
        || {
            run(1, || {
                let mut parked = Vec::new();
                while let Ok(handle) = goroutine::Builder::new().spawn(gopark::park) {
                    parked.push(handle);
                }
                let dropped = Arc::new(AtomicUsize::new(0));
                for _ in 0..3 {
                    let yields = Yields(Arc::clone(&dropped));
                    let spawned = goroutine::Builder::new().spawn(move || drop(yields));
                    assert!(spawned.is_err());
                }
                assert_eq!(dropped.load(Ordering::Relaxed), 3);
                for handle in parked {
                    handle.goroutine().unpark();
                    handle.join().unwrap();
                }
            });
        },
    );
}

#[test]
fn a_detached_result_whose_destructor_parks_does_not_stop_the_end() {
    struct Parks;
    impl Drop for Parks {
        fn drop(&mut self) {
            gopark::park();
        }
    }
    let _watchdog = Watchdog::start();
    let runtime = runtime(2);
    let detached = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&detached);
    drop(runtime.spawn(move || {
        while !seen.load(Ordering::Relaxed) {
            gopark::yield_now();
        }
        Parks
    }));
    detached.store(true, Ordering::Relaxed);
    while runtime.metrics().waiting == 0 {
        std::thread::yield_now();
    }
    drop(runtime);
}

#[test]
fn set_procs_is_obeyed_by_goroutines_that_only_yield() {
    run(4, || {
        let stop = Arc::new(AtomicBool::new(false));
        let yields = |_| {
            let stop = Arc::clone(&stop);
            gopark::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    gopark::yield_now();
                }
            })
        };
        let all: Vec<_> = (0..24).map(yields).collect();
        let start = Instant::now();
        for _ in 0..20 {
            gopark::set_procs(4);
            gopark::set_procs(1);
        }
        // Each change would otherwise wait for its longest time, 100 ms.
        let took = start.elapsed();
        stop.store(true, Ordering::Relaxed);
        all.into_iter().for_each(|one| one.join().unwrap());
        assert!(took < Duration::from_secs(2), "{took:?} for 20 changes");
    });
}

#[test]
fn a_thread_name_with_a_zero_byte_is_refused() {
    let refused = gopark_tests::try_build(Builder::new().thread_name("a\0b")).unwrap_err();
    assert_eq!(refused.kind(), std::io::ErrorKind::InvalidInput);
    assert!(refused.to_string().contains("a\\0b"), "{refused}");
}

/// A listener that blocks keeps nobody from getting a thread.
#[test]
fn a_slow_listener_of_long_slices_delays_no_thread() {
    let _watchdog = Watchdog::start();
    let told = Arc::new(AtomicBool::new(false));
    let released = Arc::new(AtomicBool::new(false));
    let runtime = {
        let (told, released) = (Arc::clone(&told), Arc::clone(&released));
        build(
            Builder::new()
                .procs(1)
                .on_long_slice(Duration::from_millis(1), move |_| {
                    told.store(true, Ordering::Relaxed);
                    while !released.load(Ordering::Relaxed) {
                        std::thread::yield_now();
                    }
                }),
        )
    };
    let hog = {
        let told = Arc::clone(&told);
        runtime.spawn(move || while !told.load(Ordering::Relaxed) {})
    };
    hog.join().unwrap();
    let blocked: Vec<_> = (0..8)
        .map(|_| {
            runtime
                .spawn(|| gopark::blocking(|| std::thread::park_timeout(Duration::from_millis(50))))
        })
        .collect();
    blocked.into_iter().for_each(|one| one.join().unwrap());
    assert!(catch_unwind(AssertUnwindSafe(|| runtime.run(|| 1))).is_ok());
    released.store(true, Ordering::Relaxed);
}
