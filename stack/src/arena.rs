//! The arena: every slot, its record, and the ways a slot is taken and given back.
//!
//! One arena serves the process. A slot is *carved* once (its number is handed out), *opened* once
//! (its first window is made), then moves between goroutines, caches and the depot of its class for
//! ever. Between the two it may be no more than a promise (`promise.rs`). What must be known of a
//! slot beside its memory stands in a record outside it, so that all pages of a free stack can be
//! given back, and so that the fault handler reads nothing of a stack.
//!
//! # Invariants
//!
//! 1. A carved slot is owned by one `Stack` or `Promise`, or is in one cache, or in a depot of its
//!    class.
//! 2. `window` of an opened slot is the number of bytes below its top that no guard closes; only
//!    the owner of the slot changes it, or the fault handler of the thread that runs on it.
//! 3. A slot that was not carved, or not opened, has no window.
//! 4. With markers, frames that are larger than a guard may live below the window (`guard.rs`).
//!    What they leave is given back with the pages of the window, and counted with them.

#![expect(
    unsafe_code,
    reason = "hands out and takes back slots of the reservation"
)]

use std::io;
use std::sync::{Mutex, OnceLock, PoisonError, atomic};

use crate::carving::{Carved, Carving};
use crate::depot::{Depot, Links};
use crate::guard::{self, GuardKind};
use crate::layout::{Class, Geometry, Slot, Span, page_bytes};
use crate::map::{self, Map};
use crate::shim::{AtomicU32, AtomicU64, Ordering};
use crate::{fault, switch};

/// Windows up to this size stay as they are when a stack is cached for reuse.
const KEEP_WINDOW_BYTES_MAX: usize = 1 << 20;
/// Fallback guards: stacks per 100 of `vm.max_map_count`; each takes two mappings.
const MAP_SHARE_PERCENT: u32 = 45;

/// What is known of a slot, outside it.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Record {
    /// Next slot of the same chain, plus one.
    pub(crate) link: AtomicU32,
    /// Next chain of the depot, plus one.
    chain: AtomicU32,
    /// Window in units of 4 KiB, [`CLEAN`] and [`LENT`]. Zero: never opened.
    window: AtomicU32,
    /// Times that the fault handler lowered the window.
    growths: AtomicU32,
}

const _: () = assert!(size_of::<Record>() == crate::layout::RECORD_BYTES);

/// All pages of the (free) slot have been given back.
const CLEAN: u32 = 1 << 31;
/// A part of the guard below the window is open.
const LENT: u32 = 1 << 30;
const WINDOW_UNIT: usize = 4096;

/// All stacks of the process.
#[derive(Debug)]
pub(crate) struct Arena {
    pub(crate) geometry: Geometry,
    pub(crate) kind: GuardKind,
    pub(crate) reserved_bytes: usize,
    records: &'static [Record],
    carving: Carving,
    /// Free slots in the depots, by class.
    stored: [AtomicU32; 3],
    depots: [Depot; 3],
    /// Slots that were promised and not needed, or that the kernel refused to open: numbers without
    /// a window.
    pub(crate) unopened: [Depot; 3],
    growths: AtomicU64,
    /// Held while chains are out of a depot for trimming, and before giving up on a full arena.
    trimming: Mutex<()>,
    map: Map,
}

impl Links for &'static [Record] {
    fn chain(&self, index: u32) -> &AtomicU32 {
        &self[index as usize].chain
    }
}

static ARENA: OnceLock<Arena> = OnceLock::new();

