//! Calls that block their thread, said so or not.

use std::io::{Read as _, Write as _};
use std::panic::{catch_unwind, panic_any};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

use gopark::blocking;
use gopark::runtime::Builder;
use gopark_tests::{Watchdog, build, nap, run, runtime, spin, wait_until};

/// Spawns many and waits for all.
fn a_thousand_others() {
    let others: Vec<_> = (0..1000).map(|n| gopark::spawn(move || n)).collect();
    let sum: usize = others.into_iter().map(|one| one.join().unwrap()).sum();
    assert_eq!(sum, 1000 * 999 / 2);
}

/// The one P is free while `block` blocks until `release`.
fn others_run_while<T>(
    block: impl FnOnce() -> T + Send + 'static,
    release: impl FnOnce() + Send + 'static,
) -> T
where
    T: Send + 'static,
{
    run(1, || {
        let begun = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&begun);
        let blocked = gopark::spawn(move || {
            seen.store(true, Ordering::Relaxed);
            block()
        });
        while !begun.load(Ordering::Relaxed) {
            gopark::yield_now();
        }
        a_thousand_others();
        assert!(!blocked.is_finished(), "it was to block until now");
        release();
        blocked.join().unwrap()
    })
}

#[test]
fn others_run_while_a_goroutine_blocks_and_says_so() {
    let (send, receive) = mpsc::channel();
    let release = move || send.send(7).unwrap();
    let got = others_run_while(move || blocking(|| receive.recv()), release);
    assert_eq!(got, Ok(7));
}

#[test]
fn others_run_while_a_goroutine_blocks_in_nested_calls() {
    let (send, receive) = mpsc::channel();
    let block = move || {
        blocking(|| {
            assert_eq!(blocking(|| blocking(|| 3)), 3);
            // The outer call goes on.
            receive.recv()
        })
    };
    assert_eq!(
        others_run_while(block, move || send.send(8).unwrap()),
        Ok(8)
    );
}

#[test]
fn others_run_while_a_goroutine_waits_for_a_channel_of_std() {
    let (send, receive) = mpsc::channel();
    let release = move || send.send(9).unwrap();
    assert_eq!(others_run_while(move || receive.recv(), release), Ok(9));
}

#[test]
fn others_run_while_a_goroutine_waits_for_a_lock_of_std() {
    let lock = Arc::new(Mutex::new(0));
    let (locked, is_locked) = mpsc::channel();
    let (unlock, must_unlock) = mpsc::channel::<()>();
    let held = Arc::clone(&lock);
    let holder = std::thread::spawn(move || {
        let mut value = held.lock().unwrap();
        locked.send(()).unwrap();
        must_unlock.recv().unwrap();
        *value = 10;
    });
    is_locked.recv().unwrap();
    let got = others_run_while(
        move || *lock.lock().unwrap(),
        move || unlock.send(()).unwrap(),
    );
    assert_eq!(got, 10);
    holder.join().unwrap();
}

#[test]
fn others_run_while_a_goroutine_reads_a_pipe() {
    let (mut reader, mut writer) = std::io::pipe().unwrap();
    let block = move || {
        let mut byte = [0];
        reader.read_exact(&mut byte).unwrap();
        byte[0]
    };
    let got = others_run_while(block, move || writer.write_all(&[11]).unwrap());
    assert_eq!(got, 11);
}

#[test]
fn others_run_while_a_goroutine_sleeps_as_a_thread() {
    let released = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&released);
    let block = move || {
        while !seen.load(Ordering::Relaxed) {
            nap(Duration::from_millis(300));
        }
    };
    others_run_while(block, move || released.store(true, Ordering::Relaxed));
}

#[test]
fn a_panic_in_a_blocking_call_is_passed_on_and_the_goroutine_goes_on() {
    run(1, || {
        // With a hog the P is gone when the panic comes; without one it is still there.
        for hogged in [false, true] {
            let stop = Arc::new(AtomicBool::new(!hogged));
            let seen = Arc::clone(&stop);
            let hog = gopark::spawn(move || while !seen.load(Ordering::Relaxed) {});
            for n in 0..3 {
                let caught = catch_unwind(|| {
                    blocking(|| {
                        nap(Duration::from_millis(2));
                        panic_any(n)
                    })
                });
                assert_eq!(*caught.unwrap_err().downcast::<i32>().unwrap(), n);
                gopark::current().unpark();
                gopark::park();
                gopark::yield_now();
                assert_eq!(gopark::spawn(|| 2).join().unwrap(), 2);
                assert_eq!(blocking(|| 4), 4);
            }
            stop.store(true, Ordering::Relaxed);
            hog.join().unwrap();
        }
    });
}

