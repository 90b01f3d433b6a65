//! The lock of what is waited for: held for a few instructions, never while anybody parks.
//!
//! Its holder is pinned: it is not suspended at the end of its slice, so nobody waits for long. No
//! code of the program runs under it: no clone, no drop of a value, no waker.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::sched::header::G;
use crate::sched::machine::{Machine, pin, unpin};

/// See the top of this file.
pub(crate) struct Lock<T>(Mutex<T>);

impl<T> Lock<T> {
    pub(crate) const fn new(value: T) -> Lock<T> {
        Lock(Mutex::new(value))
    }

    /// Locks, and pins the caller if it is a goroutine.
    #[inline]
    pub(crate) fn lock(&self) -> Guard<'_, T> {
        let free = G::current().filter(|g| !g.machine().pin.is_set());
        let m = free.map(pin);
        Guard {
            // Nothing under this lock panics half-way.
            value: Some(self.0.lock().unwrap_or_else(PoisonError::into_inner)),
            m,
        }
    }

    pub(crate) fn get_mut(&mut self) -> &mut T {
        self.0.get_mut().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> fmt::Debug for Lock<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lock").finish_non_exhaustive()
    }
}

/// A held [`Lock`].
pub(crate) struct Guard<'a, T> {
    /// `None` only while it is dropped.
    value: Option<MutexGuard<'a, T>>,
    m: Option<&'a Machine>,
}

impl<T> Guard<'_, T> {
    /// Itself, if it may be held until the closure that begins a park releases it: not by a
    /// goroutine in a blocking call, which comes back from that first. `None`: it is released.
    #[inline]
    pub(crate) fn across_park(self) -> Option<Self> {
        let is_blocking = G::current().is_some_and(|g| g.blocking.get());
        (!is_blocking).then_some(self)
    }
}

impl<T> Deref for Guard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        self.value.as_ref().expect("held")
    }
}

impl<T> DerefMut for Guard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        self.value.as_mut().expect("held")
    }
}

impl<T> Drop for Guard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        // Unlocked first: whoever waits for the lock must not wait for a suspended thread.
        self.value = None;
        if let Some(m) = self.m {
            unpin(m);
        }
    }
}
