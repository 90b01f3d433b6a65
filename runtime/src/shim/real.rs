//! Atomics, locks and capacities of a normal build: std's.

pub(crate) use std::sync::Mutex;
pub(crate) use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence};

pub(crate) use crate::sys::asymmetric::{Light, heavy};

/// Goroutines in a P's local queue.
pub(crate) const LOCAL_QUEUE_MAX: u32 = 256;

/// A cell whose accesses the model checker sees.
#[derive(Debug)]
pub(crate) struct UnsafeCell<T>(std::cell::UnsafeCell<T>);

impl<T> UnsafeCell<T> {
    #[inline(always)]
    pub(crate) const fn new(value: T) -> UnsafeCell<T> {
        UnsafeCell(std::cell::UnsafeCell::new(value))
    }

    /// Accesses the value; nobody else must meanwhile.
    #[inline(always)]
    pub(crate) fn with_mut<R>(&self, f: impl FnOnce(*mut T) -> R) -> R {
        f(self.0.get())
    }

    #[inline(always)]
    pub(crate) fn into_inner(self) -> T {
        self.0.into_inner()
    }
}
