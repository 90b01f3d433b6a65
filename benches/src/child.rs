//! Measurements in a process of their own.
//!
//! Resident memory, page tables and first touches can be measured once per process: whatever ran
//! before has left pages behind. So the program runs itself again with a hidden subcommand, and
//! the child prints one JSON object.

use std::env;
use std::io::{self, Write as _};
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use clap::{Subcommand, ValueEnum};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::measure::Result;
use crate::peers::{parked, recursion};

/// No measurement takes nearly as long; a child that does is stuck.
const CHILD_MAX: Duration = Duration::from_secs(300);

/// What a child measures.
#[derive(Clone, Copy, Debug, Subcommand)]
pub(crate) enum Task {
    /// A recursion into memory that was never touched.
    Recursion {
        #[arg(value_enum)]
        stack: recursion::StackKind,
        mib: usize,
    },
    /// Goroutines spawned, parked, woken and joined.
    Parked { stack_limit: usize, count: usize },
}

/// The child's side: measures and prints.
pub(crate) fn run(task: &Task) -> Result<()> {
    match *task {
        Task::Recursion { stack, mib } => print(&recursion::measure(stack, mib << 20)?),
        Task::Parked { stack_limit, count } => print(&parked::measure(stack_limit, count)?),
    }
}

fn print(found: &impl Serialize) -> Result<()> {
    serde_json::to_writer(io::stdout(), found)?;
    Ok(writeln!(io::stdout())?)
}

/// The parent's side: runs a child and reads what it found.
pub(crate) fn measure<T: DeserializeOwned>(task: &Task) -> Result<T> {
    let args = match *task {
        Task::Recursion { stack, mib } => {
            let stack = stack.to_possible_value().expect("no kind is skipped");
            [
                "recursion".into(),
                stack.get_name().to_owned(),
                mib.to_string(),
            ]
        }
        Task::Parked { stack_limit, count } => {
            ["parked".into(), stack_limit.to_string(), count.to_string()]
        }
    };
    let output = wait(Command::new(env::current_exe()?).arg("child").args(&args))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(format!(
            "child {}: {}: {}",
            args.join(" "),
            output.status,
            said.trim()
        )
        .into());
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// Runs `command` to its end, or kills it when it is stuck. Its output fits into the pipes.
fn wait(command: &mut Command) -> Result<Output> {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn()?;
    let start = Instant::now();
    while child.try_wait()?.is_none() {
        if start.elapsed() > CHILD_MAX {
            child.kill()?;
            child.wait()?;
            return Err(format!("child did not end within {} s", CHILD_MAX.as_secs()).into());
        }
        thread::park_timeout(Duration::from_millis(5));
    }
    Ok(child.wait_with_output()?)
}
