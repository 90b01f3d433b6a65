//! Many goroutines that block their threads: how many threads there are, and how soon a P goes on.

#![expect(
    unsafe_code,
    reason = "asks the kernel how often threads went to sleep"
)]

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use gopark::runtime::{Builder, Runtime};
use gopark::sync::Semaphore;
use gopark::{blocking, chan};
use gopark_tests::{Watchdog, alone, build, nap, run, runtime, wait_until};

const PERMITS: usize = 8;
const PROCS: usize = 2;
/// The most threads that the runtime may have.
const THREADS_MAX: usize = 4 * PERMITS + PROCS;
const GOROUTINES: usize = 300;
const TURNS: usize = 10;
const SHORT: Duration = Duration::from_micros(100);

fn threads_of_the_process() -> usize {
    std::fs::read_dir("/proc/self/task").unwrap().count()
}

/// Most threads that the process has at a time until this is stopped.
struct Count {
    most: Arc<AtomicUsize>,
    stop: mpsc::Sender<()>,
    thread: std::thread::JoinHandle<()>,
}

impl Count {
    fn start() -> Count {
        let most = Arc::new(AtomicUsize::new(0));
        let seen = Arc::clone(&most);
        let (stop, stopped) = mpsc::channel::<()>();
        let thread = std::thread::spawn(move || {
            let pause = Duration::from_millis(1);
            while stopped.recv_timeout(pause) == Err(mpsc::RecvTimeoutError::Timeout) {
                seen.fetch_max(threads_of_the_process(), Ordering::Relaxed);
            }
        });
        Count { most, stop, thread }
    }

    fn stop(self) -> usize {
        drop(self.stop);
        self.thread.join().unwrap();
        self.most.load(Ordering::Relaxed)
    }
}

/// What a goroutine does behind the limiter; the argument is its number.
type Block = Arc<dyn Fn(usize) + Send + Sync>;

/// Lets `PERMITS` at a time call the closure.
type Limit = Arc<dyn Fn(&dyn Fn()) + Send + Sync>;

/// In a process of its own: runs goroutines that block behind a limiter, and counts threads.
fn few_threads_for(test: &str, limit: fn() -> Limit, block: fn() -> Block) {
    alone(
        test,
        |_| (),
        || {
            let block = block();
            let limit = limit();
            let before = threads_of_the_process() + 1;
            let count = Count::start();
            let (inside, most_inside) = (Arc::default(), Arc::default());
            let runtime = runtime(PROCS);
            let body = |n: usize| {
                let (block, limit) = (Arc::clone(&block), Arc::clone(&limit));
                let inside: Arc<AtomicUsize> = Arc::clone(&inside);
                let most: Arc<AtomicUsize> = Arc::clone(&most_inside);
                runtime.spawn(move || {
                    for _ in 0..TURNS {
                        limit(&|| {
                            let now = inside.fetch_add(1, Ordering::Relaxed) + 1;
                            most.fetch_max(now, Ordering::Relaxed);
                            block(n);
                            inside.fetch_sub(1, Ordering::Relaxed);
                        });
                    }
                })
            };
            let all: Vec<_> = (0..GOROUTINES).map(body).collect();
            all.into_iter().for_each(|one| one.join().unwrap());
            let threads = count.stop() - before;
            assert!(threads <= THREADS_MAX, "{threads} threads");
            let most_inside = most_inside.load(Ordering::Relaxed);
            assert!((2..=PERMITS).contains(&most_inside), "{most_inside} inside");
        },
    );
}

fn semaphore() -> Limit {
    let semaphore = Semaphore::new(PERMITS);
    Arc::new(move |f| {
        let _permit = semaphore.acquire().unwrap();
        f();
    })
}

fn bounded_channel() -> Limit {
    let (enter, leave) = chan::bounded(PERMITS);
    Arc::new(move |f| {
        enter.send(()).unwrap();
        f();
        leave.recv().unwrap();
    })
}

fn naps() -> Block {
    Arc::new(|_| nap(SHORT))
}

#[test]
fn a_semaphore_bounds_the_threads_of_goroutines_that_sleep_as_threads() {
    few_threads_for(
        "thread_crowds::a_semaphore_bounds_the_threads_of_goroutines_that_sleep_as_threads",
        semaphore,
        naps,
    );
}

#[test]
fn a_bounded_channel_bounds_the_threads_of_goroutines_that_sleep_as_threads() {
    few_threads_for(
        "thread_crowds::a_bounded_channel_bounds_the_threads_of_goroutines_that_sleep_as_threads",
        bounded_channel,
        naps,
    );
}

