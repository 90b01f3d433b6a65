//! One peer at one workload, alone in this process.
//!
//! This is what `compare` runs again and again: a process is one sample. The program answers like
//! those of the peers in other languages: `PEER WORKLOAD PROCS INTERVAL_MS SIZE` gives one line
//! with a JSON object of numbers, whatever goes wrong is said on standard error.

mod blocking;
mod crowd;
mod goroutines;
mod http;
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
use crate::peers::channels::skynet::Skynet;
use crate::peers::echo::{Host, Load};

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

/// How many yield at `yield-200`.
const YIELDERS: u64 = 200;

/// Of a message at `echo`.
const ECHO_BYTES: usize = 64;

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

    /// The tree of `skynet`.
    fn tree(&self) -> Result<Skynet> {
        let leaves = self.size as u64;
        if leaves == 0 || leaves != 10_u64.pow(leaves.ilog10()) {
            return Err(format!("{leaves} leaves: must be a power of ten").into());
        }
        Ok(Skynet { leaves })
    }

    /// Does `echo` on a host.
    fn echo(&self, host: &Host) -> Answer {
        let trips = host.race(Load {
            connections: self.size,
            bytes: ECHO_BYTES,
            interval: self.interval(),
        })?;
        let latencies = &trips.latencies;
        Ok(vec![
            ("ns", trips.ns_each()),
            ("p50", latencies.quantile_us(0.5)),
            ("p99", latencies.quantile_us(0.99)),
            ("p999", latencies.quantile_us(0.999)),
        ])
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

#[cfg(test)]
mod tests {
    use super::*;

    const NS: &[&str] = &["ns"];
    const PACED: &[&str] = &["ns", "ops"];
    const LATENESS: &[&str] = &["p50", "p99", "max"];

    /// Workloads with a small size, and what stands in their answer.
    const WORKLOADS: [(&str, usize, &[&str]); 21] = [
        ("handoff", 0, PACED),
        ("yield-2", 0, PACED),
        ("yield-200", 3, NS),
        ("pingpong", 0, PACED),
        ("stream", 0, PACED),
        ("mpmc", 0, PACED),
        ("select", 0, PACED),
        ("spawn-join", 0, PACED),
        ("spawn-100k", 100, NS),
        ("chained-spawn", 0, PACED),
        ("skynet", 100, NS),
        ("sieve", 10, NS),
        ("mutex", 0, PACED),
        ("mutex-contended", 0, PACED),
        ("sleep-10k", 20, LATENESS),
        ("parked", 50, &["bytes", "spawn", "wake"]),
        ("deep-recursion", 2, NS),
        ("idle", 10, &["cpu", "switches"]),
        ("hogs", 30, LATENESS),
        ("blocked", 30, LATENESS),
        ("echo", 3, &["ns", "p50", "p99", "p999"]),
    ];

    /// What only those do who have stacks that grow and can be parked by hand.
    pub(super) const FOR_STACKS: [&str; 2] = ["handoff", "deep-recursion"];

    pub(super) fn job(peer: &str, workload: &str, procs: u16, size: usize) -> Job {
        Job {
            peer: peer.into(),
            workload: workload.into(),
            procs,
            interval_ms: 2,
            size,
        }
    }

    /// Plays all of them, and does not play those in `without`.
    pub(super) fn answers(peer: &str, play: Play, procs: u16, without: &[&str]) {
        for (workload, size, metrics) in WORKLOADS {
            let answer = play(&job(peer, workload, procs, size));
            if without.contains(&workload) {
                assert!(answer.is_err(), "{workload}");
                continue;
            }
            let answer = answer.expect(workload);
            let names: Vec<_> = answer.iter().map(|(name, _)| *name).collect();
            assert_eq!(names, metrics, "{workload}");
            let is_finite = answer.iter().all(|(_, number)| number.is_finite());
            assert!(is_finite, "{workload}: {answer:?}");
        }
    }
}
