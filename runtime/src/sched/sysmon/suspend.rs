//! sysmon's side of a suspension: asking, collecting the answers, taking the Ps.
//!
//! 1. *Ask*: the M's word becomes `Requested`; heavy fence; an M that is pinned or shielded is left
//!    alone (the request is taken back); else the signal. Whoever raises his shield does so before
//!    he looks for a request, with a light fence between: one of the two sees the other.
//! 2. *Answer*: the handler suspends the thread and pokes sysmon, or declines.
//! 3. *Collect*: the P's word becomes `Retaking`; then the M's word `Claiming`, unless it gave up
//!    meanwhile; then the P's word `Free`, unless the M gave up in between and won the P back. The
//!    claim is queued, then the P is passed on: so one goroutine runs on it at a time.
//! 4. *Calling in*: a thread that lost its P because it was blocked, or that gave up its suspension
//!    after the longest time for one, may run for a slice beside the Ps. Then it is asked like a
//!    hog; it has no P to take, only a claim to queue.
//! 5. *No answer*: a thread that blocks the signal, or whose handler was replaced. The request is
//!    taken back and the thread is detached instead, for a second at least.
//! 6. *Late*: the thread runs, but the signal is still on its way. It works in the kernel, or a
//!    hypervisor has taken its core away, which the thread's CPU clock does not tell apart. It is
//!    waited for a little longer, then detached until the signal has reached it. That one then
//!    finds no request, and goes to whoever handled it before.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::preempt;
use crate::sched::claims::Claim;
use crate::sched::grant::Answer;
use crate::sched::hand_off::hand_off;
use crate::sched::hold::Seen;
use crate::sched::machine::Machine;
use crate::sched::processor::Processor;
use crate::sched::roster::PROCS_MAX;
use crate::sched::shared::Shared;
use crate::sys::{asymmetric, thread};

/// Suspended threads for each P; beyond that hogs are detached.
const SUSPENDED_MAX: usize = 4;
/// A thread that has run for this long after the signal has reached it does not answer it.
const DEAF_AFTER: Duration = Duration::from_millis(2);
/// One that has run for this long without that is not waited for; or, if it has run for
/// [`DEAF_AFTER`] at least, after [`ASKED_MAX`].
const LATE_AFTER: Duration = Duration::from_millis(5);
/// A request is taken back after this, and made again later: the thread has hardly run.
const ASKED_MAX: Duration = Duration::from_millis(20);

/// Detached threads that are watched, at most; others run on beside the Ps.
const LET_GO_MAX: usize = 1024;

/// A request that is open.
#[derive(Debug)]
struct Asked {
    /// The P that the M holds; `None` for a detached one.
    p: Option<usize>,
    m: usize,
    /// When it was asked, or when the signal was first seen to have reached it.
    at: Instant,
    ticks: u64,
    /// The thread's CPU clock at the same time.
    clock: Option<Duration>,
    reached: bool,
}

/// A thread that may run without a P.
#[derive(Debug)]
struct LetGo {
    m: usize,
    /// Its CPU clock when it was first seen to run.
    clock: Option<Duration>,
}

/// See the top of this file.
#[derive(Debug)]
pub(crate) struct Suspender {
    /// Neither grows beyond what was reserved.
    asked: Vec<Asked>,
    let_go: Vec<LetGo>,
}

impl Suspender {
    pub(crate) fn new() -> Suspender {
        Suspender {
            asked: Vec::with_capacity(PROCS_MAX),
            let_go: Vec::with_capacity(LET_GO_MAX),
        }
    }

    /// Whether answers are due.
    pub(crate) fn awaits(&self) -> bool {
        !self.asked.is_empty()
    }

    /// Whether the answer of M `m` is due.
    pub(crate) fn has_asked(&self, m: usize) -> bool {
        self.asked.iter().any(|asked| asked.m == m)
    }

    /// Whether M `m` can only be detached.
    pub(crate) fn must_detach(&self, shared: &Shared, m: &Machine) -> bool {
        // Those that have agreed already are counted among the suspended.
        let machines = self.asked.iter().map(|asked| shared.machines.get(asked.m));
        let open = machines.filter(|m| m.grant.is_requested()).count();
        let suspended = shared.suspended.load(Ordering::Relaxed) + open;
        m.is_deaf.load(Ordering::Relaxed)
            || is_late(m)
            || m.shield.load(Ordering::Relaxed) != 0
            || suspended >= SUSPENDED_MAX * shared.procs.limit()
    }

    /// Threads that did not answer are asked again: the signal may have come at a bad moment.
    pub(crate) fn try_again(&self, shared: &Shared) {
        for m in shared.machines.iter() {
            let blocks = m.blocks_signal.load(Ordering::Relaxed);
            m.is_deaf.store(blocks, Ordering::Relaxed);
        }
    }

    /// Step 1: true if a signal was sent.
    pub(crate) fn ask(&mut self, p: Option<&Processor>, m: &Machine, now: Instant) -> bool {
        if self.has_asked(m.index) || self.asked.len() == PROCS_MAX || !m.grant.request() {
            return false;
        }
        asymmetric::heavy();
        let is_blocking = m.is_blocking.load(Ordering::Relaxed);
        if m.pin.is_set() || m.shield.load(Ordering::Relaxed) != 0 || is_blocking {
            m.grant.cancel();
            return false;
        }
        let tid = m.tid.load(Ordering::Relaxed);
        self.asked.push(Asked {
            p: p.map(|p| p.index),
            m: m.index,
            at: now,
            ticks: p.map_or(0, |p| p.counts.ticks.get()),
            clock: thread::cpu_time(tid),
            reached: false,
        });
        thread::signal(tid, preempt::SIGNAL);
        true
    }

