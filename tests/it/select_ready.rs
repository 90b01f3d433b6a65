//! `Select::ready`: it tells what would not wait, does nothing, and misses nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use gopark::chan::{self, ReadyTimeoutError, Select, TryReadyError, bounded, never, unbounded};
use gopark_tests::run;

const BRIEF: Duration = Duration::from_millis(1);

#[test]
fn what_would_not_wait_is_ready_and_stays_so() {
    let (s, r) = bounded(1);
    let (rendezvous, other) = bounded::<u32>(0);
    let mut select = Select::new();
    let receives = select.recv(&r);
    let sends = select.send(&s);
    let meets = select.send(&rendezvous);
    assert_eq!((receives, sends, meets), (0, 1, 2));
    for _ in 0..3 {
        assert_eq!(select.try_ready(), Ok(sends));
        assert_eq!(select.ready(), sends);
    }
    s.send(1).unwrap();
    for _ in 0..3 {
        assert_eq!(select.try_ready(), Ok(receives));
        assert_eq!(select.ready_timeout(BRIEF), Ok(receives));
    }
    assert_eq!(r.recv(), Ok(1));
    select.remove(sends);
    assert_eq!(select.try_ready(), Err(TryReadyError));
    assert_eq!(select.ready_timeout(BRIEF), Err(ReadyTimeoutError));
    let passed = Instant::now();
    assert_eq!(select.ready_deadline(passed), Err(ReadyTimeoutError));
    drop(other);
    assert_eq!(select.ready(), meets, "what would fail is ready");
    s.close();
    assert!([receives, meets].contains(&select.ready()));
}

#[test]
fn moments_are_ready_when_they_have_come() {
    let long = Duration::from_secs(3600);
    for delivers in [chan::after, chan::tick] {
        let (receiver, later) = (delivers(BRIEF), delivers(long));
        let mut select = Select::new_biased();
        let none = never::<()>();
        select.recv(&none);
        select.recv(&later);
        assert_eq!(select.try_ready(), Err(TryReadyError));
        let index = select.recv(&receiver);
        assert_eq!(select.ready(), index);
        assert!(receiver.try_recv().is_ok());
    }
}

#[test]
#[should_panic = "no operations have been added"]
fn nothing_is_never_ready() {
    Select::new().ready();
}

/// Each of the things that make an operation ready wakes one who waits for it.
#[test]
fn whatever_makes_it_ready_wakes_who_watches() {
    type Doing = fn(&chan::Sender<u32>, &chan::Receiver<u32>);
    let until_waiting = |s: &chan::Sender<u32>| {
        // A plain partner that waits: it is there as soon as the other side is ready.
        let mut select = Select::new();
        select.send(s);
        select.ready();
    };
    let cases: [(usize, bool, Doing); 6] = [
        (1, true, |s, _| s.send(1).unwrap()),
        (1, false, |_, r| assert_eq!(r.recv(), Ok(0))),
        (0, true, |s, _| {
            let s = s.clone();
            gopark::go(move || s.send(1).unwrap());
        }),
        (0, false, |_, r| {
            let r = r.clone();
            gopark::go(move || assert_eq!(r.recv(), Ok(1)));
        }),
        (0, true, |s, _| {
            let s = s.clone();
            gopark::go(move || {
                gopark::select! { send(s, 1) -> m => m.unwrap(), recv(never::<()>()) -> _ => {} }
            });
        }),
        (1, true, |s, _| assert!(s.close())),
    ];
    for procs in [1, 2] {
        run(procs, || {
            for (case, (cap, receives, make_ready)) in cases.into_iter().enumerate() {
                let (s, r) = bounded(cap);
                if !receives && cap > 0 {
                    s.send(0).unwrap();
                }
                let watchers: Vec<_> = (0..3)
                    .map(|n| {
                        let (s, r) = (s.clone(), r.clone());
                        gopark::spawn(move || {
                            let mut select = Select::new();
                            match receives {
                                true => select.recv(&r),
                                false => select.send(&s),
                            };
                            let none = never::<()>();
                            select.recv(&none);
                            match n {
                                0 => select.ready_timeout(Duration::from_secs(60)).unwrap(),
                                _ => select.ready(),
                            }
                        })
                    })
                    .collect();
                gopark::time::sleep(BRIEF);
                assert!(
                    watchers.iter().all(|watcher| !watcher.is_finished()),
                    "{case}"
                );
                make_ready(&s, &r);
                for watcher in watchers {
                    assert_eq!(watcher.join().unwrap(), 0, "{case}");
                }
                if cap == 0 && receives {
                    assert_eq!(r.recv(), Ok(1));
                } else if cap == 0 {
                    until_waiting(&s);
                    s.send(1).unwrap();
                }
            }
        });
    }
}

