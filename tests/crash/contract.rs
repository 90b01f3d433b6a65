//! Hooks that fail, and suspensions where neither a suspension nor an unwinding may be.

use std::time::Duration;

use gopark::debug::forbid_suspend;
use gopark::on_switch;
use gopark_tests::{run, spin};

use super::{SIGABRT, crash, died_of};

#[track_caller]
fn aborts(name: &str, texts: &[&str], body: impl FnOnce()) {
    let output = crash(name, || run(2, body));
    let text = died_of(&output, SIGABRT);
    for expected in texts {
        assert!(text.contains(expected), "no {expected:?} in:\n{text}");
    }
}

const PANICKED: &str = "gopark: fatal: a hook of gopark::on_switch panicked";
const IN_HOOK: &str = "but it is in a hook of gopark::on_switch";

#[test]
fn a_panic_of_a_hook_aborts() {
    aborts(
        "contract::a_panic_of_a_hook_aborts",
        &["seven", PANICKED],
        || {
            let _guard = on_switch(|| panic!("seven"), || ());
            gopark::yield_now();
        },
    );
}

#[test]
fn a_hook_that_yields_is_reported() {
    let texts = ["suspends (yield) at ", IN_HOOK, PANICKED];
    aborts("contract::a_hook_that_yields_is_reported", &texts, || {
        let _guard = on_switch(|| (), gopark::yield_now);
        gopark::time::sleep(Duration::from_millis(1));
    });
}

#[test]
fn a_hook_that_waits_is_reported() {
    let texts = [
        "suspends (channel) at ",
        "crash/contract.rs:",
        IN_HOOK,
        PANICKED,
    ];
    aborts("contract::a_hook_that_waits_is_reported", &texts, || {
        let (_sender, receiver) = gopark::chan::bounded::<()>(0);
        let _guard = on_switch(move || assert!(receiver.recv().is_err()), || ());
        gopark::yield_now();
    });
}

#[test]
fn a_scope_that_must_wait_below_a_guard_aborts() {
    let name = "contract::a_scope_that_must_wait_below_a_guard_aborts";
    let texts = [
        "fatal: goroutine 1 suspends (join) at ",
        ", but forbid_suspend at ",
    ];
    aborts(name, &texts, || {
        let number = 7;
        gopark::scope(|s| {
            // It cannot be cancelled: the scope must wait for it.
            s.spawn(|| {
                spin(Duration::MAX);
                assert_eq!(number, 7);
            });
            std::mem::forget(forbid_suspend());
        });
    });
}
