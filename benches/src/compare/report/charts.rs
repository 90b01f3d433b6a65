//! Charts: bars on a logarithmic axis, and latencies as curves.

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::rows;
use crate::compare::contests::Contest;
use crate::compare::results::{Entry, Results, Spread};
use crate::measure::Result;
use crate::report::rounded;
use crate::report::svg::{FAINT, GRID, INK, LogAxis, OURS, THEIRS};

const WIDTH: u32 = 900;
const ROW: i32 = 20;
const HEAD: i32 = 8;
const FOOT: i32 = 26;
/// Where bars begin and where the longest ends.
const LEFT: i32 = 200;
const RIGHT: i32 = 800;

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// A bar, or what happened instead.
struct Bar<'a> {
    name: String,
    is_ours: bool,
    spread: Option<Spread>,
    failure: Option<&'a str>,
}

/// The first metric of a contest: a bar for each peer.
pub(super) fn contest(results: &Results, contest: &Contest) -> Result<String> {
    let metric = &contest.metrics[0];
    let bars = rows::entries(results, contest)
        .into_iter()
        .map(|entry| Bar {
            name: format!("{}, {}", entry.peer, rows::cores(entry.procs)),
            ..bar(entry, entry.spread(metric))
        });
    bars_chart(&bars.collect::<Vec<_>>())
}

/// Bytes of a task that waits, of all crowds.
pub(super) fn memory(results: &Results) -> Result<String> {
    let crowds = results.entries.iter().filter_map(|entry| {
        let metric = entry.contest.metrics.iter().find(|m| m.key == "bytes")?;
        Some(Bar {
            name: format!("{} {}", entry.contest.name, entry.peer),
            ..bar(entry, entry.spread(metric))
        })
    });
    bars_chart(&crowds.collect::<Vec<_>>())
}

fn bar(entry: &Entry, spread: Option<Spread>) -> Bar<'_> {
    Bar {
        name: String::new(),
        is_ours: entry.peer.starts_with("gopark"),
        spread: spread.filter(|spread| spread.min > 0.0),
        failure: entry.failure.as_deref(),
    }
}

