//! P: the right to run one goroutine, and what belongs to it.
//!
//! Shared with thieves: `runnext`, the stealer, the counters. Everything else is `Local`, which the
//! M that holds the P uses without any atomic.

#![expect(unsafe_code, reason = "gives the M that holds a P its local state")]

use std::cell::UnsafeCell;
use std::io;
use std::ops::Range;
use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicU64, Ordering};

use crossbeam_deque::{Stealer, Worker};
use crossbeam_utils::CachePadded;
use gopark_stack::StackCache;

use crate::sched::header::{G, GRef};

/// Ids are taken from the process-wide counter in batches.
const ID_BATCH: u64 = 16;

/// A P.
pub(crate) struct Processor {
    pub(crate) index: usize,
    /// The goroutine that runs next. Its M alone puts one there; thieves may take it out.
    runnext: CachePadded<AtomicPtr<G>>,
    pub(crate) stealer: Stealer<GRef>,
    /// Whether other Ps exist, whose Ms may take from `runnext`.
    has_thieves: bool,
    /// Goroutines spawned and ended here; each has one writer, the M that holds the P.
    spawned: AtomicU64,
    ended: AtomicU64,
    local: UnsafeCell<Local>,
}

/// What only the M that holds the P touches.
pub(crate) struct Local {
    pub(crate) worker: Worker<GRef>,
    pub(crate) stacks: StackCache,
    /// Dispatches; every 61st looks at the global queue first.
    pub(crate) tick: u32,
    pub(crate) random: Random,
    pub(crate) ids: Ids,
}

// SAFETY: `local` is reached only through `Processor::local`, whose caller holds the P; a P changes
// hands through the lock of the idle lists or a sleeper's word, which order the accesses.
unsafe impl Sync for Processor {}
// SAFETY: as for Sync.
unsafe impl Send for Processor {}

impl Processor {
    pub(crate) fn new(
        index: usize,
        procs: usize,
        window: usize,
        seed: u64,
    ) -> io::Result<Processor> {
        let worker = Worker::new_fifo();
        Ok(Processor {
            index,
            runnext: CachePadded::new(AtomicPtr::new(ptr::null_mut())),
            stealer: worker.stealer(),
            has_thieves: procs > 1,
            spawned: AtomicU64::new(0),
            ended: AtomicU64::new(0),
            local: UnsafeCell::new(Local {
                worker,
                stacks: StackCache::new(window)?,
                tick: 0,
                random: Random(
                    seed.wrapping_add(index as u64 + 1)
                        .wrapping_mul(0x9E37_79B9)
                        | 1,
                ),
                ids: Ids::default(),
            }),
        })
    }

    /// The local state.
    ///
    /// # Safety
    /// - the caller's M holds this P, and does until the borrow ends: no switch in between;
    /// - no other borrow is alive.
    #[inline]
    #[expect(clippy::mut_from_ref, reason = "the P is the right to this borrow")]
    pub(crate) unsafe fn local(&self) -> &mut Local {
        // SAFETY: the caller's promise.
        unsafe { &mut *self.local.get() }
    }

    /// Puts `g` next; whoever was next is returned. For the M that holds the P.
    #[inline]
    pub(crate) fn put_next(&self, g: GRef) -> Option<GRef> {
        // Relaxed: only this M puts goroutines there.
        if self.runnext.load(Ordering::Relaxed).is_null() {
            // Release: pairs with the Acquire of a thief. A plain store will do: nobody else
            // replaces null.
            self.runnext.store(g.as_ptr(), Ordering::Release);
            return None;
        }
        // AcqRel: as above, and a thief may be at it.
        GRef::from_ptr(self.runnext.swap(g.as_ptr(), Ordering::AcqRel))
    }

    /// Takes the next goroutine. For the M that holds the P.
    #[inline]
    pub(crate) fn take_next(&self) -> Option<GRef> {
        let next = self.runnext.load(Ordering::Relaxed);
        if next.is_null() {
            return None;
        }
        if !self.has_thieves {
            // Relaxed: this M put it there, and nobody else looks.
            self.runnext.store(ptr::null_mut(), Ordering::Relaxed);
            return GRef::from_ptr(next);
        }
        // AcqRel: a thief may be at it.
        GRef::from_ptr(self.runnext.swap(ptr::null_mut(), Ordering::AcqRel))
    }

    /// Whether something is next.
    #[inline]
    pub(crate) fn peek_next(&self) -> *mut G {
        self.runnext.load(Ordering::Relaxed)
    }

    /// A thief takes `seen` if it is still next.
    pub(crate) fn steal_next(&self, seen: *mut G) -> Option<GRef> {
        // AcqRel: pairs with the Release in `put_next`.
        let taken = self.runnext.compare_exchange(
            seen,
            ptr::null_mut(),
            Ordering::AcqRel,
            Ordering::Relaxed,
        );
        taken.ok().and_then(GRef::from_ptr)
    }

    /// Whether a thief could find something here.
    pub(crate) fn has_work(&self) -> bool {
        !self.peek_next().is_null() || !self.stealer.is_empty()
    }

    /// Counts a spawn. For the M that holds the P.
    #[inline]
    pub(crate) fn count_spawn(&self) {
        let n = self.spawned.load(Ordering::Relaxed);
        // Release: see `Shared::live`.
        self.spawned.store(n + 1, Ordering::Release);
    }

    /// Counts an end. For the M that holds the P.
    #[inline]
    pub(crate) fn count_end(&self) {
        let n = self.ended.load(Ordering::Relaxed);
        // Release: see `Shared::live`.
        self.ended.store(n + 1, Ordering::Release);
    }

    pub(crate) fn spawned(&self) -> u64 {
        // Acquire: see `Shared::live`.
        self.spawned.load(Ordering::Acquire)
    }

    pub(crate) fn ended(&self) -> u64 {
        // Acquire: see `Shared::live`.
        self.ended.load(Ordering::Acquire)
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
