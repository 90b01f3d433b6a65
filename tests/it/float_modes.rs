//! Floating-point modes that C code sets, and goroutines that suspend in them.

#![expect(unsafe_code, reason = "sets modes as C code does")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use gopark_tests::{run, wait_until};

unsafe extern "C" {
    fn fesetround(mode: i32) -> i32;
    fn fegetround() -> i32;
}

const NEAREST: i32 = 0;
#[cfg(target_arch = "x86_64")]
const UPWARD: i32 = 0x800;
#[cfg(target_arch = "aarch64")]
const UPWARD: i32 = 0x40_0000;

#[inline(never)]
fn mode() -> i32 {
    // SAFETY: asks for the mode of the thread.
    unsafe { fegetround() }
}

#[inline(never)]
fn set_mode(mode: i32) {
    // SAFETY: nothing is computed with floating-point numbers before it is set back.
    assert_eq!(unsafe { fesetround(mode) }, 0);
}

/// Suspends in another mode, again and again; what it found then.
fn suspend_upward(suspend: impl Fn()) -> Vec<i32> {
    let found = (0..200).map(|_| {
        set_mode(UPWARD);
        suspend();
        let found = mode();
        set_mode(NEAREST);
        found
    });
    found.collect()
}

fn keeps_its_mode(procs: usize, suspend: fn()) {
    run(procs, || {
        let (is_over, foreign) = (Arc::new(AtomicBool::new(false)), Arc::default());
        let others: Vec<_> = (0..4)
            .map(|_| {
                let (is_over, foreign) = (Arc::clone(&is_over), Arc::clone(&foreign));
                gopark::spawn(move || {
                    let foreign: &AtomicUsize = &foreign;
                    while !is_over.load(Ordering::Relaxed) {
                        foreign.fetch_add(usize::from(mode() != NEAREST), Ordering::Relaxed);
                        gopark::yield_now();
                    }
                })
            })
            .collect();
        let upward = gopark::spawn(move || suspend_upward(suspend));
        assert_eq!(upward.join().unwrap(), [UPWARD; 200]);
        is_over.store(true, Ordering::Relaxed);
        others.into_iter().for_each(|other| other.join().unwrap());
        assert_eq!(foreign.load(Ordering::Relaxed), 0, "others had the mode");
    });
}

#[test]
fn a_mode_stays_with_its_goroutine_over_yields() {
    for procs in [1, 2] {
        keeps_its_mode(procs, gopark::yield_now);
    }
}

#[test]
fn a_mode_stays_with_its_goroutine_over_sleeps() {
    for procs in [1, 2] {
        keeps_its_mode(procs, || gopark::time::sleep(Duration::from_micros(50)));
    }
}

#[test]
fn a_mode_stays_with_its_goroutine_over_channels() {
    for procs in [1, 2] {
        keeps_its_mode(procs, || {
            let (s, r) = gopark::chan::bounded(0);
            gopark::go(move || s.send(mode()).unwrap());
            assert_eq!(r.recv().unwrap(), NEAREST, "it is not inherited");
        });
    }
}

#[test]
fn a_mode_stays_with_its_goroutine_over_blocking_calls() {
    keeps_its_mode(2, || {
        gopark::blocking(|| gopark_tests::nap(Duration::from_micros(50)));
    });
}

#[test]
fn a_mode_stays_with_its_goroutine_on_a_locked_thread() {
    keeps_its_mode(2, || {
        let _locked = gopark::lock_os_thread();
        gopark::yield_now();
        gopark::time::sleep(Duration::from_micros(50));
    });
}

#[test]
fn a_mode_ends_with_its_goroutine() {
    run(1, || {
        for _ in 0..100 {
            gopark::spawn(|| set_mode(UPWARD)).join().unwrap();
            assert_eq!(mode(), NEAREST);
            let panics = gopark::spawn(|| {
                set_mode(UPWARD);
                std::panic::resume_unwind(Box::new(()));
            });
            assert!(panics.join().is_err());
            assert_eq!(mode(), NEAREST);
        }
    });
}

/// Flushing of denormals, which `<fenv.h>` does not know, is in MXCSR alone.
#[cfg(target_arch = "x86_64")]
#[test]
fn a_mode_of_mxcsr_alone_does_not_outlive_the_sleep_of_its_thread() {
    use std::arch::asm;
    const FLUSH: u32 = 1 << 15;
    fn mxcsr() -> u32 {
        let mut word = 0u32;
        // SAFETY: stores the register into a local.
        unsafe { asm!("stmxcsr [{}]", in(reg) &raw mut word, options(nostack)) };
        word & !0x3f
    }
    run(1, || {
        let usual = mxcsr();
        let flush = || {
            let word = mxcsr() | FLUSH;
            // SAFETY: a defined bit; no denormals are computed with here.
            unsafe { asm!("ldmxcsr [{}]", in(reg) &raw const word, options(nostack)) };
        };
        gopark::spawn(flush).join().unwrap();
        wait_until("the loop of the M takes the mode back", || {
            gopark::time::sleep(Duration::from_millis(1));
            mxcsr() == usual
        });
    });
}
