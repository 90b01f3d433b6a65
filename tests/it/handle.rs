//! Spawning by a handle, from any thread, while the runtime runs, ends, and has ended.

use std::io::ErrorKind;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use gopark::Cancelled;
use gopark::goroutine::Builder;
use gopark::runtime::Handle;
use gopark_tests::{Counted, Watchdog, nap, panic_text, run, runtime, wait_until};

const CLOSED: &str = "the runtime has ended, or its end has begun";

/// Threads with a queue of closures, as rayon has them: none is of a runtime.
fn pool(threads: usize, task: impl Fn(usize) + Send + Sync) {
    std::thread::scope(|scope| {
        for number in 0..threads {
            let task = &task;
            scope.spawn(move || task(number));
        }
    });
}

#[test]
fn threads_of_a_pool_spawn_by_a_handle() {
    const THREADS: usize = 8;
    const EACH: usize = 500;
    let _watchdog = Watchdog::start();
    let runtime = runtime(2);
    let sum = Arc::new(AtomicUsize::new(0));
    let handle = runtime.run(Handle::current);
    pool(THREADS, |number| {
        let handle = handle.clone();
        for n in 0..EACH {
            let add = {
                let sum = Arc::clone(&sum);
                move || sum.fetch_add(n, Ordering::Relaxed)
            };
            match n % 3 {
                0 => drop(handle.spawn(add).join().unwrap()),
                1 => handle.go(move || _ = add()),
                _ => {
                    let builder = Builder::new().name(format!("{number}"));
                    let named = builder.spawn_on(&handle, add).unwrap();
                    assert_eq!(named.goroutine().name(), Some(format!("{number}").as_str()));
                }
            }
        }
    });
    wait_until("all have ended", || runtime.num_goroutines() == 0);
    let expected = THREADS * (0..EACH).sum::<usize>();
    assert_eq!(sum.load(Ordering::Relaxed), expected);
}

#[test]
fn goroutines_of_two_runtimes_spawn_in_each_other() {
    let _watchdog = Watchdog::start();
    let (a, b) = (runtime(1), runtime(1));
    let (in_a, in_b) = (a.handle(), b.handle());
    let ran_in = a.run(|| {
        let own = in_a.spawn(Handle::current).join().unwrap();
        let other = in_b.spawn(move || (Handle::current(), in_a.spawn(Handle::current)));
        let (other, back) = other.join().unwrap();
        let _ = (own, other);
        back.join().unwrap()
    });
    assert!(!ran_in.is_closed());
    drop(a);
    assert!(ran_in.is_closed(), "the innermost ran in the first runtime");
    assert!(!b.handle().is_closed());
}

#[test]
fn no_runtime_no_handle() {
    assert!(Handle::try_current().is_none());
    let text = panic_text(std::panic::catch_unwind(Handle::current).unwrap_err());
    let begin = "gopark::runtime::Handle::current called outside a runtime: call it on a goroutine";
    assert!(text.starts_with(begin), "{text}");
}

#[test]
fn a_handle_of_a_runtime_that_has_ended_gives_errors() {
    let runtime = runtime(1);
    let handle = runtime.handle();
    assert!(!handle.is_closed());
    drop(runtime);
    assert!(handle.is_closed());
    let drops = Arc::new(AtomicUsize::new(0));
    let counted = || Counted(Arc::clone(&drops));
    let never = |counted: Counted| {
        move || {
            let _counted = counted;
            unreachable!("it ran")
        }
    };
    let error = handle.try_spawn::<_, ()>(never(counted())).unwrap_err();
    assert_eq!(
        (error.kind(), error.to_string().as_str()),
        (ErrorKind::Other, CLOSED)
    );
    let error = Builder::new()
        .spawn_on::<_, ()>(&handle, never(counted()))
        .unwrap_err();
    assert_eq!(
        (error.kind(), error.to_string().as_str()),
        (ErrorKind::Other, CLOSED)
    );
    let spawn = std::panic::AssertUnwindSafe(|| handle.spawn::<_, ()>(never(counted())));
    let text = panic_text(std::panic::catch_unwind(spawn).unwrap_err());
    assert_eq!(text, format!("gopark::runtime::Handle::spawn: {CLOSED}"));
    let go = std::panic::AssertUnwindSafe(|| handle.go(never(counted())));
    let text = panic_text(std::panic::catch_unwind(go).unwrap_err());
    assert_eq!(text, format!("gopark::runtime::Handle::go: {CLOSED}"));
    assert_eq!(drops.load(Ordering::Relaxed), 4);
}

