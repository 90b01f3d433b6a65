//! Channels: order, blocking, closing, and that each value is received and dropped once.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use gopark::chan::{
    self, Receiver, RecvError, RecvTimeoutError, SendError, SendTimeoutError, Sender, TryRecvError,
    TrySendError,
};
use gopark_tests::{Watchdog, run, runtime, wait_until};

/// A channel with this capacity; `None` is unbounded.
pub(crate) fn make<T>(cap: Option<usize>) -> (Sender<T>, Receiver<T>) {
    cap.map_or_else(chan::unbounded, chan::bounded)
}

pub(crate) const CAPS: [Option<usize>; 6] = [None, Some(0), Some(1), Some(2), Some(100), Some(200)];

#[test]
fn operations_block_or_not_as_the_buffer_says() {
    run(4, || {
        for cap in CAPS {
            let (s, r) = make(cap);
            assert_eq!((s.capacity(), r.capacity()), (cap, cap));
            assert!(r.is_empty() && s.is_empty() && s.is_full() == (cap == Some(0)));
            assert_eq!(r.try_recv(), Err(TryRecvError::Empty));
            let brief = Duration::from_millis(1);
            assert_eq!(r.recv_timeout(brief), Err(RecvTimeoutError::Timeout));
            let n = cap.unwrap_or(1000);
            for i in 0..n {
                assert_eq!(s.try_send(i), Ok(()));
                assert_eq!((s.len(), r.len()), (i + 1, i + 1));
            }
            if cap.is_some() {
                assert!(r.is_full());
                assert_eq!(s.try_send(n), Err(TrySendError::Full(n)));
                let sent = s.send_timeout(n, brief);
                assert_eq!(sent, Err(SendTimeoutError::Timeout(n)));
                let sent = s.send_deadline(n, Instant::now());
                assert_eq!(sent, Err(SendTimeoutError::Timeout(n)));
            }
            assert_eq!(r.try_iter().collect::<Vec<_>>(), (0..n).collect::<Vec<_>>());
            assert!(r.is_empty());
        }
    });
}

#[test]
fn who_waits_is_served_and_told_of_the_end() {
    run(4, || {
        for cap in CAPS {
            let (s, r) = make::<u32>(cap);
            let receiver = {
                let r = r.clone();
                gopark::spawn(move || (r.recv(), r.recv()))
            };
            gopark::time::sleep(Duration::from_millis(1));
            assert_eq!(s.send(7), Ok(()));
            gopark::time::sleep(Duration::from_millis(1));
            drop(s);
            assert_eq!(receiver.join().unwrap(), (Ok(7), Err(RecvError)));
            assert_eq!(r.try_recv(), Err(TryRecvError::Disconnected));

            let (s, r) = make::<u32>(cap);
            for i in 0..cap.unwrap_or(0) {
                s.send(i as u32).unwrap();
            }
            let sender = {
                let s = s.clone();
                gopark::spawn(move || (s.send(1), s.send(2)))
            };
            gopark::time::sleep(Duration::from_millis(1));
            if cap.is_some() {
                drop(r);
                let expected = (Err(SendError(1)), Err(SendError(2)));
                assert_eq!(sender.join().unwrap(), expected);
                assert_eq!(s.try_send(3), Err(TrySendError::Disconnected(3)));
            }
        }
    });
}

#[test]
fn close_lets_receivers_drain_and_senders_fail() {
    run(2, || {
        for cap in CAPS {
            let (s, r) = make(cap);
            let n = cap.unwrap_or(50);
            for i in 0..n {
                s.send(i).unwrap();
            }
            let waiting = cap.map(|_| {
                let s = s.clone();
                gopark::spawn(move || s.send(n))
            });
            gopark::time::sleep(Duration::from_millis(1));
            assert!(s.close());
            assert!(!s.close() && !r.close(), "closed twice");
            if let Some(waiting) = waiting {
                assert_eq!(waiting.join().unwrap(), Err(SendError(n)));
            }
            assert_eq!(s.send(n), Err(SendError(n)));
            assert_eq!(r.iter().collect::<Vec<_>>(), (0..n).collect::<Vec<_>>());
            assert_eq!(r.recv(), Err(RecvError));
        }
        let (s, r) = chan::bounded::<()>(0);
        let receivers: Vec<_> = (0..10)
            .map(|_| {
                let r = r.clone();
                gopark::spawn(move || r.recv())
            })
            .collect();
        gopark::yield_now();
        r.close();
        for receiver in receivers {
            assert_eq!(receiver.join().unwrap(), Err(RecvError));
        }
        drop(s);
    });
}

#[test]
fn a_channel_is_first_in_first_out() {
    run(4, || {
        for cap in CAPS {
            let (s, r) = make(cap);
            gopark::go(move || (0..1000).for_each(|i| s.send(i).unwrap()));
            assert!(r.into_iter().eq(0..1000));
        }
    });
}