    /// M `m` has lost its P: it is watched until it has one again, or comes to the runtime.
    pub(crate) fn let_go(&mut self, m: usize) {
        self.let_go.retain(|other| other.m != m);
        if self.let_go.len() < LET_GO_MAX {
            self.let_go.push(LetGo { m, clock: None });
        }
    }

    /// Step 4.
    pub(crate) fn call_in(&mut self, shared: &Shared, now: Instant) {
        let mut let_go = std::mem::take(&mut self.let_go);
        let_go.retain_mut(|watched| {
            let m = shared.machines.get(watched.m);
            if !m.is_detached.load(Ordering::Relaxed) {
                return false;
            }
            if m.grant.sleeps() {
                watched.clock = None;
                return true;
            }
            let clock = thread::cpu_time(m.tid.load(Ordering::Relaxed));
            let used = match (clock, watched.clock) {
                (Some(clock), Some(before)) => clock.saturating_sub(before),
                _ => {
                    watched.clock = clock;
                    return true;
                }
            };
            if used >= shared.config.time_slice && !self.must_detach(shared, m) {
                self.ask(None, m, now);
            }
            true
        });
        self.let_go = let_go;
    }

    /// Steps 3, 5 and 6.
    pub(crate) fn collect(&mut self, shared: &Shared, now: Instant) {
        let mut asked = std::mem::take(&mut self.asked);
        asked.retain_mut(|asked| {
            let m = shared.machines.get(asked.m);
            let p = asked.p.map(|p| shared.proc(p));
            let answer = m.grant.answer();
            if answer == Answer::Suspended {
                // Not always the P that it had when it was asked: it may have lost that one to a
                // blocking call meanwhile, and come back to another.
                self.let_go(asked.m);
                match held_by(shared, m) {
                    Some(p) => take(shared, p, m),
                    None => queue(shared, m),
                }
                return false;
            }
            if answer == Answer::Over {
                return false;
            }
            let moved_on = p.is_some_and(|p| p.counts.ticks.get() != asked.ticks);
            let silence = if moved_on {
                Silence::Void
            } else {
                silence(asked, m, now)
            };
            if silence == Silence::Short {
                return true;
            }
            if m.grant.cancel() {
                m.is_deaf
                    .fetch_or(silence == Silence::Deaf, Ordering::Relaxed);
                m.is_late.store(silence == Silence::Late, Ordering::Relaxed);
                if silence == Silence::Deaf && !m.blocks_signal.load(Ordering::Relaxed) {
                    preempt::note_unanswered();
                }
            }
            // Not cancelled: it was suspended just now, and is taken next time.
            m.grant.is_suspended()
        });
        self.asked = asked;
    }
}

/// What it means that a thread has not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Silence {
    /// Nothing yet.
    Short,
    /// Nothing, and the request is void: it has hardly run, or has come by itself.
    Void,
    /// Step 6.
    Late,
    /// Step 5.
    Deaf,
}

fn silence(asked: &mut Asked, m: &Machine, now: Instant) -> Silence {
    let is_over = now.saturating_duration_since(asked.at) > ASKED_MAX;
    let clock = thread::cpu_time(m.tid.load(Ordering::Relaxed));
    let ran = match (asked.clock, clock) {
        (Some(before), Some(clock)) => clock.saturating_sub(before),
        _ => Duration::ZERO,
    };
    if ran < DEAF_AFTER {
        if is_over {
            Silence::Void
        } else {
            Silence::Short
        }
    } else if asked.reached {
        Silence::Deaf
    } else if !is_on_its_way(m) {
        // From now on it could answer.
        (asked.reached, asked.at, asked.clock) = (true, now, clock);
        Silence::Short
    } else if ran < LATE_AFTER && !is_over {
        Silence::Short
    } else {
        Silence::Late
    }
}

/// Whether the signal will reach the thread: it is in the kernel, or has not run.
fn is_on_its_way(m: &Machine) -> bool {
    let state = thread::signal_state(m.tid.load(Ordering::Relaxed), preempt::SIGNAL);
    state.is_some_and(|signal| signal.is_pending && !signal.is_blocked)
}

/// Whether the last signal has not, though the thread has run. Step 6.
fn is_late(m: &Machine) -> bool {
    let is_late = m.is_late.load(Ordering::Relaxed) && is_on_its_way(m);
    m.is_late.store(is_late, Ordering::Relaxed);
    is_late
}

/// The P of an M that sleeps in its handler.
fn held_by<'a>(shared: &'a Shared, m: &Machine) -> Option<&'a Processor> {
    let names_it =
        |p: &&Processor| matches!(p.hold.seen(), Seen::Running { m: of, .. } if of == m.index);
    shared.procs.iter().find(names_it)
}

/// Step 3.
fn take(shared: &Shared, p: &Processor, m: &Machine) {
    if !p.hold.begin_retake(m.index) {
        return;
    }
    if !m.grant.seize() {
        p.hold.put_back(m.index);
        return;
    }
    if !p.hold.finish_retake(m.index) {
        return;
    }
    p.counts.preemptions.add(1);
    m.is_detached.store(true, Ordering::Relaxed);
    shared.claims.push(m.index, Claim::Over);
    hand_off(shared, p.index);
}

/// Step 3 for a thread that has no P.
fn queue(shared: &Shared, m: &Machine) {
    if m.grant.seize() {
        shared.claims.push(m.index, Claim::Over);
        shared.submitted();
    }
}
