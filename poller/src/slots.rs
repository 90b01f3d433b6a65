//! The table of slots: for each open descriptor, its two directions.
//!
//! *Problem.* Whoever delivers an event has a number and no reference, while the owner of the
//! descriptor may close it at any time, and another may open the next.
//!
//! *Idea.* Slots are made once and never freed, so an event that comes late finds a slot, at worst
//! somebody else's. The word of each direction holds the generation, and the event its own: they
//! are compared in the step that counts the event. Looking a slot up takes no lock.
//!
//! ```text
//!  chunks:    0    1     2         7       8        9            263
//!  slots:    64   128   256  ... 8,192  16,384   16,384   ...   16,384
//! ```
//!
//! The first chunks double, so that few slots cost little; the others are alike, so that making one
//! takes no longer than a few milliseconds.
//!
//! # Invariants
//!
//! 1. Both directions of a slot are of the same generation, but for the moment of `renew`, when
//!    nobody owns the slot.
//! 2. A slot has one owner, or is on the free list, or was never used.
//! 3. A free slot has no home.
//!
//! # Memory ordering
//!
//! A slot goes from one owner to the next through the lock of the free list. `home` is stored with
//! Release and loaded with Acquire: who sees where a descriptor is registered sees that it is.

use std::error::Error;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use crate::direction::{Advance, Arm, Cause, EventCount, Look, Seen};
use crate::event::{Key, Readiness};

/// Slots of the first chunk. A power of two, as the next.
const FIRST_CHUNK: u32 = 64;
/// Slots of the largest chunks.
const LAST_CHUNK: u32 = 16_384;
const DOUBLING_CHUNKS: u32 = LAST_CHUNK.ilog2() - FIRST_CHUNK.ilog2();
const CHUNKS: usize = DOUBLING_CHUNKS as usize + 256;
const SLOTS_MAX: u32 = LAST_CHUNK - FIRST_CHUNK + 256 * LAST_CHUNK;

const _: () = assert!(SLOTS_MAX >= 4 << 20);

/// One of the two directions of a descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// Reading, accepting.
    Read,
    /// Writing, connecting.
    Write,
}

/// All slots are in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

impl fmt::Display for Full {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no slot is left for another descriptor")
    }
}

impl Error for Full {}

/// A slot's memory. Aligned, so that the words of two descriptors do not share a cache line.
#[repr(align(64))]
struct Place<W> {
    read: EventCount<W>,
    write: EventCount<W>,
    /// See [`Slot::home`].
    home: AtomicUsize,
}

impl<W> Place<W> {
    fn new() -> Place<W> {
        Place {
            read: EventCount::new(),
            write: EventCount::new(),
            home: AtomicUsize::new(0),
        }
    }

    fn direction(&self, direction: Direction) -> &EventCount<W> {
        match direction {
            Direction::Read => &self.read,
            Direction::Write => &self.write,
        }
    }

    fn disturb(&self, direction: Direction, wake: &mut impl FnMut(W)) {
        let direction = self.direction(direction);
        // `Void` if the owner has just gone: nobody is left to be disturbed.
        let _ = direction.event(direction.generation(), Cause::Ready, wake);
    }
}

/// The table. Meant to be a `static`: its slots live as long as the process.
pub struct Slots<W: 'static> {
    chunks: [OnceLock<Box<[Place<W>]>>; CHUNKS],
    synced: Mutex<Synced>,
    slots_max: u32,
}

struct Synced {
    /// Slots that were used before; the last freed is the first reused.
    free: Vec<u32>,
    /// All slots from this number on were never used.
    fresh: u32,
}

impl<W> Slots<W> {
    /// A table without slots: it makes them when they are needed.
    pub const fn new() -> Slots<W> {
        Slots {
            chunks: [const { OnceLock::new() }; CHUNKS],
            synced: Mutex::new(Synced {
                free: Vec::new(),
                fresh: 0,
            }),
            slots_max: SLOTS_MAX,
        }
    }

