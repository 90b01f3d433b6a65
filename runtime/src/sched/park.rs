//! Parking goroutines and making them ready again.
//!
//! The protocol is in `task/state.rs`; this file acts on its verdicts. A goroutine that becomes
//! ready goes to the P of the waker's machine, as the next to run; if the waker is no goroutine of
//! the same runtime, or has no P, to the global queue.

#![expect(
    unsafe_code,
    reason = "keeps a runtime alive that is only known by address"
)]

use std::panic::resume_unwind;
use std::sync::Arc;

use super::blocking;
use super::bound;
use super::hand_off;
use super::hooks::{self, Away};
use super::interrupt;
use super::machine::{After, Machine, Standing, pin, unpin, unsuspended};
use super::run::{leave, leave_if_wanted};
use super::shared::Shared;
use crate::queue::local::HALF;
use crate::sched::header::{G, GRef, Wait};
use crate::sched::place::Place;
use crate::task::seed_state::Ask;
use crate::task::state::{Check, Commit, State, Wake};

/// The payload with which a goroutine ends that was cancelled, or whose runtime is dropped:
/// `JoinHandle::join` gives it as the error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cancelled;

/// The payload with which a goroutine ends that called [`exit`](crate::exit): `JoinHandle::join`
/// gives it as the error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exited;

/// A goroutine that is about to park, or parked: the right to make it ready, once.
///
/// Dropping it unused leaves the goroutine parked until it is cancelled or its runtime ends.
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
        self.decide().go();
    }

    /// The first half of [`Waiter::ready`]: afterwards it can end no other park.
    #[inline]
    pub(crate) fn decide(self) -> Decided {
        Decided {
            g: self.g,
            wake: self.g.get().state.ready(self.id),
        }
    }
}

/// A wake that was decided.
#[must_use = "the goroutine may be in no queue"]
pub(crate) struct Decided {
    g: GRef,
    wake: Wake,
}

impl Decided {
    /// The second half of a wake.
    #[inline]
    pub(crate) fn go(self) {
        act(self.g, self.wake);
    }
}

/// Unwinds a goroutine that was cancelled, whose runtime ends, or a time limit of which is reached.
///
/// # Panics
/// Inside the closure of a park.
#[inline]
fn end_if_stopped(g: &G) {
    let check = g.state.check();
    if check != Check::Go {
        end_or_panic(g, check);
    }
}

#[cold]
fn end_or_panic(g: &G, check: Check) {
    assert!(
        check != Check::Parking,
        "gopark: the closure that begins a park parked or yielded itself"
    );
    if check == Check::Watched || std::thread::panicking() {
        return;
    }
    if check == Check::Stop {
        resume_unwind(Box::new(Cancelled));
    }
    if let Some(reason) = interrupt::reason(g) {
        resume_unwind(reason);
    }
}

/// Unwinds a goroutine that was cancelled before it ran.
#[inline]
pub(crate) fn begin(g: &G) {
    if g.state.check() == Check::Interrupt {
        end_or_panic(g, Check::Interrupt);
    }
}

/// Begins a suspension of `g` for which the check was not [`Check::Go`]: unwinds, or gives what is
/// held during the suspension of a goroutine that is watched.
fn begin_checked(g: &G, check: Check, why: Wait) -> Option<Away<'_>> {
    end_or_panic(g, check);
    g.is_watched().then(|| Away::begin(g, why))
}

/// The running goroutine `g` is about to lend what it has, and to wait for it to come back: that
/// wait must not fail.
///
/// # Panics
/// Inside the closure of a park, in a hook, and where suspensions are forbidden.
#[track_caller]
pub(crate) fn assert_may_wait(g: &G) {
    match g.state.check() {
        Check::Parking => {
            panic!("gopark: the closure that begins a park cannot wait for goroutines")
        }
        Check::Go => {}
        _ if g.is_watched() => hooks::assert_may_suspend(g, Wait::Join),
        _ => {}
    }
}

/// Asks something of goroutine `id`, if it has not ended.
#[inline]
pub(crate) fn ask(place: Place, id: u64, what: Ask) {
    if let Some((g, wake)) = place.ask(id, what) {
        act(g, wake);
    }
}

/// Runs `f` on the goroutine `g`, which runs: the end of its runtime does not end a park in it.
pub(crate) fn undisturbed<T>(g: &G, f: impl FnOnce() -> T) -> T {
    let _deaf = bound::Deaf::begin(g);
    f()
}

