//! Goroutines bound to a thread, and code on the thread's own stack.

use std::hint::black_box;
use std::panic::{catch_unwind, panic_any};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use gopark::goroutine::Goroutine;
use gopark::{blocking, lock_os_thread, on_thread_stack};
use gopark_tests::{
    alone, descend, nap, panic_text, run, runtime, spin, thread_exists, thread_id, wait_until,
};

/// Parks until a goroutine that it spawns wakes it.
fn park_once() {
    let me = gopark::current();
    let waker = gopark::spawn(move || me.unpark());
    gopark::park();
    waker.join().unwrap();
}

/// Goroutines that yield and note their threads while `body` runs.
fn beside_busy_others<T>(body: impl FnOnce() -> T) -> (T, Vec<i64>) {
    let stop = Arc::new(AtomicBool::new(false));
    let busy = |_| {
        let stop = Arc::clone(&stop);
        gopark::spawn(move || {
            let mut threads = vec![thread_id()];
            while !stop.load(Ordering::Relaxed) {
                gopark::yield_now();
                if threads.last() != Some(&thread_id()) {
                    threads.push(thread_id());
                }
            }
            threads
        })
    };
    let others: Vec<_> = (0..10).map(busy).collect();
    let result = body();
    stop.store(true, Ordering::Relaxed);
    let threads = others.into_iter().flat_map(|one| one.join().unwrap());
    (result, threads.collect())
}

#[test]
fn a_locked_goroutine_keeps_its_thread_and_has_it_to_itself() {
    for procs in [1, 2, 4] {
        run(procs, || {
            let guard = lock_os_thread();
            let own = thread_id();
            let ((), threads) = beside_busy_others(|| {
                for n in 0..100 {
                    gopark::yield_now();
                    assert_eq!(thread_id(), own);
                    park_once();
                    assert_eq!(thread_id(), own);
                    if n % 10 == 0 {
                        blocking(|| nap(Duration::from_millis(1)));
                        assert_eq!(thread_id(), own);
                    }
                }
            });
            assert!(!threads.contains(&own), "others ran on the locked thread");
            drop(guard);
        });
    }
}

#[test]
fn locks_nest_and_the_last_guard_frees_the_thread() {
    run(1, || {
        let guards = [lock_os_thread(), lock_os_thread(), lock_os_thread()];
        let own = thread_id();
        for guard in guards {
            for _ in 0..20 {
                park_once();
                assert_eq!(thread_id(), own);
                assert_ne!(gopark::spawn(thread_id).join().unwrap(), own);
            }
            drop(guard);
        }
        // Free again: a goroutine that runs next runs here, when nobody takes the P away.
        wait_until("another runs there", || {
            let here = thread_id();
            gopark::spawn(thread_id).join().unwrap() == here
        });
    });
}

#[test]
fn a_lock_is_not_inherited() {
    run(2, || {
        let _guard = lock_os_thread();
        let own = thread_id();
        // It ends without ending its thread, for it has locked none.
        let threads: Vec<_> = (0..50)
            .map(|_| gopark::spawn(thread_id).join().unwrap())
            .collect();
        assert!(!threads.contains(&own));
        assert!(threads.into_iter().all(thread_exists));
    });
}

#[test]
fn a_goroutine_that_ends_with_a_lock_ends_its_thread() {
    for procs in [1, 3] {
        run(procs, || {
            let others = gopark::spawn(|| (0..1000).for_each(|_| gopark::yield_now()));
            for n in 0..20 {
                let ending = gopark::spawn(move || {
                    std::mem::forget(lock_os_thread());
                    if n % 2 == 0 {
                        gopark::yield_now();
                        park_once();
                    }
                    thread_id()
                });
                let thread = ending.join().unwrap();
                wait_until("the thread has ended", || !thread_exists(thread));
            }
            others.join().unwrap();
        });
    }
}