    /// Takes a slot for a descriptor.
    ///
    /// # Errors
    ///
    /// [`Full`] when 4 Mi slots are in use.
    pub fn open(&'static self) -> Result<Slot<W>, Full> {
        let number = self.synced().take(self.slots_max).ok_or(Full)?;
        let (chunk, index) = locate(number);
        let places = self.chunks[chunk]
            .get_or_init(|| (0..chunk_len(chunk)).map(|_| Place::new()).collect());
        let place = &places[index];
        let key = Key::new(number, place.read.generation());
        debug_assert_eq!(key.generation(), place.write.generation(), "invariant 1");
        Ok(Slot {
            slots: self,
            place,
            key,
        })
    }

    /// Delivers an event: calls `wake` for everyone who waited for it, without a lock. A stale key
    /// does nothing.
    pub fn deliver(&self, key: Key, ready: Readiness, wake: &mut impl FnMut(W)) {
        let Some(place) = self.place(key.slot()) else {
            debug_assert!(false, "an event for a slot that was never used: {key:?}");
            return;
        };
        let cause = match ready.hup {
            true => Cause::HungUp,
            false => Cause::Ready,
        };
        if ready.readable {
            // `Void`: stale.
            let _ = place.read.event(key.generation(), cause, wake);
        }
        if ready.writable {
            let _ = place.write.event(key.generation(), cause, wake);
        }
    }

    /// Makes all slots whose home is this number homeless, and disturbs their waiters: a poller
    /// ends. Who gets this number as a home meanwhile may be missed. Looks at all slots there are.
    pub fn evict(&self, home: usize, wake: &mut impl FnMut(W)) {
        debug_assert!(home != 0, "0 is no home");
        let places = self.chunks.iter().filter_map(OnceLock::get).flatten();
        for place in places {
            // Acquire, Release: as in `home` and `set_home`. The waiter sees it: it looks at the
            // count first, and at its home after.
            let evicted = place
                .home
                .compare_exchange(home, 0, Ordering::AcqRel, Ordering::Relaxed)
                .is_ok();
            if evicted {
                place.disturb(Direction::Read, wake);
                place.disturb(Direction::Write, wake);
            }
        }
    }

    /// How many slots have an owner.
    pub fn in_use(&self) -> usize {
        let synced = self.synced();
        synced.fresh as usize - synced.free.len()
    }

    fn place(&self, number: u32) -> Option<&Place<W>> {
        let (chunk, index) = locate(number);
        self.chunks.get(chunk)?.get()?.get(index)
    }

    fn synced(&self) -> MutexGuard<'_, Synced> {
        // Nothing that could panic half-way runs under this lock.
        self.synced.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Synced {
    fn take(&mut self, slots_max: u32) -> Option<u32> {
        if let Some(number) = self.free.pop() {
            return Some(number);
        }
        if self.fresh == slots_max {
            return None;
        }
        // So that giving a slot back never allocates.
        self.free.reserve(self.fresh as usize + 1);
        self.fresh += 1;
        Some(self.fresh - 1)
    }
}

impl<W> Default for Slots<W> {
    fn default() -> Slots<W> {
        Slots::new()
    }
}

impl<W> fmt::Debug for Slots<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slots")
            .field("in_use", &self.in_use())
            .finish_non_exhaustive()
    }
}

/// Where a slot lies: its chunk, and its index there.
fn locate(number: u32) -> (usize, usize) {
    // As if a chunk of `FIRST_CHUNK` slots came before the first: then chunks that double begin at
    // powers of two.
    let shifted = u64::from(number) + u64::from(FIRST_CHUNK);
    if shifted < u64::from(LAST_CHUNK) {
        let power = shifted.ilog2();
        let chunk = power - FIRST_CHUNK.ilog2();
        (chunk as usize, (shifted - (1 << power)) as usize)
    } else {
        let last = u64::from(LAST_CHUNK);
        let chunk = u64::from(DOUBLING_CHUNKS) + (shifted - last) / last;
        (chunk as usize, (shifted % last) as usize)
    }
}