#[test]
fn a_semaphore_bounds_the_threads_of_goroutines_that_wait_for_a_lock_of_std() {
    few_threads_for(
        "thread_crowds::a_semaphore_bounds_the_threads_of_goroutines_that_wait_for_a_lock_of_std",
        semaphore,
        || {
            let lock = Mutex::new(());
            Arc::new(move |_| {
                let _locked = lock.lock().unwrap();
                nap(SHORT);
            })
        },
    );
}

#[test]
fn a_semaphore_bounds_the_threads_of_goroutines_that_read_pipes() {
    few_threads_for(
        "thread_crowds::a_semaphore_bounds_the_threads_of_goroutines_that_read_pipes",
        semaphore,
        || {
            let (readers, writers): (Vec<_>, Vec<_>) =
                (0..GOROUTINES).map(|_| std::io::pipe().unwrap()).unzip();
            let (ask, asked) = mpsc::channel::<usize>();
            std::thread::spawn(move || {
                asked.iter().for_each(|n| {
                    nap(SHORT);
                    (&writers[n]).write_all(&[1]).unwrap();
                });
            });
            let ask = Mutex::new(ask);
            Arc::new(move |n| {
                ask.lock().unwrap().send(n).unwrap();
                (&readers[n]).read_exact(&mut [0]).unwrap();
            })
        },
    );
}

/// As a client of a database over std's sockets: several round trips, with a wake in between.
#[test]
fn a_semaphore_bounds_the_threads_of_clients_with_sockets_of_std() {
    few_threads_for(
        "thread_crowds::a_semaphore_bounds_the_threads_of_clients_with_sockets_of_std",
        semaphore,
        || {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let address = listener.local_addr().unwrap();
            let connect = |_| {
                let client = TcpStream::connect(address).unwrap();
                let (mut server, _) = listener.accept().unwrap();
                std::thread::spawn(move || {
                    let mut byte = [0];
                    while server.read_exact(&mut byte).is_ok() {
                        nap(SHORT);
                        server.write_all(&byte).unwrap();
                    }
                });
                client
            };
            let clients: Vec<_> = (0..PERMITS).map(connect).collect();
            let (give, take) = chan::bounded(PERMITS);
            clients.into_iter().for_each(|one| give.send(one).unwrap());
            Arc::new(move |_| {
                let mut client = take.recv().unwrap();
                for _ in 0..2 {
                    client.write_all(&[7]).unwrap();
                    client.read_exact(&mut [0]).unwrap();
                }
                give.send(client).unwrap();
            })
        },
    );
}

/// Each of those that block spawns another goroutine after it, so its M claims a P. There are so
/// many that a claim always waits.
#[test]
fn ms_that_claim_a_p_again_and_again_do_not_keep_it_from_those_that_are_queued() {
    const BLOCKING: u64 = 100;
    run(1, || {
        let stop = Arc::new(AtomicBool::new(false));
        let claims = Arc::new(AtomicU64::new(0));
        let blocking = |_| {
            let (stop, claims) = (Arc::clone(&stop), Arc::clone(&claims));
            gopark::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    nap(Duration::from_millis(1));
                    gopark::go(|| ());
                    claims.fetch_add(1, Ordering::Relaxed);
                }
            })
        };
        let all: Vec<_> = (0..BLOCKING).map(blocking).collect();
        let all_claim = || claims.load(Ordering::Relaxed) > 3 * BLOCKING;
        wait_until("all claim", all_claim);
        let before = claims.load(Ordering::Relaxed);
        let light = |_| gopark::spawn(gopark::yield_now);
        let light: Vec<_> = (0..4).map(light).collect();
        while !light.iter().all(gopark::JoinHandle::is_finished) {
            let claims = claims.load(Ordering::Relaxed) - before;
            assert!(claims < 20 * BLOCKING, "{claims} claims before 8 turns");
            gopark::yield_now();
        }
        stop.store(true, Ordering::Relaxed);
        all.into_iter().for_each(|one| one.join().unwrap());
    });
}

/// There are fewer threads than goroutines in calls, so only a goroutine that returns from a call
/// can let another begin.
#[test]
fn goroutines_that_return_from_calls_go_behind_those_that_are_queued() {
    const CROWD: usize = 30;
    for procs in [1, 2] {
        let _watchdog = Watchdog::start();
        let runtime = build(Builder::new().procs(procs).max_threads(6));
        let calls: Arc<Vec<AtomicU64>> = Arc::new((0..CROWD).map(|_| AtomicU64::new(0)).collect());
        let sum =
            |calls: &[AtomicU64]| calls.iter().map(|n| n.load(Ordering::Relaxed)).sum::<u64>();
        let calling = |n: usize| {
            let calls = Arc::clone(&calls);
            runtime.spawn(move || {
                while calls.iter().any(|n| n.load(Ordering::Relaxed) < 20) {
                    blocking(|| nap(SHORT));
                    calls[n].fetch_add(1, Ordering::Relaxed);
                    if sum(&calls) > 20_000 {
                        return;
                    }
                }
            })
        };
        let all: Vec<_> = (0..CROWD).map(calling).collect();
        all.into_iter().for_each(|one| one.join().unwrap());
        assert!(sum(&calls) < 5000, "{calls:?}");
    }
}

