//! Finding code that breaks the contract.

use std::fmt;
use std::marker::PhantomData;
use std::panic::Location;

use crate::sched::header::{G, GRef};
use crate::sched::hooks;
use crate::sys::thread;

/// Forbids the calling goroutine to be suspended until the guard is dropped: a call that suspends
/// panics, and names its own place and that of this call.
///
/// It is for code that holds something bound to its thread: a thread-local, a guard of std, a lock
/// of a C library. A wait panics when it begins, [`yield_now`](crate::yield_now) and
/// [`blocking`](fn@crate::blocking) always, a scope when it is opened. A call that finds what it
/// wants, as a receive from a channel with messages, is not noticed. Where an unwinding would be
/// unsound, as in a scope that waits for its goroutines, or inside
/// [`mask_cancel`](crate::mask_cancel), the process aborts with the same text.
/// Preemption by suspension of the thread is no suspension of the goroutine: it is not noticed and
/// does no harm.
///
/// Guards may be dropped in any order. A guard that is dropped on another thread than that where it
/// was made says so on standard error: something else than gopark has moved the goroutine. On a
/// plain thread the guard does nothing. Goroutines without guards pay nothing for those of others.
///
/// ```
/// use std::cell::Cell;
/// thread_local!(static DEPTH: Cell<u32> = const { Cell::new(0) });
///
/// # // SAFETY: the suspension inside `with` panics before it begins.
/// # unsafe { gopark::run(|| {
/// let caught = std::panic::catch_unwind(|| DEPTH.with(|_depth| {
///     let _bound = gopark::debug::forbid_suspend();
///     gopark::yield_now();
/// }));
/// assert!(caught.is_err());
/// # }) }
/// ```
#[track_caller]
pub fn forbid_suspend() -> ForbidGuard {
    let at = Location::caller();
    let goroutine = G::current().map(|g| Forbidden {
        g: g.to_ref(),
        id: g.state.id(),
        key: hooks::forbid(g, at),
        thread: thread::id(),
    });
    ForbidGuard {
        goroutine,
        at,
        _goroutine: PhantomData,
    }
}

struct Forbidden {
    g: GRef,
    id: u64,
    key: u64,
    thread: i32,
}

/// Keeps the calling goroutine from being suspended; see [`forbid_suspend`].
#[must_use = "suspensions are allowed again when this is dropped"]
pub struct ForbidGuard {
    goroutine: Option<Forbidden>,
    at: &'static Location<'static>,
    /// Belongs to its goroutine: not Send.
    _goroutine: PhantomData<*mut ()>,
}

impl fmt::Debug for ForbidGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ForbidGuard")
            .field("at", &self.at)
            .finish_non_exhaustive()
    }
}

impl Drop for ForbidGuard {
    fn drop(&mut self) {
        // The guard may be carried out of its goroutine as a result: then nothing is forbidden.
        let Some(forbidden) = &self.goroutine else {
            return;
        };
        let is_own = |g: &&G| g.to_ref() == forbidden.g && g.state.id() == forbidden.id;
        let Some(g) = G::current().filter(is_own) else {
            return;
        };
        hooks::allow(g, forbidden.key);
        if thread::id() != forbidden.thread {
            crate::fatal::warn(format_args!(
                "goroutine {} has changed its thread below forbid_suspend at {}",
                forbidden.id, self.at
            ));
        }
    }
}