#[test]
fn a_panic_lets_go_of_the_thread() {
    run(1, || {
        let panicking = gopark::spawn(|| {
            let _guard = lock_os_thread();
            panic_any(thread_id());
        });
        let payload = panicking.join().unwrap_err();
        let thread = *payload.downcast::<i64>().unwrap();
        assert_eq!(gopark::spawn(|| 1).join().unwrap(), 1);
        assert!(thread_exists(thread));
    });
}

#[test]
fn a_guard_may_be_dropped_on_the_threads_stack() {
    run(1, || {
        let unlocked = gopark::spawn(|| {
            let guard = lock_os_thread();
            on_thread_stack(|| drop(guard));
            thread_id()
        });
        let thread = unlocked.join().unwrap();
        for _ in 0..20 {
            park_once();
        }
        blocking(|| nap(Duration::from_millis(10)));
        assert!(thread_exists(thread), "it has ended, as if still locked");
    });
}

/// Two goroutines take turns, each locked or not.
fn ping_pong(procs: usize, locked: [bool; 2]) {
    const TURNS: usize = 500;
    fn play(own: usize, other: &Goroutine, turn: &AtomicUsize, locked: bool) {
        let _guard = locked.then(lock_os_thread);
        for n in 0..TURNS {
            // Acquire: pairs with the Release below.
            while turn.load(Ordering::Acquire) != 2 * n + own {
                gopark::park();
            }
            // Release: pairs with the Acquire above.
            turn.store(2 * n + own + 1, Ordering::Release);
            other.unpark();
        }
    }
    run(procs, || {
        let turn = Arc::new(AtomicUsize::new(0));
        let (me, turn_too) = (gopark::current(), Arc::clone(&turn));
        let other = gopark::spawn(move || play(1, &me, &turn_too, locked[1]));
        play(0, other.goroutine(), &turn, locked[0]);
        other.join().unwrap();
    });
}

#[test]
fn a_locked_goroutine_and_a_free_one_take_turns() {
    for procs in [1, 2] {
        ping_pong(procs, [true, false]);
        ping_pong(procs, [false, true]);
    }
}

#[test]
fn two_locked_goroutines_take_turns() {
    for procs in [1, 2, 4] {
        ping_pong(procs, [true, true]);
    }
}

#[test]
fn a_runtime_of_locked_goroutines_only_does_not_hang() {
    for procs in [1, 2, 4] {
        run(procs, || {
            let _guard = lock_os_thread();
            let locked = |n: usize| {
                gopark::spawn(move || {
                    let _guard = lock_os_thread();
                    for _ in 0..20 {
                        gopark::yield_now();
                        let me = gopark::current();
                        let child = gopark::spawn(move || {
                            let _guard = lock_os_thread();
                            me.unpark();
                        });
                        gopark::park();
                        child.join().unwrap();
                        if n.is_multiple_of(3) {
                            blocking(|| nap(Duration::from_micros(200)));
                        }
                    }
                })
            };
            let all: Vec<_> = (0..8).map(locked).collect();
            all.into_iter().for_each(|one| one.join().unwrap());
        });
    }
}

#[test]
fn hogs_that_are_locked_share_a_p() {
    run(1, || {
        let stop = Arc::new(AtomicBool::new(false));
        let hog = |_| {
            let stop = Arc::clone(&stop);
            gopark::spawn(move || {
                let _guard = lock_os_thread();
                while !stop.load(Ordering::Relaxed) {
                    spin(Duration::from_millis(1));
                    assert!(gopark::try_current().is_some());
                }
            })
        };
        let hogs: Vec<_> = (0..3).map(hog).collect();
        blocking(|| nap(Duration::from_millis(50)));
        park_once();
        stop.store(true, Ordering::Relaxed);
        hogs.into_iter().for_each(|hog| hog.join().unwrap());
    });
}

