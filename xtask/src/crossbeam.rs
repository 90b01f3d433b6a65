//! The step `crossbeam`: crossbeam-channel's own tests, against our channels.
//!
//! The published crate ships its tests. A package is made in `target/crossbeam/` whose library is
//! `tests/crossbeam/facade.rs`, our channels under their name, and whose tests are theirs, of the
//! version that the workspace is locked to. They run twice:
//!
//! - `threads`: the files as they are;
//! - `goroutines`: copies in which what they spawn are goroutines, while a test itself stays on its
//!   thread. Lines that begin with `use` differ, and one path.
//!
//! What is skipped is listed in `tests/crossbeam/skip.txt`, and explained in `tests/README.md`.

mod run;
mod suite;

use std::fs;
use std::path::Path;

use serde_json::Value;

use self::run::{Program, run_all};
use self::suite::{Suite, leftover, on_goroutines};
use crate::cargo::cargo;

const PACKAGE: &str = "target/crossbeam";
const RUNS: [&str; 2] = ["threads", "goroutines"];

/// What the step does.
pub(crate) fn check() -> Result<(), String> {
    let suite = Suite::find()?;
    make(&suite).map_err(|error| format!("{PACKAGE}: {error}"))?;
    let programs = build(&suite)?;
    run_all(&programs)
}

fn make(suite: &Suite) -> std::io::Result<()> {
    let package = Path::new(PACKAGE);
    let copies = package.join("goroutines");
    fs::create_dir_all(&copies)?;
    for file in &suite.files {
        let copy = on_goroutines(&file.text);
        if let Some(line) = leftover(&copy) {
            let text = format!("{}.rs would still use threads: {line}", file.name);
            return Err(std::io::Error::other(text));
        }
        let path = copies.join(format!("{}.rs", file.name));
        // Cargo builds again what is newer.
        if fs::read_to_string(&path).ok().as_ref() != Some(&copy) {
            fs::write(path, copy)?;
        }
    }
    // The versions of the workspace; cargo leaves out what is not needed here.
    fs::copy("Cargo.lock", package.join("Cargo.lock"))?;
    fs::write(package.join("Cargo.toml"), manifest(suite))
}

fn manifest(suite: &Suite) -> String {
    let mut text = format!(
        r#"[package]
name = "suite"
version = "0.0.0"
edition = "{edition}"
autotests = false

[workspace]

[lib]
name = "crossbeam_channel"
path = "../../tests/crossbeam/facade.rs"

[dependencies]
gopark = {{ path = "../../runtime" }}

[dev-dependencies]
{needs}
[lints.rust]
warnings = "allow"
"#,
        edition = suite.edition,
        needs = suite.needs,
    );
    for file in &suite.files {
        let name = &file.name;
        let paths = [
            file.path.display().to_string(),
            format!("goroutines/{name}.rs"),
        ];
        for (run, path) in RUNS.iter().zip(paths) {
            text += &format!("\n[[test]]\nname = \"{name}-{run}\"\npath = '{path}'\n");
        }
    }
    text
}

/// Builds all, and gives what is to be run.
fn build(suite: &Suite) -> Result<Vec<Program>, String> {
    let mut command = cargo();
    command
        .args(["test", "--no-run", "--tests", "--offline"])
        .args(["--message-format=json-render-diagnostics"])
        .arg("--manifest-path")
        .arg(Path::new(PACKAGE).join("Cargo.toml"));
    println!("    {command:?}");
    let output = command
        .stderr(std::process::Stdio::inherit())
        .output()
        .map_err(|error| error.to_string())?;
    if !output.status.success() {
        return Err(output.status.to_string());
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let mut programs = Vec::new();
    for message in text.lines() {
        let message: Value = serde_json::from_str(message).map_err(|error| error.to_string())?;
        let target = message["target"]["name"].as_str().unwrap_or_default();
        if let (Some(path), Some((file, run))) =
            (message["executable"].as_str(), target.rsplit_once('-'))
        {
            let skipped = suite.skipped(file, run);
            programs.push(Program {
                file: file.to_owned(),
                run: run.to_owned(),
                path: path.into(),
                tests: suite.tests(file) - skipped.len(),
                skipped,
            });
        }
    }
    programs.sort_by(|a, b| (&a.file, &b.run).cmp(&(&b.file, &a.run)));
    if programs.len() == suite.files.len() * RUNS.len() {
        Ok(programs)
    } else {
        Err(format!("{} programs were built", programs.len()))
    }
}
