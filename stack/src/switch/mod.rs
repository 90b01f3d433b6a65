//! The context switch.
//!
//! A [`Context`] holds the registers of an execution that is not running. [`switch`] saves the
//! running one and continues another: symmetric, any context to any context. One word, the
//! *payload*, travels along.
//!
//! # The contract that every architecture's file fulfils
//!
//! 1. `Context::empty()` is a context to save into: that of a thread on its own stack.
//! 2. `prepare(top, limit, entry, arg)` makes a context whose first continuation calls
//!    `entry(payload, arg)` on the stack that ends at `top`, with a zero frame pointer and call
//!    frame information that ends backtraces there.
//! 3. `switch(from, to, payload)` saves the caller into `from` and continues `to`, where it arrives
//!    as the payload. It returns the payload of whoever continues `from`.
//! 4. All callee-saved registers survive, but for the floating-point control words (MXCSR and the
//!    x87 control word, FPCR), which a switch leaves as they are: reading them costs as much as the
//!    switch. A user that runs foreign code keeps them apart with [`FpControl`].
//!
//! # Thread-locals
//!
//! A context may be continued on another thread. LLVM keeps addresses of thread-locals in registers
//! across calls (llvm issue 98479), so a function that switches must not be inlined into code that
//! uses them: `switch` is inline for the sake of its own callers, and each of these that may be
//! continued elsewhere must be `#[inline(never)]`. What must be known about the thread all the same
//! is found from [`thread_word`].
//!
//! # Rejected
//!
//! *Pushing rbx, rbp and the resume address on the stack.* The registers live in the context
//! instead: one cache line that the scheduler touches anyway, and the call frame information of the
//! switching function stays true at every instruction. *`#[naked]` functions* must save all six
//! callee-saved registers; inline assembly lets the compiler spill just those that are live.

#![expect(
    unsafe_code,
    reason = "declares the contract of the switch; reads the stack pointer"
)]

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
compile_error!("gopark knows the stack pointer of x86_64 and aarch64 only so far");

mod call;
mod control;
#[cfg(any(not(target_arch = "x86_64"), gopark_portable_switch))]
mod portable;
mod word;
#[cfg(all(target_arch = "x86_64", not(gopark_portable_switch)))]
mod x86_64;

#[cfg(any(not(target_arch = "x86_64"), gopark_portable_switch))]
pub use portable::{Context, prefetch, prefetch_frames, switch};
#[cfg(all(target_arch = "x86_64", not(gopark_portable_switch)))]
pub use x86_64::{Context, prefetch, prefetch_frames, switch};

pub use call::{call_on, call_on_new};
pub use control::FpControl;
pub use word::{set_thread_word, thread_word};

use std::io;

/// The first function of a context: gets the payload of the first switch and the argument given to
/// `prepare`. It never returns; it must not unwind.
pub type Entry = unsafe extern "C" fn(payload: *mut u8, arg: *mut u8) -> !;

/// Bytes that a context takes, at most, whatever the back-end.
pub const CONTEXT_BYTES_MAX: usize = 80;
const _: () = assert!(size_of::<Context>() <= CONTEXT_BYTES_MAX);

/// The stack pointer, read anew at every call.
#[inline(always)]
pub fn stack_pointer() -> usize {
    let sp: usize;
    #[cfg(target_arch = "x86_64")]
    // SAFETY: reads a register. Not `pure`: two reads may differ.
    unsafe {
        std::arch::asm!("mov {}, rsp", out(reg) sp, options(nomem, nostack, preserves_flags));
    }
    #[cfg(target_arch = "aarch64")]
    // SAFETY: reads a register. Not `pure`: two reads may differ.
    unsafe {
        std::arch::asm!("mov {}, sp", out(reg) sp, options(nomem, nostack, preserves_flags));
    }
    sp
}

/// Refuses to start where the kernel enforces a shadow stack, which a switch would violate.
///
/// # Errors
/// `Unsupported` when a user shadow stack is active on this thread.
pub(crate) fn check_shadow_stack() -> io::Result<()> {
    #[cfg(target_arch = "x86_64")]
    {
        const ARCH_SHSTK_STATUS: i64 = 0x5005;
        let mut features = 0u64;
        let features_at = &raw mut features;
        // SAFETY: the kernel writes one word; one without the call answers EINVAL.
        let code = unsafe { libc::syscall(libc::SYS_arch_prctl, ARCH_SHSTK_STATUS, features_at) };
        if code == 0 && features & 1 == 1 {
            return Err(io::Error::new(
                io::ErrorKind::Unsupported,
                "a user shadow stack (CET) is active; gopark's switch does not support it",
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
#[path = "../tests/switch.rs"]
mod tests;
