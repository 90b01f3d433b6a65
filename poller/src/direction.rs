//! One direction of one descriptor: a count of its events, and who waits for the next.
//!
//! *Problem.* Whoever is told by the kernel that a read would block must wait for the next event,
//! but the event may come between that answer and the wait. Go solves this by a word with four
//! states (nothing, ready, about to wait, a waiter), which has room for one waiter. In Rust several
//! may wait in one direction: `&TcpStream` reads, and `&TcpListener` accepts, on many threads.
//!
//! *Idea.* An event count. Every event adds one. A waiter looks at the count before it tries, and
//! begins to wait only if the count is still the same, in one step. An event that came meanwhile,
//! whatever its reason, makes it try again.
//!
//! ```text
//!   63            32 31                3     2        1         0
//!  +----------------+-------------------+-----+--------+---------+
//!  |   generation   |       count       | HUP | CLOSED | WAITERS |
//!  +----------------+-------------------+-----+--------+---------+
//! ```
//!
//! # The parties
//!
//! *An operation*: 1. `look`; 2. look at what else ends a wait, such as a deadline; 3. the system
//! call; 4. if it would block, `arm` with what was seen. `Changed`: again from 1. `Waiting`: sleep
//! until woken, then again from 1; who stops waiting earlier takes itself back by `retract`.
//!
//! *An event* (`advance`): adds one and takes WAITERS away in one step; if WAITERS was set, takes
//! the list and wakes all on it.
//!
//! *A disturbance* is an event that the kernel did not send: a deadline was changed, a poller ends.
//! What changed is stored first; the operation looks in the opposite order.
//!
//! *The end*: `close` is an event after which nobody waits; `renew`, when the owner is gone, begins
//! another generation, of which the events of the last are not.
//!
//! # Why no wake is lost
//!
//! All steps are read-modify-writes of one word, so they have one order. If an event comes between
//! `look` and `arm`, `arm` finds another count. If it comes after `arm`, it finds WAITERS. `arm`
//! holds the list's lock from before its step until the waiter is on the list, so who found WAITERS
//! finds the waiter. A waiter that armed after the event's step and before it took the list is
//! woken for nothing: it tries again. WAITERS may be set although all have gone: a vain look at the
//! list.
//!
//! # Invariants
//!
//! 1. A waiter is on the list only if WAITERS was set, at its count, under the list's lock.
//! 2. The generation changes only under the list's lock. So who holds the lock and sees his own
//!    generation takes waiters of this generation only, however late he comes.
//! 3. HUP and CLOSED, once set, stay for the generation. They change only together with the count.
//!
//! # Short reads
//!
//! A read of a TCP stream that fills less than its buffer has emptied the kernel's: the next would
//! block, and its system call can be saved by waiting first. `note_drained` keeps the count at
//! which this was found, and `should_wait_first` tells whether it is still the same. Only a stream
//! without boundaries tells this: a read of a Unix socket ends at a message with rights or other
//! credentials, a read of a socket of datagrams or of packets ends with each of them, and a read
//! under kernel TLS ends with a record. There the data behind the boundary has had its edge
//! already, and a read that waits first waits for ever. The operation knows what it reads; nothing
//! here does.
//!
//! The end of a stream is an exception too: its edge may have come together with the last data, and
//! been counted before the read. Nothing follows it, and a read that waits first waits for ever. So
//! an event that says that the peer has hung up sets HUP, and then every operation tries before it
//! waits.
//!
//! # Wrap-around
//!
//! An operation that is interrupted between `look` and `arm` for exactly a multiple of 2^29 events
//! misses them; a note of drainage is mistaken for a fresh one likewise. The generation starts
//! again after 2^32 owners: a stale event would have to be as old.
//!
//! # Memory ordering
//!
//! `advance` is Release and `look` Acquire: who sees the count sees what was stored before the
//! event. The list's lock orders everything else.
//!
//! Modelled in `tests/loom_direction.rs`, each with a seeded bug: `event_against_arm`,
//! `close_against_arm`, `deadline_change_against_arm`, `retract_against_event`,
//! `stale_event_against_reuse`, `two_waiters_one_event`, `note_of_drainage_against_event`.

use std::fmt;
use std::sync::PoisonError;

