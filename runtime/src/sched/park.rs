//! Parking goroutines and making them ready again.
//!
//! The protocol is in `task/state.rs`; this file acts on its verdicts. A goroutine that becomes
//! ready goes to the P of the waker's machine, as the next to run; if the waker is no goroutine of
//! the same runtime, to the global queue.

#![expect(unsafe_code, reason = "uses the local state of the P that its M holds")]

use std::panic::resume_unwind;
use std::sync::Arc;

use super::bound;
use super::find;
use super::machine::{After, Machine};
use super::run::leave;
use super::shared::Shared;
use crate::sched::header::{G, GRef};
use crate::task::state::{Commit, Wake};

/// The payload with which a goroutine ends when its runtime is dropped: `JoinHandle::join` gives
/// it as the error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cancelled;

/// A goroutine that is about to park, or parked: the right to make it ready, once.
///
/// Dropping it unused leaves the goroutine parked until its runtime ends.
#[derive(Debug)]
#[must_use = "a waiter that is dropped is never woken"]
pub struct Waiter {
    g: GRef,
    id: u64,
}

impl Waiter {
    /// Of the goroutine that is running, which is about to park.
    pub(crate) fn of(g: &G) -> Waiter {
        Waiter {
            g: g.to_ref(),
            id: g.state.id(),
        }
    }

    /// Makes the goroutine ready: it runs next on the caller's P, or, if the caller is no goroutine
    /// of the same runtime, soon on any. May be called from any thread, before the goroutine has
    /// finished parking too. After the goroutine's end it does nothing.
    #[doc(alias = "goready")]
    pub fn ready(self) {
        act(self.g, self.g.get().state.ready(self.id));
    }
}

/// Unwinds a goroutine whose runtime ends.
#[inline]
fn end_if_stopped(g: &G) {
    if g.state.stop_requested() && !std::thread::panicking() {
        resume_unwind(Box::new(Cancelled));
    }
}

/// Lets others run. Returns at once when nobody wants to.
#[inline(never)]
pub(crate) fn yield_now(g: &G) {
    end_if_stopped(g);
    let m = g.machine();
    if !std::thread::panicking() && find::anybody_nearby(m) {
        leave(g, m, After::Requeue(g.to_ref()));
    }
}

/// Waits for the token.
#[inline(never)]
pub(crate) fn park_by_token(g: &G) {
    end_if_stopped(g);
    if g.state.take_token() {
        return;
    }
    let unwinding = bound::Unwinding::of(g);
    if unwinding.is_some() {
        bound::park(g, |g| g.state.park_by_token());
    } else {
        leave(g, g.machine(), After::CommitByToken(g.to_ref()));
    }
    end_if_stopped(g);
}

/// Parks if `publish` says so; somebody then calls `ready`.
///
/// The phase is `Parking` while `publish` runs: it must not park or yield.
#[inline(never)]
pub(crate) fn park_with(g: &G, publish: impl FnOnce() -> bool) {
    struct Abort<'a>(&'a G);
    impl Drop for Abort<'_> {
        fn drop(&mut self) {
            self.0.state.abort_park();
        }
    }
    end_if_stopped(g);
    // Before the park begins: a request to stop may come while `publish` runs.
    let unwinding = bound::Unwinding::of(g);
    g.state.begin_park();
    let abort = Abort(g);
    if !publish() {
        return;
    }
    std::mem::forget(abort);
    if unwinding.is_some() {
        bound::park(g, |g| g.state.commit_park());
    } else {
        leave(g, g.machine(), After::Commit(g.to_ref()));
    }
    end_if_stopped(g);
}

/// Acts on a commit, on the stack that was entered.
#[inline]
pub(crate) fn commit(m: &Machine, g: GRef, commit: Commit) {
    if commit == Commit::ResumeNow {
        enqueue_here(m, g);
    }
}

/// Acts on a wake of goroutine `g`, from anywhere.
#[inline]
pub(crate) fn act(g: GRef, wake: Wake) {
    if wake != Wake::Enqueue {
        return;
    }
    let shared = g.get().shared_ptr();
    match G::current() {
        Some(me) if me.machine().shared_ptr() == shared => enqueue_here(me.machine(), g),
        _ => enqueue_from_outside(shared, g),
    }
}

/// Puts a goroutine next on the P of `m`.
#[inline]
pub(crate) fn enqueue_here(m: &Machine, g: GRef) {
    if m.shared.config.migrate {
        return m.shared.submit_global(g);
    }
    if let Some(displaced) = m.p().put_next(g) {
        // SAFETY: one short use.
        unsafe { m.local() }.worker.push(displaced);
    }
    if m.shared.procs.len() > 1 {
        m.shared.submitted();
    }
}

/// Puts a goroutine that yielded behind the others of its P.
#[inline]
pub(crate) fn requeue(m: &Machine, g: GRef) {
    if m.shared.config.migrate {
        return m.shared.submit_global(g);
    }
    // SAFETY: one short use.
    unsafe { m.local() }.worker.push(g);
}

#[cold]
fn enqueue_from_outside(shared: *const Shared, g: GRef) {
    // SAFETY: the caller owns a goroutine of that runtime, which keeps it alive until enqueued.
    unsafe { Arc::increment_strong_count(shared) };
    // SAFETY: the count above is ours: the runtime may end before we have woken an M.
    let shared = unsafe { Arc::from_raw(shared) };
    shared.submit_global(g);
}
