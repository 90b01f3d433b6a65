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
use super::bound::{self, Deaf};
use super::hand_off;
use super::hooks::{self, Away};
use super::interrupt::{self, Reason, Verdict};
use super::machine::{After, Machine, Standing, pin, unpin, unsuspended};
use super::run::{leave, leave_if_wanted};
use super::shared::Shared;
use crate::queue::local::HALF;
use crate::sched::header::{G, GRef, Wait};
use crate::sched::place::Place;
use crate::task::seed_state::Ask;
use crate::task::state::{Check, Closed, Commit, State, Wake};
use crate::task::wait_word::Between;

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
    /// Void when the park is over that the waiter is for.
    between: Between,
}

impl Waiter {
    /// Of the goroutine that is running, which is about to park.
    #[inline]
    fn of(g: &G) -> Waiter {
        Waiter {
            g: g.to_ref(),
            id: g.state.id(),
            between: g.wait_word.between(),
        }
    }

    /// Ends the park that the waiter was made for: the goroutine runs next on the caller's P, or,
    /// if the caller is no goroutine of the same runtime, soon on any. May be called from any
    /// thread, before the goroutine has finished parking too.
    ///
    /// True if this ended the park: it then returns normally. False if the park was over before,
    /// because the goroutine was cancelled, a time limit was reached, or its runtime ends: then
    /// nothing is woken, and whatever was to be handed to the goroutine is still the caller's. No
    /// later park of the goroutine is touched.
    #[doc(alias = "goready")]
    #[expect(clippy::must_use_candidate, reason = "most wakers need not know")]
    pub fn ready(self) -> bool {
        let g = self.g.get();
        let wake = g
            .state
            .ready_once(self.id, || g.wait_word.is_still(self.between));
        act(self.g, wake);
        wake != Wake::Gone
    }
}

/// The right to make a goroutine ready that joins another: the word of the packet protects it.
/// After the wake is decided it can end no other park.
#[derive(Debug)]
pub(crate) struct Joiner {
    g: GRef,
    id: u64,
}

impl Joiner {
    /// Of the goroutine that is running, which is about to park.
    pub(crate) fn of(g: &G) -> Joiner {
        Joiner {
            g: g.to_ref(),
            id: g.state.id(),
        }
    }

    /// The first half of a wake.
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

/// How a park ended.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Parked {
    /// It did not begin.
    NotBegun,
    /// A waker ended it.
    Woken,
    /// A request to unwind ended it. The wait may have been served since: the caller leaves the
    /// place where a waker finds it, and calls [`heed`] if nothing was served there.
    Interrupted,
}

/// Unwinds the running goroutine, which is about to suspend, if it was cancelled, its runtime ends,
/// or a time limit is reached. If that must wait, because of frames that cannot be unwound, gives a
/// mask for the suspension.
///
/// # Panics
/// Inside the closure of a park.
#[inline]
fn end_if_stopped(g: &G) -> Option<Deaf<'_>> {
    let check = g.state.check();
    if check == Check::Go {
        return None;
    }
    end_or_panic(g, check)
}

#[cold]
#[inline(never)]
fn end_or_panic(g: &G, check: Check) -> Option<Deaf<'_>> {
    assert!(
        check != Check::Parking,
        "gopark: the closure that begins a park parked or yielded itself"
    );
    if check == Check::Watched {
        return None;
    }
    if std::thread::panicking() {
        // A limit that is due asks again when the mask has ended.
        g.state.take_interrupt();
        return Some(Deaf::begin(g));
    }
    match interrupt::verdict(g) {
        Verdict::Nothing => None,
        Verdict::Deferred => Some(Deaf::begin(g)),
        // The caller may hold the lock of what it waits for. The park that begins releases it, and
        // the request ends that park.
        Verdict::Unwind(Reason::Stop) if g.machine().pin.is_set() && g.told.must_give_up() => None,
        Verdict::Unwind(reason) => unwind(g, reason),
    }
}

/// Follows a request to unwind: unwinds, or waits for ever if the goroutine caught too many.
#[cold]
fn unwind(g: &G, reason: Reason) -> ! {
    if reason == Reason::Stop && g.told.must_give_up() {
        give_up(g);
    }
    if reason == Reason::Stop {
        g.told.stopped();
    }
    resume_unwind(interrupt::take(g, reason))
}

/// Unwinds, after a park that a request has ended and that was not served. Comes back if the
/// request is over, masked, or must wait: then the wait goes on.
#[cold]
#[inline(never)]
pub(crate) fn heed(g: &G) {
    drop(end_if_stopped(g));
}

