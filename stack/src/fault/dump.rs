//! Stacks in core dumps.
//!
//! The reservation is kept out of dumps (`MADV_DONTDUMP`): the kernel would walk all of its
//! terabytes. A process that is about to die of a signal gives the used parts of stacks back to the
//! dump, each from its lowest resident page to its top: first the stack that the thread runs on,
//! then the others. Each takes two mappings, so their number is bounded.
//!
//! Faults and overflow reports come here from their handler. For `abort`, which std, panics and C
//! libraries call, there is a handler of SIGABRT, if there was none: it does this, restores the
//! default action and sends the signal again. Async-signal-safe: arithmetic, `mincore`, `madvise`.
//!
//! std's signal stack has 8 KiB, of which the frames of two signals may leave nothing. A handler of
//! SIGSEGV that aborts there (std's own, when a thread overflows) finds the default action of
//! SIGABRT set meanwhile ([`without_handler`]).

#![expect(
    unsafe_code,
    reason = "advises the kernel about stacks; is a signal handler"
)]

use std::ffi::{c_int, c_void};
use std::io;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::mm::Advice;

use super::altstack;
use super::chain::{Previous, action_of, set_default};
use crate::arena::Arena;
use crate::layout::{Class, Slot};
use crate::{pages, switch};

/// Stacks in a dump, at most.
const STACKS_MAX: usize = 10_000;
/// How far below the top of a stack that is not the thread's own is looked for used pages, if its
/// window is not larger.
const DEPTH_BYTES: usize = 16 << 20;

static PREVIOUS: Previous = Previous::new();

/// Installs the handler of SIGABRT, unless the program has one. Called once.
///
/// # Errors
/// The kernel's refusal.
pub(crate) fn install() -> io::Result<()> {
    let is_free = |now: libc::sigaction| now.sa_sigaction == libc::SIG_DFL;
    if !action_of(libc::SIGABRT).is_some_and(is_free) {
        return Ok(());
    }
    // SAFETY: once; the handler keeps the contract at the top of this file.
    unsafe { PREVIOUS.install(libc::SIGABRT, on_abort, &[libc::SIGURG]) }
}

/// Runs `f`, which may abort, in a handler: without the handler of SIGABRT if the signal stack has
/// no room for it.
pub(super) fn without_handler(f: impl FnOnce()) {
    let is_ours = |now: &libc::sigaction| now.sa_sigaction == on_abort as *const () as usize;
    if altstack::has_room(switch::stack_pointer()) {
        return f();
    }
    let Some(ours) = action_of(libc::SIGABRT).filter(is_ours) else {
        return f();
    };
    set_default(libc::SIGABRT);
    f();
    // SAFETY: the action that was there.
    unsafe { libc::sigaction(libc::SIGABRT, &raw const ours, std::ptr::null_mut()) };
}

/// # Safety
/// Called by the kernel as a SA_SIGINFO handler.
unsafe extern "C" fn on_abort(signal: c_int, _: *mut libc::siginfo_t, context: *mut c_void) {
    // SAFETY: the third argument of a SA_SIGINFO handler is a ucontext.
    include_stacks(unsafe { interrupted_sp(context.cast()) });
    set_default(signal);
    // SAFETY: sends a signal to the calling thread, where it is blocked until this returns.
    unsafe { libc::raise(signal) };
}

/// The stack pointer at the signal.
///
/// # Safety
/// `context` is the ucontext of the signal.
unsafe fn interrupted_sp(context: *const libc::ucontext_t) -> usize {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: the caller's promise.
    unsafe {
        (*context).uc_mcontext.gregs[libc::REG_RSP as usize] as usize
    }
    #[cfg(target_arch = "aarch64")]
    // SAFETY: the caller's promise.
    unsafe {
        (*context).uc_mcontext.sp as usize
    }
}

/// Gives the used parts of stacks to a core dump that is about to be written, once in a process.
/// Async-signal-safe.
pub fn include_stacks_in_dump() {
    include_stacks(switch::stack_pointer());
}

/// As [`include_stacks_in_dump`], for a thread whose stack pointer is `sp`.
pub(super) fn include_stacks(sp: usize) {
    static DONE: AtomicBool = AtomicBool::new(false);
    let Some(arena) = Arena::get() else { return };
    // Relaxed: nothing else is ordered by it.
    if DONE.swap(true, Ordering::Relaxed) {
        return;
    }
    let own = arena.geometry.locate(sp);
    if let Some(slot) = own.filter(|slot| arena.window(*slot).is_some()) {
        let span = arena.geometry.span(slot);
        include(span.floor..span.top);
    }
    let of = |class: Class| {
        let first = arena.geometry.first(class);
        (first..first + arena.carved_count(class)).map(move |index| Slot { index, class })
    };
    let others = Class::ALL.into_iter().flat_map(of);
    let used = others
        .filter(|slot| Some(*slot) != own)
        .filter_map(|slot| Some((slot, arena.window(slot)?)))
        .take(STACKS_MAX);
    for (slot, window) in used {
        let span = arena.geometry.span(slot);
        let low = (span.top - window).min(span.top.saturating_sub(DEPTH_BYTES));
        if !include(low.max(span.floor)..span.top) {
            return;
        }
    }
}

/// Gives what is used of a range to the dump: false if the kernel refuses.
fn include(range: Range<usize>) -> bool {
    let Some(low) = pages::lowest_resident(range.clone()) else {
        return true;
    };
    // SAFETY: this advice changes no contents.
    unsafe { rustix::mm::madvise(low as *mut c_void, range.end - low, Advice::LinuxDoDump) }.is_ok()
}
