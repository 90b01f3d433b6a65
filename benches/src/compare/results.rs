//! What was found, and what follows from it.

use std::collections::BTreeMap;

use super::contests::{Contest, Metric};
use crate::measure::median;

/// All of a run.
pub(crate) struct Results {
    /// The machine, as text.
    pub(crate) machine: String,
    /// Peers with their versions; of those that are not here, why.
    pub(crate) versions: Vec<(&'static str, String)>,
    pub(crate) quick: bool,
    pub(crate) rounds: usize,
    pub(crate) entries: Vec<Entry>,
}

/// A peer in a contest, on so many cores.
pub(crate) struct Entry {
    pub(crate) contest: &'static Contest,
    pub(crate) peer: &'static str,
    pub(crate) procs: usize,
    /// By round; `None` where the peer failed or was no longer asked.
    pub(crate) samples: Vec<Option<Sample>>,
    /// What happened, of a peer that crashed, hung or was too large.
    pub(crate) failure: Option<String>,
}

/// Numbers by the keys of the contest's metrics.
pub(crate) type Sample = BTreeMap<String, f64>;

/// Of samples, or of ratios.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Spread {
    pub(crate) min: f64,
    pub(crate) median: f64,
    pub(crate) max: f64,
}

impl Spread {
    /// `None` if there are no values.
    pub(crate) fn of(values: impl Iterator<Item = f64>) -> Option<Self> {
        let values: Vec<f64> = values.collect();
        let min = values.iter().copied().min_by(f64::total_cmp)?;
        let max = values.iter().copied().max_by(f64::total_cmp)?;
        Some(Self {
            min,
            median: median(values),
            max,
        })
    }
}

/// Whether it is one of gopark's forms.
pub(crate) fn is_ours(peer: &str) -> bool {
    peer.starts_with("gopark")
}

impl Entry {
    /// `None` if the peer has no sample of it.
    pub(crate) fn spread(&self, metric: &Metric) -> Option<Spread> {
        Spread::of(
            self.samples
                .iter()
                .flatten()
                .filter_map(|s| s.get(metric.key).copied()),
        )
    }

    /// This one's numbers divided by the other's, round by round.
    pub(crate) fn ratio(&self, other: &Self, metric: &Metric) -> Option<Spread> {
        let rounds = self.samples.iter().zip(&other.samples);
        Spread::of(rounds.filter_map(|(own, other)| {
            let own = own.as_ref()?.get(metric.key)?;
            let other = other.as_ref()?.get(metric.key)?;
            (*other > 0.0).then_some(own / other)
        }))
    }
}

impl Results {
    pub(crate) fn entry(&self, contest: &str, peer: &str, procs: usize) -> Option<&Entry> {
        self.entries
            .iter()
            .find(|entry| (entry.contest.name, entry.peer, entry.procs) == (contest, peer, procs))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::contests::CONTESTS;

    fn entry(peer: &'static str, values: &[Option<f64>]) -> Entry {
        let sample = |value: &f64| Sample::from([("ns".to_owned(), *value)]);
        Entry {
            contest: &CONTESTS[0],
            peer,
            procs: 1,
            samples: values
                .iter()
                .map(|value| value.as_ref().map(sample))
                .collect(),
            failure: None,
        }
    }

    #[test]
    fn ratios_are_of_the_same_round() {
        let ours = entry("a", &[Some(10.0), Some(30.0), Some(8.0), None]);
        let theirs = entry("b", &[Some(10.0), Some(60.0), None, Some(1.0)]);
        let metric = &CONTESTS[0].metrics[0];
        let ratio = ours.ratio(&theirs, metric).unwrap();
        assert_eq!((ratio.min, ratio.median, ratio.max), (0.5, 0.75, 1.0));
        assert_eq!(ours.spread(metric).unwrap().median, 10.0);
        assert_eq!(entry("c", &[None]).spread(metric), None);
    }
}
