//! Plain threads and goroutines at one primitive, doing all that it offers at random: what must
//! happen once does, and the sums are right.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::time::Duration;

use gopark::chan::{Receiver, RecvError, RecvTimeoutError, Sender, TryRecvError};
use gopark::select;
use gopark::sync::{Barrier, Mutex, Notify, Semaphore, WaitGroup};
use gopark_tests::{Random, Watchdog, run, runtime};

use crate::chan::make;

/// A number of plain threads.
const THREADS: usize = 3;
/// All of them, with the goroutines.
pub(crate) const ALL: usize = 8;
pub(crate) const PROCS: [usize; 2] = [1, 2];

/// Runs `ALL` closures at once, the first of them on plain threads; gives what they gave.
pub(crate) fn crowd<T, F>(new: impl Fn(usize) -> F) -> Vec<T>
where
    T: Send + 'static,
    F: FnOnce() -> T + Send + 'static,
{
    let threads: Vec<_> = (0..THREADS).map(|n| std::thread::spawn(new(n))).collect();
    let goroutines: Vec<_> = (THREADS..ALL).map(|n| gopark::spawn(new(n))).collect();
    let goroutines = goroutines.into_iter().map(|one| one.join().unwrap());
    let mut results: Vec<T> = goroutines.collect();
    results.extend(
        threads
            .into_iter()
            .map(|one| gopark::blocking(|| one.join().unwrap())),
    );
    results
}

/// A time limit that is over at about the time when what is waited for comes.
pub(crate) fn brief(random: &mut Random) -> Duration {
    Duration::from_micros(random.below(60))
}

/// Sends `value` to one of two channels, in a way chosen at random.
fn send(to: [&Sender<usize>; 2], value: usize, random: &mut Random) {
    let s = to[random.below(2) as usize];
    match random.below(5) {
        0 => s.send(value).unwrap(),
        1 => {
            let mut sent = s.try_send(value).is_ok();
            while !sent {
                gopark::yield_now();
                sent = s.try_send(value).is_ok();
            }
        }
        2 => while s.send_timeout(value, brief(random)).is_err() {},
        3 => select! {
            send(to[0], value) -> sent => sent.unwrap(),
            send(to[1], value) -> sent => sent.unwrap(),
        },
        _ => loop {
            select! {
                send(to[1], value) -> sent => break sent.unwrap(),
                send(to[0], value) -> sent => break sent.unwrap(),
                default(brief(random)) => {}
            }
        },
    }
}

/// Receives from one of two channels, in a way chosen at random: `None` if nothing has come, an
/// error if nothing will.
fn receive(from: [&Receiver<usize>; 2], random: &mut Random) -> Result<Option<usize>, RecvError> {
    let r = from[random.below(2) as usize];
    match random.below(5) {
        0 => match r.try_recv() {
            Err(TryRecvError::Empty) => Ok(None),
            got => got.map(Some).map_err(|_| RecvError),
        },
        1 => match r.recv_timeout(brief(random)) {
            Err(RecvTimeoutError::Timeout) => Ok(None),
            got => got.map(Some).map_err(|_| RecvError),
        },
        2 => select! {
            recv(from[0]) -> got => got.map(Some),
            recv(from[1]) -> got => got.map(Some),
        },
        _ => select! {
            recv(from[1]) -> got => got.map(Some),
            recv(from[0]) -> got => got.map(Some),
            default(brief(random)) => Ok(None),
        },
    }
}

#[test]
fn each_message_is_received_once_whoever_sends_and_receives() {
    const EACH: usize = 500;
    for procs in PROCS {
        for cap in [None, Some(0), Some(1), Some(7)] {
            run(procs, || {
                let ((s1, r1), (s2, r2)) = (make(cap), make(cap));
                let senders_left = Arc::new(AtomicUsize::new(ALL / 2));
                let got = crowd(|n| {
                    let (s1, s2, r1, r2) = (s1.clone(), s2.clone(), r1.clone(), r2.clone());
                    let left = Arc::clone(&senders_left);
                    let mut random = Random::new(n as u64 * 77 + 5);
                    move || {
                        let mut seen = Vec::new();
                        if n % 2 == 0 {
                            for i in 0..EACH {
                                send([&s1, &s2], n / 2 * EACH + i, &mut random);
                            }
                            if left.fetch_sub(1, Ordering::Relaxed) == 1 {
                                s1.close();
                                s2.close();
                            }
                            return seen;
                        }
                        while let Ok(got) = receive([&r1, &r2], &mut random) {
                            seen.extend(got);
                        }
                        seen.extend(r1.iter().chain(r2.iter()));
                        seen
                    }
                });
                let mut got = got.concat();
                got.sort_unstable();
                assert!(got.into_iter().eq(0..EACH * ALL / 2), "{cap:?}");
            });
        }
    }
}

