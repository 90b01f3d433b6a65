//! The local queue of a P: a ring of goroutines, and the one that runs next.
//!
//! ```text
//!   next: [ g ]          head             tail
//!                          v                v
//!   ring: [ .  .  .  .  . [a][b][c][d][e]  .  .  . ]    256 words; indices run freely
//! ```
//!
//! The M that holds the P (the *owner*) puts goroutines at the tail and takes them from the head;
//! other Ms (*thieves*) take half of the ring, or `next`. After Go's `runq` (proc.go, `runqput`,
//! `runqget`, `runqgrab`).
//!
//! # Invariants
//!
//! 1. Only the owner writes `tail`, the ring's words, and a `next` that is not zero.
//! 2. `tail - head` is at most the capacity; words outside `head..tail` belong to the owner.
//! 3. A word is taken by whoever moves `head` past it, once.
//! 4. While `alone` is set nobody but the owner takes, and the owner moves `head` and `next` with
//!    plain stores. Only the owner sets or clears it, when no other P exists.
//!
//! # Memory ordering
//!
//! A put publishes the word with a Release of `tail` (or `next`); a thief's Acquire takes over what
//! the owner wrote to the goroutine. A take frees the words with a Release of `head`; the owner's
//! Acquire in `push` keeps it from overwriting a word before it was read. Indices are 32 bits wide:
//! a thief that sleeps through exactly 2^32 takes would be deceived.
//!
//! # Rejected
//!
//! *crossbeam-deque's FIFO worker*, which was here before: 15.4 ns for a push and a pop instead of
//! 3.0 when there is one P and 9.0 otherwise; and loom cannot look into it.
//!
//! Modelled in `tests/loom_local.rs`: `steal_against_pop_against_next`, `two_thieves`,
//! `overflow_against_a_thief`, `moves_of_the_owner`, each with a seeded bug.

use crossbeam_utils::CachePadded;

use crate::shim::{AtomicU32, AtomicUsize, LOCAL_QUEUE_MAX as MAX, Ordering};

/// Half of the ring: what an overflow sends away, and the most that a thief takes.
pub(crate) const HALF: usize = MAX as usize / 2;

const _: () = assert!(MAX.is_power_of_two(), "indices are masked");

/// A goroutine as the queue sees it: an address, never 0.
pub(crate) type Word = usize;

/// See the top of this file.
#[derive(Debug)]
pub(crate) struct LocalQueue {
    head: CachePadded<AtomicU32>,
    tail: CachePadded<AtomicU32>,
    next: AtomicUsize,
    /// Invariant 4; 0 or 1.
    alone: AtomicU32,
    ring: CachePadded<[AtomicUsize; MAX as usize]>,
}

impl LocalQueue {
    pub(crate) fn new(alone: bool) -> LocalQueue {
        LocalQueue {
            head: CachePadded::new(AtomicU32::new(0)),
            tail: CachePadded::new(AtomicU32::new(0)),
            next: AtomicUsize::new(0),
            alone: AtomicU32::new(alone.into()),
            ring: CachePadded::new(std::array::from_fn(|_| AtomicUsize::new(0))),
        }
    }

    #[inline(always)]
    fn slot(&self, index: u32) -> &AtomicUsize {
        &self.ring[(index % MAX) as usize]
    }

    #[inline]
    fn is_alone(&self) -> bool {
        self.alone.load(Ordering::Relaxed) != 0
    }

    /// Says whether other Ps exist. For the owner, when none does.
    pub(crate) fn set_alone(&self, alone: bool) {
        self.alone.store(alone.into(), Ordering::Relaxed);
    }

    /// Puts `word` at the tail; gives it back when the ring is full. For the owner.
    #[inline]
    pub(crate) fn push(&self, word: Word) -> Result<(), Word> {
        // Acquire: takers have read the words that this may overwrite.
        let head = self.head.load(Ordering::Acquire);
        let tail = self.tail.load(Ordering::Relaxed);
        if tail.wrapping_sub(head) >= MAX {
            return Err(word);
        }
        self.slot(tail).store(word, Ordering::Relaxed);
        // Release: publishes the word and the goroutine behind it; pairs with `steal_into`.
        self.tail.store(tail.wrapping_add(1), Ordering::Release);
        Ok(())
    }

