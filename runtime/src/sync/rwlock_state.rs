//! The word of a readers-writer lock.
//!
//! ```text
//!   31        3       2            1          0
//!  +-----------+------------+----------+---------+
//!  |  readers  | WAITERS    | DRAINING | PENDING |
//!  +-----------+------------+----------+---------+
//! ```
//!
//! | `PENDING` | readers | meaning                                                      |
//! |-----------|---------|--------------------------------------------------------------|
//! | no        | n       | n readers; more may come                                     |
//! | yes       | n > 0   | a writer waits for n readers to leave; new readers queue     |
//! | yes       | 0       | a writer has the lock                                        |
//!
//! Writers meet on a mutex first, so there is one at a time here. A writer:
//!
//! 1. Takes the mutex.
//! 2. Sets `PENDING`. If there is no reader, it has the lock.
//! 3. Otherwise sets `DRAINING` under the queue's lock and waits for the last reader to answer.
//! 4. Unlocking: lets all readers in who wait, clears `PENDING`, unlocks the mutex.
//!
//! So a writer that waits stops new readers, and the readers that waited for a writer run before
//! the next one: neither starves. This is Go's lock.
//!
//! # Invariants
//!
//! 1. `PENDING` is set and cleared by the holder of the mutex.
//! 2. A reader is counted by itself when `PENDING` is clear, or by the writer that lets it in.
//! 3. `DRAINING` and `WAITERS` are set under the queue's lock, and imply `PENDING`.
//!
//! # Memory ordering
//!
//! Entering is Acquire and leaving Release, as in a mutex; a lock that is handed over goes through
//! the queue's lock. The step to `PENDING` is Acquire: it may be the one that gives the lock.
//!
//! Modelled in `tests/loom_rwlock.rs`, each with a seeded bug: `last_reader_against_writer`,
//! `reader_against_unlock`.

use crate::shim::{AtomicU32, Ordering};

const PENDING: u32 = 1;
const DRAINING: u32 = 1 << 1;
const WAITERS: u32 = 1 << 2;
const READER: u32 = 1 << 3;
const READERS_MAX: u32 = u32::MAX / READER - 1;

/// How an attempt to enter ended.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Enter {
    Entered,
    Wait,
}

/// What one who leaves must do.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Leave {
    Nothing,
    /// Look after those who wait.
    Wake,
}

/// See the top of this file.
#[derive(Debug)]
pub(crate) struct RwLockState(AtomicU32);

impl RwLockState {
    /// From a word that is 0.
    pub(crate) const fn of(word: AtomicU32) -> RwLockState {
        RwLockState(word)
    }

    /// A reader enters if no writer is there or waits.
    ///
    /// # Panics
    /// With 2^29 readers.
    #[inline]
    pub(crate) fn read(&self) -> Enter {
        let step = |word: u32| {
            assert!(
                word / READER < READERS_MAX,
                "gopark: an RwLock has too many readers"
            );
            (word & PENDING == 0).then_some(word + READER)
        };
        // Acquire: pairs with the Release of the last writer.
        match self
            .0
            .fetch_update(Ordering::Acquire, Ordering::Relaxed, step)
        {
            Ok(_) => Enter::Entered,
            Err(_) => Enter::Wait,
        }
    }

    /// A reader enters, or decides under the queue's lock to queue.
    pub(crate) fn read_or_queue(&self) -> Enter {
        let step = |word: u32| match word & PENDING {
            0 => Some(word + READER),
            _ => Some(word | WAITERS),
        };
        // Acquire: as in `read`.
        let before = self
            .0
            .fetch_update(Ordering::Acquire, Ordering::Relaxed, step);
        match before.unwrap_or_default() & PENDING {
            0 => Enter::Entered,
            _ => Enter::Wait,
        }
    }

    /// A reader leaves.
    #[inline]
    pub(crate) fn unread(&self) -> Leave {
        // Release: pairs with the Acquire of the next writer.
        let before = self.0.fetch_sub(READER, Ordering::Release);
        debug_assert!(before >= READER, "an unlock of an RwLock without readers");
        if before / READER == 1 && before & DRAINING != 0 {
            Leave::Wake
        } else {
            Leave::Nothing
        }
    }

