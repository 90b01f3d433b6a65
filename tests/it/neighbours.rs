//! Signal handlers and signal stacks of others, beside those that let stacks grow.

#![expect(unsafe_code, reason = "calls libc: signals, errno, mlockall")]

use std::ffi::{c_int, c_void};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use gopark::runtime::{Builder, Runtime};
use gopark_tests::{
    alone, build, descend, is_case, nap, run, runtime, spin, try_build, wait_until,
};

fn handle(signal: c_int, handler: usize, flags: c_int) -> libc::sigaction {
    // SAFETY: zeroes are a valid action.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    // SAFETY: likewise.
    let mut before: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = handler;
    action.sa_flags = flags;
    // SAFETY: the handlers of this file touch atomics only, and fit the flags.
    let code = unsafe { libc::sigaction(signal, &raw const action, &raw mut before) };
    assert_eq!(code, 0);
    before
}

/// A runtime whose stacks begin with one page, so that every goroutine grows.
fn narrow_runtime() -> Runtime {
    build(Builder::new().procs(1).stack_window(1))
}

fn grows(runtime: &Runtime) {
    let before = gopark::stack::stats().unwrap().growths;
    assert_eq!(runtime.spawn(|| descend(2000)).join().unwrap(), 2000);
    assert!(gopark::stack::stats().unwrap().growths > before);
}

static HANDLED: AtomicUsize = AtomicUsize::new(0);

extern "C" fn count(_: c_int) {
    HANDLED.fetch_add(1, Ordering::Relaxed);
}

extern "C" fn count_sent(_: c_int, info: *mut libc::siginfo_t, _: *mut c_void) {
    // SAFETY: the kernel gives a valid siginfo to such a handler.
    let code = unsafe { (*info).si_code };
    HANDLED.fetch_add(usize::from(code <= 0), Ordering::Relaxed);
}

/// Raises at every depth; the frames are small, so that each offset in a page comes up.
#[inline(never)]
fn raise_at_every_depth(n: usize) -> usize {
    // SAFETY: sends a signal to this thread, which handles it.
    unsafe { libc::raise(libc::SIGUSR1) };
    if n == 0 {
        0
    } else {
        1 + std::hint::black_box(raise_at_every_depth(n - 1))
    }
}

/// Its frame goes where the stack pointer is. Where a window ends the kernel has no room for it,
/// and that one signal is lost.
#[test]
fn handlers_without_a_signal_stack_run_on_goroutines() {
    const DEPTH: usize = 20_000;
    let name = "neighbours::handlers_without_a_signal_stack_run_on_goroutines";
    let case = || {
        handle(libc::SIGUSR1, count as *const () as usize, 0);
        for window in [1, 256 << 10] {
            HANDLED.store(0, Ordering::Relaxed);
            let before = gopark::stack::stats().unwrap().growths;
            let runtime = build(Builder::new().procs(1).stack_window(window));
            let depth = runtime
                .spawn(|| raise_at_every_depth(DEPTH))
                .join()
                .unwrap();
            let growths = gopark::stack::stats().unwrap().growths - before;
            let lost = DEPTH + 1 - HANDLED.load(Ordering::Relaxed);
            assert_eq!(depth, DEPTH);
            assert!(
                growths > 0 && lost as u64 <= growths,
                "{lost} lost, {growths} growths"
            );
        }
    };
    if is_case(name) {
        alone(name, |_| (), case);
        return;
    }
    for guard in ["", "mprotect"] {
        alone(name, |child| _ = child.env("GOPARK_GUARD", guard), case);
    }
}

fn send_to_process(signal: c_int) {
    let process = std::process::id() as i32;
    // SAFETY: numbers only; this process.
    assert_eq!(unsafe { libc::kill(process, signal) }, 0);
}

fn send_to_thread(signal: c_int) {
    // SAFETY: sends a signal to this thread.
    assert_eq!(unsafe { libc::raise(signal) }, 0);
}

