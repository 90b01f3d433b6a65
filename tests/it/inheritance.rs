//! What threads and processes inherit that goroutines start.

#![expect(unsafe_code, reason = "asks for the slack of a thread")]

use std::process::Command;
use std::time::Duration;

use gopark_tests::run;

/// By how much the kernel may end sleeps of the calling thread too late, in nanoseconds.
#[inline(never)]
fn slack() -> i32 {
    // SAFETY: a question.
    unsafe { libc::prctl(libc::PR_GET_TIMERSLACK) }
}

#[test]
fn goroutines_and_what_they_start_have_the_usual_timer_slack() {
    let usual = slack();
    assert!(usual > 1000, "the test itself sleeps precisely: {usual}");
    run(2, || {
        for _ in 0..20 {
            // Ms without work sleep precisely until then.
            gopark::time::sleep(Duration::from_millis(1));
            assert_eq!(slack(), usual);
            assert_eq!(std::thread::spawn(slack).join().unwrap(), usual);
        }
        let child = Command::new("cat").arg("/proc/self/timerslack_ns").output();
        let text = String::from_utf8(child.unwrap().stdout).unwrap();
        assert_eq!(text.trim(), usual.to_string());
    });
}
