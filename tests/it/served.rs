//! A wait that was served returns normally, whatever else asks its goroutine to unwind.
//!
//! Each wait is tried with a cancel that comes after the service, and with a cancel that ends the
//! park before it: the goroutine has not run by the time of the service.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use gopark::sync::{
    Barrier, CancellationToken, Condvar, Mutex, Notify, Once, OnceLock, RwLock, Semaphore,
    WaitGroup,
};
use gopark::time::{Elapsed, timeout};
use gopark::{Cancelled, JoinSet, chan, raw, select};
use gopark_tests::{block_on, run, run_calmly, spin, wait_until};

const LONG: Duration = Duration::from_secs(1000);
const LIMIT: Duration = Duration::from_millis(4);

type Wait = Box<dyn FnOnce() -> bool + Send>;
type Serve = Box<dyn FnOnce()>;

/// A wait that gives whether it was served, and what serves it.
struct Case(&'static str, Wait, Serve);

fn case(
    name: &'static str,
    wait: impl FnOnce() -> bool + Send + 'static,
    serve: impl FnOnce() + 'static,
) -> Case {
    Case(name, Box::new(wait), Box::new(serve))
}

fn receives() -> Vec<Case> {
    let mut cases = Vec::new();
    for cap in [Some(0), Some(1), None] {
        let pair = || cap.map_or_else(chan::unbounded, chan::bounded);
        let (tx, rx) = pair();
        cases.push(case(
            "recv",
            move || rx.recv() == Ok(5),
            move || tx.send(5).unwrap(),
        ));
        let (tx, rx) = pair();
        cases.push(case(
            "recv_timeout",
            move || rx.recv_timeout(LONG) == Ok(5),
            move || tx.send(5).unwrap(),
        ));
        let (tx, rx) = pair();
        let (_other, never) = chan::bounded::<u32>(1);
        cases.push(case(
            "select, recv",
            move || {
                let _other = &_other;
                select! {
                    recv(rx) -> got => got == Ok(5),
                    recv(never) -> _ => false,
                }
            },
            move || tx.send(5).unwrap(),
        ));
        let (tx, rx) = pair();
        cases.push(case(
            "iter",
            move || rx.iter().next() == Some(5),
            move || tx.send(5).unwrap(),
        ));
        let (tx, rx) = pair();
        cases.push(case(
            "recv, closed",
            move || rx.recv().is_err(),
            move || drop::<chan::Sender<u32>>(tx),
        ));
    }
    cases
}

fn sends() -> Vec<Case> {
    let mut cases = Vec::new();
    for cap in [0, 1] {
        let pair = || {
            let (tx, rx) = chan::bounded(cap);
            (0..cap).for_each(|_| tx.send(4).unwrap());
            let serve = {
                let rx = rx.clone();
                move || {
                    let got: Vec<u32> = (0..=cap).map(|_| rx.try_recv().unwrap()).collect();
                    assert_eq!(got.last(), Some(&5));
                }
            };
            (tx, rx, serve)
        };
        let (tx, keep, serve) = pair();
        cases.push(case(
            "send",
            move || tx.send(5).is_ok() && keep.is_empty(),
            serve,
        ));
        let (tx, keep, serve) = pair();
        cases.push(case(
            "send_timeout",
            move || tx.send_timeout(5, LONG).is_ok() && keep.is_empty(),
            serve,
        ));
        if cap == 0 {
            // A select's message is under way until the select has run.
            continue;
        }
        let (tx, keep, _) = pair();
        let rx = keep.clone();
        cases.push(case(
            "select, send",
            move || select! { send(tx, 5) -> sent => sent.is_ok() && keep.len() == 1 },
            move || assert_eq!(rx.try_recv(), Ok(4)),
        ));
    }
    cases
}

fn locks() -> Vec<Case> {
    let semaphore = Arc::new(Semaphore::new(0));
    let seen = Arc::clone(&semaphore);
    let timed = Arc::new(Semaphore::new(0));
    let seen_timed = Arc::clone(&timed);
    let mutex: &Mutex<u32> = Box::leak(Box::new(Mutex::new(0)));
    let held = mutex.lock();
    let until: &Mutex<u32> = Box::leak(Box::new(Mutex::new(0)));
    let held_until = until.lock();
    let lock: &RwLock<u32> = Box::leak(Box::new(RwLock::new(0)));
    let written = lock.write();
    let other: &RwLock<u32> = Box::leak(Box::new(RwLock::new(0)));
    let read = other.read();
    vec![
        case(
            "semaphore",
            move || {
                semaphore
                    .acquire_many(2)
                    .map(|permit| permit.forget())
                    .is_ok()
            },
            move || seen.add_permits(2),
        ),
        case(
            "semaphore, timeout",
            move || {
                timed
                    .acquire_timeout(LONG)
                    .map(|permit| permit.forget())
                    .is_ok()
            },
            move || seen_timed.add_permits(1),
        ),
        case("mutex", move || *mutex.lock() == 0, move || drop(held)),
        case(
            "mutex, until",
            move || until.try_lock_for(LONG).is_some(),
            move || drop(held_until),
        ),
        case(
            "rwlock, read",
            move || *lock.read() == 0,
            move || drop(written),
        ),
        case(
            "rwlock, write",
            move || *other.write() == 0,
            move || drop(read),
        ),
    ]
}

fn conditions() -> Vec<Case> {
    let pair: &(Mutex<()>, Condvar) = Box::leak(Box::default());
    let timed: &(Mutex<()>, Condvar) = Box::leak(Box::default());
    vec![
        case(
            "condvar",
            move || {
                drop(pair.1.wait(pair.0.lock()));
                true
            },
            move || pair.1.notify_one(),
        ),
        case(
            "condvar, timeout",
            move || !timed.1.wait_timeout(timed.0.lock(), LONG).1.timed_out(),
            move || timed.1.notify_all(),
        ),
    ]
}

fn meetings() -> Vec<Case> {
    let notify: &Notify = Box::leak(Box::default());
    let all: &Notify = Box::leak(Box::default());
    let barrier: &Barrier = Box::leak(Box::new(Barrier::new(2)));
    let once: &Once = Box::leak(Box::default());
    let cell: &OnceLock<u32> = Box::leak(Box::default());
    let group = WaitGroup::new();
    group.add(1);
    let done = group.clone();
    let token = CancellationToken::new();
    let cancels = token.clone();
    vec![
        case(
            "notify",
            move || {
                notify.notified().wait();
                true
            },
            move || notify.notify_one(),
        ),
        case(
            "notify all",
            move || all.notified().wait_timeout(LONG),
            move || all.notify_waiters(),
        ),
        case(
            "barrier",
            move || !barrier.wait().is_leader(),
            move || {
                assert!(barrier.wait().is_leader());
            },
        ),
        case(
            "once",
            move || {
                once.wait();
                true
            },
            move || once.call_once(|| ()),
        ),
        case(
            "once lock",
            move || *cell.wait() == 5,
            move || cell.set(5).unwrap(),
        ),
        case(
            "wait group",
            move || {
                group.wait();
                true
            },
            move || done.done(),
        ),
        case(
            "cancellation",
            move || {
                token.wait();
                true
            },
            move || cancels.cancel(),
        ),
    ]
}

/// What ends with a goroutine that the service lets go on; it has to run before the waiter does.
fn ends() -> Vec<Case> {
    let child = || {
        let (tx, rx) = chan::bounded::<u32>(0);
        (gopark::spawn(move || rx.recv().is_err()), tx)
    };
    let finish = |tx: chan::Sender<u32>| {
        move || {
            drop(tx);
            // It goes before the waiter, which is ready already.
            gopark::yield_now();
        }
    };
    let (handle, tx) = child();
    let (future, tx2) = child();
    let (in_set, tx3) = child();
    let mut set = JoinSet::new();
    set.insert(in_set);
    let (tx4, rx4) = chan::bounded::<u32>(0);
    vec![
        case("join", move || handle.join().unwrap(), finish(tx)),
        case(
            "join future",
            move || block_on(future.into_future()).unwrap(),
            finish(tx2),
        ),
        case(
            "join set",
            move || set.join_next().unwrap().unwrap(),
            finish(tx3),
        ),
        case(
            "scope",
            move || {
                gopark::scope(|s| drop(s.spawn(|| rx4.recv().is_err())));
                true
            },
            finish(tx4),
        ),
    ]
}

fn parks() -> Vec<Case> {
    let waiter: Arc<std::sync::Mutex<Option<raw::Waiter>>> = Arc::default();
    let place = Arc::clone(&waiter);
    let publish = move |waiter| {
        *place.lock().unwrap() = Some(waiter);
        true
    };
    vec![case(
        "raw",
        move || {
            raw::park(publish);
            true
        },
        move || assert!(waiter.lock().unwrap().take().unwrap().ready()),
    )]
}

/// When the waiter is cancelled.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Order {
    After,
    Before,
}

