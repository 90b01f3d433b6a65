//! The life-cycle word of a goroutine.
//!
//! ```text
//!  63 14 13 12    11      10     9         8         7       6     5    4       3     2..0
//! +-----+-----+-------+-------+------+---------+---------+------+-----+----+--------+-----+
//! | id  | GEN | ENDED |WATCHED|CANCEL|INTERRUPT|DELIVERED| DEAF |TOKEN|STOP|BY_TOKEN|phase|
//! +-----+-----+-------+-------+------+---------+---------+------+-----+----+--------+-----+
//! ```
//!
//! This file owns the word: no other file names a bit or an ordering. Each method is one
//! transition. It returns what the caller has to do next, because doing it here would need the
//! scheduler, and then no model checker could run this file.
//!
//! # Who owns the stack
//!
//! | phase      | owner of the stack                        | who may leave it | to         |
//! |------------|-------------------------------------------|------------------|------------|
//! | `Free`     | the cache that holds the stack            | a spawn          | `Owned`    |
//! | `Owned`    | the machine that runs it, or its queue    | that machine     | `Parking`, `Parked`, `Free` |
//! | `Parking`  | the parker, who may not have saved it yet | the parker       | `Parked`   |
//! |            |                                           | one waker        | `Notified` |
//! | `Parked`   | nobody: registers at rest                 | one waker        | `Owned`    |
//! | `Notified` | the parker                                | the parker       | `Owned`    |
//!
//! A trimmer (`state/trim.rs`) takes a resting goroutine from `Parked` to `Parking` and back, as
//! its parker would: so nobody runs on the stack while its dead part is given back.
//!
//! Running and queued are one phase: whoever holds the entry of a queue owns the goroutine as much
//! as the machine that runs it, and telling them apart here would cost a locked instruction at
//! every dispatch.
//!
//! # Two ways to park
//!
//! *With a commit* (`raw::park`): 1. `begin_park`; 2. publish the waiter; 3. switch away; 4.
//! `commit_park`. A waker between 1 and 4 leaves a note, and step 4 finds it.
//! *By token* (`park`): 1. switch away; 2. `park_by_token`, which finds a token that came in time.
//! Nothing is published, so one locked instruction is enough.
//!
//! Waits that several may end (an event, a deadline) are in `state/timed.rs` and `wait_word.rs`.
//!
//! # Requests to unwind
//!
//! `STOP`, `CANCEL` and `INTERRUPT` ask the goroutine to unwind. A request that finds the goroutine
//! parked, or about to park, ends that park and sets `ENDED`. A request that comes after a wake
//! only leaves its bit. So a goroutine that comes back from a park without `ENDED` was woken, and
//! the request waits for the next suspension. One that finds `ENDED` was not woken, but may have
//! been served since: the lock of the list, the ticket, the packet, or the mark of a raw waiter
//! (`state/raw.rs`) decides that.
//!
//! # Invariants
//!
//! 1. A goroutine in a queue has its registers saved.
//! 2. Of all wakers of one park exactly one gets [`Wake::Enqueue`], or the parker resumes it.
//! 3. A waker with another id changes nothing.
//!
//! # Memory ordering
//!
//! Every race is decided on this one word. The parks are Release (they publish the saved
//! registers), wakes AcqRel (they take them over and publish what the waker wrote before).
//!
//! Modelled in `tests/loom_state.rs`, each with a seeded bug: `ready_during_commit`,
//! `unpark_during_park_by_token`, `two_wakers_one_winner`, `stop_against_a_deaf_park`,
//! `stop_against_a_wake`, `trim_against_wakes`, `watching_against_an_unpark`; in
//! `tests/loom_raw.rs`: `request_against_unpark`.

use std::fmt;

use crate::shim::{AtomicU64, Ordering};

const PHASE: u64 = 0b111;
/// Parked by token: `unpark` may end this park.
const BY_TOKEN: u64 = 1 << 3;
/// Somebody asked the goroutine to end; seen at its next park. Never cleared.
const STOP: u64 = 1 << 4;
/// An `unpark` came while nobody was parked by token.
const TOKEN: u64 = 1 << 5;
/// The goroutine masks requests: it unwinds, drops its locals, or asked for it. `STOP` and `CANCEL`
/// do not end its parks. `INTERRUPT` does, because the limit may have been set inside of the mask:
/// the owner looks, and parks again.
const DEAF: u64 = 1 << 6;
/// The waker that took the goroutine's wait has delivered its wake.
const DELIVERED: u64 = 1 << 7;
/// Something wants the goroutine to unwind that may also be over by now: it looks at its next park.
const INTERRUPT: u64 = 1 << 8;
/// Somebody cancelled the goroutine; taken when it unwinds for that, once.
const CANCEL: u64 = 1 << 9;
/// The goroutine has hooks, forbids suspensions, or is checked: a suspension takes the slow way.
const WATCHED: u64 = 1 << 10;
/// A request to unwind ended the last park: no waker did. Cleared by the owner.
const ENDED: u64 = 1 << 11;
/// Changes when a raw park is over whose waiter has not ended it: see `state/raw.rs`.
const GEN: u64 = 0b11 << 12;
const GEN_ONE: u64 = 1 << 12;
const ID_SHIFT: u32 = 14;
/// Each of these ends a park, and makes the next end before it begins.
const UNWIND: u64 = STOP | INTERRUPT | CANCEL;

