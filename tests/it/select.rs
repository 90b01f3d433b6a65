//! `select!`: one operation is completed, none is lost, all are treated alike.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use gopark::chan::{self, RecvError, Select, SendError, bounded, never, unbounded};
use gopark::{select, select_biased};
use gopark_tests::{Watchdog, run, runtime};

const BRIEF: Duration = Duration::from_millis(1);

#[test]
fn arms_may_have_any_form() {
    let (s, r) = unbounded::<u32>();
    let (full, _keep) = bounded::<u32>(1);
    full.send(0).unwrap();
    for n in 0..10 {
        s.send(n).unwrap();
        let got = select! {
            recv(r) -> m => m.unwrap(),
            send(full, 1) -> _ => unreachable!(),
            default(Duration::from_secs(60)) => unreachable!(),
        };
        assert_eq!(got, n);
    }
    select! { recv(&r) -> m => panic!("{m:?}"), default => {} }
    select! { default() => {}, recv(r) -> _ => panic!() }
    let text = select! {
        recv(r) -> _ => { "no" }
        send(full, 1,) -> result => { result.unwrap(); "no" }
        default(BRIEF) => "time"
    };
    assert_eq!(text, "time");
    // A message that is not sent is not moved.
    let message = String::from("kept");
    let (strings, _r) = bounded::<String>(0);
    select! { send(strings, message) -> _ => panic!(), default => {} }
    select! {
        recv(if message.is_empty() { r.clone() } else { never() }) -> _ => panic!(),
        recv(chan::after(BRIEF)) -> moment => { moment.unwrap(); },
    }
    assert_eq!(message, "kept");
    select! { default => {} }
    select_biased! { default(BRIEF) => () }
    let mut rounds = 0;
    let broken = loop {
        select! {
            send(s, rounds) -> result => { result.unwrap(); rounds += 1; continue },
            recv(r) -> m => {
                if rounds > 5 { break m }
                rounds += 1;
            }
        }
    };
    assert!(broken.is_ok());
    let returns = || -> Option<u32> {
        select! { recv(never::<u32>()) -> _ => {}, default => return Some(1) }
        None
    };
    assert_eq!(returns(), Some(1));
    let fails = |s: chan::Sender<u32>| -> Result<(), RecvError> {
        // The message's expression may leave: the send is given up.
        select! { send(s, never_there()?) -> _ => Ok(()), recv(never::<()>()) -> _ => Ok(()) }
    };
    let (one, r) = bounded(1);
    assert_eq!(fails(one.clone()), Err(RecvError));
    assert_eq!((one.try_send(1), r.recv()), (Ok(()), Ok(1)));
}

fn never_there() -> Result<u32, RecvError> {
    Err(RecvError)
}

#[test]
fn a_closed_channel_is_ready() {
    run(1, || {
        let (s, r) = bounded::<u32>(0);
        s.close();
        select! { recv(r) -> m => assert_eq!(m, Err(RecvError)), recv(never::<()>()) -> _ => {} }
        select! { send(s, 7) -> m => assert_eq!(m, Err(SendError(7))), default => panic!() }
        for side in 0..2 {
            let (s, r) = bounded::<u32>(0);
            let (s2, r2) = (s.clone(), r.clone());
            let waits = gopark::spawn(move || match side {
                0 => select! { recv(r2) -> m => m.is_err(), recv(never::<()>()) -> _ => false },
                _ => select! { send(s2, 1) -> m => m.is_err(), recv(never::<()>()) -> _ => false },
            });
            gopark::time::sleep(BRIEF);
            s.close();
            assert!(waits.join().unwrap());
            drop(r);
        }
    });
}

#[test]
fn a_select_does_not_meet_itself() {
    for procs in [1, 2] {
        run(procs, || {
            let (s, r) = bounded::<usize>(0);
            let selfish: Vec<_> = (0..2)
                .map(|n| {
                    let (s, r) = (s.clone(), r.clone());
                    gopark::spawn(move || {
                        for _ in 0..1000 {
                            select! {
                                send(s, n) -> sent => sent.unwrap(),
                                recv(r) -> got => assert_ne!(got, Ok(n), "it met itself"),
                            }
                        }
                    })
                })
                .collect();
            selfish
                .into_iter()
                .for_each(|handle| handle.join().unwrap());
            select! {
                send(s, 1) -> _ => panic!("met itself"),
                recv(r) -> _ => panic!("met itself"),
                default(BRIEF) => {}
            }
            assert!(
                s.try_send(1).is_err() && r.try_recv().is_err(),
                "it left a trace"
            );
        });
    }
}

