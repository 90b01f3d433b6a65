//! Closing and opening address ranges: the two guard back-ends.
//!
//! *Markers* (`MADV_GUARD_INSTALL`, Linux 6.13 and later) put the guard into the page tables: no
//! extra mapping, however many stacks there are. What lies below the guard is accessible, as a part
//! of the same slot. *Protect* is `mprotect` over an arena that starts without access: the guard is
//! everything below a window, two mappings for each stack. Neither touches heap nor `errno`: the
//! fault handler uses them.
//!
//! | act            | markers                                      | protect                      |
//! |----------------|----------------------------------------------|------------------------------|
//! | open a slot    | install 64 KiB under the window              | make the window RW           |
//! | grow           | install lower, then remove the old guard     | make the new part RW         |
//! | shrink         | install upper, remove the lower, drop pages  | drop pages, close the part   |
//! | lend           | remove a part of the guard                   | never: nothing lies below it |
//!
//! A window that has grown beyond 1 MiB gets a marker guard at the low end of its slot too. That
//! one takes a page table of its own, which is why smaller stacks do without.
//!
//! # Invariants
//!
//! 1. A guard is installed, and pages are dropped, only below the stack pointer of the slot's user
//!    less its red zone: below that nothing lives. A frame that is larger than the guard may lie
//!    below the guard, so the window says nothing about what lives.
//! 2. To remove a guard drops no data.

#![expect(
    unsafe_code,
    reason = "changes the protection of address ranges by system call"
)]

use std::ffi::c_void;
use std::io;
use std::ops::Range;

use rustix::mm::{Advice, MprotectFlags};

use crate::layout::Span;

const MADV_GUARD_INSTALL: i32 = 102;
const MADV_GUARD_REMOVE: i32 = 103;
/// A window beyond this has a hard guard of markers.
const HARD_GUARD_OVER: usize = 1 << 20;

/// How guards are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GuardKind {
    /// `MADV_GUARD_INSTALL`: no mapping per stack.
    Markers,
    /// `mprotect`: two mappings per stack, so live stacks are capped below `vm.max_map_count`.
    Protect,
}

/// What every function of this file requires of its caller.
///
/// # Safety
/// - the span is that of an arena slot, which the caller owns (or runs on);
/// - windows are whole pages and leave room for the guard inside the slot;
/// - no live data lies in a range that becomes inaccessible or is dropped.
fn _contract() {}

impl GuardKind {
    /// Makes the first window of a fresh slot.
    ///
    /// # Safety
    /// As [`_contract`] says.
    pub(crate) unsafe fn open_slot(self, span: Span, window: usize) -> io::Result<()> {
        match self {
            // SAFETY: passed on; the guard lies below the window, inside the slot.
            GuardKind::Markers => unsafe { install(span.first_guard(window)) },
            // SAFETY: passed on.
            GuardKind::Protect => unsafe { unclose(span.top - window, window) },
        }
    }

    /// Lowers the window from `old` to `new` bytes. At every instant a guard stands below it.
    ///
    /// # Safety
    /// As [`_contract`] says: nothing lives below `top - new`.
    pub(crate) unsafe fn grow(self, span: Span, old: usize, new: usize) -> io::Result<()> {
        debug_assert!(old < new);
        match self {
            GuardKind::Markers => {
                if new > HARD_GUARD_OVER {
                    // SAFETY: passed on; the hard guard lies below all windows.
                    unsafe { install(span.low..span.floor) }?;
                }
                // SAFETY: passed on.
                unsafe { install(span.guard(new)) }?;
                // A part of the old guard may lie inside the new one; it stays.
                let old_guard = span.guard(old);
                // SAFETY: passed on; removing markers drops no data.
                unsafe { remove(old_guard.start.max(span.top - new)..old_guard.end) }
            }
            // SAFETY: passed on.
            GuardKind::Protect => unsafe { unclose(span.top - new, new - old) },
        }
    }

