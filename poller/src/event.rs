//! What an event says: whom it means, and what became possible.
//!
//! The kernel reports readiness by a number that was given at registration. Between the report and
//! its delivery the descriptor may be closed and its slot given to another, whom the report must
//! not reach. So a key holds, beside the slot, how many owners the slot has had before.
//!
//! ```text
//!   63                       32 31                          0
//!  +---------------------------+-----------------------------+
//!  |        generation         |            slot             |
//!  +---------------------------+-----------------------------+
//! ```
//!
//! # Invariants
//!
//! 1. No key is [`RESERVED`], which the queue and `polling` keep for themselves: no slot has the
//!    number whose bits are all ones.

use std::fmt;

const SLOT_BITS: u32 = 32;
/// The number of no key.
pub(crate) const RESERVED: u64 = u64::MAX;

const _: () = assert!(usize::BITS == 64, "`polling` takes a key as a `usize`");

/// Who is meant by an event: a slot, and which of its owners.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Key(u64);

impl Key {
    pub(crate) fn new(slot: u32, generation: u32) -> Key {
        debug_assert!(slot != u32::MAX, "invariant 1");
        Key(u64::from(generation) << SLOT_BITS | u64::from(slot))
    }

    /// The number that the kernel gets and reports.
    pub(crate) fn number(self) -> u64 {
        self.0
    }

    /// A number that the kernel reported; `None` if it is the reserved one.
    pub(crate) fn from_number(number: u64) -> Option<Key> {
        (number != RESERVED).then_some(Key(number))
    }

    pub(crate) fn slot(self) -> u32 {
        self.0 as u32
    }

    pub(crate) fn generation(self) -> u32 {
        (self.0 >> SLOT_BITS) as u32
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({}, generation {})", self.slot(), self.generation())
    }
}

/// What became possible. An error or the end of both directions counts as both: the next call
/// tells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Readiness {
    /// A read may succeed now, or report an error or the end.
    pub readable: bool,
    /// A write may succeed now, or report an error.
    pub writable: bool,
    /// From now on, a short read or write does not prove that the next would block: the peer has
    /// hung up, this end was shut down, there is an error, or urgent data, at which reads stop.
    pub hup: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_its_slot_and_its_generation() {
        let key = Key::new(7, u32::MAX);
        assert_eq!((key.slot(), key.generation()), (7, u32::MAX));
        assert_eq!(Key::from_number(key.number()), Some(key));
        assert_eq!(format!("{key:?}"), "Key(7, generation 4294967295)");
    }

    #[test]
    fn the_reserved_number_is_no_key() {
        let greatest = Key::new(u32::MAX - 1, u32::MAX);
        assert_ne!(greatest.number(), RESERVED);
        assert_eq!(Key::from_number(RESERVED), None);
    }
}
