//! The words of a seed: a goroutine that was spawned and has had no turn yet.
//!
//! ```text
//!   63  12    5      4       3      2..0
//!  +------+-------+------+--------+-------+
//!  |  id  | TOKEN | STOP | CANCEL | phase |      and an address: its header's, once it has one
//!  +------+-------+------+--------+-------+
//! ```
//!
//! | phase    | the goroutine                         | left by                      | to       |
//! |----------|---------------------------------------|------------------------------|----------|
//! | `Free`   | there is none                         | a spawn                      | `Unborn` |
//! | `Unborn` | belongs to who holds its queue entry  | that M, when it is its turn  | `Born`   |
//! | `Born`   | has a header, which knows more        | the M on which it ends       | `Free`   |
//!
//! What is asked of one that is not born is noted here: 1. the asker sets a bit by CAS, unless the
//! phase is `Born`. 2. The M stores the address of the header, then the phase `Born`, and takes the
//! bits along. So a request is either among the bits that the M takes, or finds the header.
//!
//! An asker who finds `Born` reads the address, and may read that of whoever was born here later.
//! Whose header it is is said by the id, as always: headers are never unmapped, and ids never used
//! twice.
//!
//! Modelled in `tests/loom_seed.rs`, each with a seeded bug: `ask_against_birth`,
//! `late_ask_against_reuse`.

use crate::shim::{AtomicU64, AtomicUsize, Ordering};

const PHASE: u64 = 0b111;
const ID_SHIFT: u32 = 12;

const FREE: u64 = 0;
const UNBORN: u64 = 1;
const BORN: u64 = 2;

/// What may be asked of a goroutine before its first turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub(crate) enum Ask {
    /// To unwind instead of running.
    Cancel = 1 << 3,
    /// To unwind at its first wait.
    Stop = 1 << 4,
    /// To let its first `park` return at once.
    Token = 1 << 5,
}

impl Ask {
    const ALL: [Ask; 3] = [Ask::Cancel, Ask::Stop, Ask::Token];
}

/// What became of a request.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    Noted,
    /// The header at this address is to be asked, with the same id.
    Born(usize),
    /// That goroutine has ended.
    Gone,
}

/// What was asked before the first turn.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Asks(u64);

impl Asks {
    /// What was asked, in the order in which the header is to be told.
    pub(crate) fn iter(self) -> impl Iterator<Item = Ask> {
        Ask::ALL
            .into_iter()
            .filter(move |ask| self.0 & *ask as u64 != 0)
    }
}

/// See the top of this file.
#[derive(Debug)]
pub(crate) struct SeedState {
    word: AtomicU64,
    header: AtomicUsize,
}

impl SeedState {
    pub(crate) fn new() -> SeedState {
        SeedState {
            word: AtomicU64::new(FREE),
            header: AtomicUsize::new(0),
        }
    }

    /// `Free` to `Unborn`, by whoever spawns goroutine `id`.
    pub(crate) fn plant(&self, id: u64) {
        // Release: for reports, who read what was written to the seed before.
        self.word.store(id << ID_SHIFT | UNBORN, Ordering::Release);
    }

    /// The id of the goroutine; 0 when there is none.
    pub(crate) fn id(&self) -> u64 {
        // Acquire: pairs with `plant`.
        self.word.load(Ordering::Acquire) >> ID_SHIFT
    }

    /// Whether goroutine `id` is planted here and has no header yet.
    pub(crate) fn is_unborn(&self, id: u64) -> bool {
        let word = self.word.load(Ordering::Relaxed);
        word >> ID_SHIFT == id && word & PHASE == UNBORN
    }

    /// Asks something of goroutine `id`.
    pub(crate) fn ask(&self, id: u64, what: Ask) -> Asked {
        // Acquire here and on failure: pairs with `bear`, for the address.
        let mut word = self.word.load(Ordering::Acquire);
        loop {
            if word >> ID_SHIFT != id {
                return Asked::Gone;
            }
            if word & PHASE == BORN {
                // Relaxed: ordered by the word; a later one's does no harm.
                return Asked::Born(self.header.load(Ordering::Relaxed));
            }
            // Release: publishes what the asker wrote; pairs with `bear`.
            match self.word.compare_exchange_weak(
                word,
                word | what as u64,
                Ordering::Release,
                Ordering::Acquire,
            ) {
                Ok(_) => return Asked::Noted,
                Err(now) => word = now,
            }
        }
    }

    /// `Unborn` to `Born`, by the owner of the entry: what was asked until now. From here on the
    /// header at this address is asked.
    pub(crate) fn bear(&self, id: u64, header: usize) -> Asks {
        // Relaxed: published by the word.
        self.header.store(header, Ordering::Relaxed);
        // AcqRel: publishes the header, takes over what the askers wrote.
        let before = self.word.swap(id << ID_SHIFT | BORN, Ordering::AcqRel);
        debug_assert_eq!(before & PHASE, UNBORN);
        Asks(before)
    }

    /// `Born` to `Free`: the goroutine has ended, or nobody will ask for it here.
    pub(crate) fn end(&self) {
        // Release: the next one who plants comes after; nothing else is ordered by it.
        self.word.store(FREE, Ordering::Release);
    }
}

#[cfg(all(test, gopark_loom))]
#[path = "tests/loom_seed.rs"]
mod loom_seed;
