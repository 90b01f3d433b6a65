//! Who is next on a P whose M switches often needs no help.
//!
//! Goroutines that wake each other in turns are each next on their P for less than a microsecond.
//! An M that is woken for such a one comes 40 µs late, finds another, and if it takes that, the two
//! wake each other across threads from then on, at ten times the price, until one of them moves
//! back. So:
//!
//! H1. A thief, before it takes who is next, watches for a grace whether the M of that P switches.
//! If it does, the thief takes nothing and *notes haste* on the P.
//!
//! H2. While haste is noted, who becomes next there counts as no work for other Ms: nobody is woken
//! for him, and an M that looks before it sleeps does not see him. Those in the ring of the queue
//! count as ever.
//!
//! H3. sysmon, which makes no long pause while a note holds, takes it back when the M has switched
//! rarely since the last round, and submits who is next (`sysmon/behind.rs`). The M does so when it
//! begins a blocking call, or takes up the P.
//!
//! So a goroutine that is next behind one that suddenly computes for long waits up to 2 ms, once:
//! the next time an M is woken at once, as there is no haste any more.
//!
//! # Invariants
//!
//! 1. The note names an M, and holds only while that M runs on the P. A P that is free, or in a
//!    blocking call, or of another M, is in no haste, however late a thief notes it: whoever passes
//!    on such a P looks for work after its word has changed, and sees who is next.
//! 2. A note hides who is next from others only: the P's own M takes him as ever.
//!
//! # Memory ordering
//!
//! Relaxed: when a P is passed on, the fences of `idle.rs` order its word, which decides, against
//! the look of an M that goes to sleep; the note itself may come late or never. An M that begins a
//! blocking call submits whatever the note says: its fence comes before it looks who searches.
//!
//! Modelled in `tests/loom_haste.rs`, with a seeded bug: `note_against_hand_off`.

use crate::sched::hold::Seen;
use crate::shim::{AtomicU32, Ordering};

/// The note of a P: the number of the M that is in haste, plus one; or 0.
#[derive(Debug)]
pub(crate) struct Haste(AtomicU32);

impl Haste {
    pub(crate) fn new() -> Haste {
        Haste(AtomicU32::new(0))
    }

    /// H1, for a thief that saw M `m` switch.
    pub(crate) fn note(&self, m: usize) {
        self.0.store(m as u32 + 1, Ordering::Relaxed);
    }

    /// H3.
    pub(crate) fn take_back(&self) {
        self.0.store(0, Ordering::Relaxed);
    }

    /// H2, for M `m` itself, which holds the P.
    #[inline]
    pub(crate) fn is_of(&self, m: usize) -> bool {
        self.0.load(Ordering::Relaxed) == m as u32 + 1
    }

    /// H2, for others, who saw the word of the P: the M that is in haste.
    pub(crate) fn of(&self, seen: Seen) -> Option<usize> {
        match seen {
            Seen::Running { m, .. } if self.is_of(m) => Some(m),
            _ => None,
        }
    }

    /// `of` without a look at the word: the bug that the model must find.
    #[cfg(all(test, gopark_loom))]
    pub(crate) fn of_seeded(&self, _: Seen) -> Option<usize> {
        (self.0.load(Ordering::Relaxed) as usize).checked_sub(1)
    }
}

#[cfg(all(test, gopark_loom))]
#[path = "tests/loom_haste.rs"]
mod loom_haste;
