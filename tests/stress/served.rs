//! A storm of operations whose goroutines are cancelled, or whose time limits pass, at about the
//! moment at which they are served: nothing that was handed over is lost, and nothing is kept.
//!
//! Each operation is counted as soon as it has returned, before any suspension. `GOPARK_STORM_SECS`
//! makes it longer.

use std::io::{Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use gopark::net::UnixStream;
use gopark::runtime::{Builder, Runtime};
use gopark::sync::{Condvar, Mutex, Notify, RwLock, Semaphore};
use gopark::time::{park_timeout, timeout};
use gopark::{JoinHandle, chan, raw, select};
use gopark_tests::{Random, build};

use crate::{from_env, migrating};

const CAPACITIES: [Option<usize>; 4] = [Some(0), Some(1), Some(8), None];
const PERMITS: usize = 3;
const WORKERS: u64 = 4;

type Pair = (chan::Sender<usize>, chan::Receiver<usize>);

/// What the goroutines of a storm use, and what they have counted.
struct World {
    over: AtomicBool,
    channels: Vec<Pair>,
    sent: [AtomicUsize; CAPACITIES.len()],
    received: [AtomicUsize; CAPACITIES.len()],
    semaphore: Semaphore,
    holders: AtomicUsize,
    mutex: Mutex<usize>,
    added: AtomicUsize,
    lock: RwLock<usize>,
    written: AtomicUsize,
    notify: Notify,
    queue: (Mutex<usize>, Condvar),
    put: AtomicUsize,
    got: AtomicUsize,
    pipe: (UnixStream, UnixStream),
    bytes_in: AtomicUsize,
    bytes_out: AtomicUsize,
    raw: std::sync::Mutex<Vec<(raw::Waiter, Arc<AtomicBool>)>>,
    raw_woken: AtomicUsize,
    raw_returned: AtomicUsize,
}

impl World {
    fn new() -> World {
        let zero = || std::array::from_fn(|_| AtomicUsize::new(0));
        let pair = |cap: Option<usize>| cap.map_or_else(chan::unbounded, chan::bounded);
        World {
            over: AtomicBool::new(false),
            channels: CAPACITIES.into_iter().map(pair).collect(),
            sent: zero(),
            received: zero(),
            semaphore: Semaphore::new(PERMITS),
            holders: AtomicUsize::new(0),
            mutex: Mutex::new(0),
            added: AtomicUsize::new(0),
            lock: RwLock::new(0),
            written: AtomicUsize::new(0),
            notify: Notify::new(),
            queue: (Mutex::new(0), Condvar::new()),
            put: AtomicUsize::new(0),
            got: AtomicUsize::new(0),
            pipe: UnixStream::pair().unwrap(),
            bytes_in: AtomicUsize::new(0),
            bytes_out: AtomicUsize::new(0),
            raw: std::sync::Mutex::new(Vec::new()),
            raw_woken: AtomicUsize::new(0),
            raw_returned: AtomicUsize::new(0),
        }
    }

    fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }
}

fn count(counter: &AtomicUsize) {
    counter.fetch_add(1, Ordering::Relaxed);
}

fn send(world: &World, random: &mut Random) {
    let at = random.below(CAPACITIES.len() as u64) as usize;
    let sender = &world.channels[at].0;
    if world.channels[at].1.len() > 100 {
        return;
    }
    let sent = match random.below(4) {
        0 => sender.send_timeout(1, pause(random)).is_ok(),
        1 => {
            let (_other, never) = chan::bounded::<usize>(1);
            select! {
                send(sender, 1) -> sent => sent.is_ok(),
                recv(never) -> _ => unreachable!("nobody sends"),
            }
        }
        _ => sender.send(1).is_ok(),
    };
    if sent {
        count(&world.sent[at]);
    }
}

fn receive(world: &World, random: &mut Random) {
    let at = random.below(CAPACITIES.len() as u64) as usize;
    let receiver = &world.channels[at].1;
    match random.below(4) {
        0 => {
            if receiver.recv_timeout(pause(random)).is_ok() {
                count(&world.received[at]);
            }
        }
        1 => {
            let other = (at + 1) % CAPACITIES.len();
            let at = select! {
                recv(receiver) -> got => got.map(|_| at),
                recv(world.channels[other].1) -> got => got.map(|_| other),
            };
            if let Ok(at) = at {
                count(&world.received[at]);
            }
        }
        _ => {
            if receiver.recv().is_ok() {
                count(&world.received[at]);
            }
        }
    }
}

