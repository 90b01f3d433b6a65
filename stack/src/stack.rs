//! One stack: a slot with an owner.
//!
//! A [`Stack`] is the right to run on a slot. It is made by a [`StackCache`] and
//! should go back to one; a `Stack` that is merely dropped goes to the shared depot, which costs a
//! CAS. [`GrowableStack`] is the same for users of corosensei.

#![expect(
    unsafe_code,
    reason = "gives pages of a stack back; promises corosensei a stack"
)]

use std::io;
use std::mem::ManuallyDrop;
use std::ptr::NonNull;
use std::sync::atomic::Ordering;

use corosensei::stack::StackPointer;

use crate::arena::Arena;
use crate::cache::StackCache;
use crate::fault;
use crate::guard;
use crate::layout::{
    Class, NEAR_BYTES, Packed, RED_ZONE_BYTES, Slot, WINDOW_BYTES_DEFAULT, page_bytes,
};
use crate::pages;

/// An owned stack.
#[derive(Debug)]
#[must_use = "a dropped stack takes the slow way back"]
pub struct Stack {
    arena: &'static Arena,
    slot: Packed,
}

impl Stack {
    #[inline]
    pub(crate) fn own(arena: &'static Arena, slot: Slot) -> Stack {
        Stack {
            arena,
            slot: Packed::from(slot),
        }
    }

    #[inline]
    fn slot(&self) -> Slot {
        self.slot.into()
    }

    /// The stack that the header at `header` belongs to.
    ///
    /// # Safety
    /// - `header` came from [`Stack::header`] of a stack that was forgotten;
    /// - nobody else makes a `Stack` from it.
    ///
    /// # Panics
    /// When `header` is no address of the arena.
    #[inline]
    pub unsafe fn from_header(header: NonNull<u8>) -> Stack {
        let arena = Arena::get().expect("a header lies in an arena");
        let slot = arena
            .geometry
            .locate(header.as_ptr() as usize)
            .expect("a header of the arena");
        Stack::own(arena, slot)
    }

    #[inline]
    pub(crate) fn into_slot(self) -> Slot {
        ManuallyDrop::new(self).slot()
    }

    /// [`HEADER_BYTES`](crate::HEADER_BYTES) of memory at the top that belong to the user of the
    /// stack, 64-byte aligned. The first frame may start right below, at this very address.
    #[inline]
    pub fn header(&self) -> NonNull<u8> {
        at(self.arena.geometry.header(self.slot()))
    }

    /// Lowest address of the slot; the hard guard lies there.
    #[inline]
    pub fn low(&self) -> NonNull<u8> {
        at(self.arena.geometry.low(self.slot()))
    }

    /// The class that the stack is of.
    pub fn class(&self) -> Class {
        self.slot().class
    }

    /// Bytes that are accessible now, from the top: doubles as the stack grows.
    pub fn window_bytes(&self) -> usize {
        self.arena.window(self.slot()).unwrap_or(0)
    }

    /// Times that this slot's window grew, over all its users.
    pub fn growths(&self) -> u32 {
        self.arena.growths_of(self.slot())
    }

    /// Bytes from the top down to the lowest resident page, be it below the window: what its users
    /// touched since its pages were last given back, prefaulted pages included. Looks at the page
    /// tables of the whole slot: 0.1 ms for a large one.
    pub fn high_water_bytes(&self) -> usize {
        high_water(self.arena, self.slot())
    }

    /// Gives back the pages below the stack pointer of a suspended user of this stack: the bytes of
    /// its window that were asked back. What the user has left below the window goes too, down to
    /// 16 MiB below the top.
    ///
    /// # Safety
    /// - nothing runs on the stack, and nothing will before this returns;
    /// - `sp` is the saved stack pointer: what lies more than a red zone below it is dead.
    pub unsafe fn trim_below(&self, sp: usize) -> usize {
        // SAFETY: passed on.
        unsafe { trim(self.arena, self.slot(), sp) }
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        self.arena.shrink(self.slot(), WINDOW_BYTES_DEFAULT);
        // Relaxed: published by the depot's Release.
        self.arena
            .record(self.slot().index)
            .link
            .store(0, Ordering::Relaxed);
        self.arena.give_chain(self.slot().class, self.slot().index);
    }
}

/// A stack of the arena for corosensei's coroutines.
///
/// It starts at one resident page and grows in place to its limit. The thread that runs on it needs
/// an alternate signal stack: std's threads have one.
#[derive(Debug)]
pub struct GrowableStack(Stack);

impl GrowableStack {
    /// A stack of at least `limit_bytes` where the arena has one, of a smaller class otherwise.
    ///
    /// # Errors
    /// `InvalidInput` for a limit outside 64 KiB ..= 1 GiB; `OutOfMemory` when no slot is free.
    pub fn new(limit_bytes: usize) -> io::Result<GrowableStack> {
        let class = Class::for_limit(limit_bytes)?;
        let mut cache = StackCache::new(WINDOW_BYTES_DEFAULT)?;
        cache.take(class).map(GrowableStack)
    }