/// How the waiter waits.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Mode {
    Plain,
    Bound,
    Blocking,
}

fn in_mode(mode: Mode, wait: Wait) -> bool {
    match mode {
        Mode::Plain => wait(),
        Mode::Bound => {
            let _bound = gopark::lock_os_thread();
            wait()
        }
        Mode::Blocking => gopark::blocking(wait),
    }
}

fn serve(case: Case, order: Order, mode: Mode) {
    let Case(name, wait, serve) = case;
    let is_waiting = Arc::new(AtomicBool::new(false));
    let tells = Arc::clone(&is_waiting);
    let waiter = gopark::spawn(move || {
        tells.store(true, Ordering::Relaxed);
        let served = in_mode(mode, wait);
        // The request waits for the next suspension.
        let request = catch_unwind(gopark::yield_now);
        (
            served,
            request.is_err_and(|payload| payload.is::<Cancelled>()),
        )
    });
    wait_until("it waits", || {
        gopark::yield_now();
        is_waiting.load(Ordering::Relaxed)
    });
    (0..5).for_each(|_| gopark::yield_now());
    match order {
        Order::After => {
            serve();
            waiter.cancel();
        }
        Order::Before => {
            waiter.cancel();
            serve();
        }
    }
    let outcome = waiter.join();
    let outcome = outcome.map_err(|_| "unwound");
    assert_eq!(outcome, Ok((true, true)), "{name}: {order:?}, {mode:?}");
}

