//! Where somebody is faster, and why.

use super::rows;
use crate::compare::contests::Metric;
use crate::compare::results::{Entry, Results, Spread, is_ours};

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
    /// In a sentence; where it is that of an earlier one, whose.
    pub(super) why: String,
}

/// What was found out about them, by workload and metric.
const REASONS: &[(&str, &str, &str)] = &[
    ("parked-10k", "bytes", PAGES),
    ("parked-100k", "bytes", PAGES),
    ("parked-1m", "bytes", PAGES),
    ("parked-10k", "spawn", FIRST_TOUCH),
    ("parked-100k", "spawn", FIRST_TOUCH),
    ("parked-1m", "spawn", FIRST_TOUCH),
    ("parked-10k", "wake", OWN_PAGES),
    ("parked-100k", "wake", OWN_PAGES),
    ("parked-1m", "wake", OWN_PAGES),
    ("echo-1000", "ns", COLD_TURNS),
    ("http", "ns", TURNS_AT_THE_POLLER),
    ("idle", "cpu", FALLING_ASLEEP),
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

/// Of waking many, each on memory of its own.
const OWN_PAGES: &str = "\
    Header and frames of a goroutine lie on a page of its own, some twenty cache lines that \
    nothing else has touched since. Over and over in one process, on one core and with stacks of \
    64 KiB, waking, running, ending and joining one takes 210 ns with 1000 and 1240 with 10 000 \
    (tokio 125 and 135, 380 with 100 000): what is beyond 210 is memory out of the caches. Before \
    frames were prefetched while another runs it was 1670.";

/// Of connections whose turn comes after a thousand others.
const COLD_TURNS: &str = "\
    The kernel takes the same time on both sides (18.2 us of a round trip on one core, of 22.5 \
    and 20.4), the runtime 4.3 us and tokio's 2.1 (perf). Each turn of a goroutine begins with \
    its header and frames out of the caches, some thirty lines where a task has a few; the first \
    look at the header alone, when its event comes, takes 1.2 us. On two cores tokio lets some \
    connections go round many times before others have their turn (p50 3.2 ms, p99 40; gopark's \
    11.7 and 14.2), and those are warm.";

/// Of a server and its client on two cores.
const TURNS_AT_THE_POLLER: &str = "\
    Both need about as much of the processors for a request (8.4 and 8.1 us, /proc), but wrk \
    takes a core for itself, so three threads share two. With one P on the same two cores the \
    server takes 8.5 us a request, with two 9.3 to 12; tokio 8.6 with one worker, 8.7 to 11 with \
    two. Two Ms take turns in the poller, and wake each other: 0.14 switches a request, tokio's \
    0.11.";

/// Of an idle second.
const FALLING_ASLEEP: &str = "\
    What is used is the way to sleep: the M, sysmon and the thread for chores each look once more \
    whether anything is left to do. From then on no thread of the runtime wakes up, which a test \
    asserts.";

/// Of a ticker beside hogs.
const THREADS_SHARE: &str = "\
    may resumes a sleeper on the thread of its timers, which is none of its workers \
    (`init_scheduler` in its scheduler.rs), and the kernel shares the core between that thread \
    and the hogs, as it does between `threads`. gopark and Go do with one thread for each P, and \
    suspend a hog at the end of its slice of 10 ms.";

/// All of them, in the order of the contests.
pub(super) fn all(results: &Results) -> Vec<Loss<'_>> {
    let mut losses = Vec::new();
    let mut told = Told::default();
    for contest in rows::contests(results) {
        let entries = rows::entries(results, contest);
        for procs in rows::procs(&entries) {
            for metric in contest.metrics.iter().filter(|metric| metric.judged) {
                let Some(ours) = best(&entries, procs, metric) else {
                    continue;
                };
                losses.extend(RIVALS.iter().filter_map(|rival| {
                    let theirs = results.entry(contest.name, rival, procs)?;
                    let ratio = ours.ratio(theirs, metric)?;
                    // Lazily: a reason counts as given only where it is printed.
                    (ratio.median > LOST).then(|| Loss {
                        ours,
                        rival,
                        metric,
                        ratio,
                        why: told.why(contest.name, metric.key),
                    })
                }));
            }
        }
    }
    losses
}

/// Of ours the one that needs least of it.
fn best<'a>(entries: &[&'a Entry], procs: usize, metric: &Metric) -> Option<&'a Entry> {
    let ours = entries
        .iter()
        .filter(|entry| entry.procs == procs && is_ours(entry.peer));
    let medians = ours.filter_map(|entry| Some((*entry, entry.spread(metric)?.median)));
    let least = medians.min_by(|(_, one), (_, other)| one.total_cmp(other));
    least.map(|(entry, _)| entry)
}

/// The reasons that have been given so far, each with the workload and the metric for which it was.
#[derive(Debug, Default)]
struct Told(Vec<(&'static str, String)>);

impl Told {
    fn why(&mut self, contest: &str, metric: &str) -> String {
        let mut matching = REASONS
            .iter()
            .filter(|(name, key, _)| (*name, *key) == (contest, metric));
        let Some((_, _, why)) = matching.next() else {
            return UNKNOWN.into();
        };
        let label = format!("{contest}, {metric}");
        if let Some((_, first)) = self.0.iter().find(|(told, _)| told == why) {
            return if *first == label {
                "As above.".into()
            } else {
                format!("As at {first}.")
            };
        }
        self.0.push((why, label));
        (*why).into()
    }
}

/// What stands where nobody has found it out.
const UNKNOWN: &str = "No measured explanation yet.";

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
    fn the_better_of_ours_is_named() {
        let all = results(&[
            ("parked-10k", "gopark", 1, &[900.0; 3]),
            ("parked-10k", "gopark-dense", 1, &[300.0; 3]),
            ("parked-10k", "may", 1, &[100.0; 3]),
        ]);
        let losses = super::all(&all);
        let found: Vec<_> = losses
            .iter()
            .map(|loss| (loss.ours.peer, loss.metric.key, loss.ratio.median))
            .collect();
        let of = |key| ("gopark-dense", key, 3.0);
        assert_eq!(found, ["bytes", "spawn", "wake"].map(of));
    }

    #[test]
    fn a_reason_is_given_once() {
        let mut told = Told::default();
        let mut why = |contest| told.why(contest, "bytes");
        assert_eq!(why("parked-10k"), PAGES);
        assert_eq!(why("parked-10k"), "As above.");
        assert_eq!(why("parked-1m"), "As at parked-10k, bytes.");
        assert_eq!(why("sieve"), UNKNOWN);
    }

    #[test]
    fn the_first_loss_has_the_reason_though_others_were_none() {
        let all = results(&[
            ("echo-1000", "gopark", 1, &[150.0; 3]),
            ("echo-1000", "go", 1, &[150.0; 3]),
            ("echo-1000", "tokio", 1, &[100.0; 3]),
        ]);
        let losses = super::all(&all);
        let found: Vec<_> = losses.iter().map(|loss| (loss.rival, &*loss.why)).collect();
        assert_eq!(found, [("tokio", COLD_TURNS)]);
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
