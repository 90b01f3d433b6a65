//! A slab whose keys recognise that their entry is gone.
//!
//! The system reports readiness by a number that was given at registration. Between the report and
//! its delivery the descriptor may be closed and its slot given to another, whom the report must
//! not reach. So a key holds, beside the slot, how many entries the slot has had before.
//!
//! ```text
//!   usize::BITS          usize::BITS / 2                    0
//!  +------------------------+------------------------------+
//!  |       generation       |             slot             |
//!  +------------------------+------------------------------+
//! ```
//!
//! # Invariants
//!
//! 1. A slot on the free list holds no entry, and its generation is that of its next entry.
//! 2. A key fits a `usize`, and is never `usize::MAX`, which `polling` keeps for itself: no slot
//!    has the number whose bits are all ones.
//! 3. A key finds its entry from `insert` to `remove`, and nothing afterwards.
//!
//! # Wrap-around
//!
//! Invariant 3 has an end: the generation starts again after 2^32 entries of one slot (2^16 where
//! a `usize` has 32 bits). A key is mistaken for another only if it is kept for that long, while
//! the poller keeps it for one batch of events.

use std::error::Error;
use std::fmt;

const SLOT_BITS: u32 = usize::BITS / 2;
const SLOT_MASK: usize = (1 << SLOT_BITS) - 1;
/// Slots are `0..SLOTS_MAX`: one less than the bits could number, see invariant 2.
const SLOTS_MAX: usize = SLOT_MASK;

const _: () = assert!((SLOTS_MAX - 1) | !SLOT_MASK != usize::MAX, "invariant 2");

/// Who is meant by an event: a slot of a [`Registry`], and which of its entries.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Key(usize);

impl Key {
    fn new(slot: usize, generation: usize) -> Key {
        debug_assert!(slot < SLOTS_MAX && generation <= SLOT_MASK);
        Key(generation << SLOT_BITS | slot)
    }

    /// The number that the system gets and reports.
    pub(crate) fn to_poll(self) -> usize {
        self.0
    }

    /// A number that the system reported.
    pub(crate) fn from_poll(number: usize) -> Key {
        Key(number)
    }

    fn slot(self) -> usize {
        self.0 & SLOT_MASK
    }

    fn generation(self) -> usize {
        self.0 >> SLOT_BITS
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({}, generation {})", self.slot(), self.generation())
    }
}

/// No slot is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

impl fmt::Display for Full {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the registry has no slot left ({SLOTS_MAX} in use)")
    }
}

impl Error for Full {}

#[derive(Debug)]
struct Slot<T> {
    generation: usize,
    entry: Option<T>,
}

/// Entries, each found by the key that its insertion gave. See the top of this file.
#[derive(Debug)]
pub struct Registry<T> {
    slots: Vec<Slot<T>>,
    /// Free slots; the last is taken first.
    free: Vec<usize>,
    slots_max: usize,
}

impl<T> Default for Registry<T> {
    fn default() -> Registry<T> {
        Registry::new()
    }
}

impl<T> Registry<T> {
    /// A registry without entries.
    pub const fn new() -> Registry<T> {
        Registry {
            slots: Vec::new(),
            free: Vec::new(),
            slots_max: SLOTS_MAX,
        }
    }

    /// Keeps the entry, and gives the key that finds it.
    ///
    /// # Errors
    ///
    /// [`Full`] when every slot that a key can name is in use.
    pub fn insert(&mut self, entry: T) -> Result<Key, Full> {
        if let Some(slot) = self.free.pop() {
            let place = &mut self.slots[slot];
            debug_assert!(place.entry.is_none(), "invariant 1");
            place.entry = Some(entry);
            return Ok(Key::new(slot, place.generation));
        }
        let slot = self.slots.len();
        if slot == self.slots_max {
            return Err(Full);
        }
        self.slots.push(Slot {
            generation: 0,
            entry: Some(entry),
        });
        Ok(Key::new(slot, 0))
    }

