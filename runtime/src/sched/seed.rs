//! Seeds: what stands for a goroutine that has no stack yet.
//!
//! A seed is a piece of a chunk that is never freed, so that late handles may look at it. Its
//! state (`task/seed_state.rs`) says whose it is. Chunks belong to a runtime, and to another one
//! when that has ended. Free seeds are kept by Ps, and exchanged in batches.
//!
//! It has room for what a goroutine will be made of (`birth.rs`). With a closure of up to five
//! words that saves an allocation, which another thread would free. So many as wait at the same
//! time at most are kept, of 96 bytes each.

#![expect(
    unsafe_code,
    reason = "shares seeds whose room belongs to one at a time"
)]

use std::cell::UnsafeCell;
use std::mem::MaybeUninit;
use std::panic::Location;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::sched::machine::unsuspended;
use crate::task::seed_state::SeedState;
use crate::task::whence::Whence;

/// Free seeds that a P keeps, at most.
const CACHED_MAX: usize = 64;
const BATCH: usize = CACHED_MAX / 2;
/// Seeds that are made at a time.
const CHUNK: usize = 1024;

type Chunk = &'static [Seed];

/// Memory of a seed for a germ, with a closure of five words. More would cost those who live on
/// after a burst, fewer would let more closures go to the heap.
pub(crate) type Room = [MaybeUninit<usize>; ROOM_WORDS];
const ROOM_WORDS: usize = 9;

/// See the top of this file.
#[derive(Debug)]
pub(crate) struct Seed {
    pub(crate) state: SeedState,
    /// Of the goroutine that `state` names.
    pub(crate) spawned_at: Whence,
    room: UnsafeCell<Room>,
}

// SAFETY: the room is touched only by who spawns the goroutine, then by the owner of its queue
// entry: the queue hands it over.
unsafe impl Sync for Seed {}

impl Seed {
    fn new() -> Seed {
        Seed {
            state: SeedState::new(),
            spawned_at: Whence::new(),
            room: UnsafeCell::new([MaybeUninit::uninit(); ROOM_WORDS]),
        }
    }

    /// Its room: the caller's, if the seed is free and his, or in a queue entry of his.
    pub(crate) fn room(&self) -> *mut Room {
        self.room.get()
    }

    /// Makes a free seed, whose room is filled, stand for goroutine `id`.
    pub(crate) fn plant(&self, id: u64, spawned_at: &'static Location<'static>) {
        self.spawned_at.set(spawned_at);
        self.state.plant(id);
    }
}

/// The chunks of a runtime, and seeds of them that no P keeps. Nobody is suspended who holds this
/// lock, or that of the chunks of ended runtimes: Ms wait for it.
#[derive(Debug, Default)]
pub(crate) struct Seeds(Mutex<Store>);

#[derive(Debug, Default)]
struct Store {
    chunks: Vec<Chunk>,
    free: Vec<&'static Seed>,
}

/// Chunks of runtimes that have ended.
fn fallow() -> MutexGuard<'static, Vec<Chunk>> {
    static FALLOW: Mutex<Vec<Chunk>> = Mutex::new(Vec::new());
    FALLOW.lock().unwrap_or_else(PoisonError::into_inner)
}

fn new_chunk() -> Chunk {
    let chunk: Box<[Seed]> = (0..CHUNK).map(|_| Seed::new()).collect();
    Box::leak(chunk)
}

impl Seeds {
    fn store(&self) -> MutexGuard<'_, Store> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All seeds of the runtime.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &'static Seed> {
        let chunks = unsuspended(|| self.store().chunks.clone());
        chunks.into_iter().flatten()
    }
}

impl Drop for Seeds {
    fn drop(&mut self) {
        let store = self.0.get_mut().unwrap_or_else(PoisonError::into_inner);
        let chunks = std::mem::take(&mut store.chunks);
        let ended = |chunk: &Chunk| chunk.iter().all(|seed| seed.state.id() == 0);
        let chunks = chunks.into_iter().filter(ended);
        unsuspended(|| fallow().extend(chunks));
    }
}

/// Free seeds of one P.
#[derive(Debug, Default)]
pub(crate) struct SeedCache(Vec<&'static Seed>);

impl SeedCache {
    /// A free seed.
    pub(crate) fn take(&mut self, seeds: &Seeds) -> &'static Seed {
        if let Some(seed) = self.0.pop() {
            return seed;
        }
        let mut store = seeds.store();
        if store.free.is_empty() {
            let fallow = fallow().pop();
            let chunk = fallow.unwrap_or_else(new_chunk);
            store.chunks.push(chunk);
            store.free.extend(chunk.iter().rev());
        }
        let kept = store.free.len().saturating_sub(BATCH);
        self.0.extend(store.free.drain(kept..));
        self.0.pop().expect("a batch is not empty")
    }

    /// Takes back a seed whose goroutine has ended, or is asked for here no more.
    pub(crate) fn give(&mut self, seed: &'static Seed, seeds: &Seeds) {
        seed.state.end();
        if self.0.len() == CACHED_MAX {
            seeds.store().free.extend(self.0.drain(..BATCH));
        }
        self.0.push(seed);
    }

    /// Gives all of them away.
    pub(crate) fn flush(&mut self, seeds: &Seeds) {
        if !self.0.is_empty() {
            seeds.store().free.append(&mut self.0);
        }
    }
}
