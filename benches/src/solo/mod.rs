//! One peer at one workload, alone in this process.
//!
//! This is what `compare` runs again and again: a process is one sample. The program answers like
//! those of the peers in other languages: `PEER WORKLOAD PROCS INTERVAL_MS SIZE` gives one line
//! with a JSON object of numbers, whatever goes wrong is said on standard error.

mod blocking;
mod goroutines;
mod may;
mod pace;
mod raw;
mod smol;
mod tasks;
mod threads;
mod tick;
mod tokio;
mod usage;

use std::io::{self, Write as _};
use std::time::Duration;

use clap::Args;
use clap::builder::PossibleValuesParser;

use crate::measure::Result;

/// What to do; the same for all peers.
#[derive(Clone, Debug, PartialEq, Eq, Args)]
pub(crate) struct Job {
    #[arg(value_parser = PossibleValuesParser::new(PEERS.map(|(name, _)| name)))]
    pub(crate) peer: String,
    pub(crate) workload: String,
    /// Threads, or Ps.
    #[arg(value_parser = clap::value_parser!(u16).range(1..=256))]
    pub(crate) procs: u16,
    /// How long an interval is, of a workload that fills one.
    #[arg(value_parser = clap::value_parser!(u64).range(1..=60_000))]
    pub(crate) interval_ms: u64,
    /// What it means depends on the workload.
    pub(crate) size: usize,
}

/// Numbers with their names.
type Answer = Result<Vec<(&'static str, f64)>>;

type Play = fn(&Job) -> Answer;

/// Everybody who lives in this program.
static PEERS: [(&str, Play); 9] = [
    ("gopark", goroutines::play),
    ("gopark-dense", goroutines::play_dense),
    ("threads", threads::play),
    ("tokio", tokio::play),
    ("smol", smol::play),
    ("may", may::play),
    ("gopark-raw", raw::gopark),
    ("corosensei", raw::corosensei),
    ("generator", raw::generator),
];

impl Job {
    pub(crate) fn procs(&self) -> usize {
        self.procs.into()
    }

    pub(crate) fn interval(&self) -> Duration {
        Duration::from_millis(self.interval_ms)
    }

    fn unknown(&self) -> Answer {
        Err(format!("{} does not do `{}`", self.peer, self.workload).into())
    }
}

/// Does the job and prints what came of it.
pub(crate) fn run(job: &Job) -> Result<()> {
    let (_, play) = PEERS
        .iter()
        .find(|(name, _)| *name == job.peer)
        .expect("the command line knows the same names");
    let answer: serde_json::Map<String, serde_json::Value> = play(job)?
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value.into()))
        .collect();
    let mut out = io::stdout().lock();
    serde_json::to_writer(&mut out, &answer)?;
    writeln!(out)?;
    Ok(out.flush()?)
}
