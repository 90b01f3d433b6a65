//! What happens to runtimes when the process forks.
//!
//! A forked child has one thread: the Ms that its copies of the queues speak of do not exist there.
//! The child may `exec` (`std::process::Command` does nothing else), but calls of a runtime in it
//! would wait for threads that never come. So the child's first act, before `fork` returns, is to
//! mark every runtime; their calls then panic with a text.
//!
//! The list is locked across the fork, so that the child finds it whole and unlocked.

#![expect(unsafe_code, reason = "registers handlers of fork(2)")]

use std::cell::UnsafeCell;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, Once, PoisonError};

/// The text of every refusal.
pub(crate) const TEXT: &str =
    "called in a forked child: the threads of the runtime stayed in the parent";

/// Something to mark in a forked child.
#[derive(Clone, Copy, Debug)]
struct Entry {
    data: *const (),
    mark: unsafe fn(*const ()),
}

// SAFETY: an address and a function; what it points to is used by the only thread of a child.
unsafe impl Send for Entry {}

static ENTRIES: Mutex<Vec<Entry>> = Mutex::new(Vec::new());
static FORKED: AtomicBool = AtomicBool::new(false);

/// The lock that is held across a fork.
///
/// # Safety
/// Touched only by the thread that holds the lock of `ENTRIES`, between `prepare` and the end of
/// the fork.
struct Held(UnsafeCell<Option<MutexGuard<'static, Vec<Entry>>>>);
// SAFETY: see the type.
unsafe impl Sync for Held {}
static HELD: Held = Held(UnsafeCell::new(None));

/// Whether this process is the child of a fork of one that had runtimes.
pub(crate) fn is_child() -> bool {
    FORKED.load(Ordering::Relaxed)
}

/// Calls `mark` with `data` in forked children from now on.
///
/// # Safety
/// - `data` is valid until [`forget`];
/// - `mark` is async-signal-safe and does not call this file.
pub(crate) unsafe fn watch(data: *const (), mark: unsafe fn(*const ())) {
    static REGISTER: Once = Once::new();
    REGISTER.call_once(|| {
        // SAFETY: the three functions are async-signal-safe but for a lock that they pair.
        unsafe { libc::pthread_atfork(Some(prepare), Some(parent), Some(child)) };
    });
    entries().push(Entry { data, mark });
}

/// Ends what [`watch`] began.
pub(crate) fn forget(data: *const ()) {
    entries().retain(|entry| entry.data != data);
}

fn entries() -> MutexGuard<'static, Vec<Entry>> {
    ENTRIES.lock().unwrap_or_else(PoisonError::into_inner)
}

unsafe extern "C" fn prepare() {
    let guard = entries();
    // SAFETY: this thread holds the lock.
    unsafe { *HELD.0.get() = Some(guard) };
}

unsafe extern "C" fn parent() {
    // SAFETY: this thread holds the lock, since `prepare`.
    drop(unsafe { (*HELD.0.get()).take() });
}

unsafe extern "C" fn child() {
    // SAFETY: this thread holds the lock, since `prepare`; the child has a copy of it.
    let guard = unsafe { (*HELD.0.get()).take() };
    let Some(entries) = guard else { return };
    FORKED.store(!entries.is_empty(), Ordering::Relaxed);
    for entry in entries.iter() {
        // SAFETY: valid by the promise of `watch`.
        unsafe { (entry.mark)(entry.data) };
    }
}
