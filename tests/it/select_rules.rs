//! What Go's own tests ask of channels and selects, where the other files do not: which operations
//! wait, what is seen while things change, and that arms which lose leave no trace.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use gopark::chan::{Receiver, Select, Sender, TryRecvError, bounded, never, unbounded};
use gopark::{select, select_biased};
use gopark_tests::{run, wait_until};

const BRIEF: Duration = Duration::from_millis(1);
const PROCS: [usize; 2] = [1, 2];

/// What an operation does at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Does {
    Waits,
    Succeeds,
    Fails,
}

/// A receive, in every form; where it succeeds, there are enough messages for all.
#[track_caller]
fn receives(r: &Receiver<u32>, expected: Does) {
    let of = |got: Option<bool>| match got {
        None => Does::Waits,
        Some(true) => Does::Succeeds,
        Some(false) => Does::Fails,
    };
    let plain = match r.try_recv() {
        Err(TryRecvError::Empty) => None,
        got => Some(got.is_ok()),
    };
    let timed = match r.recv_timeout(BRIEF) {
        Err(error) if error.is_timeout() => None,
        got => Some(got.is_ok()),
    };
    let one = select! { recv(r) -> got => Some(got.is_ok()), default => None };
    let two = select! {
        recv(never::<()>()) -> _ => unreachable!(),
        recv(r) -> got => Some(got.is_ok()),
        default(BRIEF) => None,
    };
    let biased = select_biased! { recv(r) -> got => Some(got.is_ok()), default => None };
    let mut select = Select::new();
    select.recv(r);
    let dynamic = select.try_select().ok().map(|op| op.recv(r).is_ok());
    let dynamic_timed = select
        .select_timeout(BRIEF)
        .ok()
        .map(|op| op.recv(r).is_ok());
    let all = [plain, timed, one, two, biased, dynamic, dynamic_timed];
    assert_eq!(all.map(of), [expected; 7]);
}

/// A send, in every form; where it succeeds, there is room enough for all.
#[track_caller]
fn sends(s: &Sender<u32>, expected: Does) {
    let of = |got: Option<bool>| match got {
        None => Does::Waits,
        Some(true) => Does::Succeeds,
        Some(false) => Does::Fails,
    };
    let plain = match s.try_send(1) {
        Err(error) if error.is_full() => None,
        sent => Some(sent.is_ok()),
    };
    let timed = match s.send_timeout(1, BRIEF) {
        Err(error) if error.is_timeout() => None,
        sent => Some(sent.is_ok()),
    };
    let one = select! { send(s, 1) -> sent => Some(sent.is_ok()), default => None };
    let two = select! {
        recv(never::<()>()) -> _ => unreachable!(),
        send(s, 1) -> sent => Some(sent.is_ok()),
        default(BRIEF) => None,
    };
    let biased = select_biased! { send(s, 1) -> sent => Some(sent.is_ok()), default => None };
    let mut select = Select::new();
    select.send(s);
    let dynamic = select.try_select().ok().map(|op| op.send(s, 1).is_ok());
    let dynamic_timed = select
        .select_timeout(BRIEF)
        .ok()
        .map(|op| op.send(s, 1).is_ok());
    let all = [plain, timed, one, two, biased, dynamic, dynamic_timed];
    assert_eq!(all.map(of), [expected; 7]);
}

/// Go's select3 and nonblock.
#[test]
fn every_form_of_an_operation_waits_or_not_as_the_channel_is() {
    let case = || {
        receives(&never(), Does::Waits);
        for make in [|| bounded(0), || bounded(8), unbounded] {
            let (s, r) = make();
            receives(&r, Does::Waits);
            sends(
                &s,
                if s.capacity() == Some(0) {
                    Does::Waits
                } else {
                    Does::Succeeds
                },
            );
            if s.capacity() != Some(0) {
                receives(&r, Does::Succeeds);
                while s.len() < 7 {
                    s.send(1).unwrap();
                }
                s.try_send(1).unwrap();
                if s.capacity().is_some() {
                    sends(&s, Does::Waits);
                }
            }
            assert!(s.close());
            sends(&s, Does::Fails);
            if !r.is_empty() {
                receives(&r, Does::Succeeds);
            }
            assert!(r.try_iter().count() <= 1);
            receives(&r, Does::Fails);
            let (s, r) = make();
            drop(r);
            sends(&s, Does::Fails);
            let (s, r) = make();
            drop(s);
            receives(&r, Does::Fails);
        }
    };
    case();
    run(1, case);
}