/// Whether [`heed`] would unwind.
#[cold]
#[inline(never)]
pub(crate) fn must_heed(g: &G) -> bool {
    if g.state.check() == Check::Go || std::thread::panicking() {
        return false;
    }
    let verdict = interrupt::verdict(g);
    interrupt::renew(g);
    matches!(verdict, Verdict::Unwind(_))
}

/// The running goroutine `g` waits for ever: it has caught every request to end, or the program
/// does not unwind.
#[cold]
fn give_up(g: &G) -> ! {
    std::mem::forget(Deaf::begin(g));
    let m = pin(g);
    g.told.give_up();
    m.shared().count_given_up(g.bound.get() != 0);
    unpin(m);
    loop {
        let _ = park_with(g, Wait::Raw, || true);
    }
}

/// Unwinds a goroutine that was cancelled before it ran.
#[inline]
pub(crate) fn begin(g: &G) {
    // One that is asked to stop begins all the same: what it spawns and drops is part of the end.
    if g.state.check() != Check::Go && g.state.requests().cancel {
        resume_unwind(interrupt::take(g, Reason::Cancel));
    }
}

/// Begins a suspension of `g` for which the check was not [`Check::Go`]: unwinds, or gives what is
/// held during the suspension of a goroutine that is watched.
fn begin_checked(g: &G, check: Check, why: Wait) -> Begun<'_> {
    let masked = end_or_panic(g, check);
    Begun {
        _away: g.is_watched().then(|| Away::begin(g, why)),
        _masked: masked,
    }
}

/// What is held during a suspension for which the check was not [`Check::Go`].
#[must_use]
struct Begun<'a> {
    _away: Option<Away<'a>>,
    _masked: Option<Deaf<'a>>,
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

/// Runs `f` on the goroutine `g`, which runs: no request that comes from outside of `f` ends a park
/// in it.
pub(crate) fn undisturbed<T>(g: &G, f: impl FnOnce() -> T) -> T {
    let _deaf = Deaf::begin(g);
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
    if g.state.check() != Check::Go {
        return park_by_token_checked(g);
    }
    if g.state.take_token() {
        return;
    }
    if is_tied(g) {
        return park_by_token_checked(g);
    }
    let m = pin(g);
    note_park(g, m, Wait::Park);
    leave(g, m, After::CommitByToken(g.to_ref()));
    if g.state.was_ended() {
        park_by_token_checked(g);
    }
}

/// Waits for the token, of a goroutine that is asked to unwind or watched, or whose park is not
/// just a switch.
#[cold]
#[inline(never)]
fn park_by_token_checked(g: &G) {
    loop {
        if g.state.was_ended() {
            g.state.clear_ended();
            // A token that came after the request has served the wait.
            if g.state.take_token() {
                return;
            }
        }
        let check = g.state.check();
        let _begun = (check != Check::Go).then(|| begin_checked(g, check, Wait::Park));
        if g.state.take_token() {
            return;
        }
        park_by_token_tied(g);
        if !g.state.was_ended() {
            return;
        }
    }
}

/// Whether a park of `g` is not just a switch: it is bound to its thread, in a blocking call, or
/// unwinds.
#[inline]
fn is_tied(g: &G) -> bool {
    g.bound.get() != 0 || g.blocking.get() || std::thread::panicking()
}

// Not inlined into a loop: `panicking` reads a thread-local, whose address changes in a switch.
#[cold]
#[inline(never)]
fn park_by_token_tied(g: &G) {
    let _back = blocking::Interrupted::of(g);
    let unwinding = Deaf::while_unwinding(g);
    let m = pin(g);
    note_park(g, m, Wait::Park);
    if unwinding.is_some() || g.bound.get() != 0 {
        bound::park(g, m, After::CommitByToken(g.to_ref()));
    } else {
        leave(g, m, After::CommitByToken(g.to_ref()));
    }
}

/// Parks if `publish` says so; somebody then calls `ready`.
///
/// The phase is `Parking` while `publish` runs: it must not park or yield.
#[inline(never)]
pub(crate) fn park_with(g: &G, why: Wait, publish: impl FnOnce() -> bool) -> Parked {
    let parked = park_begun(g, why, State::begin_park, publish);
    if parked == Parked::Interrupted {
        g.state.clear_ended();
    }
    parked
}

/// Waits for the token, or for a wake by whoever `publish` told of the wait.
#[inline(never)]
pub(crate) fn park_by_token_with(g: &G, publish: impl FnOnce()) -> Parked {
    let publish = || {
        publish();
        true
    };
    let parked = park_begun(g, Wait::Park, State::begin_park_by_token, publish);
    if parked == Parked::Interrupted {
        g.state.clear_ended();
    }
    parked
}

