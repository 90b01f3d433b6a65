//! Those who wait at a channel: what they leave in its lists.
//!
//! Everything here is used under the lock of the channel, and by the owner of a node before and
//! after it is in a list.

#![expect(unsafe_code, reason = "reaches values on the stacks of those who wait")]

use std::cell::Cell;
use std::ptr;

use crate::shim::{AtomicU8, Ordering, UnsafeCell};
use crate::wait::list::{List, Node};
use crate::wait::parker::{Waiter, Woken};

/// A place for one value on the stack of one who waits: whoever serves him empties or fills it.
pub(super) struct Slot<T>(UnsafeCell<Option<T>>);

impl<T> Slot<T> {
    pub(super) fn new(value: Option<T>) -> Slot<T> {
        Slot(UnsafeCell::new(value))
    }

    /// Empties it.
    ///
    /// # Safety
    /// The caller holds the lock of the channel in which a node with this slot is, or no node with
    /// it is in a list.
    #[inline]
    pub(super) unsafe fn take(&self) -> Option<T> {
        // SAFETY: nobody else uses it now.
        self.0.with_mut(|place| unsafe { &mut *place }.take())
    }

    /// Fills it.
    ///
    /// # Safety
    /// As for [`Slot::take`]; it is empty.
    #[inline]
    pub(super) unsafe fn put(&self, value: T) {
        self.0.with_mut(|place| {
            // SAFETY: nobody else uses it now.
            let place = unsafe { &mut *place };
            debug_assert!(place.is_none(), "a slot was filled twice");
            *place = Some(value);
        });
    }

    pub(super) fn into_inner(self) -> Option<T> {
        self.0.into_inner()
    }
}

/// What one who waits is told by the one who wakes him.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Told {
    Nothing,
    /// The value has been taken from his slot, or put there.
    Served,
    /// The operation may be completed: see `state.rs`.
    Reserved,
    Closed,
    /// The one who owed him a message will not send it.
    Released,
    /// He watched, and may look again.
    Look,
}

/// One who waits, in one list.
pub(super) struct Entry {
    waiter: Cell<Option<Waiter>>,
    /// A [`Told`]. An atomic, because the wake of a plain goroutine proves nothing: it may be a
    /// late one, of a raw park that it has left.
    told: AtomicU8,
    /// A `Slot` of the channel's type; null: a select waits, which has none.
    slot: *const (),
    /// The wake of one who has been claimed, and is still to be told why.
    woken: Cell<Woken>,
}

// SAFETY: an entry that is in a list is used under the lock of the list only: by a thread that
// serves it, or by its owner, which takes the lock or has been woken.
unsafe impl Sync for Entry {}
// SAFETY: as for Sync; the slot is reached by its owner's channel only, whose values are `Send` if
// it is used by several threads.
unsafe impl Send for Entry {}

impl std::fmt::Debug for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Entry")
            .field("told", &self.told())
            .finish_non_exhaustive()
    }
}

impl Entry {
    pub(super) fn with_slot<T>(slot: &Slot<T>) -> Entry {
        Entry {
            waiter: Cell::new(None),
            told: AtomicU8::new(Told::Nothing as u8),
            slot: ptr::from_ref(slot).cast(),
            woken: Cell::new(Woken::Nothing),
        }
    }

    /// Of a select.
    pub(super) fn of_select() -> Entry {
        Entry {
            waiter: Cell::new(None),
            told: AtomicU8::new(Told::Nothing as u8),
            slot: ptr::null(),
            woken: Cell::new(Woken::Nothing),
        }
    }

    /// What its owner was told.
    #[inline]
    pub(super) fn told(&self) -> Told {
        const ALL: [Told; 6] = [
            Told::Nothing,
            Told::Served,
            Told::Reserved,
            Told::Closed,
            Told::Released,
            Told::Look,
        ];
        // Acquire: pairs with `Partner::tell`.
        ALL[usize::from(self.told.load(Ordering::Acquire))]
    }

    #[inline(always)]
    fn tell(&self, told: Told) {
        // Release: what was done with the slot; pairs with `told`.
        self.told.store(told as u8, Ordering::Release);
    }

    /// For a new wait.
    pub(super) fn reset(&self) {
        self.waiter.set(None);
        self.told.store(Told::Nothing as u8, Ordering::Relaxed);
    }

    /// Whether whoever takes it out of the list has claimed the wait. Then it is told before it is
    /// woken, and its owner need not take the lock to know what.
    pub(super) fn is_plain(&self) -> bool {
        matches!(self.waiter.get(), Some(Waiter::Goroutine(..)))
    }
}

