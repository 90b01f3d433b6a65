//! Rounds: everybody in turn, a process for each sample.
//!
//! A peer that fails in one round is not asked again, so that one that hangs costs its limit once.

use std::collections::BTreeMap;
use std::process::Command;
use std::time::Duration;

use super::contests::{Contest, Cores, INSTRUCTIONS, Metric};
use super::programs::Program;
use super::results::{Entry, Sample};
use super::{http, instructions};
use crate::facts;
use crate::measure::Progress;
use crate::peers::threads::Placement;
use crate::process::{self, Limits};

/// What a sample of a quick run may take at most.
const QUICK_TIME: Duration = Duration::from_secs(6);

/// Peers that are here.
pub(super) type Programs = BTreeMap<&'static str, Program>;

/// How long and how often.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rounds {
    pub(super) count: usize,
    pub(super) interval: Duration,
    pub(super) quick: bool,
}

impl Rounds {
    fn size(self, contest: &Contest) -> usize {
        if self.quick {
            contest.quick_size
        } else {
            contest.size
        }
    }
}

/// Who takes part in `contest`, without samples.
pub(super) fn entries(contest: &'static Contest, programs: &Programs) -> Vec<Entry> {
    let mut cores = match contest.cores {
        Cores::One => vec![1],
        Cores::OneAndAll => vec![1, facts::cores()],
    };
    cores.dedup();
    let here = |peer: &&&'static str| programs.contains_key(**peer);
    let peers: Vec<_> = contest.peers.iter().filter(here).collect();
    let both = cores
        .into_iter()
        .flat_map(|procs| peers.iter().map(move |peer| (procs, **peer)));
    both.map(|(procs, peer)| Entry {
        contest,
        peer,
        procs,
        samples: Vec::new(),
        failure: None,
    })
    .collect()
}

/// Runs one contest.
pub(super) fn run(
    contest: &'static Contest,
    programs: &Programs,
    rounds: Rounds,
    progress: &Progress,
) -> Vec<Entry> {
    let mut entries = entries(contest, programs);
    for _ in 0..rounds.count {
        for entry in &mut entries {
            progress.show(&format!(
                "{} {} on {}",
                contest.name, entry.peer, entry.procs
            ));
            if entry.failure.is_none() {
                match sample(entry, &programs[entry.peer], rounds) {
                    Ok(sample) => entry.samples.push(Some(sample)),
                    Err(failure) => entry.failure = Some(failure),
                }
            }
            if entry.failure.is_some() {
                entry.samples.push(None);
            }
            progress.advance(1);
        }
    }
    entries
}

/// What a process is told, where it runs, and what it may use.
fn order(entry: &Entry, program: &Program, rounds: Rounds) -> (Command, Placement, Limits) {
    let contest = entry.contest;
    let mut command = program.command();
    command.args([
        contest.workload.to_owned(),
        entry.procs.to_string(),
        (rounds.interval * contest.longer).as_millis().to_string(),
        rounds.size(contest).to_string(),
    ]);
    let placement = match entry.procs {
        1 => Placement::Pinned,
        _ => Placement::Free,
    };
    let limits = Limits {
        time: if rounds.quick {
            contest.time.min(QUICK_TIME)
        } else {
            contest.time
        },
        memory_mib: Some(contest.memory_mib),
    };
    (command, placement, limits)
}

fn sample(entry: &Entry, program: &Program, rounds: Rounds) -> Result<Sample, String> {
    let contest = entry.contest;
    let (mut command, placement, limits) = order(entry, program, rounds);
    let sample = if contest.workload == http::WORKLOAD {
        http::sample(&mut command, rounds.size(contest), placement, limits)?
    } else {
        answer(&process::output(&mut command, placement, limits)?.stdout)?
    };
    let missing = |metric: &&Metric| metric.judged && !sample.contains_key(metric.key);
    match contest.metrics.iter().find(missing) {
        Some(metric) => Err(format!("said nothing of {}", metric.key)),
        None => Ok(sample),
    }
}

/// Adds the instructions of an operation to the last sample of each entry on one core, where the
/// contest has them and they can be counted.
pub(super) fn count(entries: &mut [Entry], programs: &Programs, rounds: Rounds) {
    for entry in entries {
        let counts = |metric: &Metric| metric.key == INSTRUCTIONS;
        if entry.procs > 1 || !entry.contest.metrics.iter().any(counts) {
            continue;
        }
        let (command, placement, limits) = order(entry, &programs[entry.peer], rounds);
        let last = entry.samples.iter_mut().rev().find_map(Option::as_mut);
        // A peer that does not count its operations, or fails in this run, has no number.
        if let (Some(sample), Ok(found)) = (last, instructions::of(command, placement, limits)) {
            sample.insert(INSTRUCTIONS.into(), found);
        }
    }
}

fn answer(said: &[u8]) -> Result<Sample, String> {
    serde_json::from_slice(said).map_err(|error| {
        let said = String::from_utf8_lossy(said);
        format!("no answer but {:?}: {error}", said.trim())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_an_object_of_numbers() {
        assert_eq!(
            answer(b"{\"ns\":1.5,\"p50\":2}\n").unwrap(),
            Sample::from([("ns".into(), 1.5), ("p50".into(), 2.0)])
        );
        for wrong in ["", "12", "{\"ns\":\"1\"}", "panic"] {
            assert!(answer(wrong.as_bytes()).is_err(), "{wrong}");
        }
    }
}
