//! The alternate signal stack of a thread.
//!
//! A handler cannot run on the stack that has just run out. Every thread that runs goroutines
//! therefore gets a signal stack of its own: 4 signal frames (`AT_MINSIGSTKSZ`, up to 11 KiB each
//! with AMX state) and 64 KiB, because a chained handler may print a backtrace; with a closed page
//! below, and touched in advance.

#![expect(unsafe_code, reason = "maps a signal stack and gives it to the kernel")]

use std::ffi::c_void;
use std::io;
use std::marker::PhantomData;

use rustix::mm::{MapFlags, MprotectFlags, ProtFlags};

use crate::guard;
use crate::layout::page_bytes;

const FRAMES: usize = 4;
const EXTRA_BYTES: usize = 64 << 10;

/// The signal stack of the thread that made it; the earlier one comes back when this is dropped.
#[derive(Debug)]
pub struct AltStack {
    base: *mut c_void,
    len: usize,
    before: libc::stack_t,
    /// A signal stack belongs to its thread.
    _thread: PhantomData<*mut ()>,
}

impl AltStack {
    /// Gives the calling thread a signal stack.
    ///
    /// # Errors
    /// When the kernel gives no memory or refuses the stack.
    pub fn install() -> io::Result<AltStack> {
        let page = page_bytes();
        // SAFETY: reads the auxiliary vector.
        let frame = unsafe { libc::getauxval(libc::AT_MINSIGSTKSZ) } as usize;
        let usable = (frame.max(2048) * FRAMES + EXTRA_BYTES).next_multiple_of(page);
        let len = usable + page;
        let prot = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: an anonymous mapping at an address of the kernel's choice disturbs nobody.
        let base = unsafe {
            rustix::mm::mmap_anonymous(std::ptr::null_mut(), len, prot, MapFlags::PRIVATE)
        }?;
        // SAFETY: zeroes are a valid stack_t.
        let before = unsafe { std::mem::zeroed() };
        let mut this = AltStack {
            base,
            len,
            before,
            _thread: PhantomData,
        };
        // SAFETY: the lowest page of our own new mapping.
        unsafe { rustix::mm::mprotect(base, page, MprotectFlags::empty()) }?;
        let start = base.wrapping_byte_add(page);
        guard::populate(start as usize, usable);
        let ours = libc::stack_t {
            ss_sp: start,
            ss_flags: 0,
            ss_size: usable,
        };
        // SAFETY: both point to valid stack_t; the memory lives until drop.
        if unsafe { libc::sigaltstack(&raw const ours, &raw mut this.before) } != 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(this)
    }
}

impl Drop for AltStack {
    fn drop(&mut self) {
        // Zeroed when ours was never installed; SS_DISABLE is then wrong but harmless.
        if self.before.ss_size == 0 {
            self.before.ss_flags = libc::SS_DISABLE;
        }
        // SAFETY: puts back what this thread had; not called from a handler, so ours is not in use.
        unsafe { libc::sigaltstack(&raw const self.before, std::ptr::null_mut()) };
        // SAFETY: our own mapping, no longer known to the kernel as a signal stack.
        let unmapped = unsafe { rustix::mm::munmap(self.base, self.len) };
        debug_assert!(unmapped.is_ok(), "munmap of a signal stack: {unmapped:?}");
    }
}
