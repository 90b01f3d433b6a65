//! The shared store of free stacks: a lock-free list of chains.
//!
//! Caches exchange stacks with each other through it, a chain of up to 32 at a time. A chain is
//! linked through the records of its stacks; the depot is a stack of chains (R. K. Treiber, 1986).
//! A pop reads the second chain of a head that may be gone by then. Two facts make that harmless:
//! records are never unmapped, and the head carries a tag that every change increments, so a pop
//! that read a stale link fails its CAS.
//!
//! ```text
//!   63        32 31         0
//!  +------------+------------+
//!  |    tag     | slot + 1   |   0 in the low half: empty
//!  +------------+------------+
//! ```
//!
//! # Invariants
//!
//! 1. A chain is in the depot once or belongs to exactly one caller.
//! 2. The tag increases by one with every successful change.
//!
//! Modelled in `tests/loom_depot.rs`: `two_pops_never_share`, `pop_against_push_pop` (with a depot
//! that has no tag as the seeded bug).

use crate::shim::{AtomicU32, AtomicU64, Ordering};

/// Where chains keep their links.
pub(crate) trait Links {
    /// The word of slot `index` that names the next chain, plus one.
    fn chain(&self, index: u32) -> &AtomicU32;
}

/// A lock-free LIFO of chains.
#[derive(Debug)]
pub(crate) struct Depot {
    head: AtomicU64,
    tag_step: u64,
}

impl Depot {
    pub(crate) fn new() -> Depot {
        Depot {
            head: AtomicU64::new(0),
            tag_step: 1 << 32,
        }
    }

    /// A depot with the ABA bug, for the model that must find it.
    #[cfg(all(test, gopark_loom))]
    pub(crate) fn without_tag() -> Depot {
        Depot {
            head: AtomicU64::new(0),
            tag_step: 0,
        }
    }

    /// Adds the chain that starts at slot `first`.
    pub(crate) fn push(&self, links: &impl Links, first: u32) {
        // Relaxed: the CAS below validates it.
        let mut head = self.head.load(Ordering::Relaxed);
        loop {
            // Relaxed: published by the Release below.
            links.chain(first).store(head as u32, Ordering::Relaxed);
            let new = self.retag(head, first + 1);
            // Release publishes the links of the chain; pairs with the Acquire loads in `pop`.
            match self
                .head
                .compare_exchange(head, new, Ordering::Release, Ordering::Relaxed)
            {
                Ok(_) => return,
                Err(now) => head = now,
            }
        }
    }

    /// Takes a chain; its first slot is returned.
    pub(crate) fn pop(&self, links: &impl Links) -> Option<u32> {
        // Acquire pairs with the Release in `push`: the link read below is the published one.
        let mut head = self.head.load(Ordering::Acquire);
        loop {
            let first = (head as u32).checked_sub(1)?;
            // Relaxed: may be stale, then the tag makes the CAS fail.
            let next = links.chain(first).load(Ordering::Relaxed);
            let new = self.retag(head, next);
            // AcqRel: success owns the chain and keeps the release sequence of earlier pushes;
            // failure reads a newer head, whose links it needs.
            match self
                .head
                .compare_exchange(head, new, Ordering::AcqRel, Ordering::Acquire)
            {
                Ok(_) => return Some(first),
                Err(now) => head = now,
            }
        }
    }

    fn retag(&self, head: u64, low: u32) -> u64 {
        (head & !0xffff_ffff).wrapping_add(self.tag_step) | u64::from(low)
    }
}

#[cfg(all(test, gopark_loom))]
#[path = "tests/loom_depot.rs"]
mod loom_depot;
