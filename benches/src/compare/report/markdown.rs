//! The report as it is committed.

use std::fmt::Write as _;

use comfy_table::Table;
use comfy_table::presets::ASCII_MARKDOWN;

use super::losses::{self, UNKNOWN};
use super::verdicts;
use super::{method, rows};
use crate::compare::results::Results;
use crate::report::rounded;

pub(super) fn render(results: &Results, date: &str) -> String {
    let mut out = format!("# gopark beside its peers, {date}\n\n");
    add(
        &mut out,
        format_args!("```text\n{}\n```\n", results.machine),
    );
    for (peer, version) in &results.versions {
        add(&mut out, format_args!("- {peer}: {version}"));
    }
    add(&mut out, format_args!("\n{}\n", method(results)));
    budgets(&mut out, results);
    lost(&mut out, results);
    for contest in rows::contests(results) {
        add(
            &mut out,
            format_args!("## {}\n\n{}\n", contest.name, contest.note),
        );
        let mut table = table(rows::header(contest));
        for entry in rows::entries(results, contest) {
            table.add_row(rows::cells(results, entry));
        }
        add(&mut out, format_args!("{table}\n"));
    }
    out
}

/// A line; a string takes it always.
fn add(out: &mut String, line: std::fmt::Arguments<'_>) {
    let written = writeln!(out, "{line}");
    debug_assert!(written.is_ok(), "memory is all that it needs");
}

fn table(header: Vec<String>) -> Table {
    let mut table = Table::new();
    table.load_preset(ASCII_MARKDOWN).set_header(header);
    table
}

fn budgets(out: &mut String, results: &Results) {
    add(out, format_args!("## Budgets\n"));
    let mut table = table(
        ["", "value", "must reach", "aim", ""]
            .map(Into::into)
            .into(),
    );
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
                "- **{}, {}, {}: {} times {}** ({}–{}). {}",
                contest.name,
                rows::cores(loss.ours.procs),
                loss.metric.key,
                rounded(loss.ratio.median),
                loss.rival,
                rounded(loss.ratio.min),
                rounded(loss.ratio.max),
                loss.why.unwrap_or(UNKNOWN),
            ),
        );
    }
    add(out, format_args!(""));
}