use crate::shim::{AtomicU64, Mutex, Ordering};
use crate::waiters::Waiters;

const WAITERS: u64 = 1 << 0;
const CLOSED: u64 = 1 << 1;
const HUP: u64 = 1 << 2;
const COUNT_ONE: u64 = 1 << 3;
const COUNT: u64 = 0xFFFF_FFFF & !(WAITERS | CLOSED | HUP);
const GENERATION_SHIFT: u32 = 32;

/// In a note of drainage: there is one. No word of zeros is a note.
const NOTED: u64 = 1 << 0;

const _: () = assert!(COUNT | HUP | CLOSED | WAITERS == (1 << GENERATION_SHIFT) - 1);
const _: () = assert!(COUNT & (HUP | CLOSED | WAITERS) == 0 && COUNT & COUNT_ONE != 0);

/// What a look at a direction found.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// Try, and if it would block, wait with this.
    Open(Seen),
    /// It was closed: nobody waits any more.
    Closed,
}

/// A moment in the life of a direction: how many events it has had.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Seen(u64);

impl Seen {
    /// Whether an event has said that the peer has hung up, or that the socket is shut down: see
    /// [`Readiness::hup`](crate::Readiness::hup).
    pub fn is_hung_up(self) -> bool {
        self.0 & HUP != 0
    }

    fn of(word: u64) -> Seen {
        Seen(word & !WAITERS)
    }

    fn note(self) -> u64 {
        self.0 & !(HUP | CLOSED) | NOTED
    }
}

impl fmt::Debug for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Seen({})", Word(self.0))
    }
}

/// Whether the wait has begun.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arm<W> {
    /// The waiter is on the list: it is woken by the next event.
    Waiting,
    /// There was an event since the look: try again. Here is the waiter back.
    Changed(W),
    /// It was closed since the look. Here is the waiter back.
    Closed(W),
}

/// Why a direction advances by one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    /// It is ready, or its waiters are disturbed.
    Ready,
    /// It is ready, and its peer has hung up.
    HungUp,
    /// Its owner closes it.
    Closed,
}

/// What came of an attempt to advance.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Advance {
    /// Nobody waits.
    Quiet,
    /// Wake those on the list.
    Wake,
    /// The generation is over, or it was closed already: nothing has changed.
    Void,
}

/// See the top of this file.
pub(crate) struct EventCount<W> {
    word: AtomicU64,
    /// The moment, see [`Seen::note`], at which an operation found nothing left. 0: none.
    drained: AtomicU64,
    list: Mutex<Waiters<W>>,
}

impl<W> EventCount<W> {
    pub(crate) fn new() -> EventCount<W> {
        EventCount {
            word: AtomicU64::new(0),
            drained: AtomicU64::new(0),
            list: Mutex::new(Waiters::new()),
        }
    }

    /// Whose turn it is: an event of another generation is stale.
    pub(crate) fn generation(&self) -> u32 {
        generation(self.word.load(Ordering::Relaxed))
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.word.load(Ordering::Relaxed) & CLOSED != 0
    }

    /// The present moment, taken before an operation is tried.
    pub(crate) fn look(&self) -> Look {
        // Acquire: what was stored before the last event is seen; pairs with `advance`.
        let word = self.word.load(Ordering::Acquire);
        if word & CLOSED == 0 {
            Look::Open(Seen::of(word))
        } else {
            Look::Closed
        }
    }

    /// Begins to wait, unless there was an event since `seen`.
    pub(crate) fn arm(&self, seen: Seen, waiter: W) -> Arm<W> {
        let mut list = self.list();
        let mut word = self.word.load(Ordering::Relaxed);
        loop {
            if Seen::of(word) != seen {
                return match word & CLOSED {
                    0 => Arm::Changed(waiter),
                    _ => Arm::Closed(waiter),
                };
            }
            // A read-modify-write even if WAITERS is set: a plain look may be an old one.
            // Relaxed: the waiter is published by the lock.
            match self.word.compare_exchange_weak(
                word,
                word | WAITERS,
                Ordering::Relaxed,
                Ordering::Relaxed,
            ) {
                Ok(_) => break,
                Err(now) => word = now,
            }
        }
        list.push(waiter);
        Arm::Waiting
    }

