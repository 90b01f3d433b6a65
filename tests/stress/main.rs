//! Many goroutines doing everything at once, seeded, and moved to another thread at every wake.
//!
//! `GOPARK_SEED` repeats a run, `GOPARK_STRESS_ROUNDS` makes it longer.

mod served;
mod storm;

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use gopark_tests::{Random, Watchdog, descend, runtime, thread_id};

const CASE: &str = "GOPARK_TEST_CASE";

fn from_env(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// Runs test `name` again with forced migration.
fn migrating(name: &str, body: impl FnOnce(u64)) {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .subsec_nanos();
    let seed = from_env("GOPARK_SEED").unwrap_or(u64::from(now) | 1);
    if std::env::var(CASE).is_ok_and(|case| case == name) {
        let _watchdog = Watchdog::start();
        return body(seed);
    }
    let output = Command::new(std::env::current_exe().unwrap())
        .args([name, "--exact", "--nocapture"])
        .env(CASE, name)
        .env("GOPARK_SEED", seed.to_string())
        .env("GOPARK_DEBUG", format!("migrate,seed={seed}"))
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    let tail = &text[text.len().saturating_sub(4000)..];
    assert!(
        output.status.success(),
        "GOPARK_SEED={seed}: {:?}\n{tail}",
        output.status
    );
}

/// One goroutine's life: returns how many goroutines it stands for.
fn live(mut random: Random, ended: Arc<AtomicUsize>, depth: u32) -> usize {
    let mut count = 1;
    for _ in 0..random.below(4) {
        match random.below(6) {
            0 | 1 => gopark::yield_now(),
            2 => {
                let me = gopark::current();
                gopark::go(move || me.unpark());
                gopark::park();
                count += 1;
            }
            3 => {
                let pages = random.below(80) as usize;
                assert_eq!(descend(pages), pages);
            }
            4 if depth < 3 => {
                let seed = Random::new(random.below(u64::MAX) | 1);
                let ended = Arc::clone(&ended);
                let child = gopark::spawn(move || live(seed, ended, depth + 1));
                count += child.join().unwrap_or(0);
            }
            _ => {
                let child = gopark::spawn(|| std::panic::resume_unwind(Box::new(7u8)));
                assert_eq!(*child.join().unwrap_err().downcast::<u8>().unwrap(), 7);
                count += 1;
            }
        }
    }
    ended.fetch_add(1, Ordering::Relaxed);
    count
}

#[test]
fn a_hundred_thousand_goroutines_end_exactly_once() {
    migrating("a_hundred_thousand_goroutines_end_exactly_once", |seed| {
        let rounds = from_env("GOPARK_STRESS_ROUNDS").unwrap_or(1);
        for round in 0..rounds {
            runtime(4).run(|| {
                let ended = Arc::new(AtomicUsize::new(0));
                let mut random = Random::new(seed.wrapping_add(round) | 1);
                let mut alive = Vec::new();
                for _ in 0..100_000 {
                    let (seed, ended) =
                        (Random::new(random.below(u64::MAX) | 1), Arc::clone(&ended));
                    alive.push(gopark::spawn(move || live(seed, ended, 3)));
                    if alive.len() == 1000 {
                        alive
                            .drain(..)
                            .for_each(|handle| assert!(handle.join().unwrap() >= 1));
                    }
                }
                alive
                    .into_iter()
                    .for_each(|handle| assert!(handle.join().unwrap() >= 1));
                assert_eq!(ended.load(Ordering::Relaxed), 100_000, "GOPARK_SEED={seed}");
            });
        }
    });
}

#[test]
fn migrate_mode_moves_goroutines_to_other_threads() {
    migrating("migrate_mode_moves_goroutines_to_other_threads", |_| {
        let (mut moved, turns) = (0, 200);
        runtime(2).run(|| {
            let stop = Arc::new(AtomicUsize::new(0));
            let seen = Arc::clone(&stop);
            let other = gopark::spawn(move || {
                while seen.load(Ordering::Relaxed) == 0 {
                    gopark::yield_now();
                }
            });
            let mut last = thread_id();
            for _ in 0..turns {
                let me = gopark::current();
                gopark::go(move || me.unpark());
                gopark::park();
                let now = thread_id();
                moved += i32::from(now != last);
                last = now;
            }
            stop.store(1, Ordering::Relaxed);
            other.join().unwrap();
        });
        assert!(moved > turns / 2, "moved {moved} times in {turns} wakes");
    });
}
