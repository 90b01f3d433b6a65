//! Where a goroutine is: its header, or the seed that stands for it before its first turn.
//!
//! One word, in queues and in handles. Headers lie at multiples of 64, so the lowest bit tells.

#![expect(unsafe_code, reason = "makes references of what is never unmapped")]

use std::num::NonZeroUsize;

use gopark_stack::switch::{prefetch, prefetch_frames};

use super::header::GRef;
use super::seed::Seed;
use crate::task::seed_state::{Ask, Asked};
use crate::task::state::Wake;

const SEED: usize = 1;

/// See the top of this file. What it means is told by the id that came with it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place(NonZeroUsize);

/// What lies at a place.
pub(crate) enum At {
    Header(GRef),
    Seed(&'static Seed),
}

impl std::fmt::Debug for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.at() {
            At::Header(g) => g.fmt(f),
            At::Seed(seed) => seed.state.fmt(f),
        }
    }
}

impl From<GRef> for Place {
    #[inline]
    fn from(g: GRef) -> Place {
        Place::from_word(g.to_word())
    }
}

impl From<&'static Seed> for Place {
    fn from(seed: &'static Seed) -> Place {
        Place::from_word(std::ptr::from_ref(seed).expose_provenance() | SEED)
    }
}

impl Place {
    /// As the local queue keeps it.
    #[inline]
    pub(crate) fn to_word(self) -> usize {
        self.0.get()
    }

    /// From [`Place::to_word`].
    #[inline]
    pub(crate) fn from_word(word: usize) -> Place {
        Place(NonZeroUsize::new(word).expect("never 0"))
    }

    /// What lies here.
    #[inline]
    pub(crate) fn at(self) -> At {
        let word = self.to_word();
        if word & SEED == 0 {
            return At::Header(GRef::from_word(word));
        }
        let seed: *const Seed = std::ptr::with_exposed_provenance(word & !SEED);
        // SAFETY: the word is that of a seed, which is never freed.
        At::Seed(unsafe { &*seed })
    }

    /// Whether it is a seed: who has never run.
    #[inline]
    pub(crate) fn is_seed(self) -> bool {
        self.to_word() & SEED != 0
    }

    /// Asks for what a look at it needs.
    #[inline]
    pub(crate) fn prefetch(self) {
        prefetch(std::ptr::without_provenance(self.to_word()));
    }

    /// Asks for what running it needs, as far as its header, which should be near, tells.
    #[inline]
    pub(crate) fn prefetch_frames(self) {
        if let At::Header(g) = self.at() {
            // SAFETY: headers are never unmapped.
            unsafe { prefetch_frames(g.get().context.get()) };
        }
    }

    /// Whether goroutine `id` has not ended.
    pub(crate) fn has(self, id: u64) -> bool {
        match self.at() {
            At::Header(g) => g.get().state.id() == id,
            At::Seed(seed) => seed.state.id() == id,
        }
    }

    /// Asks something of goroutine `id`: its header, if it has one, and what is to be done for it.
    #[inline]
    pub(crate) fn ask(self, id: u64, what: Ask) -> Option<(GRef, Wake)> {
        let g = match self.at() {
            At::Header(g) => g,
            At::Seed(seed) => match seed.state.ask(id, what) {
                Asked::Noted | Asked::Gone => return None,
                Asked::Born(header) => GRef::from_word(header),
            },
        };
        Some((g, ask_header(g, id, what)))
    }
}

/// Asks something of goroutine `id`, which has, or had, a header.
#[inline]
pub(crate) fn ask_header(g: GRef, id: u64, what: Ask) -> Wake {
    let state = &g.get().state;
    match what {
        Ask::Cancel => state.cancel(id),
        Ask::Stop => state.stop(id),
        Ask::Token => state.unpark(id),
    }
}
