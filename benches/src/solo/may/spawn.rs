//! Starting coroutines.
#![expect(
    unsafe_code,
    reason = "starting a coroutine is unsafe: the contract is about what it does"
)]

use may::coroutine::{self, JoinHandle};

use crate::measure::Result;

/// Starts a coroutine beside the caller.
pub(super) fn spawn<T: Send + 'static>(f: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
    // SAFETY: no coroutine of this program holds a borrow of a thread-local across a call that may
    // suspend it, and none recurses or has large frames: their stacks suffice.
    unsafe { coroutine::spawn(f) }
}

pub(super) fn join<T>(handle: JoinHandle<T>) -> T {
    handle.join().expect("a coroutine that does not panic")
}

/// Does something on a coroutine, for a thread.
pub(super) fn root<T: Send + 'static>(f: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    let done = spawn(f).join();
    done.map_err(|_| "a coroutine panicked".into())
}
