//! The SIGSEGV and SIGBUS handler: grows a stack, reports an overflow, or chains.
//!
//! Async-signal-safe by construction: it does arithmetic, reads and writes atomics, and calls
//! `madvise`, `mprotect` and, on the way out, `write` and `abort`. No allocation, no lock, no
//! thread-local, no unwinding, no switch. It runs on the thread's alternate stack, with SIGURG
//! blocked, so that no preemption finds it half-way.

#![expect(unsafe_code, reason = "is a signal handler")]

use std::ffi::{c_int, c_void};
use std::io;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use super::chain::{Chained, Previous};
use super::{Verdict, classify, report};
use crate::arena::Arena;
use crate::guard;

/// The handlers that were there before: SIGSEGV's, SIGBUS's.
static PREVIOUS: [Previous; 2] = [Previous::new(), Previous::new()];
static INSTALLED: AtomicBool = AtomicBool::new(false);
const SIGNALS: [c_int; 2] = [libc::SIGSEGV, libc::SIGBUS];
/// The page-fault exception: others (a general protection fault) carry no address.
#[cfg(target_arch = "x86_64")]
const TRAP_PAGE_FAULT: i64 = 14;

/// Installs the handler for the process, once.
///
/// # Errors
/// The kernel's refusal.
pub(crate) fn install() -> io::Result<()> {
    static LOCK: Mutex<()> = Mutex::new(());
    let _lock = LOCK.lock().unwrap_or_else(PoisonError::into_inner);
    // Relaxed: under the lock.
    if INSTALLED.load(Ordering::Relaxed) {
        return Ok(());
    }
    for (previous, signal) in PREVIOUS.iter().zip(SIGNALS) {
        // SAFETY: once, under the lock; the handler keeps the contract at the top of this file.
        unsafe { previous.install(signal, on_fault, &[libc::SIGURG]) }?;
    }
    INSTALLED.store(true, Ordering::Relaxed);
    Ok(())
}

/// # Safety
/// Called by the kernel as a SA_SIGINFO handler.
unsafe extern "C" fn on_fault(signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    // SAFETY: the kernel gives a valid siginfo.
    let fault = unsafe { &*info };
    // SAFETY: SIGSEGV and SIGBUS carry an address (or zero).
    let addr = unsafe { fault.si_addr() } as usize;
    // SAFETY: the third argument of a SA_SIGINFO handler is a ucontext.
    let (sp, is_page_fault) = unsafe { interrupted(context.cast()) };
    if is_page_fault && judge(addr, sp) {
        return;
    }
    // SAFETY: passed on.
    unsafe { chain(signal, info, context) };
}

/// Acts on the verdict; false means that the fault is not ours.
fn judge(addr: usize, sp: usize) -> bool {
    let Some(arena) = Arena::get() else {
        return false;
    };
    match classify(&arena.geometry, |slot| arena.window(slot), addr, sp) {
        Verdict::NotOurs => false,
        Verdict::Overflow(slot) => {
            let header = arena.geometry.header(slot) as *mut u8;
            report::overflow(
                NonNull::new(header).expect("a header is not null"),
                slot.class,
            )
        }
        Verdict::Grow { slot, old, new } => {
            let top = arena.geometry.top(slot);
            // SAFETY: this thread runs on the slot (its SP is there), and what lies below the
            // window is untouched memory of the same slot, above the hard guard.
            if unsafe { arena.kind.grow(top, old, new) }.is_err() {
                return false;
            }
            arena.set_window(slot, new);
            arena.count_growth(slot);
            guard::populate(top - new, new - old);
            true
        }
    }
}

/// The stack pointer at the fault, and whether the fault has an address.
///
/// # Safety
/// `context` is the ucontext of the signal.
#[cfg(target_arch = "x86_64")]
unsafe fn interrupted(context: *const libc::ucontext_t) -> (usize, bool) {
    // SAFETY: the caller's promise.
    let registers = unsafe { &(*context).uc_mcontext.gregs };
    let sp = registers[libc::REG_RSP as usize] as usize;
    (sp, registers[libc::REG_TRAPNO as usize] == TRAP_PAGE_FAULT)
}

/// The stack pointer at the fault, and whether the fault has an address.
///
/// # Safety
/// `context` is the ucontext of the signal.
#[cfg(target_arch = "aarch64")]
unsafe fn interrupted(context: *const libc::ucontext_t) -> (usize, bool) {
    // SAFETY: the caller's promise.
    let sp = unsafe { (*context).uc_mcontext.sp };
    (sp as usize, true)
}

/// Calls whoever handled the signal before us.
///
/// # Safety
/// The arguments are those of the signal.
unsafe fn chain(signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    let previous = &PREVIOUS[usize::from(signal == libc::SIGBUS)];
    // SAFETY: passed on.
    if unsafe { previous.call(signal, info, context) } == Chained::NoHandler {
        // A synchronous fault cannot be ignored: with the default action the instruction runs
        // again and ends the process.
        // SAFETY: zeroes are the default action.
        let default: libc::sigaction = unsafe { std::mem::zeroed() };
        // SAFETY: sets the default action.
        unsafe { libc::sigaction(signal, &raw const default, std::ptr::null_mut()) };
    }
}
