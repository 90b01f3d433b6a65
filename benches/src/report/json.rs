//! The results for programs: an array with one object for each row of the table.

use serde::Serialize;

use crate::measure::{Result, Series};

#[derive(Serialize)]
struct Row<'a> {
    workload: &'a str,
    peer: &'a str,
    procs: usize,
    unit: &'a str,
    samples: &'a [f64],
    min: f64,
    median: f64,
    max: f64,
}

pub(super) fn render(series: &[Series]) -> Result<String> {
    let rows: Vec<Row<'_>> = series.iter().map(row).collect();
    let mut text = serde_json::to_string_pretty(&rows)?;
    text.push('\n');
    Ok(text)
}

fn row(series: &Series) -> Row<'_> {
    Row {
        workload: series.track.workload,
        peer: series.track.peer,
        procs: series.track.procs,
        unit: series.track.unit,
        samples: &series.samples,
        min: series.min(),
        median: series.median(),
        max: series.max(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::Track;

    #[test]
    fn a_row_has_exactly_these_keys() {
        let track = Track {
            workload: "yield",
            peer: "gopark",
            procs: 1,
            unit: "ns",
        };
        let text = render(&[Series {
            track,
            samples: vec![2.0, 1.0, 3.0],
        }])
        .unwrap();
        let rows: Vec<serde_json::Map<String, serde_json::Value>> =
            serde_json::from_str(&text).unwrap();
        let mut keys: Vec<_> = rows[0].keys().map(String::as_str).collect();
        keys.sort_unstable();
        let expected = [
            "max", "median", "min", "peer", "procs", "samples", "unit", "workload",
        ];
        assert_eq!(keys, expected);
        assert_eq!(rows[0]["samples"], serde_json::json!([2.0, 1.0, 3.0]));
        assert_eq!(rows[0]["median"], 2.0);
    }
}
