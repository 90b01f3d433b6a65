//! Atomics, locks and capacities under the model checker: loom's.

pub(crate) use loom::sync::Mutex;
pub(crate) use loom::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering, fence};

/// Goroutines in a P's local queue: few, so that models reach its end.
pub(crate) const LOCAL_QUEUE_MAX: u32 = 4;

/// The cheap half of an asymmetric fence: here as strong as the other.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Light;

impl Light {
    pub(crate) fn chosen() -> Light {
        Light
    }

    pub(crate) fn fence(self) {
        // SeqCst: pairs with `heavy`.
        fence(Ordering::SeqCst);
    }
}

/// The dear half of an asymmetric fence.
pub(crate) fn heavy() {
    // SeqCst: pairs with `light`.
    fence(Ordering::SeqCst);
}

/// Loom's. In destructors of a model that has failed, where loom allows nothing, it is 0.
pub(crate) struct AtomicU8(loom::sync::atomic::AtomicU8);

impl AtomicU8 {
    pub(crate) fn new(value: u8) -> AtomicU8 {
        AtomicU8(loom::sync::atomic::AtomicU8::new(value))
    }

    pub(crate) fn load(&self, ordering: Ordering) -> u8 {
        if std::thread::panicking() {
            return 0;
        }
        self.0.load(ordering)
    }

    pub(crate) fn store(&self, value: u8, ordering: Ordering) {
        self.0.store(value, ordering);
    }
}

/// Loom's, which does not look when it is taken apart.
#[derive(Debug)]
pub(crate) struct UnsafeCell<T>(loom::cell::UnsafeCell<T>);

impl<T> UnsafeCell<T> {
    pub(crate) fn new(value: T) -> UnsafeCell<T> {
        UnsafeCell(loom::cell::UnsafeCell::new(value))
    }

    pub(crate) fn with_mut<R>(&self, f: impl FnOnce(*mut T) -> R) -> R {
        self.0.with_mut(f)
    }

    pub(crate) fn into_inner(self) -> T {
        self.0.with_mut(|_| ());
        self.0.into_inner()
    }
}
