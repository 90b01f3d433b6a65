//! Reading the frames of a suspension.

use super::caller;

#[test]
fn the_first_frame_of_the_program_is_the_place() {
    let trace = "   0: std::backtrace::Backtrace::create\n\
                 \x20  1: gopark::sched::hooks::place\n\
                 \x20            at ./src/hooks.rs:1:2\n\
                 \x20  2: <gopark::chan::Receiver<T> as core::iter::Iterator>::next\n\
                 \x20  3: gopark_tests::worker::{{closure}}\n\
                 \x20            at ./tests/worker.rs:12:9\n\
                 \x20  4: main\n";
    let place = caller(trace);
    assert_eq!(
        place.as_deref(),
        Some("./tests/worker.rs:12:9 (gopark_tests::worker::{{closure}})")
    );
}

#[test]
fn a_frame_without_a_line_is_named_and_none_is_nothing() {
    let trace = "   0: gopark::api::goroutine::yield_now\n   1: program::run\n   2: main\n";
    assert_eq!(caller(trace).as_deref(), Some("program::run"));
    assert_eq!(caller("   0: <unknown>\n   1: std::rt::main\n"), None);
}
