//! The results against the budgets.
//!
//! Peers that were not measured have no row here, and neither has a budget that needs them.

use std::io::{self, Write};

pub(crate) use super::budgets::Bound;
use super::budgets::{BUDGETS, Budget};
use super::{rounded, table};
use crate::measure::Series;

pub(crate) fn write(out: &mut dyn Write, all: &[Series]) -> io::Result<()> {
    let medians = Medians(all);
    let mut table = table::empty(&["ratios", "value", "must reach", "aim", ""], &[1, 2, 3]);
    for budget in &BUDGETS {
        let Some(value) = (budget.value)(&medians) else {
            continue;
        };
        let aim = budget.aim.map_or_else(String::new, Bound::text);
        let value_text = format!("{} {}", rounded(value), budget.unit);
        table.add_row([
            budget.name,
            &value_text,
            &budget.must.text(),
            &aim,
            budget.verdict(value),
        ]);
    }
    if table.row_count() == 0 {
        return Ok(());
    }
    writeln!(out, "{table}\n")
}

impl Budget {
    fn verdict(&self, value: f64) -> &'static str {
        match (self.must.holds(value), self.aim) {
            (false, _) => "missed",
            (true, Some(aim)) if aim.holds(value) => "met, aim too",
            (true, _) => "met",
        }
    }
}

impl Bound {
    pub(crate) fn holds(self, value: f64) -> bool {
        match self {
            Self::AtMost(bound) => value <= bound,
            Self::AtLeast(bound) => value >= bound,
            Self::Within(least, most) => (least..=most).contains(&value),
        }
    }

    pub(crate) fn text(self) -> String {
        match self {
            Self::AtMost(bound) => format!("≤ {bound}"),
            Self::AtLeast(bound) => format!("≥ {bound}"),
            Self::Within(least, most) => format!("{least} to {most}"),
        }
    }
}

/// The medians of a run. Where a peer has several rows, the one with the fewest procs.
pub(super) struct Medians<'a>(&'a [Series]);

impl Medians<'_> {
    fn row(&self, workload: &str, peer: &str) -> Option<&Series> {
        let rows = self
            .0
            .iter()
            .filter(|s| (s.track.workload, s.track.peer) == (workload, peer));
        rows.min_by_key(|series| series.track.procs)
    }

    pub(super) fn get(&self, workload: &str, peer: &str) -> Option<f64> {
        self.row(workload, peer).map(Series::median)
    }

    /// The largest sample, for what must never happen.
    pub(super) fn worst(&self, workload: &str, peer: &str) -> Option<f64> {
        self.row(workload, peer).map(Series::max)
    }

    pub(super) fn ratio(&self, over: (&str, &str), under: (&str, &str)) -> Option<f64> {
        Some(self.get(over.0, over.1)? / self.get(under.0, under.1)?)
    }

    pub(super) fn max(&self, workload: &str) -> Option<f64> {
        let rows = self
            .0
            .iter()
            .filter(|series| series.track.workload == workload);
        rows.map(Series::median).max_by(f64::total_cmp)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::Track;

    fn series(workload: &'static str, peer: &'static str, procs: usize, ns: f64) -> Series {
        Series {
            track: Track {
                workload,
                peer,
                procs,
                unit: "ns",
            },
            samples: vec![ns; 10],
        }
    }

    fn written(all: &[Series]) -> String {
        let mut text = Vec::new();
        write(&mut text, all).unwrap();
        String::from_utf8(text).unwrap()
    }

    #[test]
    fn a_budget_is_met_or_missed_by_medians_of_one_p() {
        let cas = series("cas", "uncontended", 1, 6.0);
        let at = |ns| series("spawn-join", "gopark", 1, ns);
        let all = |ns| {
            [
                cas.clone(),
                series("spawn-join", "gopark", 2, 9000.0),
                at(ns),
            ]
        };
        assert_eq!(written(&all(150.0)).matches("met").count(), 2);
        assert_eq!(written(&all(190.0)).matches("missed").count(), 1);
        assert_eq!(written(&all(201.0)).matches("missed").count(), 2);
    }

    #[test]
    fn a_share_has_two_sides() {
        let verdict = |share| written(&[series("hog-share", "gopark", 1, share)]);
        assert!(
            verdict(0.5).contains("0.4 to 0.6 |     | met"),
            "{}",
            verdict(0.5)
        );
        assert_eq!(verdict(0.39).matches("missed").count(), 1);
        assert_eq!(verdict(0.61).matches("missed").count(), 1);
    }

    #[test]
    fn an_idle_runtime_is_judged_by_its_worst_sample() {
        let mut idle = series("sysmon-idle", "gopark-switches", 2, 0.0);
        assert_eq!(written(&[idle.clone()]).matches("met").count(), 1);
        idle.samples[3] = 1.0;
        assert_eq!(written(&[idle]).matches("missed").count(), 1);
    }

    #[test]
    fn what_was_not_measured_is_not_judged() {
        assert_eq!(written(&[series("cas", "uncontended", 1, 6.0)]), "");
    }
}
