//! The steps of `cargo xtask test`.

use std::process::{Command, Stdio};

use crate::{crossbeam, msrv, versions};

/// One step: a name for the command line, what it does, and the doing.
pub(crate) struct Step {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    pub(crate) run: fn() -> Result<(), String>,
}

/// All steps, in the order in which they run.
pub(crate) const STEPS: &[Step] = &[
    Step {
        name: "fmt",
        about: "the code is formatted",
        run: fmt,
    },
    Step {
        name: "clippy",
        about: "no warning from clippy",
        run: clippy,
    },
    Step {
        name: "msrv",
        about: "dependencies allow the stated rust-version",
        run: msrv::check,
    },
    Step {
        name: "test",
        about: "all tests, with the kernel's guards",
        run: test,
    },
    Step {
        name: "crossbeam",
        about: "crossbeam-channel's own tests, against our channels",
        run: crossbeam::check,
    },
    Step {
        name: "versions",
        about: "two versions of gopark in one program",
        run: versions::check,
    },
    Step {
        name: "mprotect",
        about: "the tests with mprotect guards",
        run: mprotect,
    },
    Step {
        name: "portable",
        about: "the tests on the portable switch and the portable poller",
        run: portable,
    },
    Step {
        name: "fences",
        about: "the tests without membarrier",
        run: fences,
    },
    Step {
        name: "release",
        about: "the tests, optimised",
        run: release,
    },
    Step {
        name: "loom",
        about: "the models, seeded bugs included",
        run: loom,
    },
    Step {
        name: "doc",
        about: "the documentation builds without warnings",
        run: doc,
    },
    Step {
        name: "bench",
        about: "every benchmark runs once",
        run: bench,
    },
];

const RUNTIME_TESTS: &str = "test -p gopark-stack -p gopark -p gopark-tests";

fn fmt() -> Result<(), String> {
    call(cargo("fmt --all --check"))
}

fn clippy() -> Result<(), String> {
    call(cargo("clippy --workspace --all-targets -- -D warnings"))
}

fn test() -> Result<(), String> {
    call(cargo("test --workspace"))
}

fn mprotect() -> Result<(), String> {
    let mut command = cargo(RUNTIME_TESTS);
    command.env("GOPARK_GUARD", "mprotect");
    call(command)
}

fn portable() -> Result<(), String> {
    let mut command = cargo(&format!("{RUNTIME_TESTS} -p gopark-poller"));
    let cfgs = ["gopark_portable_switch", "gopark_portable_poller"];
    with_cfgs(&mut command, &cfgs, "target/portable");
    call(command)
}

fn fences() -> Result<(), String> {
    let mut command = cargo("test -p gopark-tests --test it");
    command.env("GOPARK_DEBUG", "fences");
    call(command)
}

fn release() -> Result<(), String> {
    call(cargo(
        "test --release -p gopark -p gopark-tests --lib --test it",
    ))
}

fn loom() -> Result<(), String> {
    // A filter that matches nothing passes too: each package must have models.
    for package in ["gopark-stack", "gopark-poller", "gopark"] {
        let mut list = cargo(&format!("test --release -p {package} --lib loom -- --list"));
        with_cfgs(&mut list, &["gopark_loom"], "target/loom");
        let listed = list
            .stderr(Stdio::inherit())
            .output()
            .map_err(|e| e.to_string())?;
        if !String::from_utf8_lossy(&listed.stdout).contains(": test") {
            return Err(format!("{package} has no models"));
        }
    }
    let mut command = cargo("test --release -p gopark-stack -p gopark-poller -p gopark --lib loom");
    with_cfgs(&mut command, &["gopark_loom"], "target/loom");
    if std::env::var_os("LOOM_MAX_PREEMPTIONS").is_none() {
        command.env("LOOM_MAX_PREEMPTIONS", "3");
    }
    call(command)
}

fn doc() -> Result<(), String> {
    let mut command = cargo("doc --no-deps --workspace --document-private-items");
    command.env("RUSTDOCFLAGS", "-D warnings");
    call(command)
}

/// The suites one sample each, then everybody beside everybody else. Peers that are not here are
/// left out.
fn bench() -> Result<(), String> {
    [
        "switch",
        "sched",
        "chan",
        "locks",
        "echo",
        "sleep",
        "connections",
    ]
    .into_iter()
    .try_for_each(bench_suite)?;
    compare()
}

fn bench_suite(suite: &str) -> Result<(), String> {
    let mut command = cargo(&format!(
        "run --release -p gopark-benches -- {suite} --once --json -"
    ));
    println!("    {command:?}");
    let output = command
        .stderr(Stdio::inherit())
        .output()
        .map_err(|e| e.to_string())?;
    if !output.status.success() {
        return Err(output.status.to_string());
    }
    let rows: serde_json::Value =
        serde_json::from_slice(&output.stdout).map_err(|e| format!("no JSON: {e}"))?;
    match rows.as_array().map(Vec::len) {
        None | Some(0) => Err(format!("the suite `{suite}` gave no rows")),
        Some(_) => Ok(()),
    }
}

fn compare() -> Result<(), String> {
    const OUT: &str = "target/compare-quick";
    call(cargo(&format!(
        "run --release -p gopark-benches -- compare --quick --out {OUT}"
    )))?;
    for name in ["samples.json", "report.md", "report.html"] {
        let path = format!("{OUT}/{name}");
        match std::fs::metadata(&path) {
            Ok(found) if found.len() > 0 => {}
            _ => return Err(format!("the comparison left no {path}")),
        }
    }
    Ok(())
}

fn cargo(arguments: &str) -> Command {
    let mut command = crate::cargo::cargo();
    command.args(arguments.split(' '));
    command
}

/// Adds cfgs to the flags, with a target folder of its own so that nothing else is rebuilt.
fn with_cfgs(command: &mut Command, cfgs: &[&str], target: &str) {
    let mut flags = std::env::var("RUSTFLAGS").unwrap_or_default();
    for cfg in cfgs {
        flags.push_str(" --cfg ");
        flags.push_str(cfg);
    }
    command.env("RUSTFLAGS", flags.trim());
    command.env("CARGO_TARGET_DIR", target);
}

fn call(mut command: Command) -> Result<(), String> {
    println!("    {command:?}");
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(status.to_string()),
        Err(error) => Err(error.to_string()),
    }
}
