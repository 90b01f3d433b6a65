//! Misuse: an error or a panic that says what was wrong, and that leaves everything as it was.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use gopark::Cancelled;
use gopark::chan::{SendError, SendTimeoutError, TrySendError, bounded, unbounded};
use gopark::sync::{Barrier, Semaphore, WaitGroup};
use gopark_tests::{panic_text, run, spin};

const SHORT: Duration = Duration::from_millis(5);

/// The text of the panic of `misuse`.
#[track_caller]
fn panics(misuse: impl FnOnce()) -> String {
    panic_text(catch_unwind(AssertUnwindSafe(misuse)).expect_err("a panic"))
}

#[test]
fn sending_on_a_closed_channel_is_an_error_that_gives_the_message_back() {
    let case = || {
        for cap in [None, Some(0), Some(2)] {
            let (s, r) = cap.map_or_else(unbounded, bounded);
            assert!(s.close() && !s.close() && !r.close(), "closed once");
            let error = s.send(7).unwrap_err();
            assert_eq!(error, SendError(7));
            assert_eq!(error.to_string(), "sending on a disconnected channel");
            assert_eq!(s.try_send(8), Err(TrySendError::Disconnected(8)));
            let late = s.send_timeout(9, SHORT).unwrap_err();
            assert_eq!(late, SendTimeoutError::Disconnected(9));
            assert_eq!(late.to_string(), "sending on a disconnected channel");
            let text = r.recv().unwrap_err().to_string();
            assert_eq!(text, "receiving on an empty and disconnected channel");
            assert!(r.is_empty());
        }
    };
    case();
    run(1, case);
}

#[test]
fn a_capacity_that_does_not_fit_is_named() {
    let cap = usize::MAX / 8;
    let text = panics(|| drop(bounded::<u64>(cap)));
    let most = isize::MAX as usize / 8;
    let expected = format!(
        "gopark::chan::bounded: a capacity of {cap} messages of 8 bytes does not fit into memory, \
         whose addresses allow {most}: "
    );
    assert!(text.starts_with(&expected), "{text}");
    // What has no size always fits.
    assert_eq!(bounded::<()>(usize::MAX).0.capacity(), Some(usize::MAX));
}

#[test]
fn a_count_beyond_its_bounds_is_refused_and_changes_nothing() {
    run(2, || {
        const LIMIT: usize = (1 << 31) - 1;
        let group = WaitGroup::new();
        assert_eq!(
            panics(|| group.done()),
            "gopark: negative WaitGroup counter"
        );
        group.add(3);
        let text = panics(|| group.add(LIMIT));
        let expected = format!("gopark: a WaitGroup counts to {LIMIT}: 3 and {LIMIT} were added");
        assert_eq!(text, expected);
        (0..3).for_each(|_| group.done());
        group.wait();
        group.add(LIMIT);
        assert!(!group.wait_timeout(SHORT));
    });
}

#[test]
fn permits_beyond_the_limit_are_refused_and_change_nothing() {
    const LIMIT: usize = Semaphore::MAX_PERMITS;
    let text = panics(|| _ = Semaphore::new(LIMIT + 1));
    let expected = "gopark: too many permits for a Semaphore";
    assert_eq!(
        text,
        format!("{expected}: more than Semaphore::MAX_PERMITS")
    );
    let semaphore = Semaphore::new(LIMIT - 1);
    let text = panics(|| semaphore.add_permits(2));
    let figures = format!("{}, and 2 were added; {LIMIT} at most", LIMIT - 1);
    assert_eq!(text, format!("{expected}: {figures}"));
    assert_eq!(semaphore.available_permits(), LIMIT - 1);
    semaphore.add_permits(1);
    assert!(semaphore.try_acquire_many(LIMIT).is_ok());
}

#[test]
fn a_barrier_for_nobody_lets_everybody_through() {
    for n in [0, 1] {
        assert!(Barrier::new(n).wait().is_leader());
    }
}

#[test]
fn what_needs_a_runtime_says_so() {
    let text = panics(|| WaitGroup::new().go(|| ()));
    assert_eq!(text, "gopark::sync::WaitGroup::go called outside a runtime");
}

#[test]
fn cancels_of_what_has_ended_or_never_waits_are_harmless() {
    for procs in [1, 2] {
        run(procs, || {
            let ended = gopark::spawn(|| 5);
            while !ended.is_finished() {
                gopark::yield_now();
            }
            ended.cancel();
            ended.cancel();
            assert_eq!(ended.join().unwrap(), 5);
            // A hog that never suspends itself: it is told when it does.
            let (begun, told) = (
                Arc::new(AtomicBool::new(false)),
                Arc::new(AtomicBool::new(false)),
            );
            let (begins, is_told) = (Arc::clone(&begun), Arc::clone(&told));
            let hog = gopark::spawn(move || {
                begins.store(true, Ordering::Relaxed);
                while !is_told.load(Ordering::Relaxed) {
                    spin(Duration::from_millis(1));
                }
                gopark::time::sleep(Duration::from_secs(1000));
            });
            while !begun.load(Ordering::Relaxed) {
                gopark::yield_now();
            }
            hog.cancel();
            hog.cancel();
            gopark::time::sleep(2 * SHORT);
            assert!(!hog.is_finished(), "it has not been torn off");
            told.store(true, Ordering::Relaxed);
            assert!(hog.join().unwrap_err().is::<Cancelled>());
        });
    }
}