#[test]
fn a_sigsegv_that_was_sent_goes_to_the_programs_handler() {
    let name = "neighbours::a_sigsegv_that_was_sent_goes_to_the_programs_handler";
    alone(
        name,
        |_| (),
        || {
            let flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
            handle(libc::SIGSEGV, count_sent as *const () as usize, flags);
            let runtime = narrow_runtime();
            runtime.run(|| send_to_thread(libc::SIGSEGV));
            send_to_process(libc::SIGSEGV);
            wait_until("both came", || HANDLED.load(Ordering::Relaxed) == 2);
            grows(&runtime);
            assert_eq!(
                HANDLED.load(Ordering::Relaxed),
                2,
                "growth is nobody else's"
            );
        },
    );
}

#[test]
fn a_sigsegv_that_was_sent_is_ignored_where_the_program_ignores_it() {
    let name = "neighbours::a_sigsegv_that_was_sent_is_ignored_where_the_program_ignores_it";
    alone(
        name,
        |_| (),
        || {
            handle(libc::SIGSEGV, libc::SIG_IGN, 0);
            let runtime = narrow_runtime();
            runtime.run(|| send_to_thread(libc::SIGSEGV));
            send_to_process(libc::SIGSEGV);
            nap(Duration::from_millis(50));
            grows(&runtime);
        },
    );
}

#[test]
fn errno_survives_growth() {
    run(1, || {
        let kept = gopark::spawn(|| {
            // SAFETY: errno of this thread, which nothing here leaves.
            let errno = unsafe { libc::__errno_location() };
            // SAFETY: as above.
            unsafe { errno.write(1234) };
            descend(3000);
            // SAFETY: as above.
            unsafe { errno.read() }
        });
        assert_eq!(kept.join().unwrap(), 1234);
    });
}

/// Foreign code may disable the signal stack of the thread that it runs on.
#[test]
fn a_signal_stack_that_was_taken_away_comes_back() {
    let name = "neighbours::a_signal_stack_that_was_taken_away_comes_back";
    alone(
        name,
        |_| (),
        || {
            let runtime = narrow_runtime();
            runtime.run(|| {
                gopark::spawn(|| {
                    let none = libc::stack_t {
                        ss_sp: std::ptr::null_mut(),
                        ss_flags: libc::SS_DISABLE,
                        ss_size: 0,
                    };
                    // SAFETY: a valid stack_t; no handler runs on the one that goes.
                    let code = unsafe { libc::sigaltstack(&raw const none, std::ptr::null_mut()) };
                    assert_eq!(code, 0);
                })
                .join()
                .unwrap();
                // Each sleep brings the thread to its loop, which looks once a second.
                for _ in 0..30 {
                    gopark::time::sleep(Duration::from_millis(100));
                }
            });
            grows(&runtime);
        },
    );
}

static NEXT: [AtomicUsize; 2] = [const { AtomicUsize::new(0) }; 2];

/// Calls the handler that was there before it, as crash reporters do.
extern "C" fn pass_on(signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    type Handler = extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void);
    let next = NEXT[usize::from(signal == libc::SIGURG)].load(Ordering::Relaxed);
    // SAFETY: the handler that was there, which takes the details of a signal.
    let next = unsafe { std::mem::transmute::<usize, Handler>(next) };
    next(signal, info, context);
}

fn replace(signal: c_int, flags: c_int) {
    let before = handle(
        signal,
        pass_on as *const () as usize,
        libc::SA_SIGINFO | flags,
    );
    NEXT[usize::from(signal == libc::SIGURG)].store(before.sa_sigaction, Ordering::Relaxed);
}

/// What the runtime said in the child on standard error.
fn told(test: &str, case: fn()) -> Option<String> {
    let output = alone(test, |_| (), case)?;
    Some(String::from_utf8_lossy(&output.stderr).into_owned())
}

