//! Measurements in a process of their own.
//!
//! Resident memory, page tables and first touches can be measured once per process: whatever ran
//! before has left pages behind. And what the threads of one runtime do can be counted only where
//! there is no other. So the program runs itself again with a hidden subcommand, and the child
//! prints one JSON object.

use std::io::{self, Write as _};
use std::process::Command;
use std::time::Duration;

use clap::{Subcommand, ValueEnum};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::measure::{Peer, Result, Track};
use crate::peers::threads::Placement;
use crate::peers::{blocked, connections, hogs, parked, ready, recursion, sysmon};
use crate::process::{self, Limits, OWN};

/// No measurement takes nearly as long; a child that does is stuck.
const LIMITS: Limits = Limits {
    time: Duration::from_secs(300),
    memory_mib: None,
};

/// What a child measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Subcommand)]
pub(crate) enum Task {
    /// A recursion into memory that was never touched.
    Recursion {
        #[arg(value_enum)]
        stack: recursion::StackKind,
        mib: usize,
    },
    /// Goroutines spawned, parked, woken and joined.
    Parked { stack_limit: usize, count: usize },
    /// Two hogs on one P, and a goroutine that is woken beside them.
    Hogs { ms: u64 },
    /// A thread that blocks while goroutines wait for its P.
    Blocked {
        #[arg(value_enum)]
        call: blocked::Call,
        rounds: usize,
    },
    /// sysmon beside a P that is busy.
    SysmonBusy { ms: u64 },
    /// All threads while nothing runs.
    SysmonIdle { ms: u64 },
    /// A socket that becomes ready while all Ps are busy.
    Ready { ms: u64 },
    /// Idle connections.
    Connections {
        #[arg(value_enum)]
        reader: connections::Reader,
        count: usize,
    },
}

/// The child's side: measures and prints.
pub(crate) fn run(task: &Task) -> Result<()> {
    match *task {
        Task::Recursion { stack, mib } => print(&recursion::measure(stack, mib << 20)?),
        Task::Parked { stack_limit, count } => print(&parked::measure(stack_limit, count)?),
        Task::Hogs { ms } => print(&hogs::measure(Duration::from_millis(ms))?),
        Task::Blocked { call, rounds } => print(&blocked::measure(call, rounds)?),
        Task::SysmonBusy { ms } => print(&sysmon::busy(Duration::from_millis(ms))?),
        Task::SysmonIdle { ms } => print(&sysmon::idle(Duration::from_millis(ms))?),
        Task::Ready { ms } => print(&ready::measure(Duration::from_millis(ms))?),
        Task::Connections { reader, count } => print(&connections::measure(reader, count)?),
    }
}

fn print(found: &impl Serialize) -> Result<()> {
    serde_json::to_writer(io::stdout(), found)?;
    Ok(writeln!(io::stdout())?)
}

impl Task {
    /// What stands after `child` on the command line.
    fn args(&self) -> Vec<String> {
        match *self {
            Self::Recursion { stack, mib } => {
                vec!["recursion".into(), name_of(stack), mib.to_string()]
            }
            Self::Parked { stack_limit, count } => {
                vec!["parked".into(), stack_limit.to_string(), count.to_string()]
            }
            Self::Hogs { ms } => vec!["hogs".into(), ms.to_string()],
            Self::Blocked { call, rounds } => {
                vec!["blocked".into(), name_of(call), rounds.to_string()]
            }
            Self::SysmonBusy { ms } => vec!["sysmon-busy".into(), ms.to_string()],
            Self::SysmonIdle { ms } => vec!["sysmon-idle".into(), ms.to_string()],
            Self::Ready { ms } => vec!["ready".into(), ms.to_string()],
            Self::Connections { reader, count } => {
                vec!["connections".into(), name_of(reader), count.to_string()]
            }
        }
    }
}

fn name_of(value: impl ValueEnum) -> String {
    let value = value.to_possible_value().expect("none is skipped");
    value.get_name().to_owned()
}

/// A peer that does each sample in a child of its own.
pub(crate) struct Fresh<T> {
    tracks: Vec<Track>,
    task: Task,
    values: fn(&T) -> Vec<f64>,
}

impl<T: DeserializeOwned + 'static> Fresh<T> {
    /// `values` are the rows of `tracks`, in their order, out of what a child has found.
    pub(crate) fn boxed(
        tracks: Vec<Track>,
        task: Task,
        values: fn(&T) -> Vec<f64>,
    ) -> Box<dyn Peer> {
        Box::new(Self {
            tracks,
            task,
            values,
        })
    }
}

impl<T: DeserializeOwned> Peer for Fresh<T> {
    fn tracks(&self) -> Vec<Track> {
        self.tracks.clone()
    }

    fn prepare(&mut self, _: Duration) -> Result<()> {
        Ok(())
    }

    fn sample(&mut self) -> Result<Vec<f64>> {
        let values = (self.values)(&measure(&self.task)?);
        debug_assert_eq!(values.len(), self.tracks.len());
        Ok(values)
    }
}

/// The parent's side: runs a child and reads what it found.
fn measure<T: DeserializeOwned>(task: &Task) -> Result<T> {
    let args = task.args();
    let mut command = Command::new(OWN);
    let output = process::finish(command.arg("child").args(&args), Placement::Free, LIMITS)?;
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

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(subcommand)]
        task: Task,
    }

    #[test]
    fn a_child_understands_what_it_is_told() {
        let tasks = [
            Task::Recursion {
                stack: recursion::StackKind::Plain,
                mib: 1,
            },
            Task::Parked {
                stack_limit: 2,
                count: 3,
            },
            Task::Hogs { ms: 4 },
            Task::Blocked {
                call: blocked::Call::Said,
                rounds: 5,
            },
            Task::SysmonBusy { ms: 6 },
            Task::SysmonIdle { ms: 7 },
            Task::Ready { ms: 8 },
            Task::Connections {
                reader: connections::Reader::GoparkDense,
                count: 9,
            },
        ];
        for task in tasks {
            let line = ["child".to_owned()].into_iter().chain(task.args());
            assert_eq!(Line::try_parse_from(line).unwrap().task, task);
        }
    }
}
