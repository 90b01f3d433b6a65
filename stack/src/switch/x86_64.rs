//! The switch on x86_64, System V ABI.
//!
//! ```text
//!  Context                    a prepared stack
//!  +-----+ 0                  +-------------+ <- top (16-byte aligned)
//!  | rsp |------------------+ |   padding   |
//!  | rbp | 0 at the root    | | entry       |
//!  | rbx | arg, at first    +>+-------------+ <- rsp at the first switch
//!  | rip | -> 2: or trampoline
//!  +-----+ 32
//! ```
//!
//! LLVM reserves rbx and rbp, so only these are saved by hand; every other register is declared
//! clobbered and the compiler spills what is live. The jump is indirect, not a `ret`: a return
//! would miss in the return predictor, which follows calls and not stacks.

#![expect(unsafe_code, reason = "is the context switch")]

use std::arch::{asm, naked_asm};

use super::Entry;

/// The registers of an execution that is not running.
#[derive(Debug)]
#[repr(C)]
pub struct Context {
    rsp: usize,
    rbp: usize,
    rbx: usize,
    rip: usize,
}

/// The root of every backtrace: there is no caller. A Rust function has a mangled name, so that two
/// copies of this crate link into one program.
///
/// # Safety
/// Jumped to by the first continuation of a prepared context only.
#[unsafe(naked)]
unsafe extern "C" fn root() {
    naked_asm!(
        ".cfi_startproc",
        ".cfi_undefined rip",
        ".cfi_def_cfa rsp, 16",
        // On arrival: rdx = payload, rbx = arg, rbp = 0, [rsp] = entry, rsp 16-byte aligned.
        "mov rdi, rdx",
        "mov rsi, rbx",
        "call [rsp]",
        // The entry never returns; this keeps its return address inside this function.
        "ud2",
        ".cfi_endproc",
    )
}

impl Context {
    /// A context to save into.
    pub const fn empty() -> Context {
        Context {
            rsp: 0,
            rbp: 0,
            rbx: 0,
            rip: 0,
        }
    }

    /// Makes the first continuation call `entry(payload, arg)` on the stack `limit..top`.
    ///
    /// # Safety
    /// - `limit..top` is a stack that nobody else uses, with room for the frames of `entry`;
    /// - it stays until the last continuation of this context.
    #[inline]
    pub unsafe fn prepare(&mut self, top: *mut u8, limit: *mut u8, entry: Entry, arg: *mut u8) {
        debug_assert!(limit < top);
        let sp = ((top as usize & !15) - 16) as *mut usize;
        // SAFETY: 16 bytes below the top lie on the stack.
        unsafe { sp.write(entry as *const () as usize) };
        *self = Context {
            rsp: sp as usize,
            rbp: 0,
            rbx: arg as usize,
            rip: root as *const () as usize,
        };
    }

    /// The saved stack pointer: what lies more than a red zone below it is dead.
    pub fn stack_pointer(&self) -> usize {
        self.rsp
    }
}

/// Asks for the cache line at an address that a switch will need before long.
#[inline(always)]
pub fn prefetch(address: *const u8) {
    // SAFETY: a prefetch has no effect but on caches, and does not fault, whatever the address.
    unsafe {
        asm!("prefetcht0 [{}]", in(reg) address, options(nostack, readonly, preserves_flags));
    }
}

/// Asks for the innermost frames of an execution that will be continued before long: 384 bytes.
///
/// # Safety
/// `context` lies in readable memory. It may be a context that others save into meanwhile, or none:
/// then the wrong lines come.
#[inline(always)]
pub unsafe fn prefetch_frames(context: *const Context) {
    // SAFETY: the load is from readable memory, by the caller's promise, and its value, whatever it
    // is, becomes an address that is only prefetched. It is outside Rust's memory model, as are the
    // stores of `switch`.
    unsafe {
        asm!(
            "mov {sp}, [{context}]",
            "prefetcht0 [{sp}]",
            "prefetcht0 [{sp} + 64]",
            "prefetcht0 [{sp} + 128]",
            "prefetcht0 [{sp} + 192]",
            "prefetcht0 [{sp} + 256]",
            "prefetcht0 [{sp} + 320]",
            context = in(reg) context,
            sp = out(reg) _,
            options(nostack, readonly, preserves_flags),
        );
    }
}

/// Saves the caller into `from`, continues `to` with `payload`, and returns the payload of whoever
/// continues `from`.
///
/// # Safety
/// - `from` and `to` are valid; `to` was prepared, or saved by a switch, and not continued since;
/// - the context saved on a thread's own stack is continued on that thread only;
/// - nobody continues `from` before this switch has saved it, which is before `to` goes on;
/// - if `from` may be continued on another thread, the calling function is `#[inline(never)]` and
///   it and its callers keep no address of a thread-local across the call.
#[inline(always)]
pub unsafe fn switch(from: *mut Context, to: *mut Context, payload: *mut u8) -> *mut u8 {
    let arrived: *mut u8;
    // SAFETY: the caller's promises; all registers but rsp, rbp and rbx, which are saved by hand,
    // are declared clobbered, and memory too.
    unsafe {
        asm!(
            "lea rax, [rip + 2f]",
            "mov [rdi], rsp",
            "mov [rdi + 8], rbp",
            "mov [rdi + 16], rbx",
            "mov [rdi + 24], rax",
            // From here on the old context may be continued by others.
            "mov rsp, [rsi]",
            "mov rbp, [rsi + 8]",
            "mov rbx, [rsi + 16]",
            "jmp [rsi + 24]",
            "2:",
            inlateout("rdi") from => _,
            inlateout("rsi") to => _,
            inlateout("rdx") payload => arrived,
            lateout("r12") _, lateout("r13") _, lateout("r14") _, lateout("r15") _,
            clobber_abi("sysv64"),
        );
    }
    arrived
}
