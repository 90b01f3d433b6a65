//! A P changes hands: it is passed on, given to a claim, retired; and an M comes to a P again.

#![expect(unsafe_code, reason = "empties the caches of a retired P")]

use super::beat;
use super::claims::Claim;
use super::find;
use super::global;
use super::grant::{Give, Given};
use super::machine::{Machine, Standing};
use super::processor::Processor;
use super::shared::Shared;
use crate::sched::hold::Seen;

/// Passes on P number `p`, which the caller took from an M and owns.
pub(crate) fn hand_off(shared: &Shared, p: usize) {
    if give_to_any_claim(shared, p) {
        return;
    }
    if !shared.idle.release_unless_excess(p) {
        // An M comes to empty it: emptying allocates, which sysmon, a caller, should not.
        if let Some(wake) = shared.idle.resume_with(p) {
            return shared.carry_out(wake);
        }
        empty(shared, shared.proc(p));
        shared.idle.release(p);
    }
    if find::anything_anywhere(shared) || shared.is_unattended() {
        shared.submitted();
    }
}

/// Passes on P number `p`, which the caller owns and for which work waits, when a long blocking
/// call begins: to an M that returns from such a call, or to an M that is called for it, whichever
/// comes first.
pub(crate) fn lend(shared: &Shared, p: usize) {
    if give_to_any_claim(shared, p) {
        return;
    }
    if !shared.idle.release_unless_excess(p) {
        return hand_off(shared, p);
    }
    if let Some(wake) = shared.idle.call() {
        shared.carry_out(wake);
    }
    shared.monitor.work();
}

/// Gives P number `p`, which the caller owns, to the M of a claim that goes before all others, if
/// there is one: without another thread in between.
fn give_to_any_claim(shared: &Shared, p: usize) -> bool {
    if p >= shared.procs.limit() {
        return false;
    }
    let processor = shared.proc(p);
    while let Some(claim) = claim_for(shared, processor) {
        if give_to_claim(shared, claim, p) {
            return true;
        }
    }
    false
}

/// The M of a claim that gets the P `p`, which the caller owns, before all others.
fn claim_for(shared: &Shared, p: &Processor) -> Option<usize> {
    if shared.claims.len() == 0 {
        return None;
    }
    // What is overdue is seen to by the loop of an M, to which those that claim do not come.
    let is_overdue = beat::is_overdue(shared, p);
    let is_wanted = is_overdue || p.has_work() || global::is_any_runnable(shared);
    if !is_wanted || !shared.idle.has_spare() {
        global::any_claim(shared, p)
    } else if is_overdue {
        None
    } else {
        let claim = global::ahead(shared, p);
        if claim.is_none() {
            global::refuse(p);
        }
        claim
    }
}

/// Gives P number `p`, which the caller owns, to the M of a claim: false if it is stale.
pub(crate) fn give_to_claim(shared: &Shared, claim: usize, p: usize) -> bool {
    let m = shared.machines.get(claim);
    let fresh = m.grant.give_to_claim(p) == Give::Wake;
    if fresh {
        m.wake();
    }
    fresh
}

/// Moves the queue of a P above the limit, which the caller owns, to the global queue, and its
/// timers to P0, which is never above the limit.
pub(crate) fn empty(shared: &Shared, p: &Processor) {
    while let Some(g) = p.take_next().or_else(|| p.pop()) {
        shared.inject.push(g);
    }
    p.timers.move_to(&shared.proc(0).timers);
    // SAFETY: the caller owns the P; one short use.
    unsafe { p.local() }.supply.flush(&shared.seeds);
}

/// A P for an M that has none and runs a goroutine already: an idle P, or that of an M in a
/// blocking call.
///
/// The P of an M in a call runs nothing. sysmon, which would take it in a moment, wakes a thread
/// for it; the caller's thread is awake.
pub(crate) fn find_p(shared: &Shared) -> Option<usize> {
    shared.idle.take_p().or_else(|| {
        let mut procs = shared.procs.iter().take(shared.procs.limit());
        let taken = procs.find(|p| match p.hold.seen() {
            Seen::Blocking { m } => p.hold.take_blocking(m),
            _ => false,
        });
        taken.map(|p| p.index)
    })
}

/// A pinned M without a P waits for one on its own thread: it may not leave its goroutine.
#[cold]
pub(crate) fn claim(m: &Machine) {
    let shared = m.shared();
    if let Some(p) = find_p(shared) {
        return m.hold(p);
    }
    m.grant.claim();
    shared.claims.push(m.index, Claim::Returned);
    // A P that was laid down meanwhile must not lie beside the claim.
    match shared.idle.take_p() {
        Some(p) => hand_off(shared, p),
        None => shared.submitted(),
    }
    sleep_until_given(m);
}

/// A pinned M whose slice is over lets others run, and keeps its thread.
#[cold]
pub(crate) fn give_way(m: &Machine) {
    let shared = m.shared();
    let stays = m.p().index < shared.procs.limit();
    if stays && !find::anybody_nearby(m) && !beat::is_overdue(shared, m.p()) {
        return;
    }
    m.grant.claim();
    let p = m.release();
    shared.claims.push(m.index, Claim::Over);
    hand_off(shared, p);
    sleep_until_given(m);
}

/// The thread of a pinned M sleeps inside its goroutine until it is given a P.
pub(crate) fn sleep_until_given(m: &Machine) {
    match m.sleep() {
        Given::P(p) => m.hold(p),
        Given::Call => unreachable!("this M is on no list"),
        Given::End => unreachable!("a runtime ends after its goroutines"),
    }
}

/// The way out of a runtime call that did not leave the goroutine: sees to what was noticed.
#[inline]
pub(crate) fn settle(m: &Machine, standing: Standing) {
    match standing {
        Standing::Held | Standing::Blocking => {}
        Standing::Preempted => give_way(m),
        Standing::Lost => claim(m),
    }
}
