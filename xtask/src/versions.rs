//! The step `versions`: two versions of gopark in one program.
//!
//! Two copies of the library's crates are made in `target/versions/`, the second with another
//! version, and the program `tests/versions/main.rs` is built on both. It links only if no symbol
//! of theirs is global; then it runs goroutines of both, and dies in the ways that each of them
//! has.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Command;

use crate::cargo::cargo;

const PACKAGE: &str = "target/versions";
const CRATES: [&str; 4] = ["stack", "poller", "macros", "runtime"];
const OTHER_VERSION: &str = "0.99.0";

/// What the step does.
pub(crate) fn check() -> Result<(), String> {
    make().map_err(|error| format!("{PACKAGE}: {error}"))?;
    let mut build = cargo();
    build
        .args(["build", "--offline", "--manifest-path"])
        .arg(Path::new(PACKAGE).join("Cargo.toml"))
        .args(["--target-dir", PACKAGE]);
    println!("    {build:?}");
    let status = build.status().map_err(|error| error.to_string())?;
    if !status.success() {
        return Err(status.to_string());
    }
    run("", |code, _| code == Some(0), "")?;
    for version in ["first", "second"] {
        let overflow = format!("{version} overflow");
        run(&overflow, |_, signal| signal == Some(6), "stack exceeds")?;
        run(
            &format!("{version} wild"),
            |_, signal| signal == Some(11),
            "",
        )?;
    }
    Ok(())
}

fn make() -> std::io::Result<()> {
    let package = Path::new(PACKAGE);
    let manifest = fs::read_to_string("Cargo.toml")?;
    let version = version_of(&manifest);
    // Copies of both: cargo would take the second one for a part of the workspace of the first, if
    // that were the folder in which all this lies.
    for (copy, new) in [("first", version), ("second", OTHER_VERSION)] {
        let copy = package.join(copy);
        for name in CRATES {
            copy_folder(Path::new(name), &copy.join(name))?;
        }
        let lines = manifest.lines().map(|line| match line {
            line if line.starts_with("members = ") => {
                format!("members = {CRATES:?}\n")
            }
            line => line.replace(&format!("\"{version}\""), &format!("\"{new}\"")) + "\n",
        });
        write_new(&copy.join("Cargo.toml"), &lines.collect::<String>())?;
    }
    // The versions of the workspace; cargo leaves out what is not needed here.
    fs::copy("Cargo.lock", package.join("Cargo.lock"))?;
    write_new(&package.join("Cargo.toml"), PROGRAM)
}

const PROGRAM: &str = r#"[package]
name = "versions"
version = "0.0.0"
edition = "2024"

[workspace]
exclude = ["first", "second"]

[[bin]]
name = "versions"
path = "../../tests/versions/main.rs"

[dependencies]
first = { package = "gopark", path = "first/runtime" }
second = { package = "gopark", path = "second/runtime" }
"#;

/// The version that the crates of the workspace have.
fn version_of(manifest: &str) -> &str {
    let line = manifest
        .lines()
        .find_map(|line| line.strip_prefix("version = "));
    line.unwrap_or_default().trim_matches('"')
}

/// Copies what differs of a folder: cargo builds again what is newer.
fn copy_folder(from: &Path, to: &Path) -> std::io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_folder(&entry.path(), &target)?;
        } else {
            write_new(&target, &fs::read_to_string(entry.path())?)?;
        }
    }
    Ok(())
}

fn write_new(path: &Path, text: &str) -> std::io::Result<()> {
    if fs::read_to_string(path).is_ok_and(|old| old == text) {
        return Ok(());
    }
    fs::write(path, text)
}

/// Runs the program in one way and looks at how it ended.
fn run(case: &str, ended: fn(Option<i32>, Option<i32>) -> bool, told: &str) -> Result<(), String> {
    let program = Path::new(PACKAGE).join("debug/versions");
    let mut command = Command::new("timeout");
    command.arg("60").arg(program).arg(case);
    println!("    {command:?}");
    let output = command.output().map_err(|error| error.to_string())?;
    let text = String::from_utf8_lossy(&output.stderr);
    // `timeout` dies as its child did.
    if ended(output.status.code(), output.status.signal()) && text.contains(told) {
        return Ok(());
    }
    Err(format!("`{case}`: {}\n{text}", output.status))
}
