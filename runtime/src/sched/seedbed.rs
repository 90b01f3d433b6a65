//! Seeds for which a P had no room: of those who have never run the newest go first.
//!
//! Of a burst, or of a tree of goroutines that spawn others and wait for them, more are planted at
//! once than the caches hold. Seed and closure of the newest are still there, and what it spawns in
//! its turn is planted where something has just been freed; those of the oldest have gone. A leaf
//! of a tree with a million took 310 ns like this, and 650 first in, first out.
//!
//! Only seeds come here, out of the older half of a ring that was full: who has run once takes
//! turns with the others, first in, first out. One look of many (`find.rs`) takes the oldest, so
//! that none stays behind newer ones for ever.
//!
//! # Invariants
//!
//! 1. `len` is the length of the queue; both change under the lock. Who puts seeds here submits
//!    after that (`idle.rs`, S1), and who goes to sleep looks at `len` (I4).
//! 2. Whoever holds the lock is not suspended, and neither allocates nor frees: Ms wait for it, and
//!    one that is suspended may hold a lock of the allocator.
//!
//! Modelled in `tests/loom_seedbed.rs`, with a seeded bug: `put_against_sleep`.

use std::collections::VecDeque;

use crate::queue::local::Word;
use crate::shim::{AtomicUsize, Mutex, Ordering};

/// Seeds that an M takes at a time.
pub(crate) const BATCH: usize = 16;
/// Room that is kept when nothing is here, and the least that is made.
const KEPT: usize = 4096;

/// See the top of this file.
#[derive(Debug)]
pub(crate) struct Seedbed {
    queue: Mutex<VecDeque<Word>>,
    len: AtomicUsize,
}

impl Seedbed {
    pub(crate) fn new() -> Seedbed {
        Seedbed {
            queue: Mutex::new(VecDeque::new()),
            len: AtomicUsize::new(0),
        }
    }

    /// Puts seeds here, the oldest first.
    pub(crate) fn put(&self, seeds: &[Word]) {
        if seeds.is_empty() {
            return;
        }
        loop {
            let mut queue = self.queue.lock().unwrap();
            if queue.capacity() - queue.len() >= seeds.len() {
                queue.extend(seeds);
                self.len.store(queue.len(), Ordering::Relaxed);
                return;
            }
            let wanted = (2 * queue.capacity()).max(KEPT);
            drop(queue);
            self.grow(VecDeque::with_capacity(wanted));
        }
    }

    /// Room for more, made without the lock. The old room is given back without it, too.
    fn grow(&self, mut larger: VecDeque<Word>) {
        let mut queue = self.queue.lock().unwrap();
        if queue.capacity() < larger.capacity() {
            larger.extend(queue.iter());
            std::mem::swap(&mut *queue, &mut larger);
        }
        drop(queue);
    }

    /// Takes the oldest.
    pub(crate) fn oldest(&self) -> Option<Word> {
        if self.len() == 0 {
            return None;
        }
        self.change(VecDeque::pop_front)
    }

    /// Takes the newest, at most `BATCH`, and at most `share`, but one in any case; the oldest of
    /// them first: how many there were.
    pub(crate) fn newest(&self, share: usize, out: &mut [Word; BATCH]) -> usize {
        if self.len() == 0 {
            return 0;
        }
        self.change(|queue| {
            let n = queue.len().min(share.clamp(1, BATCH));
            let kept = queue.len() - n;
            for (slot, seed) in out.iter_mut().zip(queue.drain(kept..)) {
                *slot = seed;
            }
            n
        })
    }

    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.len.load(Ordering::Relaxed)
    }

    fn change<T>(&self, f: impl FnOnce(&mut VecDeque<Word>) -> T) -> T {
        let mut queue = self.queue.lock().unwrap();
        let result = f(&mut queue);
        self.len.store(queue.len(), Ordering::Relaxed);
        let much = queue.is_empty() && queue.capacity() > KEPT;
        let room = much.then(|| std::mem::take(&mut *queue));
        drop(queue);
        drop(room);
        result
    }
}

#[cfg(all(test, gopark_loom))]
#[path = "tests/loom_seedbed.rs"]
mod loom_seedbed;
