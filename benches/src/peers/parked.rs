//! Many goroutines at rest: what they cost, and what it costs to get them there and back.
//!
//! A goroutine's memory is its resident pages *and* the page tables that map them; with stacks far
//! apart the tables are the larger part. Everything is counted: stack, header, queue, join handle.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use gopark::runtime::Runtime;
use serde::{Deserialize, Serialize};

use super::goroutines;
use crate::facts;
use crate::measure::Result;

/// What one process found, per goroutine.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Found {
    pub(crate) bytes: f64,
    pub(crate) spawn_ns: f64,
    pub(crate) wake_ns: f64,
    pub(crate) join_ns: f64,
    pub(crate) vmas: f64,
}

/// Where the goroutines stand.
#[derive(Debug, Default)]
struct Gate {
    parked: AtomicUsize,
    open: AtomicBool,
    through: AtomicUsize,
}

impl Gate {
    fn pass(&self) {
        self.parked.fetch_add(1, Ordering::Relaxed);
        // Acquire: pairs with the opening in `measure`.
        while !self.open.load(Ordering::Acquire) {
            gopark::park();
        }
        self.through.fetch_add(1, Ordering::Relaxed);
    }
}

/// Spawns `count` goroutines on one P, parks, wakes and joins them all.
pub(crate) fn measure(stack_limit: usize, count: usize) -> Result<Found> {
    let runtime = goroutines::runtime(1, Some(stack_limit))?;
    Ok(runtime.run(move || {
        let gate = Arc::new(Gate::default());
        let mut handles = Vec::with_capacity(count);
        let before = Memory::now();

        let start = Instant::now();
        for _ in 0..count {
            let gate = Arc::clone(&gate);
            handles.push(gopark::spawn(move || gate.pass()));
        }
        yield_until(&gate.parked, count);
        let spawned = start.elapsed();

        let after = Memory::now();

        let start = Instant::now();
        // Release: pairs with the look at it in `Gate::pass`.
        gate.open.store(true, Ordering::Release);
        for handle in &handles {
            handle.goroutine().unpark();
        }
        yield_until(&gate.through, count);
        let woken = start.elapsed();

        let start = Instant::now();
        for handle in handles {
            handle.join().expect("a goroutine that only parks");
        }
        let joined = start.elapsed();

        let each = |total: f64| total / count as f64;
        let each_ns = |total: Duration| each(total.as_nanos() as f64);
        Found {
            bytes: each(after.bytes - before.bytes),
            spawn_ns: each_ns(spawned),
            wake_ns: each_ns(woken),
            join_ns: each_ns(joined),
            vmas: each(after.vmas - before.vmas),
        }
    }))
}

/// Leaves `count` goroutines parked until the runtime is dropped.
pub(crate) fn crowd(runtime: &Runtime, count: usize) {
    runtime.run(move || {
        let gate = Arc::new(Gate::default());
        for _ in 0..count {
            let gate = Arc::clone(&gate);
            gopark::go(move || gate.pass());
        }
        yield_until(&gate.parked, count);
    });
}

/// Lets the others run until `counter` has reached `count`.
fn yield_until(counter: &AtomicUsize, count: usize) {
    while counter.load(Ordering::Relaxed) < count {
        gopark::yield_now();
    }
}

/// What the kernel says about this process.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Memory {
    /// Resident pages and page tables.
    pub(crate) bytes: f64,
    /// Mappings.
    vmas: f64,
}

impl Memory {
    pub(crate) fn now() -> Self {
        let status = facts::fields("/proc/self/status");
        let kib = |name| facts::number(&status, name).expect("in every Linux since 2.6.10");
        let maps = fs::read_to_string("/proc/self/maps").expect("every process may read its own");
        Self {
            bytes: (1024 * (kib("VmRSS") + kib("VmPTE"))) as f64,
            vmas: maps.lines().count() as f64,
        }
    }
}
