//! Atomics, locks and capacities under the model checker: loom's.

pub(crate) use loom::sync::Mutex;
pub(crate) use loom::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering, fence};

/// Goroutines in a P's local queue: few, so that models reach its end.
pub(crate) const LOCAL_QUEUE_MAX: u32 = 4;

/// The cheap half of an asymmetric fence: here as strong as the other.
pub(crate) fn light() {
    // SeqCst: pairs with `heavy`.
    fence(Ordering::SeqCst);
}

/// The dear half of an asymmetric fence.
pub(crate) fn heavy() {
    // SeqCst: pairs with `light`.
    fence(Ordering::SeqCst);
}
