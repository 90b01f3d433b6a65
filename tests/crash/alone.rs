//! Deadlocks and forks: programs whose only threads are the runtime's and those that wait for it.

use std::process::{Command, Output};

fn alone(case: &str) -> Output {
    Command::new("timeout")
        .args(["30", env!("CARGO_BIN_EXE_alone"), case])
        .env("RUST_BACKTRACE", "0")
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The lines of the report, after the first two.
///
/// # Panics
/// When there is none, also if the program has not ended after half a minute.
#[track_caller]
fn deadlock(case: &str) -> Vec<String> {
    let output = alone(case);
    let text = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{text}");
    let report = text
        .strip_prefix("fatal error: all goroutines are asleep - deadlock!\n\n")
        .unwrap_or_else(|| panic!("no report: {text}"));
    report.lines().map(str::to_owned).collect()
}

#[track_caller]
fn goes_well(case: &str) -> String {
    let output = alone(case);
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{:?}\n{out}{err}", output.status);
    out
}

#[test]
fn a_deadlock_is_reported_with_a_line_for_each_goroutine() {
    let lines = deadlock("everybody-parks");
    assert_eq!(lines.len(), 4, "{lines:#?}");
    for (n, line) in lines.iter().enumerate() {
        let who = match n {
            0 => String::from(" [park, "),
            n => format!(" \"sleeper {}\" [park, ", n - 1),
        };
        assert!(
            line.starts_with("goroutine ") && line.contains(&who),
            "{line}"
        );
        assert!(line.contains(" s]: spawned at tests/src/"), "{line}");
    }
}

#[test]
fn a_deadlock_names_what_each_goroutine_waits_for() {
    let lines = deadlock("joins-in-a-ring");
    assert_eq!(lines.len(), 2, "{lines:#?}");
    assert!(lines[0].contains("[join, "), "{lines:#?}");
    assert!(lines[1].contains("[park, "), "{lines:#?}");
}

#[test]
fn a_recursive_lock_is_named() {
    let lines = deadlock("locks-twice");
    assert!(
        lines.len() == 1 && lines[0].contains("[mutex, "),
        "{lines:#?}"
    );
}

#[test]
fn a_recursive_lock_of_a_rwlock_is_named() {
    let lines = deadlock("writes-twice");
    assert!(
        lines.len() == 1 && lines[0].contains("[rwlock, write, "),
        "{lines:#?}"
    );
    let lines = deadlock("reads-twice");
    assert!(
        lines.len() == 2
            && lines[0].contains("[rwlock, read, ")
            && lines[1].contains("[rwlock, write, "),
        "{lines:#?}"
    );
}

#[test]
fn a_deadlock_names_every_primitive() {
    let lines = deadlock("waits-for-everything");
    assert_eq!(lines.len(), 12, "{lines:#?}");
    for line in &lines[1..] {
        let mut parts = line.split('"');
        let name = parts.nth(1).expect("it has a name");
        let rest = parts.next().expect("it waits");
        assert!(rest.starts_with(&format!(" [{name}, ")), "{line}");
    }
}

#[test]
fn goroutines_that_keep_their_threads_can_be_deadlocked_too() {
    assert_eq!(deadlock("locked").len(), 2);
}

#[test]
fn a_sleep_that_somebody_can_end_is_no_deadlock() {
    for case in [
        "main-exits",
        "a-thread-wakes-later",
        "blocked-in-the-kernel",
        "everybody-sleeps",
        "waits-for-another-process",
    ] {
        assert_eq!(goes_well(case), "no deadlock\n", "{case}");
    }
}

#[test]
fn a_deadlock_that_comes_after_sleeping_or_reading_is_reported() {
    for case in ["sleeps-and-parks", "reads-and-parks"] {
        let lines = deadlock(case);
        assert!(
            lines.len() == 1 && lines[0].contains("[park, "),
            "{case}: {lines:#?}"
        );
    }
}

/// Nobody waits for the moments that limits and parks no longer have.
#[test]
fn a_deadlock_after_waits_that_ended_early_is_reported() {
    assert_eq!(deadlock("parks-after-limits").len(), 1);
}

#[test]
fn calls_in_a_forked_child_are_refused() {
    let output = alone("fork");
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    for call in ["yield", "spawn", "park", "blocking"] {
        let line = format!("{call}: exited true with 1\n");
        assert!(out.contains(&line), "{out}{err}");
    }
    assert!(out.ends_with("the parent goes on\n"), "{out}{err}");
    assert_eq!(err.matches("called in a forked child").count(), 4, "{err}");
    let out = goes_well("fork-outside");
    assert!(out.contains("run: exited true with 1\n"), "{out}");
    assert!(out.contains("nothing: exited true with 0\n"), "{out}");
}

#[test]
fn commands_run_from_goroutines() {
    assert_eq!(goes_well("command"), "both ran\n");
}

#[test]
fn eight_hogs_that_share_foreign_locks_get_on() {
    let out = goes_well("eight-hogs");
    let last = out.lines().last().unwrap_or_default();
    let preemptions = last.strip_suffix(" preemptions").map(str::parse::<u64>);
    // How often depends on the machine's load.
    assert!(matches!(preemptions, Some(Ok(n)) if n > 20), "{last}");
}

/// The lines of the report that all threads are blocked.
#[track_caller]
fn blocked_threads(case: &str) -> Vec<String> {
    let output = alone(case);
    let text = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{text}");
    let report = text
        .split_once(
            "fatal error: all 2 threads (runtime::Builder::max_threads) are blocked by goroutines \
             - deadlock!\n\n",
        )
        .unwrap_or_else(|| panic!("no report: {text}"));
    report.1.lines().map(str::to_owned).collect()
}

#[test]
fn threads_that_are_all_blocked_for_ever_are_a_deadlock() {
    let lines = blocked_threads("blocks-all-threads");
    let count = |state: &str| {
        let is_so = |line: &&String| line.contains(&format!(" [{state}]: spawned at tests/src/"));
        lines.iter().filter(is_so).count()
    };
    assert_eq!(count("blocks its thread"), 2, "{lines:#?}");
    assert_eq!(count("runnable"), 1, "{lines:#?}");
}

#[test]
fn a_deadlock_in_a_destructor_is_reported() {
    let lines = deadlock("parks-in-a-destructor");
    assert_eq!(lines.len(), 2, "{lines:#?}");
    let is_named = |line: &String| line.contains(" s, in a destructor]: spawned at tests/src/");
    assert!(lines.iter().any(is_named), "{lines:#?}");
}

#[test]
fn threads_that_are_all_locked_are_a_deadlock() {
    let lines = blocked_threads("locks-all-threads");
    for name in ["one", "two"] {
        let expected = format!(" \"{name}\" [park, ");
        let is_named = |line: &String| line.contains(&expected);
        assert!(lines.iter().any(is_named), "{lines:#?}");
    }
}

#[test]
fn threads_that_are_all_blocked_for_long_are_named() {
    let output = alone("reads-on-all-threads");
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{:?}\n{err}", output.status);
    assert_eq!(out, "no deadlock\n");
    assert!(
        err.contains("gopark: all 2 threads (runtime::Builder::max_threads) have"),
        "{err}"
    );
    for n in 0..2 {
        let expected = format!(" \"reader {n}\" [blocks its thread]: spawned at tests/src/");
        assert!(err.contains(&expected), "{err}");
    }
}
