//! Promises: the right to a stack that nobody has touched yet.
//!
//! Whoever is spawned runs later, perhaps after many others have come and gone, and then the stack
//! of one of these, warm, does as well as one of his own. So a spawn that finds no free stack
//! nearby takes a promise: a slot's number, without window, guard or page. When the promise is
//! redeemed a free stack is taken if there is one, and the slot goes back unused; otherwise the
//! slot is opened. Since every promise has a slot, none is broken for lack of stacks.
//!
//! With mprotect guards nothing is promised: the kernel may refuse the mappings, and who spawns
//! must be told.

use std::io;
use std::mem::ManuallyDrop;
use std::sync::atomic::Ordering;

use crate::arena::Arena;
use crate::cache::StackCache;
use crate::guard::GuardKind;
use crate::layout::{Class, Slot};
use crate::stack::Stack;

/// The right to a stack of a class, or of a smaller one. Dropping it gives it back.
#[derive(Debug)]
#[must_use = "a dropped promise takes the slow way back"]
pub struct Promise {
    index: u32,
    class: Class,
    wanted: Class,
}

impl Promise {
    fn slot(&self) -> Slot {
        Slot {
            index: self.index,
            class: self.class,
        }
    }

    fn into_slot(self) -> Slot {
        ManuallyDrop::new(self).slot()
    }
}

impl Drop for Promise {
    fn drop(&mut self) {
        let arena = Arena::get().expect("a slot lies in an arena");
        // Relaxed: published by the depot's Release.
        arena.record(self.index).link.store(0, Ordering::Relaxed);
        arena.give_unopened(self.class, self.index);
    }
}

impl Arena {
    /// A chain of slots without a window.
    pub(crate) fn pop_unopened(&self, class: Class) -> Option<u32> {
        self.pop_from(&self.unopened, class)
    }

    /// Gives a chain of slots without a window back.
    pub(crate) fn give_unopened(&self, class: Class, first: u32) {
        self.give_to(&self.unopened, class, first);
    }
}

impl StackCache {
    /// A promise of a stack of the largest class not above `class` that has a free slot. `None`:
    /// that class has free stacks, but no slots that were never used; or nothing is promised here.
    /// [`StackCache::take`] then gives a stack, or says what is exhausted.
    pub fn promise(&mut self, class: Class) -> Option<Promise> {
        if self.arena.kind == GuardKind::Protect {
            return None;
        }
        let wanted = class;
        for class in Class::ALL.into_iter().filter(|c| *c >= wanted) {
            // Never refused: that happens with mprotect guards only.
            if let Ok(Some(promise)) = self.unopened(class, wanted) {
                return Some(promise);
            }
            if self.refill(class) {
                return None;
            }
        }
        None
    }

    /// A slot of this very class that was never used, as a promise of a stack up to `wanted`.
    ///
    /// # Errors
    /// `OutOfMemory` when no more stacks may have mprotect guards.
    pub(crate) fn unopened(&mut self, class: Class, wanted: Class) -> io::Result<Option<Promise>> {
        let index = if let Some(index) = self.unopened[class as usize].pop() {
            self.count(-1);
            index
        } else if let Some(first) = self.arena.pop_unopened(class) {
            for index in self.arena.chain_iter(first).skip(1) {
                self.unopened[class as usize].push(index);
                self.count(1);
            }
            first
        } else {
            match self.arena.carve(class)? {
                Some(slot) => slot.index,
                None => return Ok(None),
            }
        };
        Ok(Some(Promise {
            index,
            class,
            wanted,
        }))
    }

    /// Opens the promised slot; on refusal it goes back.
    pub(crate) fn open(&self, promise: Promise) -> io::Result<Stack> {
        self.arena.open(promise.slot(), self.window)?;
        Ok(Stack::own(self.arena, promise.into_slot()))
    }

    /// A stack for a promise: a free one from this cache or the depot, as large as was wanted if
    /// possible, or the promised slot.
    ///
    /// # Errors
    /// The kernel's refusal of a guard, when there is no free stack of a smaller class either; the
    /// promise is gone then.
    pub fn redeem(&mut self, promise: Promise) -> io::Result<Stack> {
        let (wanted, least) = (promise.wanted, promise.class);
        for class in Class::ALL {
            if (wanted..=least).contains(&class)
                && let Some(stack) = self.take_free(class)
            {
                self.keep(promise.into_slot());
                return Ok(stack);
            }
        }
        self.open(promise).or_else(|refusal| {
            let mut smaller = Class::ALL.into_iter().filter(|c| *c > least);
            smaller
                .find_map(|class| self.take_free(class))
                .ok_or(refusal)
        })
    }

    fn keep(&mut self, slot: Slot) {
        if self.unopened[slot.class as usize].is_half_full() {
            self.spill_unopened(slot.class);
        }
        self.unopened[slot.class as usize].push(slot.index);
        self.count(1);
    }

    /// Sends the oldest unopened slots of a class away: false if there is none.
    pub(crate) fn spill_unopened(&mut self, class: Class) -> bool {
        let Some((first, n)) = self.unopened[class as usize].take_chain(self.arena) else {
            return false;
        };
        self.arena.give_unopened(class, first);
        self.count(-(n as i32));
        true
    }
}
