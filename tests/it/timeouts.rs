//! Parks for a time, and time limits for whatever a goroutine does.

use std::io::{self, Read};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use gopark::net::{TcpListener, UdpSocket, UnixStream};
use gopark::time::{Elapsed, sleep, timeout};
use gopark::{park, park_timeout, yield_now};
use gopark_tests::{Watchdog, nap, run, runtime, spin, wait_until};

use crate::net_edges::{LOCAL, pair};

const HOUR: Duration = Duration::from_secs(3600);
const SHORT: Duration = Duration::from_millis(10);
const TICK: Duration = Duration::from_millis(1);

/// Counts how often it is dropped.
struct Counts(Arc<AtomicUsize>);

impl Drop for Counts {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn a_park_ends_when_its_time_is_over() {
    run(1, || {
        for time in [1, 1_000, 999_999, 10_000_000].map(Duration::from_nanos) {
            let start = Instant::now();
            park_timeout(time);
            assert!(start.elapsed() >= time);
        }
        park_timeout(Duration::ZERO);
    });
}

#[test]
fn an_unpark_ends_a_park_before_its_time() {
    for procs in [1, 2] {
        run(procs, || {
            let me = gopark::current();
            // Before the park.
            me.unpark();
            park_timeout(HOUR);
            // During it.
            let waker = gopark::spawn(move || {
                sleep(SHORT);
                me.unpark();
            });
            park_timeout(HOUR);
            waker.join().unwrap();
            // After it: kept for the next one.
            let me = gopark::current();
            park_timeout(TICK);
            me.unpark();
            park();
            me.unpark();
            park_timeout(HOUR);
            // Taken even when there is no time to wait.
            me.unpark();
            park_timeout(Duration::ZERO);
            let start = Instant::now();
            park_timeout(SHORT);
            assert!(start.elapsed() >= SHORT, "the token was not taken");
        });
    }
}

/// A token that is lost would cost an hour.
#[test]
fn tokens_that_come_with_the_time_are_not_lost() {
    for procs in [1, 4] {
        run(procs, || {
            let main = gopark::current();
            let turn = Arc::new(AtomicUsize::new(0));
            let wait = |turn: &AtomicUsize, mine: usize| {
                for n in 0.. {
                    if turn.load(Ordering::Relaxed) == mine {
                        return;
                    }
                    // A few short ones, which end at about the time of the token.
                    let time = if n < 3 {
                        Duration::from_micros(mine as u64 % 60)
                    } else {
                        HOUR
                    };
                    park_timeout(time);
                }
            };
            let seen = Arc::clone(&turn);
            let partner = gopark::spawn(move || {
                for n in 0..2000 {
                    wait(&seen, 2 * n + 1);
                    seen.store(2 * n + 2, Ordering::Relaxed);
                    main.unpark();
                }
            });
            for n in 0..2000 {
                turn.store(2 * n + 1, Ordering::Relaxed);
                partner.goroutine().unpark();
                wait(&turn, 2 * n + 2);
            }
            partner.join().unwrap();
        });
    }
}

/// Everything that waits without an end.
fn waits() -> Vec<Box<dyn FnOnce()>> {
    let (_a, b) = pair();
    let (c, d) = UnixStream::pair().unwrap();
    let listener = TcpListener::bind(LOCAL).unwrap();
    let udp = UdpSocket::bind(LOCAL).unwrap();
    vec![
        Box::new(|| sleep(Duration::MAX)),
        Box::new(park),
        Box::new(|| park_timeout(HOUR)),
        Box::new(|| gopark::raw::park(|_| true)),
        Box::new(|| {
            gopark::spawn(|| timeout(10 * SHORT, park))
                .join()
                .map(drop)
                .unwrap()
        }),
        Box::new(move || {
            let _peer = _a;
            (&b).read_exact(&mut [0]).unwrap();
        }),
        Box::new(move || {
            let _peer = c;
            io::copy(&mut io::repeat(7), &mut &d).map(drop).unwrap();
        }),
        Box::new(move || drop(listener.accept())),
        Box::new(move || drop(udp.recv(&mut [0]))),
        Box::new(|| {
            loop {
                yield_now();
            }
        }),
        Box::new(|| {
            loop {
                sleep(TICK);
            }
        }),
    ]
}

#[test]
fn a_limit_ends_whatever_waits_and_destructors_run() {
    for procs in [1, 2] {
        run(procs, || {
            let dropped = Arc::new(AtomicUsize::new(0));
            let all = waits();
            let count = all.len();
            for wait in all {
                let held = Counts(Arc::clone(&dropped));
                let start = Instant::now();
                let ended = timeout(SHORT, move || {
                    let _held = held;
                    wait();
                });
                assert!(ended.is_err());
                assert!(start.elapsed() >= SHORT);
                // It waits as ever.
                gopark::current().unpark();
                park();
                sleep(TICK);
            }
            assert_eq!(dropped.load(Ordering::Relaxed), count);
        });
    }
}

#[test]
fn a_limit_ends_waits_in_goroutines_that_keep_their_threads() {
    run(2, || {
        let _guard = gopark::lock_os_thread();
        let thread = std::thread::current().id();
        for wait in waits() {
            assert!(timeout(SHORT, wait).is_err());
            assert_eq!(std::thread::current().id(), thread);
        }
        assert_eq!(timeout(HOUR, || 3), Ok(3));
    });
}

#[test]
fn what_is_done_in_time_is_given() {
    run(2, || {
        assert_eq!(timeout(HOUR, || 1), Ok(1));
        assert_eq!(timeout(Duration::MAX, || 2), Ok(2));
        let value = timeout(HOUR, || {
            sleep(TICK);
            3
        });
        assert_eq!(value, Ok(3));
        // Late, but without a call that waits.
        let value = timeout(TICK, || {
            spin(2 * SHORT);
            4
        });
        assert_eq!(value, Ok(4));
        // Nothing of the limit is left.
        sleep(SHORT);
        gopark::current().unpark();
        park();
        yield_now();
    });
}

#[test]
fn the_error_is_one_of_io_too() {
    let elapsed: Elapsed = run(1, || timeout(TICK, park).unwrap_err());
    assert_eq!(elapsed.to_string(), "the time limit has been reached");
    let error = io::Error::from(elapsed);
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
}

#[test]
fn a_panic_passes_a_limit() {
    run(1, || {
        let caught =
            catch_unwind(|| timeout(HOUR, || resume_unwind(Box::new(5u8))).map(drop::<()>));
        assert_eq!(*caught.unwrap_err().downcast::<u8>().unwrap(), 5);
        let outcome = timeout(HOUR, || {
            catch_unwind(|| timeout(HOUR, || resume_unwind(Box::new(6u8))).map(drop::<()>))
        });
        assert_eq!(*outcome.unwrap().unwrap_err().downcast::<u8>().unwrap(), 6);
        sleep(TICK);
    });
}

#[test]
fn of_nested_limits_the_one_that_is_over_counts() {
    run(1, || {
        // The inner one.
        let outcome = timeout(HOUR, || {
            let inner = timeout(SHORT, park);
            sleep(TICK);
            inner
        });
        assert!(matches!(outcome, Ok(Err(_))));
        // The outer one.
        let went_on = AtomicBool::new(false);
        let outcome = timeout(SHORT, || {
            let _ = timeout(HOUR, || timeout(Duration::MAX, park));
            went_on.store(true, Ordering::Relaxed);
        });
        assert!(outcome.is_err() && !went_on.load(Ordering::Relaxed));
        // Both: the inner code is left by the outer one, sooner or later.
        let outcome = timeout(SHORT, || {
            loop {
                let _ = timeout(SHORT, || {
                    spin(SHORT);
                    park();
                });
            }
        });
        assert_eq!(outcome.map(|never: ()| never).map_err(drop), Err(()));
        // Twenty deep, one after the other.
        fn nest(depth: u32) -> u32 {
            if depth == 0 {
                park();
            }
            let limit = (21 - depth) * SHORT;
            let inner = timeout(limit.min(if depth == 7 { TICK } else { HOUR }), || {
                nest(depth - 1)
            });
            inner.unwrap_or(depth)
        }
        assert_eq!(timeout(HOUR, || timeout(HOUR, || nest(7))), Ok(Ok(7)));
    });
}

#[test]
fn a_limit_that_is_caught_has_had_its_effect() {
    run(1, || {
        let outcome = timeout(SHORT, || {
            assert!(catch_unwind(park).is_err());
            sleep(2 * SHORT);
            gopark::current().unpark();
            park();
            7
        });
        assert_eq!(outcome, Ok(7));
    });
}

/// What runs because of a limit is not ended by it.
#[test]
fn destructors_may_wait_while_a_limit_unwinds() {
    struct Slow(Arc<AtomicUsize>);
    impl Drop for Slow {
        fn drop(&mut self) {
            let start = Instant::now();
            sleep(SHORT);
            yield_now();
            assert!(start.elapsed() >= SHORT);
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
    run(1, || {
        let dropped = Arc::new(AtomicUsize::new(0));
        let ended = timeout(SHORT, || {
            timeout(2 * SHORT, || {
                let _slow = [Slow(Arc::clone(&dropped)), Slow(Arc::clone(&dropped))];
                park();
            })
        });
        assert!(ended.is_err());
        assert_eq!(dropped.load(Ordering::Relaxed), 2);
    });
}

#[test]
fn a_goroutine_whose_joiner_gave_up_goes_on() {
    run(2, || {
        let done = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&done);
        let slow = gopark::spawn(move || {
            park();
            seen.store(true, Ordering::Relaxed);
        });
        let goroutine = slow.goroutine().clone();
        assert!(timeout(SHORT, || slow.join()).is_err());
        goroutine.unpark();
        wait_until("it ends", || done.load(Ordering::Relaxed));
    });
}

/// Values that come with the time: one or the other, and nothing is left of the limit.
#[test]
fn a_thousand_limits_that_are_over_at_the_last_moment() {
    for procs in [1, 4] {
        run(procs, || {
            let racers: Vec<_> = (0..1000)
                .map(|n| {
                    gopark::spawn(move || {
                        let time = Duration::from_micros(n * 7919 % 2000);
                        let outer = timeout(HOUR, || {
                            let inner = timeout(time, || sleep(time));
                            let start = Instant::now();
                            sleep(TICK);
                            assert!(start.elapsed() >= TICK);
                            inner
                        });
                        gopark::current().unpark();
                        park();
                        outer.unwrap().is_ok()
                    })
                })
                .collect();
            for racer in racers {
                racer.join().unwrap();
            }
        });
    }
}

#[test]
fn on_a_plain_thread_there_is_no_limit() {
    let value = timeout(TICK, || {
        nap(SHORT);
        8
    });
    assert_eq!(value, Ok(8));
    let caught = catch_unwind(|| timeout(TICK, || resume_unwind(Box::new(9u8))).map(drop::<()>));
    assert_eq!(*caught.unwrap_err().downcast::<u8>().unwrap(), 9);
}

/// The end of a runtime is no limit that was reached.
#[test]
fn the_end_of_the_runtime_passes_limits() {
    let _watchdog = Watchdog::start();
    let runtime = runtime(2);
    let (ready, went_on) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let all: Vec<_> = (0..20)
        .map(|_| {
            let (ready, went_on) = (Arc::clone(&ready), Arc::clone(&went_on));
            runtime.spawn(move || {
                ready.fetch_add(1, Ordering::Relaxed);
                let _ = timeout(HOUR, || timeout(HOUR, || sleep(HOUR)));
                went_on.fetch_add(1, Ordering::Relaxed);
            })
        })
        .collect();
    wait_until("all sleep", || {
        ready.load(Ordering::Relaxed) == 20 && runtime.metrics().waiting == 20
    });
    drop(runtime);
    for one in all {
        let ended = catch_unwind(AssertUnwindSafe(|| one.join())).unwrap();
        assert!(ended.unwrap_err().is::<gopark::Cancelled>());
    }
    assert_eq!(went_on.load(Ordering::Relaxed), 0);
}
