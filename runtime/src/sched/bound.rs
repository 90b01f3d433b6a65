//! Goroutines that may not leave their thread, and those that must.
//!
//! A goroutine is bound to its M while it has locked the thread. Then the thread sleeps inside the
//! goroutine, and its P goes to others. The M that dequeues a bound goroutine gives its own P to
//! that M and becomes idle.
//!
//! A goroutine that parks while it unwinds takes its panic count along (`panic_count.rs`); where
//! that cannot be done, it is bound until the park is over.
//!
//! The opposite is for tests: under `GOPARK_DEBUG=migrate` a goroutine is left to another M.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::contract;
use super::hand_off::{self, hand_off};
use super::interrupt;
use super::machine::{After, Machine, unpin};
use super::panic_count;
use super::run::leave;
use crate::sched::header::{G, GRef};
use crate::sys::asymmetric;
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
}

/// A mask over a running goroutine: until the drop, requests to unwind that were made from outside
/// of the mask do not end its parks. They stay noted. Time limits that were set inside of the mask
/// do end parks.
#[must_use]
#[derive(Debug)]
pub(crate) struct Deaf<'a>(&'a G);

impl Deaf<'_> {
    /// Until the drop, whatever `g` does.
    #[inline]
    pub(crate) fn begin(g: &G) -> Deaf<'_> {
        let masks = g.masks.get();
        g.masks.set(masks + 1);
        if masks == 0 {
            g.state.set_deaf(true);
        }
        Deaf(g)
    }

    /// A mask from before a park until after, for a goroutine that unwinds: it could not follow a
    /// request. `None` when `g` does not unwind.
    #[inline]
    pub(crate) fn while_unwinding(g: &G) -> Option<Deaf<'_>> {
        std::thread::panicking().then(|| Deaf::begin(g))
    }
}

impl Drop for Deaf<'_> {
    fn drop(&mut self) {
        let masks = self.0.masks.get() - 1;
        self.0.masks.set(masks);
        if masks == 0 {
            self.0.state.set_deaf(false);
        }
        // The mask has kept them from being followed, and the request was taken.
        interrupt::renew(self.0);
    }
}

/// Parks `g`, which runs on its own stack on the pinned `m`, and is bound or unwinds: with its
/// thread, or with its panic count. Comes back unpinned.
#[inline(never)]
pub(crate) fn park(g: &G, m: &Machine, after: After) {
    if g.bound.get() == 0
        && let Some(laid) = panic_count::lay_down(m.shared())
    {
        let before = g.told.set_in_destructor(true);
        leave(g, m, after);
        laid.take_up(g);
        g.told.set_in_destructor(before);
        return;
    }
    with_thread(g, m, after);
}

#[inline(never)]
fn with_thread(g: &G, m: &Machine, after: After) {
    let commit = |g: &G| match after {
        After::CommitByToken(_) => g.state.park_by_token(),
        _ => g.state.commit_park(),
    };
    let before = g.bound.replace(m.index as u32 + 1);
    m.grant.wait();
    // The stack stays in use by this thread: after the commit a waker may queue `g`, but who
    // dequeues it finds `bound` and only gives a P.
    if commit(g) == Commit::Parked {
        m.shared().idle.bound(true);
        pass_on_and_sleep(m);
        m.shared().idle.bound(false);
    } else {
        m.grant.unwait();
        if !m.has_p() {
            hand_off::claim(m);
        }
    }
    g.bound.set(before);
    unpin(m);
}

fn pass_on_and_sleep(m: &Machine) {
    if m.has_p() {
        hand_off(m.shared(), m.release());
    }
    hand_off::sleep_until_given(m);
}

/// Decides who runs a goroutine that `m` has dequeued; a bound one is given the P of `m`.
pub(crate) fn dispatch(m: &Machine, g: GRef) -> Dispatch {
    let bound = g.get().bound.get();
    if bound == 0 {
        return if m.shared().config.is_debugging() {
            debug(m, g)
        } else {
            Dispatch::Run
        };
    }
    let target = m.shared().machines.get(bound as usize - 1);
    target.grant.give(m.release());
    target.wake();
    Dispatch::Gone
}

/// Gives the P of `m` to the M of a claim.
pub(crate) fn give(m: &Machine, claim: usize) {
    let p = m.release();
    if !hand_off::give_to_claim(m.shared(), claim, p) {
        m.hold(p);
    }
}

#[cold]
fn debug(m: &Machine, g: GRef) -> Dispatch {
    if m.shared().config.contract {
        contract::watch(m, g.get());
    }
    if m.shared().config.migrate {
        return migrate(m, g);
    }
    Dispatch::Run
}

fn migrate(m: &Machine, g: GRef) -> Dispatch {
    let others = m.shared().procs.limit() > 1;
    let here = m.index as u32 + 1;
    if !others || g.get().ran_on.get() != here || m.passes.get() == PASSES_MAX {
        m.passes.set(0);
        g.get().ran_on.set(here);
        return Dispatch::Run;
    }
    m.passes.set(m.passes.get() + 1);
    m.shared().submit_global(g);
    std::thread::park_timeout(PASS_PAUSE);
    Dispatch::Gone
}

/// Binds the running goroutine `g` to its thread, once more.
///
/// # Panics
/// When nested 2^32 times.
pub(crate) fn lock(g: &G) {
    let locks = g.locks.get();
    g.locks.set(
        locks
            .checked_add(1)
            .expect("lock_os_thread nested too deeply"),
    );
    if locks == 0 {
        g.bound.set(g.machine().index as u32 + 1);
    }
}

/// Undoes one [`lock`].
pub(crate) fn unlock(g: &G) {
    let locks = g.locks.get() - 1;
    g.locks.set(locks);
    if locks == 0 {
        g.bound.set(0);
    }
}

/// Runs `f` without being suspended by a signal, on the same thread throughout.
pub(crate) fn no_preempt<T>(g: &G, f: impl FnOnce() -> T) -> T {
    struct Shield<'a>(&'a G);
    impl Drop for Shield<'_> {
        fn drop(&mut self) {
            let shield = &self.0.machine().shield;
            shield.store(shield.load(Ordering::Relaxed) - 1, Ordering::Relaxed);
            unlock(self.0);
        }
    }
    lock(g);
    let m = g.machine();
    m.shield
        .store(m.shield.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    let _shield = Shield(g);
    asymmetric::Light::chosen().fence();
    // A signal that is on its way finds the shield, and is over before `f` begins.
    while m.grant.is_requested() {
        std::thread::yield_now();
    }
    f()
}
