//! P: the right to run one goroutine, and what belongs to it.
//!
//! Shared with others: the word that says who holds it, the queue, the timers, the counters.
//! Everything else is `Local`, which the M that holds the P uses without any atomic.

#![expect(unsafe_code, reason = "gives the M that holds a P its local state")]

use std::cell::UnsafeCell;
use std::io;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};

use crossbeam_utils::CachePadded;
use gopark_stack::{Stack, StackCache};

use crate::queue::local::LocalQueue;
use crate::sched::claims::Ahead;
use crate::sched::global::GlobalTurn;
use crate::sched::haste::Haste;
use crate::sched::hold::Hold;
use crate::sched::place::Place;
use crate::sched::seed::{Seed, SeedCache, Seeds};
use crate::sched::timers::Timers;

/// Ids are taken from the process-wide counter in batches.
const ID_BATCH: u64 = 16;

/// A P.
pub(crate) struct Processor {
    pub(crate) index: usize,
    pub(crate) hold: CachePadded<Hold>,
    pub(crate) queue: LocalQueue,
    pub(crate) haste: Haste,
    pub(crate) counts: Counts,
    pub(crate) timers: CachePadded<Timers>,
    local: UnsafeCell<Local>,
}

/// What a P has done; each has one writer, the M that holds the P, but for the last two, which are
/// sysmon's.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    /// Slices begun: a goroutine from `runnext` continues the slice of the one before.
    pub(crate) ticks: Count,
    pub(crate) spawned: Count,
    pub(crate) ended: Count,
    /// Goroutines taken from other Ps.
    pub(crate) steals: Count,
    /// Times that a full queue sent half of itself to the global one.
    pub(crate) overflows: Count,
    pub(crate) parks: Count,
    /// `blocking` calls that have come back.
    pub(crate) blocks: Count,
    pub(crate) retakes: Count,
    pub(crate) preemptions: Count,
}

/// A counter with one writer.
#[derive(Debug, Default)]
pub(crate) struct Count(AtomicU64);

impl Count {
    /// For its one writer.
    #[inline]
    pub(crate) fn add(&self, n: u64) {
        let now = self.0.load(Ordering::Relaxed);
        // Release: see `Shared::live`.
        self.0.store(now + n, Ordering::Release);
    }

    #[inline]
    pub(crate) fn get(&self) -> u64 {
        // Acquire: see `Shared::live`.
        self.0.load(Ordering::Acquire)
    }
}

/// What only the M that holds the P touches.
pub(crate) struct Local {
    pub(crate) supply: Supply,
    pub(crate) random: Random,
    /// Which of the global queues is looked at first next time.
    pub(crate) turn: GlobalTurn,
    /// How often in a row claims went before the queues.
    pub(crate) ahead: Ahead,
}

/// What a spawn takes from.
#[derive(Debug)]
pub(crate) struct Supply {
    pub(crate) stacks: StackCache,
    pub(crate) seeds: SeedCache,
    pub(crate) ids: Ids,
}

impl Supply {
    pub(crate) fn new(window: usize) -> io::Result<Supply> {
        Ok(Supply {
            stacks: StackCache::new(window)?,
            seeds: SeedCache::default(),
            ids: Ids::default(),
        })
    }

    /// Takes back what a goroutine had that has ended.
    #[inline]
    pub(crate) fn take_back(&mut self, stack: Stack, seed: Option<&'static Seed>, seeds: &Seeds) {
        self.stacks.give(stack);
        if let Some(seed) = seed {
            self.seeds.give(seed, seeds);
        }
    }

    /// Gives away what others may want.
    pub(crate) fn flush(&mut self, seeds: &Seeds) {
        self.stacks.flush();
        self.seeds.flush(seeds);
    }
}

// SAFETY: `local` is reached only through `Processor::local`, whose caller holds the P; a P changes
// hands through the word of the P, the lock of the idle lists or the word of an M, which order the
// accesses.
unsafe impl Sync for Processor {}
// SAFETY: as for Sync.
unsafe impl Send for Processor {}

impl std::fmt::Debug for Processor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Processor")
            .field("index", &self.index)
            .field("hold", &self.hold.seen())
            .finish_non_exhaustive()
    }
}

impl Processor {
    /// A P of nobody; `alone`: there is no other.
    pub(crate) fn new(
        index: usize,
        alone: bool,
        window: usize,
        seed: u64,
    ) -> io::Result<Processor> {
        Ok(Processor {
            index,
            hold: CachePadded::new(Hold::new()),
            queue: LocalQueue::new(alone),
            haste: Haste::new(),
            counts: Counts::default(),
            timers: CachePadded::new(Timers::new()),
            local: UnsafeCell::new(Local {
                supply: Supply::new(window)?,
                random: Random(
                    seed.wrapping_add(index as u64 + 1)
                        .wrapping_mul(0x9E37_79B9)
                        | 1,
                ),
                turn: GlobalTurn::default(),
                ahead: Ahead::default(),
            }),
        })
    }

    /// The local state.
    ///
    /// # Safety
    /// - the caller's M holds this P and is pinned, and is until the borrow ends: no switch in
    ///   between;
    /// - no other borrow is alive.
    #[inline]
    #[expect(clippy::mut_from_ref, reason = "the P is the right to this borrow")]
    pub(crate) unsafe fn local(&self) -> &mut Local {
        // SAFETY: the caller's promise.
        unsafe { &mut *self.local.get() }
    }

    /// Puts `g` next; whoever was next is returned. For the M that holds the P.
    #[inline]
    pub(crate) fn put_next(&self, g: Place) -> Option<Place> {
        self.queue.put_next(g.to_word()).map(Place::from_word)
    }

    /// Takes the next goroutine. For the M that holds the P.
    #[inline]
    pub(crate) fn take_next(&self) -> Option<Place> {
        self.queue.take_next().map(Place::from_word)
    }

    /// Whether a thief could find something here.
    pub(crate) fn has_work(&self) -> bool {
        !self.queue.is_empty()
    }

    /// Whether there is anything here for which an M without work should come.
    pub(crate) fn wants_help(&self) -> bool {
        let in_the_ring = self.queue.len();
        self.has_work() && (in_the_ring > 0 || !self.is_in_haste())
    }

    /// Whether its M runs, and is in haste.
    pub(crate) fn is_in_haste(&self) -> bool {
        self.haste.of(self.hold.seen()).is_some()
    }

    /// Takes the oldest of the queue. For the M that holds the P.
    #[inline]
    pub(crate) fn pop(&self) -> Option<Place> {
        self.queue.pop().map(Place::from_word)
    }
}

/// Goroutine ids that were never used before, taken from the process-wide counter in batches.
#[derive(Debug, Default)]
pub(crate) struct Ids(Range<u64>);

impl Ids {
    /// A fresh id. The first of all is 1: 0 means no goroutine.
    #[inline]
    pub(crate) fn next(&mut self) -> u64 {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        if self.0.is_empty() {
            let first = NEXT.fetch_add(ID_BATCH, Ordering::Relaxed);
            self.0 = first..first + ID_BATCH;
        }
        let id = self.0.start;
        self.0.start += 1;
        id
    }
}

/// xorshift64* (S. Vigna, 2014): for choices that need not be secret.
#[derive(Debug)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn next(&mut self) -> u32 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 32) as u32
    }
}
