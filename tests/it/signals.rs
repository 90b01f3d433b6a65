//! Suspensions and the signals that make them, beside the program's own.

#![expect(unsafe_code, reason = "calls libc: signals, errno, nanosleep")]

use std::ffi::{c_int, c_void};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};
use std::time::Duration;

use crate::hogs::{SLICE, hogs_take_turns};
use gopark::blocking;
use gopark::runtime::{Builder, Runtime};
use gopark_tests::{Watchdog, alone, build, nap, run, spin, thread_id, wait_until};

const SIGNAL: c_int = libc::SIGURG;

/// One P with short slices.
fn brisk_runtime() -> Runtime {
    build(Builder::new().procs(1).time_slice(Duration::from_millis(1)))
}

fn preemptions(runtime: &Runtime) -> u64 {
    runtime.metrics().procs.iter().map(|p| p.preemptions).sum()
}

/// Runs `rounds` while a hog wants the same P.
fn beside_a_hog(runtime: &Runtime, rounds: impl FnOnce() + Send + 'static) {
    runtime.run(|| {
        let stop = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&stop);
        let hog = gopark::spawn(move || while !seen.load(Ordering::Relaxed) {});
        let rounds = gopark::spawn(rounds);
        let result = rounds.join();
        stop.store(true, Ordering::Relaxed);
        hog.join().unwrap();
        result.unwrap();
    });
}

/// The same until one of them was suspended.
fn beside_a_hog_until_suspended(runtime: &Runtime, rounds: fn()) {
    wait_until("a goroutine is suspended", || {
        beside_a_hog(runtime, rounds);
        preemptions(runtime) > 0
    });
}

fn errno() -> *mut c_int {
    // SAFETY: no preconditions.
    unsafe { libc::__errno_location() }
}

#[test]
fn errno_survives_a_suspension() {
    let _watchdog = Watchdog::start();
    let runtime = brisk_runtime();
    beside_a_hog_until_suspended(&runtime, || {
        for value in 1000..1020 {
            // SAFETY: errno of this thread, which the loop does not leave.
            unsafe { errno().write(value) };
            spin(Duration::from_millis(5));
            // SAFETY: as above.
            assert_eq!(unsafe { errno().read() }, value);
            gopark::yield_now();
        }
    });
}

/// 0, or the error with which it was interrupted.
fn nanosleep(time: Duration) -> c_int {
    let time = libc::timespec {
        tv_sec: 0,
        tv_nsec: time.subsec_nanos().into(),
    };
    // SAFETY: a valid time; the rest is not wanted.
    match unsafe { libc::nanosleep(&raw const time, std::ptr::null_mut()) } {
        0 => 0,
        // SAFETY: errno of this thread.
        _ => unsafe { errno().read() },
    }
}

#[test]
fn a_goroutine_that_must_not_be_preempted_sees_no_eintr() {
    let _watchdog = Watchdog::start();
    let runtime = brisk_runtime();
    beside_a_hog(&runtime, || {
        for _ in 0..100 {
            let thread = thread_id();
            let interrupted = gopark::no_preempt(|| {
                spin(Duration::from_micros(1500));
                let first = nanosleep(Duration::from_micros(500));
                // Coming to a runtime call does not take it off its thread.
                gopark::yield_now();
                assert_eq!(gopark::spawn(|| 1).join().unwrap(), 1);
                assert_eq!(thread_id(), gopark::no_preempt(thread_id));
                (first, nanosleep(Duration::from_micros(500)), thread_id())
            });
            assert_eq!(interrupted, (0, 0, thread));
        }
    });
}

#[test]
fn no_preempt_passes_panics_and_just_runs_on_a_plain_thread() {
    assert_eq!(gopark::no_preempt(|| 1), 1);
    run(1, || {
        let caught = std::panic::catch_unwind(|| gopark::no_preempt(|| std::panic::panic_any(5)));
        assert_eq!(*caught.unwrap_err().downcast::<i32>().unwrap(), 5);
        // It may be suspended again.
        let ran = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&ran);
        let other = gopark::spawn(move || seen.store(true, Ordering::Relaxed));
        while !ran.load(Ordering::Relaxed) {}
        other.join().unwrap();
    });
}

fn signal_thread(thread: i64) {
    let process = std::process::id();
    // SAFETY: numbers only; a thread of this process.
    unsafe { libc::syscall(libc::SYS_tgkill, process, thread, SIGNAL) };
}

#[test]
fn signals_of_others_do_no_harm() {
    let _watchdog = Watchdog::start();
    let runtime = build(Builder::new().procs(2).time_slice(Duration::from_millis(1)));
    let threads: Arc<[AtomicI64; 4]> = Arc::default();
    let stop = Arc::new(AtomicBool::new(false));
    let worker = |n: usize| {
        let (threads, stop) = (Arc::clone(&threads), Arc::clone(&stop));
        runtime.spawn(move || {
            let mut sum = 0u64;
            while !stop.load(Ordering::Relaxed) {
                threads[n].store(thread_id(), Ordering::Relaxed);
                spin(Duration::from_micros(100));
                sum += gopark::spawn(|| 1).join().unwrap();
                gopark::yield_now();
                sum += gopark::blocking(|| 1);
            }
            (sum, n)
        })
    };
    let workers: Vec<_> = (0..4).map(worker).collect();
    for _ in 0..300 {
        for thread in threads.iter() {
            let thread = thread.load(Ordering::Relaxed);
            if thread != 0 {
                signal_thread(thread);
            }
        }
        nap(Duration::from_micros(200));
    }
    stop.store(true, Ordering::Relaxed);
    for (n, worker) in workers.into_iter().enumerate() {
        let (sum, own) = worker.join().unwrap();
        assert!(sum > 0 && sum.is_multiple_of(2), "{sum}");
        assert_eq!(n, own);
    }
}

