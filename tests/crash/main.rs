//! Faults that end the process: each test runs itself again and looks at how the child died.

#![expect(unsafe_code, reason = "crashes on purpose: wild pointers")]

mod alone;
mod contract;
mod dying;
mod ending;
mod overrun;
mod reports;

use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Output};

use gopark::goroutine::Builder;
use gopark_tests::{descend, runtime};

const CASE: &str = "GOPARK_TEST_CASE";
const SIGABRT: i32 = 6;
const SIGSEGV: i32 = 11;

/// In the child: runs the crash. In the parent: how the child died.
fn crash(name: &str, body: impl FnOnce()) -> Output {
    if std::env::var(CASE).is_ok_and(|case| case == name) {
        body();
        unreachable!("the crash did not happen");
    }
    Command::new(std::env::current_exe().unwrap())
        .args([name, "--exact", "--nocapture"])
        .env(CASE, name)
        .output()
        .unwrap()
}

#[track_caller]
fn died_of(output: &Output, signal: i32) -> String {
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(
        output.status.signal(),
        Some(signal),
        "{:?}\n{text}",
        output.status
    );
    text
}

fn overflow(name: &str, limit: usize) {
    let line = line!() + 8;
    let output = crash(name, || {
        runtime(2).run(move || {
            let builder = Builder::new().name("deep one").stack_limit(limit);
            let deep = || {
                println!("the id is {}.", gopark::current().id());
                descend(usize::MAX)
            };
            let handle = builder.spawn(deep).unwrap();
            let _ = handle.join();
        });
    });
    let text = died_of(&output, SIGABRT);
    let out = String::from_utf8_lossy(&output.stdout);
    let id = out
        .split("the id is ")
        .nth(1)
        .and_then(|rest| rest.split('.').next())
        .unwrap();
    let expected = format!(
        "gopark: goroutine {id} \"deep one\" stack exceeds {limit}-byte limit\n\
         spawned at tests/crash/main.rs:{line}:"
    );
    assert!(
        text.contains(&expected),
        "expected {expected:?} in:\n{text}"
    );
}

#[test]
fn overflow_of_a_dense_stack_is_reported() {
    overflow("overflow_of_a_dense_stack_is_reported", 64 << 10);
}

#[test]
fn overflow_of_a_medium_stack_is_reported() {
    overflow("overflow_of_a_medium_stack_is_reported", 16 << 20);
}

#[test]
fn overflow_of_a_large_stack_is_reported() {
    overflow("overflow_of_a_large_stack_is_reported", 1 << 30);
}

fn touch(addr: usize) {
    let pointer = std::hint::black_box(addr as *mut u8);
    // SAFETY: none: this is the crash that the test is about.
    unsafe { pointer.write_volatile(1) };
}

#[test]
fn a_null_pointer_is_an_ordinary_segmentation_fault() {
    let name = "a_null_pointer_is_an_ordinary_segmentation_fault";
    let output = crash(name, || {
        runtime(1).run(|| gopark::spawn(|| touch(8)).join().unwrap())
    });
    assert!(!died_of(&output, SIGSEGV).contains("gopark:"));
}

#[test]
fn a_wild_pointer_is_an_ordinary_segmentation_fault() {
    let name = "a_wild_pointer_is_an_ordinary_segmentation_fault";
    let output = crash(name, || {
        runtime(1).run(|| {
            gopark::spawn(|| touch(0x7fff_ffff_f000_0000))
                .join()
                .unwrap()
        });
    });
    assert!(!died_of(&output, SIGSEGV).contains("gopark:"));
}

/// A touch of the guard of another goroutine's stack must not make that stack grow.
#[test]
fn a_pointer_into_another_goroutines_guard_is_not_growth() {
    let name = "a_pointer_into_another_goroutines_guard_is_not_growth";
    let output = crash(name, || {
        runtime(1).run(|| {
            let victim = gopark::spawn(|| {
                let mark = 0u8;
                let here = (&raw const mark) as usize;
                // This frame is near the top, which lies on a boundary of 32 KiB.
                let top = here.next_multiple_of(32 << 10);
                gopark::go(move || touch(top - (256 << 10) - 4096));
                gopark::park();
            });
            let _ = victim.join();
        });
    });
    assert!(!died_of(&output, SIGSEGV).contains("gopark:"));
}

#[test]
fn overflow_of_a_plain_thread_still_has_stds_message() {
    let name = "overflow_of_a_plain_thread_still_has_stds_message";
    let output = crash(name, || {
        let _runtime = runtime(1);
        let thread = std::thread::Builder::new().name("plain".into());
        let _ = thread.spawn(|| descend(usize::MAX)).unwrap().join();
    });
    let text = died_of(&output, SIGABRT);
    assert!(
        text.contains("thread 'plain'") && text.contains("has overflowed its stack"),
        "{text}"
    );
}

#[test]
fn a_panic_while_unwinding_aborts_with_a_text() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("the second panic");
        }
    }
    let name = "a_panic_while_unwinding_aborts_with_a_text";
    let output = crash(name, || {
        runtime(1).run(|| {
            let handle = gopark::spawn(|| {
                let _bomb = Bomb;
                panic!("the first panic");
            });
            let _ = handle.join();
        });
    });
    let text = died_of(&output, SIGABRT);
    assert!(
        text.contains("the first panic") && text.contains("the second panic"),
        "{text}"
    );
}
