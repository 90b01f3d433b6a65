//! Atomics, locks and capacities of a normal build: std's.

pub(crate) use std::sync::Mutex;
pub(crate) use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering, fence};

pub(crate) use crate::sys::asymmetric::{heavy, light};

/// Goroutines in a P's local queue.
pub(crate) const LOCAL_QUEUE_MAX: u32 = 256;
