//! The results as a picture: a bar for each row, a logarithmic axis for each unit.
//!
//! Times differ by a factor of ten thousand, so only a logarithmic axis shows them all; equal
//! distances on it are equal ratios. A bar ends at the median, the thin line spans all samples.

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::{grouped, rounded};
use crate::facts::Facts;
use crate::measure::{Result, Series};

const WIDTH: u32 = 1080;
const ROW: i32 = 20;
const GROUP_GAP: i32 = 10;
const PANEL_HEAD: i32 = 34;
const PANEL_FOOT: i32 = 34;
const TITLE: i32 = 64;
/// Where the bars begin, and where the longest ends.
const LEFT: i32 = 330;
const RIGHT: i32 = 960;

pub(crate) const OURS: RGBColor = RGBColor(0x1f, 0x6f, 0xb4);
pub(crate) const THEIRS: RGBColor = RGBColor(0xb4, 0xb9, 0xc0);
pub(crate) const INK: RGBColor = RGBColor(0x22, 0x26, 0x2b);
pub(crate) const FAINT: RGBColor = RGBColor(0x6b, 0x72, 0x7b);
pub(crate) const GRID: RGBColor = RGBColor(0xe4, 0xe7, 0xea);

pub(crate) type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// Units in the order of their panels. Counts may be zero and have no place here, nor have shares,
/// of which one half is right.
const PANELS: [(&str, &str); 6] = [
    ("ns", "time, ns"),
    ("us", "time, us"),
    ("ms", "time, ms"),
    ("%", "CPU, % of a core"),
    ("ns/page", "deep recursion, ns per page"),
    ("bytes", "memory, bytes"),
];

pub(super) fn render(series: &[Series], facts: &Facts) -> Result<String> {
    let panels: Vec<Panel<'_>> = PANELS
        .iter()
        .filter_map(|&(unit, title)| Panel::new(series, unit, title))
        .collect();
    let height = TITLE + panels.iter().map(|panel| panel.height()).sum::<i32>();
    let mut text = String::new();
    {
        let area = SVGBackend::with_string(&mut text, (WIDTH, height as u32)).into_drawing_area();
        area.fill(&WHITE)?;
        draw_title(&area, facts)?;
        let mut top = TITLE;
        for panel in &panels {
            panel.draw(&area, top)?;
            top += panel.height();
        }
        area.present()?;
    }
    Ok(text)
}

fn draw_title(area: &Area<'_>, facts: &Facts) -> Result<()> {
    put(
        area,
        "gopark beside its peers",
        (24, 24),
        HPos::Left,
        20,
        INK,
    )?;
    let machine = format!(
        "{}, {} cores, Linux {}, commit {}; median, thin line min to max, logarithmic",
        facts.cpu, facts.cores, facts.kernel, facts.commit
    );
    put(area, &machine, (24, 46), HPos::Left, 12, FAINT)
}

pub(crate) fn put(
    area: &Area<'_>,
    text: &str,
    at: (i32, i32),
    side: HPos,
    size: i32,
    color: RGBColor,
) -> Result<()> {
    // plotters divides by this, to turn its sizes into those of the font.
    let size = f64::from(size) * 1.24;
    let style = ("sans-serif", size)
        .into_font()
        .color(&color)
        .pos(Pos::new(side, VPos::Center));
    Ok(area.draw(&Text::new(text.to_owned(), at, style))?)
}

/// All rows of one unit.
struct Panel<'a> {
    title: &'static str,
    rows: Vec<&'a Series>,
    axis: LogAxis,
}

impl<'a> Panel<'a> {
    fn new(series: &'a [Series], unit: &str, title: &'static str) -> Option<Self> {
        let drawable = |s: &&Series| s.track.unit == unit && s.min() > 0.0;
        let rows: Vec<_> = series.iter().filter(drawable).collect();
        let least = rows.iter().map(|s| s.min()).min_by(f64::total_cmp)?;
        let most = rows.iter().map(|s| s.max()).max_by(f64::total_cmp)?;
        Some(Self {
            title,
            rows,
            axis: LogAxis::around(least, most),
        })
    }

    /// Whether a row begins a workload.
    fn begins(&self, index: usize) -> bool {
        index == 0 || self.rows[index].track.workload != self.rows[index - 1].track.workload
    }