/// Lets others run. Returns at once when nobody wants to.
#[inline(never)]
pub(crate) fn yield_now(g: &G) {
    let check = g.state.check();
    if check != Check::Go {
        return yield_checked(g, check);
    }
    if std::thread::panicking() {
        return;
    }
    let m = pin(g);
    match m.standing() {
        Standing::Held if g.bound.get() == 0 => leave_if_wanted(g, m),
        standing => yield_otherwise(g, m, standing),
    }
}

#[cold]
#[inline(never)]
fn yield_checked(g: &G, check: Check) {
    let _away = begin_checked(g, check, Wait::None);
    if !std::thread::panicking() {
        // Once more, now that the check is seen to; a second copy of the body would cost the first
        // what is inlined there. A request that is still there unwinds.
        yield_now(g);
    }
}

#[cold]
#[inline(never)]
fn yield_otherwise(g: &G, m: &Machine, standing: Standing) {
    match standing {
        _ if g.bound.get() != 0 => {
            match standing {
                Standing::Held => hand_off::give_way(m),
                _ => hand_off::settle(m, standing),
            }
            unpin(m);
        }
        Standing::Held => unreachable!("it could have left"),
        Standing::Preempted => {
            // The wish goes back, for whoever runs next to begin a slice of his own.
            m.p().hold.preempt();
            leave(g, m, After::Global(g.to_ref()));
        }
        Standing::Lost => leave(g, m, After::Global(g.to_ref())),
        Standing::Blocking => {
            unpin(m);
            std::thread::yield_now();
        }
    }
}

/// Waits for the token.
#[inline(never)]
pub(crate) fn park_by_token(g: &G) {
    match g.state.check() {
        Check::Go => park_by_token_begun(g),
        check => park_by_token_checked(g, check),
    }
}

#[cold]
#[inline(never)]
fn park_by_token_checked(g: &G, check: Check) {
    let _away = begin_checked(g, check, Wait::Park);
    park_by_token_begun(g);
}

#[inline(always)]
fn park_by_token_begun(g: &G) {
    if g.state.take_token() {
        return;
    }
    if is_tied(g) {
        return park_by_token_tied(g);
    }
    let m = pin(g);
    note_park(g, m, Wait::Park);
    leave(g, m, After::CommitByToken(g.to_ref()));
    end_if_stopped(g);
}

/// Whether a park of `g` is not just a switch: it is bound to its thread, in a blocking call, or
/// unwinds.
#[inline]
fn is_tied(g: &G) -> bool {
    g.bound.get() != 0 || g.blocking.get() || std::thread::panicking()
}

#[cold]
#[inline(never)]
fn park_by_token_tied(g: &G) {
    let _back = blocking::Interrupted::of(g);
    let unwinding = bound::Deaf::while_unwinding(g);
    let m = pin(g);
    note_park(g, m, Wait::Park);
    if unwinding.is_some() || g.bound.get() != 0 {
        bound::park(g, m, |g| g.state.park_by_token());
    } else {
        leave(g, m, After::CommitByToken(g.to_ref()));
    }
    end_if_stopped(g);
}

/// Parks if `publish` says so; somebody then calls `ready`.
///
/// The phase is `Parking` while `publish` runs: it must not park or yield.
#[inline(never)]
pub(crate) fn park_with(g: &G, why: Wait, publish: impl FnOnce() -> bool) {
    park_begun(g, why, State::begin_park, publish);
}

/// Waits for the token, or for a wake by whoever `publish` told of the wait.
#[inline(never)]
pub(crate) fn park_by_token_with(g: &G, publish: impl FnOnce()) {
    let publish = || {
        publish();
        true
    };
    park_begun(g, Wait::Park, State::begin_park_by_token, publish);
}

#[inline(always)]
fn park_begun(g: &G, why: Wait, begin: fn(&State), publish: impl FnOnce() -> bool) {
    match g.state.check() {
        Check::Go => park_checked(g, why, begin, publish),
        check => {
            // One function for all closures: this way is rare.
            let mut publish = Some(publish);
            let mut publish = || publish.take().is_some_and(|publish| publish());
            park_otherwise(g, check, why, begin, &mut publish);
        }
    }
}

#[cold]
#[inline(never)]
fn park_otherwise(
    g: &G,
    check: Check,
    why: Wait,
    begin: fn(&State),
    publish: &mut dyn FnMut() -> bool,
) {
    let _away = begin_checked(g, check, why);
    park_checked(g, why, begin, publish);
}

