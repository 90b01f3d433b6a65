//! Where somebody is faster, and why.

use crate::compare::contests::Metric;
use crate::compare::results::{Entry, Results, Spread};

/// More than this is a loss.
const LOST: f64 = 1.1;

/// To whom nothing shall be lost without a reason.
const RIVALS: [&str; 3] = ["go", "tokio", "may"];

/// A workload at which a rival needs less.
pub(super) struct Loss<'a> {
    pub(super) ours: &'a Entry,
    pub(super) rival: &'a str,
    pub(super) metric: &'static Metric,
    pub(super) ratio: Spread,
    pub(super) why: Option<&'static str>,
}

/// What was found out about them, by workload and metric.
const REASONS: &[(&str, &str, &str)] = &[];

/// All of them, in the order of the contests.
pub(super) fn all(results: &Results) -> Vec<Loss<'_>> {
    let mut losses = Vec::new();
    for ours in results
        .entries
        .iter()
        .filter(|entry| is_best(results, entry))
    {
        for metric in ours.contest.metrics.iter().filter(|metric| metric.judged) {
            for rival in RIVALS {
                let theirs = results.entry(ours.contest.name, rival, ours.procs);
                let ratio = theirs.and_then(|theirs| ours.ratio(theirs, metric));
                if let Some(ratio) = ratio.filter(|ratio| ratio.median > LOST) {
                    losses.push(Loss {
                        ours,
                        rival,
                        metric,
                        ratio,
                        why: why(ours.contest.name, metric.key),
                    });
                }
            }
        }
    }
    losses
}

/// Of two of ours in a contest the one with the small stacks: it is the one for crowds.
fn is_best(results: &Results, entry: &Entry) -> bool {
    match entry.peer {
        "gopark-dense" | "gopark-raw" => true,
        "gopark" => {
            let dense = results.entry(entry.contest.name, "gopark-dense", entry.procs);
            dense.is_none()
        }
        _ => false,
    }
}

fn why(contest: &str, metric: &str) -> Option<&'static str> {
    let reasons = REASONS.iter();
    let mut matching = reasons.filter(|(name, key, _)| (*name, *key) == (contest, metric));
    matching.next().map(|(_, _, why)| *why)
}

/// What stands where nobody has found it out.
pub(super) const UNKNOWN: &str = "No measured explanation yet.";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::contests::CONTESTS;
    use crate::compare::report::tests::results;

    #[test]
    fn a_tenth_more_is_no_loss() {
        let with = |ours: f64| {
            let ours = [ours; 3];
            let results = results(&[
                ("stream", "gopark", 1, &ours),
                ("stream", "tokio", 1, &[100.0; 3]),
                ("stream", "tokio", 2, &[1.0; 3]),
            ]);
            all(&results).len()
        };
        assert_eq!((with(105.0), with(120.0)), (0, 1));
    }

    #[test]
    fn a_reason_is_for_something_that_is_measured() {
        for (contest, key, why) in REASONS {
            let contest = CONTESTS.iter().find(|c| c.name == *contest);
            let judged = |c: &&crate::compare::contests::Contest| {
                c.metrics
                    .iter()
                    .any(|metric| metric.judged && metric.key == *key)
            };
            assert!(contest.filter(judged).is_some(), "{key}: {why}");
        }
    }
}