impl Arena {
    /// The arena, made by the first call.
    ///
    /// # Errors
    /// What [`map::reserve`] and [`fault::install`] say; the next call tries again.
    pub(crate) fn get_or_make() -> io::Result<&'static Arena> {
        static MAKING: Mutex<()> = Mutex::new(());
        if let Some(arena) = ARENA.get() {
            return Ok(arena);
        }
        let _making = MAKING.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(arena) = ARENA.get() {
            return Ok(arena);
        }
        switch::check_shadow_stack()?;
        let arena = Arena::make(map::reserve()?)?;
        fault::install()?;
        Ok(ARENA.get_or_init(|| arena))
    }

    /// The arena, if there is one. Async-signal-safe.
    #[inline]
    pub(crate) fn get() -> Option<&'static Arena> {
        ARENA.get()
    }

    fn make(map: Map) -> io::Result<Arena> {
        let carved_max = match map.kind {
            GuardKind::Markers => u32::MAX,
            GuardKind::Protect => max_map_count() / 100 * MAP_SHARE_PERCENT,
        };
        let geometry = Geometry::plan(map.base, map.len, carved_max);
        let records = geometry.records() as *const Record;
        let total = geometry.total() as usize;
        if map.kind == GuardKind::Protect {
            let start = geometry.records() / page_bytes() * page_bytes();
            let end = geometry.records() + total * size_of::<Record>();
            // SAFETY: the records' part of the arena, which `plan` made room for.
            unsafe { map::commit(start, end - start) }?;
        }
        // SAFETY: zeroed memory of the reservation, never unmapped, used through these records
        // only; zero is a valid record, and every field is atomic.
        let records = unsafe { std::slice::from_raw_parts(records, total) };
        Ok(Arena {
            geometry,
            kind: map.kind,
            reserved_bytes: map.len,
            records,
            carving: Carving::new(carved_max),
            stored: [const { AtomicU32::new(0) }; 3],
            depots: [Depot::new(), Depot::new(), Depot::new()],
            unopened: [Depot::new(), Depot::new(), Depot::new()],
            growths: AtomicU64::new(0),
            trimming: Mutex::new(()),
            map,
        })
    }

    /// Bytes of a slot's window, from its top. `None`: it has none yet.
    #[inline]
    pub(crate) fn window(&self, slot: Slot) -> Option<usize> {
        // Acquire pairs with the Release in `set_window`.
        let word = self.record(slot.index).window.load(Ordering::Acquire) & !(CLEAN | LENT);
        (word != 0).then_some(word as usize * WINDOW_UNIT)
    }

    /// Whether a stack that its user gives back must be cut down: its window is large, or its guard
    /// has a gap.
    #[inline]
    pub(crate) fn is_overgrown(&self, slot: Slot) -> bool {
        // Relaxed: written by the owner, or before the owner was told.
        let word = self.record(slot.index).window.load(Ordering::Relaxed) & !CLEAN;
        word > (KEEP_WINDOW_BYTES_MAX / WINDOW_UNIT) as u32
    }

    /// Notes that a part of the slot's guard is open. Async-signal-safe, on any thread.
    pub(crate) fn note_lent(&self, slot: Slot) {
        // Relaxed: the owner looks when the slot's user has ended.
        self.record(slot.index)
            .window
            .fetch_or(LENT, Ordering::Relaxed);
    }

    /// Notes a window of a slot that the caller owns or runs on.
    pub(crate) fn set_window(&self, slot: Slot, bytes: usize) {
        let word = (bytes / WINDOW_UNIT) as u32;
        // Release: the pages were made accessible before; pairs with `window`.
        self.record(slot.index)
            .window
            .store(word, Ordering::Release);
    }

    /// Counts a growth. Async-signal-safe.
    pub(crate) fn count_growth(&self, slot: Slot) {
        self.record(slot.index)
            .growths
            .fetch_add(1, Ordering::Relaxed);
        self.growths.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn growths_of(&self, slot: Slot) -> u32 {
        self.record(slot.index).growths.load(Ordering::Relaxed)
    }

    #[inline]
    pub(crate) fn record(&self, index: u32) -> &Record {
        &self.records[index as usize]
    }

    /// Returns when no chain is out of a depot for trimming that was so at the call.
    pub(crate) fn await_trimming(&self) {
        drop(self.trimming.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Makes the first window of a slot that has none.
    ///
    /// # Errors
    /// The kernel's refusal of a guard.
    pub(crate) fn open(&self, slot: Slot, window: usize) -> io::Result<()> {
        let bytes = self.geometry.first_window(slot, window, page_bytes());
        // SAFETY: the slot is fresh and the caller's.
        unsafe { self.kind.open_slot(self.geometry.span(slot), bytes) }?;
        self.set_window(slot, bytes);
        Ok(())
    }

    /// A chain of stacks from the depot.
    pub(crate) fn pop_chain(&self, class: Class) -> Option<u32> {
        self.pop_from(&self.depots, class)
    }

    /// Gives a chain, linked through its records, to the depot.
    pub(crate) fn give_chain(&self, class: Class, first: u32) {
        self.give_to(&self.depots, class, first);
    }

    pub(crate) fn pop_from(&self, depots: &[Depot; 3], class: Class) -> Option<u32> {
        let first = depots[class as usize].pop(&self.records)?;
        let n = self.chain_iter(first).count() as u32;
        self.stored[class as usize].fetch_sub(n, Ordering::Relaxed);
        Some(first)
    }

    pub(crate) fn give_to(&self, depots: &[Depot; 3], class: Class, first: u32) {
        let n = self.chain_iter(first).count() as u32;
        self.stored[class as usize].fetch_add(n, Ordering::Relaxed);
        depots[class as usize].push(&self.records, first);
    }

    /// The slots of a chain that the caller owns.
    pub(crate) fn chain_iter(&self, first: u32) -> impl Iterator<Item = u32> + '_ {
        let next = |index: &u32| {
            self.record(*index)
                .link
                .load(Ordering::Relaxed)
                .checked_sub(1)
        };
        std::iter::successors(Some(first), next)
    }

    /// A slot that was never handed out.
    pub(crate) fn carve(&self, class: Class) -> io::Result<Option<Slot>> {
        let slots = self.geometry.count(class);
        match self.carving.carve(class as usize, slots) {
            Carved::Nth(nth) => Ok(Some(Slot {
                index: self.geometry.first(class) + nth,
                class,
            })),
            Carved::ClassIsFull => Ok(None),
            Carved::LimitIsReached => Err(io::Error::new(
                io::ErrorKind::OutOfMemory,
                format!(
                    "{} stacks with mprotect guards are the most that vm.max_map_count={} allows; \
                     raise that sysctl, or use a kernel with MADV_GUARD_INSTALL (6.13)",
                    self.carving.limit,
                    max_map_count()
                ),
            )),
        }
    }

    /// Brings a slot that leaves the depot to at least `window` bytes.
    pub(crate) fn prepare(&self, slot: Slot, window: usize) -> io::Result<()> {
        let have = self.window(slot).expect("a free slot has a window");
        let want = self.geometry.first_window(slot, window, page_bytes());
        if have < want {
            // SAFETY: the caller owns the slot.
            unsafe { self.kind.grow(self.geometry.span(slot), have, want) }?;
        }
        self.set_window(slot, have.max(want));
        Ok(())
    }

    /// Gives the grown part of a free slot back, down to a window of `window` bytes, and what lies
    /// below; closes gaps of the guard.
    pub(crate) fn shrink(&self, slot: Slot, window: usize) {
        let have = self.window(slot).expect("a used slot has a window");
        let want = self.geometry.first_window(slot, window, page_bytes());
        let is_lent = self.record(slot.index).window.load(Ordering::Relaxed) & LENT != 0;
        if have > want || is_lent {
            let want = have.min(want);
            // SAFETY: the slot is free: nothing lives in it.
            let shrunk = unsafe { self.kind.shrink(self.geometry.span(slot), have, want) };
            if shrunk.is_ok() {
                self.set_window(slot, want);
            }
        }
    }

    /// Gives back the pages of up to `chains_max` chains of each depot: bytes asked back.
    pub(crate) fn trim(&self, chains_max: usize, window: usize) -> usize {
        let _trimming = self.trimming.lock().unwrap_or_else(PoisonError::into_inner);
        let mut bytes = 0;
        for class in Class::ALL {
            let mut out = Vec::new();
            while out.len() < chains_max {
                let Some(first) = self.depots[class as usize].pop(&self.records) else {
                    break;
                };
                out.push(first);
            }
            for &first in out.iter().rev() {
                for index in self.chain_iter(first) {
                    bytes += self.trim_slot(Slot { index, class }, window);
                }
                self.depots[class as usize].push(&self.records, first);
            }
        }
        bytes
    }

    fn trim_slot(&self, slot: Slot, window: usize) -> usize {
        let word = &self.record(slot.index).window;
        if word.load(Ordering::Relaxed) & CLEAN != 0 {
            return 0;
        }
        self.shrink(slot, window);
        let bytes = self.window(slot).unwrap_or(0);
        let span = self.geometry.span(slot);
        let low = self.lowest_used(span, bytes);
        // SAFETY: the slot is free: nothing lives in it.
        let dropped = unsafe { guard::drop_pages(low, span.top - low) };
        if dropped.is_err() {
            return 0;
        }
        word.fetch_or(CLEAN, Ordering::Relaxed);
        bytes
    }

    /// Where what a slot's user has touched may begin: below the window too, with markers.
    pub(crate) fn lowest_used(&self, span: Span, window: usize) -> usize {
        match self.kind {
            GuardKind::Markers => span.floor,
            GuardKind::Protect => span.top - window,
        }
    }

    /// Lowest address of the reservation.
    pub(crate) fn map_base(&self) -> usize {
        self.map.base
    }

    /// Slots of a class that were ever carved.
    pub(crate) fn carved_count(&self, class: Class) -> u32 {
        self.carving.count(class as usize)
    }

    /// Slots ever carved; free slots in depots; growths.
    pub(crate) fn counts(&self) -> (usize, usize, u64) {
        let sum = |words: &[AtomicU32; 3]| {
            words
                .iter()
                .map(|n| n.load(Ordering::Relaxed) as usize)
                .sum::<usize>()
        };
        (
            self.carving.total(),
            sum(&self.stored),
            self.growths.load(Ordering::Relaxed),
        )
    }
}

fn max_map_count() -> u32 {
    static COUNT: atomic::AtomicU32 = atomic::AtomicU32::new(0);
    // Relaxed: a cached number, the same for everybody.
    match COUNT.load(atomic::Ordering::Relaxed) {
        0 => {
            let text = std::fs::read_to_string("/proc/sys/vm/max_map_count");
            let count = text
                .ok()
                .and_then(|t| t.trim().parse().ok())
                .unwrap_or(65530);
            COUNT.store(count, atomic::Ordering::Relaxed);
            count
        }
        count => count,
    }
}
