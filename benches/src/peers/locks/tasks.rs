//! The same with tokio's tasks and its locks.

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{Barrier, Mutex, RwLock};
use tokio::task::JoinHandle;

use super::{INSIDE, OUTSIDE, PARTIES, Section, Way, work, writes};

pub(crate) async fn mutex_alone(count: u64) -> Duration {
    let lock = Mutex::new(0);
    let start = Instant::now();
    for _ in 0..count {
        *lock.lock().await += 1;
    }
    let elapsed = start.elapsed();
    assert_eq!(*lock.lock().await, count);
    elapsed
}

pub(crate) async fn alone(way: Way, count: u64) -> Duration {
    let lock = RwLock::new(0);
    let start = Instant::now();
    for _ in 0..count {
        match way {
            Way::Read => drop(black_box(*lock.read().await)),
            Way::Write => *lock.write().await += 1,
        }
    }
    let elapsed = start.elapsed();
    let writes = if way == Way::Write { count } else { 0 };
    assert_eq!(*lock.read().await, writes);
    elapsed
}

pub(crate) async fn contended(section: Section, count: u64) -> Duration {
    let each = count.div_ceil(PARTIES);
    let lock = Arc::new(Mutex::new(0));
    let elapsed = race(|| {
        let lock = Arc::clone(&lock);
        async move {
            for _ in 0..each {
                let mut value = lock.lock().await;
                *value += 1;
                match section {
                    Section::Short => work(INSIDE),
                    Section::Yield => tokio::task::yield_now().await,
                }
                drop(value);
                work(OUTSIDE);
            }
        }
    })
    .await;
    assert_eq!(*lock.lock().await, PARTIES * each);
    elapsed.mul_f64(count as f64 / (PARTIES * each) as f64)
}

pub(crate) async fn mixed(count: u64) -> Duration {
    let each = count.div_ceil(PARTIES);
    let lock = Arc::new(RwLock::new(0));
    let elapsed = race(|| {
        let lock = Arc::clone(&lock);
        async move {
            for index in 0..each {
                if writes(index) {
                    let mut value = lock.write().await;
                    *value += 1;
                    work(INSIDE);
                } else {
                    let value = lock.read().await;
                    black_box(*value);
                    work(INSIDE);
                }
                work(OUTSIDE);
            }
        }
    })
    .await;
    let written = PARTIES * (0..each).filter(|&index| writes(index)).count() as u64;
    assert_eq!(*lock.read().await, written);
    elapsed.mul_f64(count as f64 / (PARTIES * each) as f64)
}

/// Runs so many at once: the time from the start, when all are there, until the last is done.
async fn race<F: Future<Output = ()> + Send + 'static>(party: impl Fn() -> F) -> Duration {
    let gate = Arc::new(Barrier::new(PARTIES as usize + 1));
    let parties: Vec<JoinHandle<Instant>> = (0..PARTIES)
        .map(|_| {
            let (gate, party) = (Arc::clone(&gate), party());
            tokio::spawn(async move {
                gate.wait().await;
                party.await;
                Instant::now()
            })
        })
        .collect();
    gate.wait().await;
    let start = Instant::now();
    let mut last = start;
    for party in parties {
        last = last.max(party.await.expect("a party that only locks"));
    }
    last - start
}
