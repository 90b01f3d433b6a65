//! Whose turn it is: nobody takes what was meant for one who came before him.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use gopark::sync::{Condvar, Mutex, Semaphore, TryAcquireError};
use gopark_tests::{run, wait_until};

/// Go's TestSemaHandoff, and stronger: what is given back belongs to one who waits, at once.
#[test]
fn a_permit_goes_to_who_waits_and_not_to_who_comes() {
    for procs in [1, 2, 4] {
        run(procs, || {
            for _ in 0..500 {
                let semaphore = Arc::new(Semaphore::new(1));
                let shared = Arc::clone(&semaphore);
                let waits = gopark::spawn(move || shared.acquire_many(2).unwrap().forget());
                // Nobody overtakes one who waits for more than there is.
                while semaphore.try_acquire().is_ok() {
                    gopark::yield_now();
                }
                semaphore.add_permits(1);
                let late = semaphore.try_acquire().unwrap_err();
                assert_eq!(late, TryAcquireError::NoPermits);
                assert_eq!(semaphore.available_permits(), 0);
                waits.join().unwrap();
            }
        });
    }
}

/// Go's TestCondSignalStealing: between the signal and the run of the one it was meant for, another
/// comes and waits.
#[test]
fn a_signal_is_not_taken_by_one_who_comes_later() {
    for procs in [1, 2] {
        run(procs, || {
            for _ in 0..1000 {
                let shared = Arc::new((Mutex::new(0), Condvar::new()));
                let waits = |shared: &Arc<(Mutex<usize>, Condvar)>, tell: Arc<AtomicBool>| {
                    let shared = Arc::clone(shared);
                    gopark::spawn(move || {
                        let mut guard = shared.0.lock();
                        *guard += 1;
                        drop(shared.1.wait(guard));
                        tell.store(true, Ordering::Relaxed);
                    })
                };
                let told = [false; 2].map(|flag| Arc::new(AtomicBool::new(flag)));
                let first = waits(&shared, Arc::clone(&told[0]));
                while *shared.0.lock() < 1 {
                    gopark::yield_now();
                }
                shared.1.notify_one();
                let second = waits(&shared, Arc::clone(&told[1]));
                first.join().unwrap();
                while *shared.0.lock() < 2 {
                    gopark::yield_now();
                }
                assert!(
                    !told[1].load(Ordering::Relaxed),
                    "it was not for the second"
                );
                shared.1.notify_one();
                second.join().unwrap();
                assert!(told.iter().all(|told| told.load(Ordering::Relaxed)));
            }
        });
    }
}

/// Go's TestCondBroadcast: round after round, all are woken, and once.
#[test]
fn a_call_to_all_wakes_each_once_in_every_round() {
    const WAITERS: usize = 100;
    for procs in [1, 2] {
        run(procs, || {
            // How many wait, and the round.
            let shared = Arc::new((Mutex::new((0, 0)), Condvar::new()));
            let waiters: Vec<_> = (0..WAITERS)
                .map(|_| {
                    let shared = Arc::clone(&shared);
                    gopark::spawn(move || {
                        let mut woken = 0;
                        let mut state = shared.0.lock();
                        while state.1 < 50 {
                            state.0 += 1;
                            let round = state.1;
                            state = shared.1.wait(state);
                            assert_eq!(state.1, round + 1, "woken once, by this round");
                            woken += 1;
                        }
                        woken
                    })
                })
                .collect();
            for round in 1..=50 {
                wait_until("all wait", || shared.0.lock().0 == WAITERS);
                let mut state = shared.0.lock();
                *state = (0, round);
                shared.1.notify_all();
                drop(state);
            }
            for one in waiters {
                assert_eq!(one.join().unwrap(), 50);
            }
        });
    }
}
