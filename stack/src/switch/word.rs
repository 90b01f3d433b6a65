//! A word of each thread, in which a user keeps whose thread it is.
//!
//! An execution that is continued on another thread reads the word of that thread: each read is
//! made anew. `std::thread_local!` cannot promise that where it is inlined (`mod.rs`), so the word
//! is a thread-local of the object file, read by one instruction that the compiler cannot look
//! into. Its model is *initial exec*: a shared library that is loaded late takes 8 bytes of what
//! glibc keeps free for that. Where the C library keeps nothing free, and with
//! `--cfg gopark_portable_switch`, it is a `thread_local!` that is read by a call.

#![expect(unsafe_code, reason = "reads and writes a thread-local in assembly")]

#[cfg(all(
    target_arch = "x86_64",
    target_os = "linux",
    target_env = "gnu",
    not(gopark_portable_switch)
))]
mod way {
    use std::arch::{asm, naked_asm};

    /// Never called: the word is defined beside it, under its mangled name and a suffix. So two
    /// copies of this crate in one program have two words, whatever their versions.
    #[unsafe(naked)]
    extern "C" fn anchor() {
        naked_asm!(
            ".pushsection .tbss.{anchor}.word,\"awT\",@nobits",
            ".globl {anchor}.word",
            ".hidden {anchor}.word",
            ".type {anchor}.word,@object",
            ".size {anchor}.word,8",
            ".p2align 3",
            "{anchor}.word: .zero 8",
            ".popsection",
            "ud2",
            anchor = sym anchor,
        )
    }

    #[inline(always)]
    pub(super) fn get() -> *mut u8 {
        let word: *mut u8;
        // SAFETY: loads the thread-local that is defined above; the first load is of its distance
        // from `fs`, which the linker makes a constant where it can.
        unsafe {
            asm!(
                "mov {word}, qword ptr [rip + {anchor}.word@GOTTPOFF]",
                "mov {word}, fs:[{word}]",
                word = out(reg) word,
                anchor = sym anchor,
                options(nostack, readonly, preserves_flags),
            );
        }
        word
    }

    pub(super) fn set(word: *mut u8) {
        // SAFETY: as above; a store.
        unsafe {
            asm!(
                "mov {at}, qword ptr [rip + {anchor}.word@GOTTPOFF]",
                "mov fs:[{at}], {word}",
                at = out(reg) _,
                word = in(reg) word,
                anchor = sym anchor,
                options(nostack, preserves_flags),
            );
        }
    }
}

#[cfg(not(all(
    target_arch = "x86_64",
    target_os = "linux",
    target_env = "gnu",
    not(gopark_portable_switch)
)))]
mod way {
    use std::cell::Cell;
    use std::ptr;

    std::thread_local! {
        static WORD: Cell<*mut u8> = const { Cell::new(ptr::null_mut()) };
    }

    /// Nothing in it switches, and nothing of it is inlined.
    #[inline(never)]
    pub(super) fn get() -> *mut u8 {
        WORD.get()
    }

    #[inline(never)]
    pub(super) fn set(word: *mut u8) {
        WORD.set(word);
    }
}

/// The word of the calling thread; null at first. Async-signal-safe on a thread that has set it.
#[inline(always)]
pub fn thread_word() -> *mut u8 {
    way::get()
}

/// Sets the word of the calling thread.
///
/// # Safety
/// There is one word for all users of this crate. Whoever reads it trusts what it points to: the
/// caller is the only one who sets it on this thread, or puts back what was there.
pub unsafe fn set_thread_word(word: *mut u8) {
    way::set(word);
}