fn chunk_len(chunk: usize) -> u32 {
    FIRST_CHUNK << (chunk as u32).min(DOUBLING_CHUNKS)
}

/// A slot with an owner. Dropping it ends its generation and frees it.
///
/// Nobody may wait when it is dropped: waiters that are still on its lists are dropped, not woken.
pub struct Slot<W: 'static> {
    slots: &'static Slots<W>,
    place: &'static Place<W>,
    key: Key,
}

impl<W> Slot<W> {
    /// By what the kernel names this slot in its events.
    pub fn key(&self) -> Key {
        self.key
    }

    /// The present moment of a direction: to be taken before an operation is tried.
    pub fn look(&self, direction: Direction) -> Look {
        self.place.direction(direction).look()
    }

    /// Begins to wait, unless there was an event since `seen`. Allocates nothing for one waiter.
    pub fn arm(&self, direction: Direction, seen: Seen, waiter: W) -> Arm<W> {
        self.place.direction(direction).arm(seen, waiter)
    }

    /// Takes the first waiter that matches back. `None`: it was taken by somebody who wakes it.
    ///
    /// `matches` runs under the lock of the list: it must neither block nor use this slot.
    pub fn retract(&self, direction: Direction, matches: impl FnMut(&W) -> bool) -> Option<W> {
        self.place.direction(direction).retract(matches)
    }

    /// Wakes all who wait, as an event does: what they looked at has changed.
    pub fn disturb(&self, direction: Direction, wake: &mut impl FnMut(W)) {
        self.place.disturb(direction, wake);
    }

    /// Closes both directions: wakes all who wait; nobody waits any more. False if it was closed
    /// already.
    pub fn close(&self, wake: &mut impl FnMut(W)) -> bool {
        let own = self.key.generation();
        let was_open = self.place.read.event(own, Cause::Closed, wake) != Advance::Void;
        // `Void` if another thread, which closes too, was faster here.
        let _ = self.place.write.event(own, Cause::Closed, wake);
        was_open
    }

    /// Whether it was closed.
    pub fn is_closed(&self) -> bool {
        self.place.read.is_closed()
    }

    /// Notes that the operation that was tried after `seen` was short: it took all data, or filled
    /// all room, there was. Only a stream without boundaries, such as TCP, can tell this from the
    /// length of a transfer: a read of a Unix socket also ends at a message with rights, though
    /// data is queued behind it.
    pub fn note_drained(&self, direction: Direction, seen: Seen) {
        self.place.direction(direction).note_drained(seen);
    }

    /// Whether an operation would block for certain, so that its system call is better left out:
    /// arm with `seen` instead.
    pub fn should_wait_first(&self, direction: Direction, seen: Seen) -> bool {
        self.place.direction(direction).should_wait_first(seen)
    }

    /// With which poller it is registered, as its owner numbers them; 0: none. To be read after
    /// [`look`](Slot::look): then a change wakes who armed.
    pub fn home(&self) -> usize {
        // Acquire: the registration is seen; pairs with `set_home` and `evict`.
        self.place.home.load(Ordering::Acquire)
    }

    /// Says with which poller it is registered now.
    pub fn set_home(&self, home: usize) {
        // Release: publishes the registration; pairs with `home`.
        self.place.home.store(home, Ordering::Release);
    }
}

impl<W> Drop for Slot<W> {
    fn drop(&mut self) {
        self.set_home(0);
        self.place.read.renew();
        self.place.write.renew();
        self.slots.synced().free.push(self.key.slot());
    }
}

impl<W> fmt::Debug for Slot<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slot")
            .field("key", &self.key)
            .field("read", &self.place.read)
            .field("write", &self.place.write)
            .field("home", &self.home())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
#[path = "tests/slots.rs"]
mod tests;
