//! How a process dies of signals: those that somebody sent, and what a core dump then holds.

#![expect(unsafe_code, reason = "sends signals; a wild pointer")]

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use gopark_tests::{descend, is_case, runtime};

use crate::{CASE, SIGABRT, SIGSEGV, crash, died_of, touch};

fn send_to_process(signal: i32) {
    let process = std::process::id() as i32;
    // SAFETY: numbers only; this process.
    let code = unsafe { libc::kill(process, signal) };
    assert_eq!(code, 0);
}

#[test]
fn a_sigsegv_that_was_sent_ends_the_process() {
    let name = "dying::a_sigsegv_that_was_sent_ends_the_process";
    let output = crash(name, || {
        runtime(1).run(|| {
            gopark::spawn(|| {
                descend(1000);
                send_to_process(SIGSEGV);
                gopark::time::sleep(std::time::Duration::from_secs(60));
            })
            .join()
            .unwrap();
        });
    });
    assert!(!died_of(&output, SIGSEGV).contains("gopark:"));
}

/// What no file holds but a dump of the stack.
fn mark(seed: u64) -> [u64; 8] {
    std::array::from_fn(|n| (seed + n as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15))
}

/// Keeps a mark on the stack while `f` runs.
#[inline(never)]
fn with_mark(seed: u64, f: impl FnOnce()) {
    let mut marked = mark(seed);
    std::hint::black_box(&mut marked);
    f();
    std::hint::black_box(&mut marked);
}

/// Runs `test` again with core dumps, and gives the dump. `None` where none can be written.
fn core_of(test: &str, signal: i32) -> Option<Vec<u8>> {
    let pattern = std::fs::read_to_string("/proc/sys/kernel/core_pattern").unwrap();
    if pattern.contains(['|', '/', '%']) {
        println!("left out: core dumps go to {pattern}");
        return None;
    }
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(test.replace(':', "_"));
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args([test, "--exact", "--nocapture"])
        .env(CASE, test)
        .current_dir(&folder);
    // SAFETY: makes system calls only.
    unsafe { command.pre_exec(allow_dumps) };
    let output = command.output().unwrap();
    died_of(&output, signal);
    let found = std::fs::read_dir(&folder).unwrap();
    let core: Option<PathBuf> = found.map(|entry| entry.unwrap().path()).next();
    let Some(core) = core else {
        println!("left out: the kernel wrote no dump");
        return None;
    };
    let bytes = std::fs::read(core).unwrap();
    std::fs::remove_dir_all(&folder).unwrap();
    Some(bytes)
}

/// As far as the hard limit goes.
fn allow_dumps() -> std::io::Result<()> {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: the kernel writes a limit.
    unsafe { libc::getrlimit(libc::RLIMIT_CORE, &raw mut limit) };
    limit.rlim_cur = limit.rlim_max;
    // SAFETY: a limit.
    unsafe { libc::setrlimit(libc::RLIMIT_CORE, &raw const limit) };
    Ok(())
}

/// A goroutine that parks and one that dies each have a mark in their stacks.
#[track_caller]
fn stacks_are_in_the_dump(test: &str, signal: i32, die: fn()) {
    if is_case(test) {
        runtime(1).run(|| {
            gopark::go(|| with_mark(1, gopark::park));
            gopark::yield_now();
            let dies = gopark::spawn(move || {
                // Then its slot has a hard guard.
                descend(600);
                with_mark(100, die);
            });
            dies.join().unwrap();
        });
        return;
    }
    let Some(core) = core_of(test, signal) else {
        return;
    };
    for (who, seed) in [("the one that died", 100), ("the parked one", 1)] {
        let mark: Vec<u8> = mark(seed)
            .iter()
            .flat_map(|word| word.to_ne_bytes())
            .collect();
        let found = core.windows(mark.len()).any(|bytes| bytes == mark);
        assert!(found, "{who} is not among {} bytes", core.len());
    }
}

#[test]
fn an_abort_leaves_stacks_in_the_dump() {
    let name = "dying::an_abort_leaves_stacks_in_the_dump";
    stacks_are_in_the_dump(name, SIGABRT, || std::process::abort());
}

#[test]
fn an_overflow_leaves_stacks_in_the_dump() {
    let name = "dying::an_overflow_leaves_stacks_in_the_dump";
    stacks_are_in_the_dump(name, SIGABRT, || {
        // Near its end, for a small dump: the frames of a whole stack would be in it.
        #[inline(never)]
        fn leap(bytes: usize) {
            // SAFETY: none: the address is below the stack's limit, which is reported.
            unsafe {
                ((&raw const bytes)
                    .cast_mut()
                    .cast::<u8>()
                    .wrapping_sub(bytes))
                .write_volatile(1)
            };
        }
        leap(gopark::remaining_stack().unwrap() + 4096);
    });
}

#[test]
fn a_wild_pointer_leaves_stacks_in_the_dump() {
    let name = "dying::a_wild_pointer_leaves_stacks_in_the_dump";
    stacks_are_in_the_dump(name, SIGSEGV, || touch(8));
}

#[test]
fn a_signal_that_was_sent_leaves_stacks_in_the_dump() {
    let name = "dying::a_signal_that_was_sent_leaves_stacks_in_the_dump";
    stacks_are_in_the_dump(name, SIGSEGV, || {
        send_to_process(SIGSEGV);
        gopark::time::sleep(std::time::Duration::from_secs(60));
    });
}
