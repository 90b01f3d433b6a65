//! `parker.rs` under the model checker: a goroutine is a thread of the model.
//!
//! It has the state words of a goroutine and takes the steps of `sched/park.rs` and
//! `sched/timed.rs`; where those leave the stack, it rests until somebody puts it on a queue. So
//! channels and queues run under the checker as they are.
//!
//! A deadline comes at once: from the moment that the nodes are in their lists, time tries to take
//! the wait. The checker lets others be faster, or not.
//!
//! A thread of the model may be asked to unwind ([`cancel`]), once. Where a goroutine would unwind,
//! the thread notes that ([`has_unwound`]) and returns: the test acts as the unwinding would.

use std::ptr;

use loom::sync::atomic::{AtomicBool, Ordering};
use loom::thread::{self, Thread};

use crate::sys::clock::NEVER;
use crate::task::reason::Wait;
use crate::task::state::{Commit, State, Wake};
use crate::task::wait_word::{By, End, Ticket, WaitWord};
pub(crate) use crate::wait::ends::{Ended, Lists};

/// A moment that comes at once in a model.
pub(crate) const SOON: u64 = NEVER - 1;

const ID: u64 = 7;

struct G {
    state: State,
    wait_word: WaitWord,
    is_enqueued: AtomicBool,
    has_unwound: AtomicBool,
    thread: Thread,
}

impl G {
    /// Off the processor, after a commit, until somebody puts it on a queue.
    fn rest(&self, commit: Commit) {
        if commit == Commit::Parked {
            // Acquire: what the waker did comes before; pairs with `Woken::go`.
            while !self.is_enqueued.swap(false, Ordering::Acquire) {
                thread::park();
            }
        }
    }
}

loom::thread_local! {
    /// Never freed: a late wake may still refer to it.
    static CURRENT: &'static G = Box::leak(Box::new(G {
        state: State::new(ID),
        wait_word: WaitWord::new(),
        is_enqueued: AtomicBool::new(false),
        has_unwound: AtomicBool::new(false),
        thread: thread::current(),
    }));
}

#[derive(Clone, Copy)]
pub(crate) struct GRef(&'static G);

impl PartialEq for GRef {
    fn eq(&self, other: &GRef) -> bool {
        ptr::eq(self.0, other.0)
    }
}

impl std::fmt::Debug for GRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("G")
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Wakeup {
    g: GRef,
    ticket: Ticket,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Waiter {
    Goroutine(GRef, u64),
    Ticket(Wakeup),
}

#[must_use = "who was woken waits for this"]
#[derive(Debug)]
pub(crate) enum Woken {
    Nothing,
    Goroutine(GRef),
}

impl Woken {
    fn of(g: GRef, wake: Wake) -> Woken {
        match wake {
            Wake::Enqueue => Woken::Goroutine(g),
            Wake::Done | Wake::Gone => Woken::Nothing,
        }
    }

    pub(crate) fn go(self) {
        if let Woken::Goroutine(g) = self {
            // Release: pairs with `G::rest`.
            let was_enqueued = g.0.is_enqueued.swap(true, Ordering::Release);
            assert!(!was_enqueued, "on two queues");
            g.0.thread.unpark();
        }
    }
}

impl Waiter {
    pub(crate) fn wake(&self) -> Option<Woken> {
        match *self {
            Waiter::Goroutine(g, id) => Some(Woken::of(g, g.0.state.ready(id))),
            Waiter::Ticket(Wakeup { g, ticket }) => {
                let taken = g.0.wait_word.take(ticket, By::Event);
                taken.then(|| Woken::of(g, g.0.state.deliver(ID)))
            }
        }
    }

    pub(crate) fn is_open(&self) -> bool {
        match self {
            Waiter::Goroutine(..) => true,
            Waiter::Ticket(Wakeup { g, ticket }) => g.0.wait_word.is_open(*ticket),
        }
    }

    pub(crate) fn is_same(&self, other: &Waiter) -> bool {
        match (self, other) {
            (Waiter::Goroutine(a, _), Waiter::Goroutine(b, _)) => a == b,
            (Waiter::Ticket(a), Waiter::Ticket(b)) => a == b,
            _ => false,
        }
    }
}

pub(crate) fn park(
    lists: Lists,
    _: Wait,
    until: u64,
    publish: impl FnOnce(Waiter) -> bool,
) -> Ended {
    let g = CURRENT.with(|g| GRef(g));
    if until == NEVER && lists == Lists::One {
        park_with(g, || publish(Waiter::Goroutine(g, ID)))
    } else {
        park_timed(g, until, publish)
    }
}

fn park_with(g: GRef, publish: impl FnOnce() -> bool) -> Ended {
    g.0.state.begin_park();
    if !publish() {
        g.0.state.abort_park();
        return Ended::NotBegun;
    }
    g.0.rest(g.0.state.commit_park());
    if g.0.state.was_ended() {
        g.0.state.clear_ended();
        return Ended::Interrupted;
    }
    Ended::Woken
}

/// The calling thread, for [`cancel`].
pub(crate) fn current() -> GRef {
    CURRENT.with(|g| GRef(g))
}

/// Asks a thread to unwind, once, and ends its park.
pub(crate) fn cancel(g: GRef) {
    Woken::of(g, g.0.state.cancel(ID)).go();
}

/// Whether the calling thread has unwound, if it was a goroutine.
pub(crate) fn has_unwound() -> bool {
    current().0.has_unwound.load(Ordering::Relaxed)
}

/// Follows the request, if there is one.
pub(crate) fn heed() {
    let g = current().0;
    if g.state.take_cancel() {
        g.has_unwound.store(true, Ordering::Relaxed);
    }
}

/// Whether there is a request.
pub(crate) fn must_heed() -> bool {
    current().0.state.requests().cancel
}

pub(crate) fn undisturbed<T>(f: impl FnOnce() -> T) -> T {
    let state = &current().0.state;
    state.set_deaf(true);
    let value = f();
    state.set_deaf(false);
    value
}

fn park_timed(g: GRef, until: u64, publish: impl FnOnce(Waiter) -> bool) -> Ended {
    let state = &g.0.state;
    let ticket = g.0.wait_word.open();
    let ended = park_with(g, || {
        let has_begun = publish(Waiter::Ticket(Wakeup { g, ticket }));
        if has_begun && until != NEVER && g.0.wait_word.take(ticket, By::Time) {
            assert_eq!(state.deliver(ID), Wake::Done, "it has not left yet");
        }
        has_begun
    });
    let end = g.0.wait_word.close(ticket);
    if end != End::Closed && !state.take_delivery() {
        state.set_deaf(true);
        let _ = park_with(g, || !state.take_delivery());
        state.take_delivery();
        state.set_deaf(false);
    }
    match end {
        _ if ended == Ended::NotBegun => Ended::NotBegun,
        End::Taken(By::Time) => Ended::TimedOut,
        End::Closed if ended == Ended::Interrupted => Ended::Interrupted,
        End::Taken(By::Event) | End::Closed => Ended::Woken,
    }
}