    /// The entry of this key; `None` if it was removed.
    pub fn get(&self, key: Key) -> Option<&T> {
        let slot = self.slots.get(key.slot())?;
        if slot.generation != key.generation() {
            return None;
        }
        slot.entry.as_ref()
    }

    /// Takes the entry of this key out; from now on the key is stale.
    pub fn remove(&mut self, key: Key) -> Option<T> {
        let slot = self.slots.get_mut(key.slot())?;
        if slot.generation != key.generation() {
            return None;
        }
        let entry = slot.entry.take()?;
        slot.generation = (slot.generation + 1) & SLOT_MASK;
        self.free.push(key.slot());
        Some(entry)
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// Whether there is no entry.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    #[test]
    fn a_stale_key_finds_nothing_after_its_slot_has_a_new_entry() {
        let mut registry = Registry::new();
        let old = registry.insert("old").unwrap();
        assert_eq!(registry.remove(old), Some("old"));
        let new = registry.insert("new").unwrap();

        assert_eq!(old.slot(), new.slot());
        assert_eq!(registry.get(old), None);
        assert_eq!(registry.remove(old), None);
        assert_eq!(registry.get(new), Some(&"new"));
    }

    #[test]
    fn a_free_slot_answers_to_no_key() {
        let mut registry = Registry::new();
        let key = registry.insert(()).unwrap();
        registry.remove(key);
        let next = Key::new(key.slot(), key.generation() + 1);
        assert_eq!(registry.get(next), None);
        assert_eq!(registry.remove(next), None);
        assert_eq!(registry.len(), 0, "nothing was freed twice");
    }

    #[test]
    fn the_generation_wraps_around_and_the_slot_stays_in_use() {
        let mut registry = Registry::new();
        let first = registry.insert(0).unwrap();
        registry.slots[0].generation = SLOT_MASK;
        let last = Key::new(0, SLOT_MASK);
        assert_eq!(registry.remove(last), Some(0));

        assert_eq!(registry.insert(1), Ok(first), "as documented");
        assert_eq!(registry.get(last), None);
    }

    #[test]
    fn no_key_is_the_one_that_polling_reserves() {
        let greatest = Key::new(SLOTS_MAX - 1, SLOT_MASK);
        assert_ne!(greatest.to_poll(), usize::MAX);
        assert_eq!(Key::from_poll(greatest.to_poll()), greatest);
    }

    #[test]
    fn a_full_registry_refuses_until_something_is_removed() {
        let mut registry = Registry {
            slots_max: 2,
            ..Registry::new()
        };
        let key = registry.insert('a').unwrap();
        registry.insert('b').unwrap();
        assert_eq!(registry.insert('c'), Err(Full));
        registry.remove(key);
        assert!(registry.insert('c').is_ok());
    }

    /// Method: random inserts and removals against a map from every key ever given.
    #[test]
    fn it_agrees_with_a_map_that_never_reuses_a_slot() {
        let mut registry = Registry::new();
        let mut model: HashMap<Key, Option<u64>> = HashMap::new();
        let mut random = 0x9E37_79B9_7F4A_7C15_u64;
        for step in 0..20_000 {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            let live: Vec<Key> = model
                .iter()
                .filter_map(|(&key, entry)| entry.map(|_| key))
                .collect();
            if live.len() < 8 && (live.is_empty() || random.is_multiple_of(2)) {
                let key = registry.insert(step).unwrap();
                assert_eq!(model.insert(key, Some(step)), None, "{key:?} given twice");
            } else {
                let key = live[random as usize % live.len()];
                assert_eq!(registry.remove(key), model.insert(key, None).flatten());
            }
            if step % 500 == 0 {
                for (&key, entry) in &model {
                    assert_eq!(registry.get(key), entry.as_ref(), "{key:?}");
                }
            }
            let live = model.values().flatten().count();
            assert_eq!(registry.len(), live);
            if model.len() > 200 {
                model.retain(|_, entry| entry.is_some());
            }
        }
    }
}