fn pause(random: &mut Random) -> Duration {
    Duration::from_micros(random.below(200))
}

fn hold(world: &World, random: &mut Random) {
    let n = 1 + random.below(2) as usize;
    let permit = match random.below(2) {
        0 => world.semaphore.acquire_many(n).ok(),
        _ => world.semaphore.acquire_many_timeout(n, pause(random)).ok(),
    };
    let Some(_permit) = permit else {
        return;
    };
    struct Holds<'a>(&'a AtomicUsize, usize);
    impl Drop for Holds<'_> {
        fn drop(&mut self) {
            self.0.fetch_sub(self.1, Ordering::Relaxed);
        }
    }
    let before = world.holders.fetch_add(n, Ordering::Relaxed);
    let _holds = Holds(&world.holders, n);
    assert!(before + n <= PERMITS, "{before} and {n} permits");
    gopark::yield_now();
}

fn lock(world: &World, random: &mut Random) {
    match random.below(4) {
        0 => {
            let guard = world.lock.read();
            let before = *guard;
            gopark::yield_now();
            assert_eq!(before, *guard);
        }
        1 => {
            let mut guard = world.lock.write();
            *guard += 1;
            count(&world.written);
            gopark::yield_now();
        }
        _ => {
            let mut guard = world.mutex.lock();
            *guard += 1;
            count(&world.added);
            gopark::yield_now();
        }
    }
}

/// Things in a queue, which consumers wait for with a condition variable.
fn put(world: &World) {
    *world.queue.0.lock() += 1;
    count(&world.put);
    world.queue.1.notify_one();
}

fn get(world: &World) {
    let guard = world.queue.0.lock();
    let mut guard = world.queue.1.wait_while(guard, |left| *left == 0);
    *guard -= 1;
    count(&world.got);
}

/// A socket: bytes that were read are counted at once.
fn bytes(world: &World, random: &mut Random) {
    let (mut one, mut two) = (&world.pipe.0, &world.pipe.1);
    if random.below(2) == 0 {
        if let Ok(n) = one.write(&[7; 3]) {
            world.bytes_in.fetch_add(n, Ordering::Relaxed);
        }
    } else if let Ok(n) = two.read(&mut [0; 5]) {
        world.bytes_out.fetch_add(n, Ordering::Relaxed);
    }
}

/// A raw park ends by its own waiter, and only by it.
fn park_raw(world: &World, random: &mut Random) {
    if random.below(2) == 0 {
        let next = world.raw.lock().unwrap().pop();
        if let Some((waiter, is_woken)) = next {
            is_woken.store(true, Ordering::Relaxed);
            if waiter.ready() {
                count(&world.raw_woken);
            }
        }
        return;
    }
    let is_woken = Arc::new(AtomicBool::new(false));
    raw::park(|waiter| {
        let mut waiting = world.raw.lock().unwrap();
        waiting.push((waiter, Arc::clone(&is_woken)));
        true
    });
    count(&world.raw_returned);
    assert!(
        is_woken.load(Ordering::Relaxed),
        "ended by another's waiter"
    );
}

fn other(world: &World, random: &mut Random) {
    match random.below(4) {
        0 => world.notify.notify_one(),
        1 => world.notify.notified().wait(),
        2 => park_timeout(pause(random)),
        _ => {
            let child = gopark::spawn(|| {
                gopark::yield_now();
                5
            });
            assert_eq!(child.join().unwrap(), 5);
        }
    }
}

fn operation(world: &World, random: &mut Random) {
    match random.below(9) {
        0 | 1 => send(world, random),
        2 | 3 => receive(world, random),
        4 => hold(world, random),
        5 => lock(world, random),
        6 if random.below(2) == 0 => put(world),
        6 => get(world),
        7 => bytes(world, random),
        _ if random.below(2) == 0 => park_raw(world, random),
        _ => other(world, random),
    }
}

