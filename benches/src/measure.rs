//! Taking samples.
//!
//! A clock read costs as much as ten of the operations measured here, so an operation is repeated
//! until an interval is filled and one *sample* is the mean of that interval. How many repetitions
//! fill it is found first ([`filling`]); that also warms caches and predictors.
//!
//! A machine drifts: its clock speed, its other load. Measuring all of A and then all of B would
//! put the drift into their ratio. Peers of one workload therefore take turns, A B C A B C, and
//! every sample of A has a sample of B taken milliseconds later.

use std::error::Error;
use std::fmt;
use std::panic::{self, AssertUnwindSafe};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use crate::workloads::Workload;

/// Fewer samples than this say nothing about spread.
pub(crate) const SAMPLES_MIN: u64 = 10;

pub(crate) type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// How long and how often to measure.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) samples: u64,
    pub(crate) interval: Duration,
    pub(crate) quick: bool,
}

/// What the numbers of one peer are: one row of the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Track {
    pub(crate) workload: &'static str,
    pub(crate) peer: &'static str,
    pub(crate) procs: usize,
    pub(crate) unit: &'static str,
}

/// One track and its samples, in the order in which they were taken.
#[derive(Clone, Debug)]
pub(crate) struct Series {
    pub(crate) track: Track,
    pub(crate) samples: Vec<f64>,
}

/// Somebody who can do a workload.
pub(crate) trait Peer {
    /// The rows that one sample fills, in the order of its values.
    fn tracks(&self) -> Vec<Track>;
    /// Settles how much work one sample is.
    fn prepare(&mut self, interval: Duration) -> Result<()>;
    /// Does it once.
    fn sample(&mut self) -> Result<Vec<f64>>;
}

/// A peer that repeats an operation in this process.
pub(crate) struct Timed<F> {
    track: Track,
    iterations: u64,
    run: F,
}

impl<F: FnMut(u64) -> Result<Duration>> Timed<F> {
    /// `run` does the operation as often as it is told and says how long that took, without the
    /// set-up around it.
    pub(crate) fn boxed<'a>(track: Track, run: F) -> Box<dyn Peer + 'a>
    where
        F: 'a,
    {
        Box::new(Self {
            track,
            iterations: 1,
            run,
        })
    }
}

impl<F: FnMut(u64) -> Result<Duration>> Peer for Timed<F> {
    fn tracks(&self) -> Vec<Track> {
        vec![self.track.clone()]
    }

    fn prepare(&mut self, interval: Duration) -> Result<()> {
        self.iterations = filling(interval, &mut self.run)?;
        Ok(())
    }

    fn sample(&mut self) -> Result<Vec<f64>> {
        let elapsed = (self.run)(self.iterations)?;
        let each = elapsed.as_nanos() as f64 / self.iterations as f64;
        Ok(vec![each / self.track.unit_ns()])
    }
}

/// A peer whose sample is one run in this process that gives several values.
pub(crate) struct Sampled<F> {
    tracks: Vec<Track>,
    run: F,
}

impl<F: FnMut() -> Result<Vec<f64>>> Sampled<F> {
    /// `run` gives a value for each of `tracks`, in their order.
    pub(crate) fn boxed<'a>(tracks: Vec<Track>, run: F) -> Box<dyn Peer + 'a>
    where
        F: 'a,
    {
        Box::new(Self { tracks, run })
    }
}

impl<F: FnMut() -> Result<Vec<f64>>> Peer for Sampled<F> {
    fn tracks(&self) -> Vec<Track> {
        self.tracks.clone()
    }

    fn prepare(&mut self, _: Duration) -> Result<()> {
        // To warm up.
        (self.run)().map(drop)
    }

    fn sample(&mut self) -> Result<Vec<f64>> {
        let values = (self.run)()?;
        debug_assert_eq!(values.len(), self.tracks.len());
        Ok(values)
    }
}

/// How many operations fill `interval`: `run` does so many and says how long they took.
///
/// Looking for the number also warms caches and predictors.
pub(crate) fn filling(
    interval: Duration,
    mut run: impl FnMut(u64) -> Result<Duration>,
) -> Result<u64> {
    // Far more than any workload needs: it bounds the loop if the clock stands still.
    const COUNT_MAX: u64 = 1 << 34;
    let trial = interval / 4;
    let mut count = 1;
    let mut elapsed = run(count)?;
    while elapsed < trial && count < COUNT_MAX {
        count *= if elapsed < trial / 16 { 8 } else { 2 };
        elapsed = run(count)?;
    }
    let fill = interval.as_secs_f64() / elapsed.as_secs_f64().max(1e-9);
    Ok(((count as f64 * fill) as u64).max(1))
}

/// Times `iterations` calls of `operation`.
#[inline(always)]
pub(crate) fn time(iterations: u64, mut operation: impl FnMut()) -> Duration {
    let start = Instant::now();
    for _ in 0..iterations {
        operation();
    }
    start.elapsed()
}

/// What a run has found so far.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) series: Vec<Series>,
    pub(crate) failures: Vec<String>,
}

