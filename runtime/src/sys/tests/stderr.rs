//! Lines that are not read for a while: each test runs itself again and reads what the child says.

#![expect(unsafe_code, reason = "forks")]

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Command, Stdio};
use std::time::Duration;

use super::{flush, print, print_now};

const CASE: &str = "GOPARK_TEST_CASE";
const LONG: Duration = Duration::from_secs(60);
const SAID: &str = "all is said";

/// In the child: runs `say`. In the parent: what the child has written, read when all is said.
fn child(test: &str, say: impl FnOnce()) -> Option<String> {
    if std::env::var(CASE).is_ok_and(|case| case == test) {
        say();
        println!("{SAID}");
        flush(LONG);
        return None;
    }
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([
            &format!("sys::stderr::tests::{test}"),
            "--exact",
            "--nocapture",
        ])
        .env(CASE, test)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(
        out.any(|line| line.unwrap().contains(SAID)),
        "the child says all"
    );
    let mut text = String::new();
    let mut err = child.stderr.take().unwrap();
    err.read_to_string(&mut text).unwrap();
    // What the harness says must have room too.
    out.for_each(drop);
    assert!(child.wait().unwrap().success(), "{text}");
    Some(text)
}

#[test]
fn lines_for_which_there_is_no_room_are_left_out_and_counted() {
    const LINES: usize = 10_000;
    let test = "lines_for_which_there_is_no_room_are_left_out_and_counted";
    let text = child(test, || {
        for n in 0..LINES {
            print(format!("line {n} {}\n", "x".repeat(100)));
        }
    });
    let Some(text) = text else { return };
    let (mut next, mut printed, mut left_out) = (0, 0, 0);
    for line in text.lines() {
        let mut words = line.split(' ');
        if words.next() == Some("line") {
            let n: usize = words.next().unwrap().parse().unwrap();
            assert!(n >= next && line.ends_with(&"x".repeat(100)), "{line}");
            next = n + 1;
            printed += 1;
        } else {
            let n = words.next().unwrap_or_default();
            left_out += n.parse::<usize>().unwrap_or_else(|_| panic!("{line}"));
        }
    }
    assert!(printed > 100 && left_out > 100, "{printed} and {left_out}");
    assert_eq!(printed + left_out, LINES);
}

#[test]
fn last_words_follow_what_was_said_before() {
    let text = child("last_words_follow_what_was_said_before", || {
        print(String::from("first\n"));
        print_now("last\n");
    });
    assert!(text.is_none_or(|text| text == "first\nlast\n"));
}

#[test]
fn a_forked_child_can_say_something_too() {
    let text = child("a_forked_child_can_say_something_too", || {
        print(String::from("the parent\n"));
        flush(LONG);
        // SAFETY: the child prints, which is what the test is about, and exits at once.
        let pid = unsafe { libc::fork() };
        if pid == 0 {
            print(String::from("the child\n"));
            flush(LONG);
            // SAFETY: ends the child at once.
            unsafe { libc::_exit(0) };
        }
        // SAFETY: waits for our own child.
        unsafe { libc::waitpid(pid, std::ptr::null_mut(), 0) };
    });
    assert!(text.is_none_or(|text| text == "the parent\nthe child\n"));
}
