//! Bars on a logarithmic axis.

use plotters::prelude::*;
use plotters::style::text_anchor::HPos;

use super::rows;
use crate::compare::contests::{Contest, Metric};
use crate::compare::results::{Entry, Results, Spread, is_ours};
use crate::measure::Result;
use crate::report::rounded;
use crate::report::svg::{self, Area, FAINT, INK, LogAxis, OURS, THEIRS};

const WIDTH: u32 = 900;
/// The size of all letters.
const TEXT: i32 = 12;
const ROW: i32 = 20;
const GROUP_GAP: i32 = 10;
const HEAD: i32 = 8;
pub(super) const FOOT: i32 = 26;
/// Where bars begin and where the longest ends.
pub(super) const LEFT: i32 = 200;
pub(super) const RIGHT: i32 = 800;
/// How wide a letter is at most, on average.
const LETTER: i32 = 6;

/// A bar, and what happened.
struct Bar {
    name: String,
    is_ours: bool,
    /// Whether a group begins here.
    begins: bool,
    spread: Option<Spread>,
    failure: Option<String>,
}

/// The first metric of a contest: a bar for each peer, first those on one core.
pub(super) fn contest(results: &Results, contest: &Contest) -> Result<String> {
    let entries = rows::entries(results, contest);
    let mut bars: Vec<Bar> = Vec::new();
    for (index, entry) in entries.iter().enumerate() {
        let begins = index > 0 && entries[index - 1].procs != entry.procs;
        let name = format!("{}, {}", entry.peer, rows::cores(entry.procs));
        bars.push(bar(entry, &contest.metrics[0], name, begins));
    }
    bars_chart(&bars)
}

/// Bytes of a task that waits, of all crowds, peer by peer.
pub(super) fn memory(results: &Results) -> Result<String> {
    let crowds = || {
        results
            .entries
            .iter()
            .filter(|e| e.contest.workload == "parked")
    };
    let mut peers: Vec<&str> = Vec::new();
    for entry in crowds() {
        if !peers.contains(&entry.peer) {
            peers.push(entry.peer);
        }
    }
    let mut bars: Vec<Bar> = Vec::new();
    for peer in peers {
        for (index, entry) in crowds().filter(|entry| entry.peer == peer).enumerate() {
            let begins = index == 0 && !bars.is_empty();
            let name = format!("{peer}, {}", entry.contest.name);
            bars.push(bar(entry, &entry.contest.metrics[0], name, begins));
        }
    }
    bars_chart(&bars)
}

fn bar(entry: &Entry, metric: &Metric, name: String, begins: bool) -> Bar {
    Bar {
        name,
        is_ours: is_ours(entry.peer),
        begins,
        spread: entry.spread(metric),
        failure: rows::failure(entry),
    }
}

fn bars_chart(bars: &[Bar]) -> Result<String> {
    let values = bars.iter().filter_map(|bar| bar.spread);
    let axis = axis(values.flat_map(|s| [s.min, s.median, s.max])).between(LEFT, RIGHT);
    let groups = bars.iter().filter(|bar| bar.begins).count();
    let bottom = HEAD + bars.len() as i32 * ROW + groups as i32 * GROUP_GAP;
    drawing(bottom + FOOT, |area| {
        axis.draw(area, HEAD, bottom)?;
        let mut top = HEAD;
        for bar in bars {
            top += if bar.begins { GROUP_GAP } else { 0 };
            draw_bar(area, bar, axis, top)?;
            top += ROW;
        }
        Ok(())
    })
}

/// That holds all of `values` but zeros, which no logarithm has.
pub(super) fn axis(values: impl Iterator<Item = f64>) -> LogAxis {
    let positive: Vec<f64> = values.filter(|value| *value > 0.0).collect();
    let least = positive.iter().copied().min_by(f64::total_cmp);
    let most = positive.iter().copied().max_by(f64::total_cmp);
    LogAxis::around(least.unwrap_or(1.0), most.unwrap_or(1.0))
}

fn draw_bar(area: &Area<'_>, bar: &Bar, axis: LogAxis, top: i32) -> Result<()> {
    let middle = top + ROW / 2;
    let color = if bar.is_ours { OURS } else { THEIRS };
    let ink = if bar.is_ours { OURS } else { INK };
    put(area, &bar.name, (LEFT - 8, middle), HPos::Right, ink)?;
    let mut free = LEFT + 6;
    if let Some(spread) = bar.spread {
        // Zero is where the bars begin, on the left of everything.
        let at = |value: f64| if value > 0.0 { axis.at(value) } else { LEFT };
        let end = at(spread.median).max(LEFT + 1);
        let corners = [(LEFT, top + 4), (end, top + ROW - 4)];
        area.draw(&Rectangle::new(corners, color.filled()))?;
        let (least, most) = (at(spread.min), at(spread.max));
        area.draw(&PathElement::new([(least, middle), (most, middle)], INK))?;
        let label = rounded(spread.median);
        free = most.max(end) + 6;
        put(area, &label, (free, middle), HPos::Left, INK)?;
        free += (label.len() as i32 + 2) * LETTER;
    }
    match &bar.failure {
        Some(failure) => put(
            area,
            &fitting(failure, free),
            (free, middle),
            HPos::Left,
            FAINT,
        ),
        None => Ok(()),
    }
}

/// As much of `text` as fits between `from` and the edge.
fn fitting(text: &str, from: i32) -> String {
    let room = ((WIDTH as i32 - from) / LETTER).max(0) as usize;
    if text.chars().count() <= room {
        return text.to_owned();
    }
    let kept = text.chars().take(room.saturating_sub(1));
    kept.chain(['…']).collect()
}

pub(super) fn drawing(height: i32, draw: impl FnOnce(&Area<'_>) -> Result<()>) -> Result<String> {
    let mut text = String::new();
    {
        let area = SVGBackend::with_string(&mut text, (WIDTH, height as u32)).into_drawing_area();
        draw(&area)?;
        area.present()?;
    }
    Ok(text)
}

pub(super) fn put(
    area: &Area<'_>,
    text: &str,
    at: (i32, i32),
    side: HPos,
    color: RGBColor,
) -> Result<()> {
    svg::put(area, text, at, side, TEXT, color)
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
    fn a_zero_hides_no_other_sample() {
        let results = results(&[
            ("idle", "gopark", 1, &[0.0, 300.0, 400.0]),
            ("idle", "go", 1, &[0.0, 0.0, 0.0]),
        ]);
        let chart = contest(&results, results.entries[0].contest).unwrap();
        let texts: Vec<&str> = chart.lines().map(str::trim).collect();
        assert!(texts.contains(&"300") && texts.contains(&"0"), "{chart}");
    }

    #[test]
    fn who_fails_later_has_a_bar_and_its_failure() {
        let mut results = results(&[("pingpong", "may", 1, &[123.0, 123.0])]);
        results.entries[0].failure = Some("took longer than 10 s".into());
        let chart = contest(&results, results.entries[0].contest).unwrap();
        assert!(chart.contains("after 2 samples: took longer"), "{chart}");
        assert!(chart.contains("123"), "{chart}");
    }

    #[test]
    fn a_long_failure_ends_at_the_edge() {
        let from = WIDTH as i32 - 10 * LETTER;
        assert_eq!(fitting("0123456789", from), "0123456789");
        assert_eq!(fitting("0123456789a", from), "012345678…");
    }
}