#[test]
fn each_message_is_received_by_one_of_many() {
    const SENDERS: usize = 4;
    const EACH: usize = 1000;
    for procs in [1, 2, 4] {
        run(procs, || {
            for cap in CAPS {
                let (s, r) = make(cap);
                for n in 0..SENDERS {
                    let s = s.clone();
                    gopark::go(move || {
                        (0..EACH).for_each(|i| s.send(n * EACH + i).unwrap());
                    });
                }
                drop(s);
                let receivers: Vec<_> = (0..4)
                    .map(|_| {
                        let r = r.clone();
                        gopark::spawn(move || r.into_iter().collect::<Vec<_>>())
                    })
                    .collect();
                let mut seen = HashSet::new();
                for receiver in receivers {
                    let got = receiver.join().unwrap();
                    for n in 0..SENDERS {
                        let of_one = got.iter().filter(|&i| i / EACH == n);
                        assert!(of_one.is_sorted(), "the order of one sender");
                    }
                    seen.extend(got);
                }
                assert_eq!(seen.len(), SENDERS * EACH);
            }
        });
    }
}

#[test]
fn threads_and_goroutines_use_one_channel() {
    const EACH: usize = 2000;
    let _watchdog = Watchdog::start();
    for cap in [None, Some(0), Some(3)] {
        let (s, r) = make(cap);
        let rt = runtime(2);
        let count = |r: Receiver<usize>| move || r.into_iter().sum::<usize>();
        let thread = std::thread::spawn(count(r.clone()));
        let goroutine = rt.spawn(count(r));
        let feed = |s: Sender<usize>| move || (0..EACH).for_each(|i| s.send(i).unwrap());
        let senders = (
            std::thread::spawn(feed(s.clone())),
            rt.spawn(feed(s.clone())),
            rt.spawn(feed(s)),
        );
        senders.0.join().unwrap();
        senders.1.join().unwrap();
        senders.2.join().unwrap();
        let sum = thread.join().unwrap() + goroutine.join().unwrap();
        assert_eq!(sum, 3 * EACH * (EACH - 1) / 2);
    }
}

#[test]
fn a_nonblocking_receive_sees_what_is_there() {
    run(2, || {
        for _ in 0..2000 {
            let (s, r) = chan::bounded(1);
            s.send(1).unwrap();
            let seen = gopark::spawn(move || r.try_recv());
            drop(s);
            assert_eq!(seen.join().unwrap(), Ok(1));
        }
    });
}

#[test]
fn a_chain_of_ten_thousand_passes_a_value() {
    run(4, || {
        let (first, mut right) = chan::bounded(0);
        for _ in 0..10_000 {
            let (s, r) = chan::bounded(0);
            let from = std::mem::replace(&mut right, r);
            gopark::go(move || s.send(from.recv().unwrap() + 1).unwrap());
        }
        first.send(0).unwrap();
        assert_eq!(right.recv(), Ok(10_000));
    });
}

#[test]
fn values_may_be_empty_or_large() {
    run(2, || {
        for cap in CAPS {
            let (s, r) = make(cap);
            gopark::go(move || (0..100).for_each(|_| s.send(()).unwrap()));
            assert_eq!(r.into_iter().count(), 100);
            let (s, r) = make(cap);
            gopark::go(move || (0..100).for_each(|i| s.send([i; 5000]).unwrap()));
            assert!(r.into_iter().eq((0..100_u8).map(|i| [i; 5000])));
        }
    });
}

#[test]
fn a_blocking_call_may_use_channels() {
    run(1, || {
        let (s, r) = chan::bounded(0);
        let (back, answers) = chan::bounded(0);
        gopark::go(move || {
            gopark::blocking(|| r.into_iter().for_each(|i: u32| back.send(i + 1).unwrap()));
        });
        for i in 0..1000 {
            s.send(i).unwrap();
            assert_eq!(answers.recv(), Ok(i + 1));
        }
    });
}

#[test]
fn a_capacity_that_does_not_fit_is_told() {
    let panic = std::panic::catch_unwind(|| chan::bounded::<u64>(usize::MAX)).unwrap_err();
    let text = gopark_tests::panic_text(panic);
    assert!(
        text.contains("gopark::chan::bounded: a capacity of"),
        "{text}"
    );
}

#[test]
fn those_who_wait_are_served_in_order() {
    run(1, || {
        let (s, r) = chan::bounded(0);
        let order = Arc::new(std::sync::Mutex::new(Vec::new()));
        let receivers: Vec<_> = (0..20)
            .map(|n| {
                let (r, order) = (r.clone(), Arc::clone(&order));
                let handle = gopark::spawn(move || {
                    let got = r.recv().unwrap();
                    order.lock().unwrap().push((n, got));
                });
                gopark::yield_now();
                handle
            })
            .collect();
        (0..20).for_each(|i| s.send(i).unwrap());
        receivers
            .into_iter()
            .for_each(|handle| handle.join().unwrap());
        let order = order.lock().unwrap();
        assert!(order.iter().all(|(n, got)| n == got), "{order:?}");
    });
    run(2, || {
        let (s, r) = chan::bounded::<()>(0);
        let waiting = gopark::spawn(move || r.recv());
        wait_until("a receiver waits", || s.try_send(()).is_ok());
        assert_eq!(waiting.join().unwrap(), Ok(()));
    });
}
