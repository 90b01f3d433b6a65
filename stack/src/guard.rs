//! Closing and opening address ranges: the two guard back-ends.
//!
//! *Markers* (`MADV_GUARD_INSTALL`, Linux 6.13 and later) put the guard into the page tables: no
//! extra mapping, however many stacks there are. *Protect* is `mprotect` over an arena that starts
//! without access: the guard is everything below a window, two mappings for each stack. Both are
//! one system call per change and touch neither heap nor `errno`: the fault handler uses them.
//!
//! | act            | markers                                      | protect                      |
//! |----------------|----------------------------------------------|------------------------------|
//! | open a slot    | install 64 KiB under the window              | make the window RW           |
//! | grow           | install lower, then remove the old guard     | make the new part RW         |
//! | shrink         | drop pages, install upper, remove the lower  | drop pages, close the part   |

#![expect(
    unsafe_code,
    reason = "changes the protection of address ranges by system call"
)]

use std::ffi::c_void;
use std::io;

use rustix::mm::{Advice, MprotectFlags};

use crate::layout::GUARD_BYTES;

const MADV_GUARD_INSTALL: i32 = 102;
const MADV_GUARD_REMOVE: i32 = 103;

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
/// - `top` is the top of an arena slot, which the caller owns (or runs on);
/// - windows are whole pages and leave room for the guard inside the slot;
/// - no live data lies in a range that becomes inaccessible or is dropped.
fn _contract() {}

impl GuardKind {
    /// Makes the first window of a fresh slot.
    ///
    /// # Safety
    /// As [`_contract`] says.
    pub(crate) unsafe fn open_slot(self, top: usize, window: usize) -> io::Result<()> {
        match self {
            // SAFETY: passed on; the guard lies below the window, inside the slot.
            GuardKind::Markers => unsafe { install(top - window - GUARD_BYTES, GUARD_BYTES) },
            // SAFETY: passed on.
            GuardKind::Protect => unsafe {
                protect(
                    top - window,
                    window,
                    MprotectFlags::READ | MprotectFlags::WRITE,
                )
            },
        }
    }

    /// Lowers the window from `old` to `new` bytes. At every instant a guard stands below it.
    ///
    /// # Safety
    /// As [`_contract`] says.
    pub(crate) unsafe fn grow(self, top: usize, old: usize, new: usize) -> io::Result<()> {
        debug_assert!(old < new);
        match self {
            GuardKind::Markers => {
                // SAFETY: passed on.
                unsafe { install(top - new - GUARD_BYTES, GUARD_BYTES) }?;
                // A part of the old guard may lie inside the new one; it stays.
                let low = (top - new).max(top - old - GUARD_BYTES);
                // SAFETY: passed on; removing a marker exposes only untouched memory.
                unsafe { remove(low, top - old - low) }
            }
            // SAFETY: passed on.
            GuardKind::Protect => unsafe {
                protect(
                    top - new,
                    new - old,
                    MprotectFlags::READ | MprotectFlags::WRITE,
                )
            },
        }
    }

    /// Raises the window from `old` down to `new` bytes and gives the pages back.
    ///
    /// # Safety
    /// As [`_contract`] says: nothing lives below `top - new`.
    pub(crate) unsafe fn shrink(self, top: usize, old: usize, new: usize) -> io::Result<()> {
        debug_assert!(new < old);
        // SAFETY: passed on: the caller vouches that the range is dead.
        unsafe { drop_pages(top - old, old - new) }?;
        match self {
            GuardKind::Markers => {
                // SAFETY: passed on.
                unsafe { install(top - new - GUARD_BYTES, GUARD_BYTES) }?;
                let high = (top - old).min(top - new - GUARD_BYTES);
                let low = top - old - GUARD_BYTES;
                // SAFETY: passed on.
                unsafe { remove(low, high - low) }
            }
            // SAFETY: passed on.
            GuardKind::Protect => unsafe { protect(top - old, old - new, MprotectFlags::empty()) },
        }
    }
}

unsafe fn install(addr: usize, len: usize) -> io::Result<()> {
    // SAFETY: the range is inside the arena and dead, by the caller's promise.
    unsafe { advise(addr, len, MADV_GUARD_INSTALL) }
}

unsafe fn remove(addr: usize, len: usize) -> io::Result<()> {
    // SAFETY: removing a marker never drops data.
    unsafe { advise(addr, len, MADV_GUARD_REMOVE) }
}

/// `madvise` with advice that no crate names yet; keeps `errno`: the fault handler calls it.
unsafe fn advise(addr: usize, len: usize, advice: i32) -> io::Result<()> {
    // SAFETY: errno's location is valid on every thread.
    let errno = unsafe { libc::__errno_location() };
    // SAFETY: errno belongs to this thread.
    let saved = unsafe { errno.read() };
    // SAFETY: the range is the caller's, see above.
    let code = unsafe { libc::madvise(addr as *mut c_void, len, advice) };
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

/// Makes the pages of an accessible range resident, as far as the kernel can. No effect on data.
pub(crate) fn populate(addr: usize, len: usize) {
    // SAFETY: populating changes no contents; on a bad range the kernel answers with an error.
    let done = unsafe { rustix::mm::madvise(addr as *mut c_void, len, Advice::LinuxPopulateWrite) };
    // An old kernel or a full memory cgroup refuses: the pages then come by demand.
    let _ = done;
}

/// Whether the kernel takes markers on `[addr, addr + len)`, which must be unused RW memory.
///
/// # Safety
/// Nothing lives in the range.
pub(crate) unsafe fn markers_work(addr: usize, len: usize) -> bool {
    // SAFETY: passed on.
    let installed = unsafe { install(addr, len) };
    // SAFETY: passed on.
    installed.is_ok() && unsafe { remove(addr, len) }.is_ok()
}
