//! Who waits, and how he is woken.
//!
//! | who waits                                     | is claimed by                   | is woken by          |
//! |-----------------------------------------------|---------------------------------|----------------------|
//! | a goroutine, in one list, without a deadline  | being taken out of the list     | `ready`, under the lock |
//! | a goroutine, in several lists or with a deadline | its ticket                   | a delivery, under the lock |
//! | a thread                                      | a ticket of its own             | the word, then `unpark` |
//!
//! Waking has two halves: [`Waiter::wake`], under the lock of the list, decides; [`Woken::go`],
//! after the lock, puts a goroutine on a queue or unparks a thread.

use std::sync::atomic::Ordering;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::Thread;

pub(crate) use super::ends::{Ended, Lists};
use crate::sched::blocking::Aside;
use crate::sched::header::{G, GRef, Wait};
use crate::sched::machine::Machine;
use crate::sched::park::{self, Parked};
use crate::sched::service::deadlock::WAITING_THREADS;
use crate::sched::timed::{self, Wakeup};
use crate::sys::clock::{self, NEVER};
use crate::sys::fork;
use crate::task::state::Wake;
use crate::task::wait_word::{By, End, Ticket, WaitWord};

/// Who waits; in the nodes that he leaves in lists.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Waiter {
    /// In one list.
    Goroutine(GRef, u64),
    /// With a ticket.
    Ticket(Wakeup),
    /// A plain thread.
    Thread(ThreadWakeup),
}

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
    #[inline(always)]
    pub(crate) fn go(self) {
        match self {
            Woken::Nothing => {}
            Woken::Goroutine(g) => park::act(g, Wake::Enqueue),
            Woken::Thread(thread) => unpark(&thread),
        }
    }
}

#[cold]
fn unpark(thread: &Thread) {
    thread.unpark();
}

impl Waiter {
    /// Claims the wait and decides its wake: `None` if somebody else has claimed it, or time. Under
    /// the lock of a list from which the caller has taken it.
    #[inline(always)]
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
            Waiter::Thread(wakeup) => wakeup.claim(),
        }
    }

    /// Whether nobody has claimed the wait yet. Under the lock of a list in which it is.
    pub(crate) fn is_open(&self) -> bool {
        match self {
            Waiter::Goroutine(..) => true,
            Waiter::Ticket(wakeup) => wakeup.is_open(),
            Waiter::Thread(wakeup) => wakeup.wait.word.is_open(wakeup.ticket),
        }
    }

    /// Whether both are of the same wait: a select does not meet itself.
    pub(crate) fn is_same(&self, other: &Waiter) -> bool {
        match (self, other) {
            (Waiter::Goroutine(a, _), Waiter::Goroutine(b, _)) => a == b,
            (Waiter::Ticket(a), Waiter::Ticket(b)) => a == b,
            (Waiter::Thread(a), Waiter::Thread(b)) => a == b,
            _ => false,
        }
    }
}

/// Where a plain thread waits. It is never freed, but used by one thread after another: what is
/// left in lists when a wait is over refers to it, and has another ticket.
#[derive(Debug)]
struct ThreadWait {
    word: WaitWord,
    thread: Mutex<Option<Thread>>,
}

/// Those that nobody uses.
static FREE: Mutex<Vec<&'static ThreadWait>> = Mutex::new(Vec::new());

/// One wait of a plain thread.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ThreadWakeup {
    wait: &'static ThreadWait,
    ticket: Ticket,
    /// It is counted among the threads that only a wake brings back.
    is_counted: bool,
}

impl PartialEq for ThreadWakeup {
    fn eq(&self, other: &ThreadWakeup) -> bool {
        std::ptr::eq(self.wait, other.wait) && self.ticket == other.ticket
    }
}

impl ThreadWakeup {
    /// For a wait without an end, or with one.
    fn open(until: u64) -> ThreadWakeup {
        let free = locked(&FREE).pop();
        let wait = free.unwrap_or_else(|| {
            Box::leak(Box::new(ThreadWait {
                word: WaitWord::new(),
                thread: Mutex::new(None),
            }))
        });
        *locked(&wait.thread) = Some(std::thread::current());
        // An M is counted as such.
        let is_counted = until == NEVER && Machine::here().is_none();
        if is_counted {
            WAITING_THREADS.fetch_add(1, Ordering::Relaxed);
        }
        let ticket = wait.word.open();
        ThreadWakeup {
            wait,
            ticket,
            is_counted,
        }
    }

