//! The results for programs.

use serde::Serialize;

use crate::compare::results::{Results, Sample};
use crate::measure::Result;

#[derive(Serialize)]
struct All<'a> {
    machine: Vec<&'a str>,
    versions: Vec<(&'a str, &'a str)>,
    quick: bool,
    rounds: usize,
    entries: Vec<Row<'a>>,
}

#[derive(Serialize)]
struct Row<'a> {
    workload: &'a str,
    peer: &'a str,
    cores: usize,
    failure: Option<&'a str>,
    /// By round; `null` where there is none.
    samples: &'a [Option<Sample>],
}

pub(super) fn render(results: &Results) -> Result<String> {
    let entries = results.entries.iter().map(|entry| Row {
        workload: entry.contest.name,
        peer: entry.peer,
        cores: entry.procs,
        failure: entry.failure.as_deref(),
        samples: &entry.samples,
    });
    let versions = results.versions.iter();
    let all = All {
        machine: results.machine.lines().collect(),
        versions: versions
            .map(|(peer, text)| (*peer, text.as_str()))
            .collect(),
        quick: results.quick,
        rounds: results.rounds,
        entries: entries.collect(),
    };
    Ok(serde_json::to_string_pretty(&all)? + "\n")
}
