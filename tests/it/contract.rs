//! Finding suspensions where there must be none, and what a goroutine leaves behind on its thread.

#![expect(unsafe_code, reason = "changes the state of the thread on purpose")]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use gopark::debug::forbid_suspend;
use gopark::{blocking, chan, lock_os_thread, sync, time};
use gopark_tests::{alone, nap, panic_text, run, spin};

/// The text of the panic of `body`.
#[track_caller]
fn broken(body: impl FnOnce()) -> String {
    panic_text(catch_unwind(AssertUnwindSafe(body)).expect_err("nothing panicked"))
}

#[test]
fn a_forbidden_suspension_panics_with_both_places() {
    run(2, || {
        let (_sender, receiver) = chan::bounded::<()>(0);
        let lock = sync::Mutex::new(());
        let held = lock.lock();
        let cases: [(&str, &dyn Fn()); 8] = [
            ("yield", &gopark::yield_now),
            ("park", &gopark::park),
            ("sleep", &|| time::sleep(Duration::from_millis(1))),
            ("channel", &|| assert!(receiver.recv().is_err())),
            ("mutex", &|| drop(lock.lock())),
            ("blocking", &|| blocking(|| ())),
            ("join", &|| gopark::spawn(gopark::park).join().unwrap()),
            ("join", &|| gopark::scope(|_| ())),
        ];
        for (name, suspend) in cases {
            let text = broken(|| {
                let line = line!() + 1;
                let guard = forbid_suspend();
                let text = broken(suspend);
                drop(guard);
                assert!(text.contains(&format!("contract.rs:{line}:")), "{text}");
                std::panic::resume_unwind(Box::new(text));
            });
            let begins = format!(
                "gopark: goroutine {} suspends ({name}) at ",
                gopark::current().id()
            );
            assert!(text.starts_with(&begins), "{text}");
            let place = &text[begins.len()..text.find(", but forbid").unwrap()];
            assert!(place.contains("it/contract.rs:"), "{text}");
            gopark::yield_now();
        }
        drop(held);
    });
}

#[test]
fn what_does_not_suspend_is_allowed() {
    run(2, || {
        let (sender, receiver) = chan::bounded(1);
        let stop = Arc::new(AtomicBool::new(false));
        let others: Vec<_> = (0..4)
            .map(|_| {
                let stop = Arc::clone(&stop);
                gopark::spawn(move || {
                    while !stop.load(Ordering::Relaxed) {
                        gopark::yield_now();
                    }
                })
            })
            .collect();
        {
            let _outer = forbid_suspend();
            let inner = forbid_suspend();
            sender.send(1).unwrap();
            assert_eq!(receiver.recv(), Ok(1));
            gopark::go(|| ());
            // The slice ends, and the thread is suspended.
            spin(Duration::from_millis(50));
            nap(Duration::from_millis(5));
            drop(inner);
            broken(gopark::yield_now);
        }
        gopark::yield_now();
        stop.store(true, Ordering::Relaxed);
        others.into_iter().for_each(|one| one.join().unwrap());
    });
}

#[test]
fn a_plain_thread_may_wait_below_the_guard() {
    let _guard = forbid_suspend();
    time::sleep(Duration::from_millis(1));
    gopark::yield_now();
}

#[test]
fn a_forgotten_guard_ends_with_its_goroutine() {
    run(1, || {
        gopark::spawn(|| std::mem::forget(forbid_suspend()))
            .join()
            .unwrap();
        for _ in 0..10 {
            gopark::spawn(gopark::yield_now).join().unwrap();
        }
        let guard = gopark::spawn(|| NotSend(forbid_suspend())).join().unwrap();
        drop(guard);
        gopark::yield_now();
    });
}

struct NotSend(#[expect(dead_code, reason = "dropped with it")] gopark::debug::ForbidGuard);
// SAFETY: the test drops it in another goroutine on purpose, where it does nothing.
unsafe impl Send for NotSend {}

/// Runs `case` in contract mode.
fn in_contract_mode(test: &str, case: fn()) {
    let contract = |command: &mut std::process::Command| {
        command.env("GOPARK_DEBUG", "contract");
    };
    alone(test, contract, || run(2, case));
}

/// `change` changes the thread, `restore` undoes it: a suspension in between is found.
#[track_caller]
fn finds(what: &str, change: impl Fn(), restore: impl Fn()) {
    let child = |bound: bool| {
        change();
        let text = if bound {
            let _bound = lock_os_thread();
            time::sleep(Duration::from_millis(1));
            gopark::yield_now();
            String::new()
        } else {
            broken(|| time::sleep(Duration::from_millis(1)))
        };
        restore();
        gopark::yield_now();
        text
    };
    assert_eq!(
        child(true),
        "",
        "a bound goroutine takes its thread with it"
    );
    let text = child(false);
    assert!(text.contains(&format!(", but it has {what}")), "{text}");
    assert!(text.contains("suspends (sleep) at "), "{text}");
}

#[test]
fn contract_mode_finds_a_changed_signal_mask() {
    in_contract_mode(
        "contract::contract_mode_finds_a_changed_signal_mask",
        || {
            let mask = |how| {
                // SAFETY: zeroes are a valid set.
                let mut set: libc::sigset_t = unsafe { std::mem::zeroed() };
                // SAFETY: a valid set and a valid signal.
                unsafe { libc::sigaddset(&raw mut set, libc::SIGWINCH) };
                // SAFETY: a valid set.
                unsafe { libc::pthread_sigmask(how, &raw const set, std::ptr::null_mut()) };
            };
            finds(
                "changed the thread's signal mask",
                || mask(libc::SIG_BLOCK),
                || mask(libc::SIG_UNBLOCK),
            );
        },
    );
}

#[test]
fn contract_mode_finds_a_changed_locale() {
    in_contract_mode("contract::contract_mode_finds_a_changed_locale", || {
        // SAFETY: a new locale from a name that there always is.
        let locale =
            unsafe { libc::newlocale(libc::LC_ALL_MASK, c"C".as_ptr(), std::ptr::null_mut()) };
        // All ones stand for the locale of the process.
        // SAFETY: a valid locale, which is never freed.
        let set = |locale| assert!(!unsafe { libc::uselocale(locale) }.is_null());
        finds(
            "changed the thread's locale",
            || set(locale),
            || set(std::ptr::without_provenance_mut(usize::MAX)),
        );
    });
}

#[test]
fn contract_mode_finds_a_changed_priority() {
    in_contract_mode("contract::contract_mode_finds_a_changed_priority", || {
        // A higher nice value cannot be taken back without privileges: the thread ends with it.
        let child = gopark::spawn(|| {
            // SAFETY: changes the calling thread alone.
            unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, 1) };
            let text = broken(gopark::yield_now);
            std::mem::forget(lock_os_thread());
            text
        });
        let text = child.join().unwrap();
        assert!(
            text.contains("it has changed the thread's priority"),
            "{text}"
        );
    });
}