/// Parks until somebody uses the waiter that `publish` is given, if it says so.
#[inline]
pub(crate) fn park_raw(g: &G, publish: impl FnOnce(Waiter) -> bool) {
    struct Void<'a>(&'a G);
    impl Drop for Void<'_> {
        fn drop(&mut self) {
            self.0.wait_word.void();
        }
    }
    let publish = || {
        let void = Void(g);
        let published = publish(Waiter::of(g));
        if published {
            std::mem::forget(void);
        }
        published
    };
    if park_begun(g, Wait::Raw, State::begin_park, publish) == Parked::Interrupted {
        park_raw_again(g);
    }
}

/// The suspension of a raw park that goes on, if `g` is watched.
///
/// # Panics
/// When the goroutine must not be suspended now: then its waiter is void.
fn away_again(g: &G) -> Option<Away<'_>> {
    struct Close<'a>(&'a G);
    impl Drop for Close<'_> {
        fn drop(&mut self) {
            self.0.wait_word.void();
            let _ = self.0.state.close_ended();
        }
    }
    if !g.is_watched() {
        return None;
    }
    let close = Close(g);
    let away = Away::begin(g, Wait::Raw);
    std::mem::forget(close);
    Some(away)
}

/// A request has ended a raw park: the goroutine unwinds, or waits on for the same waiter.
#[cold]
fn park_raw_again(g: &G) {
    while !park_raw_once_more(g) {}
}

/// One round: true if the wait is over.
// Not inlined into a loop: `panicking` reads a thread-local, whose address changes in a switch.
#[cold]
#[inline(never)]
fn park_raw_once_more(g: &G) -> bool {
    // First: it panics where a suspension is forbidden.
    let _away = away_again(g);
    let unwinding = Deaf::while_unwinding(g);
    let verdict = match unwinding {
        None => interrupt::verdict(g),
        Some(_) => {
            g.state.take_interrupt();
            Verdict::Nothing
        }
    };
    if let Verdict::Unwind(reason) = verdict {
        // Before it is asked whether the waiter came: a waiter that comes later does nothing.
        g.wait_word.void();
        if g.state.close_ended() == Closed::Void {
            unwind(g, reason);
        }
        interrupt::renew(g);
        return true;
    }
    // A request that must wait would end the park again.
    let _masked = (verdict == Verdict::Deferred).then(|| Deaf::begin(g));
    let _back = blocking::Interrupted::of(g);
    if g.state.resume_park() == Closed::Woken {
        return true;
    }
    suspend(g, Wait::Raw, unwinding.is_some());
    !g.state.was_ended()
}

#[inline(always)]
fn park_begun(g: &G, why: Wait, begin: fn(&State), publish: impl FnOnce() -> bool) -> Parked {
    match g.state.check() {
        Check::Go => park_checked(g, why, begin, publish),
        check => {
            // One function for all closures: this way is rare.
            let mut publish = Some(publish);
            let mut publish = || publish.take().is_some_and(|publish| publish());
            park_otherwise(g, check, why, begin, &mut publish)
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
) -> Parked {
    let _begun = begin_checked(g, check, why);
    park_checked(g, why, begin, publish)
}

#[inline(always)]
fn park_checked(g: &G, why: Wait, begin: fn(&State), publish: impl FnOnce() -> bool) -> Parked {
    struct Abort<'a>(&'a G);
    impl Drop for Abort<'_> {
        fn drop(&mut self) {
            self.0.state.abort_park();
        }
    }
    let _back = blocking::Interrupted::of(g);
    // Before the park begins: a request to stop may come while `publish` runs.
    let unwinding = Deaf::while_unwinding(g);
    begin(&g.state);
    let abort = Abort(g);
    if !publish() {
        return Parked::NotBegun;
    }
    std::mem::forget(abort);
    suspend(g, why, unwinding.is_some());
    // A request that came after the wake has not set it, and is for the next suspension.
    if g.state.was_ended() {
        return Parked::Interrupted;
    }
    Parked::Woken
}

/// Leaves the stack, or sleeps with the thread, until the park ends that has begun.
#[inline(always)]
fn suspend(g: &G, why: Wait, is_unwinding: bool) {
    let m = pin(g);
    note_park(g, m, why);
    if is_unwinding || g.bound.get() != 0 {
        bound::park(g, m, After::Commit(g.to_ref()));
    } else {
        leave(g, m, After::Commit(g.to_ref()));
    }
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