    /// The wait is over. Before the thread runs on.
    fn uncount(self) {
        if self.is_counted {
            WAITING_THREADS.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Claims the wait. The thread may be gone by the time that it is looked for: it has seen the
    /// claim, and another may wait there, which is then woken for nothing.
    fn claim(self) -> Option<Woken> {
        if !self.wait.word.take(self.ticket, By::Event) {
            return None;
        }
        self.uncount();
        let thread = locked(&self.wait.thread).clone();
        Some(thread.map_or(Woken::Nothing, Woken::Thread))
    }

    /// Waits until it is claimed, or until `until`.
    fn park(self, until: u64) {
        while self.wait.word.is_open(self.ticket) {
            match clock::until(until) {
                None => std::thread::park(),
                Some(left) if left.is_zero() => return,
                Some(left) => std::thread::park_timeout(left),
            }
        }
    }

    fn close(self) -> Ended {
        let end = self.wait.word.close(self.ticket);
        *locked(&self.wait.thread) = None;
        locked(&FREE).push(self.wait);
        if end == End::Closed {
            self.uncount();
            return Ended::TimedOut;
        }
        Ended::Woken
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing panics half-way under these locks.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Blocks the caller, a goroutine or a plain thread, until it is woken by a node of the wait, or
/// until `until`. `publish` puts the nodes into lists and releases their locks, or gives false: the
/// wait does not begin, and no node is in a list.
///
/// Of a goroutine it unwinds as every park does, if the wait has not been served. Whatever the end,
/// the caller then takes what is left of its nodes out of the lists, under their locks, also when
/// it unwinds.
///
/// | the wait is                     | whether it was served before a request is decided by      |
/// |---------------------------------|-----------------------------------------------------------|
/// | in one list, without a deadline | the list, under its lock                                  |
/// | in several, or with a deadline  | the ticket, here                                          |
///
/// After [`Ended::Interrupted`] the caller takes its nodes out, and calls [`heed`] if nothing was
/// served.
///
/// # Panics
/// On a plain thread of a forked child.
#[inline]
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
        let parked = park::park_with(g, why, || {
            publish(Waiter::Goroutine(g.to_ref(), g.state.id()))
        });
        return match parked {
            Parked::NotBegun => Ended::NotBegun,
            Parked::Woken => Ended::Woken,
            Parked::Interrupted => Ended::Interrupted,
        };
    }
    let mut begun = false;
    let (end, parked) = timed::wait_unheeded(g, why, until, |wakeup| {
        begun = publish(Waiter::Ticket(wakeup));
        begun
    });
    match end {
        _ if !begun => Ended::NotBegun,
        End::Taken(By::Time) => Ended::TimedOut,
        End::Closed if parked == Parked::Interrupted => Ended::Interrupted,
        End::Taken(By::Event) | End::Closed => Ended::Woken,
    }
}

/// Unwinds after [`Ended::Interrupted`], when the wait has not been served; or comes back, and the
/// wait goes on. Nothing of the wait is in a list any more, or a destructor takes it out.
#[cold]
pub(crate) fn heed() {
    if let Some(g) = G::current() {
        park::heed(g);
    }
}

/// Whether [`heed`] would unwind.
#[cold]
pub(crate) fn must_heed() -> bool {
    G::current().is_some_and(park::must_heed)
}

/// Runs `f`: no request that comes from outside of `f` ends a wait in it.
pub(crate) fn undisturbed<T>(f: impl FnOnce() -> T) -> T {
    match G::current() {
        Some(g) => park::undisturbed(g, f),
        None => f(),
    }
}

#[cold]
fn park_thread(until: u64, publish: impl FnOnce(Waiter) -> bool) -> Ended {
    assert!(!fork::is_child(), "gopark: a wait was {}", fork::TEXT);
    let wakeup = ThreadWakeup::open(until);
    if !publish(Waiter::Thread(wakeup)) {
        let _ = wakeup.close();
        return Ended::NotBegun;
    }
    let _aside = Aside::begin();
    wakeup.park(until);
    wakeup.close()
}