    /// Raises the window from `old` to `new` bytes, which may be as many, and gives back all pages
    /// below it.
    ///
    /// # Safety
    /// As [`_contract`] says: nothing lives below `top - new`.
    pub(crate) unsafe fn shrink(self, span: Span, old: usize, new: usize) -> io::Result<()> {
        debug_assert!(new <= old);
        match self {
            GuardKind::Markers => {
                let (above, below) = (span.guard(new), span.guard(old));
                // SAFETY: passed on.
                unsafe { install(above.clone()) }?;
                // SAFETY: passed on.
                unsafe { remove(below.start..below.end.min(above.start)) }?;
                // Last: the kernel frees page tables that have become empty.
                // SAFETY: passed on: the range is dead. Markers stay.
                unsafe { drop_pages(span.floor, above.end - span.floor) }
            }
            GuardKind::Protect if new == old => Ok(()),
            GuardKind::Protect => {
                // SAFETY: passed on: the range is dead.
                unsafe { drop_pages(span.top - old, old - new) }?;
                // SAFETY: passed on.
                unsafe { protect(span.top - old, old - new, MprotectFlags::empty()) }
            }
        }
    }

    /// Opens what the guard under a window closes at and above `from`, for a frame that lies across
    /// it. No effect on data.
    ///
    /// # Safety
    /// `from` is the address of a page in the slot.
    pub(crate) unsafe fn lend(self, span: Span, window: usize, from: usize) -> io::Result<()> {
        match self {
            // SAFETY: passed on; removing markers drops no data.
            GuardKind::Markers => unsafe { remove(from..span.top - window) },
            GuardKind::Protect => Err(io::ErrorKind::Unsupported.into()),
        }
    }
}

unsafe fn install(range: Range<usize>) -> io::Result<()> {
    // SAFETY: the range is inside the arena and dead, by the caller's promise.
    unsafe { advise(range, MADV_GUARD_INSTALL) }
}

unsafe fn remove(range: Range<usize>) -> io::Result<()> {
    if range.is_empty() {
        return Ok(());
    }
    // SAFETY: removing a marker never drops data.
    unsafe { advise(range, MADV_GUARD_REMOVE) }
}

/// `madvise` with advice that no crate names yet; keeps `errno`: the fault handler calls it.
unsafe fn advise(range: Range<usize>, advice: i32) -> io::Result<()> {
    // SAFETY: errno's location is valid on every thread.
    let errno = unsafe { libc::__errno_location() };
    // SAFETY: errno belongs to this thread.
    let saved = unsafe { errno.read() };
    // SAFETY: the range is the caller's, see above.
    let code = unsafe { libc::madvise(range.start as *mut c_void, range.len(), advice) };
    // SAFETY: errno belongs to this thread.
    let failed = unsafe { errno.read() };
    // SAFETY: errno belongs to this thread.
    unsafe { errno.write(saved) };
    if code == 0 {
        Ok(())
    } else {
        Err(io::Error::from_raw_os_error(failed))
    }
}

unsafe fn unclose(addr: usize, len: usize) -> io::Result<()> {
    // SAFETY: passed on; giving access invalidates nothing.
    unsafe { protect(addr, len, MprotectFlags::READ | MprotectFlags::WRITE) }
}

unsafe fn protect(addr: usize, len: usize, flags: MprotectFlags) -> io::Result<()> {
    // SAFETY: the range is the caller's; rustix calls the kernel without touching errno.
    unsafe { rustix::mm::mprotect(addr as *mut c_void, len, flags) }.map_err(io::Error::from)
}

/// Gives the pages of a range back; it reads as zeros afterwards. Markers stay.
///
/// # Safety
/// Nothing lives in the range.
pub(crate) unsafe fn drop_pages(addr: usize, len: usize) -> io::Result<()> {
    // SAFETY: dead memory of the caller.
    unsafe { rustix::mm::madvise(addr as *mut c_void, len, Advice::LinuxDontNeed) }
        .map_err(io::Error::from)
}

/// Makes the pages of an accessible range resident, as far as the kernel can: whether it could.
/// No effect on data.
pub(crate) fn populate(addr: usize, len: usize) -> bool {
    // SAFETY: populating changes no contents; on a bad range the kernel answers with an error.
    let done = unsafe { rustix::mm::madvise(addr as *mut c_void, len, Advice::LinuxPopulateWrite) };
    // An old kernel or a full memory cgroup refuses: the pages then come by demand.
    done.is_ok()
}

/// Whether the kernel takes markers on `[addr, addr + len)`, which must be unused RW memory.
///
/// # Safety
/// Nothing lives in the range.
pub(crate) unsafe fn markers_work(addr: usize, len: usize) -> bool {
    // SAFETY: passed on.
    let installed = unsafe { install(addr..addr + len) };
    // SAFETY: passed on.
    installed.is_ok() && unsafe { remove(addr..addr + len) }.is_ok()
}
