//! Panics that must end the process: each test runs itself again and looks at how the child died.

#![expect(unsafe_code, reason = "starts runtimes")]

use std::os::unix::process::ExitStatusExt;
use std::process::Command;

use crate::api::builder::Builder;
use crate::fatal;
use crate::sched::header::G;
use crate::sched::machine::{Work, pin, unpin};

const CASE: &str = "GOPARK_TEST_CASE";

/// In the child: runs `crash`. In the parent: what the child said before it aborted.
fn aborts(test: &str, crash: impl FnOnce()) -> String {
    if std::env::var(CASE).is_ok_and(|case| case == test) {
        crash();
        unreachable!("the crash did not happen");
    }
    let output = Command::new("timeout")
        .arg("60")
        .arg(std::env::current_exe().unwrap())
        .args([
            &format!("sched::panics::tests::{test}"),
            "--exact",
            "--nocapture",
        ])
        .env(CASE, test)
        .env("RUST_BACKTRACE", "0")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(
        output.status.signal(),
        Some(6),
        "{:?}\n{text}",
        output.status
    );
    text
}

fn run(main: impl FnOnce()) {
    // SAFETY: the tests hold no thread-local across a suspension.
    let runtime = unsafe { Builder::new().procs(1).thread_name("m").build() };
    runtime.unwrap().run(main);
}

#[track_caller]
fn has(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "no `{part}` in:\n{text}");
    }
}

#[test]
fn a_panic_on_a_thread_of_the_runtime_aborts_and_names_it() {
    let text = aborts(
        "a_panic_on_a_thread_of_the_runtime_aborts_and_names_it",
        || {
            let thread = fatal::spawn(String::from("m-service"), None, || panic!("the reason"));
            let _ = thread.unwrap().join();
        },
    );
    let end = "gopark: fatal: a panic outside of any goroutine, on thread \"m-service\"";
    has(&text, &["the reason", end]);
}

#[test]
fn a_panic_in_the_loop_of_an_m_aborts_and_names_its_thread() {
    let text = aborts(
        "a_panic_in_the_loop_of_an_m_aborts_and_names_its_thread",
        || {
            run(|| {
                let m = pin(G::current().unwrap());
                // There is no such M.
                m.picked.set(Some(Work::Claim(usize::MAX)));
                unpin(m);
                gopark_park();
            });
        },
    );
    let end = "gopark: fatal: a panic outside of any goroutine, on thread \"m-";
    has(&text, &["index out of bounds", end]);
}

fn gopark_park() {
    crate::api::goroutine::park();
}

/// The hook of the process, too, must not wait until its message is read.
#[test]
fn a_panic_on_a_thread_of_the_runtime_aborts_if_nobody_reads_why() {
    let test = "a_panic_on_a_thread_of_the_runtime_aborts_if_nobody_reads_why";
    let text = aborts(test, || {
        run(|| ());
        let (_unread, full) = std::os::unix::net::UnixStream::pair().unwrap();
        full.set_nonblocking(true).unwrap();
        while std::io::Write::write(&mut &full, &[b'x'; 64]).is_ok() {}
        full.set_nonblocking(false).unwrap();
        // libtest's hook is not std's.
        drop(std::panic::take_hook());
        // SAFETY: both are descriptors; the copy stays open until the end of the process.
        unsafe { libc::dup2(std::os::fd::AsRawFd::as_raw_fd(&full), 2) };
        super::wrap();
        let thread = fatal::spawn(String::from("m-service"), None, || panic!("the reason"));
        let _ = thread.unwrap().join();
    });
    assert_eq!(text, "");
}

#[test]
fn a_panic_inside_a_runtime_call_aborts_and_names_the_goroutine() {
    let text = aborts(
        "a_panic_inside_a_runtime_call_aborts_and_names_the_goroutine",
        || {
            run(|| {
                let _ = pin(G::current().unwrap());
                let caught = std::panic::catch_unwind(|| panic!("the reason"));
                drop(caught);
            });
        },
    );
    has(
        &text,
        &[
            "gopark: fatal: goroutine ",
            "on thread \"m-",
            "inside the runtime at runtime/src/",
        ],
    );
    has(&text, &["the reason"]);
}

#[test]
fn a_panic_inside_a_runtime_call_aborts_whatever_the_hook() {
    let text = aborts(
        "a_panic_inside_a_runtime_call_aborts_whatever_the_hook",
        || {
            run(|| {
                std::panic::set_hook(Box::new(|_| {}));
                let _ = pin(G::current().unwrap());
                panic!("the reason");
            });
        },
    );
    has(&text, &["gopark: fatal: goroutine ", "inside the runtime"]);
}
