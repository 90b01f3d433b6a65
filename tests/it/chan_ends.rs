//! Waits at channels that end otherwise: deadlines, time limits, the end of the runtime.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use gopark::chan::{self, RecvTimeoutError, TryRecvError};
use gopark_tests::{Counted, Watchdog, alone, nap, run, runtime};

use crate::chan::{CAPS, make};

/// Counts its drops.
#[test]
fn values_are_dropped_once_also_by_a_runtime_that_ends() {
    let _watchdog = Watchdog::start();
    for cap in CAPS {
        let drops = Arc::new(AtomicUsize::new(0));
        let mut made = 0;
        let mut new = || {
            made += 1;
            Counted(Arc::clone(&drops))
        };
        let (s, r) = make(cap);
        let (silent, none) = make::<Counted>(cap);
        let rt = runtime(2);
        for _ in 0..cap.unwrap_or(10) {
            s.send(new()).unwrap();
        }
        for _ in 0..5 {
            let (s, value, none) = (s.clone(), new(), none.clone());
            rt.spawn(move || {
                s.send(value).unwrap();
                let _ = none.recv();
            });
        }
        rt.run(|| gopark::time::sleep(Duration::from_millis(2)));
        drop(rt);
        // All that waited has unwound: the channels are as if it had never been.
        assert_eq!(r.len(), cap.unwrap_or(15));
        assert!(silent.is_empty());
        drop((s, r, silent, none));
        assert_eq!(drops.load(Ordering::Relaxed), made, "{cap:?}");
    }
}

#[test]
fn a_time_limit_leaves_no_trace() {
    run(2, || {
        for cap in [Some(0), Some(1)] {
            let (s, r) = make::<u32>(cap);
            let limit = Duration::from_millis(1);
            for _ in 0..10 {
                assert!(gopark::time::timeout(limit, || r.recv()).is_err());
            }
            for i in 0..cap.unwrap() {
                s.send(i as u32).unwrap();
            }
            for _ in 0..10 {
                assert!(gopark::time::timeout(limit, || s.send(7)).is_err());
            }
            assert_eq!(r.try_iter().count(), cap.unwrap());
            assert_eq!(s.try_send(7).is_ok(), cap == Some(1));
        }
    });
}

#[test]
fn deadlines_against_partners_lose_nothing() {
    run(4, || {
        for cap in [Some(0), Some(1)] {
            let (s, r) = make(cap);
            let sender = gopark::spawn(move || {
                let mut sent = 0_u64;
                for i in 0..3000 {
                    let wait = Duration::from_micros(i % 30);
                    sent += u64::from(s.send_timeout(i, wait).is_ok());
                }
                sent
            });
            let mut received = 0;
            for i in 0.. {
                match r.recv_timeout(Duration::from_micros(i % 17)) {
                    Ok(_) => received += 1,
                    Err(RecvTimeoutError::Timeout) => {}
                    Err(RecvTimeoutError::Disconnected) => break,
                }
            }
            assert_eq!(sender.join().unwrap(), received);
        }
    });
}

#[test]
fn moments_are_delivered_when_they_come() {
    let case = || {
        let start = Instant::now();
        let wait = Duration::from_millis(100);
        let after = chan::after(wait);
        assert!(after.is_empty() && after.try_recv() == Err(TryRecvError::Empty));
        let brief = Duration::from_millis(1);
        assert_eq!(after.recv_timeout(brief), Err(RecvTimeoutError::Timeout));
        let due = after.clone().recv().unwrap();
        assert!(due >= start + wait && start.elapsed() >= wait);
        // Once.
        assert_eq!(after.recv_timeout(brief), Err(RecvTimeoutError::Timeout));
        let moment = start + wait;
        assert_eq!(chan::at(moment).recv(), Ok(moment));
        let never = chan::never::<u8>();
        assert_eq!(never.try_recv(), Err(TryRecvError::Empty));
        assert_eq!(never.recv_timeout(brief), Err(RecvTimeoutError::Timeout));
        let period = Duration::from_millis(5);
        let ticks = chan::tick(period);
        loop {
            let first = ticks.recv().unwrap();
            let taken = Instant::now();
            nap(6 * period);
            assert_eq!(ticks.len(), 1);
            let again = Instant::now();
            let second = ticks.try_recv().unwrap();
            assert!((first + period..=taken + period).contains(&second));
            let third = ticks.try_recv();
            // On a busy machine it may have come by now.
            if again.elapsed() < period {
                assert_eq!(third, Err(TryRecvError::Empty), "others are left out");
                break;
            }
        }
        assert_eq!(chan::after(Duration::MAX).capacity(), Some(0));
    };
    let _watchdog = Watchdog::start();
    case();
    run(1, case);
}

/// Locks of channels fence in another way from the first runtime on: who used them before, and
/// who uses them meanwhile, is woken.
#[test]
fn threads_go_on_while_the_first_runtime_of_a_process_begins() {
    const EACH: usize = 2000;
    let case = || {
        let (sender, receiver) = chan::bounded(1);
        let threads: Vec<_> = (0..6)
            .flat_map(|_| {
                let (sender, receiver) = (sender.clone(), receiver.clone());
                let sends = std::thread::spawn(move || {
                    (0..EACH).for_each(|n| sender.send(n).unwrap());
                });
                let receives = std::thread::spawn(move || {
                    (0..EACH).for_each(|_| _ = receiver.recv().unwrap());
                });
                [sends, receives]
            })
            .collect();
        nap(Duration::from_millis(1));
        run(2, || {
            for n in 0..EACH {
                sender.send(n).unwrap();
                receiver.recv().unwrap();
            }
        });
        threads
            .into_iter()
            .for_each(|thread| thread.join().unwrap());
        assert!(receiver.is_empty());
    };
    let name = "chan_ends::threads_go_on_while_the_first_runtime_of_a_process_begins";
    alone(name, |_| (), case);
}