/// Each spawn that is accepted has an end, and none is accepted after it.
#[test]
fn spawns_against_the_end_of_the_runtime_are_refused_or_end() {
    let _watchdog = Watchdog::start();
    for round in 0..40 {
        let runtime = runtime(2);
        let (refused, ended) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let begun = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for _ in 0..3 {
                let handle = runtime.handle();
                let (refused, ended, begun) = (&refused, &ended, &begun);
                scope.spawn(move || {
                    let mut joins = Vec::new();
                    while let Ok(join) = handle.try_spawn(gopark::park) {
                        joins.push(join);
                        begun.store(true, Ordering::Relaxed);
                    }
                    refused.fetch_add(1, Ordering::Relaxed);
                    for join in joins {
                        assert!(join.join().unwrap_err().is::<Cancelled>());
                        ended.fetch_add(1, Ordering::Relaxed);
                    }
                    assert!(handle.try_spawn(gopark::park).is_err());
                });
            }
            wait_until("one is spawned", || begun.load(Ordering::Relaxed));
            nap(Duration::from_micros(round * 50));
            drop(runtime);
        });
        assert_eq!(refused.load(Ordering::Relaxed), 3);
        assert!(ended.load(Ordering::Relaxed) > 0);
    }
}

/// What unwinds may spawn in its own runtime, by a handle too; from outside nobody can any more.
#[test]
fn a_destructor_of_a_goroutine_may_spawn_while_the_runtime_ends() {
    struct Spawns(mpsc::Sender<(bool, bool)>);
    impl Drop for Spawns {
        fn drop(&mut self) {
            let handle = Handle::current();
            let own = handle.try_spawn(|| ()).is_ok();
            let foreign = {
                let handle = handle.clone();
                let thread = std::thread::spawn(move || handle.try_spawn(|| ()).is_ok());
                thread.join().unwrap()
            };
            self.0.send((own, foreign)).unwrap();
        }
    }
    let _watchdog = Watchdog::start();
    let runtime = runtime(1);
    let (s, r) = mpsc::channel();
    let begun = Arc::new(AtomicBool::new(false));
    let has_begun = Arc::clone(&begun);
    runtime.handle().go(move || {
        let _spawns = Spawns(s);
        has_begun.store(true, Ordering::Relaxed);
        gopark::park();
    });
    wait_until("it has begun", || begun.load(Ordering::Relaxed));
    drop(runtime);
    assert_eq!(r.recv().unwrap(), (true, false));
}

#[test]
fn a_shutdown_that_was_given_up_refuses_spawns_too() {
    let _watchdog = Watchdog::start();
    let runtime = runtime(1);
    let handle = runtime.handle();
    let (stop, begun) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicBool::new(false)),
    );
    let (stopped, has_begun) = (Arc::clone(&stop), Arc::clone(&begun));
    let hog = handle.spawn(move || {
        has_begun.store(true, Ordering::Relaxed);
        while !stopped.load(Ordering::Relaxed) {
            std::hint::spin_loop();
        }
    });
    wait_until("the hog has begun", || begun.load(Ordering::Relaxed));
    assert!(runtime.shutdown_timeout(Duration::from_millis(20)).is_err());
    assert_eq!(handle.try_spawn(|| ()).unwrap_err().to_string(), CLOSED);
    stop.store(true, Ordering::Relaxed);
    hog.join().unwrap();
}

#[test]
fn a_handle_is_sent_and_shared() {
    fn is_both<T: Send + Sync + Clone>() {}
    is_both::<Handle>();
    run(1, || {
        let text = format!("{:?}", Handle::current());
        assert_eq!(text, "Handle { is_closed: false, .. }");
    });
}
