//! The machine under the numbers.
//!
//! A table without its machine cannot be compared with another one, so the facts come first.
//! What a system does not tell (a governor in a virtual machine, a commit outside a checkout) is
//! said to be unknown rather than left out.

use std::collections::HashMap;
use std::fmt;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread;

/// What was known about the machine and the build when the run began.
#[derive(Debug)]
pub(crate) struct Facts {
    pub(crate) cpu: String,
    pub(crate) cores: usize,
    memory: String,
    pub(crate) kernel: String,
    governor: String,
    rustc: &'static str,
    pub(crate) commit: String,
    load: String,
    page_tables: String,
}

const UNKNOWN: &str = "unknown";

impl Facts {
    pub(crate) fn gather() -> Self {
        Self {
            cpu: cpu_model().unwrap_or_else(|| UNKNOWN.into()),
            cores: cores(),
            memory: memory().unwrap_or_else(|| UNKNOWN.into()),
            kernel: line("/proc/sys/kernel/osrelease"),
            governor: line("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
            rustc: match env!("GOPARK_BENCHES_RUSTC") {
                "" => UNKNOWN,
                version => version,
            },
            commit: commit().unwrap_or_else(|| UNKNOWN.into()),
            load: line("/proc/loadavg"),
            page_tables: format!(
                "{} B pages, transparent huge pages {}",
                rustix::param::page_size(),
                line("/sys/kernel/mm/transparent_hugepage/enabled"),
            ),
        }
    }
}

impl fmt::Display for Facts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "cpu      {}", self.cpu)?;
        writeln!(f, "kernel   {}", self.kernel)?;
        writeln!(f, "cores    {}", self.cores)?;
        writeln!(f, "governor {}", self.governor)?;
        writeln!(f, "memory   {}, {}", self.memory, self.page_tables)?;
        writeln!(f, "rustc    {}", self.rustc)?;
        write!(f, "commit   {}", self.commit)?;
        if cfg!(debug_assertions) {
            write!(f, " (a DEBUG build: the numbers mean nothing)")?;
        }
        write!(f, "\nload     {}", self.load)
    }
}

/// Cores that this process may use.
pub(crate) fn cores() -> usize {
    thread::available_parallelism().map_or(1, Into::into)
}

/// The first line of a file that the kernel serves.
fn line(path: &str) -> String {
    let text = fs::read_to_string(path).unwrap_or_default();
    text.lines().next().unwrap_or(UNKNOWN).trim().to_owned()
}

/// The `name: value` lines of a file like `/proc/self/status`.
pub(crate) fn fields(path: impl AsRef<Path>) -> HashMap<String, String> {
    let text = fs::read_to_string(path).unwrap_or_default();
    let pairs = text.lines().filter_map(|line| line.split_once(':'));
    pairs
        .map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned()))
        .collect()
}

/// The number at the front of a field, `1234 kB` or `1234`.
pub(crate) fn number(fields: &HashMap<String, String>, name: &str) -> Option<u64> {
    fields.get(name)?.split_whitespace().next()?.parse().ok()
}

fn cpu_model() -> Option<String> {
    let fields = fields("/proc/cpuinfo");
    if let Some(model) = fields.get("model name") {
        return Some(model.clone());
    }
    // aarch64 gives numbers only.
    let part = fields.get("CPU part")?;
    Some(format!(
        "implementer {} part {part}",
        fields.get("CPU implementer")?
    ))
}

fn memory() -> Option<String> {
    let total_kib = number(&fields("/proc/meminfo"), "MemTotal")?;
    Some(format!("{:.1} GiB", total_kib as f64 / f64::from(1 << 20)))
}

fn commit() -> Option<String> {
    let described = Command::new("git")
        .args(["--no-optional-locks", "-C", env!("CARGO_MANIFEST_DIR")])
        .args(["describe", "--always", "--dirty", "--abbrev=12"])
        .output()
        .ok()
        .filter(|output| output.status.success())?;
    Some(String::from_utf8(described.stdout).ok()?.trim().to_owned())
}