fn all(cases: fn() -> Vec<Case>) {
    for mode in [Mode::Plain, Mode::Blocking] {
        for order in [Order::After, Order::Before] {
            for case in cases() {
                serve(case, order, mode);
            }
        }
    }
}

#[test]
fn a_receive_that_was_served_is_not_unwound() {
    run_calmly(|| all(receives));
}

#[test]
fn a_send_that_was_served_is_not_unwound() {
    run_calmly(|| all(sends));
}

#[test]
fn a_lock_that_was_given_is_not_unwound() {
    run_calmly(|| all(locks));
}

#[test]
fn a_meeting_that_took_place_is_not_unwound() {
    run_calmly(|| all(conditions));
    run_calmly(|| all(meetings));
}

#[test]
fn a_raw_park_that_was_ended_is_not_unwound() {
    run_calmly(|| all(parks));
}

/// The goroutine that is waited for runs between the cancel and the waiter.
#[test]
fn a_join_that_was_served_is_not_unwound() {
    run_calmly(|| {
        for case in ends() {
            serve(case, Order::Before, Mode::Plain);
        }
    });
}

/// A goroutine with its own thread runs as soon as it is woken: only the cancel that follows the
/// service at once is sure to find it served.
#[test]
fn bound_goroutines_are_not_unwound_either() {
    run_calmly(|| {
        for cases in [receives, sends, locks, conditions, meetings, parks] {
            for case in cases() {
                serve(case, Order::After, Mode::Bound);
            }
        }
    });
}

#[test]
fn a_token_that_came_is_not_lost() {
    for cancel_first in [false, true] {
        for time in [None, Some(LONG)] {
            run_calmly(|| {
                let parked = gopark::spawn(move || {
                    match time {
                        None => gopark::park(),
                        Some(time) => gopark::park_timeout(time),
                    }
                    catch_unwind(gopark::yield_now).is_err()
                });
                (0..3).for_each(|_| gopark::yield_now());
                if cancel_first {
                    parked.cancel();
                }
                parked.goroutine().unpark();
                parked.cancel();
                assert!(parked.join().unwrap(), "{cancel_first}, {time:?}");
            });
        }
    }
}

