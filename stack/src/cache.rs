//! A P's own free stacks: taken and given back without any shared word or system call.
//!
//! One LIFO per class, 64 stacks deep. A full list sends its older half to the depot as a chain, an
//! empty one takes a chain from there or carves a slot. A stack that grew beyond 1 MiB is cut down
//! before it is cached, and one that leaves for the depot is cut to its first window: what grown
//! stacks keep is bounded by caches, not by goroutines.

use std::io;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use crate::arena::{Arena, KEEP_WINDOW_BYTES_MAX};
use crate::layout::{Class, LIMIT_BYTES_MAX, Slot};
use crate::stack::Stack;

const CACHED_MAX: usize = 64;
const CHAIN: usize = CACHED_MAX / 2;

/// Free stacks with a first window of one size.
#[derive(Debug)]
pub struct StackCache {
    arena: &'static Arena,
    window: usize,
    free: [List; 3],
    /// Stacks in `free`, for statistics: written here alone.
    gauge: Arc<AtomicU32>,
}

#[derive(Debug)]
struct List {
    slots: [u32; CACHED_MAX],
    len: usize,
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
        let free = std::array::from_fn(|_| List {
            slots: [0; CACHED_MAX],
            len: 0,
        });
        Ok(StackCache {
            arena,
            window: window_bytes,
            free,
            gauge,
        })
    }

    /// Stacks in all caches of the process.
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
        let list = &mut self.free[class as usize];
        if list.len > 0 {
            list.len -= 1;
            let index = list.slots[list.len];
            self.count(-1);
            return Ok(Stack::own(self.arena, Slot { index, class }));
        }
        self.take_slow(class)
    }

    #[cold]
    fn take_slow(&mut self, class: Class) -> io::Result<Stack> {
        for class in Class::ALL.into_iter().filter(|c| *c >= class) {
            if self.free[class as usize].len == 0 {
                let Some(first) = self.arena.take(class, self.window)? else {
                    continue;
                };
                self.fill(class, first);
            }
            let list = &mut self.free[class as usize];
            list.len -= 1;
            let slot = Slot {
                index: list.slots[list.len],
                class,
            };
            self.count(-1);
            let stack = Stack::own(self.arena, slot);
            return Ok(stack);
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

    fn fill(&mut self, class: Class, first: u32) {
        let arena = self.arena;
        let mut n = 0;
        for index in arena.chain_iter(first) {
            let slot = Slot { index, class };
            // On refusal the stack stays as it is: a smaller first window grows by fault.
            let _ = arena.prepare(slot, self.window);
            let list = &mut self.free[class as usize];
            list.slots[list.len] = index;
            list.len += 1;
            n += 1;
        }
        self.count(n);
    }

    /// Takes a stack back on which nothing runs or lives any more.
    #[inline]
    pub fn give(&mut self, stack: Stack) {
        let slot = stack.into_slot();
        if self
            .arena
            .window(slot)
            .is_some_and(|bytes| bytes > KEEP_WINDOW_BYTES_MAX)
            && slot.class != Class::Dense
        {
            self.arena.shrink(slot, self.window);
        }
        if self.free[slot.class as usize].len == CACHED_MAX {
            self.spill(slot.class, CHAIN);
        }
        let list = &mut self.free[slot.class as usize];
        list.slots[list.len] = slot.index;
        list.len += 1;
        self.count(1);
    }

    /// Sends the `n` oldest stacks of a class to the depot.
    #[cold]
    fn spill(&mut self, class: Class, n: usize) {
        let list = &mut self.free[class as usize];
        let (out, rest) = list.slots[..list.len].split_at(n);
        for pair in 0..out.len() {
            let slot = Slot {
                index: out[pair],
                class,
            };
            self.arena.shrink(slot, self.window);
            let next = out.get(pair + 1).map_or(0, |index| index + 1);
            // Relaxed: the chain is published by the depot's Release.
            self.arena
                .record(out[pair])
                .link
                .store(next, Ordering::Relaxed);
        }
        let first = out[0];
        let kept = rest.len();
        list.slots.copy_within(n..n + kept, 0);
        list.len = kept;
        self.arena.give_chain(class, first);
        self.count(-(n as i32));
    }

    /// Gives every cached stack to the depot.
    pub fn flush(&mut self) {
        for class in Class::ALL {
            while self.free[class as usize].len > 0 {
                let n = self.free[class as usize].len.min(CHAIN);
                self.spill(class, n);
            }
        }
    }

    fn count(&self, change: i32) {
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