    /// Takes the first waiter that matches back. `None`: somebody took it, and wakes it.
    pub(crate) fn retract(&self, matches: impl FnMut(&W) -> bool) -> Option<W> {
        self.list().remove(matches)
    }

    /// Counts an event of this generation, and wakes all who wait. Calls `wake` without the lock.
    pub(crate) fn event(&self, generation: u32, cause: Cause, wake: &mut impl FnMut(W)) -> Advance {
        let advance = self.advance(generation, cause);
        if advance == Advance::Wake {
            self.wake_all(generation, wake);
        }
        advance
    }

    fn advance(&self, own: u32, cause: Cause) -> Advance {
        let mut word = self.word.load(Ordering::Relaxed);
        loop {
            let is_repeated = cause == Cause::Closed && word & CLOSED != 0;
            if generation(word) != own || is_repeated {
                return Advance::Void;
            }
            // Release: publishes what changed before the event; pairs with `look`.
            match self.word.compare_exchange_weak(
                word,
                advanced(word, cause),
                Ordering::Release,
                Ordering::Relaxed,
            ) {
                Ok(_) if word & WAITERS == 0 => return Advance::Quiet,
                Ok(_) => return Advance::Wake,
                Err(now) => word = now,
            }
        }
    }

    fn wake_all(&self, own: u32, wake: &mut impl FnMut(W)) {
        let mut taken = {
            let mut list = self.list();
            // Invariant 2: the waiters of a later owner are not ours to take.
            if generation(self.word.load(Ordering::Relaxed)) != own {
                return;
            }
            list.take()
        };
        taken.drain().for_each(wake);
        if taken.has_room() {
            self.list().reuse(taken);
        }
    }

    /// Begins the next generation. Nobody uses the last any more, but for late events.
    pub(crate) fn renew(&self) {
        let mut list = self.list();
        let next = self.generation().wrapping_add(1);
        // A late event may step in between and is overwritten: it is stale. A swap, so that all
        // changes of the word are in one order. Relaxed: the next owner gets the slot by a lock.
        self.word
            .swap(u64::from(next) << GENERATION_SHIFT, Ordering::Relaxed);
        self.drained.store(0, Ordering::Relaxed);
        let abandoned = list.take();
        drop(list);
        drop(abandoned);
    }

    /// Notes that after `seen` an operation took or filled all there was.
    pub(crate) fn note_drained(&self, seen: Seen) {
        // Relaxed: the note holds its own moment; who does not see it makes a call for nothing.
        self.drained.store(seen.note(), Ordering::Relaxed);
    }

    /// Whether an operation would block for certain: see the top of this file.
    pub(crate) fn should_wait_first(&self, seen: Seen) -> bool {
        seen.0 & HUP == 0 && self.drained.load(Ordering::Relaxed) == seen.note()
    }

    fn list(&self) -> impl std::ops::DerefMut<Target = Waiters<W>> {
        // A caller's `matches` may panic; the list is whole then.
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<W> fmt::Debug for EventCount<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = Word(self.word.load(Ordering::Relaxed));
        write!(f, "EventCount({word})")
    }
}

fn generation(word: u64) -> u32 {
    (word >> GENERATION_SHIFT) as u32
}

/// The word after an event.
fn advanced(word: u64, cause: Cause) -> u64 {
    let count = (word & COUNT).wrapping_add(COUNT_ONE) & COUNT;
    let flag = match cause {
        Cause::Ready => 0,
        Cause::HungUp => HUP,
        Cause::Closed => CLOSED,
    };
    word & !(COUNT | WAITERS) | count | flag
}

/// A word, decoded.
struct Word(u64);

impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Word(word) = *self;
        let count = (word & COUNT) / COUNT_ONE;
        write!(f, "count {count}, generation {}", generation(word))?;
        for (flag, name) in [(HUP, "hup"), (CLOSED, "closed"), (WAITERS, "waiters")] {
            if word & flag != 0 {
                write!(f, ", {name}")?;
            }
        }
        Ok(())
    }
}

#[cfg(all(test, gopark_loom))]
#[path = "tests/loom_direction.rs"]
mod loom_direction;

#[cfg(all(test, not(gopark_loom)))]
#[path = "tests/direction.rs"]
mod tests;
