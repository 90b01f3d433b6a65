//! Latencies as curves: percentiles from the left to the right, microseconds upwards.

use plotters::prelude::*;
use plotters::style::text_anchor::HPos;

use super::charts::{FOOT, LEFT, RIGHT, axis, drawing, put};
use super::rows;
use crate::compare::contests::{Contest, Metric};
use crate::compare::results::{Results, is_ours};
use crate::measure::Result;
use crate::report::rounded;
use crate::report::svg::{Area, FAINT, GRID, LogAxis, OURS};

const TOP: i32 = 20;
const BOTTOM: i32 = 220;
/// Where the last percentile is; names follow.
const END: i32 = RIGHT - 60;

/// Medians of a peer, by percentile.
struct Curve<'a> {
    peer: &'a str,
    values: Vec<f64>,
}

/// Percentiles of a contest, a curve for each peer; `None` if it has none.
pub(super) fn latencies(
    results: &Results,
    contest: &Contest,
    procs: usize,
) -> Result<Option<String>> {
    let metrics: Vec<&Metric> = contest.metrics.iter().filter(|m| m.unit == "us").collect();
    let entries = rows::entries(results, contest).into_iter();
    let curves: Vec<Curve<'_>> = entries
        .filter(|entry| entry.procs == procs)
        .filter_map(|entry| {
            let medians = metrics.iter().map(|m| Some(entry.spread(m)?.median));
            Some(Curve {
                peer: entry.peer,
                values: medians.collect::<Option<_>>()?,
            })
        })
        .collect();
    if metrics.len() < 2 || curves.is_empty() {
        return Ok(None);
    }
    // The logarithm grows upwards.
    let axis = axis(curves.iter().flat_map(|curve| curve.values.iter().copied()));
    let axis = axis.between(BOTTOM, TOP);
    drawing(BOTTOM + FOOT, |area| {
        draw_grid(area, axis, &metrics)?;
        draw_curves(area, axis, &curves)
    })
    .map(Some)
}

/// Where the percentile of this index is, of so many.
fn across(index: usize, count: usize) -> i32 {
    LEFT + (END - LEFT) * index as i32 / (count as i32 - 1)
}

fn draw_grid(area: &Area<'_>, axis: LogAxis, metrics: &[&Metric]) -> Result<()> {
    for (value, y) in axis.ticks() {
        area.draw(&PathElement::new([(LEFT, y), (END, y)], GRID))?;
        let label = format!("{} us", rounded(value));
        put(area, &label, (LEFT - 8, y), HPos::Right, FAINT)?;
    }
    for (index, metric) in metrics.iter().enumerate() {
        let at = (across(index, metrics.len()), BOTTOM + 14);
        put(area, metric.key, at, HPos::Center, FAINT)?;
    }
    Ok(())
}

fn draw_curves(area: &Area<'_>, axis: LogAxis, curves: &[Curve<'_>]) -> Result<()> {
    // Zero has no logarithm and lies at the bottom.
    let at = |value: f64| if value > 0.0 { axis.at(value) } else { BOTTOM };
    let mut ends = Vec::new();
    for curve in curves {
        let points = curve.values.iter().enumerate();
        let points = points.map(|(index, value)| (across(index, curve.values.len()), at(*value)));
        let points: Vec<_> = points.collect();
        ends.extend(points.last().map(|(_, y)| *y));
        let style = color(curve.peer).stroke_width(2);
        area.draw(&PathElement::new(points, style))?;
    }
    for (curve, y) in curves.iter().zip(apart(&ends)) {
        put(
            area,
            curve.peer,
            (END + 6, y),
            HPos::Left,
            color(curve.peer),
        )?;
    }
    Ok(())
}

/// The same in every chart, whoever else is in it.
fn color(peer: &str) -> RGBColor {
    match peer {
        "go" => RGBColor(0xc0, 0x56, 0x21),
        "tokio" => RGBColor(0x2f, 0x85, 0x5a),
        "may" => RGBColor(0x80, 0x5a, 0xd5),
        "smol" => RGBColor(0x97, 0x5a, 0x16),
        "fiber" => RGBColor(0xb8, 0x32, 0x80),
        ours if is_ours(ours) => OURS,
        _ => RGBColor(0x4a, 0x55, 0x68),
    }
}

/// Heights for names that belong at `wanted`: in the same order, none over another, and none below
/// the chart.
fn apart(wanted: &[i32]) -> Vec<i32> {
    const APART: i32 = 13;
    let mut order: Vec<usize> = (0..wanted.len()).collect();
    order.sort_by_key(|&index| wanted[index]);
    let mut heights = wanted.to_vec();
    // Downwards each as far as the one above it demands, then upwards again from the bottom.
    for pair in order.windows(2) {
        heights[pair[1]] = heights[pair[1]].max(heights[pair[0]] + APART);
    }
    let mut floor = BOTTOM;
    for &index in order.iter().rev() {
        heights[index] = heights[index].min(floor);
        floor = heights[index] - APART;
    }
    heights
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::report::tests::results;

    #[test]
    fn only_latencies_have_curves() {
        let results = results(&[
            ("hogs", "gopark", 1, &[10.0]),
            ("hogs", "go", 1, &[20.0]),
            ("mutex", "go", 1, &[20.0]),
            ("idle", "go", 1, &[20.0]),
        ]);
        let of = |index: usize, procs| {
            latencies(&results, results.entries[index].contest, procs).unwrap()
        };
        assert!(of(0, 1).is_some_and(|chart| chart.matches("polyline").count() >= 2));
        assert!(of(0, 2).is_none() && of(2, 1).is_none() && of(3, 1).is_none());
    }

    #[test]
    fn a_latency_of_zero_is_at_the_bottom() {
        let results = results(&[("hogs", "gopark", 1, &[0.0]), ("hogs", "go", 1, &[20.0])]);
        let chart = latencies(&results, results.entries[0].contest, 1).unwrap();
        assert!(chart.is_some_and(|chart| chart.contains("gopark")));
    }

    #[test]
    fn names_keep_their_order_and_do_not_overlap() {
        assert_eq!(apart(&[50, 30, 100]), [50, 30, 100]);
        assert_eq!(apart(&[52, 50, 51]), [76, 50, 63]);
        assert_eq!(apart(&[BOTTOM, BOTTOM - 2]), [BOTTOM, BOTTOM - 13]);
    }
}
