//! The loop of a machine, and the switches between goroutines.
//!
//! A goroutine that leaves switches straight to the next one when there is one nearby, otherwise to
//! the machine's own context, where the loop searches. Whatever must wait until the left context is
//! saved is an [`After`], done by whoever arrives. An M without a P has no nearby, and its loop
//! begins by becoming idle.
//!
//! Every function here that switches is `#[inline(never)]`: it may return on another thread.
//!
//! Every switch is made with the floating-point control words of the thread. A goroutine that has
//! others (C code has set a rounding mode and called back) keeps them in its frame meanwhile. On
//! x86_64 the comparison that decides so is of the x87 control word, which all of C's `<fenv.h>`
//! changes together with MXCSR. A change of MXCSR alone is not seen there: the goroutine loses it,
//! and others on the M have it until the loop of the M takes it back, before it sleeps and after
//! every 16th time that it was left and came back.

#![expect(
    unsafe_code,
    reason = "switches between goroutines and the machine's own stack"
)]

use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use gopark_stack::switch::{Context, FpControl, switch};
use gopark_stack::{AltStack, Stack};

use super::beat;
use super::birth;
use super::bound::{self, Dispatch};
use super::find;
use super::global;
use super::grant::Given;
use super::hand_off;
use super::idle::Retract;
use super::machine::{After, Machine, Work, unpin};
use super::park;
use super::rest::{self, Polled};
use super::shared::Shared;
use crate::fatal;
use crate::sched::header::{G, GRef};
use crate::sched::service::chores::Chore;

/// How often an M leaves its loop between two looks at its floating-point control words.
const FP_EVERY: u32 = 16;
/// An M looks so often, in its loop, whether it still has a signal stack: foreign code may have
/// taken the stack away. A look is a system call.
const SIGNAL_STACK_EVERY_MS: u32 = 1000;

/// The body of an M's thread: runs goroutines until the runtime ends, or the thread is not needed.
pub(crate) fn machine_main(shared: &Arc<Shared>, number: usize) {
    let signals = signal_stack();
    let m = shared.machines.get(number);
    m.begin(shared);
    m.grant.wait();
    let goes_on = match shared.idle.join(number) {
        Some(p) => {
            m.take_back(p);
            true
        }
        None => announced(m, false),
    };
    let mut looked = shared.monitor.now_ms();
    while goes_on && let Some(work) = next(m) {
        let now = shared.monitor.now_ms();
        if now.wrapping_sub(looked) >= SIGNAL_STACK_EVERY_MS {
            looked = now;
            signals.as_ref().map(AltStack::restore);
        }
        match work {
            Work::Run(place) => {
                let g = birth::born(m, place);
                match bound::dispatch(m, g) {
                    Dispatch::Run => execute(m, g),
                    Dispatch::Gone => {}
                }
            }
            Work::Claim(claim) => bound::give(m, claim),
        }
    }
    debug_assert!(!m.has_p(), "a thread ends with a P");
    m.finish();
    if shared.idle.left(number) {
        shared.chores.ask(Chore::Start);
    }
}

/// The signal stack of an M's thread. Without one of our own, another one serves: the handlers need
/// little.
fn signal_stack() -> Option<AltStack> {
    match AltStack::install() {
        Ok(stack) => Some(stack),
        Err(_) if AltStack::is_present() => None,
        Err(refusal) => fatal::no_signal_stack(&refusal),
    }
}

/// What to do next, or `None` when the thread shall end. Blocks.
fn next(m: &Machine) -> Option<Work> {
    let shared = m.shared();
    loop {
        if m.ends.get() {
            if m.has_p() {
                hand_off::hand_off(shared, m.release());
            }
            return None;
        }
        if !m.has_p() {
            m.is_detached.store(false, Ordering::Relaxed);
            if !sleep(m) {
                return None;
            }
            continue;
        }
        if let Some(work) = m.picked.take() {
            stop_searching(m);
            return Some(work);
        }
        if find::is_excess(m) {
            hand_off::empty(shared, m.p());
        } else if let Some(work) = search(m) {
            return Some(work);
        }
        if !sleep(m) {
            return None;
        }
    }
}