/// Go's TestNonblockSelectRace2: the other channel becomes ready by being closed.
#[test]
fn a_nonblocking_select_sees_the_end_or_the_message() {
    for procs in PROCS {
        run(procs, || {
            for n in 0..10_000 {
                let (s1, r1) = bounded(1);
                let (s2, r2) = bounded::<()>(n % 2);
                s1.send(1).unwrap();
                let mine = r1.clone();
                let sees = gopark::spawn(move || {
                    select! { recv(r1) -> _ => true, recv(r2) -> _ => true, default => false }
                });
                if n % 3 == 0 {
                    gopark::yield_now();
                }
                match n % 4 {
                    0 | 1 => drop(s2),
                    _ => _ = s2.close(),
                }
                let _ = mine.try_recv();
                assert!(sees.join().unwrap(), "one of them was ready all the time");
            }
        });
    }
}

/// Go's TestSelfSelect with a buffer: the message may well be its own.
#[test]
fn a_select_at_both_sides_of_one_buffer_loses_nothing() {
    for procs in PROCS {
        run(procs, || {
            let (s, r) = bounded::<usize>(10);
            let both: Vec<_> = (0..3)
                .map(|n| {
                    let (s, r) = (s.clone(), r.clone());
                    gopark::spawn(move || {
                        let mut balance = 0_i64;
                        for _ in 0..2000 {
                            balance += select! {
                                send(s, n) -> sent => { sent.unwrap(); 1 }
                                recv(r) -> got => { assert!(got.unwrap() < 3); -1 }
                            };
                        }
                        balance
                    })
                })
                .collect();
            let balance: i64 = both.into_iter().map(|one| one.join().unwrap()).sum();
            assert_eq!(balance, r.len() as i64);
        });
    }
}

/// One side of Go's TestSelectStress: `each` operations at every channel, in any order, by a select
/// whose arms become fewer.
fn exhausts(arms: usize, each: usize, mut operate: impl FnMut(&[usize]) -> usize) {
    let mut left = vec![each; arms];
    loop {
        let open: Vec<_> = (0..arms).filter(|&at| left[at] > 0).collect();
        if open.is_empty() {
            return;
        }
        left[open[operate(&open)]] -= 1;
    }
}

/// Go's TestSelectStress.
#[test]
fn selects_whose_arms_become_fewer_meet_plain_operations() {
    const EACH: usize = 2000;
    for procs in PROCS {
        run(procs, || {
            let (senders, receivers): (Vec<_>, Vec<_>) =
                [0, 0, 2, 3].into_iter().map(bounded::<usize>).unzip();
            let mut all = Vec::new();
            for (s, r) in senders.iter().cloned().zip(receivers.iter().cloned()) {
                all.push(gopark::spawn(move || {
                    (0..EACH).for_each(|n| s.send(n).unwrap())
                }));
                all.push(gopark::spawn(move || {
                    (0..EACH).for_each(|_| _ = r.recv().unwrap())
                }));
            }
            let mine = senders.clone();
            all.push(gopark::spawn(move || {
                exhausts(4, EACH, |open| {
                    let mut select = Select::new();
                    open.iter().for_each(|&at| _ = select.send(&mine[at]));
                    let operation = select.select();
                    let index = operation.index();
                    operation.send(&mine[open[index]], index).unwrap();
                    index
                });
            }));
            let mine = receivers.clone();
            all.push(gopark::spawn(move || {
                exhausts(4, EACH, |open| {
                    let mut select = Select::new();
                    open.iter().for_each(|&at| _ = select.recv(&mine[at]));
                    let operation = select.select();
                    let index = operation.index();
                    operation.recv(&mine[open[index]]).unwrap();
                    index
                });
            }));
            all.into_iter().for_each(|one| one.join().unwrap());
            assert!(
                receivers.iter().all(|r| r.is_empty()),
                "as many came as went"
            );
        });
    }
}