#[test]
fn contract_mode_finds_a_changed_affinity() {
    in_contract_mode("contract::contract_mode_finds_a_changed_affinity", || {
        // SAFETY: zeroes are a valid set.
        let mut all: libc::cpu_set_t = unsafe { std::mem::zeroed() };
        // SAFETY: a set of that size.
        unsafe { libc::sched_getaffinity(0, size_of_val(&all), &raw mut all) };
        // SAFETY: below the number of CPUs that a set holds.
        let has = |cpu: &usize| unsafe { libc::CPU_ISSET(*cpu, &all) };
        let cpus: Vec<usize> = (0..1024).filter(has).collect();
        if cpus.len() < 2 {
            return;
        }
        // SAFETY: zeroes are a valid set.
        let mut first: libc::cpu_set_t = unsafe { std::mem::zeroed() };
        // SAFETY: below the number of CPUs that a set holds.
        unsafe { libc::CPU_SET(cpus[0], &mut first) };
        let set = |cpus: libc::cpu_set_t| {
            // SAFETY: a valid set of that size, for the calling thread.
            unsafe { libc::sched_setaffinity(0, size_of_val(&cpus), &raw const cpus) };
        };
        finds(
            "changed the thread's CPU affinity",
            || set(first),
            || set(all),
        );
    });
}

#[test]
fn contract_mode_lets_right_programs_run() {
    in_contract_mode("contract::contract_mode_lets_right_programs_run", || {
        let (sender, receiver) = chan::bounded(3);
        let workers: Vec<_> = (0..50)
            .map(|n| {
                let sender = sender.clone();
                gopark::spawn(move || {
                    for _ in 0..20 {
                        sender.send(n).unwrap();
                        gopark::yield_now();
                        blocking(|| nap(Duration::from_micros(50)));
                    }
                })
            })
            .collect();
        drop(sender);
        assert_eq!(receiver.iter().sum::<usize>(), 20 * (0..50).sum::<usize>());
        workers
            .into_iter()
            .for_each(|worker| worker.join().unwrap());
    });
}

/// A C++ library with a function that calls back from a catch block; `None` without a compiler.
fn catch_block() -> Option<extern "C" fn(extern "C" fn())> {
    const SOURCE: &str =
        "extern \"C\" void f(void (*g)()) { try { throw 1; } catch (int) { g(); } }";
    let folder = std::env::temp_dir().join(format!("gopark-catch-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let (source, library) = (folder.join("f.cpp"), folder.join("libf.so"));
    std::fs::write(&source, SOURCE).unwrap();
    let mut compiler = std::process::Command::new("c++");
    compiler
        .args(["-shared", "-fPIC", "-o"])
        .arg(&library)
        .arg(&source);
    let compiled = compiler.status().is_ok_and(|status| status.success());
    let path = std::ffi::CString::new(library.to_str().unwrap()).unwrap();
    // SAFETY: a library without constructors of its own.
    let handle = unsafe { libc::dlopen(path.as_ptr(), libc::RTLD_NOW) };
    std::fs::remove_dir_all(&folder).unwrap();
    if !compiled {
        return None;
    }
    assert!(!handle.is_null(), "the library is not loaded");
    // SAFETY: an open library and a name.
    let function = unsafe { libc::dlsym(handle, c"f".as_ptr()) };
    // SAFETY: the type of `f`, and null is `None`.
    unsafe {
        std::mem::transmute::<*mut libc::c_void, Option<extern "C" fn(extern "C" fn())>>(function)
    }
}

#[test]
fn contract_mode_finds_a_cpp_catch_block() {
    static FOUND: AtomicBool = AtomicBool::new(false);
    extern "C" fn waits() {
        let text = broken(|| time::sleep(Duration::from_millis(1)));
        let found = text.contains(", but it has a C++ exception in flight");
        FOUND.store(found, Ordering::Relaxed);
        assert!(found, "{text}");
    }
    in_contract_mode("contract::contract_mode_finds_a_cpp_catch_block", || {
        let Some(f) = blocking(catch_block) else {
            return;
        };
        f(waits);
        assert!(FOUND.load(Ordering::Relaxed));
        time::sleep(Duration::from_millis(1));
    });
}
