//! Tests under `#[gopark::test]`, which are tests of it.

#![expect(unsafe_code, reason = "starts runtimes by the attribute")]

use std::num::ParseIntError;
use std::process::Command;
use std::time::Duration;

use gopark::runtime::{Deadlock, OnEnd, UnhandledPanic};

#[gopark::test(unsafe(no_thread_bound_state_across_suspensions))]
fn a_test_is_a_goroutine() {
    assert_eq!(gopark::spawn(|| 1).join().unwrap(), 1);
    assert!(gopark::try_current().is_some());
}

#[gopark::test(unsafe(no_thread_bound_state_across_suspensions), procs = 3)]
fn settings_are_those_of_the_runtime() -> Result<(), ParseIntError> {
    let procs: usize = "3".parse()?;
    assert_eq!(gopark::procs(), procs);
    Ok(())
}

#[gopark::test(
    unsafe(no_thread_bound_state_across_suspensions),
    exit_grace = Duration::from_millis(50),
    on_end = OnEnd::Wait,
    deadlock = Deadlock::Report,
    unhandled_panic = UnhandledPanic::Ignore,
)]
fn what_follows_ends_and_panics_can_be_set() {
    gopark::go(gopark::park);
}

#[should_panic(expected = "a panic of the body")]
#[gopark::test(unsafe(no_thread_bound_state_across_suspensions))]
fn a_panic_is_that_of_the_body() {
    gopark::yield_now();
    panic!("a panic of the body");
}

#[gopark::test(unsafe(no_thread_bound_state_across_suspensions), procs = 2000)]
#[should_panic(expected = "gopark::test: the runtime cannot be built: procs of 2000 is outside")]
fn a_runtime_that_cannot_be_built_fails_the_test() {}

#[gopark::test(unsafe(no_thread_bound_state_across_suspensions))]
#[ignore = "for the test of what the harness finds"]
fn one_that_is_ignored() {}

#[test]
fn the_harness_finds_them() {
    let list = |arguments: &[&str]| {
        let mut command = Command::new(std::env::current_exe().unwrap());
        let output = command
            .args(["--list", "attributes::"])
            .args(arguments)
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        text.lines().filter(|line| line.ends_with(": test")).count()
    };
    assert_eq!(list(&[]), 7);
    assert_eq!(list(&["--ignored"]), 1);
}