    /// Takes the head. For the owner.
    #[inline]
    pub(crate) fn pop(&self) -> Option<Word> {
        // Acquire: as in `push`, for the words that the owner writes next.
        let mut head = self.head.load(Ordering::Acquire);
        loop {
            if head == self.tail.load(Ordering::Relaxed) {
                return None;
            }
            let word = self.slot(head).load(Ordering::Relaxed);
            let after = head.wrapping_add(1);
            if self.is_alone() {
                // A store: invariant 4. Release: for `is_empty`, as the CAS.
                self.head.store(after, Ordering::Release);
                return Some(word);
            }
            // AcqRel: frees the word; a failure takes over what thieves have freed.
            match self
                .head
                .compare_exchange(head, after, Ordering::AcqRel, Ordering::Acquire)
            {
                Ok(_) => return Some(word),
                Err(now) => head = now,
            }
        }
    }

    /// Takes the older half out of a full ring, to be sent away. For the owner. Takes nothing when
    /// a thief made room meanwhile.
    #[cold]
    pub(crate) fn take_half(&self, out: &mut [Word; HALF]) -> usize {
        // Acquire: as in `pop`.
        let head = self.head.load(Ordering::Acquire);
        let n = self.tail.load(Ordering::Relaxed).wrapping_sub(head) / 2;
        for i in 0..n {
            out[i as usize] = self.slot(head.wrapping_add(i)).load(Ordering::Relaxed);
        }
        let after = head.wrapping_add(n);
        // AcqRel: frees the words.
        match self
            .head
            .compare_exchange(head, after, Ordering::AcqRel, Ordering::Relaxed)
        {
            Ok(_) => n as usize,
            Err(_) => 0,
        }
    }

    /// A thief, who owns `own`, an empty ring, takes half of this ring: one word is returned, the
    /// rest goes to `own`.
    pub(crate) fn steal_into(&self, own: &LocalQueue) -> Option<(Word, usize)> {
        let own_tail = own.tail.load(Ordering::Relaxed);
        loop {
            // Acquire: other takers have read what they freed.
            let head = self.head.load(Ordering::Acquire);
            // Acquire: pairs with `push`.
            let tail = self.tail.load(Ordering::Acquire);
            let len = tail.wrapping_sub(head);
            let n = len - len / 2;
            if n == 0 {
                return None;
            }
            // The two loads are of different moments.
            if n > MAX / 2 {
                continue;
            }
            for i in 0..n {
                let word = self.slot(head.wrapping_add(i)).load(Ordering::Relaxed);
                own.slot(own_tail.wrapping_add(i))
                    .store(word, Ordering::Relaxed);
            }
            let after = head.wrapping_add(n);
            // AcqRel: frees the words; fails if another taker came first.
            if self
                .head
                .compare_exchange(head, after, Ordering::AcqRel, Ordering::Relaxed)
                .is_err()
            {
                continue;
            }
            let last = own_tail.wrapping_add(n - 1);
            // Release: publishes the words to thieves of `own`.
            own.tail.store(last, Ordering::Release);
            return Some((own.slot(last).load(Ordering::Relaxed), n as usize));
        }
    }

    /// Makes `word` the next; whoever was next is returned. For the owner.
    #[inline]
    pub(crate) fn put_next(&self, word: Word) -> Option<Word> {
        let before = self.next.load(Ordering::Relaxed);
        if before == 0 || self.is_alone() {
            // Release: pairs with the Acquire of a thief. A store will do: only the owner replaces
            // zero (invariant 1), and alone nobody else looks.
            self.next.store(word, Ordering::Release);
            return (before != 0).then_some(before);
        }
        // AcqRel: as above, and a thief may be at it.
        let before = self.next.swap(word, Ordering::AcqRel);
        (before != 0).then_some(before)
    }

