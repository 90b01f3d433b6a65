//! A P's own free stacks: taken and given back without any shared word or system call.
//!
//! One LIFO per class, 64 stacks deep. A full list sends its older half to the depot as a chain, an
//! empty one takes a chain from there or carves a slot. A stack that grew beyond 1 MiB is cut down
//! before it is cached, and one that leaves for the depot is cut to its first window: what grown
//! stacks keep is bounded by caches, not by goroutines.

use std::io;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use crate::arena::Arena;
use crate::layout::{Class, LIMIT_BYTES_MAX, Slot};
use crate::stack::Stack;

const CACHED_MAX: usize = 64;
const CHAIN: usize = CACHED_MAX / 2;

/// Free stacks with a first window of one size.
#[derive(Debug)]
pub struct StackCache {
    pub(crate) arena: &'static Arena,
    pub(crate) window: usize,
    free: [List; 3],
    /// Slots that were promised and not needed.
    pub(crate) unopened: [List; 3],
    /// Slots in all lists, for statistics: written here alone.
    gauge: Arc<AtomicU32>,
}

/// Numbers of slots, the newest last.
#[derive(Debug)]
pub(crate) struct List {
    slots: [u32; CACHED_MAX],
    len: usize,
}

impl List {
    const EMPTY: List = List {
        slots: [0; CACHED_MAX],
        len: 0,
    };

    #[inline]
    pub(crate) fn pop(&mut self) -> Option<u32> {
        self.len = self.len.checked_sub(1)?;
        Some(self.slots[self.len])
    }

    /// The list has room.
    #[inline]
    pub(crate) fn push(&mut self, index: u32) {
        self.slots[self.len] = index;
        self.len += 1;
    }

    #[inline]
    fn is_full(&self) -> bool {
        self.len == CACHED_MAX
    }

    pub(crate) fn is_half_full(&self) -> bool {
        self.len >= CHAIN
    }

    /// Takes the oldest, up to half of what there may be, linked to a chain: the first, and how
    /// many.
    pub(crate) fn take_chain(&mut self, arena: &Arena) -> Option<(u32, usize)> {
        let n = self.len.min(CHAIN);
        let out = &self.slots[..n];
        let first = *out.first()?;
        for (at, index) in out.iter().enumerate() {
            let next = out.get(at + 1).map_or(0, |index| index + 1);
            // Relaxed: the chain is published by the depot's Release.
            arena.record(*index).link.store(next, Ordering::Relaxed);
        }
        self.slots.copy_within(n..self.len, 0);
        self.len -= n;
        Some((first, n))
    }
}

static GAUGES: Mutex<Vec<Weak<AtomicU32>>> = Mutex::new(Vec::new());

