//! The lock of what is waited for: held for a few instructions, never while anybody parks.
//!
//! Its holder is pinned: it is not suspended at the end of its slice, so nobody waits for long. No
//! code of the program runs under it: no clone, no drop of a value, no waker.
//!
//! A guard knows no poison, so it is two words, which stay in registers; and a release is no locked
//! instruction (`lock_word.rs`).

#![expect(unsafe_code, reason = "gives out what it protects")]

use std::cell::UnsafeCell;
use std::fmt;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::sync::atomic::AtomicU32;

use super::lock_word::LockWord;
use crate::sched::header::G;
use crate::sched::machine::{pin, unpin};
use crate::sys::futex;

/// Pauses between two looks of one who finds it held: more each time, then he sleeps. They are many
/// from the start: each look takes the holder's line away from him, and while nobody looks, a
/// holder who comes again has the lock, and what it protects, in his own cache. With a look at each
/// pause, a message of four senders and four receivers on two cores took 190 ns, so it takes 48.
const PAUSES_MIN: u32 = 8;
const PAUSES_MAX: u32 = 128;

/// See the top of this file.
pub(crate) struct Lock<T> {
    words: LockWord,
    value: UnsafeCell<T>,
}

// SAFETY: thread A's guard is the only access until its release; thread B's `take` comes after.
unsafe impl<T: Send> Sync for Lock<T> {}

impl<T> Lock<T> {
    pub(crate) const fn new(value: T) -> Lock<T> {
        Lock {
            words: LockWord::of(AtomicU32::new(0), AtomicU32::new(0)),
            value: UnsafeCell::new(value),
        }
    }

    /// Locks, and pins the caller if it is a goroutine.
    #[inline(always)]
    pub(crate) fn lock(&self) -> Guard<'_, T> {
        let g = G::current().filter(|g| !g.machine().pin.is_set());
        if let Some(g) = g {
            pin(g);
        }
        if !self.words.take() {
            self.wait();
        }
        Guard {
            lock: self,
            g,
            _of_this_thread: PhantomData,
        }
    }

    #[cold]
    #[inline(never)]
    fn wait(&self) {
        let mut pauses = PAUSES_MIN;
        while pauses <= PAUSES_MAX {
            for _ in 0..pauses {
                std::hint::spin_loop();
            }
            pauses *= 2;
            if self.words.is_free() && self.words.take() {
                return;
            }
        }
        while !self.words.take_or_note() {
            let (word, value) = self.words.bed();
            futex::wait(word, value, None);
        }
    }
}

impl<T> fmt::Debug for Lock<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lock").finish_non_exhaustive()
    }
}

/// A held [`Lock`].
pub(crate) struct Guard<'a, T> {
    lock: &'a Lock<T>,
    /// The goroutine that was pinned for it. It keeps its machine as long as it is.
    g: Option<&'a G>,
    _of_this_thread: PhantomData<*const ()>,
}

impl<T> Guard<'_, T> {
    /// Itself, if it may be held until the closure that begins a park releases it: not by a
    /// goroutine in a blocking call, which comes back from that first, and not by one with hooks,
    /// which run first. `None`: it is released.
    #[inline]
    pub(crate) fn across_park(self) -> Option<Self> {
        let is_special = self.g.is_some_and(|g| g.blocking.or_watched());
        (!is_special).then_some(self)
    }
}

impl<T> Deref for Guard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: the lock is held, and the guard borrowed.
        unsafe { &*self.lock.value.get() }
    }
}

impl<T> DerefMut for Guard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: the lock is held, and the guard borrowed for this alone.
        unsafe { &mut *self.lock.value.get() }
    }
}

impl<T> Drop for Guard<'_, T> {
    #[inline(always)]
    fn drop(&mut self) {
        // Unlocked first: whoever waits for the lock must not wait for a suspended thread.
        if self.lock.words.release() {
            futex::wake(self.lock.words.bed().0);
        }
        if let Some(g) = self.g {
            unpin(g.machine());
        }
    }
}
