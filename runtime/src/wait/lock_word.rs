//! The words of a lock: held or not, and whether somebody may sleep.
//!
//! Who releases a lock must see whoever sleeps. With one word for both that is a locked instruction
//! at each release; with two words it is a store, a light fence and a load, and who goes to sleep
//! pays a heavy fence (`sys/asymmetric.rs`).
//!
//! *Release:* R1 the lock is free; R2 light fence; R3 look for sleepers, and if there may be some:
//! R4 take the note out, wake one.
//!
//! *Who has waited in vain:* W1 note that somebody sleeps; W2 try: it is mostly free for one who
//! was woken; W3 heavy fence; W4 try once more; W5 sleep on the note, as long as it is there, and
//! begin again.
//!
//! # Proof sketch
//!
//! By the fences R3 sees the note of W1, or W4 sees the lock of R1 free. Who takes the note out
//! wakes one who sleeps on it; W5 of one who does not sleep yet finds it gone. One who was woken
//! begins with W1, so there is a note again for the others, which his own release sees. So as long
//! as anybody sleeps there is the note, or somebody awake who will leave it before he has the lock
//! or sleeps.
//!
//! Sleeping on the other word would not do: between R4 and W5 somebody else may have the lock
//! again, who finds no note.
//!
//! # Invariants
//!
//! 1. Who releases uses the words after others may have the lock: they outlive the guard, not only
//!    the time under lock.
//!
//! Modelled in `tests/loom_lock_word.rs`, each with a seeded bug: `take_and_release`.

use crate::shim::{AtomicU32, Light, Ordering, heavy};

const FREE: u32 = 0;
const HELD: u32 = 1;
const NOBODY: u32 = 0;
const SOMEBODY: u32 = 1;

/// See the top of this file.
#[derive(Debug)]
pub(crate) struct LockWord {
    held: AtomicU32,
    sleepers: AtomicU32,
}

impl LockWord {
    /// A free lock, of two zeroes, which are made in another way under the model checker.
    pub(crate) const fn of(held: AtomicU32, sleepers: AtomicU32) -> LockWord {
        LockWord { held, sleepers }
    }

    /// Takes the lock, if it is free.
    #[inline(always)]
    pub(crate) fn take(&self) -> bool {
        // Acquire: pairs with the release.
        self.held
            .compare_exchange(FREE, HELD, Ordering::Acquire, Ordering::Relaxed)
            .is_ok()
    }

    /// A look that takes the line away from nobody for long.
    pub(crate) fn is_free(&self) -> bool {
        self.held.load(Ordering::Relaxed) == FREE
    }

    /// W1 to W4, by one who has waited in vain: takes the lock, or shall sleep.
    pub(crate) fn take_or_note(&self) -> bool {
        // A store would do; the model checker orders only a swap after that of a release.
        // Relaxed: ordered by the fence.
        self.sleepers.swap(SOMEBODY, Ordering::Relaxed);
        self.take() || {
            heavy();
            self.take()
        }
    }

    /// W5: the word to sleep on, and its value as long as nobody wakes.
    pub(crate) fn bed(&self) -> (&AtomicU32, u32) {
        (&self.sleepers, SOMEBODY)
    }

    /// R1 to R4, by the holder: whether he must wake one who sleeps on [`LockWord::bed`].
    #[inline(always)]
    pub(crate) fn release(&self) -> bool {
        let light = Light::chosen();
        // Release: pairs with `take`.
        self.held.store(FREE, Ordering::Release);
        light.fence();
        // Relaxed, both: a note is for the kernel, which looks at it again under its own lock.
        self.sleepers.load(Ordering::Relaxed) != NOBODY
            && self.sleepers.swap(NOBODY, Ordering::Relaxed) != NOBODY
    }
}

#[cfg(all(test, gopark_loom))]
#[path = "tests/loom_lock_word.rs"]
mod loom_lock_word;