/// Operations with limits, until the goroutine is cancelled or the storm is over.
fn work(world: &World, mut random: Random) {
    while !world.is_over() {
        let _bound = (random.below(4) == 0).then(gopark::lock_os_thread);
        let limit = match random.below(4) {
            0 => Duration::from_millis(1),
            _ => pause(&mut random),
        };
        let _ = timeout(limit, || operation(world, &mut random));
    }
}

fn spawn_worker(runtime: &Runtime, world: &Arc<World>, seed: u64) -> JoinHandle<()> {
    let world = Arc::clone(world);
    runtime.spawn(move || work(&world, Random::new(seed)))
}

fn storm(runtime: &Runtime, seed: u64, time: Duration) {
    let world = Arc::new(World::new());
    let mut random = Random::new(seed);
    let worker = |random: &mut Random| spawn_worker(runtime, &world, random.below(u64::MAX));
    let mut workers: Vec<_> = (0..8 * WORKERS).map(|_| worker(&mut random)).collect();
    let begin = std::time::Instant::now();
    let mut cancelled = 0;
    while begin.elapsed() < time {
        std::thread::park_timeout(Duration::from_micros(300));
        let at = random.below(workers.len() as u64) as usize;
        let next = worker(&mut random);
        let last = std::mem::replace(&mut workers[at], next);
        last.cancel();
        if let Err(payload) = last.join() {
            assert!(payload.is::<gopark::Cancelled>(), "a worker panicked");
            cancelled += 1;
        }
    }
    world.over.store(true, Ordering::Relaxed);
    for worker in workers {
        worker.join().unwrap();
    }
    assert!(cancelled > 0, "nobody was cancelled");
    settle(runtime, &world, seed);
}

/// What must hold when nobody works any more.
fn settle(runtime: &Runtime, world: &Arc<World>, seed: u64) {
    let world = Arc::clone(world);
    let checks = move || {
        let load = |counter: &AtomicUsize| counter.load(Ordering::Relaxed);
        for (at, (_, receiver)) in world.channels.iter().enumerate() {
            let left = receiver.try_iter().count();
            let (sent, received) = (load(&world.sent[at]), load(&world.received[at]));
            assert!(sent > 0 && received > 0, "nothing happened: {at}");
            assert_eq!(sent, received + left, "capacity {:?}", CAPACITIES[at]);
        }
        assert_eq!(world.semaphore.available_permits(), PERMITS);
        assert_eq!(
            Some(load(&world.added)),
            world.mutex.try_lock().map(|guard| *guard)
        );
        assert_eq!(
            Some(load(&world.written)),
            world.lock.try_write().map(|guard| *guard)
        );
        let left = world.queue.0.try_lock().map(|guard| *guard);
        assert_eq!(Some(load(&world.put) - load(&world.got)), left);
        let mut rest = Vec::new();
        let (one, mut two) = (&world.pipe.0, &world.pipe.1);
        one.shutdown(std::net::Shutdown::Write).unwrap();
        two.read_to_end(&mut rest).unwrap();
        assert_eq!(load(&world.bytes_in), load(&world.bytes_out) + rest.len());
        assert_eq!(load(&world.raw_woken), load(&world.raw_returned));
    };
    let outcome = runtime.spawn(checks).join();
    assert!(outcome.is_ok(), "GOPARK_SEED={seed}");
}

fn storm_on(procs: usize, seed: u64, secs: u64) {
    let secs = from_env("GOPARK_STORM_SECS").unwrap_or(secs);
    let runtime = build(Builder::new().procs(procs));
    storm(&runtime, seed, Duration::from_secs(secs));
}

#[test]
fn nothing_that_was_handed_over_is_lost_on_one_p() {
    migrating(
        "served::nothing_that_was_handed_over_is_lost_on_one_p",
        |seed| {
            storm_on(1, seed, 5);
        },
    );
}

#[test]
fn nothing_that_was_handed_over_is_lost_on_four_ps() {
    migrating(
        "served::nothing_that_was_handed_over_is_lost_on_four_ps",
        |seed| {
            storm_on(4, seed, 10);
        },
    );
}

/// Without forced migration: goroutines take the short ways too.
#[test]
fn nothing_that_was_handed_over_is_lost_in_fair_weather() {
    let _watchdog = gopark_tests::Watchdog::start();
    let seed = from_env("GOPARK_SEED").unwrap_or(12345);
    for procs in [1, 2, 4] {
        storm_on(procs, seed, 3);
    }
}