/// What was reserved and is given up is ready for others.
#[test]
fn what_is_given_up_is_ready_again() {
    run(1, || {
        let (s, r) = bounded(1);
        let mut reserves = Select::new();
        reserves.send(&s);
        let reserved = reserves.select();
        let watcher = {
            let s = s.clone();
            gopark::spawn(move || {
                let mut select = Select::new();
                select.send(&s);
                select.ready()
            })
        };
        gopark::time::sleep(BRIEF);
        assert!(!watcher.is_finished(), "the only place is reserved");
        let drops = std::panic::AssertUnwindSafe(|| drop(reserved));
        assert!(std::panic::catch_unwind(drops).is_err());
        assert_eq!(watcher.join().unwrap(), 0);
        s.send(1).unwrap();
        assert_eq!(r.recv(), Ok(1));
    });
}

/// Several who take what they are told is ready, from goroutines and threads: all is received once.
#[test]
fn who_takes_what_is_ready_misses_nothing() {
    const MESSAGES: usize = 4000;
    run(2, || {
        let (s1, r1) = unbounded::<usize>();
        let (s2, r2) = bounded::<usize>(2);
        let (s3, r3) = bounded::<usize>(0);
        let (sum, count) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let take = {
            let (sum, count) = (Arc::clone(&sum), Arc::clone(&count));
            move || {
                let receivers = [&r1, &r2, &r3];
                let mut select = Select::new();
                for receiver in receivers {
                    select.recv(receiver);
                }
                let mut open = receivers.len();
                while open > 0 {
                    let at = select.ready();
                    match receivers[at].try_recv() {
                        Ok(n) => {
                            sum.fetch_add(n, Ordering::Relaxed);
                            count.fetch_add(1, Ordering::Relaxed);
                        }
                        Err(error) if error.is_disconnected() => {
                            select.remove(at);
                            open -= 1;
                        }
                        Err(_) => {}
                    }
                }
            }
        };
        let thread = std::thread::spawn(take.clone());
        let takers: Vec<_> = (0..3).map(|_| gopark::spawn(take.clone())).collect();
        let senders: Vec<_> = [s1, s2, s3]
            .into_iter()
            .map(|s| gopark::spawn(move || (0..MESSAGES).for_each(|n| s.send(n).unwrap())))
            .collect();
        senders
            .into_iter()
            .for_each(|sender| sender.join().unwrap());
        takers.into_iter().for_each(|taker| taker.join().unwrap());
        gopark::blocking(|| thread.join().unwrap());
        assert_eq!(count.load(Ordering::Relaxed), 3 * MESSAGES);
        let of_one = MESSAGES * (MESSAGES - 1) / 2;
        assert_eq!(sum.load(Ordering::Relaxed), 3 * of_one);
    });
}

#[test]
fn a_select_whose_time_is_over_sees_what_is_ready_all_the_time() {
    run(2, || {
        let (s1, r1) = bounded(1);
        let (s2, r2) = bounded(1);
        s1.send(()).unwrap();
        let mut select = Select::new();
        select.recv(&r1);
        select.recv(&r2);
        let is_over = AtomicBool::new(false);
        gopark::scope(|scope| {
            // One of the two is ready at all times.
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    s2.send(()).unwrap();
                    r1.recv().unwrap();
                    s1.send(()).unwrap();
                    r2.recv().unwrap();
                }
            });
            let seen = (0..100_000).all(|_| select.ready_timeout(Duration::ZERO).is_ok());
            is_over.store(true, Ordering::Relaxed);
            assert!(seen);
        });
    });
}

#[test]
fn what_is_said_to_be_ready_is_if_nobody_else_is_there() {
    const ROUNDS: usize = 5_000;
    run(2, || {
        let (s1, r1) = bounded(0);
        let (s2, r2) = bounded(0);
        gopark::scope(|scope| {
            scope.spawn(|| {
                for n in 0..ROUNDS {
                    s1.send(n).unwrap();
                    assert_eq!(r2.recv(), Ok(n));
                }
            });
            for n in 0..ROUNDS {
                let mut select = Select::new();
                select.recv(&r1);
                select.send(&s2);
                assert_eq!(select.ready(), 0);
                assert_eq!(r1.try_recv(), Ok(n));
                assert_eq!(select.ready(), 1);
                s2.try_send(n).unwrap();
            }
        });
    });
}