const FREE: u64 = 0;
const OWNED: u64 = 1;
const PARKING: u64 = 2;
const PARKED: u64 = 3;
const NOTIFIED: u64 = 4;

const _: () = assert!(
    PHASE & (BY_TOKEN | TOKEN | DEAF | DELIVERED | UNWIND | WATCHED) == 0,
    "fields overlap"
);
const _: () = assert!(
    NOTIFIED <= PHASE
        && (GEN | ENDED) & (WATCHED | (WATCHED - 1)) == 0
        && GEN & ENDED == 0
        && GEN < 1 << ID_SHIFT,
    "a field is too small"
);

/// What the parker must do after a commit.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Commit {
    /// The goroutine is at rest: look for other work.
    Parked,
    /// A waker was faster: the goroutine is owned by the caller again and must run on.
    ResumeNow,
}

/// What a waker must do.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wake {
    /// The caller owns the goroutine now and must put it on a queue.
    Enqueue,
    /// A note was left, or there was nothing to do.
    Done,
    /// That goroutine has ended.
    Gone,
}

/// What a goroutine has been asked for, beside what its time limits want.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Requests {
    /// To end, as its runtime does.
    pub(crate) stop: bool,
    /// To unwind once.
    pub(crate) cancel: bool,
}

/// Whether a goroutine may park or yield.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Check {
    Go,
    /// Somebody asked it to end.
    Stop,
    /// Somebody asked it to see whether it must unwind.
    Interrupt,
    /// It is in the middle of beginning a park.
    Parking,
    /// It may, and its suspensions are watched. The other verdicts hide this one.
    Watched,
}

/// Whether a park must end, or not begin, because of a request.
fn must_unwind(word: u64) -> bool {
    word & UNWIND != 0 && (word & DEAF == 0 || word & INTERRUPT != 0)
}

/// Whether a park by token must not happen.
fn must_run(word: u64) -> bool {
    word & TOKEN != 0 || must_unwind(word)
}

/// See the top of this file.
pub(crate) struct State(AtomicU64);

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = self.0.load(Ordering::Relaxed);
        let phase = [
            "Free", "Owned", "Parking", "Parked", "Notified", "?", "?", "?",
        ];
        write!(f, "{}#{}", phase[(word & PHASE) as usize], word >> ID_SHIFT)?;
        for (bit, name) in [
            (BY_TOKEN, "by token"),
            (STOP, "stop"),
            (TOKEN, "token"),
            (DEAF, "deaf"),
            (DELIVERED, "delivered"),
            (INTERRUPT, "interrupt"),
            (CANCEL, "cancel"),
            (WATCHED, "watched"),
            (ENDED, "ended"),
        ] {
            if word & bit != 0 {
                write!(f, "+{name}")?;
            }
        }
        Ok(())
    }
}

impl State {
    /// `Free` to `Owned`, by whoever creates goroutine `id`.
    #[inline]
    pub(crate) fn start(&self, id: u64) {
        // Relaxed: the queue that the goroutine enters publishes it.
        self.0.store(id << ID_SHIFT | OWNED, Ordering::Relaxed);
    }

    /// A goroutine that its creator owns.
    #[cfg(all(test, gopark_loom))]
    pub(crate) fn new(id: u64) -> State {
        State(AtomicU64::new(id << ID_SHIFT | OWNED))
    }

    /// The id of the goroutine; 0 when there is none.
    #[inline]
    pub(crate) fn id(&self) -> u64 {
        self.0.load(Ordering::Relaxed) >> ID_SHIFT
    }