/// One who waits, claimed: nobody else can serve him.
#[must_use = "he waits for ever otherwise"]
pub(super) struct Partner<'a> {
    entry: &'a Entry,
}

impl<'a> Partner<'a> {
    /// His slot; `None` of a select.
    ///
    /// # Safety
    /// It is a `Slot<T>`: he waits at a channel of `T`. It is not used after he was told.
    #[inline]
    pub(super) unsafe fn slot<T>(&self) -> Option<&'a Slot<T>> {
        // SAFETY: the owner of the entry has not left; its slot was a `Slot<T>`.
        unsafe { self.entry.slot.cast::<Slot<T>>().as_ref() }
    }

    /// Decides his wake. A plain goroutine may go on at once, without the lock.
    #[inline(always)]
    pub(super) fn tell(self, told: Told) -> Woken {
        let Some(Waiter::Goroutine(g, id)) = self.entry.waiter.get() else {
            let woken = self.entry.woken.replace(Woken::Nothing);
            self.entry.tell(told);
            return woken;
        };
        self.entry.tell(told);
        // Its owner may leave from here on.
        let woken = Waiter::Goroutine(g, id).wake();
        woken.unwrap_or(Woken::Nothing)
    }
}

/// Those who wait for the same, oldest first.
#[derive(Debug)]
pub(super) struct Waiters(List<Entry>);

impl Waiters {
    pub(super) const fn new() -> Waiters {
        Waiters(List::new())
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Puts a node at the end.
    ///
    /// # Safety
    /// As for `List::push_back`.
    #[inline(always)]
    pub(super) unsafe fn push(&mut self, node: &Node<Entry>, waiter: Waiter) {
        node.entry.waiter.set(Some(match waiter {
            // By parts: they have just been written.
            Waiter::Goroutine(g, id) => Waiter::Goroutine(g, id),
            other => other,
        }));
        // SAFETY: passed on.
        unsafe { self.0.push_back(node) };
    }

    /// Takes a node out, if it is in.
    ///
    /// # Safety
    /// If the node is in a list, it is this one.
    pub(super) unsafe fn remove(&mut self, node: &Node<Entry>) -> bool {
        // SAFETY: passed on.
        unsafe { self.0.remove(node) }
    }

    /// Claims the oldest that can be claimed, and takes him out. Nodes of waits that somebody else
    /// has ended are taken out on the way.
    #[inline(always)]
    pub(super) fn claim(&mut self) -> Option<Partner<'_>> {
        loop {
            let node = self.0.pop_front()?;
            // SAFETY: its owner takes the lock before it leaves, or has not been woken.
            let entry = unsafe { &(*node.as_ptr()).entry };
            if let Some(partner) = claim(entry) {
                return Some(partner);
            }
        }
    }

    /// The same for one who has nodes in this list too, and does not meet himself.
    pub(super) fn claim_other(&mut self, me: &Waiter) -> Option<Partner<'_>> {
        loop {
            let is_other = |node: &&Node<Entry>| match node.entry.waiter.get() {
                Some(waiter) => !waiter.is_same(me),
                None => false,
            };
            let node = ptr::from_ref(self.0.iter().find(is_other)?);
            // SAFETY: it is in the list.
            let node = unsafe { &*node };
            // SAFETY: as above.
            unsafe { self.0.remove(node) };
            if let Some(partner) = claim(&node.entry) {
                return Some(partner);
            }
        }
    }

    /// Whether somebody is in the list whose wait is not over.
    pub(super) fn has_open(&self) -> bool {
        let mut waiters = self.0.iter().filter_map(|node| node.entry.waiter.get());
        waiters.any(|waiter| waiter.is_open())
    }

    /// Whether somebody else than `me` is in the list.
    pub(super) fn has_other(&self, me: &Waiter) -> bool {
        let mut waiters = self.0.iter().filter_map(|node| node.entry.waiter.get());
        waiters.any(|waiter| !waiter.is_same(me))
    }
}

#[inline(always)]
fn claim(entry: &Entry) -> Option<Partner<'_>> {
    match entry.waiter.get() {
        // Being taken out of the list is the claim; the wake is decided when it has been told.
        Some(Waiter::Goroutine(..)) => {}
        Some(waiter) => entry.woken.set(waiter.wake()?),
        None => unreachable!("a node in a list has a waiter"),
    }
    Some(Partner { entry })
}
