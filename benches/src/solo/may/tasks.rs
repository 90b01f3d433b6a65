//! Yielding, spawning and locking.

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use may::coroutine;
use may::sync::{Mutex, mpsc};

use super::bounded;
use super::gate::{self, Party};
use crate::measure::time;
use crate::peers::channels::sieve::Sieve;
use crate::peers::channels::skynet::Skynet;
use crate::peers::locks::{INSIDE, OUTSIDE, PARTIES, work};
use crate::peers::may::{join, spawn};

/// So many coroutines, each of which yields `each` times.
pub(super) fn yields(coroutines: u64, each: u64) -> Duration {
    let party = |_| -> Party {
        Box::new(move || {
            for _ in 0..each {
                coroutine::yield_now();
            }
        })
    };
    gate::race((0..coroutines).map(party).collect())
}

/// Spawns and joins, one at a time.
pub(super) fn spawn_joins(count: u64) -> Duration {
    time(count, || join(spawn(|| ())))
}

/// Spawns all, then joins all.
pub(super) fn spawn_many(count: u64) -> Duration {
    let start = Instant::now();
    let handles: Vec<_> = (0..count).map(|_| spawn(|| ())).collect();
    handles.into_iter().for_each(join);
    start.elapsed()
}

/// Each spawns the next one.
pub(super) fn chain(links: u64) -> Duration {
    let (sender, last) = mpsc::channel();
    let start = Instant::now();
    spawn(move || link(1, links, sender));
    let length = last.recv().ok();
    let elapsed = start.elapsed();
    assert_eq!(length, Some(links));
    elapsed
}

fn link(number: u64, links: u64, last: mpsc::Sender<u64>) {
    if number < links {
        spawn(move || link(number + 1, links, last));
    } else {
        last.send(number).expect("the first one waits");
    }
}

const BRANCHES: u64 = 10;

/// A tree whose leaves answer their numbers, and all others the sum of their branches.
pub(super) fn skynet(tree: Skynet) -> Duration {
    let start = Instant::now();
    let (sender, sum) = mpsc::channel();
    spawn(move || answer(0, tree.leaves, &sender));
    let sum = sum.recv().ok();
    let elapsed = start.elapsed();
    assert_eq!(sum, Some(tree.sum()));
    elapsed
}

/// Of the part of the tree with so many leaves from `first`.
fn answer(first: u64, leaves: u64, above: &mpsc::Sender<u64>) {
    let mut sum = first;
    if leaves > 1 {
        let (sender, sums) = mpsc::channel();
        let leaves = leaves / BRANCHES;
        for index in 0..BRANCHES {
            let sender = sender.clone();
            spawn(move || answer(first + index * leaves, leaves, &sender));
        }
        drop(sender);
        sum = sums.iter().sum();
    }
    above.send(sum).expect("somebody adds it up");
}

/// A generator and one filter for each prime, with room for one number between them.
pub(super) fn sieve(sieve: &Sieve) -> Duration {
    let mut handles = Vec::with_capacity(sieve.primes().len() + 1);
    let start = Instant::now();
    let (sender, mut numbers) = bounded::channel(1);
    handles.push(spawn(move || {
        (2..).all(|number| sender.send(number));
    }));
    for &expected in sieve.primes() {
        let prime: u32 = numbers.recv().expect("there are more primes");
        assert_eq!(prime, expected);
        let (sender, passed) = bounded::channel(1);
        handles.push(spawn(move || {
            while let Some(number) = numbers.recv() {
                if number % prime != 0 && !sender.send(number) {
                    return;
                }
            }
        }));
        numbers = passed;
    }
    let elapsed = start.elapsed();
    // Each finds that the one after it is gone.
    drop(numbers);
    handles.into_iter().for_each(join);
    elapsed
}

pub(super) fn mutex_alone(count: u64) -> Duration {
    let mutex = Mutex::new(0);
    let mutex = black_box(&mutex);
    let elapsed = time(count, || *mutex.lock().expect("no holder panics") += 1);
    assert_eq!(*mutex.lock().expect("no holder panics"), count);
    elapsed
}

pub(super) fn mutex_contended(count: u64) -> Duration {
    let each = count.div_ceil(PARTIES);
    let mutex = Arc::new(Mutex::new(0));
    let party = |_| -> Party {
        let mutex = Arc::clone(&mutex);
        Box::new(move || {
            for _ in 0..each {
                {
                    let mut locked = mutex.lock().expect("no holder panics");
                    *locked += 1;
                    work(INSIDE);
                }
                work(OUTSIDE);
            }
        })
    };
    let elapsed = gate::race((0..PARTIES).map(party).collect());
    let locked = *mutex.lock().expect("no holder panics");
    assert_eq!(locked, PARTIES * each);
    elapsed.mul_f64(count as f64 / (PARTIES * each) as f64)
}