    /// What a running goroutine that is about to park or yield finds in its own word.
    #[inline]
    pub(crate) fn check(&self) -> Check {
        let word = self.0.load(Ordering::Relaxed);
        if word & (PHASE | UNWIND | WATCHED) == OWNED {
            return Check::Go;
        }
        match word & PHASE {
            OWNED if !must_unwind(word) && word & WATCHED != 0 => Check::Watched,
            OWNED if !must_unwind(word) => Check::Go,
            OWNED if word & STOP != 0 && word & DEAF == 0 => Check::Stop,
            OWNED => Check::Interrupt,
            _ => Check::Parking,
        }
    }

    /// From now on, or no longer, the goroutine's suspensions are watched. For its owner.
    pub(crate) fn set_watched(&self, watched: bool) {
        // Relaxed: orders nothing.
        if watched {
            self.0.fetch_or(WATCHED, Ordering::Relaxed);
        } else {
            self.0.fetch_and(!WATCHED, Ordering::Relaxed);
        }
    }

    /// Whether requests to unwind do not reach the goroutine. For its owner.
    pub(crate) fn is_deaf(&self) -> bool {
        self.0.load(Ordering::Relaxed) & DEAF != 0
    }

    /// Which requests the goroutine has been asked for. For the owner.
    pub(crate) fn requests(&self) -> Requests {
        let word = self.0.load(Ordering::Relaxed);
        Requests {
            stop: word & STOP != 0,
            cancel: word & CANCEL != 0,
        }
    }

    /// Whether a request to unwind, and no waker, ended the park that the owner comes back from.
    #[inline]
    pub(crate) fn was_ended(&self) -> bool {
        self.0.load(Ordering::Relaxed) & ENDED != 0
    }

    /// Forgets that. For the owner, before its next park.
    pub(crate) fn clear_ended(&self) {
        // Acquire: pairs with the Release of the request, whose reason is looked at next.
        self.0.fetch_and(!ENDED, Ordering::Acquire);
    }

    /// The goroutine's last transition: its stack may be used for another.
    #[inline]
    pub(crate) fn end(&self) {
        // A store: late handles may set a token at the same time, which is lost on purpose.
        // Release: what the goroutine did is over; pairs with the Acquire of failing wakers.
        self.0.store(FREE, Ordering::Release);
    }

    /// `Owned` to `Parking`: from here on the goroutine may be published.
    #[inline]
    pub(crate) fn begin_park(&self) {
        // Relaxed: publishing is the business of the list that the waiter enters.
        let before = self.0.fetch_add(PARKING - OWNED, Ordering::Relaxed);
        assert_eq!(
            before & PHASE,
            OWNED,
            "begin_park in phase {}",
            before & PHASE
        );
    }

    /// Back to `Owned` without a park.
    pub(crate) fn abort_park(&self) {
        let back = |word| Some(next_generation(word) & !(PHASE | BY_TOKEN | ENDED) | OWNED);
        // AcqRel: takes what a waker wrote who came after all; publishes a ticket that was voided.
        let before = self
            .0
            .fetch_update(Ordering::AcqRel, Ordering::Relaxed, back);
        debug_assert!(matches!(before, Ok(word) if [PARKING, NOTIFIED].contains(&(word & PHASE))));
    }

    /// `Parking` to `Parked`, or takes the note that a waker left.
    ///
    /// Called when the registers are saved.
    #[inline]
    pub(crate) fn commit_park(&self) -> Commit {
        // What ends the park may have come just before it began.
        let must_run = |word: u64| match word & BY_TOKEN {
            0 => must_unwind(word),
            _ => must_run(word),
        };
        let step = |word: u64| match word & PHASE {
            PARKING if !must_run(word) => Some(word & !PHASE | PARKED),
            PARKING if word & BY_TOKEN != 0 && word & TOKEN != 0 => {
                Some(word & !(PHASE | BY_TOKEN | TOKEN) | OWNED)
            }
            PARKING => Some(word & !(PHASE | BY_TOKEN) | OWNED | ENDED),
            NOTIFIED => Some(word & !(PHASE | BY_TOKEN) | OWNED),
            _ => None,
        };
        // AcqRel: publishes the saved registers, takes over what the waker wrote.
        match self
            .0
            .fetch_update(Ordering::AcqRel, Ordering::Relaxed, step)
        {
            Ok(before) if before & PHASE == PARKING && !must_run(before) => Commit::Parked,
            Ok(_) => Commit::ResumeNow,
            Err(word) => panic!("commit_park in phase {}", word & PHASE),
        }
    }

