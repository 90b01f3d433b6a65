//! How goroutines and runtimes end, and what can be asked about those that have not.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use gopark::runtime::{Builder, OnEnd, Preemption, Runtime};
use gopark::{Exited, goroutine, remaining_stack};
use gopark_tests::{Counted, Watchdog, build, nap, panic_text, run, runtime, spin, wait_until};

/// Counts its drops.
#[test]
fn exit_runs_destructors_and_join_gives_exited() {
    run(2, || {
        let drops = Arc::new(AtomicUsize::new(0));
        for n in 0..20 {
            let counted = [Counted(Arc::clone(&drops)), Counted(Arc::clone(&drops))];
            let exiting = gopark::spawn(move || {
                let [outer, inner] = counted;
                let _outer = outer;
                let deeper = move || {
                    let _inner = inner;
                    gopark::yield_now();
                    gopark::exit();
                };
                deeper();
            });
            let payload = exiting.join().unwrap_err();
            assert_eq!(payload.downcast_ref::<Exited>(), Some(&Exited));
            assert_eq!(drops.load(Ordering::Relaxed), 2 * (n + 1));
        }
        assert_eq!(gopark::spawn(|| 1).join().unwrap(), 1);
    });
}

#[test]
fn a_destructor_that_exit_runs_may_use_the_runtime() {
    struct Parking(Arc<AtomicUsize>);
    impl Drop for Parking {
        fn drop(&mut self) {
            let me = gopark::current();
            let waker = gopark::spawn(move || me.unpark());
            gopark::park();
            waker.join().unwrap();
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
    run(1, || {
        let drops = Arc::new(AtomicUsize::new(0));
        let parking = Parking(Arc::clone(&drops));
        let exiting = gopark::spawn(move || {
            let _parking = parking;
            gopark::exit()
        });
        assert!(exiting.join().is_err());
        assert_eq!(drops.load(Ordering::Relaxed), 1);
    });
}

#[test]
fn exit_of_main_resumes_in_the_caller_and_others_go_on() {
    let _watchdog = Watchdog::start();
    let runtime = runtime(2);
    let (send, receive) = mpsc::channel();
    let main = || {
        gopark::go(move || {
            (0..100).for_each(|_| gopark::yield_now());
            send.send(5).unwrap();
        });
        gopark::exit()
    };
    let payload = catch_unwind(AssertUnwindSafe(|| runtime.run(main))).unwrap_err();
    assert!(payload.is::<Exited>());
    assert_eq!(receive.recv(), Ok(5));
    assert_eq!(runtime.run(|| 6), 6);
}

#[test]
fn a_runtime_of_parked_goroutines_ends_in_time() {
    let _watchdog = Watchdog::start();
    for procs in [1, 4] {
        let runtime = runtime(procs);
        let drops = Arc::new(AtomicUsize::new(0));
        for _ in 0..100 {
            let counted = Counted(Arc::clone(&drops));
            drop(runtime.spawn(move || {
                let _counted = counted;
                gopark::park();
            }));
        }
        runtime.shutdown_timeout(Duration::from_secs(60)).unwrap();
        assert_eq!(drops.load(Ordering::Relaxed), 100);
    }
}

#[test]
fn a_runtime_without_goroutines_ends_at_once() {
    let _watchdog = Watchdog::start();
    let runtime = runtime(2);
    runtime.run(|| ());
    // The result comes a moment before the end of the goroutine.
    wait_until("main has ended", || runtime.num_goroutines() == 0);
    runtime.shutdown_timeout(Duration::ZERO).unwrap();
}

#[test]
fn hogs_leak_and_are_named() {
    let _watchdog = Watchdog::start();
    let runtime = runtime(2);
    let stop = Arc::new(AtomicBool::new(false));
    let (begun, seen) = (Arc::new(AtomicBool::new(false)), Arc::clone(&stop));
    let running = Arc::clone(&begun);
    let line = line!() + 6;
    let (hog, id) = runtime.run(|| {
        let busy = move || {
            running.store(true, Ordering::Relaxed);
            while !seen.load(Ordering::Relaxed) {}
        };
        let hog = goroutine::Builder::new().name("a hog").spawn(busy);
        let hog = hog.unwrap();
        let id = hog.goroutine().id();
        (hog, id)
    });
    let parked = runtime.spawn(gopark::park);
    wait_until("the hog runs", || begun.load(Ordering::Relaxed));
    let leaked = runtime
        .shutdown_timeout(Duration::from_secs(1))
        .unwrap_err();
    let [left] = leaked.goroutines() else {
        panic!("{leaked}");
    };
    assert_eq!((left.id, left.name.as_deref()), (id, Some("a hog")));
    let place = left.spawned_at.unwrap();
    assert_eq!((place.file(), place.line()), (file!(), line));
    let text = leaked.to_string();
    // At the end of its slice it may be suspended.
    let is_listed = ["running", "runnable"].iter().any(|state| {
        text.contains(&format!(
            "goroutine {id} \"a hog\" [{state}]: spawned at {place}"
        ))
    });
    assert!(is_listed, "{text}");
    assert!(parked.join().unwrap_err().is::<gopark::Cancelled>());
    stop.store(true, Ordering::Relaxed);
    // It ends as usual, and its threads after it.
    hog.join().unwrap();
}

#[test]
fn a_goroutine_that_blocks_its_thread_leaks_until_it_comes_back() {
    let _watchdog = Watchdog::start();
    let runtime = runtime(1);
    let (send, receive) = mpsc::channel::<()>();
    let (begin, begun) = mpsc::channel();
    let blocked = runtime.spawn(move || {
        begin.send(()).unwrap();
        let got = gopark::blocking(|| receive.recv());
        (got, gopark::park()).0
    });
    begun.recv().unwrap();
    let leaked = runtime
        .shutdown_timeout(Duration::from_millis(50))
        .unwrap_err();
    assert_eq!(leaked.goroutines().len(), 1, "{leaked}");
    assert_eq!(leaked.goroutines()[0].name, None);
    send.send(()).unwrap();
    assert!(blocked.join().unwrap_err().is::<gopark::Cancelled>());
}

/// Blocks its thread until told, then waits; its destructor notes that it ran.
fn blocked(runtime: &Runtime, drops: &Arc<AtomicUsize>) -> mpsc::Sender<()> {
    let (send, receive) = mpsc::channel();
    let (begin, begun) = mpsc::channel();
    let counted = Counted(Arc::clone(drops));
    drop(runtime.spawn(move || {
        let _counted = counted;
        begin.send(()).unwrap();
        receive.recv().unwrap();
        gopark::park();
    }));
    begun.recv().unwrap();
    send
}

#[test]
fn what_a_runtime_left_behind_unwinds_when_it_comes_back() {
    let _watchdog = Watchdog::start();
    for _ in 0..3 {
        let runtime = build(short());
        let drops = Arc::new(AtomicUsize::new(0));
        let send = blocked(&runtime, &drops);
        let parked = Counted(Arc::clone(&drops));
        drop(runtime.spawn(move || {
            let _parked = parked;
            gopark::park();
        }));
        drop(runtime);
        assert_eq!(drops.load(Ordering::Relaxed), 1, "the parked one alone");
        send.send(()).unwrap();
        wait_until("its destructor", || drops.load(Ordering::Relaxed) == 2);
    }
}

fn short() -> Builder {
    Builder::new()
        .procs(2)
        .exit_grace(Duration::from_millis(200))
}

#[test]
fn a_runtime_may_wait_for_what_does_not_end() {
    let _watchdog = Watchdog::start();
    let runtime = build(short().on_end(OnEnd::Wait));
    let drops = Arc::new(AtomicUsize::new(0));
    let send = blocked(&runtime, &drops);
    let late = std::thread::spawn(move || {
        nap(Duration::from_millis(600));
        send.send(()).unwrap();
    });
    drop(runtime);
    assert_eq!(drops.load(Ordering::Relaxed), 1);
    late.join().unwrap();
}

/// Calls a function when it is dropped.
struct Finally<F: FnMut()>(F);

impl<F: FnMut()> Drop for Finally<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

#[test]
fn destructors_that_take_longer_than_the_grace_are_waited_for() {
    let _watchdog = Watchdog::start();
    let runtime = build(short());
    let begun = Arc::new(AtomicUsize::new(0));
    let ends = Arc::new(AtomicUsize::new(0));
    let park_with_last_words = |last_words: fn()| {
        let (begun, ends) = (Arc::clone(&begun), Arc::clone(&ends));
        drop(runtime.spawn(move || {
            let _finally = Finally(|| {
                last_words();
                ends.fetch_add(1, Ordering::Relaxed);
            });
            begun.fetch_add(1, Ordering::Relaxed);
            gopark::park();
        }));
    };
    park_with_last_words(|| gopark::time::sleep(Duration::from_millis(700)));
    park_with_last_words(|| nap(Duration::from_millis(700)));
    wait_until("both wait", || begun.load(Ordering::Relaxed) == 2);
    drop(runtime);
    assert_eq!(ends.load(Ordering::Relaxed), 2);
}

#[test]
fn a_destructor_that_waits_for_ever_does_not_keep_the_runtime() {
    let _watchdog = Watchdog::start();
    let runtime = build(short());
    let (begin, begun) = mpsc::channel();
    let parked = runtime.spawn(move || {
        let _finally = Finally(|| gopark::chan::never::<()>().recv().unwrap());
        begin.send(()).unwrap();
        gopark::park();
    });
    begun.recv().unwrap();
    drop(runtime);
    assert!(!parked.is_finished());
}

/// As long as goroutines end, the grace begins anew.
#[test]
fn a_grace_is_no_limit_for_many_that_end_one_after_the_other() {
    let _watchdog = Watchdog::start();
    let builder = short().procs(1).preemption(Preemption::Cooperative);
    let runtime = build(builder);
    let drops = Arc::new(AtomicUsize::new(0));
    for _ in 0..40 {
        let counted = Counted(Arc::clone(&drops));
        drop(runtime.spawn(move || {
            let _counted = counted;
            let _slow = Finally(|| spin(Duration::from_millis(10)));
            gopark::park();
        }));
    }
    drop(runtime);
    assert_eq!(drops.load(Ordering::Relaxed), 40);
}

#[test]
fn a_chain_of_destructors_that_spawn_ends_without_pauses() {
    fn link(left: usize, ends: Arc<AtomicUsize>) {
        let _next = Finally(|| {
            if left > 0 {
                let ends = Arc::clone(&ends);
                gopark::go(move || link(left - 1, ends));
            } else {
                ends.fetch_add(1, Ordering::Relaxed);
            }
        });
        gopark::park();
    }
    const LINKS: usize = 100;
    let _watchdog = Watchdog::start();
    // A busy machine may take long, but not each time.
    let each = (0..10).map(|_| {
        let runtime = runtime(2);
        let ends = Arc::new(AtomicUsize::new(0));
        let first = Arc::clone(&ends);
        drop(runtime.spawn(move || link(LINKS, first)));
        let begin = Instant::now();
        drop(runtime);
        assert_eq!(ends.load(Ordering::Relaxed), 1);
        begin.elapsed() / LINKS as u32
    });
    let pause = Duration::from_millis(10);
    assert!({ each }.any(|each| each < pause / 2));
}

#[test]
fn who_catches_every_request_to_end_is_listed_and_left() {
    let _watchdog = Watchdog::start();
    let runtime = runtime(2);
    let requests = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&requests);
    let catcher = runtime.spawn(move || {
        loop {
            if catch_unwind(gopark::park).is_err() {
                counted.fetch_add(1, Ordering::Relaxed);
            }
        }
    });
    let locked = runtime.spawn(|| {
        let _locked = gopark::lock_os_thread();
        loop {
            let _ = catch_unwind(|| gopark::time::sleep(Duration::from_millis(1)));
        }
    });
    let parked = runtime.spawn(gopark::park);
    // Long before the time is over.
    let leaked = runtime
        .shutdown_timeout(Duration::from_secs(100))
        .unwrap_err();
    assert_eq!(leaked.goroutines().len(), 2, "{leaked}");
    assert_eq!(requests.load(Ordering::Relaxed), 1000);
    assert!(parked.join().is_err());
    // A wake after the end of the threads finds the runtime's memory.
    for left in [catcher, locked] {
        left.goroutine().unpark();
        assert!(!left.is_finished());
    }
}

#[test]
fn catch_panic_lets_through_what_is_no_panic() {
    run(2, || {
        let text = panic_text(gopark::catch_panic(|| panic!("on purpose")).unwrap_err());
        assert_eq!(text, "on purpose");
        assert_eq!(gopark::catch_panic(|| 5).unwrap(), 5);
        let exiting = gopark::spawn(|| gopark::catch_panic(|| gopark::exit()).is_err());
        assert!(exiting.join().unwrap_err().is::<Exited>());
        let cancelled = gopark::spawn(|| gopark::catch_panic(gopark::park).is_err());
        cancelled.cancel();
        assert!(cancelled.join().unwrap_err().is::<gopark::Cancelled>());
        let limited = gopark::time::timeout(Duration::from_millis(1), || {
            gopark::catch_panic(gopark::park).is_err()
        });
        assert!(limited.is_err());
    });
}

#[test]
fn a_wake_of_a_dead_goroutine_does_nothing_even_after_its_runtime() {
    let _watchdog = Watchdog::start();
    let handles: Vec<_> = {
        let runtime = runtime(2);
        let all: Vec<_> = (0..20).map(|_| runtime.spawn(|| ())).collect();
        let handles = all.iter().map(|one| one.goroutine().clone()).collect();
        all.into_iter().for_each(|one| one.join().unwrap());
        handles
    };
    handles.iter().for_each(goroutine::Goroutine::unpark);
    // Their stacks are used again, by another runtime.
    let runtime = runtime(2);
    let heirs: Vec<_> = (0..20).map(|_| runtime.spawn(gopark::park)).collect();
    handles.iter().for_each(goroutine::Goroutine::unpark);
    nap(Duration::from_millis(10));
    assert!(!heirs.iter().any(gopark::JoinHandle::is_finished));
    drop(runtime);
    for heir in heirs {
        assert!(heir.join().unwrap_err().is::<gopark::Cancelled>());
    }
}

#[test]
fn goroutines_are_counted() {
    let _watchdog = Watchdog::start();
    let runtime = runtime(2);
    runtime.run(|| {
        assert_eq!(gopark::num_goroutines(), 1);
        let parked: Vec<_> = (0..30).map(|_| gopark::spawn(gopark::park)).collect();
        assert_eq!(gopark::num_goroutines(), 31);
        for (n, one) in parked.into_iter().enumerate() {
            one.goroutine().unpark();
            one.join().unwrap();
            wait_until("one fewer", || gopark::num_goroutines() == 30 - n);
        }
        assert!(gopark::spawn(|| panic!("on purpose")).join().is_err());
        wait_until("panics count too", || gopark::num_goroutines() == 1);
    });
    wait_until("main has ended", || runtime.num_goroutines() == 0);
}

#[test]
fn the_remaining_stack_shrinks_with_every_frame() {
    #[inline(never)]
    fn after_a_mebibyte() -> usize {
        let mut frame = [0u8; 1 << 20];
        std::hint::black_box(&mut frame);
        let left = remaining_stack().unwrap();
        std::hint::black_box(&mut frame);
        left
    }
    const KIB: usize = 1 << 10;
    assert_eq!(remaining_stack(), None);
    run(1, || {
        for limit in [64 * KIB, 16 * KIB * KIB, KIB * KIB * KIB] {
            let builder = goroutine::Builder::new().stack_limit(limit);
            let left = builder.spawn(|| remaining_stack().unwrap()).unwrap();
            let left = left.join().unwrap();
            assert!(left <= limit && left > limit / 4 * 3, "{left} of {limit}");
        }
        let before = remaining_stack().unwrap();
        let used = before - after_a_mebibyte();
        assert!((1024 * KIB..1100 * KIB).contains(&used), "{used}");
        assert_eq!(remaining_stack(), Some(before));
        assert_eq!(gopark::on_thread_stack(remaining_stack), None);
    });
}

#[test]
fn calls_off_every_runtime_name_themselves() {
    let calls: [(&str, fn()); 5] = [
        ("gopark::procs", || _ = gopark::procs()),
        ("gopark::set_procs", || _ = gopark::set_procs(1)),
        ("gopark::num_goroutines", || _ = gopark::num_goroutines()),
        ("gopark::exit", || gopark::exit()),
        ("gopark::lock_os_thread", || drop(gopark::lock_os_thread())),
    ];
    for (name, call) in calls {
        let text = panic_text(catch_unwind(call).unwrap_err());
        let expected = format!("{name} called outside a ");
        assert!(text.starts_with(&expected), "{text}");
    }
    let builder = goroutine::Builder::new();
    let spawning = AssertUnwindSafe(|| builder.spawn(|| ()));
    let text = panic_text(catch_unwind(spawning).unwrap_err());
    let expected = "gopark::goroutine::Builder::spawn called outside a runtime: \
                    other threads spawn by a `gopark::runtime::Handle`";
    assert_eq!(text, expected);
}

/// The end of a runtime would wait for its caller.
#[test]
fn a_runtime_cannot_be_ended_by_its_own_goroutine_on_whatever_stack() {
    type End = fn(Runtime);
    let _watchdog = Watchdog::start();
    let ends: [(End, &str); 3] = [
        (drop, "dropped by one of its own goroutines"),
        (
            |runtime| gopark::on_thread_stack(move || drop(runtime)),
            "dropped by one of its own goroutines",
        ),
        (
            |runtime| {
                let end = move || runtime.shutdown_timeout(Duration::from_secs(60));
                gopark::on_thread_stack(end).unwrap();
            },
            "shutdown_timeout called by one of its own goroutines",
        ),
    ];
    for (end, text) in ends {
        let (give, take) = gopark::chan::bounded(1);
        let runtime = runtime(1);
        let handle = runtime.spawn(move || end(take.recv().unwrap()));
        give.send(runtime).unwrap();
        let says = panic_text(handle.join().unwrap_err());
        assert!(says.contains(text), "{says}");
    }
}

#[test]
fn another_runtime_may_be_dropped_on_the_stack_of_a_thread() {
    run(2, || {
        let other = runtime(1);
        let parked = other.spawn(gopark::park);
        gopark::on_thread_stack(move || drop(other));
        assert!(parked.join().unwrap_err().is::<gopark::Cancelled>());
    });
}