#[test]
fn on_a_plain_thread_a_blocking_call_just_runs() {
    assert_eq!(blocking(|| blocking(|| 5)), 5);
    let caught = catch_unwind(|| blocking(|| panic_any(6)));
    assert_eq!(*caught.unwrap_err().downcast::<i32>().unwrap(), 6);
}

/// Spawns, wakes, parks, joins and yields.
fn use_the_runtime() {
    let me = gopark::current();
    let waker = gopark::spawn(move || {
        gopark::yield_now();
        me.unpark();
        1
    });
    gopark::park();
    assert_eq!(waker.join().unwrap(), 1);
    let sleeper = gopark::spawn(gopark::park);
    gopark::yield_now();
    sleeper.goroutine().unpark();
    sleeper.join().unwrap();
    assert!(gopark::procs() > 0 && gopark::num_goroutines() > 0);
}

#[test]
fn the_runtime_can_be_used_inside_a_blocking_call() {
    for procs in [1, 3] {
        run(procs, || {
            let workers = |_| {
                gopark::spawn(|| {
                    for n in 0..20 {
                        blocking(|| {
                            use_the_runtime();
                            if n % 4 == 0 {
                                // Others take the P meanwhile.
                                nap(Duration::from_millis(1));
                            }
                            use_the_runtime();
                        });
                        use_the_runtime();
                    }
                })
            };
            let workers: Vec<_> = (0..6).map(workers).collect();
            workers.into_iter().for_each(|one| one.join().unwrap());
        });
    }
}

#[test]
fn thousands_of_blocking_calls_share_twenty_threads() {
    const CALLS: usize = 2000;
    let _watchdog = Watchdog::start();
    let runtime = build(Builder::new().procs(2).max_threads(20));
    let calls = Arc::new(AtomicUsize::new(0));
    let call = |n: usize| {
        let calls = Arc::clone(&calls);
        runtime.spawn(move || {
            match n % 10 {
                0 => nap(Duration::from_millis(1)),
                _ => blocking(|| nap(Duration::from_millis(1))),
            }
            calls.fetch_add(1, Ordering::Relaxed);
        })
    };
    let all: Vec<_> = (0..CALLS).map(call).collect();
    let mut most = 0;
    wait_until("all have returned", || {
        most = most.max(runtime.metrics().threads);
        calls.load(Ordering::Relaxed) == CALLS
    });
    all.into_iter().for_each(|one| one.join().unwrap());
    assert!((3..=20).contains(&most), "{most} threads");
}

#[test]
fn blocked_goroutines_are_counted() {
    let _watchdog = Watchdog::start();
    let runtime = runtime(2);
    let (sends, blocked): (Vec<_>, Vec<_>) = (0..10)
        .map(|n| {
            let (send, receive) = mpsc::channel();
            (
                send,
                runtime.spawn(move || blocking(|| receive.recv()) == Ok(n)),
            )
        })
        .unzip();
    wait_until("ten block", || runtime.metrics().blocking == 10);
    for (n, send) in sends.iter().enumerate() {
        send.send(n).unwrap();
    }
    assert!(blocked.into_iter().all(|one| one.join().unwrap()));
    wait_until("none blocks", || runtime.metrics().blocking == 0);
}

/// Calls that are over before anybody looks are part of the slice around them.
#[test]
fn a_goroutine_that_makes_short_calls_without_end_gives_way() {
    for pause in [0, 5, 20].map(Duration::from_micros) {
        run(1, || {
            let start = Instant::now();
            for round in 0..10 {
                let other = gopark::spawn(|| ());
                while !other.is_finished() {
                    blocking(|| ());
                    spin(pause);
                    let starved = start.elapsed() > Duration::from_secs(5);
                    assert!(!starved, "with {pause:?} in between, in round {round}");
                }
            }
        });
    }
}

/// Busy calls that say that they block must not keep others from a P for ever.
#[test]
fn goroutines_in_busy_calls_all_have_their_turn() {
    const GOROUTINES: usize = 8;
    for micros in [10, 100, 1000] {
        run(2, || {
            let running = Arc::new(AtomicUsize::new(0));
            let busy = |_| {
                let running = Arc::clone(&running);
                gopark::spawn(move || {
                    running.fetch_add(1, Ordering::Relaxed);
                    let start = Instant::now();
                    while running.load(Ordering::Relaxed) < GOROUTINES {
                        blocking(|| spin(Duration::from_micros(micros)));
                        assert!(start.elapsed() < Duration::from_secs(60), "starved");
                    }
                })
            };
            let all: Vec<_> = (0..GOROUTINES).map(busy).collect();
            all.into_iter().for_each(|one| one.join().unwrap());
        });
    }
}