#[test]
fn a_cancel_that_ends_a_join_leaves_the_result_to_nobody() {
    run_calmly(|| {
        let (tx, rx) = chan::bounded::<u32>(0);
        let child = gopark::spawn(move || rx.recv().is_err());
        let joins = gopark::spawn(move || child.join().unwrap());
        (0..3).for_each(|_| gopark::yield_now());
        joins.cancel();
        assert!(joins.join().unwrap_err().is::<Cancelled>());
        drop(tx);
    });
}

/// The limit passes while the receiver is ready, and has not run: its P is busy.
#[test]
fn a_limit_does_not_drop_a_message() {
    for cap in [0, 1, 5, 0, 1, 5] {
        run(1, || {
            let (tx, rx) = chan::bounded::<u64>(cap);
            let receiver = gopark::spawn(move || {
                let first = timeout(LIMIT, || rx.recv());
                (first, rx.recv_timeout(LONG))
            });
            (0..3).for_each(|_| gopark::yield_now());
            tx.send(7).unwrap();
            spin(8 * LIMIT);
            drop(tx);
            let (first, second) = receiver.join().unwrap();
            // A receive that is ended before the send leaves the message to the next.
            let got = [first.is_ok_and(|got| got == Ok(7)), second == Ok(7)];
            assert!(
                got[0] != got[1],
                "capacity {cap}: {first:?}, then {second:?}"
            );
        });
    }
}

#[test]
fn a_limit_does_not_deny_a_message_that_was_delivered() {
    for cap in [0, 1, 0, 1] {
        run(1, || {
            let (tx, rx) = chan::bounded::<u64>(cap);
            (0..cap).for_each(|_| tx.send(4).unwrap());
            let sender = gopark::spawn(move || timeout(LIMIT, || tx.send(7)));
            (0..3).for_each(|_| gopark::yield_now());
            let first = rx.recv_timeout(LONG).ok();
            spin(8 * LIMIT);
            let sent = sender.join().unwrap();
            let got = [first, rx.try_recv().ok()];
            assert_eq!(
                got.contains(&Some(7)),
                sent == Ok(Ok(())),
                "capacity {cap}: {got:?}"
            );
        });
    }
}

/// A condition variable: the wake that a waiter cannot use, because it unwinds before it has the
/// mutex, goes to another.
#[test]
fn a_wake_is_passed_on_by_a_waiter_that_unwinds_at_the_mutex() {
    static PAIR: (Mutex<()>, Condvar) = (Mutex::new(()), Condvar::new());
    run_calmly(|| {
        let wait = || drop(PAIR.1.wait(PAIR.0.lock()));
        let [first, second] = [gopark::spawn(wait), gopark::spawn(wait)];
        (0..3).for_each(|_| gopark::yield_now());
        let held = PAIR.0.lock();
        PAIR.1.notify_one();
        let woken = [&first, &second];
        // The waiter that was woken comes to the mutex, and waits there.
        (0..3).for_each(|_| gopark::yield_now());
        woken[0].cancel();
        (0..3).for_each(|_| gopark::yield_now());
        drop(held);
        assert!(first.join().unwrap_err().is::<Cancelled>());
        second.join().unwrap();
    });
}

/// A waiter that was left when its park unwound ends no later park.
#[test]
fn a_stale_waiter_wakes_nobody() {
    run(2, || {
        for _ in 0..1000 {
            let stale: Arc<std::sync::Mutex<Option<raw::Waiter>>> = Arc::default();
            let place = Arc::clone(&stale);
            let (tx, rx) = chan::bounded(1);
            let is_woken = Arc::new(AtomicBool::new(false));
            let tells = Arc::clone(&is_woken);
            let parks = gopark::spawn(move || {
                let first = catch_unwind(AssertUnwindSafe(|| {
                    raw::park(|waiter| {
                        *place.lock().unwrap() = Some(waiter);
                        true
                    });
                }));
                assert!(first.unwrap_err().is::<Cancelled>());
                raw::park(|waiter| {
                    tx.try_send(waiter).unwrap();
                    true
                });
                tells.load(Ordering::Relaxed)
            });
            wait_until("it parks", || {
                gopark::yield_now();
                stale.lock().unwrap().is_some()
            });
            parks.cancel();
            let real = rx.recv().unwrap();
            let waiter = stale.lock().unwrap().take().unwrap();
            assert!(!waiter.ready(), "a stale waiter ended a park");
            gopark::yield_now();
            is_woken.store(true, Ordering::Relaxed);
            assert!(real.ready());
            assert!(parks.join().unwrap(), "it went on before the real wake");
        }
    });
}

