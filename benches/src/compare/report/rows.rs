//! The cells of a contest's table, whatever they are written with.

use crate::compare::contests::{Contest, Metric};
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

/// On how many cores they ran, from few to many.
pub(super) fn procs(entries: &[&Entry]) -> Vec<usize> {
    let mut procs: Vec<usize> = entries.iter().map(|entry| entry.procs).collect();
    procs.sort_unstable();
    procs.dedup();
    procs
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
    header.extend(contest.metrics.iter().map(named));
    header.extend(BESIDE.map(|peer| format!("/ {peer}")));
    header
}

/// A metric with its unit.
pub(super) fn named(metric: &Metric) -> String {
    match metric.key == metric.unit {
        true => metric.unit.to_owned(),
        false => format!("{}, {}", metric.key, metric.unit),
    }
}

/// An entry as a row.
pub(super) struct Row<'a> {
    pub(super) peer: &'a str,
    pub(super) cores: String,
    /// Of each metric, then the ratios; none if there is no sample.
    pub(super) numbers: Vec<String>,
    pub(super) failure: Option<String>,
}

pub(super) fn row<'a>(results: &Results, entry: &'a Entry) -> Row<'a> {
    let metrics = entry.contest.metrics;
    let mut numbers = Vec::new();
    if entry.samples.iter().any(Option::is_some) {
        let texts = metrics.iter().map(|metric| entry.spread(metric).map(text));
        numbers.extend(texts.map(Option::unwrap_or_default));
        numbers.extend(BESIDE.map(|peer| {
            let other = results.entry(entry.contest.name, peer, entry.procs);
            let ratio = other
                .filter(|other| other.peer != entry.peer)
                .and_then(|other| entry.ratio(other, &metrics[0]));
            ratio.map_or_else(String::new, |ratio| rounded(ratio.median))
        }));
    }
    Row {
        peer: entry.peer,
        cores: entry.procs.to_string(),
        numbers,
        failure: failure(entry),
    }
}

/// What happened, and after how many samples.
pub(super) fn failure(entry: &Entry) -> Option<String> {
    let failure = entry.failure.as_deref()?;
    Some(match entry.samples.iter().flatten().count() {
        0 => failure.to_owned(),
        1 => format!("after 1 sample: {failure}"),
        count => format!("after {count} samples: {failure}"),
    })
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
