//! Who waits, and how he is woken.
//!
//! | who waits                                     | is claimed by                   | is woken by          |
//! |-----------------------------------------------|---------------------------------|----------------------|
//! | a goroutine, in one list, without a deadline  | being taken out of the list     | `ready`, under the lock |
//! | a goroutine, in several lists or with a deadline | its ticket                   | a delivery, under the lock |
//! | a thread                                      | the word on its stack           | the word, then `unpark` |
//!
//! Waking has two halves: [`Waiter::wake`], under the lock of the list, decides; [`Woken::go`],
//! after the lock, puts a goroutine on a queue or unparks a thread.

#![expect(unsafe_code, reason = "reads a word on the stack of a waiting thread")]

use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::Thread;
use std::time::Instant;

use crate::sched::header::{G, GRef, Wait};
use crate::sched::park;
use crate::sched::service::deadlock::WAITING_THREADS;
use crate::sched::timed::{self, Wakeup};
use crate::sys::clock::{self, NEVER};
use crate::sys::fork;
use crate::task::state::Wake;
use crate::task::wait_word::{By, End};

/// How many lists a wait is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lists {
    One,
    Several,
}

/// How a wait ended.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// It did not begin.
    NotBegun,
    Woken,
    /// The deadline came; nobody has woken it, nor will.
    TimedOut,
}

/// Who waits; in the nodes that he leaves in lists.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Waiter {
    /// In one list.
    Goroutine(GRef, u64),
    /// With a ticket.
    Ticket(Wakeup),
    /// On the stack of its thread, which takes the lock of every list that it is in before it
    /// leaves.
    Thread(*const ThreadWait),
}

// SAFETY: what it refers to is used under the lock of a list in which the waiter is: by then the
// thread has not left.
unsafe impl Send for Waiter {}
// SAFETY: as for Send.
unsafe impl Sync for Waiter {}

/// What is left of a wake when the lock has been released.
#[must_use = "who was woken waits for this"]
#[derive(Debug)]
pub(crate) enum Woken {
    Nothing,
    Goroutine(GRef),
    Thread(Thread),
}

impl Woken {
    /// The second half of a wake, outside of any lock.
    #[inline]
    pub(crate) fn go(self) {
        match self {
            Woken::Nothing => {}
            Woken::Goroutine(g) => park::act(g, Wake::Enqueue),
            Woken::Thread(thread) => thread.unpark(),
        }
    }
}

impl Waiter {
    /// Claims the wait and decides its wake: `None` if somebody else has claimed it, or time. Under
    /// the lock of a list from which the caller has taken it.
    #[inline]
    pub(crate) fn wake(&self) -> Option<Woken> {
        match *self {
            Waiter::Goroutine(g, id) => Some(match g.get().state.ready(id) {
                Wake::Enqueue => Woken::Goroutine(g),
                Wake::Done | Wake::Gone => Woken::Nothing,
            }),
            Waiter::Ticket(wakeup) => {
                let wake = wakeup.claim()?;
                Some(wake.map_or(Woken::Nothing, Woken::Goroutine))
            }
            Waiter::Thread(wait) => {
                // SAFETY: the thread waits, or waits for the lock that the caller holds.
                let wait = unsafe { &*wait };
                wait.claim().then(|| Woken::Thread(wait.thread.clone()))
            }
        }
    }

    /// Whether both are of the same wait: a select does not meet itself.
    pub(crate) fn is_same(&self, other: &Waiter) -> bool {
        match (self, other) {
            (Waiter::Goroutine(a, _), Waiter::Goroutine(b, _)) => a == b,
            (Waiter::Ticket(a), Waiter::Ticket(b)) => a == b,
            (Waiter::Thread(a), Waiter::Thread(b)) => std::ptr::eq(*a, *b),
            _ => false,
        }
    }
}

/// The wait of a plain thread.
#[derive(Debug)]
pub(crate) struct ThreadWait {
    thread: Thread,
    word: AtomicU32,
}

const OPEN: u32 = 0;
const WOKEN: u32 = 1;
const OVER: u32 = 2;

impl ThreadWait {
    fn new() -> ThreadWait {
        ThreadWait {
            thread: std::thread::current(),
            word: AtomicU32::new(OPEN),
        }
    }

    fn step(&self, to: u32) -> bool {
        // AcqRel: what the winner does comes after the wait began, and before its end is seen.
        let step = self
            .word
            .compare_exchange(OPEN, to, Ordering::AcqRel, Ordering::Acquire);
        step.is_ok()
    }

    fn claim(&self) -> bool {
        let claimed = self.step(WOKEN);
        if claimed {
            WAITING_THREADS.fetch_sub(1, Ordering::Relaxed);
        }
        claimed
    }

    fn park(&self, until: u64) -> Ended {
        // Acquire: pairs with `claim`.
        while self.word.load(Ordering::Acquire) == OPEN {
            match clock::until(until) {
                None => std::thread::park(),
                Some(left) if left.is_zero() => {
                    if self.step(OVER) {
                        WAITING_THREADS.fetch_sub(1, Ordering::Relaxed);
                        return Ended::TimedOut;
                    }
                }
                Some(left) => std::thread::park_timeout(left),
            }
        }
        Ended::Woken
    }
}

/// Blocks the caller, a goroutine or a plain thread, until it is woken by a node of the wait, or
/// until `until`. `publish` puts the nodes into lists and releases their locks, or gives false: the
/// wait does not begin, and no node is in a list.
///
/// Of a goroutine it unwinds as every park does. Whatever the end, the caller then takes what is
/// left of its nodes out of the lists, under their locks, also when it unwinds.
///
/// # Panics
/// On a plain thread of a forked child.
pub(crate) fn park(
    lists: Lists,
    why: Wait,
    until: u64,
    publish: impl FnOnce(Waiter) -> bool,
) -> Ended {
    let Some(g) = G::current() else {
        return park_thread(until, publish);
    };
    if until == NEVER && lists == Lists::One {
        let waiter = Waiter::Goroutine(g.to_ref(), g.state.id());
        let mut begun = false;
        park::park_with(g, why, || {
            begun = publish(waiter);
            begun
        });
        return if begun { Ended::Woken } else { Ended::NotBegun };
    }
    let mut begun = false;
    let end = timed::wait(g, why, until, |wakeup| {
        begun = publish(Waiter::Ticket(wakeup));
        begun
    });
    match end {
        _ if !begun => Ended::NotBegun,
        End::Taken(By::Time) => Ended::TimedOut,
        End::Taken(By::Event) | End::Closed => Ended::Woken,
    }
}

#[cold]
fn park_thread(until: u64, publish: impl FnOnce(Waiter) -> bool) -> Ended {
    assert!(!fork::is_child(), "gopark: a wait was {}", fork::TEXT);
    let wait = ThreadWait::new();
    WAITING_THREADS.fetch_add(1, Ordering::Relaxed);
    if !publish(Waiter::Thread(&raw const wait)) {
        WAITING_THREADS.fetch_sub(1, Ordering::Relaxed);
        return Ended::NotBegun;
    }
    wait.park(until)
}

/// A moment for [`park()`]; `None` never comes.
pub(crate) fn deadline(at: Option<Instant>) -> u64 {
    at.map_or(NEVER, clock::of)
}