impl StackCache {
    /// An empty cache whose stacks have a first window of at least `window_bytes`.
    ///
    /// # Errors
    /// `InvalidInput` for a window of 0 or above 1 GiB; what making the arena says.
    pub fn new(window_bytes: usize) -> io::Result<StackCache> {
        if !(1..=LIMIT_BYTES_MAX).contains(&window_bytes) {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!(
                    "stack window of {window_bytes} bytes is outside 1..={}",
                    LIMIT_BYTES_MAX
                ),
            ));
        }
        let arena = Arena::get_or_make()?;
        let gauge = Arc::new(AtomicU32::new(0));
        let mut gauges = GAUGES.lock().unwrap_or_else(PoisonError::into_inner);
        gauges.retain(|old| old.strong_count() > 0);
        gauges.push(Arc::downgrade(&gauge));
        drop(gauges);
        Ok(StackCache {
            arena,
            window: window_bytes,
            free: [List::EMPTY; 3],
            unopened: [List::EMPTY; 3],
            gauge,
        })
    }

    /// Stacks, and slots that were never opened, in all caches of the process.
    pub(crate) fn cached_everywhere() -> usize {
        let gauges = GAUGES.lock().unwrap_or_else(PoisonError::into_inner);
        let each =
            |gauge: &Weak<AtomicU32>| gauge.upgrade().map_or(0, |g| g.load(Ordering::Relaxed));
        gauges.iter().map(|gauge| each(gauge) as usize).sum()
    }

    /// A stack of the largest class not above `class` that has a free slot.
    ///
    /// # Errors
    /// `OutOfMemory` when no class has one, saying how many there are; or the kernel's refusal.
    #[inline]
    pub fn take(&mut self, class: Class) -> io::Result<Stack> {
        match self.take_cached(class) {
            Some(stack) => Ok(stack),
            None => self.take_slow(class),
        }
    }

    /// A stack of this class that lies in this cache.
    #[inline]
    pub fn take_cached(&mut self, class: Class) -> Option<Stack> {
        let index = self.free[class as usize].pop()?;
        self.count(-1);
        Some(Stack::own(self.arena, Slot { index, class }))
    }

    #[cold]
    fn take_slow(&mut self, class: Class) -> io::Result<Stack> {
        for class in Class::ALL.into_iter().filter(|c| *c >= class) {
            if let Some(stack) = self.take_free(class) {
                return Ok(stack);
            }
            if let Some(promise) = self.unopened(class, class)? {
                return self.open(promise);
            }
            // A chain may be out for trimming: wait for it before giving up.
            self.arena.await_trimming();
            if let Some(stack) = self.take_free(class) {
                return Ok(stack);
            }
        }
        let counts = Class::ALL.map(|c| self.arena.geometry.count(c));
        Err(io::Error::new(
            io::ErrorKind::OutOfMemory,
            format!(
                "no free stack up to {} bytes: the arena of {} bytes has {} slots of 1 GiB, \
                 {} of 16 MiB and {} of 64 KiB",
                class.limit_bytes(),
                self.arena.reserved_bytes,
                counts[0],
                counts[1],
                counts[2]
            ),
        ))
    }

    /// Whether there is a stack of this very class in the cache; an empty list is filled from the
    /// depot first.
    pub(crate) fn refill(&mut self, class: Class) -> bool {
        if self.free[class as usize].len == 0 {
            let Some(first) = self.arena.pop_chain(class) else {
                return false;
            };
            self.fill(class, first);
        }
        true
    }

    /// A stack of this very class from the cache or the depot.
    pub(crate) fn take_free(&mut self, class: Class) -> Option<Stack> {
        self.refill(class)
            .then(|| self.take_cached(class))
            .flatten()
    }

    /// Adds a chain from the depot to an empty list.
    fn fill(&mut self, class: Class, first: u32) {
        let arena = self.arena;
        let mut n = 0;
        for index in arena.chain_iter(first) {
            let slot = Slot { index, class };
            // On refusal the stack stays as it is: a smaller first window grows by fault.
            let _ = arena.prepare(slot, self.window);
            self.free[class as usize].push(index);
            n += 1;
        }
        self.count(n);
    }

    /// Takes a stack back on which nothing runs or lives any more.
    #[inline]
    pub fn give(&mut self, stack: Stack) {
        let slot = stack.into_slot();
        if self.arena.is_overgrown(slot) {
            self.arena.shrink(slot, self.window);
        }
        if self.free[slot.class as usize].is_full() {
            self.spill(slot.class);
        }
        self.free[slot.class as usize].push(slot.index);
        self.count(1);
    }

    /// Sends the oldest stacks of a class to the depot: false if there is none.
    #[cold]
    fn spill(&mut self, class: Class) -> bool {
        let Some((first, n)) = self.free[class as usize].take_chain(self.arena) else {
            return false;
        };
        for index in self.arena.chain_iter(first) {
            self.arena.shrink(Slot { index, class }, self.window);
        }
        self.arena.give_chain(class, first);
        self.count(-(n as i32));
        true
    }

    /// Gives every cached stack, and every slot, to the depots.
    pub fn flush(&mut self) {
        for class in Class::ALL {
            while self.spill(class) || self.spill_unopened(class) {}
        }
    }

    #[inline]
    pub(crate) fn count(&self, change: i32) {
        // Relaxed: a statistic with one writer.
        let now = self.gauge.load(Ordering::Relaxed);
        self.gauge
            .store(now.wrapping_add_signed(change), Ordering::Relaxed);
    }
}

impl Drop for StackCache {
    fn drop(&mut self) {
        self.flush();
    }
}
