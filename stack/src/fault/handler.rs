//! The SIGSEGV and SIGBUS handler: grows a stack, reports an overflow, or chains.
//!
//! Async-signal-safe by construction: it does arithmetic, reads and writes atomics, and calls
//! `madvise`, `mprotect`, `mincore` and, on the way out, `write` and `abort`. No allocation, no
//! lock, no thread-local with a destructor, no unwinding, no switch; `errno` is kept. It runs on
//! the thread's alternate stack, with SIGURG blocked, so that no preemption finds it half-way.
//!
//! # Signals that somebody sent
//!
//! `kill`, `tgkill` and `sigqueue` send SIGSEGV too (`si_code <= 0`): no instruction faulted, so
//! the handler must not judge the address, and to return with the default action set would end
//! nothing. Such a signal goes to the handler that was before. If there was none, or it has set the
//! default action (std's does), the signal is sent once more, and ends the process as the sender
//! wanted.
//!
//! # Handlers of others that run on the goroutine's stack
//!
//! A handler without `SA_ONSTACK` gets its frame where the stack pointer is, 1 to 11 KiB. Near the
//! end of the window the kernel has no room for it, drops that signal and sends a SIGSEGV without
//! an address (`SI_KERNEL`) instead. The window is then lowered by what the frame needs, and the
//! next signal finds room. Nothing tells which signal was dropped: it is lost.

#![expect(unsafe_code, reason = "is a signal handler")]

use std::ffi::{c_int, c_void};
use std::io;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use super::chain::{Chained, Previous, action_of, set_default};
use super::{Facts, STEP_BYTES_MAX, Verdict, altstack, classify, classify_frame, dump, report};
use crate::arena::Arena;
use crate::guard::{self, GuardKind};
use crate::layout::{Slot, page_bytes};
use crate::pages;

/// The handlers that were there before: SIGSEGV's, SIGBUS's.
static PREVIOUS: [Previous; 2] = [Previous::new(), Previous::new()];
static INSTALLED: AtomicBool = AtomicBool::new(false);
/// What the kernel needs for the frame of a signal.
static FRAME_BYTES: AtomicUsize = AtomicUsize::new(0);
const SIGNALS: [c_int; 2] = [libc::SIGSEGV, libc::SIGBUS];
/// The kernel itself, without an address.
const SI_KERNEL: c_int = 0x80;
const SEGV_MAPERR: c_int = 1;
const SEGV_ACCERR: c_int = 2;

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
    FRAME_BYTES.store(altstack::frame_bytes(), Ordering::Relaxed);
    for (previous, signal) in PREVIOUS.iter().zip(SIGNALS) {
        // SAFETY: once, under the lock; the handler keeps the contract at the top of this file.
        unsafe { previous.install(signal, on_fault, &[libc::SIGURG]) }?;
    }
    dump::install()?;
    INSTALLED.store(true, Ordering::Relaxed);
    Ok(())
}

/// A handler of SIGSEGV that was set after the one under which stacks grow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Intruder {
    /// It may call the one that was before, or not: that cannot be seen.
    OnSignalStack,
    /// It has no `SA_ONSTACK`: the kernel cannot call it when a stack must grow, and ends the
    /// process.
    OnUserStack,
    /// The default action, or none.
    Default,
}

/// Who handles SIGSEGV now in front of this crate, if anybody: stacks grow only if that handler
/// calls the one that it found. `None` before the first stack too.
pub fn intruder() -> Option<Intruder> {
    if !INSTALLED.load(Ordering::Relaxed) {
        return None;
    }
    let now = action_of(libc::SIGSEGV)?;
    if now.sa_sigaction == on_fault as *const () as usize {
        None
    } else if [libc::SIG_DFL, libc::SIG_IGN].contains(&now.sa_sigaction) {
        Some(Intruder::Default)
    } else if now.sa_flags & libc::SA_ONSTACK == 0 {
        Some(Intruder::OnUserStack)
    } else {
        Some(Intruder::OnSignalStack)
    }
}

impl Facts for Arena {
    fn window(&self, slot: Slot) -> Option<usize> {
        Arena::window(self, slot)
    }

    fn user(&self, at: Option<Slot>) -> Option<Slot> {
        let used = at.filter(|at| Arena::window(self, *at).is_some());
        let header = used.and_then(|at| NonNull::new(self.geometry.header(at) as *mut u8));
        let own = report::running(header)?;
        self.geometry
            .locate(own.as_ptr() as usize)
            .filter(|own| Some(*own) != at)
    }

    fn is_void(&self, addr: usize) -> bool {
        pages::is_void(addr)
    }

    fn is_used_below(&self, slot: Slot, addr: usize) -> bool {
        let floor = self.geometry.floor(slot);
        match self.kind {
            GuardKind::Markers => pages::is_any_resident(floor..addr / page_bytes() * page_bytes()),
            GuardKind::Protect => false,
        }
    }
}

/// What the kernel says about a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cause {
    /// Somebody sent it.
    Sent,
    /// An access to this address.
    Access(usize),
    /// There was no room for the frame of another signal, perhaps.
    NoFrame,
    Other,
}

/// # Safety
/// Called by the kernel as a SA_SIGINFO handler.
unsafe extern "C" fn on_fault(signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    // SAFETY: errno's location is valid on every thread.
    let errno = unsafe { libc::__errno_location() };
    // SAFETY: errno belongs to this thread.
    let saved = unsafe { errno.read() };
    // SAFETY: the third argument of a SA_SIGINFO handler is a ucontext.
    let at = unsafe { interrupted(context.cast()) };
    // SAFETY: the kernel gives a valid siginfo.
    let cause = cause(signal, unsafe { &*info }, &at);
    if !judge(cause, at.sp) {
        // SAFETY: passed on.
        unsafe { chain(signal, info, context, cause, at.sp) };
    }
    // SAFETY: errno belongs to this thread.
    unsafe { errno.write(saved) };
}

