//! Budgets: what has to be reached beside whom.
//!
//! All are ratios of one run on one machine, taken round by round, but for memory, which depends on
//! no clock.

use crate::compare::results::{Entry, Results, Sample, Spread, is_ours};
use crate::report::ratios::Bound;
use crate::report::rounded;

/// What came of a budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Missed,
    Met,
    /// Beyond what must be reached, what is aimed at too.
    MetAim,
    /// Somebody whom it needs is not here.
    NotMeasured,
}

/// A row of the table.
pub(super) struct Judged {
    pub(super) name: &'static str,
    value: Option<Spread>,
    unit: &'static str,
    /// Whether gopark crashed, hung or was too large, in any round.
    has_failed: bool,
    pub(super) must: Bound,
    pub(super) aim: Option<Bound>,
    pub(super) verdict: Verdict,
}

/// How a number is derived from a sample; `None` where something is missing.
type Number = fn(&Sample) -> Option<f64>;

/// One side of a ratio.
#[derive(Clone, Copy)]
struct Side {
    /// The faster of these.
    peers: &'static [&'static str],
    number: Number,
}

struct Budget {
    name: &'static str,
    contest: &'static str,
    /// On one core, or on all.
    on_one: bool,
    over: Side,
    /// Without it the number itself is judged.
    under: Option<Side>,
    unit: &'static str,
    must: Bound,
    aim: Option<Bound>,
}

const NS: Number = |sample| sample.get("ns").copied();
const KIB: Number = |sample| Some(sample.get("bytes")? / 1024.0);
const THERE_AND_BACK: Number = |sample| Some(sample.get("spawn")? + sample.get("wake")?);

const fn of(peers: &'static [&'static str], number: Number) -> Side {
    Side { peers, number }
}

/// `theirs` divided by gopark's, on one core.
const fn beside(
    name: &'static str,
    contest: &'static str,
    theirs: &'static [&'static str],
    must: f64,
    aim: Option<f64>,
) -> Budget {
    Budget {
        name,
        contest,
        on_one: true,
        over: of(theirs, NS),
        under: Some(of(&["gopark"], NS)),
        unit: "x",
        must: Bound::AtLeast(must),
        aim: match aim {
            Some(aim) => Some(Bound::AtLeast(aim)),
            None => None,
        },
    }
}

const fn memory(
    name: &'static str,
    contest: &'static str,
    peer: &'static [&'static str],
    kib: f64,
) -> Budget {
    Budget {
        over: of(peer, KIB),
        under: None,
        unit: "KiB",
        must: Bound::AtMost(kib),
        ..beside(name, contest, &[], 0.0, None)
    }
}

static BUDGETS: [Budget; 12] = [
    Budget {
        over: of(&["gopark-raw"], NS),
        under: Some(of(&["corosensei"], NS)),
        must: Bound::AtMost(1.5),
        aim: Some(Bound::AtMost(1.0)),
        ..beside(
            "switch-raw: gopark / corosensei",
            "switch-raw",
            &[],
            0.0,
            None,
        )
    },
    beside(
        "yield-2, 1 core: Go / gopark",
        "yield-2",
        &["go"],
        6.0,
        Some(15.0),
    ),
    beside(
        "pingpong, 1 core: Go / gopark",
        "pingpong",
        &["go"],
        4.0,
        Some(8.0),
    ),
    beside(
        "spawn-join, 1 core: Go / gopark",
        "spawn-join",
        &["go"],
        4.0,
        None,
    ),
    beside("stream, 1 core: Go / gopark", "stream", &["go"], 2.0, None),
    Budget {
        on_one: false,
        ..beside(
            "skynet, all cores: Go / gopark",
            "skynet",
            &["go"],
            3.0,
            None,
        )
    },
    memory(
        "parked-100k: a dense goroutine",
        "parked-100k",
        &["gopark-dense"],
        4.5,
    ),
    memory(
        "parked-10k: a default goroutine",
        "parked-10k",
        &["gopark"],
        12.5,
    ),
    Budget {
        over: of(&["go"], THERE_AND_BACK),
        under: Some(of(&["gopark-dense"], THERE_AND_BACK)),
        ..beside(
            "parked-1m, spawn and wake: Go / gopark",
            "parked-1m",
            &[],
            1.0,
            None,
        )
    },
    beside(
        "echo-64, 1 core: the faster of Go and tokio / gopark",
        "echo-64",
        &["go", "tokio"],
        1.1,
        None,
    ),
    Budget {
        on_one: false,
        ..beside(
            "echo-64, all cores: the faster of Go and tokio / gopark",
            "echo-64",
            &["go", "tokio"],
            1.1,
            None,
        )
    },
    beside(
        "handoff, 1 core: threads by futex / gopark",
        "handoff",
        &["threads"],
        25.0,
        Some(50.0),
    ),
];

/// All budgets.
pub(super) fn all(results: &Results) -> Vec<Judged> {
    BUDGETS
        .iter()
        .map(|budget| judge(results, budget))
        .collect()
}

fn judge(results: &Results, budget: &Budget) -> Judged {
    let value = value(results, budget);
    let has_failed = has_failed(results, budget);
    let verdict = match value.map(|spread| spread.median) {
        _ if has_failed => Verdict::Missed,
        None => Verdict::NotMeasured,
        Some(median) if !budget.must.holds(median) => Verdict::Missed,
        Some(median) if budget.aim.is_some_and(|aim| aim.holds(median)) => Verdict::MetAim,
        Some(_) => Verdict::Met,
    };
    Judged {
        name: budget.name,
        value,
        unit: budget.unit,
        has_failed,
        must: budget.must,
        aim: budget.aim,
        verdict,
    }
}

