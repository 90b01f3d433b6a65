//! What programs say on standard error, and how they end.

use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Output, Stdio};

const SIGABRT: i32 = 6;
const SIGALRM: i32 = 14;

fn program(arguments: &[&str]) -> Command {
    let mut command = Command::new("timeout");
    command
        .args(["--foreground", "60", env!("CARGO_BIN_EXE_reports")])
        .args(arguments)
        .env("RUST_BACKTRACE", "0");
    command
}

fn reports(arguments: &[&str]) -> Output {
    program(arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[track_caller]
fn goes_well(arguments: &[&str], says: &str) {
    let output = reports(arguments);
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert!(
        output.status.success(),
        "{arguments:?}: {:?}\n{out}{err}",
        output.status
    );
    assert_eq!(out, says, "{arguments:?}: {err}");
}

/// `timeout` passes the signal on, or tells of it by 128 and its number.
fn signal(output: &Output) -> Option<i32> {
    let coded = output.status.code().filter(|code| *code > 128);
    output.status.signal().or(coded.map(|code| code - 128))
}

#[test]
fn a_thread_that_waits_with_a_deadline_is_no_deadlock() {
    for wait in [
        "recv",
        "send",
        "after",
        "tick",
        "select",
        "select-after",
        "condvar",
        "mutex",
        "rwlock",
        "semaphore",
        "notify",
        "barrier",
        "sleep",
        "std",
    ] {
        goes_well(&["a-thread-waits-with-a-deadline", wait], "no deadlock\n");
    }
}

#[test]
fn a_wake_that_can_still_come_rules_a_deadlock_out() {
    for case in ["another-runtime-wakes", "a-thread-wakes-in-time"] {
        goes_well(&[case], "no deadlock\n");
    }
}

#[test]
fn a_sleep_without_end_is_no_deadlock() {
    let output = reports(&["sleeps-for-ever"]);
    let err = text(&output.stderr);
    assert_eq!((signal(&output), err.as_str()), (Some(SIGALRM), ""));
}

#[test]
fn a_program_that_waits_for_a_signal_is_no_deadlock() {
    goes_well(&["waits-for-a-signal"], "no deadlock\n");
}

#[test]
fn a_deadlock_aborts_or_is_reported_or_is_let_be() {
    let lines = |err: &str, head: &str| {
        let rest = err.strip_prefix(head).unwrap_or_else(|| panic!("{err}"));
        assert!(
            rest.contains(" [park, ") && rest.lines().count() == 1,
            "{err}"
        );
    };
    let aborts = reports(&["deadlock-then", "abort"]);
    assert_eq!(aborts.status.code(), Some(2));
    let head = "fatal error: all goroutines are asleep - deadlock!\n\n";
    lines(&text(&aborts.stderr), head);
    let goes_on = reports(&["deadlock-then", "report"]);
    let head = "gopark: all goroutines are asleep - deadlock!\n\n";
    assert_eq!(signal(&goes_on), Some(SIGALRM));
    lines(&text(&goes_on.stderr), head);
    let silent = reports(&["deadlock-then", "off"]);
    assert_eq!(
        (signal(&silent), text(&silent.stderr).as_str()),
        (Some(SIGALRM), "")
    );
}

#[test]
fn a_receive_of_what_never_comes_is_named() {
    let output = reports(&["receives-what-never-comes"]);
    let err = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{err}");
    for name in ["never", "after"] {
        assert!(
            err.contains(&format!("\"{name}\" [channel, never, ")),
            "{err}"
        );
    }
}

#[test]
fn the_message_of_a_panic_names_the_goroutine() {
    let at = " panicked at tests/src/bin/reports.rs:";
    let says = "\non purpose\nspawned at tests/src/bin/reports.rs:";
    for (how, who) in [
        ("named", " \"worker\""),
        ("unnamed", ""),
        ("on-the-threads-stack", " \"worker\""),
    ] {
        let output = reports(&["panics", how]);
        let err = text(&output.stderr);
        assert!(output.status.success(), "{how}: {err}");
        let id = err
            .trim_start()
            .strip_prefix("goroutine ")
            .unwrap_or_default();
        let rest = id.trim_start_matches(|c: char| c.is_ascii_digit());
        assert!(
            rest.starts_with(&format!("{who}{at}")) && rest.len() < id.len(),
            "{how}: {err}"
        );
        assert!(
            err.contains(says) && !err.contains("thread '"),
            "{how}: {err}"
        );
    }
    let plain = text(&reports(&["panics", "plain"]).stderr);
    assert!(
        plain.contains("thread '<unnamed>'") && plain.contains("on purpose"),
        "{plain}"
    );
    assert_eq!(text(&reports(&["panics", "quietly"]).stderr), "");
}

#[test]
fn a_hook_of_the_program_is_called_as_it_is() {
    for case in ["hook-before", "hook-after"] {
        let output = reports(&[case]);
        let err = text(&output.stderr);
        let is_alone = err.lines().count() == 2 && err.ends_with(":\non purpose\n");
        let says = "the hook: Some(\"worker\"), panicked at tests/";
        assert!(
            output.status.success() && err.starts_with(says) && is_alone,
            "{case}: {err}"
        );
    }
}

#[test]
fn an_unhandled_panic_ends_the_process_if_that_is_wanted() {
    let detached = ["go", "dropped-before", "dropped-after", "timer"];
    let joined = ["joined", "scope"];
    let no_panics = ["caught", "exits", "cancelled"];
    let ends = |then: &str, how: &str| {
        let output = reports(&["unhandled", then, how]);
        let (out, err) = (text(&output.stdout), text(&output.stderr));
        let has_said_why = err.contains("the process ends (runtime::Builder::unhandled_panic)");
        match output.status.code() {
            Some(0) => assert!(out == "goes on\n" && !has_said_why, "{then} {how}: {err}"),
            Some(2) => assert!(out.is_empty() && has_said_why, "{then} {how}: {err}"),
            _ => panic!("{then} {how}: {:?}\n{err}", output.status),
        }
        output.status.code() == Some(2)
    };
    for how in detached.into_iter().chain(joined).chain(no_panics) {
        assert!(!ends("ignore", how), "{how}");
        assert_eq!(
            ends("exit-if-detached", how),
            detached.contains(&how),
            "{how}"
        );
        assert_eq!(ends("exit", how), !no_panics.contains(&how), "{how}");
    }
}

/// Runs a program with a standard error that is full and is never read.
fn unread(arguments: &[&str], set_up: impl FnOnce(&mut Command)) -> Output {
    let (_unread, full) = UnixStream::pair().unwrap();
    full.set_nonblocking(true).unwrap();
    while std::io::Write::write(&mut &full, &[b'x'; 64]).is_ok() {}
    full.set_nonblocking(false).unwrap();
    let mut command = program(arguments);
    command.stdout(Stdio::piped()).stderr(OwnedFd::from(full));
    set_up(&mut command);
    command.spawn().unwrap().wait_with_output().unwrap()
}

#[test]
fn a_trace_that_nobody_reads_does_not_keep_the_program_from_its_threads() {
    let output = unread(&["works-unread"], |command| {
        command.env("GOPARK_SCHEDTRACE", "1");
    });
    assert_eq!(
        (text(&output.stdout).as_str(), output.status.code()),
        ("all done\n", Some(0))
    );
}

#[test]
fn reports_that_nobody_reads_do_not_keep_the_process_alive() {
    let output = unread(&["deadlock-unread"], |_| {});
    assert_eq!(output.status.code(), Some(2));
    let output = unread(&["overflow-unread"], |_| {});
    assert_eq!(signal(&output), Some(SIGABRT));
}
