//! Where a goroutine was spawned, for reports by others than itself.

#![expect(unsafe_code, reason = "refers to a place in the program")]

use std::panic::Location;
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};

/// To be trusted only together with the id. All zeros: nobody was spawned here yet.
#[derive(Debug)]
pub(crate) struct Whence(AtomicPtr<Location<'static>>);

impl Whence {
    pub(crate) const fn new() -> Whence {
        Whence(AtomicPtr::new(ptr::null_mut()))
    }

    #[inline]
    pub(crate) fn set(&self, spawned_at: &'static Location<'static>) {
        // Relaxed: published with the id.
        let spawned_at = ptr::from_ref(spawned_at).cast_mut();
        self.0.store(spawned_at, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> Option<&'static Location<'static>> {
        // SAFETY: null or a location of the program, which is for ever.
        unsafe { self.0.load(Ordering::Relaxed).as_ref() }
    }
}
