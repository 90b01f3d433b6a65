//! Which compiler builds the benchmarks.
//!
//! The facts above a table must name the compiler that made the measured code, not the one that
//! happens to be first in the path when it runs. Cargo knows it while it builds, so it is noted
//! here.

use std::env;
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let version = Command::new(rustc)
        .arg("--version")
        .output()
        .ok()
        .and_then(|output| String::from_utf8(output.stdout).ok())
        .unwrap_or_default();
    println!("cargo::rustc-env=GOPARK_BENCHES_RUSTC={}", version.trim());
}
