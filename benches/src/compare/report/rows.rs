//! The cells of a contest's table, whatever they are written with.

use crate::compare::contests::Contest;
use crate::compare::results::{Entry, Results, Spread};
use crate::report::rounded;

/// Against whom ratios are told.
const BESIDE: [&str; 2] = ["go", "tokio"];

/// The entries of one contest, in their order.
pub(super) fn entries<'a>(results: &'a Results, contest: &Contest) -> Vec<&'a Entry> {
    let all = results.entries.iter();
    all.filter(|entry| entry.contest.name == contest.name)
        .collect()
}

/// Contests that somebody took part in.
pub(super) fn contests(results: &Results) -> Vec<&'static Contest> {
    let mut found: Vec<&'static Contest> = Vec::new();
    for entry in &results.entries {
        if found
            .last()
            .is_none_or(|last| last.name != entry.contest.name)
        {
            found.push(entry.contest);
        }
    }
    found
}

/// The names of the columns.
pub(super) fn header(contest: &Contest) -> Vec<String> {
    let mut header = vec!["peer".to_owned(), "cores".to_owned()];
    for metric in contest.metrics {
        header.push(match metric.key == metric.unit {
            true => metric.unit.to_owned(),
            false => format!("{}, {}", metric.key, metric.unit),
        });
    }
    header.extend(BESIDE.map(|peer| format!("/ {peer}")));
    header
}

/// One row; of a peer that failed, what happened stands in the first cell of numbers.
pub(super) fn cells(results: &Results, entry: &Entry) -> Vec<String> {
    let mut cells = vec![entry.peer.to_owned(), entry.procs.to_string()];
    for (index, metric) in entry.contest.metrics.iter().enumerate() {
        let numbers = entry.spread(metric).map(text);
        cells.push(match (&entry.failure, numbers) {
            (Some(failure), None) if index == 0 => failure.clone(),
            (Some(failure), Some(numbers)) if index == 0 => format!("{numbers}; then {failure}"),
            (_, numbers) => numbers.unwrap_or_default(),
        });
    }
    for peer in BESIDE {
        let other = results.entry(entry.contest.name, peer, entry.procs);
        let ratio = other
            .filter(|other| other.peer != entry.peer)
            .and_then(|other| entry.ratio(other, &entry.contest.metrics[0]));
        cells.push(ratio.map_or_else(String::new, |ratio| rounded(ratio.median)));
    }
    cells
}

fn text(spread: Spread) -> String {
    if spread.min == spread.max {
        return rounded(spread.median);
    }
    let ends = [spread.min, spread.max].map(rounded);
    format!("{} ({}–{})", rounded(spread.median), ends[0], ends[1])
}

/// Of so many cores.
pub(super) fn cores(procs: usize) -> String {
    match procs {
        1 => "1 core".into(),
        procs => format!("{procs} cores"),
    }
}