/// Longer than the runtime's looks at handlers are apart, twice.
fn work_for_a_while(runtime: &Runtime) {
    runtime.run(|| {
        static STOP: AtomicBool = AtomicBool::new(false);
        let hog = gopark::spawn(|| {
            while !STOP.load(Ordering::Relaxed) {
                std::hint::spin_loop();
            }
        });
        for _ in 0..70 {
            spin(Duration::from_millis(50));
            gopark::yield_now();
        }
        STOP.store(true, Ordering::Relaxed);
        hog.join().unwrap();
    });
}

#[test]
fn handlers_that_pass_signals_on_are_no_trouble() {
    let name = "neighbours::handlers_that_pass_signals_on_are_no_trouble";
    let told = told(name, || {
        let runtime = build(Builder::new().procs(1).time_slice(Duration::from_millis(5)));
        replace(libc::SIGURG, libc::SA_ONSTACK | libc::SA_RESTART);
        replace(libc::SIGSEGV, libc::SA_ONSTACK);
        let stop = std::sync::Arc::new(AtomicBool::new(false));
        let growing = std::thread::spawn({
            let stop = std::sync::Arc::clone(&stop);
            move || {
                let runtime = narrow_runtime();
                while !stop.load(Ordering::Relaxed) {
                    assert_eq!(runtime.spawn(|| descend(2000)).join().unwrap(), 2000);
                    nap(Duration::from_millis(20));
                }
            }
        });
        work_for_a_while(&runtime);
        stop.store(true, Ordering::Relaxed);
        growing.join().unwrap();
        let preempted: u64 = runtime.metrics().procs.iter().map(|p| p.preemptions).sum();
        assert!(preempted > 0);
    });
    if let Some(told) = told {
        assert!(!told.contains("replaced the handler"), "{told}");
    }
}

#[test]
fn a_sigsegv_handler_without_a_signal_stack_is_told_of() {
    let name = "neighbours::a_sigsegv_handler_without_a_signal_stack_is_told_of";
    let told = told(name, || {
        let runtime = runtime(1);
        replace(libc::SIGSEGV, 0);
        work_for_a_while(&runtime);
    });
    if let Some(told) = told {
        let line =
            "gopark: the program has replaced the handler of SIGSEGV by one without SA_ONSTACK";
        assert_eq!(told.matches(line).count(), 1, "{told}");
        assert!(!told.contains("SIGURG"), "{told}");
    }
}

#[test]
fn a_sigsegv_handler_that_nothing_is_known_of_is_told_of() {
    let name = "neighbours::a_sigsegv_handler_that_nothing_is_known_of_is_told_of";
    let told = told(name, || {
        let runtime = runtime(1);
        handle(libc::SIGSEGV, count as *const () as usize, libc::SA_ONSTACK);
        work_for_a_while(&runtime);
    });
    if let Some(told) = told {
        let line =
            "gopark: the program has replaced the handler of SIGSEGV by one that may not call";
        assert_eq!(told.matches(line).count(), 1, "{told}");
    }
}

#[test]
fn locked_memory_is_refused_with_a_text() {
    let name = "neighbours::locked_memory_is_refused_with_a_text";
    alone(
        name,
        |_| (),
        || {
            // So that a reservation which is locked all the same ends the child, not the machine.
            let limit = libc::rlimit {
                rlim_cur: 4 << 30,
                rlim_max: 4 << 30,
            };
            // SAFETY: a limit.
            let code = unsafe { libc::setrlimit(libc::RLIMIT_AS, &raw const limit) };
            assert_eq!(code, 0);
            // SAFETY: concerns memory that is mapped later.
            assert_eq!(unsafe { libc::mlockall(libc::MCL_FUTURE) }, 0);
            let refused = try_build(Builder::new().procs(1)).unwrap_err();
            assert_eq!(refused.kind(), std::io::ErrorKind::Unsupported);
            assert!(refused.to_string().contains("mlockall"), "{refused}");
            // SAFETY: takes no arguments.
            assert_eq!(unsafe { libc::munlockall() }, 0);
            let runtime = try_build(Builder::new().procs(1)).unwrap();
            assert_eq!(runtime.run(|| descend(500)), 500);
        },
    );
}
