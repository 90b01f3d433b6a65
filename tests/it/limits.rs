//! Small arenas and bad environments, each in a process of its own.

use std::process::Command;

use gopark_tests::{CASE, alone, build, is_case, passed, try_build};

#[test]
fn an_exhausted_arena_is_an_error_of_the_builder_and_a_panic_of_spawn() {
    let name = "limits::an_exhausted_arena_is_an_error_of_the_builder_and_a_panic_of_spawn";
    let small = |command: &mut Command| _ = command.env("GOPARK_ARENA", "16777216");
    alone(name, small, exhaust);
}

fn exhaust() {
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
    let name = "limits::a_limit_on_address_space_gives_a_smaller_arena";
    if !is_case(name) {
        let exe = std::env::current_exe().unwrap();
        let script = format!(
            "ulimit -v 524288; exec '{}' {name} --exact --nocapture",
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
    let name = "limits::bad_environments_are_named";
    for (variable, value) in [
        ("GOPARK_GUARD", "cardboard"),
        ("GOPARK_ARENA", "12 parsecs"),
        ("GOPARK_PROCS", "many"),
        ("GOPARK_DEBUG", "everything"),
    ] {
        let set_up = |command: &mut Command| {
            command
                .env(variable, value)
                .env("GOPARK_TEST_EXPECT", format!("{variable}={value}"));
        };
        if alone(name, set_up, build_in_vain).is_none() {
            // The child is for one of them.
            return;
        }
    }
}

fn build_in_vain() {
    let error = try_build(gopark::runtime::Builder::new()).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
    let expected = std::env::var("GOPARK_TEST_EXPECT").unwrap();
    assert!(error.to_string().contains(&expected), "{error}");
}

#[test]
fn mprotect_guards_end_at_a_cap_that_names_the_sysctl() {
    let name = "limits::mprotect_guards_end_at_a_cap_that_names_the_sysctl";
    let mprotect = |command: &mut Command| _ = command.env("GOPARK_GUARD", "mprotect");
    alone(name, mprotect, spawn_up_to_the_cap);
}

fn spawn_up_to_the_cap() {
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
    let name = "limits::a_warm_spawn_and_exit_make_no_system_call";
    if !is_case(name) {
        let exe = std::env::current_exe().unwrap();
        let Ok(output) = Command::new("strace")
            .args(["-f", "-qq", "-o"])
            .arg(std::env::temp_dir().join(format!("gopark-strace-{}", std::process::id())))
            .arg(exe)
            .args([name, "--exact", "--nocapture"])
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
        // sysmon has a thread of its own: what counts is the thread that made the mark.
        let thread = trace[..from]
            .lines()
            .last()
            .unwrap()
            .split(' ')
            .next()
            .unwrap();
        // The work wakes sysmon from a long pause; while Ms switch it makes none.
        let (wakes, calls): (Vec<_>, Vec<_>) = trace[from..to]
            .lines()
            .skip(1)
            .filter(|line| line.starts_with(&format!("{thread} ")))
            // The other half of a line that was interrupted by another thread's.
            .filter(|line| !line.contains("<... futex resumed>"))
            .partition(|line| line.contains("FUTEX_WAKE"));
        // The line of the second mark itself begins before the mark.
        assert!(calls.len() <= 4, "system calls while warm: {calls:#?}");
        assert!(wakes.len() <= 50, "{} wakes for 10000 spawns", wakes.len());
        return;
    }
    // Under strace a slice is soon over, and its end is not what this is about.
    let slice = std::time::Duration::from_secs(60);
    build(gopark::runtime::Builder::new().procs(1).time_slice(slice)).run(|| {
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
