//! Seeds: what stands for a goroutine that has no stack yet.
//!
//! A seed is four words of a slab that only grows, so that late handles may look at it. Its state
//! (`task/seed_state.rs`) says whose it is. Free seeds are kept by Ps, and exchanged in batches.

#![expect(
    unsafe_code,
    reason = "shares a cell of which each queue entry owns one"
)]

use std::panic::Location;
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::sched::shared::Shared;
use crate::task::seed_state::SeedState;

/// Free seeds that a P keeps, at most.
const CACHED_MAX: usize = 64;
const BATCH: usize = CACHED_MAX / 2;
/// Seeds that are made at a time.
const CHUNK: usize = 1024;

/// See the top of this file.
#[derive(Debug)]
pub(crate) struct Seed {
    pub(crate) state: SeedState,
    /// What follows is of the goroutine that `state` names.
    shared: AtomicPtr<Shared>,
    spawned_at: AtomicPtr<Location<'static>>,
}

impl Seed {
    fn new() -> Seed {
        Seed {
            state: SeedState::new(),
            shared: AtomicPtr::new(ptr::null_mut()),
            spawned_at: AtomicPtr::new(ptr::null_mut()),
        }
    }

    /// Makes a free seed stand for goroutine `id`.
    pub(crate) fn plant(
        &self,
        id: u64,
        shared: &Shared,
        spawned_at: &'static Location<'static>,
        germ: *mut u8,
    ) {
        // Relaxed, both: published by the state.
        self.shared
            .store(ptr::from_ref(shared).cast_mut(), Ordering::Relaxed);
        self.spawned_at
            .store(ptr::from_ref(spawned_at).cast_mut(), Ordering::Relaxed);
        self.state.plant(id, germ.expose_provenance());
    }

    /// The runtime's address; to be trusted only together with the id.
    pub(crate) fn shared_ptr(&self) -> *const Shared {
        self.shared.load(Ordering::Relaxed)
    }

    /// Where the goroutine was spawned; to be trusted only together with the id.
    pub(crate) fn spawned_at(&self) -> Option<&'static Location<'static>> {
        // SAFETY: null or a location of the program, which is for ever.
        unsafe { self.spawned_at.load(Ordering::Relaxed).as_ref() }
    }
}

/// All seeds of the process, and those that no P keeps.
#[derive(Debug)]
struct Store {
    chunks: Vec<&'static [Seed]>,
    free: Vec<&'static Seed>,
}

fn store() -> MutexGuard<'static, Store> {
    static STORE: Mutex<Store> = Mutex::new(Store {
        chunks: Vec::new(),
        free: Vec::new(),
    });
    STORE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// All seeds that were ever made.
pub(crate) fn all() -> impl Iterator<Item = &'static Seed> {
    let chunks = store().chunks.clone();
    chunks.into_iter().flatten()
}

/// Free seeds of one P.
#[derive(Debug, Default)]
pub(crate) struct SeedCache(Vec<&'static Seed>);

impl SeedCache {
    /// A free seed.
    pub(crate) fn take(&mut self) -> &'static Seed {
        if let Some(seed) = self.0.pop() {
            return seed;
        }
        let mut store = store();
        if store.free.is_empty() {
            let chunk: Box<[Seed]> = (0..CHUNK).map(|_| Seed::new()).collect();
            let chunk: &'static [Seed] = Box::leak(chunk);
            store.chunks.push(chunk);
            store.free.extend(chunk.iter().rev());
        }
        let kept = store.free.len().saturating_sub(BATCH);
        self.0.extend(store.free.drain(kept..));
        self.0.pop().expect("a batch is not empty")
    }

    /// Takes back a seed whose goroutine has ended, or is asked for here no more.
    pub(crate) fn give(&mut self, seed: &'static Seed) {
        seed.state.end();
        if self.0.len() == CACHED_MAX {
            store().free.extend(self.0.drain(..BATCH));
        }
        self.0.push(seed);
    }

    /// Gives all of them away.
    pub(crate) fn flush(&mut self) {
        if !self.0.is_empty() {
            store().free.append(&mut self.0);
        }
    }
}

impl Drop for SeedCache {
    fn drop(&mut self) {
        self.flush();
    }
}