#[test]
fn of_two_ready_channels_each_is_selected_half_of_the_time() {
    const PICKS: f64 = 10_000.0;
    run(2, || {
        let (s1, r1) = unbounded();
        let (s2, r2) = unbounded();
        let mut counts = [0.0_f64; 2];
        for _ in 0..PICKS as usize {
            let _ = (s1.send(0), s2.send(1));
            let at = select! { recv(r1) -> m => m.unwrap(), recv(r2) -> m => m.unwrap() };
            counts[at] += 1.0;
        }
        let sigma = (PICKS * 0.25).sqrt();
        assert!((counts[0] - PICKS / 2.0).abs() < 10.0 * sigma, "{counts:?}");
        for _ in 0..100 {
            select_biased! { recv(r2) -> m => assert!(m.is_ok()), recv(r1) -> _ => panic!() }
        }
    });
}

#[test]
fn a_nonblocking_select_sees_what_is_ready_all_the_time() {
    run(2, || {
        for _ in 0..20_000 {
            let (s1, r1) = bounded(1);
            let (s2, r2) = bounded(1);
            s1.send(1).unwrap();
            let mine = (r1.clone(), r2.clone());
            let sees = gopark::spawn(move || {
                select! { recv(r1) -> _ => true, recv(r2) -> _ => true, default => false }
            });
            // One of the two is ready at all times.
            s2.send(1).unwrap();
            let _ = mine.0.try_recv();
            assert!(sees.join().unwrap());
        }
    });
}

#[test]
fn of_arms_at_one_channel_each_is_selected_also_after_a_wait() {
    const PICKS: usize = 600;
    run(1, || {
        let (s, r) = bounded(0);
        let mut counts = [0; 5];
        for _ in 0..PICKS {
            let receiver = r.clone();
            let later = gopark::spawn(move || receiver.recv().unwrap());
            select! { send(s, 0) -> m => m.unwrap(), send(s, 1) -> m => m.unwrap() }
            counts[later.join().unwrap()] += 1;

            let sender = s.clone();
            let later = gopark::spawn(move || sender.send(0).unwrap());
            let mut select = Select::new();
            for _ in 0..3 {
                select.recv(&r);
            }
            let operation = select.select();
            counts[2 + operation.index()] += 1;
            operation.recv(&r).unwrap();
            later.join().unwrap();
        }
        assert!(counts.iter().all(|&n| n > PICKS / 6), "{counts:?}");
    });
}

#[test]
fn a_select_is_shared_and_used_by_others() {
    run(2, || {
        let (s, r) = bounded(0);
        let mut select = Select::new();
        let sends = select.send(&s);
        let (shared, mut given) = (&select.clone(), select);
        let select = |select: &mut Select<'_>| match select.select() {
            operation if operation.index() == sends => operation.send(&s, 1).unwrap(),
            operation => panic!("{}", operation.index()),
        };
        gopark::scope(|scope| {
            scope.spawn(|| select(&mut shared.clone()));
            scope.spawn(move || select(&mut given));
            assert_eq!((r.recv(), r.recv()), (Ok(1), Ok(1)));
        });
    });
}

#[test]
fn one_select_never_completes_two_operations() {
    const MESSAGES: usize = 20_000;
    for (procs, cap) in [(1, 0), (4, 0), (4, 1)] {
        run(procs, || {
            let channels: Vec<_> = (0..4).map(|_| bounded::<usize>(cap)).collect();
            let senders: Vec<_> = channels.iter().map(|(s, _)| s.clone()).collect();
            gopark::go(move || {
                for n in 0..MESSAGES {
                    select! {
                        send(senders[0], n) -> sent => sent.unwrap(),
                        send(senders[1], n) -> sent => sent.unwrap(),
                        send(senders[2], n) -> sent => sent.unwrap(),
                        send(senders[3], n) -> sent => sent.unwrap(),
                    }
                }
            });
            let (out, seen) = unbounded();
            for (_, r) in &channels {
                let (r, out) = (r.clone(), out.clone());
                gopark::go(move || r.into_iter().for_each(|n| out.send(n).unwrap()));
            }
            drop((out, channels));
            let mut seen: Vec<_> = seen.iter().collect();
            seen.sort_unstable();
            assert!(seen.into_iter().eq(0..MESSAGES));
        });
    }
}