    fn rows_height(&self) -> i32 {
        let groups = (0..self.rows.len())
            .filter(|&index| self.begins(index))
            .count();
        self.rows.len() as i32 * ROW + groups as i32 * GROUP_GAP
    }

    fn height(&self) -> i32 {
        PANEL_HEAD + self.rows_height() + PANEL_FOOT
    }

    fn draw(&self, area: &Area<'_>, top: i32) -> Result<()> {
        put(
            area,
            self.title,
            (24, top + PANEL_HEAD / 2),
            HPos::Left,
            15,
            INK,
        )?;
        let first = top + PANEL_HEAD;
        self.axis.draw(area, first, first + self.rows_height())?;
        let mut y = first;
        for (index, series) in self.rows.iter().enumerate() {
            if self.begins(index) {
                y += GROUP_GAP;
                put(
                    area,
                    series.track.workload,
                    (24, y + ROW / 2),
                    HPos::Left,
                    13,
                    INK,
                )?;
            }
            self.draw_row(area, series, y)?;
            y += ROW;
        }
        Ok(())
    }

    fn draw_row(&self, area: &Area<'_>, series: &Series, top: i32) -> Result<()> {
        let middle = top + ROW / 2;
        let ours = series.track.peer.starts_with("gopark");
        let name = match series.track.procs {
            1 => series.track.peer.to_owned(),
            procs => format!("{} ({procs} cores)", series.track.peer),
        };
        put(
            area,
            &name,
            (LEFT - 8, middle),
            HPos::Right,
            12,
            if ours { OURS } else { INK },
        )?;

        let end = self.axis.at(series.median());
        let bar = [(LEFT, top + 4), (end.max(LEFT + 1), top + ROW - 4)];
        area.draw(&Rectangle::new(
            bar,
            if ours { OURS } else { THEIRS }.filled(),
        ))?;
        let (least, most) = (self.axis.at(series.min()), self.axis.at(series.max()));
        area.draw(&PathElement::new([(least, middle), (most, middle)], INK))?;
        put(
            area,
            &rounded(series.median()),
            (most.max(end) + 6, middle),
            HPos::Left,
            12,
            INK,
        )
    }
}

/// Whole powers of ten from one place to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LogAxis {
    first: i32,
    last: i32,
    start: i32,
    end: i32,
}

impl LogAxis {
    /// That holds both values, from `LEFT` to `RIGHT`.
    pub(crate) fn around(least: f64, most: f64) -> Self {
        debug_assert!(0.0 < least && least <= most, "{least} to {most}");
        let first = least.log10().floor() as i32;
        Self {
            first,
            last: (most.log10().ceil() as i32).max(first + 1),
            start: LEFT,
            end: RIGHT,
        }
    }

    /// At another place.
    pub(crate) fn between(self, start: i32, end: i32) -> Self {
        Self { start, end, ..self }
    }

    pub(crate) fn at(self, value: f64) -> i32 {
        let part = (value.log10() - f64::from(self.first)) / f64::from(self.last - self.first);
        self.start + (part * f64::from(self.end - self.start)).round() as i32
    }

    /// The powers and their places.
    pub(crate) fn ticks(self) -> impl Iterator<Item = (f64, i32)> {
        let powers = (self.first..=self.last).map(|power| 10_f64.powi(power));
        powers.map(move |value| (value, self.at(value)))
    }

    pub(crate) fn draw(self, area: &Area<'_>, top: i32, bottom: i32) -> Result<()> {
        for (value, x) in self.ticks() {
            let label = if value < 1.0 {
                rounded(value)
            } else {
                grouped(value)
            };
            area.draw(&PathElement::new([(x, top), (x, bottom + 4)], GRID))?;
            put(area, &label, (x, bottom + 14), HPos::Center, 11, FAINT)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_axis_is_logarithmic_and_holds_all_values() {
        let axis = LogAxis::around(2.1, 41_000.0);
        assert_eq!((axis.first, axis.last), (0, 5));
        assert_eq!((axis.at(1.0), axis.at(100_000.0)), (LEFT, RIGHT));
        let step = axis.at(10.0) - axis.at(1.0);
        assert_eq!(axis.at(1000.0) - axis.at(100.0), step);
    }

    #[test]
    fn equal_values_still_have_an_axis() {
        let axis = LogAxis::around(10.0, 10.0);
        assert_eq!((axis.first, axis.last), (1, 2));
    }
}