fn bars_chart(bars: &[Bar<'_>]) -> Result<String> {
    let spreads = || bars.iter().filter_map(|bar| bar.spread);
    let least = spreads().map(|s| s.min).min_by(f64::total_cmp);
    let most = spreads().map(|s| s.max).max_by(f64::total_cmp);
    let axis = LogAxis::around(least.unwrap_or(1.0), most.unwrap_or(1.0)).between(LEFT, RIGHT);
    let bottom = HEAD + bars.len() as i32 * ROW;
    drawing(bottom + FOOT, |area| {
        axis.draw(area, HEAD, bottom)?;
        for (index, bar) in bars.iter().enumerate() {
            draw_bar(area, bar, axis, HEAD + index as i32 * ROW)?;
        }
        Ok(())
    })
}

fn draw_bar(area: &Area<'_>, bar: &Bar<'_>, axis: LogAxis, top: i32) -> Result<()> {
    let middle = top + ROW / 2;
    let color = if bar.is_ours { OURS } else { THEIRS };
    let ink = if bar.is_ours { OURS } else { INK };
    put(area, &bar.name, (LEFT - 8, middle), HPos::Right, ink)?;
    let Some(spread) = bar.spread else {
        let failure: String = bar.failure.unwrap_or("0").chars().take(100).collect();
        return put(area, &failure, (LEFT + 6, middle), HPos::Left, FAINT);
    };
    let end = axis.at(spread.median).max(LEFT + 1);
    let corners = [(LEFT, top + 4), (end, top + ROW - 4)];
    area.draw(&Rectangle::new(corners, color.filled()))?;
    let (least, most) = (axis.at(spread.min), axis.at(spread.max));
    area.draw(&PathElement::new([(least, middle), (most, middle)], INK))?;
    let label = (most.max(end) + 6, middle);
    put(area, &rounded(spread.median), label, HPos::Left, INK)
}

/// Percentiles of a contest in microseconds, a curve for each peer; `None` if it has none.
pub(super) fn latencies(
    results: &Results,
    contest: &Contest,
    procs: usize,
) -> Result<Option<String>> {
    const BOTTOM: i32 = 220;
    let metrics: Vec<_> = contest.metrics.iter().filter(|m| m.unit == "us").collect();
    let entries = rows::entries(results, contest);
    let curves: Vec<(&Entry, Vec<f64>)> = entries
        .into_iter()
        .filter(|entry| entry.procs == procs)
        .filter_map(|entry| {
            let medians = metrics
                .iter()
                .map(|metric| Some(entry.spread(metric)?.median));
            Some((entry, medians.collect::<Option<Vec<f64>>>()?))
        })
        .collect();
    let values = || curves.iter().flat_map(|(_, values)| values).copied();
    let positive = || values().filter(|value| *value > 0.0);
    let (Some(least), Some(most)) = (
        positive().min_by(f64::total_cmp),
        values().max_by(f64::total_cmp),
    ) else {
        return Ok(None);
    };
    if metrics.len() < 2 {
        return Ok(None);
    }
    // The logarithm grows upwards.
    let axis = LogAxis::around(least, most).between(BOTTOM, 20);
    let step = (RIGHT - LEFT - 60) / (metrics.len() as i32 - 1);
    drawing(BOTTOM + FOOT, |area| {
        for (value, y) in axis.ticks() {
            area.draw(&PathElement::new([(LEFT, y), (RIGHT - 60, y)], GRID))?;
            let label = format!("{} us", rounded(value));
            put(area, &label, (LEFT - 8, y), HPos::Right, FAINT)?;
        }
        for (index, metric) in metrics.iter().enumerate() {
            let at = (LEFT + index as i32 * step, BOTTOM + 14);
            put(area, metric.key, at, HPos::Center, FAINT)?;
        }
        let mut taken = Vec::new();
        for (index, (entry, values)) in curves.iter().enumerate() {
            let color = match entry.peer.starts_with("gopark") {
                true => OURS,
                false => PALETTE[index % PALETTE.len()],
            };
            let points = values.iter().enumerate();
            let points = points
                .map(|(index, value)| (LEFT + index as i32 * step, axis.at(value.max(least))));
            let points: Vec<_> = points.collect();
            let end = *points.last().expect("two metrics at least");
            area.draw(&PathElement::new(points, color.stroke_width(2)))?;
            let label = (end.0 + 6, free(&mut taken, end.1));
            put(area, entry.peer, label, HPos::Left, color)?;
        }
        Ok(())
    })
    .map(Some)
}

/// Colours of the others.
const PALETTE: [RGBColor; 6] = [
    RGBColor(0xc0, 0x56, 0x21),
    RGBColor(0x2f, 0x85, 0x5a),
    RGBColor(0x80, 0x5a, 0xd5),
    RGBColor(0x97, 0x5a, 0x16),
    RGBColor(0xb8, 0x32, 0x80),
    RGBColor(0x4a, 0x55, 0x68),
];

/// The height next to `wanted` at which no other name stands.
fn free(taken: &mut Vec<i32>, wanted: i32) -> i32 {
    const APART: i32 = 13;
    let is_free = |y: &i32| taken.iter().all(|other| (other - y).abs() >= APART);
    let around = (0..40).flat_map(|by| [wanted - by * 4, wanted + by * 4]);
    let y = around.into_iter().find(is_free).unwrap_or(wanted);
    taken.push(y);
    y
}

fn drawing(height: i32, draw: impl FnOnce(&Area<'_>) -> Result<()>) -> Result<String> {
    let mut text = String::new();
    {
        let area = SVGBackend::with_string(&mut text, (WIDTH, height as u32)).into_drawing_area();
        draw(&area)?;
        area.present()?;
    }
    Ok(text)
}

fn put(area: &Area<'_>, text: &str, at: (i32, i32), side: HPos, color: RGBColor) -> Result<()> {
    // plotters divides by this, to turn its sizes into those of the font.
    let style = ("sans-serif", 12.0 * 1.24)
        .into_font()
        .color(&color)
        .pos(Pos::new(side, VPos::Center));
    Ok(area.draw(&Text::new(text.to_owned(), at, style))?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::report::tests::results;

    #[test]
    fn a_chart_has_every_peer_and_what_happened_to_it() {
        let results = results(&[
            ("pingpong", "gopark", 1, &[100.0, 200.0]),
            ("pingpong", "may", 1, &[]),
        ]);
        let chart = contest(&results, results.entries[0].contest).unwrap();
        assert!(chart.contains("gopark, 1 core") && chart.contains("may, 1 core"));
        assert!(chart.contains("SIGSEGV"), "{chart}");
    }

    #[test]
    fn only_latencies_have_curves() {
        let results = results(&[
            ("hogs", "gopark", 1, &[10.0]),
            ("hogs", "go", 1, &[20.0]),
            ("mutex", "go", 1, &[20.0]),
        ]);
        let of = |index: usize| latencies(&results, results.entries[index].contest, 1).unwrap();
        assert!(of(0).is_some_and(|chart| chart.matches("polyline").count() >= 2));
        assert!(of(2).is_none());
    }

    #[test]
    fn names_at_the_end_of_curves_do_not_overlap() {
        let mut taken = Vec::new();
        let mut at: Vec<_> = (0..6).map(|_| free(&mut taken, 100)).collect();
        at.sort_unstable();
        assert!(at.windows(2).all(|pair| pair[1] - pair[0] >= 13), "{at:?}");
    }
}
