//! Instructions of an operation, counted by perf, where the machine counts them.
//!
//! They repeat far better than times do. What is counted is user code of the whole process, its
//! start and its warm-up included, by all operations that it did. The run is one more, after the
//! rounds: counting must not be part of what is timed.

use std::process::Command;

use super::results::Sample;
use crate::peers::threads::Placement;
use crate::process::{self, Limits};

const PERF: &str = "perf";

/// In the answer of a peer: how many operations the process did in all.
const OPERATIONS: &str = "ops";

/// The counter, or why there is none.
pub(super) fn counter() -> Result<String, String> {
    let output = stat(Command::new("true"))
        .output()
        .map_err(|error| format!("{PERF}: {error}"))?;
    counted(&String::from_utf8_lossy(&output.stderr)).map(|_| "counted by perf".into())
}

/// Instructions of each operation of `command`, which is a peer at a workload.
pub(super) fn of(command: Command, placement: Placement, limits: Limits) -> Result<f64, String> {
    let mut stat = stat(command);
    let output = process::output(&mut stat, placement, limits)?;
    let sample: Sample =
        serde_json::from_slice(&output.stdout).map_err(|error| error.to_string())?;
    let operations = sample
        .get(OPERATIONS)
        .ok_or("the peer does not count its operations")?;
    Ok(counted(&String::from_utf8_lossy(&output.stderr))? / operations)
}

/// `command` under perf, whose result goes to standard error.
fn stat(command: Command) -> Command {
    let mut stat = Command::new(PERF);
    stat.args(["stat", "-x,", "-e", "instructions:u", "--"])
        .arg(command.get_program())
        .args(command.get_args());
    stat
}

fn counted(said: &str) -> Result<f64, String> {
    let line = said
        .lines()
        .find(|line| line.contains("instructions"))
        .ok_or_else(|| format!("{PERF}: {}", said.lines().next().unwrap_or_default()))?;
    let value = line.split(',').next().unwrap_or_default();
    value
        .parse()
        .map_err(|_| format!("{PERF}: instructions {value}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_perf_says_is_understood() {
        let said = "12345,,instructions:u,456789,100.00,,\n";
        assert_eq!(counted(said), Ok(12345.0));
        let none = counted("<not supported>,,instructions:u,0,100.00,,\n").unwrap_err();
        assert!(none.contains("<not supported>"), "{none}");
        assert!(
            counted("No permission to enable\n")
                .unwrap_err()
                .contains("permission")
        );
    }
}