static HANDLED: AtomicUsize = AtomicUsize::new(0);

extern "C" fn plain_handler(signal: c_int) {
    HANDLED.fetch_add(usize::from(signal == SIGNAL), Ordering::Relaxed);
}

extern "C" fn full_handler(signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    // SAFETY: the kernel gives a valid siginfo to such a handler.
    let told = unsafe { (*info).si_signo };
    let right = signal == SIGNAL && told == SIGNAL && !context.is_null();
    HANDLED.fetch_add(usize::from(right), Ordering::Relaxed);
}

fn handle_with(handler: usize, flags: c_int) {
    // SAFETY: zeroes are a valid action.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = handler;
    action.sa_flags = flags;
    // SAFETY: the handlers above touch an atomic only, and fit the flags.
    let code = unsafe { libc::sigaction(SIGNAL, &raw const action, std::ptr::null_mut()) };
    assert_eq!(code, 0);
}

/// The handler was there before the runtime.
fn a_handler_gets_what_is_not_ours() {
    let runtime = brisk_runtime();
    beside_a_hog_until_suspended(&runtime, || spin(Duration::from_millis(50)));
    assert_eq!(
        HANDLED.load(Ordering::Relaxed),
        0,
        "ours went to the program"
    );
    // SAFETY: sends a signal to this thread, which handles it.
    let raise = || assert_eq!(unsafe { libc::raise(SIGNAL) }, 0);
    raise();
    runtime.run(raise);
    assert_eq!(HANDLED.load(Ordering::Relaxed), 2);
}

#[test]
fn a_plain_handler_of_the_program_gets_the_signals_of_others() {
    let name = "signals::a_plain_handler_of_the_program_gets_the_signals_of_others";
    let case = || {
        handle_with(plain_handler as *const () as usize, 0);
        a_handler_gets_what_is_not_ours();
    };
    alone(name, |_| (), case);
}

#[test]
fn a_full_handler_of_the_program_gets_the_signals_of_others() {
    let name = "signals::a_full_handler_of_the_program_gets_the_signals_of_others";
    let case = || {
        handle_with(full_handler as *const () as usize, libc::SA_SIGINFO);
        a_handler_gets_what_is_not_ours();
    };
    alone(name, |_| (), case);
}

fn hogs_are_detached(runtime: &Runtime) {
    wait_until("a hog is detached", || {
        beside_a_hog(runtime, || {
            spin(Duration::from_millis(50));
            gopark::blocking(|| nap(Duration::from_millis(20)));
        });
        runtime.metrics().procs[0].retakes > 0
    });
    assert_eq!(preemptions(runtime), 0);
}

#[test]
fn hogs_are_detached_where_the_signal_is_blocked() {
    let case = || {
        // SAFETY: zeroes are storage for a set.
        let mut set: libc::sigset_t = unsafe { std::mem::zeroed() };
        // SAFETY: `set` is ours, and the signal exists.
        unsafe { libc::sigaddset(&raw mut set, SIGNAL) };
        // SAFETY: a valid set. The threads that start from here on inherit the mask.
        unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut()) };
        let runtime = brisk_runtime();
        hogs_are_detached(&runtime);
    };
    let name = "signals::hogs_are_detached_where_the_signal_is_blocked";
    alone(name, |_| (), case);
}

#[test]
fn hogs_are_detached_where_the_program_replaced_the_handler() {
    let case = || {
        let runtime = brisk_runtime();
        handle_with(plain_handler as *const () as usize, 0);
        hogs_are_detached(&runtime);
        wait_until("signals came", || HANDLED.load(Ordering::Relaxed) > 0);
    };
    let name = "signals::hogs_are_detached_where_the_program_replaced_the_handler";
    alone(name, |_| (), case);
}

/// System calls of several milliseconds, which use the core and which no signal ends.
fn long_system_calls() {
    const LEN: usize = 32 << 20;
    const READ_WRITE: c_int = libc::PROT_READ | libc::PROT_WRITE;
    const PRIVATE: c_int = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    for _ in 0..3 {
        // SAFETY: new memory.
        let memory = unsafe { libc::mmap(std::ptr::null_mut(), LEN, READ_WRITE, PRIVATE, -1, 0) };
        assert_ne!(memory, libc::MAP_FAILED);
        // SAFETY: the memory is there and nobody else's.
        let advise = |advice| unsafe { libc::madvise(memory, LEN, advice) };
        // Small pages take longer; a kernel without huge ones refuses.
        let _ = advise(libc::MADV_NOHUGEPAGE);
        assert_eq!(advise(libc::MADV_POPULATE_WRITE), 0, "Linux before 5.14");
        // SAFETY: likewise, and nobody uses it any more.
        assert_eq!(unsafe { libc::munmap(memory, LEN) }, 0);
    }
}

/// A thread that is in the kernel does not answer, which says nothing about later.
#[test]
fn hogs_take_turns_after_long_system_calls() {
    let case = || {
        let calm_down = || blocking(|| nap(10 * SLICE));
        hogs_take_turns(1, long_system_calls, calm_down, || ());
    };
    alone(
        "signals::hogs_take_turns_after_long_system_calls",
        |_| (),
        case,
    );
}