/// Calls of `blocking(nap 1 ms)` that `goroutines` make in a while.
fn calls_of(runtime: &Runtime, goroutines: usize, time: Duration) -> u64 {
    let stop = Arc::new(AtomicBool::new(false));
    let calls = Arc::new(AtomicU64::new(0));
    let calling = |_| {
        let (stop, calls) = (Arc::clone(&stop), Arc::clone(&calls));
        runtime.spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                blocking(|| nap(Duration::from_millis(1)));
                calls.fetch_add(1, Ordering::Relaxed);
            }
        })
    };
    let all: Vec<_> = (0..goroutines).map(calling).collect();
    nap(time);
    stop.store(true, Ordering::Relaxed);
    all.into_iter().for_each(|one| one.join().unwrap());
    calls.load(Ordering::Relaxed)
}

/// Times that threads of this process went to sleep.
fn sleeps() -> u64 {
    // SAFETY: zeroes are a valid rusage.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: the pointer is to a rusage.
    let got = unsafe { libc::getrusage(libc::RUSAGE_SELF, &raw mut usage) };
    assert_eq!(got, 0);
    usage.ru_nvcsw as u64
}

/// The call itself is one sleep of a thread; the thread that comes for its P, or waits for one, is
/// another. With sysmon in between there are more than three.
#[test]
fn a_call_in_a_crowd_is_two_sleeps_of_threads_at_most() {
    let case = || {
        let runtime = runtime(PROCS);
        calls_of(&runtime, 300, Duration::from_millis(100));
        let before = sleeps();
        let calls = calls_of(&runtime, 300, Duration::from_millis(1000));
        let sleeps = sleeps() - before;
        assert!(sleeps < calls * 9 / 4, "{sleeps} sleeps for {calls} calls");
    };
    let name = "thread_crowds::a_call_in_a_crowd_is_two_sleeps_of_threads_at_most";
    alone(name, |_| (), case);
}

/// What sysmon does is counted: it learns that the calls are long, and then has nothing to do.
#[test]
fn calls_that_are_known_to_be_long_pass_their_p_on_without_sysmon() {
    let _watchdog = Watchdog::start();
    for procs in [1, 3] {
        let runtime = build(Builder::new().procs(procs));
        let calls = calls_of(&runtime, 100, Duration::from_millis(500));
        let procs = runtime.metrics().procs;
        let retakes: u64 = procs.iter().map(|p| p.retakes).sum();
        assert!(calls > 100, "{calls} calls");
        assert!(retakes < calls / 4, "{retakes} of {calls} calls");
    }
}

/// A site whose calls were long makes short ones: its goroutines keep their Ps again.
#[test]
fn calls_that_are_short_again_keep_their_p() {
    const CALLS: u64 = 2000;
    let _watchdog = Watchdog::start();
    let runtime = runtime(1);
    let call = |time| {
        blocking(|| nap(time));
    };
    runtime.run(|| {
        let all = |time, calls: u64| {
            let one = |_| gopark::spawn(move || (0..calls).for_each(|_| call(time)));
            let all: Vec<_> = (0..4).map(one).collect();
            all.into_iter().for_each(|one| one.join().unwrap());
        };
        all(Duration::from_millis(1), 20);
        all(Duration::ZERO, CALLS);
    });
    let kept = runtime.metrics().procs[0].blocking_calls;
    assert!(kept > 2 * CALLS, "{kept} of {} kept their P", 4 * CALLS);
}

/// A fresh goroutine for each call: what is known is known of the place, not of the goroutine.
#[test]
fn long_calls_of_fresh_goroutines_pass_their_p_on_without_sysmon() {
    const ROUNDS: usize = 20;
    const CALLS: usize = 100;
    let _watchdog = Watchdog::start();
    let runtime = runtime(1);
    runtime.run(|| {
        for _ in 0..ROUNDS {
            let call = |_| gopark::spawn(|| blocking(|| nap(Duration::from_millis(1))));
            let all: Vec<_> = (0..CALLS).map(call).collect();
            all.into_iter().for_each(|one| one.join().unwrap());
        }
    });
    let retakes = runtime.metrics().procs[0].retakes;
    let calls = (ROUNDS * CALLS) as u64;
    assert!(retakes < calls / 4, "{retakes} of {calls} calls");
}
