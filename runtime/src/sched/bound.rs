//! Goroutines that may not leave their thread for now, and those that must.
//!
//! std counts panics in a thread-local. A goroutine that parks while it unwinds must therefore wake
//! up on the same thread, and nobody else may run there meanwhile. It keeps its M: the P goes to
//! another M, the thread sleeps inside the goroutine, and whoever later dequeues the goroutine
//! gives his own P to that M and goes to sleep instead.
//!
//! The opposite is for tests: under `GOPARK_DEBUG=migrate` a goroutine is left to another M.

use std::ptr;
use std::time::Duration;

use super::machine::{Given, Machine};
use super::run;
use crate::sched::header::{G, GRef};
use crate::task::state::Commit;

/// Migrate mode: how often an M leaves a goroutine to others before it runs it after all.
const PASSES_MAX: u32 = 20;
const PASS_PAUSE: Duration = Duration::from_micros(50);

/// What an M does with a goroutine that it dequeued.
#[must_use]
#[derive(Debug)]
pub(crate) enum Dispatch {
    Run,
    /// Somebody else runs it.
    Gone,
    /// The same, and the runtime ends.
    End,
}

/// Held by a goroutine that unwinds, from before its park until after: a request to stop, which it
/// could not follow, must not end the park.
pub(crate) struct Unwinding<'a>(&'a G);

impl Unwinding<'_> {
    /// `None` when `g`, which is running, does not unwind.
    #[inline]
    pub(crate) fn of(g: &G) -> Option<Unwinding<'_>> {
        std::thread::panicking().then(|| {
            g.state.set_deaf(true);
            Unwinding(g)
        })
    }
}

impl Drop for Unwinding<'_> {
    fn drop(&mut self) {
        self.0.state.set_deaf(false);
    }
}

/// Parks `g`, which runs on its own stack, together with its thread.
#[inline(never)]
pub(crate) fn park(g: &G, commit: impl FnOnce(&G) -> Commit) {
    let m = g.machine();
    g.bound.set(m.index + 1);
    // The stack stays in use by this thread: after the commit a waker may queue `g`, but who
    // dequeues it finds `bound` and only gives a P.
    if commit(g) == Commit::Parked {
        let wake = m.shared.idle.hand_off(m.release());
        m.shared.carry_out(wake);
        match m.sleeper.sleep() {
            Given::P(p) => m.hold(p),
            Given::End => unreachable!("a runtime ends after its goroutines"),
        }
    }
    g.bound.set(0);
}

/// Decides who runs a goroutine that `m` has dequeued; a bound one is given the P of `m`.
pub(crate) fn dispatch(m: &Machine, g: GRef) -> Dispatch {
    let bound = g.get().bound.get();
    if bound == 0 {
        return if m.shared.config.migrate {
            migrate(m, g)
        } else {
            Dispatch::Run
        };
    }
    let p = m.release();
    m.shared.idle.announce_without_p(m.index);
    m.shared.sleeper(bound - 1).give(p);
    if run::wait_for_p(m) {
        Dispatch::Gone
    } else {
        Dispatch::End
    }
}

#[cold]
fn migrate(m: &Machine, g: GRef) -> Dispatch {
    let others = m.shared.procs.len() > 1;
    if !others || !ptr::eq(g.get().m.get(), m) || m.passes.get() == PASSES_MAX {
        m.passes.set(0);
        return Dispatch::Run;
    }
    m.passes.set(m.passes.get() + 1);
    m.shared.submit_global(g);
    std::thread::park_timeout(PASS_PAUSE);
    Dispatch::Gone
}