/// The guard need not stay in its goroutine: what `run` gives back need not be `Send`. In a process
/// of its own: a lock that is undone by others would let two threads run on one stack.
#[test]
fn a_guard_that_outlives_its_goroutine_touches_no_other() {
    let case = || {
        let runtime = runtime(1);
        let guard = runtime.run(|| (lock_os_thread(), gopark::yield_now()).0);
        runtime.run(|| {
            // One of them has the stack of the goroutine that has ended.
            let locked = Arc::new(AtomicUsize::new(0));
            let heirs: Vec<_> = (0..5).map(|_| locked_heir(&locked)).collect();
            wait_until("all are locked", || locked.load(Ordering::Relaxed) == 5);
            drop(guard);
            heirs.iter().for_each(|heir| heir.goroutine().unpark());
            heirs.into_iter().for_each(|heir| heir.join().unwrap());
        });
    };
    let name = "locking::a_guard_that_outlives_its_goroutine_touches_no_other";
    alone(name, |_| (), case);
}

fn locked_heir(locked: &Arc<AtomicUsize>) -> gopark::JoinHandle<()> {
    let locked = Arc::clone(locked);
    gopark::spawn(move || {
        let _guard = lock_os_thread();
        let own = thread_id();
        locked.fetch_add(1, Ordering::Relaxed);
        gopark::park();
        for _ in 0..20 {
            park_once();
            assert_eq!(thread_id(), own);
        }
    })
}

#[test]
fn on_the_threads_stack_a_goroutine_cannot_park_and_has_much_room() {
    #[inline(never)]
    fn wide() -> usize {
        let mut frame = [1u8; 4 << 20];
        black_box(&mut frame);
        usize::from(frame[0]) + usize::from(frame[(4 << 20) - 1])
    }
    run(2, || {
        let own = thread_id();
        let in_between = on_thread_stack(|| {
            assert!(gopark::try_current().is_some());
            assert_eq!(gopark::remaining_stack(), None);
            assert_eq!(thread_id(), own);
            assert_eq!(descend(1000), 1000);
            let nested = on_thread_stack(|| blocking(wide));
            let text = panic_text(catch_unwind(gopark::park).unwrap_err());
            assert!(text.contains("on a stack that is not its own"), "{text}");
            (wide(), nested, [3u64; 100])
        });
        assert_eq!(in_between, (2, 2, [3; 100]));
        assert!(gopark::try_current().is_some());
    });
    assert_eq!(on_thread_stack(|| 4), 4);
}

#[test]
fn a_panic_on_the_threads_stack_is_passed_on() {
    run(1, || {
        for n in 0..20 {
            let caught = catch_unwind(|| on_thread_stack(|| panic_any(n)));
            assert_eq!(*caught.unwrap_err().downcast::<i32>().unwrap(), n);
            let inside = on_thread_stack(|| catch_unwind(|| panic_any(n)).is_err());
            assert!(inside);
            park_once();
        }
        let ended = gopark::spawn(|| on_thread_stack(|| panic_any(5)));
        assert_eq!(*ended.join().unwrap_err().downcast::<i32>().unwrap(), 5);
    });
}

#[test]
fn others_run_while_one_is_on_the_threads_stack() {
    run(1, || {
        let (send, receive) = mpsc::channel();
        let thread = Arc::new(AtomicI64::new(0));
        let seen = Arc::clone(&thread);
        let blocked = gopark::spawn(move || {
            on_thread_stack(|| {
                seen.store(thread_id(), Ordering::Relaxed);
                let got: Goroutine = receive.recv().unwrap();
                // Wakes and joins work there; they block the thread.
                got.unpark();
                spin(Duration::from_millis(30));
            });
            thread_id()
        });
        for _ in 0..100 {
            park_once();
        }
        send.send(gopark::current()).unwrap();
        gopark::park();
        assert_eq!(blocked.join().unwrap(), thread.load(Ordering::Relaxed));
    });
}
