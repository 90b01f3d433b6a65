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
const REASONS: &[(&str, &str, &str)] = &[
    ("parked-10k", "bytes", PAGES),
    ("parked-100k", "bytes", PAGES),
    ("parked-1m", "bytes", PAGES),
    ("parked-10k", "spawn", FIRST_TOUCH),
    ("parked-100k", "spawn", FIRST_TOUCH),
    ("parked-1m", "spawn", FIRST_TOUCH),
    ("hogs", "p50", THREADS_SHARE),
    ("hogs", "p99", THREADS_SHARE),
];

/// Of the memory of stacks.
const PAGES: &str = "\
    A stack is a mapping of its own, so that it grows in place: the least is one page of 4096 \
    bytes, to which come its entry in the page tables and its share of them. A task of tokio's is \
    one allocation of the size of its future, and Go's stacks are pieces of 2048 bytes that are \
    copied when they grow.";

/// Of what it takes to get a stack that was never used.
const FIRST_TOUCH: &str = "\
    All are alive at once, each on a page that nobody has touched: the kernel zeroes and maps it. \
    What that takes by itself is the row of `threads` at deep-recursion, where plain demand \
    paging does nothing else.";

/// Of a ticker beside hogs.
const THREADS_SHARE: &str = "\
    may resumes a sleeper on the thread of its timers, which is none of its workers \
    (`init_scheduler` in its scheduler.rs), and the kernel shares the core between that thread \
    and the hogs, as it does between `threads`. gopark and Go do with one thread for each P, and \
    suspend a hog at the end of its slice of 10 ms.";

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