/// A budget is for gopark to reach; numbers of a peer that then crashed do not reach it.
fn has_failed(results: &Results, budget: &Budget) -> bool {
    let sides = [Some(budget.over), budget.under];
    let peers = sides.iter().flatten().flat_map(|side| side.peers);
    peers
        .filter(|peer| is_ours(peer))
        .filter_map(|peer| entry(results, budget, peer))
        .any(|entry| entry.failure.is_some())
}

fn entry<'a>(results: &'a Results, budget: &Budget, peer: &str) -> Option<&'a Entry> {
    results.entries.iter().find(|entry| {
        (entry.contest.name, entry.peer) == (budget.contest, peer)
            && (entry.procs == 1) == budget.on_one
    })
}

fn value(results: &Results, budget: &Budget) -> Option<Spread> {
    let over = by_round(results, budget, budget.over)?;
    let Some(under) = budget.under else {
        return Spread::of(over.into_iter().flatten());
    };
    let under = by_round(results, budget, under)?;
    let rounds = over.into_iter().zip(under);
    Spread::of(rounds.filter_map(|(over, under)| {
        let under = under.filter(|under| *under > 0.0)?;
        Some(over? / under)
    }))
}

/// The least of the peers in each round; `None` if one of them is not here at all.
fn by_round(results: &Results, budget: &Budget, side: Side) -> Option<Vec<Option<f64>>> {
    let mut least = vec![None; results.rounds];
    for peer in side.peers {
        let entry = entry(results, budget, peer)?;
        for (least, sample) in least.iter_mut().zip(&entry.samples) {
            let number = sample.as_ref().and_then(side.number);
            *least = match (*least, number) {
                (Some(least), Some(number)) => Some(f64::min(least, number)),
                (one, other) => one.or(other),
            };
        }
    }
    Some(least)
}

impl Judged {
    /// The median, the least and the most, or why there are none.
    pub(super) fn value(&self) -> String {
        let value = self.value.map(|spread| {
            let [min, median, max] = [spread.min, spread.median, spread.max].map(rounded);
            format!("{median} {} ({min}–{max})", self.unit)
        });
        match (value, self.has_failed) {
            (Some(value), true) => format!("{value}, then gopark failed"),
            (None, true) => "gopark failed".into(),
            (value, false) => value.unwrap_or_default(),
        }
    }
}

impl Verdict {
    /// In words and as a sign.
    pub(super) fn text(self) -> &'static str {
        match self {
            Self::Missed => "❌ missed",
            Self::Met => "✅ met",
            Self::MetAim => "✅ met, aim too",
            Self::NotMeasured => "not measured",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::report::tests::results;

    fn verdict(name: &str, results: &Results) -> Verdict {
        let all = all(results);
        let row = all.iter().find(|row| row.name.starts_with(name));
        row.expect("a budget").verdict
    }

    #[test]
    fn ratios_are_judged_round_by_round() {
        let with = |go: &[f64]| {
            let gopark: &[f64] = &[10.0, 20.0, 30.0];
            results(&[("pingpong", "gopark", 1, gopark), ("pingpong", "go", 1, go)])
        };
        assert_eq!(
            verdict("pingpong", &with(&[30.0, 70.0, 100.0])),
            Verdict::Missed
        );
        assert_eq!(
            verdict("pingpong", &with(&[50.0, 80.0, 90.0])),
            Verdict::Met
        );
        assert_eq!(
            verdict("pingpong", &with(&[90.0, 190.0, 10.0])),
            Verdict::MetAim
        );
        assert_eq!(verdict("pingpong", &with(&[])), Verdict::NotMeasured);
        assert_eq!(verdict("stream", &with(&[50.0])), Verdict::NotMeasured);
    }

    #[test]
    fn of_two_the_faster_counts() {
        let all = results(&[
            ("echo-64", "gopark", 1, &[10.0]),
            ("echo-64", "go", 1, &[30.0]),
            ("echo-64", "tokio", 1, &[10.5]),
        ]);
        assert_eq!(verdict("echo-64, 1 core", &all), Verdict::Missed);
        assert_eq!(verdict("echo-64, all", &all), Verdict::NotMeasured);
    }

    #[test]
    fn a_budget_is_missed_if_gopark_failed() {
        let go: (&str, &'static str, usize, &[f64]) = ("pingpong", "go", 1, &[500.0, 500.0]);
        let mut all = results(&[("pingpong", "gopark", 1, &[50.0, 50.0]), go]);
        assert_eq!(verdict("pingpong", &all), Verdict::MetAim);
        all.entries[0].samples[1] = None;
        all.entries[0].failure = Some("took longer than 10 s".into());
        assert_eq!(verdict("pingpong", &all), Verdict::Missed);
        let all = results(&[("pingpong", "gopark", 1, &[]), go]);
        assert_eq!(verdict("pingpong", &all), Verdict::Missed);
    }

    #[test]
    fn at_most_has_an_aim_too() {
        let with = |ours: f64| {
            let ours = [ours];
            let all = results(&[
                ("switch-raw", "gopark-raw", 1, &ours),
                ("switch-raw", "corosensei", 1, &[10.0]),
            ]);
            verdict("switch-raw", &all)
        };
        let found = [9.0, 14.0, 16.0].map(with);
        assert_eq!(found, [Verdict::MetAim, Verdict::Met, Verdict::Missed]);
    }

    #[test]
    fn memory_is_judged_as_it_is() {
        let with = |bytes: &[f64]| results(&[("parked-100k", "gopark-dense", 1, bytes)]);
        assert_eq!(verdict("parked-100k", &with(&[4600.0])), Verdict::Met);
        assert_eq!(verdict("parked-100k", &with(&[4700.0])), Verdict::Missed);
    }
}