    /// `Owned` to `Parked` until an `unpark`, or takes the token of an earlier one.
    ///
    /// Called when the registers are saved.
    #[inline]
    pub(crate) fn park_by_token(&self) -> Commit {
        let step = |word: u64| {
            debug_assert_eq!(word & PHASE, OWNED);
            Some(if word & TOKEN != 0 {
                word & !TOKEN
            } else if must_unwind(word) {
                word | ENDED
            } else {
                word & !PHASE | PARKED | BY_TOKEN
            })
        };
        // AcqRel: publishes the saved registers, takes over what the unparker wrote.
        let before = self
            .0
            .fetch_update(Ordering::AcqRel, Ordering::Relaxed, step);
        if must_run(before.unwrap_or_default()) {
            Commit::ResumeNow
        } else {
            Commit::Parked
        }
    }

    /// Whether the goroutine waits. For reports.
    pub(crate) fn is_parked(&self) -> bool {
        let phase = self.0.load(Ordering::Relaxed) & PHASE;
        [PARKING, PARKED, NOTIFIED].contains(&phase)
    }

    /// From now on, or no longer, requests to stop or to be cancelled do not end parks. For the
    /// owner.
    pub(crate) fn set_deaf(&self, deaf: bool) {
        // Relaxed: orders nothing.
        if deaf {
            self.0.fetch_or(DEAF, Ordering::Relaxed);
        } else {
            self.0.fetch_and(!DEAF, Ordering::Relaxed);
        }
    }

    /// Takes the token if there is one.
    #[inline]
    pub(crate) fn take_token(&self) -> bool {
        if self.0.load(Ordering::Relaxed) & TOKEN == 0 {
            return false;
        }
        // Acquire: pairs with the Release of the `unpark` that left it.
        self.0.fetch_and(!TOKEN, Ordering::Acquire) & TOKEN != 0
    }

    /// Ends a park with commit of goroutine `id`.
    #[inline]
    pub(crate) fn ready(&self, id: u64) -> Wake {
        self.wake(id, |word| match word & PHASE {
            PARKED if word & BY_TOKEN == 0 => (word & !PHASE | OWNED, Wake::Enqueue),
            PARKING if word & BY_TOKEN == 0 => (word & !PHASE | NOTIFIED, Wake::Done),
            _ => (word, Wake::Done),
        })
    }

    /// Ends a park by token of goroutine `id`, or leaves the token for the next.
    #[inline]
    pub(crate) fn unpark(&self, id: u64) -> Wake {
        self.wake(id, |word| match word & (PHASE | BY_TOKEN) {
            by if by == PARKED | BY_TOKEN => (word & !(PHASE | BY_TOKEN) | OWNED, Wake::Enqueue),
            _ => (word | TOKEN, Wake::Done),
        })
    }

    /// Asks goroutine `id` to end, and ends whatever park it is in.
    pub(crate) fn stop(&self, id: u64) -> Wake {
        self.unwind(id, STOP)
    }

    /// Whether the goroutine was asked to end. For its owner.
    #[inline]
    pub(crate) fn is_stopped(&self) -> bool {
        self.0.load(Ordering::Relaxed) & STOP != 0
    }

    fn unwind(&self, id: u64, why: u64) -> Wake {
        self.wake(id, |word| match word & PHASE {
            _ if !must_unwind(word | why) => (word | why, Wake::Done),
            PARKED => (
                word & !(PHASE | BY_TOKEN) | OWNED | why | ENDED,
                Wake::Enqueue,
            ),
            PARKING => (word & !PHASE | NOTIFIED | why | ENDED, Wake::Done),
            _ => (word | why, Wake::Done),
        })
    }

    #[inline]
    fn wake(&self, id: u64, step: impl Fn(u64) -> (u64, Wake)) -> Wake {
        // Acquire on failure and here: `Gone` happens after the goroutine's end.
        let mut word = self.0.load(Ordering::Acquire);
        loop {
            if word >> ID_SHIFT != id || word & PHASE == FREE {
                return Wake::Gone;
            }
            let (new, wake) = step(word);
            // AcqRel: publishes what the waker wrote, takes over the saved registers.
            match self
                .0
                .compare_exchange_weak(word, new, Ordering::AcqRel, Ordering::Acquire)
            {
                Ok(_) => return wake,
                Err(now) => word = now,
            }
        }
    }
}

mod raw;
mod timed;
mod trim;
pub(crate) use raw::Closed;
use raw::next_generation;
pub(crate) use trim::Trim;

#[cfg(all(test, gopark_loom))]
#[path = "tests/loom_state.rs"]
mod loom_state;

#[cfg(all(test, gopark_loom))]
#[path = "tests/loom_raw.rs"]
mod loom_raw;

#[cfg(all(test, gopark_loom))]
#[path = "tests/seeded_state.rs"]
mod seeded_state;