/// All steps of the order, as far as this M may search.
fn search(m: &Machine) -> Option<Work> {
    let shared = m.shared();
    beat::look(m);
    if let Some(work) = find::nearby(m) {
        stop_searching(m);
        return Some(work);
    }
    if !m.searching.get() && !shared.idle.start_search(shared.procs.limit()) {
        return global::batch(m);
    }
    m.searching.set(true);
    let work = find::far(m)?;
    stop_searching(m);
    Some(work)
}

/// A searcher found work: there may be more, for which another M should search.
fn stop_searching(m: &Machine) {
    if m.searching.replace(false) {
        let shared = m.shared();
        shared.idle.found();
        if find::anything_anywhere(shared) {
            shared.submitted();
        }
    }
}

/// Gives up the P, if there is one, and sleeps until there is work; false when the thread shall
/// end.
fn sleep(m: &Machine) -> bool {
    restore_fp(m);
    m.grant.wait();
    let polls = m.shared().net.turn.begin_long(m.index);
    let p = m.has_p().then(|| {
        // SAFETY: one short use. What other Ms may want is not kept by one that sleeps.
        unsafe { m.local() }.supply.flush(&m.shared().seeds);
        m.release()
    });
    let searching = m.searching.replace(false);
    m.shared().idle.announce(m.index, p, searching, polls);
    // Who lays down a P looks whether the turn was left meanwhile.
    let polls = polls || p.is_some() && m.shared().net.turn.begin_long(m.index);
    announced(m, polls)
}

/// The rest of going to sleep, after the announcement: false when the thread shall end.
fn announced(m: &Machine, mut polls: bool) -> bool {
    let shared = m.shared();
    loop {
        if let Some(goes_on) = look_again(m) {
            if polls {
                shared.net.turn.end_long();
            }
            return goes_on;
        }
        let given = match polls.then(|| poll(m)) {
            Some(Polled::Given(given)) => Some(given),
            Some(Polled::Took) => return true,
            Some(Polled::Crowded) | None => sleep_long(m),
        };
        match given {
            Some(Given::P(p)) => {
                m.hold(p);
                m.searching.set(true);
                return true;
            }
            Some(Given::Call) => match come(m) {
                Come::Searches => return true,
                Come::Announced { polls: again } => polls = again,
            },
            Some(Given::End) | None => return false,
        }
    }
}

/// What becomes of an M that was called.
enum Come {
    /// It has a P.
    Searches,
    Announced {
        polls: bool,
    },
}

/// The M was called: takes an idle P, if one is left.
fn come(m: &Machine) -> Come {
    let shared = m.shared();
    m.grant.wait();
    let polls = shared.net.turn.begin_long(m.index);
    let Some(p) = shared.idle.come(m.index, polls) else {
        return Come::Announced { polls };
    };
    if polls {
        shared.net.turn.end_long();
    }
    m.take_back(p);
    Come::Searches
}

/// Looks at all queues, and whether the runtime ends, after the announcement (I4): whether the
/// thread goes on, if it need not wait.
fn look_again(m: &Machine) -> Option<bool> {
    let shared = m.shared();
    if find::anything_anywhere(shared)
        && let Retract::Search { p } = shared.idle.retract(m.index)
    {
        m.take_back(p);
        return Some(true);
    }
    // Acquire: pairs with the Release of the end; an M that announced itself after the end's
    // sweep sees it here.
    if shared.ending.load(Ordering::Acquire) && shared.idle.retire(m.index, 0) {
        m.grant.unwait();
        return Some(false);
    }
    None
}