    /// The stack itself.
    pub fn stack(&self) -> &Stack {
        &self.0
    }
}

// SAFETY: base and limit bound memory that this value owns; the hard guard lies at the limit, and
// more than 4096 bytes are usable above it.
unsafe impl corosensei::stack::Stack for GrowableStack {
    fn base(&self) -> StackPointer {
        StackPointer::new(self.0.header().as_ptr() as usize).expect("not null")
    }

    fn limit(&self) -> StackPointer {
        StackPointer::new(self.0.low().as_ptr() as usize).expect("not null")
    }
}

#[inline]
fn at(addr: usize) -> NonNull<u8> {
    NonNull::new(addr as *mut u8).expect("a slot is never at address 0")
}

/// The header of the stack that `sp` points into. `None` off every stack of the arena.
#[inline]
pub fn header_at(sp: usize) -> Option<NonNull<u8>> {
    let arena = Arena::get()?;
    let slot = arena.geometry.locate(sp)?;
    NonNull::new(arena.geometry.header(slot) as *mut u8)
}

/// Whether `sp` is an address of a frame on the stack with this header, at most the limit of a
/// dense stack below it. `false` says nothing: it may be deeper.
#[inline(always)]
pub fn is_near(header: *const u8, sp: usize) -> bool {
    header.addr().wrapping_sub(sp) < NEAR_BYTES
}

/// [`Stack::trim_below`] of the stack with this header.
///
/// # Safety
/// As for [`Stack::trim_below`].
pub unsafe fn trim_below(header: NonNull<u8>, sp: usize) -> usize {
    let located = Arena::get().and_then(|arena| {
        let slot = arena.geometry.locate(header.as_ptr() as usize)?;
        Some((arena, slot))
    });
    // SAFETY: passed on.
    located.map_or(0, |(arena, slot)| unsafe { trim(arena, slot, sp) })
}

/// Only so much of what lies below a window is looked after while a stack is in use: the kernel
/// takes 12 ns for each page table that it does not find.
const DEEP_BYTES: usize = 16 << 20;

/// # Safety
/// As for [`Stack::trim_below`].
unsafe fn trim(arena: &Arena, slot: Slot, sp: usize) -> usize {
    let span = arena.geometry.span(slot);
    let low = span.top - arena.window(slot).unwrap_or(0);
    let end = sp.saturating_sub(RED_ZONE_BYTES) / page_bytes() * page_bytes();
    // What a frame below the guard has left there is dead too.
    let deep = low.min(span.top.saturating_sub(DEEP_BYTES));
    let start = deep.max(arena.lowest_used(span, span.top - low));
    if end <= start {
        return 0;
    }
    // SAFETY: the caller vouches that the range is dead.
    match unsafe { guard::drop_pages(start, end - start) } {
        Ok(()) => end.saturating_sub(low),
        Err(_) => 0,
    }
}

/// Bytes between `sp` and the hard guard of the stack that it points into: what may still be used.
pub fn remaining_at(sp: usize) -> Option<usize> {
    let arena = Arena::get()?;
    let slot = arena.geometry.locate(sp)?;
    Some(sp.saturating_sub(arena.geometry.floor(slot)))
}

/// Reports that the user of the stack with this header has left it downwards, and aborts.
pub fn exceeded_at(header: NonNull<u8>) -> ! {
    let slot = Arena::get().and_then(|a| a.geometry.locate(header.as_ptr() as usize));
    let class = slot.map_or(Class::Large, |slot| slot.class);
    fault::report::overflow(header, class)
}

/// [`Stack::high_water_bytes`] of the stack that `sp` points into.
pub fn high_water_at(sp: usize) -> Option<usize> {
    let arena = Arena::get()?;
    arena
        .geometry
        .locate(sp)
        .map(|slot| high_water(arena, slot))
}

fn high_water(arena: &Arena, slot: Slot) -> usize {
    let span = arena.geometry.span(slot);
    let window = arena.window(slot).unwrap_or(0);
    let start = arena.lowest_used(span, window);
    pages::lowest_resident(start..span.top).map_or(0, |lowest| span.top - lowest)
}

/// Headers of all slots that have ever been used, free ones included (those read as they were
/// left, or as zeros).
pub fn headers() -> impl Iterator<Item = NonNull<u8>> {
    Arena::get().into_iter().flat_map(|arena| {
        Class::ALL.into_iter().flat_map(move |class| {
            let first = arena.geometry.first(class);
            (first..first + arena.carved_count(class))
                .map(move |index| Slot { index, class })
                .filter(|slot| arena.window(*slot).is_some())
                .filter_map(|slot| NonNull::new(arena.geometry.header(slot) as *mut u8))
        })
    })
}
