//! The report of a comparison: for programs, for people, for the repository.

mod charts;
mod curves;
mod html;
mod losses;
mod markdown;
mod raw;
mod rows;
mod verdicts;

use super::results::Results;
use crate::measure::Result;

/// Everything, with the raw samples.
pub(crate) fn json(results: &Results) -> Result<String> {
    raw::render(results)
}

/// Tables and words, to be committed.
pub(crate) fn markdown(results: &Results, date: &str) -> String {
    markdown::render(results, date)
}

/// One page with charts that needs nothing else.
pub(crate) fn html(results: &Results, date: &str) -> Result<String> {
    html::render(results, date)
}

/// How it was measured.
fn method(results: &Results) -> String {
    if results.quick {
        return "A quick run: one sample of each peer, with small sizes and short intervals. It \
                shows that everything runs; its numbers mean nothing."
            .into();
    }
    format!(
        "Each sample is a process of its own, pinned to one core or free on all, after a warm-up \
         of its own. Peers take turns, {} rounds; ratios are taken round by round, and the median \
         of them is given. Numbers are medians with the least and the most. Less is better \
         everywhere.",
        results.rounds
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::contests::CONTESTS;
    use crate::compare::results::{Entry, Sample};

    /// `(contest, peer, procs, samples of the first metric)`; no samples: a failure.
    pub(super) fn results(of: &[(&str, &'static str, usize, &[f64])]) -> Results {
        let entry = |&(name, peer, procs, values): &(&str, &'static str, usize, &[f64])| {
            let contest = CONTESTS.iter().find(|c| c.name == name).expect("a contest");
            let sample = |value: &f64| {
                let numbers = contest.metrics.iter().map(|m| (m.key.to_owned(), *value));
                Some(numbers.collect::<Sample>())
            };
            Entry {
                contest,
                peer,
                procs,
                samples: values.iter().map(sample).collect(),
                failure: values.is_empty().then(|| "SIGSEGV <&\">".to_owned()),
            }
        };
        Results {
            machine: "cpu      <none>".into(),
            versions: vec![("go", "go1.0".into())],
            quick: false,
            rounds: 3,
            entries: of.iter().map(entry).collect(),
        }
    }

    fn sample() -> Results {
        results(&[
            ("pingpong", "gopark", 1, &[100.0, 110.0, 90.0]),
            ("pingpong", "go", 1, &[500.0, 450.0, 600.0]),
            ("pingpong", "tokio", 1, &[50.0, 50.0, 50.0]),
            ("pingpong", "may", 1, &[]),
            ("echo-64", "gopark", 2, &[9000.0, 9100.0]),
        ])
    }

    #[test]
    fn a_page_is_whole_and_asks_nobody_for_anything() {
        let page = html(&sample(), "2020-02-02").unwrap();
        assert!(page.starts_with("<!doctype html>") && page.trim_end().ends_with("</html>"));
        for loading in ["src=", "href=\"http", "url(", "@import", "<script"] {
            assert!(!page.contains(loading), "{loading}");
        }
        assert!(page.contains("SIGSEGV &lt;&amp;&quot;&gt;"));
        assert!(page.contains("<svg"));
    }

    #[test]
    fn a_failure_and_a_loss_have_their_places() {
        let text = markdown(&sample(), "2020-02-02");
        assert!(
            text.contains("2020-02-02") && text.contains("SIGSEGV"),
            "{text}"
        );
        assert!(text.contains("pingpong, 1 core"), "{text}");
    }

    #[test]
    fn raw_samples_are_kept() {
        let all: serde_json::Value = serde_json::from_str(&json(&sample()).unwrap()).unwrap();
        assert_eq!(all["entries"][1]["samples"][2]["ns"], 600.0);
        assert_eq!(all["entries"][3]["failure"], "SIGSEGV <&\">");
        assert_eq!(all["rounds"], 3);
    }
}