    /// Under the queue's lock, by a reader that was the last: whether the writer still waits for
    /// that.
    pub(crate) fn drained(&self) -> bool {
        let step = |word: u32| {
            let is_over = word / READER == 0 && word & DRAINING != 0;
            is_over.then_some(word & !DRAINING)
        };
        // AcqRel: what the readers did goes to the writer.
        self.0
            .fetch_update(Ordering::AcqRel, Ordering::Relaxed, step)
            .is_ok()
    }

    /// The holder of the mutex wants to write.
    #[inline]
    pub(crate) fn write(&self) -> Enter {
        // Acquire: pairs with the Release of the last reader or writer.
        match self.0.fetch_or(PENDING, Ordering::Acquire) / READER {
            0 => Enter::Entered,
            _ => Enter::Wait,
        }
    }

    /// The holder of the mutex writes if there are no readers.
    pub(crate) fn try_write(&self) -> bool {
        // Acquire: as in `write`.
        self.0
            .compare_exchange(0, PENDING, Ordering::Acquire, Ordering::Relaxed)
            .is_ok()
    }

    /// A writer decides under the queue's lock whether to wait for readers.
    pub(crate) fn drain(&self) -> Enter {
        let step = |word: u32| (word / READER != 0).then_some(word | DRAINING);
        // Acquire: as in `write`.
        match self
            .0
            .fetch_update(Ordering::Relaxed, Ordering::Acquire, step)
        {
            Ok(_) => Enter::Wait,
            Err(_) => Enter::Entered,
        }
    }

    /// The writer leaves, or no longer wants to enter, if nobody waits.
    #[inline]
    pub(crate) fn unwrite(&self) -> Leave {
        let step = |word: u32| (word & WAITERS == 0).then_some(word & !(PENDING | DRAINING));
        // Release: pairs with the Acquire of the next reader or writer.
        match self
            .0
            .fetch_update(Ordering::Release, Ordering::Relaxed, step)
        {
            Ok(_) => Leave::Nothing,
            Err(_) => Leave::Wake,
        }
    }

    /// Under the queue's lock, by the writer: lets a reader in that is in the queue.
    pub(crate) fn let_in(&self) {
        // Relaxed: the reader is told under the lock.
        self.0.fetch_add(READER, Ordering::Relaxed);
    }

    /// Under the queue's lock, by the writer, when no reader is in the queue: leaves.
    pub(crate) fn open(&self) {
        // Release: as in `unwrite`.
        self.0
            .fetch_and(!(PENDING | DRAINING | WAITERS), Ordering::Release);
    }

    /// The writer becomes a reader as well; it then leaves as a writer.
    pub(crate) fn downgrade(&self) {
        self.0.fetch_add(READER, Ordering::Relaxed);
    }

    pub(crate) fn is_locked(&self) -> bool {
        self.0.load(Ordering::Relaxed) & !WAITERS != 0
    }

    pub(crate) fn is_writing(&self) -> bool {
        let word = self.0.load(Ordering::Relaxed);
        word & PENDING != 0 && word / READER == 0
    }

    /// `drain` on a stale look: the bug that the model must find.
    #[cfg(all(test, gopark_loom))]
    pub(crate) fn drain_seeded(&self) -> Enter {
        if self.0.load(Ordering::Relaxed) / READER == 0 {
            return Enter::Entered;
        }
        self.0.fetch_or(DRAINING, Ordering::Relaxed);
        Enter::Wait
    }

    /// `unwrite` on a stale look: the bug that the model must find.
    #[cfg(all(test, gopark_loom))]
    pub(crate) fn unwrite_seeded(&self) -> Leave {
        if self.0.load(Ordering::Relaxed) & WAITERS != 0 {
            return Leave::Wake;
        }
        // Release as in `unwrite`: the step is what is wrong.
        self.0.fetch_and(!PENDING, Ordering::Release);
        Leave::Nothing
    }
}

#[cfg(all(test, gopark_loom))]
#[path = "tests/loom_rwlock.rs"]
mod loom_rwlock;