/// Selects of all kinds against each other and against plain operations: each sent message is
/// received once.
#[test]
fn selects_and_plain_operations_lose_nothing() {
    const EACH: usize = 3000;
    for (procs, cap) in [(1, 0), (2, 0), (4, 0), (4, 1), (4, 3)] {
        run(procs, || {
            let (s1, r1) = bounded::<usize>(cap);
            let (s2, r2) = bounded::<usize>(cap);
            let sum = Arc::new(AtomicUsize::new(0));
            let mut all = Vec::new();
            for kind in 0..2 {
                let (s1, s2) = (s1.clone(), s2.clone());
                all.push(gopark::spawn(move || {
                    for n in 0..EACH {
                        match kind {
                            0 if n % 2 == 0 => s1.send(n).unwrap(),
                            0 => s2.send(n).unwrap(),
                            _ => select! {
                                send(s1, n) -> sent => sent.unwrap(),
                                send(s2, n) -> sent => sent.unwrap(),
                            },
                        }
                    }
                }));
            }
            for kind in 0..3 {
                let (r1, r2, sum) = (r1.clone(), r2.clone(), Arc::clone(&sum));
                all.push(gopark::spawn(move || {
                    let mut wait = 0;
                    loop {
                        wait = (wait + 7) % 50;
                        let got = match kind {
                            0 => select! { recv(r1) -> m => m, recv(r2) -> m => m },
                            1 => select! {
                                recv(r2) -> m => m,
                                recv(r1) -> m => m,
                                default(Duration::from_micros(wait)) => continue,
                            },
                            _ => r1.recv(),
                        };
                        match got {
                            Ok(n) => _ = sum.fetch_add(n, Ordering::Relaxed),
                            Err(RecvError) => break,
                        }
                    }
                    // One is closed and empty; the rest of the other.
                    for n in r1.iter().chain(r2.iter()) {
                        sum.fetch_add(n, Ordering::Relaxed);
                    }
                }));
            }
            drop((s1, s2));
            all.into_iter().for_each(|handle| handle.join().unwrap());
            assert_eq!(sum.load(Ordering::Relaxed), EACH * (EACH - 1));
        });
    }
}

#[test]
fn two_selects_on_threads_and_goroutines_meet() {
    const EACH: usize = 1000;
    let _watchdog = Watchdog::start();
    let rt = runtime(2);
    let (s1, r1) = bounded::<usize>(0);
    let (s2, r2) = bounded::<usize>(0);
    let send = move || {
        for n in 0..EACH {
            select! { send(s1, n) -> m => m.unwrap(), send(s2, n) -> m => m.unwrap() }
        }
    };
    let receive = move || {
        let mut sum = 0;
        for _ in 0..2 * EACH {
            sum += select! { recv(r1) -> m => m.unwrap(), recv(r2) -> m => m.unwrap() };
        }
        sum
    };
    let senders = (rt.spawn(send.clone()), std::thread::spawn(send));
    let thread = std::thread::spawn(receive);
    senders.0.join().unwrap();
    senders.1.join().unwrap();
    assert_eq!(thread.join().unwrap(), EACH * (EACH - 1));
}

#[test]
fn losing_arms_and_ends_leave_no_trace() {
    let _watchdog = Watchdog::start();
    let (s, r) = bounded::<Arc<()>>(0);
    let value = Arc::new(());
    let rt = runtime(2);
    for n in 0..40 {
        let (s, r, value) = (s.clone(), r.clone(), Arc::clone(&value));
        rt.spawn(move || {
            let limit = Duration::from_micros(300);
            let wait = || match n % 3 {
                0 => select! { recv(r) -> _ => {}, recv(never::<()>()) -> _ => {} },
                1 => select! { recv(r) -> _ => {}, default(limit) => {} },
                _ => select! { send(s, value) -> _ => {}, recv(r) -> _ => {} },
            };
            let _ = gopark::time::timeout(limit, wait);
            select! { recv(never::<()>()) -> _ => {}, recv(r) -> _ => {} }
        });
    }
    rt.run(|| gopark::time::sleep(Duration::from_millis(5)));
    drop(rt);
    assert_eq!(Arc::strong_count(&value), 1);
    assert!(s.try_send(value).is_err() && r.try_recv().is_err());
}

#[test]
fn a_timer_in_a_select_ends_it() {
    // How many ticks came before the end.
    let once = || {
        let start = Instant::now();
        let wait = Duration::from_millis(10);
        let period = Duration::from_millis(3);
        let timer = chan::after(wait);
        let ticks = chan::tick(period);
        let mut n = 0;
        loop {
            select! {
                recv(ticks) -> m => { m.unwrap(); n += 1; }
                recv(timer) -> m => { assert!(m.unwrap() >= start + wait); break }
            }
        }
        let took = start.elapsed();
        assert!(took >= wait && n * period <= took, "{n} ticks in {took:?}");
        select! { recv(timer) -> _ => panic!("twice"), default(BRIEF) => {} }
        n
    };
    // A busy machine may come back when both are over, and select the end first.
    let case = || while once() == 0 {};
    let _watchdog = Watchdog::start();
    case();
    run(1, case);
}
