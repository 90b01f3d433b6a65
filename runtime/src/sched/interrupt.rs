//! What makes a goroutine unwind that may go on afterwards: time limits, and being cancelled.
//!
//! A goroutine keeps a list of its limits, the outermost first. When the time of one has come, its
//! alarm is marked and the goroutine interrupted: the park that it is in, or its next one, unwinds
//! with the limit's mark, and whoever set the limit catches that. Of several that are due the
//! outermost counts. A limit makes its goroutine unwind once: who catches the unwinding in between
//! has had it.
//!
//! Cancelling a goroutine is a bit of its life-cycle word, which it takes when it unwinds for it:
//! so that happens once, and before any limit.
//!
//! # Masks
//!
//! While a goroutine is masked (`bound::Deaf`), only the limits that were set inside of the
//! innermost mask make it unwind. All else waits for the end of the mask, and then for the next
//! suspension.
//!
//! # Frames that cannot be unwound
//!
//! A request is followed only if the unwinding would come to an end (`frames.rs`). Otherwise the
//! wait goes on as if it were masked, and the next suspension asks again.
//!
//! # Invariants
//!
//! 1. An alarm is marked before its goroutine is interrupted, and a limit does not end between the
//!    two. So an interrupt that ends a park is that of a limit which is there.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use super::frames::{self, Reach};
use super::machine::{pin, unpin};
use super::park::{Cancelled, Exited};
use super::timers::{Action, Timer};
use crate::fatal;
use crate::sched::header::{G, GRef};
use crate::task::state::Wake;

/// The program is built so that nothing unwinds.
pub(crate) const ABORTS: bool = cfg!(panic = "abort");

/// `call` is about to make a goroutine unwind.
///
/// # Panics
/// When the program is built so that nothing unwinds.
#[inline]
#[track_caller]
pub(crate) fn assert_unwinds(call: &str) {
    if ABORTS {
        panic!("{call} needs unwinding, and the program is built with panic = \"abort\"");
    }
}

const SILENT: u32 = 0;
const MARKED: u32 = 1;
/// The goroutine has been interrupted.
const RUNG: u32 = 2;

/// What a limit's timer does.
#[derive(Debug)]
pub(crate) struct Alarm {
    g: GRef,
    id: u64,
    state: AtomicU32,
    /// The goroutine has begun to unwind for it. Its own.
    heard: AtomicBool,
    /// How many masks there were over the goroutine when the limit was set.
    masks: u32,
}

impl Alarm {
    /// The time has come. For the one who took the timer.
    pub(crate) fn ring(&self, ready: &mut impl FnMut(GRef)) {
        // Release: pairs with `is_due`.
        self.state.store(MARKED, Ordering::Release);
        if self.g.get().state.interrupt(self.id) == Wake::Enqueue {
            ready(self.g);
        }
        // Release: pairs with the end of the limit.
        self.state.store(RUNG, Ordering::Release);
    }

    /// Whether the goroutine, with so many masks over it, must unwind for it now. For the
    /// goroutine.
    fn is_due(&self, masks: u32) -> bool {
        // Acquire: pairs with `ring`.
        self.masks >= masks
            && self.state.load(Ordering::Acquire) != SILENT
            && !self.heard.load(Ordering::Relaxed)
    }
}

/// The payload of an unwinding for a limit: its timer.
#[derive(Debug)]
struct Reached(Arc<Timer>);

/// A limit that the running goroutine has set; dropping it ends it.
#[derive(Debug)]
pub(crate) struct Limit<'a> {
    g: &'a G,
    timer: Arc<Timer>,
}

impl Limit<'_> {
    /// From now until `when` and the drop, whichever comes first.
    pub(crate) fn set(g: &G, when: u64) -> Limit<'_> {
        let timer = Timer::new(Action::Interrupt(Alarm {
            g: g.to_ref(),
            id: g.state.id(),
            state: AtomicU32::new(SILENT),
            heard: AtomicBool::new(false),
            masks: g.masks.get(),
        }));
        let mut limits = g.limits.take().unwrap_or_default();
        limits.push(Arc::clone(&timer));
        g.limits.set(Some(limits));
        let m = pin(g);
        timer.start(m.shared(), Some(m), when);
        unpin(m);
        Limit { g, timer }
    }

    /// Whether an unwinding is for this limit.
    pub(crate) fn is_reached(&self, payload: &(dyn std::any::Any + Send)) -> bool {
        payload
            .downcast_ref()
            .is_some_and(|Reached(timer)| Arc::ptr_eq(timer, &self.timer))
    }
}

impl Drop for Limit<'_> {
    fn drop(&mut self) {
        let m = pin(self.g);
        let was_running = self.timer.stop(m.shared());
        unpin(m);
        if !was_running && let Action::Interrupt(alarm) = self.timer.action() {
            // Who took the timer is about to ring: a few instructions, in which it is not
            // suspended. Acquire: pairs with `ring`.
            while alarm.state.load(Ordering::Acquire) != RUNG {
                std::thread::yield_now();
            }
        }
        let mut limits = self.g.limits.take().unwrap_or_default();
        limits.pop();
        self.g
            .limits
            .set(Some(limits).filter(|limits| !limits.is_empty()));
    }
}