/// Go's TestPseudoRandomSend, where there is room, and where each send waits.
#[test]
fn of_two_equal_sends_each_is_selected() {
    const SENDS: usize = 2000;
    for (s, r) in [unbounded(), bounded(0)] {
        run(2, || {
            let received = gopark::spawn(move || r.iter().filter(|&n| n == 1).count());
            for _ in 0..SENDS {
                select! { send(s, 0) -> sent => sent.unwrap(), send(s, 1) -> sent => sent.unwrap() }
            }
            drop(s);
            let ones = received.join().unwrap();
            assert!((SENDS / 10..SENDS * 9 / 10).contains(&ones), "{ones}");
        });
    }
}

/// Go's TestMultiConsumer.
#[test]
fn many_workers_between_two_channels_lose_nothing() {
    const WORKERS: usize = 23;
    const ITEMS: usize = 50_000;
    run(4, || {
        let (jobs, incoming) = bounded(3 * WORKERS);
        let (outgoing, results) = bounded(3 * WORKERS);
        for worker in 0..WORKERS {
            let (incoming, outgoing) = (incoming.clone(), outgoing.clone());
            gopark::go(move || {
                for job in incoming {
                    if (worker + job) % 7 == 0 {
                        gopark::yield_now();
                    }
                    outgoing.send(job).unwrap();
                }
            });
        }
        drop(outgoing);
        let feeds = gopark::spawn(move || {
            let items = (0..ITEMS).map(|n| n * 7919 % 97);
            items
                .inspect(|&item| jobs.send(item).unwrap())
                .sum::<usize>()
        });
        let (count, sum) = results
            .iter()
            .fold((0, 0), |(n, sum), item| (n + 1, sum + item));
        assert_eq!((count, sum), (ITEMS, feeds.join().unwrap()));
    });
}

/// Go's select6 and TestSelectDuplicateChannel: the select is the last in the queue of a channel,
/// once or twice, and leaves it for another arm; who comes after it is served.
#[test]
fn an_arm_that_lost_among_others_who_wait_leaves_the_queue_whole() {
    for procs in PROCS {
        run(procs, || {
            for twice in [false, true] {
                let (s, r) = bounded::<u32>(0);
                let (other, leaves) = bounded::<u32>(0);
                let served = Arc::new(AtomicUsize::new(0));
                let waits = || {
                    let (r, served) = (r.clone(), Arc::clone(&served));
                    gopark::spawn(move || {
                        let got = r.recv().unwrap();
                        served.fetch_add(1, Ordering::Relaxed);
                        got
                    })
                };
                let first = waits();
                settle();
                let again = r.clone();
                let selects = gopark::spawn(move || {
                    if twice {
                        select! {
                            recv(again) -> _ => unreachable!(),
                            recv(again) -> _ => unreachable!(),
                            recv(leaves) -> got => got.unwrap(),
                        }
                    } else {
                        select! {
                            recv(again) -> _ => unreachable!(),
                            recv(leaves) -> got => got.unwrap(),
                        }
                    }
                });
                settle();
                other.send(9).unwrap();
                assert_eq!(selects.join().unwrap(), 9);
                let later = [waits(), waits()];
                settle();
                for n in 1..=3 {
                    s.send(n).unwrap();
                    let target = n as usize;
                    wait_until("one is served", || served.load(Ordering::Relaxed) == target);
                }
                let [one, two] = later;
                let mut got = [first, one, two].map(|one| one.join().unwrap());
                got.sort_unstable();
                assert_eq!(got, [1, 2, 3]);
            }
        });
    }
}

/// Lets those who are about to wait do so.
fn settle() {
    gopark::time::sleep(BRIEF);
}
