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
        let usable = (frame_bytes() * FRAMES + EXTRA_BYTES).next_multiple_of(page);
        let len = usable + page;
        let prot = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: an anonymous mapping at an address of the kernel's choice disturbs nobody.
        let base = unsafe {
            rustix::mm::mmap_anonymous(std::ptr::null_mut(), len, prot, MapFlags::PRIVATE)
        }?;
        let before = present().unwrap_or(NONE);
        let this = AltStack {
            base,
            len,
            before,
            _thread: PhantomData,
        };
        // SAFETY: the lowest page of our own new mapping.
        unsafe { rustix::mm::mprotect(base, page, MprotectFlags::empty()) }?;
        let _ = guard::populate(base as usize + page, usable);
        this.set()?;
        Ok(this)
    }

    fn set(&self) -> io::Result<()> {
        let ours = libc::stack_t {
            ss_sp: self.base.wrapping_byte_add(page_bytes()),
            ss_flags: 0,
            ss_size: self.len - page_bytes(),
        };
        // SAFETY: a valid stack_t, whose memory lives until drop.
        match unsafe { libc::sigaltstack(&raw const ours, std::ptr::null_mut()) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }

    /// Gives the calling thread this signal stack again if other code has left it without one: true
    /// if so. Another signal stack stays. Called by the thread that made it, not in a handler.
    pub fn restore(&self) -> bool {
        !AltStack::is_present() && self.set().is_ok()
    }

    /// Whether the calling thread has a signal stack, of whomever.
    pub fn is_present() -> bool {
        present().is_some_and(|stack| stack.ss_flags & libc::SS_DISABLE == 0)
    }
}

const NONE: libc::stack_t = libc::stack_t {
    ss_sp: std::ptr::null_mut(),
    ss_flags: libc::SS_DISABLE,
    ss_size: 0,
};

/// The signal stack of the calling thread, as the kernel has it.
fn present() -> Option<libc::stack_t> {
    let mut now = NONE;
    // SAFETY: asks only.
    let code = unsafe { libc::sigaltstack(std::ptr::null(), &raw mut now) };
    (code == 0).then_some(now)
}

/// Whether the signal stack that `sp` points into has room for one more signal and its handler.
/// Async-signal-safe.
pub(super) fn has_room(sp: usize) -> bool {
    const HANDLER_BYTES: usize = 4096;
    present().is_none_or(|stack| {
        let room = sp.wrapping_sub(stack.ss_sp as usize);
        // Elsewhere there is room enough, or a stack that grows.
        room >= stack.ss_size || room >= frame_bytes() + HANDLER_BYTES
    })
}

/// What the kernel needs for the frame of a signal.
pub(super) fn frame_bytes() -> usize {
    const LEAST: usize = 2048;
    // SAFETY: reads the auxiliary vector.
    LEAST.max(unsafe { libc::getauxval(libc::AT_MINSIGSTKSZ) } as usize)
}

impl Drop for AltStack {
    fn drop(&mut self) {
        // What other code has set since is not ours to take away.
        let ours = self.base.wrapping_byte_add(page_bytes());
        if present().is_some_and(|now| now.ss_sp == ours) {
            // SAFETY: puts back what this thread had; not called from a handler, so ours is not in
            // use.
            unsafe { libc::sigaltstack(&raw const self.before, std::ptr::null_mut()) };
        }
        // SAFETY: our own mapping, no longer known to the kernel as a signal stack.
        let unmapped = unsafe { rustix::mm::munmap(self.base, self.len) };
        debug_assert!(unmapped.is_ok(), "munmap of a signal stack: {unmapped:?}");
    }
}