/// What an unwinding is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Panic,
    /// The goroutine has called `exit`.
    Exit,
    /// It was cancelled, its runtime ends, or a time limit is reached.
    Request,
}

/// What the unwinding with this payload is for.
pub(crate) fn kind(payload: &(dyn std::any::Any + Send)) -> Kind {
    if payload.is::<Cancelled>() || payload.is::<Reached>() {
        Kind::Request
    } else if payload.is::<Exited>() {
        Kind::Exit
    } else {
        Kind::Panic
    }
}

/// Why a goroutine must unwind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    /// Its runtime ends.
    Stop,
    Cancel,
    /// The limit at this place of its list.
    Limit(usize),
}

/// What a goroutine must do about the requests that it has got.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// There are none, or they are masked.
    Nothing,
    /// There are some, but the unwinding would come to a frame that cannot be unwound.
    Deferred,
    Unwind(Reason),
}

/// What the running goroutine `g` must do now.
///
/// The bit that made the goroutine look is taken. If it does not unwind after `Deferred` or
/// `Unwind`, it puts the bit back ([`renew`]).
#[cold]
pub(crate) fn verdict(g: &G) -> Verdict {
    // Before the look at the limits: a limit that becomes due meanwhile asks again.
    g.state.take_interrupt();
    let limits = g.limits.take();
    let verdict = judge(g, limits.as_deref().map_or(&[], Vec::as_slice));
    g.limits.set(limits);
    verdict
}

fn judge(g: &G, limits: &[Arc<Timer>]) -> Verdict {
    let masks = g.masks.get();
    let due = |at: &usize| match limits[*at].action() {
        Action::Interrupt(alarm) => alarm.is_due(masks),
        Action::Spawn(_) => false,
    };
    let asked = g.state.requests();
    let must_end = masks == 0 && (asked.stop || asked.cancel);
    if !must_end && !(0..limits.len()).any(|at| due(&at)) {
        return Verdict::Nothing;
    }
    // In a program that aborts nothing unwinds: the goroutine stops where it is.
    let reach = if ABORTS { Reach::FREE } else { frames::reach() };
    if must_end && reach.is_free {
        return Verdict::Unwind(match asked.stop {
            true => Reason::Stop,
            false => Reason::Cancel,
        });
    }
    let is_in_reach = |at: &usize| reach.is_free || limits.len() - 1 - at < reach.limits;
    if let Some(at) = (0..limits.len()).filter(due).find(is_in_reach) {
        return Verdict::Unwind(Reason::Limit(at));
    }
    if must_end && asked.stop {
        tell_blocked(g);
    }
    Verdict::Deferred
}

/// Warns that a goroutine cannot be unwound at the end of its runtime, once in a process.
#[cold]
fn tell_blocked(g: &G) {
    static TOLD: AtomicBool = AtomicBool::new(false);
    // A pinned caller may hold a lock: the next look tells.
    if g.machine().pin.is_set() || TOLD.swap(true, Ordering::Relaxed) {
        return;
    }
    let at = g.told.spawned_at();
    let at = at.map_or(String::new(), |at| format!(", spawned at {at}"));
    fatal::warn(format_args!(
        "goroutine {}{at}, cannot be unwound at the end of its runtime: it waits in a callback, \
         below a frame that does not unwind (`extern \"C\"`). It goes on until the callback \
         returns; this is said once",
        g.state.id()
    ));
}

/// Follows a request: the payload of the unwinding. Others that there are ask again.
pub(crate) fn take(g: &G, reason: Reason) -> Box<dyn std::any::Any + Send> {
    let payload = follow(g, reason);
    renew(g);
    payload
}

fn follow(g: &G, reason: Reason) -> Box<dyn std::any::Any + Send> {
    match reason {
        Reason::Stop => Box::new(Cancelled),
        Reason::Cancel => {
            g.state.take_cancel();
            Box::new(Cancelled)
        }
        Reason::Limit(at) => {
            let limits = g.limits.take();
            let timer = limits.as_deref().map(|limits| Arc::clone(&limits[at]));
            g.limits.set(limits);
            let timer = timer.expect("a limit that is due is in the list");
            if let Action::Interrupt(alarm) = timer.action() {
                alarm.heard.store(true, Ordering::Relaxed);
            }
            Box::new(Reached(timer))
        }
    }
}

/// Asks the goroutine to look again, if a limit is due that it has not followed. For the owner.
pub(crate) fn renew(g: &G) {
    let Some(limits) = g.limits.take() else {
        return;
    };
    let masks = g.masks.get();
    let is_due = |timer: &Arc<Timer>| match timer.action() {
        Action::Interrupt(alarm) => alarm.is_due(masks),
        Action::Spawn(_) => false,
    };
    if limits.iter().any(is_due) {
        g.state.renew_interrupt();
    }
    g.limits.set(Some(limits));
}
