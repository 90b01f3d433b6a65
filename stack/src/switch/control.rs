//! The floating-point control words of the running execution: rounding, traps, denormals.
//!
//! A switch leaves them alone, though the ABI counts them among what a callee preserves: reading
//! MXCSR takes 6 ns on some processors (Zen 4), which is a third of a switch between goroutines.
//! The x87 control word takes a quarter of a nanosecond to read, and C's `<fenv.h>` always changes
//! both. So a scheduler compares that one at each switch, with [`FpControl::looks_current`], and
//! handles the rare execution that has changed it by [`FpControl::read`] and [`FpControl::set`].
//! On aarch64 there is one word, FPCR, and the comparison is exact.

#![expect(unsafe_code, reason = "reads and writes control registers")]

#[cfg(target_arch = "aarch64")]
use aarch64 as arch;
#[cfg(target_arch = "x86_64")]
use x86_64 as arch;

/// Floating-point control words that were read. Sticky exception flags are left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FpControl(arch::Words);

impl FpControl {
    /// Those of the caller.
    #[inline]
    pub fn read() -> FpControl {
        FpControl(arch::read())
    }

    /// Whether the caller most likely has these: a comparison that is cheap enough for each switch.
    /// On x86_64 it does not see a change of MXCSR alone.
    #[inline(always)]
    pub fn looks_current(self) -> bool {
        arch::looks_current(self.0)
    }

    /// Gives these to the caller.
    ///
    /// The compiler may compute as if all code ran with the default words: what a caller does
    /// between this call and one that sets the default again is its own risk.
    #[inline]
    pub fn set(self) {
        arch::set(self.0);
    }
}

#[cfg(target_arch = "x86_64")]
mod x86_64 {
    use std::arch::asm;

    /// The exception flags of MXCSR, which are no control bits.
    const FLAGS: u32 = 0x3f;

    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(super) struct Words {
        mxcsr: u32,
        x87: u16,
    }

    #[inline(always)]
    fn x87() -> u16 {
        let mut word = 0u16;
        // SAFETY: stores the control word into a local.
        unsafe {
            asm!("fnstcw [{}]", in(reg) &raw mut word, options(nostack, preserves_flags));
        }
        word
    }

    #[inline]
    fn mxcsr() -> u32 {
        let mut word = 0u32;
        // SAFETY: stores the register into a local.
        unsafe {
            asm!("stmxcsr [{}]", in(reg) &raw mut word, options(nostack, preserves_flags));
        }
        word
    }

    #[inline]
    pub(super) fn read() -> Words {
        Words {
            mxcsr: mxcsr() & !FLAGS,
            x87: x87(),
        }
    }

    #[inline(always)]
    pub(super) fn looks_current(words: Words) -> bool {
        x87() == words.x87
    }

    #[inline]
    pub(super) fn set(words: Words) {
        let mxcsr = words.mxcsr | mxcsr() & FLAGS;
        // SAFETY: the bits come from the register itself, so none of them is reserved.
        unsafe {
            asm!("ldmxcsr [{}]", in(reg) &raw const mxcsr, options(nostack, preserves_flags));
        }
        // SAFETY: the word was read by `fnstcw`. A pending x87 exception that it unmasks is raised
        // by the next x87 instruction, as after `fesetenv`.
        unsafe {
            asm!("fldcw [{}]", in(reg) &raw const words.x87, options(nostack, preserves_flags));
        }
    }
}

#[cfg(target_arch = "aarch64")]
mod aarch64 {
    use std::arch::asm;

    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(super) struct Words(u64);

    #[inline(always)]
    pub(super) fn read() -> Words {
        let word: u64;
        // SAFETY: reads FPCR, which has no flags.
        unsafe {
            asm!("mrs {}, fpcr", out(reg) word, options(nomem, nostack, preserves_flags));
        }
        Words(word)
    }

    #[inline(always)]
    pub(super) fn looks_current(words: Words) -> bool {
        read() == words
    }

    #[inline]
    pub(super) fn set(words: Words) {
        // SAFETY: the word was read from the register.
        unsafe {
            asm!("msr fpcr, {}", in(reg) words.0, options(nostack, preserves_flags));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    unsafe extern "C" {
        fn fesetround(mode: i32) -> i32;
        fn fegetround() -> i32;
    }

    #[cfg(target_arch = "x86_64")]
    const UPWARD: i32 = 0x800;
    #[cfg(target_arch = "aarch64")]
    const UPWARD: i32 = 0x40_0000;

    #[test]
    fn a_mode_of_fenv_is_seen_taken_away_and_given_back() {
        let usual = FpControl::read();
        assert!(usual.looks_current());
        // SAFETY: nothing is computed in this mode.
        assert_eq!(unsafe { fesetround(UPWARD) }, 0);
        let changed = FpControl::read();
        let seen = !usual.looks_current();
        usual.set();
        assert!(seen && changed != usual);
        // SAFETY: asks for the mode.
        assert_eq!(unsafe { fegetround() }, 0);
        assert_eq!(FpControl::read(), usual);
        changed.set();
        // SAFETY: asks for the mode.
        let mode = unsafe { fegetround() };
        usual.set();
        assert_eq!(mode, UPWARD);
    }
}
