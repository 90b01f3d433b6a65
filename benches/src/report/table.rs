//! The results for people: one row for each peer of each workload, and what the rows mean.

use std::io::{self, Write};

use comfy_table::presets::ASCII_MARKDOWN;
use comfy_table::{CellAlignment, Table};

use super::rounded;
use crate::measure::{Plan, Series};
use crate::workloads::Workload;

/// Columns from `procs` on hold numbers.
const NUMBERS: [usize; 5] = [2, 4, 5, 6, 7];

pub(crate) fn write(out: &mut dyn Write, all: &[Series]) -> io::Result<()> {
    let header = [
        "workload", "peer", "procs", "unit", "min", "median", "max", "samples",
    ];
    let mut table = empty(&header, &NUMBERS);
    let mut last = "";
    for series in all {
        let track = &series.track;
        // A workload is named once, at its first row.
        let workload = if track.workload == last {
            ""
        } else {
            track.workload
        };
        last = track.workload;
        table.add_row([
            workload,
            track.peer,
            &track.procs.to_string(),
            track.unit,
            &rounded(series.min()),
            &rounded(series.median()),
            &rounded(series.max()),
            &series.samples.len().to_string(),
        ]);
    }
    writeln!(out, "{table}\n")
}

/// A table with its numbers to the right, in a form that Markdown understands too.
pub(crate) fn empty(header: &[impl AsRef<str>], numbers: &[usize]) -> Table {
    let mut table = Table::new();
    table
        .load_preset(ASCII_MARKDOWN)
        .set_header(header.iter().map(AsRef::as_ref));
    for &index in numbers {
        let column = table.column_mut(index).expect("the header has this column");
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

/// What an interval of each workload contains.
pub(crate) fn write_notes(
    out: &mut dyn Write,
    chosen: &[&Workload],
    plan: &Plan,
) -> io::Result<()> {
    writeln!(
        out,
        "A sample is the mean of an interval of {} ms or, where it says so, of a longer one, or of \
         one fresh process. Peers take turns, sample by sample.",
        plan.interval.as_millis()
    )?;
    for workload in chosen {
        writeln!(
            out,
            "  {}: {}",
            workload.names.join(", "),
            (workload.note)(plan)
        )?;
    }
    writeln!(out)
}