    /// Takes the next. For the owner.
    #[inline]
    pub(crate) fn take_next(&self) -> Option<Word> {
        let next = self.next.load(Ordering::Relaxed);
        if next == 0 {
            return None;
        }
        if self.is_alone() {
            // A store: invariant 4. Release: for `is_empty`, as the swap.
            self.next.store(0, Ordering::Release);
            return Some(next);
        }
        // AcqRel: a thief may be at it.
        let next = self.next.swap(0, Ordering::AcqRel);
        (next != 0).then_some(next)
    }

    /// Who is next, or 0.
    #[inline]
    pub(crate) fn peek_next(&self) -> Word {
        self.next.load(Ordering::Relaxed)
    }

    /// The word that is taken after `others` more, unless a thief comes first; `None`: there are
    /// not so many. For the owner.
    #[inline]
    pub(crate) fn ahead(&self, others: u32) -> Option<Word> {
        // Relaxed: only whoever takes the word may use what is behind it.
        let head = self.head.load(Ordering::Relaxed);
        let len = self.tail.load(Ordering::Relaxed).wrapping_sub(head);
        (len > others).then(|| {
            let at = self.slot(head.wrapping_add(others));
            at.load(Ordering::Relaxed)
        })
    }

    /// A thief takes `seen` if it is still next.
    pub(crate) fn steal_next(&self, seen: Word) -> Option<Word> {
        // AcqRel: pairs with the Release in `put_next`.
        let taken = self
            .next
            .compare_exchange(seen, 0, Ordering::AcqRel, Ordering::Relaxed);
        taken.ok().filter(|word| *word != 0)
    }

    /// Words in the ring, `next` excluded; of one moment only for the owner.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        let head = self.head.load(Ordering::Relaxed);
        let tail = self.tail.load(Ordering::Relaxed);
        (tail.wrapping_sub(head) as i32).max(0) as usize
    }

    /// Whether there is nothing, `next` included. Never true while something has been there all
    /// the time: a move from `next` to the ring puts it into the ring first.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        loop {
            // Acquire: the three looks happen in this order.
            let tail = self.tail.load(Ordering::Acquire);
            let head = self.head.load(Ordering::Acquire);
            let next = self.next.load(Ordering::Acquire);
            // The same tail twice: the looks between were of one moment, as far as puts go.
            if tail == self.tail.load(Ordering::Relaxed) {
                return head == tail && next == 0;
            }
        }
    }

    /// `pop` without a CAS: the bug that the model must find.
    #[cfg(all(test, gopark_loom))]
    pub(crate) fn pop_seeded(&self) -> Option<Word> {
        // Acquire as in the real one.
        let head = self.head.load(Ordering::Acquire);
        if head == self.tail.load(Ordering::Relaxed) {
            return None;
        }
        let word = self.slot(head).load(Ordering::Relaxed);
        // Release as in the real one.
        self.head.store(head.wrapping_add(1), Ordering::Release);
        Some(word)
    }

    /// `take_next` without a swap: the bug that the model must find.
    #[cfg(all(test, gopark_loom))]
    pub(crate) fn take_next_seeded(&self) -> Option<Word> {
        let next = self.next.load(Ordering::Relaxed);
        self.next.store(0, Ordering::Relaxed);
        (next != 0).then_some(next)
    }

    /// `take_half` without a CAS: the bug that the model must find.
    #[cfg(all(test, gopark_loom))]
    pub(crate) fn take_half_seeded(&self, out: &mut [Word; HALF]) -> usize {
        let taken = out.iter_mut().map_while(|slot| {
            *slot = self.pop_seeded()?;
            Some(())
        });
        taken.count()
    }

    /// `is_empty` with one look at the tail: the bug that the model must find.
    #[cfg(all(test, gopark_loom))]
    pub(crate) fn is_empty_seeded(&self) -> bool {
        // Acquire, as in the real one.
        let tail = self.tail.load(Ordering::Acquire);
        let head = self.head.load(Ordering::Acquire);
        head == tail && self.next.load(Ordering::Acquire) == 0
    }
}

#[cfg(all(test, gopark_loom))]
#[path = "tests/loom_local.rs"]
mod loom_local;

#[cfg(all(test, not(gopark_loom)))]
#[path = "tests/local.rs"]
mod tests;
