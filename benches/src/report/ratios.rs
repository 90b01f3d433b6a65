//! The results against the budgets.
//!
//! Absolute times belong to a machine; the budgets are ratios of medians of one run, except where
//! a goroutine's memory or a spawn has a limit of its own, and where the scheduler promises a time
//! that slices and pauses of sysmon make, not the machine.

use std::io::{self, Write};

use super::{rounded, table};
use crate::measure::Series;

/// On which side of its bound a value has to be.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Bound {
    AtMost(f64),
    AtLeast(f64),
    Within(f64, f64),
}

/// A row of the table and how it is derived from medians.
struct Budget {
    name: &'static str,
    value: fn(&Medians<'_>) -> Option<f64>,
    must: Bound,
    aim: Option<Bound>,
    unit: &'static str,
}

const KIB: f64 = 1024.0;

/// Mappings may come and go with the heap, but not with goroutines.
const VMAS_MAX: f64 = 0.001;

static BUDGETS: [Budget; 20] = [
    Budget {
        name: "switch-raw: gopark / corosensei",
        value: |m| m.ratio(("switch-raw", "gopark"), ("switch-raw", "corosensei")),
        must: Bound::AtMost(1.5),
        aim: Some(Bound::AtMost(1.0)),
        unit: "x",
    },
    Budget {
        name: "handoff: thread-futex / gopark",
        value: |m| m.ratio(("handoff", "thread-futex"), ("handoff", "gopark")),
        must: Bound::AtLeast(25.0),
        aim: Some(Bound::AtLeast(50.0)),
        unit: "x",
    },
    Budget {
        name: "spawn-join at 1 P",
        value: |m| m.get("spawn-join", "gopark"),
        must: Bound::AtMost(200.0),
        aim: None,
        unit: "ns",
    },
    Budget {
        name: "spawn-join at 1 P / uncontended CAS",
        value: |m| m.ratio(("spawn-join", "gopark"), ("cas", "uncontended")),
        must: Bound::AtMost(30.0),
        aim: None,
        unit: "x",
    },
    Budget {
        name: "deep-recursion: gopark / plain",
        value: |m| m.ratio(("deep-recursion", "gopark"), ("deep-recursion", "plain")),
        must: Bound::AtMost(1.0),
        aim: None,
        unit: "x",
    },
    Budget {
        name: "parked-memory: gopark-dense",
        value: |m| {
            m.get("parked-memory", "gopark-dense")
                .map(|bytes| bytes / KIB)
        },
        must: Bound::AtMost(4.5),
        aim: None,
        unit: "KiB",
    },
    Budget {
        name: "parked-memory: gopark-1g (the default)",
        value: |m| m.get("parked-memory", "gopark-1g").map(|bytes| bytes / KIB),
        must: Bound::AtMost(12.5),
        aim: None,
        unit: "KiB",
    },
    Budget {
        name: "vmas: most of any class",
        value: |m| m.max("vmas"),
        must: Bound::AtMost(VMAS_MAX),
        aim: Some(Bound::AtMost(0.0)),
        unit: "each",
    },
    Budget {
        name: "yield at 1 P (where a CAS takes 6.6 ns)",
        value: |m| m.get("yield", "gopark"),
        must: Bound::AtMost(25.0),
        aim: None,
        unit: "ns",
    },
    Budget {
        name: "yield at 1 P / uncontended CAS",
        value: |m| m.ratio(("yield", "gopark"), ("cas", "uncontended")),
        must: Bound::AtMost(4.0),
        aim: None,
        unit: "x",
    },
    Budget {
        name: "ticker-latency: p99",
        value: |m| m.get("ticker-latency", "gopark-p99"),
        must: Bound::AtMost(25.0),
        aim: None,
        unit: "ms",
    },
    Budget {
        name: "hog-share: of the first of two",
        value: |m| m.get("hog-share", "gopark"),
        must: Bound::Within(0.4, 0.6),
        aim: None,
        unit: "of 1",
    },
    Budget {
        name: "blocked-first: unsaid",
        value: |m| m.get("blocked-first", "gopark-first"),
        must: Bound::AtMost(1000.0),
        aim: None,
        unit: "us",
    },
    Budget {
        name: "sysmon-busy",
        value: |m| m.get("sysmon-busy", "gopark"),
        must: Bound::AtMost(1.0),
        aim: None,
        unit: "%",
    },
    Budget {
        name: "sysmon-idle: switches, most of any sample",
        value: |m| m.worst("sysmon-idle", "gopark-switches"),
        must: Bound::AtMost(0.0),
        aim: None,
        unit: "each",
    },
    Budget {
        name: "echo-64-64b: threads / gopark",
        value: |m| m.ratio(("echo-64-64b", "threads"), ("echo-64-64b", "gopark")),
        must: Bound::AtLeast(1.0),
        aim: None,
        unit: "x",
    },
    Budget {
        name: "echo-64-64b: tokio-1t / gopark-1p",
        value: |m| m.ratio(("echo-64-64b", "tokio-1t"), ("echo-64-64b", "gopark-1p")),
        must: Bound::AtLeast(1.1),
        aim: None,
        unit: "x",
    },
    Budget {
        name: "echo-64-16k: threads / gopark",
        value: |m| m.ratio(("echo-64-16k", "threads"), ("echo-64-16k", "gopark")),
        must: Bound::AtLeast(1.0),
        aim: None,
        unit: "x",
    },
    Budget {
        name: "echo-64-16k: tokio-1t / gopark-1p",
        value: |m| m.ratio(("echo-64-16k", "tokio-1t"), ("echo-64-16k", "gopark-1p")),
        must: Bound::AtLeast(1.1),
        aim: None,
        unit: "x",
    },
    Budget {
        name: "ready-under-hogs: p99",
        value: |m| m.get("ready-under-hogs-p99", "gopark"),
        must: Bound::AtMost(1000.0),
        aim: None,
        unit: "us",
    },
];

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
    fn holds(self, value: f64) -> bool {
        match self {
            Self::AtMost(bound) => value <= bound,
            Self::AtLeast(bound) => value >= bound,
            Self::Within(least, most) => (least..=most).contains(&value),
        }
    }

    fn text(self) -> String {
        match self {
            Self::AtMost(bound) => format!("≤ {bound}"),
            Self::AtLeast(bound) => format!("≥ {bound}"),
            Self::Within(least, most) => format!("{least} to {most}"),
        }
    }
}

/// The medians of a run. Where a peer has several rows, the one with the fewest procs.
struct Medians<'a>(&'a [Series]);

impl Medians<'_> {
    fn row(&self, workload: &str, peer: &str) -> Option<&Series> {
        let rows = self
            .0
            .iter()
            .filter(|s| (s.track.workload, s.track.peer) == (workload, peer));
        rows.min_by_key(|series| series.track.procs)
    }

    fn get(&self, workload: &str, peer: &str) -> Option<f64> {
        self.row(workload, peer).map(Series::median)
    }

    /// The largest sample, for what must never happen.
    fn worst(&self, workload: &str, peer: &str) -> Option<f64> {
        self.row(workload, peer).map(Series::max)
    }

    fn ratio(&self, over: (&str, &str), under: (&str, &str)) -> Option<f64> {
        Some(self.get(over.0, over.1)? / self.get(under.0, under.1)?)
    }

    fn max(&self, workload: &str) -> Option<f64> {
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
