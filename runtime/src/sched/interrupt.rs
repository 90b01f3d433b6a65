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
//! # Invariants
//!
//! 1. An alarm is marked before its goroutine is interrupted, and a limit does not end between the
//!    two. So an interrupt that ends a park is that of a limit which is there.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use super::machine::{pin, unpin};
use super::park::{Cancelled, Exited};
use super::timers::{Action, Timer};
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

    /// Whether the goroutine must unwind for it now. For the goroutine.
    fn is_due(&self) -> bool {
        // Acquire: pairs with `ring`.
        self.state.load(Ordering::Acquire) != SILENT && !self.heard.load(Ordering::Relaxed)
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

/// The reason for which the running goroutine, which was interrupted, must unwind, if there is one.
#[cold]
pub(crate) fn reason(g: &G) -> Option<Box<dyn std::any::Any + Send>> {
    if g.state.take_cancel() {
        return Some(Box::new(Cancelled));
    }
    g.state.take_interrupt();
    let limits = g.limits.take()?;
    let due = limits.iter().find_map(|timer| match timer.action() {
        Action::Interrupt(alarm) if alarm.is_due() => {
            alarm.heard.store(true, Ordering::Relaxed);
            Some(Reached(Arc::clone(timer)))
        }
        _ => None,
    });
    g.limits.set(Some(limits));
    due.map(|reached| Box::new(reached) as _)
}
