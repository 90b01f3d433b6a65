//! A storm: goroutines spawn, park, wake, block, lock threads, hog, panic, exit and change the
//! number of Ps, all at random. Every one ends exactly once, and no P or M is lost.
//!
//! 20 s for each number of Ps by default; `GOPARK_STORM_SECS` makes it longer.

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use gopark::runtime::{Builder, Runtime};
use gopark_tests::{Random, build, descend};

use crate::{from_env, migrating};

/// Goroutines alive at a time, about.
const CROWD: usize = 200;
const PAUSE: Duration = Duration::from_millis(1);

/// What all goroutines of a storm share.
#[derive(Default)]
struct Storm {
    born: AtomicUsize,
    ended: AtomicUsize,
    over: AtomicBool,
    lock: std::sync::Mutex<u64>,
    added: AtomicUsize,
}

/// Counts the end of a goroutine's closure, however it ends.
struct Life(Arc<Storm>);

impl Life {
    fn begin(storm: &Arc<Storm>) -> Life {
        storm.born.fetch_add(1, Ordering::Relaxed);
        Life(Arc::clone(storm))
    }
}

impl Drop for Life {
    fn drop(&mut self) {
        self.0.ended.fetch_add(1, Ordering::Relaxed);
    }
}

fn spin(random: &mut Random) {
    let until = Instant::now() + Duration::from_micros(random.below(3000));
    while Instant::now() < until {
        black_box(random.below(7));
    }
}

fn hand_over(storm: &Arc<Storm>) {
    let me = gopark::current();
    let life = Life::begin(storm);
    gopark::go(move || {
        let _life = life;
        me.unpark();
    });
    gopark::park();
}

/// A child that ends in one of the ways that there are.
fn child(storm: &Arc<Storm>, random: &mut Random) {
    let life = Life::begin(storm);
    let way = random.below(4);
    let handle = gopark::spawn(move || {
        let _life = life;
        match way {
            0 => std::panic::resume_unwind(Box::new(7u8)),
            1 => gopark::exit(),
            2 => std::mem::forget(gopark::lock_os_thread()),
            _ => gopark::yield_now(),
        }
    });
    let outcome = handle.join();
    assert_eq!(outcome.is_err(), way < 2, "way {way}");
}

fn blocking(storm: &Arc<Storm>, random: &mut Random) {
    match random.below(4) {
        0 => gopark::blocking(|| std::thread::park_timeout(PAUSE)),
        1 => gopark::blocking(|| hand_over(storm)),
        2 => std::thread::park_timeout(PAUSE),
        _ => gopark::no_preempt(|| spin(random)),
    }
}

fn locked(storm: &Arc<Storm>, random: &mut Random) {
    let _guard = gopark::lock_os_thread();
    let thread = gopark_tests::thread_id();
    for _ in 0..random.below(3) {
        hand_over(storm);
        gopark::yield_now();
    }
    assert_eq!(gopark_tests::thread_id(), thread);
}

fn add(storm: &Storm) {
    // A lock of std's: held over no call that may suspend.
    let mut sum = storm.lock.lock().unwrap();
    *sum = black_box(*sum) + 1;
    drop(sum);
    storm.added.fetch_add(1, Ordering::Relaxed);
}

fn live(storm: &Arc<Storm>, mut random: Random) {
    while !storm.over.load(Ordering::Relaxed) {
        match random.below(24) {
            0..=4 => gopark::yield_now(),
            5..=8 => hand_over(storm),
            9..=11 => child(storm, &mut random),
            12..=13 => blocking(storm, &mut random),
            14 => locked(storm, &mut random),
            15 => spin(&mut random),
            16 => {
                let pages = random.below(60) as usize;
                assert_eq!(descend(pages), pages);
            }
            17 if random.below(20) == 0 => {
                gopark::set_procs(1 + random.below(8) as usize);
            }
            18 => drop(gopark::on_thread_stack(|| vec![1u8; 100])),
            _ => add(storm),
        }
    }
}

fn storm(runtime: &Runtime, seed: u64, time: Duration) {
    let storm = Arc::new(Storm::default());
    let handles: Vec<_> = (0..CROWD as u64)
        .map(|n| {
            let life = Life::begin(&storm);
            let random = Random::new(seed.wrapping_add(n).wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
            runtime.spawn(move || {
                let storm = Arc::clone(&life.0);
                live(&storm, random);
                drop(life);
            })
        })
        .collect();
    std::thread::park_timeout(time);
    storm.over.store(true, Ordering::Relaxed);
    for handle in handles {
        handle.join().unwrap();
    }
    // Goroutines that nobody joins are about to end.
    while runtime.num_goroutines() > 0 {
        std::thread::yield_now();
    }
    let born = storm.born.load(Ordering::Relaxed);
    assert_eq!(born, storm.ended.load(Ordering::Relaxed), "seed {seed}");
    assert!(born > CROWD, "nothing happened");
    let added = storm.added.load(Ordering::Relaxed) as u64;
    assert_eq!(*storm.lock.lock().unwrap(), added);
    // Everybody goes to rest: all Ps, all Ms.
    loop {
        let metrics = runtime.metrics();
        if metrics.idle_procs == metrics.procs.len() && metrics.idle_threads == metrics.threads {
            assert_eq!(
                (metrics.runnable, metrics.running, metrics.claims),
                (0, 0, 0)
            );
            break;
        }
        std::thread::yield_now();
    }
}

fn storm_on(procs: usize, seed: u64) {
    let secs = from_env("GOPARK_STORM_SECS").unwrap_or(20);
    let slice = Duration::from_millis(1);
    let runtime = build(Builder::new().procs(procs).time_slice(slice));
    storm(&runtime, seed, Duration::from_secs(secs));
}

#[test]
fn a_storm_on_one_p_loses_nothing() {
    migrating("storm::a_storm_on_one_p_loses_nothing", |seed| {
        storm_on(1, seed);
    });
}

#[test]
fn a_storm_on_two_ps_loses_nothing() {
    migrating("storm::a_storm_on_two_ps_loses_nothing", |seed| {
        storm_on(2, seed);
    });
}

#[test]
fn a_storm_on_eight_ps_loses_nothing() {
    migrating("storm::a_storm_on_eight_ps_loses_nothing", |seed| {
        storm_on(8, seed);
    });
}

/// Without forced migration: goroutines take the short ways too.
#[test]
fn a_storm_in_fair_weather_loses_nothing() {
    let _watchdog = gopark_tests::Watchdog::start();
    let seed = from_env("GOPARK_SEED").unwrap_or(12345);
    for procs in [1, 2, 8] {
        let slice = Duration::from_millis(1);
        let runtime = build(Builder::new().procs(procs).time_slice(slice));
        storm(&runtime, seed, Duration::from_secs(3));
    }
}
