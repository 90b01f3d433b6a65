//! The report as it is committed.

use std::fmt::Write as _;

use super::losses;
use super::rows::Row;
use super::verdicts;
use super::{method, rows};
use crate::compare::results::Results;
use crate::report::{rounded, table};

pub(super) fn render(results: &Results, date: &str) -> String {
    let mut out = format!("# gopark beside its peers, {date}\n\n");
    add(
        &mut out,
        format_args!("```text\n{}\n```\n", results.machine),
    );
    for (peer, version) in &results.versions {
        add(&mut out, format_args!("- {peer}: {}", plain(version)));
    }
    add(&mut out, format_args!("\n{}\n", method(results)));
    budgets(&mut out, results);
    lost(&mut out, results);
    for contest in rows::contests(results) {
        add(
            &mut out,
            format_args!("## {}\n\n{}\n", contest.name, contest.note),
        );
        let mut table = table::empty(&rows::header(contest), &[]);
        for entry in rows::entries(results, contest) {
            table.add_row(cells(rows::row(results, entry), contest.metrics.len()));
        }
        add(&mut out, format_args!("{table}\n"));
    }
    out
}

/// What happened to a peer stands with the first of its numbers, or in their place.
fn cells(row: Row<'_>, metrics: usize) -> Vec<String> {
    let mut numbers = row.numbers;
    if numbers.is_empty() {
        numbers.resize(metrics, String::new());
    }
    if let Some(failure) = row.failure {
        let apart = if numbers[0].is_empty() { "" } else { "; " };
        numbers[0] += &format!("{apart}{}", plain(&failure));
    }
    let mut cells = vec![row.peer.to_owned(), row.cores];
    cells.extend(numbers);
    cells
}

/// Text of others on one line, without what Markdown takes for its own: in a cell a bar would end
/// it.
fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '<' => out.push_str("&lt;"),
            '&' => out.push_str("&amp;"),
            '|' | '*' | '_' | '`' | '[' | ']' | '\\' => out.extend(['\\', char]),
            control if control.is_control() => out.push(' '),
            other => out.push(other),
        }
    }
    out
}

/// A line; a string takes it always.
fn add(out: &mut String, line: std::fmt::Arguments<'_>) {
    let written = writeln!(out, "{line}");
    debug_assert!(written.is_ok(), "memory is all that it needs");
}

fn budgets(out: &mut String, results: &Results) {
    add(out, format_args!("## Budgets\n"));
    let mut table = table::empty(&["", "value", "must reach", "aim", ""], &[]);
    for row in verdicts::all(results) {
        table.add_row([
            row.name.to_owned(),
            row.value(),
            row.must.text(),
            row.aim.map_or_else(String::new, |aim| aim.text()),
            row.verdict.text().to_owned(),
        ]);
    }
    add(out, format_args!("{table}\n"));
}

fn lost(out: &mut String, results: &Results) {
    add(
        out,
        format_args!("## Where gopark needs more than 1.1 times as much\n"),
    );
    let losses = losses::all(results);
    if losses.is_empty() {
        add(out, format_args!("Nowhere, beside Go, tokio and may.\n"));
    }
    for loss in losses {
        let contest = loss.ours.contest;
        add(
            out,
            format_args!(
                "- **{}, {}, {}: {} needs {} times what {} needs** ({}–{}). {}",
                contest.name,
                rows::cores(loss.ours.procs),
                loss.metric.key,
                loss.ours.peer,
                rounded(loss.ratio.median),
                loss.rival,
                rounded(loss.ratio.min),
                rounded(loss.ratio.max),
                loss.why,
            ),
        );
    }
    add(out, format_args!(""));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::report::tests::results;

    #[test]
    fn a_failure_stays_within_its_cell() {
        let mut results = results(&[
            ("stream", "go", 1, &[100.0, 120.0]),
            ("stream", "may", 1, &[]),
        ]);
        for entry in &mut results.entries {
            entry.failure = Some("left | right\n<b>".into());
        }
        let text = render(&results, "2020-02-02");
        let row = |peer: &str| {
            let mut rows = text.lines().filter(|line| line.starts_with("| "));
            rows.find(|line| line.starts_with(&format!("| {peer} ")))
                .expect("a row")
        };
        for (peer, first) in [
            (
                "go",
                r"110 (100–120); after 2 samples: left \| right &lt;b>",
            ),
            ("may", r"left \| right &lt;b>"),
        ] {
            assert!(row(peer).contains(first), "{}", row(peer));
            let bars = row(peer).replace(r"\|", "").matches('|').count();
            assert_eq!(bars, row("peer").matches('|').count());
        }
    }
}