fn cause(signal: c_int, info: &libc::siginfo_t, at: &Interrupted) -> Cause {
    match info.si_code {
        code if code <= 0 => Cause::Sent,
        _ if at.is_protection => Cause::Other,
        SEGV_MAPERR | SEGV_ACCERR => {
            // SAFETY: SIGSEGV and SIGBUS carry an address.
            let addr = unsafe { info.si_addr() } as usize;
            // No code lies in stacks.
            if addr == at.pc {
                return Cause::Other;
            }
            Cause::Access(addr)
        }
        SI_KERNEL if signal == libc::SIGSEGV => Cause::NoFrame,
        _ => Cause::Other,
    }
}

/// Acts on the verdict; false means that the fault is not ours.
fn judge(cause: Cause, sp: usize) -> bool {
    let Some(arena) = Arena::get() else {
        return false;
    };
    let geometry = &arena.geometry;
    let verdict = match cause {
        Cause::Access(addr) => classify(geometry, arena, addr, sp),
        Cause::NoFrame => classify_frame(geometry, arena, sp, FRAME_BYTES.load(Ordering::Relaxed)),
        Cause::Sent | Cause::Other => Verdict::NotOurs,
    };
    match verdict {
        Verdict::NotOurs => false,
        Verdict::Overflow(slot) => report::overflow(header(arena, slot), slot.class),
        Verdict::Grow { slot, old, new } => {
            grow(arena, slot, old, new);
            true
        }
        Verdict::Lend { slot, window, from } => {
            let from = from / page_bytes() * page_bytes();
            // SAFETY: a page between the slot's floor and its window.
            let lent = unsafe { arena.kind.lend(geometry.span(slot), window, from) };
            arena.note_lent(slot);
            lent.is_ok()
        }
        // The slot's own thread may have lowered the window since the fault.
        Verdict::Recheck => match cause {
            Cause::Access(addr) => guard::populate(addr / page_bytes() * page_bytes(), 1),
            _ => false,
        },
    }
}

fn header(arena: &Arena, slot: Slot) -> NonNull<u8> {
    NonNull::new(arena.geometry.header(slot) as *mut u8).expect("a header is not null")
}

/// Lowers a window, or ends the process with the kernel's refusal.
fn grow(arena: &Arena, slot: Slot, old: usize, new: usize) {
    let span = arena.geometry.span(slot);
    // SAFETY: this thread runs on the slot (its SP is there), and what lies below the new window is
    // below its SP, above the hard guard.
    if let Err(refusal) = unsafe { arena.kind.grow(span, old, new) } {
        report::refused(header(arena, slot), &refusal);
    }
    arena.set_window(slot, new);
    arena.count_growth(slot);
    // A frame that asks for more at once may leave most of it untouched.
    if new - old <= STEP_BYTES_MAX {
        let _ = guard::populate(span.top - new, new - old);
    }
}

/// What a signal has interrupted.
#[derive(Clone, Copy, Debug)]
struct Interrupted {
    sp: usize,
    pc: usize,
    /// The thread's last exception was a general protection fault: that carries no address, and is
    /// about no stack.
    is_protection: bool,
}

/// # Safety
/// `context` is the ucontext of the signal.
#[cfg(target_arch = "x86_64")]
unsafe fn interrupted(context: *const libc::ucontext_t) -> Interrupted {
    const GENERAL_PROTECTION: i64 = 13;
    // SAFETY: the caller's promise.
    let registers = unsafe { &(*context).uc_mcontext.gregs };
    let register = |index: c_int| registers[index as usize];
    Interrupted {
        sp: register(libc::REG_RSP) as usize,
        pc: register(libc::REG_RIP) as usize,
        is_protection: register(libc::REG_TRAPNO) == GENERAL_PROTECTION,
    }
}

/// # Safety
/// `context` is the ucontext of the signal.
#[cfg(target_arch = "aarch64")]
unsafe fn interrupted(context: *const libc::ucontext_t) -> Interrupted {
    // SAFETY: the caller's promise.
    let machine = unsafe { &(*context).uc_mcontext };
    Interrupted {
        sp: machine.sp as usize,
        pc: machine.pc as usize,
        is_protection: false,
    }
}

/// Calls whoever handled the signal before us.
///
/// # Safety
/// The arguments are those of the signal.
unsafe fn chain(
    signal: c_int,
    info: *mut libc::siginfo_t,
    context: *mut c_void,
    cause: Cause,
    sp: usize,
) {
    let previous = &PREVIOUS[usize::from(signal == libc::SIGBUS)];
    let mut chained = Chained::NoHandler;
    // SAFETY: passed on.
    dump::without_handler(|| chained = unsafe { previous.call(signal, info, context) });
    match chained {
        Chained::Called => {}
        // What is sent may be ignored, a fault may not: the instruction would fault for ever.
        Chained::Ignored if cause == Cause::Sent => return,
        Chained::Ignored | Chained::NoHandler => set_default(signal),
    }
    let is_default = action_of(signal).is_some_and(|now| now.sa_sigaction == libc::SIG_DFL);
    if !is_default {
        return;
    }
    // The process ends: by the instruction that runs again, or by the signal sent again, which is
    // blocked until the handler returns.
    dump::include_stacks(sp);
    if cause == Cause::Sent {
        let process = rustix::process::getpid().as_raw_nonzero().get();
        let thread = rustix::thread::gettid().as_raw_nonzero().get();
        let again = libc::SYS_rt_tgsigqueueinfo;
        // SAFETY: the calling thread, a signal, and the details that came with it.
        unsafe { libc::syscall(again, process, thread, signal, info) };
    }
}
