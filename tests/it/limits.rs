//! Small arenas and bad environments, each in a process of its own.

use std::process::{Command, Output};

use gopark_tests::{build, try_build};

const CASE: &str = "GOPARK_TEST_CASE";

/// Runs test `name` of this binary again, alone, as the case itself.
fn alone(name: &str, set_up: impl FnOnce(&mut Command)) -> Output {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args([&format!("limits::{name}"), "--exact", "--nocapture"])
        .env(CASE, name);
    set_up(&mut command);
    command.output().unwrap()
}

fn is_case(name: &str) -> bool {
    std::env::var(CASE).is_ok_and(|case| case == name)
}

#[track_caller]
fn passed(output: &Output) {
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn an_exhausted_arena_is_an_error_of_the_builder_and_a_panic_of_spawn() {
    let name = "an_exhausted_arena_is_an_error_of_the_builder_and_a_panic_of_spawn";
    if !is_case(name) {
        return passed(&alone(name, |command| {
            _ = command.env("GOPARK_ARENA", "16777216")
        }));
    }
    build(gopark::runtime::Builder::new().procs(1)).run(|| {
        let mut parked = Vec::new();
        let error = loop {
            match gopark::goroutine::Builder::new().spawn(gopark::park) {
                Ok(handle) => parked.push(handle),
                Err(error) => break error,
            }
        };
        assert!(parked.len() > 50, "{} fit", parked.len());
        assert_eq!(error.kind(), std::io::ErrorKind::OutOfMemory);
        assert!(error.to_string().contains("no free stack"), "{error}");
        let panic = std::panic::catch_unwind(|| gopark::go(|| ())).unwrap_err();
        let text = panic.downcast::<String>().unwrap();
        assert!(text.contains("gopark::go: no free stack"), "{text}");
        // What ends makes room again.
        for handle in parked {
            handle.goroutine().unpark();
            handle.join().unwrap();
        }
        assert_eq!(gopark::spawn(|| 1).join().unwrap(), 1);
    });
}

#[test]
fn a_limit_on_address_space_gives_a_smaller_arena() {
    let name = "a_limit_on_address_space_gives_a_smaller_arena";
    if !is_case(name) {
        let exe = std::env::current_exe().unwrap();
        let script = format!(
            "ulimit -v 524288; exec '{}' limits::{name} --exact --nocapture",
            exe.display()
        );
        let output = Command::new("sh")
            .args(["-c", &script])
            .env(CASE, name)
            .output()
            .unwrap();
        return passed(&output);
    }
    build(gopark::runtime::Builder::new().procs(1)).run(|| {
        let handles: Vec<_> = (0..200).map(|n| gopark::spawn(move || n)).collect();
        assert_eq!(
            handles.into_iter().map(|h| h.join().unwrap()).sum::<i32>(),
            19900
        );
    });
    assert!(gopark::stack::stats().unwrap().reserved_bytes <= 256 << 20);
}

#[test]
fn bad_environments_are_named() {
    let name = "bad_environments_are_named";
    if !is_case(name) {
        for (variable, value) in [
            ("GOPARK_GUARD", "cardboard"),
            ("GOPARK_ARENA", "12 parsecs"),
            ("GOPARK_PROCS", "many"),
            ("GOPARK_DEBUG", "everything"),
        ] {
            passed(&alone(name, |command| {
                command
                    .env(variable, value)
                    .env("GOPARK_TEST_EXPECT", format!("{variable}={value}"));
            }));
        }
        return;
    }
    let error = try_build(gopark::runtime::Builder::new()).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
    let expected = std::env::var("GOPARK_TEST_EXPECT").unwrap();
    assert!(error.to_string().contains(&expected), "{error}");
}

#[test]
fn mprotect_guards_end_at_a_cap_that_names_the_sysctl() {
    let name = "mprotect_guards_end_at_a_cap_that_names_the_sysctl";
    if !is_case(name) {
        return passed(&alone(name, |command| {
            _ = command.env("GOPARK_GUARD", "mprotect")
        }));
    }
    build(
        gopark::runtime::Builder::new()
            .procs(1)
            .stack_limit(64 << 10),
    )
    .run(|| {
        let mut parked = Vec::new();
        let error = loop {
            match gopark::goroutine::Builder::new().spawn(gopark::park) {
                Ok(handle) => parked.push(handle),
                Err(error) => break error,
            }
            assert!(parked.len() < 1_000_000, "no cap");
        };
        assert!(parked.len() > 1000, "{} fit", parked.len());
        let text = error.to_string();
        assert!(
            text.contains("vm.max_map_count") || text.contains("no free stack"),
            "{text}"
        );
        for handle in parked {
            handle.goroutine().unpark();
            handle.join().unwrap();
        }
    });
}

/// Proof that spawn, switch and exit make no system call once warm: the kernel's own count.
#[test]
fn a_warm_spawn_and_exit_make_no_system_call() {
    let name = "a_warm_spawn_and_exit_make_no_system_call";
    if !is_case(name) {
        let exe = std::env::current_exe().unwrap();
        let Ok(output) = Command::new("strace")
            .args(["-f", "-qq", "-o"])
            .arg(std::env::temp_dir().join(format!("gopark-strace-{}", std::process::id())))
            .arg(exe)
            .args([&format!("limits::{name}"), "--exact", "--nocapture"])
            .env(CASE, name)
            .output()
        else {
            // Without strace there is nothing to count with; CI installs it.
            assert!(std::env::var("CI").is_err(), "CI lacks strace");
            return;
        };
        passed(&output);
        let path = std::env::temp_dir().join(format!("gopark-strace-{}", std::process::id()));
        let trace = std::fs::read_to_string(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        let from = trace.find("warm-starts-here").expect("the first mark");
        let to = trace.find("warm-ends-here").expect("the second mark");
        let calls: Vec<_> = trace[from..to].lines().skip(1).collect();
        // The line of the second mark itself begins before the mark.
        assert!(calls.len() <= 4, "system calls while warm: {calls:#?}");
        return;
    }
    build(gopark::runtime::Builder::new().procs(1)).run(|| {
        let round = || {
            for n in 0..10_000 {
                assert_eq!(gopark::spawn(move || n).join().unwrap(), n);
            }
        };
        round();
        let _ = std::fs::metadata("/warm-starts-here");
        round();
        let _ = std::fs::metadata("/warm-ends-here");
    });
}
