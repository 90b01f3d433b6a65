//! Seeds for which a P had no room: of those who have never run the newest go first, while they are
//! warm.
//!
//! Of a burst, or of a tree of goroutines that spawn others and wait for them, more are planted at
//! once than the caches hold. Seed and closure of the newest are still there, and what it spawns in
//! its turn is planted where something has just been freed; those of the oldest have gone. A leaf
//! of a tree with a million took 310 ns like this, and 650 first in, first out. Among seeds that
//! are cold the oldest goes first, as is fair.
//!
//! Only seeds come here, out of the older half of a ring that was full: who has run once takes
//! turns with the others, first in, first out. One look of many (`find.rs`) takes the oldest, so
//! that none stays behind warm ones for ever.
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

/// The newest, of which the caches may hold something.
const WARM: usize = 4096;
/// Room that is kept when nothing is here, and the least that is made.
const KEPT: usize = 4096;

/// See the top of this file.
#[derive(Debug)]
pub(crate) struct Seedbed {
    rows: Mutex<Rows>,
    len: AtomicUsize,
}

/// All seeds, the oldest first.
#[derive(Debug, Default)]
struct Rows {
    seeds: VecDeque<Word>,
    /// So many of the newest are warm.
    warm: usize,
}

impl Seedbed {
    pub(crate) fn new() -> Seedbed {
        Seedbed {
            rows: Mutex::new(Rows::default()),
            len: AtomicUsize::new(0),
        }
    }

    /// Puts seeds here, the oldest first.
    pub(crate) fn put(&self, seeds: &[Word]) {
        if seeds.is_empty() {
            return;
        }
        loop {
            let mut rows = self.rows.lock().unwrap();
            if rows.seeds.capacity() - rows.seeds.len() >= seeds.len() {
                rows.seeds.extend(seeds);
                rows.warm = (rows.warm + seeds.len()).min(WARM);
                self.len.store(rows.seeds.len(), Ordering::Relaxed);
                return;
            }
            let wanted = (2 * rows.seeds.capacity()).max(KEPT);
            drop(rows);
            self.grow(VecDeque::with_capacity(wanted));
        }
    }

    /// Room for more, made without the lock. The old room is given back without it, too.
    fn grow(&self, mut larger: VecDeque<Word>) {
        let mut rows = self.rows.lock().unwrap();
        if rows.seeds.capacity() < larger.capacity() {
            larger.extend(rows.seeds.iter());
            std::mem::swap(&mut rows.seeds, &mut larger);
        }
        drop(rows);
    }

    /// Takes the oldest.
    pub(crate) fn oldest(&self) -> Option<Word> {
        if self.len() == 0 {
            return None;
        }
        self.take(|rows| rows.seeds.pop_front())
    }

    /// Takes the newest, if they are warm, or the oldest: at most `most`, and what `out` has room
    /// for. In the order in which they came; returns how many there were.
    pub(crate) fn batch(&self, most: usize, out: &mut [Word]) -> usize {
        if self.len() == 0 {
            return 0;
        }
        let most = most.min(out.len());
        self.take(|rows| {
            let len = rows.seeds.len();
            let range = if rows.warm == 0 {
                0..most.min(len)
            } else {
                len - most.min(rows.warm)..len
            };
            let n = range.len();
            rows.warm = rows.warm.saturating_sub(n);
            let taken = rows.seeds.drain(range);
            out.iter_mut()
                .zip(taken)
                .for_each(|(slot, seed)| *slot = seed);
            n
        })
    }

    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.len.load(Ordering::Relaxed)
    }

    fn take<T>(&self, f: impl FnOnce(&mut Rows) -> T) -> T {
        let mut rows = self.rows.lock().unwrap();
        let result = f(&mut rows);
        let len = rows.seeds.len();
        rows.warm = rows.warm.min(len);
        self.len.store(len, Ordering::Relaxed);
        let much = len == 0 && rows.seeds.capacity() > KEPT;
        let room = much.then(|| std::mem::take(&mut rows.seeds));
        drop(rows);
        drop(room);
        result
    }
}

#[cfg(all(test, gopark_loom))]
#[path = "tests/loom_seedbed.rs"]
mod loom_seedbed;