#[test]
fn a_barrier_holds_all_back_until_the_last_has_come() {
    for procs in PROCS {
        run(procs, || {
            let barrier = Arc::new(Barrier::new(ALL));
            let come = Arc::new(AtomicUsize::new(0));
            let led = crowd(|n| {
                let (barrier, come) = (Arc::clone(&barrier), Arc::clone(&come));
                let mut random = Random::new(n as u64);
                move || {
                    let mut led = 0;
                    for round in 1..=300 {
                        if random.below(4) == 0 {
                            gopark::yield_now();
                        }
                        come.fetch_add(1, Ordering::Relaxed);
                        led += usize::from(barrier.wait().is_leader());
                        assert!(come.load(Ordering::Relaxed) >= round * ALL);
                    }
                    led
                }
            });
            assert_eq!(led.into_iter().sum::<usize>(), 300);
        });
    }
}

#[test]
fn permits_are_never_more_than_there_are() {
    const PERMITS: usize = 4;
    for procs in PROCS {
        run(procs, || {
            let semaphore = Arc::new(Semaphore::new(PERMITS));
            let inside = Arc::new(AtomicUsize::new(0));
            crowd(|n| {
                let (semaphore, inside) = (Arc::clone(&semaphore), Arc::clone(&inside));
                let mut random = Random::new(n as u64);
                move || {
                    for _ in 0..1000 {
                        let n = 1 + random.below(PERMITS as u64) as usize;
                        let permit = match random.below(3) {
                            0 => semaphore.acquire_many(n).ok(),
                            1 => semaphore.try_acquire_many(n).ok(),
                            _ => semaphore.acquire_many_timeout(n, brief(&mut random)).ok(),
                        };
                        let Some(_permit) = permit else { continue };
                        let before = inside.fetch_add(n, Ordering::Relaxed);
                        assert!(before + n <= PERMITS);
                        if random.below(10) == 0 {
                            gopark::yield_now();
                        }
                        inside.fetch_sub(n, Ordering::Relaxed);
                    }
                }
            });
            assert_eq!(semaphore.available_permits(), PERMITS);
        });
    }
}

#[test]
fn a_wait_group_counts_threads_and_goroutines() {
    for procs in PROCS {
        run(procs, || {
            let group = WaitGroup::new();
            let done = Arc::new(AtomicUsize::new(0));
            for round in 1..=100 {
                let counts: Vec<_> = (0..ALL).map(|_| group.worker()).collect();
                let counts = Mutex::new(counts);
                let waited = crowd(|n| {
                    let worker = counts.lock().pop().unwrap();
                    let (group, done) = (group.clone(), Arc::clone(&done));
                    move || {
                        if n % 3 == 0 {
                            gopark::yield_now();
                        }
                        done.fetch_add(1, Ordering::Relaxed);
                        drop(worker);
                        match n % 2 {
                            0 => group.wait(),
                            _ => assert!(group.wait_timeout(Duration::from_secs(60))),
                        }
                        done.load(Ordering::Relaxed)
                    }
                });
                group.wait();
                assert!(waited.into_iter().all(|seen| seen == round * ALL));
            }
        });
    }
}

#[test]
fn notes_reach_threads_and_goroutines() {
    const NOTES: usize = 3000;
    for procs in PROCS {
        run(procs, || {
            let notify = Arc::new(Notify::new());
            // What there is to take, and whether no more comes.
            let work = Arc::new(Mutex::new((0, false)));
            let taken = crowd(|n| {
                let (notify, work) = (Arc::clone(&notify), Arc::clone(&work));
                move || {
                    let mut taken = 0;
                    if n == ALL - 1 {
                        for _ in 0..NOTES {
                            work.lock().0 += 1;
                            notify.notify_one();
                            gopark::yield_now();
                        }
                        work.lock().1 = true;
                        notify.notify_waiters();
                        return taken;
                    }
                    loop {
                        let notified = notify.notified();
                        let mut work = work.lock();
                        match *work {
                            (0, true) => return taken,
                            (0, false) => {
                                drop(work);
                                notified.wait();
                            }
                            _ => {
                                work.0 -= 1;
                                taken += 1;
                            }
                        }
                    }
                }
            });
            assert_eq!(taken.into_iter().sum::<usize>(), NOTES);
        });
    }
}

#[test]
fn scopes_of_threads_and_goroutines_share_what_they_borrow() {
    let _watchdog = Watchdog::start();
    for procs in PROCS {
        let rt = runtime(procs);
        let slots: Vec<_> = (0..400).map(|_| AtomicU8::new(0)).collect();
        let (slots, rt) = (&slots, &rt);
        std::thread::scope(|threads| {
            for chunk in slots.chunks(100) {
                threads.spawn(move || {
                    rt.scope(|s| {
                        for slot in chunk {
                            s.spawn(|| {
                                gopark::yield_now();
                                slot.fetch_add(1, Ordering::Relaxed);
                            });
                        }
                        s.spawn(move || {
                            gopark::scope(|inner| {
                                for slot in slots {
                                    inner.spawn(|| slot.fetch_add(1, Ordering::Relaxed));
                                }
                            });
                        });
                    });
                });
            }
        });
        assert!(slots.iter().all(|slot| slot.load(Ordering::Relaxed) == 5));
    }
}