#[test]
fn a_waiter_of_a_park_that_panicked_wakes_nobody() {
    run_calmly(|| {
        let mut kept = None;
        let panics = catch_unwind(AssertUnwindSafe(|| {
            raw::park(|waiter| {
                kept = Some(waiter);
                panic!("in the closure");
            });
        }));
        assert!(panics.is_err());
        let (tx, rx) = chan::bounded(1);
        let stale = kept.take().unwrap();
        let wakes = gopark::spawn(move || {
            let real: raw::Waiter = rx.recv().unwrap();
            assert!(!stale.ready());
            assert!(real.ready());
        });
        raw::park(|waiter| {
            tx.try_send(waiter).unwrap();
            true
        });
        wakes.join().unwrap();
    });
}

#[test]
fn masks_defer_a_cancel_to_the_next_suspension() {
    run(2, || {
        let steps = Arc::new(AtomicUsize::new(0));
        let counts = Arc::clone(&steps);
        let (tx, rx) = chan::bounded::<u32>(0);
        let masked = gopark::spawn(move || {
            let value = gopark::mask_cancel(|| {
                let inner = gopark::mask_cancel(|| rx.recv().unwrap());
                counts.fetch_add(1, Ordering::Relaxed);
                gopark::yield_now();
                gopark::time::sleep(Duration::from_millis(1));
                inner
            });
            counts.fetch_add(value as usize, Ordering::Relaxed);
            gopark::yield_now();
            unreachable!("it was cancelled");
        });
        for _ in 0..5 {
            gopark::yield_now();
            masked.cancel();
        }
        tx.send(5).unwrap();
        let outcome: Result<(), _> = masked.join();
        assert!(outcome.unwrap_err().is::<Cancelled>());
        assert_eq!(steps.load(Ordering::Relaxed), 6);
    });
    // On a plain thread it does nothing.
    assert_eq!(gopark::mask_cancel(|| 3), 3);
}

#[test]
fn limits_outside_of_a_mask_wait_for_it_and_limits_inside_do_not() {
    run(2, || {
        let tick = Duration::from_millis(2);
        let outer = timeout(tick, || {
            let inner = gopark::mask_cancel(|| {
                // The outer limit passes here.
                gopark::time::sleep(5 * tick);
                let inner = timeout(tick, gopark::park);
                let nested = timeout(tick, || {
                    gopark::mask_cancel(|| gopark::time::sleep(5 * tick));
                    gopark::park();
                });
                let raw = timeout(tick, || {
                    raw::park(|waiter| {
                        let _never = waiter;
                        true
                    })
                });
                (inner, nested, raw)
            });
            assert!(matches!(inner, (Err(_), Err(_), Err(_))), "{inner:?}");
            gopark::park();
        });
        assert!(matches!(outer, Err(Elapsed { .. })));
    });
}

#[test]
fn the_end_of_a_runtime_waits_for_a_mask() {
    let _watchdog = gopark_tests::Watchdog::start();
    let runtime = gopark_tests::runtime(2);
    let steps = Arc::new(AtomicUsize::new(0));
    let counts = Arc::clone(&steps);
    drop(runtime.spawn(move || {
        gopark::mask_cancel(|| {
            counts.fetch_add(1, Ordering::Relaxed);
            gopark::time::sleep(Duration::from_millis(20));
            counts.fetch_add(1, Ordering::Relaxed);
        });
        gopark::park();
        unreachable!("nobody unparks it");
    }));
    wait_until("it sleeps", || steps.load(Ordering::Relaxed) == 1);
    drop(runtime);
    assert_eq!(steps.load(Ordering::Relaxed), 2);
}