/// Runs one workload: all its peers, in turn. A peer that fails is left out from there on.
pub(crate) fn run(workload: &Workload, plan: &Plan, progress: &Progress, outcome: &mut Outcome) {
    let mut racers: Vec<Racer> = match (workload.peers)(plan) {
        Ok(peers) => peers.into_iter().map(Racer::new).collect(),
        Err(error) => {
            outcome
                .failures
                .push(format!("{}: {error}", workload.names[0]));
            return;
        }
    };
    for racer in &mut racers {
        progress.show(&racer.name);
        racer.attempt(|peer| peer.prepare(plan.interval).map(|()| Vec::new()));
    }
    for _ in 0..plan.samples {
        for racer in &mut racers {
            progress.show(&racer.name);
            racer.attempt(|peer| peer.sample());
        }
        progress.advance(workload.weight);
    }
    for racer in racers {
        match racer.failure {
            Some(failure) => outcome.failures.push(format!("{}: {failure}", racer.name)),
            None => outcome.series.extend(racer.series),
        }
    }
}

/// A peer in a run, with what it has delivered.
struct Racer<'a> {
    peer: Box<dyn Peer + 'a>,
    name: String,
    series: Vec<Series>,
    failure: Option<String>,
}

impl<'a> Racer<'a> {
    fn new(peer: Box<dyn Peer + 'a>) -> Self {
        let tracks = peer.tracks();
        let name = tracks[0].to_string();
        let series = tracks.into_iter().map(|track| Series {
            track,
            samples: Vec::new(),
        });
        Self {
            peer,
            name,
            series: series.collect(),
            failure: None,
        }
    }

    fn attempt(&mut self, act: impl FnOnce(&mut dyn Peer) -> Result<Vec<f64>>) {
        if self.failure.is_some() {
            return;
        }
        // A peer that panicked is not used again, so nobody sees what it left behind.
        let done = panic::catch_unwind(AssertUnwindSafe(|| act(&mut *self.peer)));
        match done.unwrap_or_else(|_| Err("panicked, see above".into())) {
            Ok(values) => {
                for (series, value) in self.series.iter_mut().zip(values) {
                    series.samples.push(value);
                }
            }
            Err(error) => self.failure = Some(error.to_string()),
        }
    }
}

impl Track {
    /// Nanoseconds in the unit, which is one of time.
    fn unit_ns(&self) -> f64 {
        match self.unit {
            "ns" => 1.0,
            "us" => 1e3,
            other => unreachable!("{self} is timed, and not in {other}"),
        }
    }
}

impl fmt::Display for Track {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.workload, self.peer)
    }
}

impl Series {
    fn sorted(&self) -> Vec<f64> {
        let mut sorted = self.samples.clone();
        sorted.sort_by(f64::total_cmp);
        assert!(!sorted.is_empty(), "no samples of {}", self.track);
        sorted
    }

    pub(crate) fn min(&self) -> f64 {
        self.sorted()[0]
    }

    pub(crate) fn max(&self) -> f64 {
        *self.sorted().last().expect("not empty")
    }

    pub(crate) fn median(&self) -> f64 {
        median(self.sorted())
    }
}

/// The middle value, or the mean of the two in the middle.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len() % 2 == 1 {
        values[middle]
    } else {
        values[middle - 1].midpoint(values[middle])
    }
}

/// The bar on standard error; silent when that is not a terminal.
///
/// It is drawn between samples only, never by a thread of its own: that would be measured too.
#[derive(Debug)]
pub(crate) struct Progress(ProgressBar);

impl Progress {
    pub(crate) fn new(steps: u64) -> Self {
        let bar = ProgressBar::new(steps);
        let style = ProgressStyle::with_template("{bar:30} {percent:>3} % {elapsed} {msg}");
        bar.set_style(style.expect("the template is a constant"));
        Self(bar)
    }

    pub(crate) fn show(&self, name: &str) {
        self.0.set_message(name.to_owned());
    }

    pub(crate) fn advance(&self, steps: u64) {
        self.0.inc(steps);
    }

    pub(crate) fn finish(&self) {
        self.0.finish_and_clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(samples: &[f64]) -> Series {
        let track = Track {
            workload: "w",
            peer: "p",
            procs: 1,
            unit: "ns",
        };
        Series {
            track,
            samples: samples.to_vec(),
        }
    }

    #[test]
    fn the_median_does_not_depend_on_the_order() {
        assert_eq!(series(&[3.0, 1.0, 2.0]).median(), 2.0);
        assert_eq!(series(&[4.0, 1.0, 3.0, 2.0]).median(), 2.5);
        assert_eq!(series(&[3.0, 1.0, 2.0]).min(), 1.0);
        assert_eq!(series(&[3.0, 1.0, 2.0]).max(), 3.0);
    }

    #[test]
    fn calibration_fills_the_interval() {
        let track = series(&[]).track;
        let cost = Duration::from_micros(3);
        let mut peer = Timed {
            track,
            iterations: 1,
            run: |n: u64| Ok(cost * n as u32),
        };
        peer.prepare(Duration::from_millis(30)).unwrap();
        assert_eq!(peer.iterations, 10_000);
        assert_eq!(peer.sample().unwrap(), [3000.0]);
        peer.track.unit = "us";
        assert_eq!(peer.sample().unwrap(), [3.0]);
    }
}
