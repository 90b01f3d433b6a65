//! Park, unpark, yield, and the raw forms.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use gopark::raw::{self, Waiter};
use gopark_tests::{build, run, runtime};

#[test]
fn unpark_before_park_lets_it_pass_once() {
    run(2, || {
        let me = gopark::current();
        me.unpark();
        me.unpark();
        gopark::park();
        let other = gopark::spawn(move || me.unpark());
        gopark::park();
        other.join().unwrap();
    });
}

#[test]
fn two_goroutines_hand_over_in_turn() {
    // Hand-overs between threads are slow on a busy machine.
    for (procs, rounds) in [(1, 10_000), (2, 1_000), (4, 1_000)] {
        run(procs, || {
            let main = gopark::current();
            let turns = Arc::new(AtomicUsize::new(0));
            let seen = Arc::clone(&turns);
            let other = gopark::spawn(move || {
                for n in 0..rounds {
                    // Acquire and Release: the turn alone is handed over.
                    while seen.load(Ordering::Acquire) != 2 * n + 1 {
                        gopark::park();
                    }
                    // Release: as above.
                    seen.store(2 * n + 2, Ordering::Release);
                    main.unpark();
                }
            });
            for n in 0..rounds {
                // Acquire and Release: the turn alone is handed over.
                turns.store(2 * n + 1, Ordering::Release);
                other.goroutine().unpark();
                while turns.load(Ordering::Acquire) != 2 * n + 2 {
                    gopark::park();
                }
            }
            other.join().unwrap();
        });
    }
}

#[test]
fn unpark_from_plain_threads_reaches_a_parked_goroutine() {
    let runtime = runtime(2);
    for _ in 0..200 {
        let sleeper = runtime.spawn(gopark::park);
        let target = sleeper.goroutine().clone();
        let thread = std::thread::spawn(move || target.unpark());
        sleeper.join().unwrap();
        thread.join().unwrap();
    }
}

#[test]
fn unpark_of_a_dead_goroutine_does_nothing() {
    run(2, || {
        let dead = gopark::spawn(|| ());
        let handle = dead.goroutine().clone();
        dead.join().unwrap();
        handle.unpark();
        // Its stack is reused: the token must not reach the new goroutine.
        let heir = gopark::spawn(|| {
            let me = gopark::current();
            let waker = gopark::spawn(move || me.unpark());
            gopark::park();
            waker.join().unwrap();
        });
        handle.unpark();
        heir.join().unwrap();
    });
}

#[test]
fn raw_park_and_ready_lose_no_wake() {
    run(4, || {
        let slot: Arc<Mutex<Option<Waiter>>> = Arc::default();
        let done = Arc::new(AtomicUsize::new(0));
        let (shared, ended) = (Arc::clone(&slot), Arc::clone(&done));
        let waker = gopark::spawn(move || {
            while ended.load(Ordering::Relaxed) == 0 {
                let waiter = shared.lock().unwrap().take();
                match waiter {
                    Some(waiter) => assert!(waiter.ready()),
                    None => gopark::yield_now(),
                }
            }
        });
        for n in 0..20_000 {
            raw::park(|waiter| {
                if n % 3 == 0 {
                    return false;
                }
                *slot.lock().unwrap() = Some(waiter);
                true
            });
        }
        done.store(1, Ordering::Relaxed);
        waker.join().unwrap();
    });
}

#[test]
fn a_panic_in_commit_leaves_a_goroutine_that_can_park() {
    run(2, || {
        let caught = std::panic::catch_unwind(|| raw::park(|_| panic!("in commit")));
        assert!(caught.is_err());
        gopark::current().unpark();
        gopark::park();
    });
}

#[test]
fn yielding_goroutines_take_turns() {
    // The end of a slice, which a loaded machine brings early, would change the order.
    let slice = std::time::Duration::from_secs(60);
    let runtime = build(gopark::runtime::Builder::new().procs(1).time_slice(slice));
    runtime.run(|| {
        let log = Arc::new(Mutex::new(Vec::new()));
        let workers: Vec<_> = (0..3)
            .map(|n| {
                let log = Arc::clone(&log);
                gopark::spawn(move || {
                    for _ in 0..100 {
                        log.lock().unwrap().push(n);
                        gopark::yield_now();
                    }
                })
            })
            .collect();
        workers
            .into_iter()
            .for_each(|worker| worker.join().unwrap());
        let log = log.lock().unwrap();
        assert_eq!(log.len(), 300);
        for turn in log.chunks(3) {
            let mut turn = turn.to_vec();
            turn.sort_unstable();
            assert_eq!(turn, [0, 1, 2]);
        }
    });
}

#[test]
fn two_hogs_that_yield_do_not_starve_the_global_queue() {
    let runtime = runtime(1);
    runtime.run(|| {
        let stop = Arc::new(AtomicUsize::new(0));
        let hogs: Vec<_> = (0..2)
            .map(|_| {
                let stop = Arc::clone(&stop);
                gopark::spawn(move || {
                    while stop.load(Ordering::Relaxed) == 0 {
                        gopark::yield_now();
                    }
                })
            })
            .collect();
        let me = gopark::current();
        // A plain thread puts us on the global queue.
        let thread = std::thread::spawn(move || me.unpark());
        gopark::park();
        stop.store(1, Ordering::Relaxed);
        hogs.into_iter().for_each(|hog| hog.join().unwrap());
        thread.join().unwrap();
    });
}

#[test]
fn calls_off_a_runtime_name_themselves() {
    let text = |payload: Box<dyn std::any::Any + Send>| match payload.downcast::<String>() {
        Ok(text) => *text,
        Err(payload) => (*payload.downcast::<&str>().unwrap()).to_owned(),
    };
    let calls: [(&str, fn()); 5] = [
        ("gopark::park", gopark::park),
        ("gopark::current", || drop(gopark::current())),
        ("gopark::spawn", || drop(gopark::spawn(|| ()))),
        ("gopark::go", || gopark::go(|| ())),
        ("gopark::raw::park", || raw::park(|_| true)),
    ];
    for (name, call) in calls {
        let message = text(std::panic::catch_unwind(call).unwrap_err());
        assert!(
            message.starts_with(&format!("{name} called outside")),
            "{message}"
        );
    }
    gopark::yield_now();
}
