//! `lock.rs` under the model checker: loom's mutex.
//!
//! A model that has failed unwinds, and loom allows nothing any more: destructors go on without the
//! mutex, alone on the only thread.

#![expect(unsafe_code, reason = "gives out what it protects")]

use std::cell::UnsafeCell;
use std::fmt;
use std::ops::{Deref, DerefMut};

use loom::sync::{Mutex, MutexGuard};

pub(crate) struct Lock<T> {
    mutex: Mutex<()>,
    value: UnsafeCell<T>,
}

// SAFETY: as of a mutex: whoever reaches the value holds the lock, or is alone.
unsafe impl<T: Send> Sync for Lock<T> {}

impl<T> Lock<T> {
    pub(crate) fn new(value: T) -> Lock<T> {
        Lock {
            mutex: Mutex::new(()),
            value: UnsafeCell::new(value),
        }
    }

    pub(crate) fn lock(&self) -> Guard<'_, T> {
        let has_failed = std::thread::panicking();
        Guard {
            _held: (!has_failed).then(|| self.mutex.lock().unwrap()),
            value: &self.value,
        }
    }
}

impl<T> fmt::Debug for Lock<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lock").finish_non_exhaustive()
    }
}

pub(crate) struct Guard<'a, T> {
    _held: Option<MutexGuard<'a, ()>>,
    value: &'a UnsafeCell<T>,
}

impl<T> Guard<'_, T> {
    /// Nobody is in a blocking call here.
    pub(crate) fn across_park(self) -> Option<Self> {
        Some(self)
    }
}

impl<T> Deref for Guard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: the lock is held, and the guard borrowed.
        unsafe { &*self.value.get() }
    }
}

impl<T> DerefMut for Guard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: the lock is held, and the guard borrowed for this alone.
        unsafe { &mut *self.value.get() }
    }
}