/// Has the turn, and leaves it.
fn poll(m: &Machine) -> Polled {
    let shared = m.shared();
    let polled = rest::poll(m);
    if polled != Polled::Crowded {
        shared.net.turn.end_long();
        return polled;
    }
    shared.net.turn.end_crowded();
    // One that has become idle meanwhile may have found the turn taken.
    shared.submitted();
    polled
}

/// Sleeps until there is work; `None` when the thread shall end.
fn sleep_long(m: &Machine) -> Option<Given> {
    let shared = m.shared();
    let given = m.sleep_for(shared.config.keep_alive);
    if given.is_some() {
        return given;
    }
    // As many stay as there are Ps, and a spare one for sysmon.
    if shared.idle.retire(m.index, shared.procs.limit() + 1) {
        m.grant.unwait();
        return None;
    }
    // Those do not wake up again before they are needed.
    Some(m.sleep())
}

/// Runs `g` until something switches back to the machine's own context.
#[inline(never)]
fn execute(m: &Machine, g: GRef) {
    let g = g.get();
    enter(g, m);
    let payload = std::ptr::from_ref(m).cast_mut().cast();
    // SAFETY: `g` is ours and its context saved or prepared; the machine's context is continued on
    // this thread only, by goroutines that run on it.
    unsafe { switch(m.context.get(), g.context.get(), payload) };
    m.current.store(std::ptr::null_mut(), Ordering::Relaxed);
    m.runs.set(m.runs.get().wrapping_add(1));
    if m.runs.get().is_multiple_of(FP_EVERY) {
        restore_fp(m);
    }
    arrived(m);
}

/// Gives its own floating-point control words back to the thread, if goroutines have left others.
#[cold]
fn restore_fp(m: &Machine) {
    if FpControl::read() != m.fp.get() {
        m.fp.get().set();
    }
}

/// `g` is about to run on `m`.
#[inline]
fn enter(g: &G, m: &Machine) {
    m.current
        .store(std::ptr::from_ref(g).cast_mut(), Ordering::Relaxed);
}

/// Leaves goroutine `g`, which runs on the pinned `m`: to the next one nearby or to the machine's
/// loop. Comes back unpinned.
#[inline(never)]
pub(crate) fn leave(g: &G, m: &Machine, after: After) {
    let next = match pick(m) {
        Next::Goroutine(next) => Some(next),
        Next::Loop => None,
    };
    leave_to(g, m, after, next);
}

/// The same in the middle of a slice, to wait at the tail of the local queue: if anybody wants to
/// run. The caller is not inlined.
#[inline(always)]
pub(crate) fn leave_if_wanted(g: &G, m: &Machine) {
    let mut next = Next::Loop;
    if !m.beats() {
        // Who yields is not queued yet: those of the global queue come before him.
        match find::in_slice(m, m.p()).or_else(|| find::before_yielder(m)) {
            Some(work) => next = next_of(m, work),
            None if find::is_excess(m) && global::is_any(m.shared()) => {}
            None => return unpin(m),
        }
    }
    let (after, next) = match next {
        Next::Goroutine(next) => (After::Requeue(g.to_ref()), Some(next)),
        Next::Loop if m.shared().config.migrate => (After::Global(g.to_ref()), None),
        Next::Loop => (After::Requeue(g.to_ref()), None),
    };
    leave_to(g, m, after, next);
}

/// Leaves to `next`, or to the machine's loop.
#[inline(always)]
fn leave_to(g: &G, m: &Machine, after: After, next: Option<&G>) {
    m.after.set(after);
    let to = match next {
        Some(next) => {
            enter(next, m);
            next.context.get()
        }
        None => m.context.get(),
    };
    let back = if m.fp.get().looks_current() {
        let payload = std::ptr::from_ref(m).cast_mut().cast();
        // SAFETY: `g` runs here, so its context is free to be saved into; `to` is saved or prepared
        // and owned by this machine. `g` is continued only after `after` is done, on the other
        // side.
        unsafe { switch(g.context.get(), to, payload) }
    } else {
        // SAFETY: the same.
        unsafe { switch_with_own_fp(g, m, to) }
    };
    // SAFETY: the payload of every switch is the machine that runs on this thread.
    let m = unsafe { &*back.cast::<Machine>() };
    arrived(m);
    unpin(m);
}

