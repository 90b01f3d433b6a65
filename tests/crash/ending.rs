//! How programs end whose goroutines do not; and programs that abort instead of unwinding.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use crate::{SIGABRT, died_of};

/// Runs a case of a program, for half a minute at most. Its standard input stays open.
fn run(program: &Path, case: &str) -> Output {
    let mut command = Command::new("timeout");
    command
        .args(["-s", "KILL", "30"])
        .arg(program)
        .arg(case)
        .env("RUST_BACKTRACE", "0")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let stdin = child.stdin.take();
    let output = child.wait_with_output().unwrap();
    drop(stdin);
    output
}

fn ending(case: &str) -> Output {
    run(Path::new(env!("CARGO_BIN_EXE_ending")), case)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// What the program printed, when it ended well.
#[track_caller]
fn ended(output: &Output) -> (String, String) {
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{:?}\n{out}{err}", output.status);
    for line in ["main returns\n", "run has returned\n"] {
        assert!(out.contains(line), "{out}{err}");
    }
    (out, err)
}

/// The program ends, names the one goroutine that does not, and unwinds the others.
#[track_caller]
fn leaves(case: &str, state: &str) {
    let (out, err) = ended(&ending(case));
    for bye in ["bye, parked\n", "bye, scope\n"] {
        assert!(out.contains(bye), "{out}{err}");
    }
    let lines: Vec<&str> = err.lines().collect();
    let [head, line] = lines[..] else {
        panic!("{err}");
    };
    let expected = "gopark: 1 goroutine has not ended 1s after the end of the runtime began, which \
                    leaves what does not end (runtime::Builder::on_end):";
    assert_eq!(head, expected);
    let has_state = line.contains(&format!(" [{state}]: spawned at tests/src/bin/ending.rs:"));
    assert!(line.starts_with("goroutine ") && has_state, "{err}");
}

#[test]
fn a_goroutine_that_reads_standard_input_does_not_keep_the_program() {
    leaves("reads-stdin", "blocks its thread");
}

#[test]
fn a_goroutine_that_accepts_with_std_does_not_keep_the_program() {
    leaves("accepts", "blocks its thread");
}

#[test]
fn a_goroutine_that_reads_a_pipe_with_std_does_not_keep_the_program() {
    leaves("reads-a-pipe", "blocks its thread");
}

#[test]
fn a_goroutine_that_computes_does_not_keep_the_program() {
    // One that has used up its slice may be suspended just then.
    let (_, err) = ended(&ending("computes"));
    assert!(
        err.contains(" [running]: ") || err.contains(" [runnable]: "),
        "{err}"
    );
}

#[test]
fn a_goroutine_that_catches_every_request_to_end_does_not_keep_the_program() {
    for case in [
        "catches-sleeps",
        "catches-parks",
        "catches-yields",
        "catches-receives",
        "catches-acquires",
    ] {
        let (out, err) = ended(&ending(case));
        assert!(out.contains("no threads are left\n"), "{out}{err}");
        assert!(out.contains("bye, parked\n"), "{out}{err}");
        let lines: Vec<&str> = err.lines().collect();
        let [head, line] = lines[..] else {
            panic!("{err}");
        };
        assert!(
            head.starts_with("gopark: goroutines that catch every request to end"),
            "{err}"
        );
        assert!(
            line.contains(" [stopped, ") && line.contains(", catches every request to end]"),
            "{err}"
        );
    }
}

#[test]
fn a_loop_that_catches_panics_alone_is_ended() {
    let (out, err) = ended(&ending("catches-panics"));
    assert!(out.contains("bye, catcher\n"), "{out}");
    assert_eq!(err, "");
}

#[test]
fn the_end_of_a_runtime_may_end_the_process() {
    let output = ending("exits");
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(7), "{out}{err}");
    assert!(!out.contains("not reached"), "{out}");
    assert!(err.contains("which ends the process with code 7"), "{err}");
}

#[test]
fn a_panic_hook_may_wait() {
    let (out, err) = ended(&ending("waits-while-it-panics"));
    assert!(out.contains("the hook has waited\n"), "{out}");
    assert_eq!(err, "");
}

/// The programs of `ending.rs`, built so that a panic aborts.
///
/// # Panics
/// When they cannot be built.
fn aborting() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("aborting");
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
    let mut cargo = Command::new("timeout");
    cargo.arg("900").arg(env!("CARGO"));
    // Coverage and the like are of the build that runs the tests.
    for variable in ["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "RUSTC_WRAPPER"] {
        cargo.env_remove(variable);
    }
    let output = cargo
        .args(["build", "--offline", "--locked", "--bin", "ending"])
        .args(["--config", "profile.dev.panic=\"abort\""])
        .args(["--config", "profile.dev.debug=0"])
        .arg("--manifest-path")
        .arg(manifest)
        .arg("--target-dir")
        .arg(&folder)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    folder.join("debug/ending")
}

#[test]
fn a_program_that_aborts_on_panics_ends_without_unwinding() {
    let program = aborting();
    let (out, err) = ended(&run(&program, "parks"));
    assert!(!out.contains("bye"), "{out}");
    assert_eq!(err, "");
    let (out, _) = ended(&run(&program, "drops-a-set"));
    assert!(out.contains("got Ok(5)\n"), "{out}");
    let (_, err) = ended(&run(&program, "reads-stdin"));
    assert!(err.contains("1 goroutine has not ended"), "{err}");
    for (case, call) in [
        ("cancels", "gopark: cancelling a goroutine"),
        ("limits", "gopark::time::timeout"),
        ("exits-early", "gopark::exit"),
    ] {
        let err = died(&run(&program, case));
        let expected =
            format!("{call} needs unwinding, and the program is built with panic = \"abort\"");
        assert!(err.contains(&expected), "{err}");
        assert!(
            err.contains("tests/src/bin/ending.rs:"),
            "the caller is named: {err}"
        );
    }
    let output = run(&program, "waits-while-it-panics");
    died(&output);
    assert_eq!(text(&output.stdout), "the hook has waited\n");
}

/// `timeout` dies as its child did.
#[track_caller]
fn died(output: &Output) -> String {
    died_of(output, SIGABRT)
}
