//! Suspending a thread in its signal handler.
//!
//! sysmon asks an M that runs user code beyond its slice to suspend itself (`grant.rs`) and sends a
//! signal. The handler puts the thread to sleep just there, as the kernel might have: nothing is
//! moved, so any code may be suspended anywhere. Precedent: KLT-switching in Argobots (Shiina,
//! Iwasaki, Taura, Balaji, "Lightweight Preemptive User-Level Threads", PPoPP 2021,
//! doi 10.1145/3437801.3441610).
//!
//! What makes it safe against deadlock: neither the handler nor sysmon, nor whatever passes the P
//! on, takes a lock that user code could hold (malloc's, the loader's, stdio's); and a suspension
//! is bounded, after which the thread runs on without a P. So a suspended holder of a lock always
//! gets on, as a thread that the kernel has preempted does.
//!
//! # The handler
//!
//! Async-signal-safe: it reads and writes atomics, reads the clock, and calls `futex`. No
//! allocation, no lock, no unwinding, no switch; of thread-locals only the word that tells the M.
//! Whether a goroutine was interrupted is told by the stack pointer; `errno` is kept. It declines
//! inside the runtime (`pin`), in `no_preempt` and in `blocking`. It runs on the alternate stack,
//! and faults of the goroutine's stack cannot be in progress: their handler blocks this signal.
//!
//! A signal that sysmon did not ask for goes to whoever handled it before.

#![expect(unsafe_code, reason = "is a signal handler")]

use std::ffi::{c_int, c_void};
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use gopark_stack::Previous;

use crate::sched::grant::{GiveUp, Given};
use crate::sched::header::G;
use crate::sched::machine::Machine;

/// Passed through by debuggers, not used by libc, and ignored by default: Go's choice too.
pub(crate) const SIGNAL: c_int = libc::SIGURG;
/// A suspended thread runs on after this, come what may.
pub(crate) const SUSPENSION_MAX: Duration = Duration::from_millis(100);

/// The handler that was there before.
static PREVIOUS: Previous = Previous::new();
static INSTALLED: AtomicBool = AtomicBool::new(false);
/// A thread that does not block the signal has not answered it.
static UNANSWERED: AtomicBool = AtomicBool::new(false);

/// Installs the handler for the process, once.
///
/// # Errors
/// The kernel's refusal.
pub(crate) fn install() -> io::Result<()> {
    static LOCK: Mutex<()> = Mutex::new(());
    let _lock = LOCK.lock().unwrap_or_else(PoisonError::into_inner);
    // Relaxed: under the lock.
    if !INSTALLED.load(Ordering::Relaxed) {
        // SAFETY: once, under the lock; the handler keeps the contract at the top of this file.
        unsafe { PREVIOUS.install(SIGNAL, on_signal, &[]) }?;
        INSTALLED.store(true, Ordering::Relaxed);
    }
    Ok(())
}

/// Whether the handler of the process is ours.
pub(crate) fn is_installed() -> bool {
    // SAFETY: zeroes are a valid sigaction.
    let mut now: libc::sigaction = unsafe { std::mem::zeroed() };
    // SAFETY: asks for the present action only.
    let read = unsafe { libc::sigaction(SIGNAL, std::ptr::null(), &raw mut now) };
    read == 0 && now.sa_sigaction == on_signal as *const () as usize
}

/// Notes that a thread which does not block the signal has not answered it.
pub(crate) fn note_unanswered() {
    UNANSWERED.store(true, Ordering::Relaxed);
}

/// Whether that ever happened: a handler of others in front of ours that calls ours is no trouble.
pub(crate) fn is_unanswered() -> bool {
    UNANSWERED.load(Ordering::Relaxed)
}

/// # Safety
/// Called by the kernel as a SA_SIGINFO handler.
unsafe extern "C" fn on_signal(signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    // SAFETY: errno's location is valid on every thread.
    let errno = unsafe { libc::__errno_location() };
    // SAFETY: errno belongs to this thread.
    let saved = unsafe { errno.read() };
    // SAFETY: the third argument of a SA_SIGINFO handler is a ucontext.
    let sp = unsafe { interrupted_sp(context.cast()) };
    match G::at(sp).and_then(|_| Machine::here()) {
        Some(m) if m.grant.is_requested() => answer(m),
        _ => {
            // SAFETY: the arguments are those of the signal. Without a handler it is ignored.
            let _ = unsafe { PREVIOUS.call(signal, info, context) };
        }
    }
    // SAFETY: errno belongs to this thread.
    unsafe { errno.write(saved) };
}

/// Answers a request of sysmon.
fn answer(m: &Machine) {
    let declines = m.pin.is_set()
        || m.shield.load(Ordering::Relaxed) != 0
        || m.is_blocking.load(Ordering::Relaxed);
    if declines {
        m.grant.cancel();
        return;
    }
    if !m.grant.suspend() {
        return;
    }
    let shared = m.shared();
    shared.suspended.fetch_add(1, Ordering::Relaxed);
    // sysmon takes the P and passes it on.
    shared.monitor.poke();
    let given = m.sleep_for(SUSPENSION_MAX);
    let given = given.or_else(|| match m.grant.give_up() {
        GiveUp::Detached => None,
        GiveUp::Given => m.grant.take(),
    });
    if let Some(Given::P(p)) = given {
        m.pin.set();
        m.hold(p);
        m.pin.clear();
    }
    shared.suspended.fetch_sub(1, Ordering::Relaxed);
}

/// The stack pointer at the signal.
///
/// # Safety
/// `context` is the ucontext of the signal.
#[cfg(target_arch = "x86_64")]
unsafe fn interrupted_sp(context: *const libc::ucontext_t) -> usize {
    // SAFETY: the caller's promise.
    unsafe { (*context).uc_mcontext.gregs[libc::REG_RSP as usize] as usize }
}

/// The stack pointer at the signal.
///
/// # Safety
/// `context` is the ucontext of the signal.
#[cfg(target_arch = "aarch64")]
unsafe fn interrupted_sp(context: *const libc::ucontext_t) -> usize {
    // SAFETY: the caller's promise.
    unsafe { (*context).uc_mcontext.sp as usize }
}