/// Switches from a goroutine with other floating-point control words than the thread's. They come
/// back with it.
///
/// # Safety
/// As for [`leave_to`]'s own switch: `g` runs on `m`, and `to` is the machine's to continue.
#[cold]
#[inline(never)]
unsafe fn switch_with_own_fp(g: &G, m: &Machine, to: *mut Context) -> *mut u8 {
    let own = FpControl::read();
    m.fp.get().set();
    let payload = std::ptr::from_ref(m).cast_mut().cast();
    // SAFETY: passed on.
    let back = unsafe { switch(g.context.get(), to, payload) };
    own.set();
    back
}

/// Where a goroutine that leaves goes.
enum Next<'a> {
    /// To this one directly.
    Goroutine(&'a G),
    /// To the machine's loop.
    Loop,
}

#[inline(always)]
fn pick<'a>(m: &Machine) -> Next<'a> {
    // The loop sees to timers and the network.
    if !m.has_p() || m.beats() {
        return Next::Loop;
    }
    match find::nearby(m) {
        Some(work) => next_of(m, work),
        None => Next::Loop,
    }
}

/// Who is bound to a thread, and Ms that claim a P, are the business of the loop.
#[inline(always)]
fn next_of<'a>(m: &Machine, work: Work) -> Next<'a> {
    let picked = match work {
        Work::Run(place) => {
            let next = birth::born(m, place);
            if next.get().bound.get() == 0 {
                return Next::Goroutine(next.get());
            }
            Work::Run(next.into())
        }
        claim @ Work::Claim(_) => claim,
    };
    m.picked.set(Some(picked));
    Next::Loop
}

/// Does what the context that was left asked for. The first act on every arrival.
#[inline(always)]
pub(crate) fn arrived(m: &Machine) {
    match m.after.replace(After::Nothing) {
        After::Nothing => {}
        After::Requeue(g) => park::requeue(m, g),
        After::CommitByToken(g) => park::commit(m, g, g.get().state.park_by_token()),
        After::Commit(g) => park::commit(m, g, g.get().state.commit_park()),
        After::Global(g) => global(m, g),
        After::Recycle(g) => recycle(m, g),
    }
}

#[cold]
#[inline(never)]
fn global(m: &Machine, g: GRef) {
    m.shared().submit_global(g);
}

/// The end of a goroutine, from its own stack.
pub(crate) fn exit(g: &G, m: &Machine) -> ! {
    let _ = m.notice();
    if g.locks.get() == 0 {
        leave(g, m, After::Recycle(g.to_ref()));
    } else {
        leave_and_end(g, m);
    }
    unreachable!("a goroutine that has ended was continued")
}

/// The end of a goroutine that has locked its thread: nobody else runs there, it ends too.
#[cold]
#[inline(never)]
fn leave_and_end(g: &G, m: &Machine) {
    m.ends.set(true);
    leave_to(g, m, After::Recycle(g.to_ref()), None);
}

#[inline(never)]
fn recycle(m: &Machine, g: GRef) {
    g.get().state.end();
    let seed = g.get().seed.take();
    let header = NonNull::from(g.get()).cast();
    // SAFETY: the header of a stack that `create` forgot; the goroutine has ended, and its last
    // switch is over.
    let stack = unsafe { Stack::from_header(header) };
    let seeds = &m.shared().seeds;
    if m.has_p() {
        // SAFETY: one short use.
        unsafe { m.local() }.supply.take_back(stack, seed, seeds);
        m.p().counts.ended.add(1);
    } else {
        m.shared().outside().take_back(stack, seed, seeds);
        m.shared().count_end_outside();
    }
}