#[inline(always)]
fn park_checked(g: &G, why: Wait, begin: fn(&State), publish: impl FnOnce() -> bool) {
    struct Abort<'a>(&'a G);
    impl Drop for Abort<'_> {
        fn drop(&mut self) {
            self.0.state.abort_park();
        }
    }
    let _back = blocking::Interrupted::of(g);
    // Before the park begins: a request to stop may come while `publish` runs.
    let unwinding = bound::Deaf::while_unwinding(g);
    begin(&g.state);
    let abort = Abort(g);
    if !publish() {
        return;
    }
    std::mem::forget(abort);
    let m = pin(g);
    note_park(g, m, why);
    if unwinding.is_some() || g.bound.get() != 0 {
        bound::park(g, m, |g| g.state.commit_park());
    } else {
        leave(g, m, After::Commit(g.to_ref()));
    }
    end_if_stopped(g);
}

/// Notes a park for reports and counts. An M that has lost its P notices here: `leave` wants to
/// know.
#[inline]
fn note_park(g: &G, m: &Machine, why: Wait) {
    g.told.waits(why, m.shared().monitor.now_ms());
    if m.notice() {
        m.p().counts.parks.add(1);
    }
}

/// Acts on a commit, on the stack that was entered.
#[inline]
pub(crate) fn commit(m: &Machine, g: GRef, commit: Commit) {
    if commit == Commit::ResumeNow {
        resume(m, g);
    }
}

#[cold]
#[inline(never)]
fn resume(m: &Machine, g: GRef) {
    if m.has_p() {
        enqueue_here(m, g);
    } else {
        m.shared().submit_global(g);
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
        Some(me) if me.shared_ptr() == shared => {
            let m = pin(me);
            let standing = m.standing();
            match standing {
                Standing::Held | Standing::Preempted => enqueue_here(m, g),
                Standing::Blocking | Standing::Lost => m.shared().submit_global(g),
            }
            hand_off::settle(m, standing);
            unpin(m);
        }
        _ => enqueue_from_outside(shared, g),
    }
}

/// Puts a goroutine next on the P of `m`.
#[inline]
pub(crate) fn enqueue_here(m: &Machine, g: impl Into<Place>) {
    let g = g.into();
    let shared = m.shared();
    if shared.config.migrate {
        return shared.submit_global(g);
    }
    let is_alone = shared.procs.limit() <= 1 && m.p().index == 0;
    let needs_none = match m.p().put_next(g) {
        Some(displaced) => {
            m.push(displaced);
            is_alone
        }
        None => is_alone || m.is_in_haste(),
    };
    if needs_none {
        shared.monitor.work();
    } else {
        shared.submitted();
    }
}

/// Puts a goroutine that yielded behind the others of its P.
#[inline]
pub(crate) fn requeue(m: &Machine, g: GRef) {
    m.push(g);
}

impl Machine {
    /// Puts a goroutine at the tail of the local queue; a full one sends its older half away.
    #[inline]
    pub(crate) fn push(&self, g: impl Into<Place>) {
        let g = g.into();
        if self.p().queue.push(g.to_word()).is_err() {
            self.push_to_a_full_queue(g);
        }
    }

    #[cold]
    fn push_to_a_full_queue(&self, g: Place) {
        let mut half = [0; HALF];
        let p = self.p();
        let n = p.queue.take_half(&mut half);
        let mut seeds = 0;
        for i in 0..n {
            let place = Place::from_word(half[i]);
            if place.is_seed() {
                half[seeds] = half[i];
                seeds += 1;
            } else {
                self.shared().inject.push(place);
            }
        }
        self.shared().seedbed.put(&half[..seeds]);
        if n > 0 {
            p.counts.overflows.add(1);
        }
        // There is room now: it was made here, or by a thief.
        if p.queue.push(g.to_word()).is_err() {
            self.shared().inject.push(g);
        }
    }
}

#[cold]
pub(crate) fn enqueue_from_outside(shared: *const Shared, g: GRef) {
    // SAFETY: the caller owns a goroutine of that runtime, which keeps it alive until enqueued.
    unsafe { Arc::increment_strong_count(shared) };
    // SAFETY: the count above is ours: the runtime may end before we have woken an M.
    let shared = unsafe { Arc::from_raw(shared) };
    unsuspended(|| shared.submit_global(g));
}
