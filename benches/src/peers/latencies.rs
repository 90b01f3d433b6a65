//! Latencies and their percentiles.
//!
//! While it is measured, a latency is pushed to a list that belongs to whoever measures it: nothing
//! is shared. Afterwards all lists go into one histogram, of three digits, and percentiles come
//! from there.

use std::time::Duration;

use hdrhistogram::Histogram;

/// Anything later than that is recorded as that.
const LATENCY_MAX: Duration = Duration::from_secs(60);

const DIGITS: u8 = 3;

/// What was measured, in nanoseconds.
#[derive(Debug)]
pub(crate) struct Latencies(Histogram<u64>);

impl Latencies {
    /// How many there are.
    pub(crate) fn count(&self) -> u64 {
        self.0.len()
    }

    /// The least value that `part` of all do not exceed.
    pub(crate) fn quantile_us(&self, part: f64) -> f64 {
        self.0.value_at_quantile(part) as f64 / 1e3
    }

    pub(crate) fn max_us(&self) -> f64 {
        self.0.max() as f64 / 1e3
    }
}

impl FromIterator<Duration> for Latencies {
    fn from_iter<I: IntoIterator<Item = Duration>>(all: I) -> Self {
        let most = LATENCY_MAX.as_nanos() as u64;
        let mut histogram =
            Histogram::new_with_bounds(1, most, DIGITS).expect("the bounds are constants");
        for latency in all {
            histogram.saturating_record(latency.as_nanos() as u64);
        }
        Self(histogram)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_within_a_thousandth() {
        let latencies: Latencies = (1..=1000).map(Duration::from_micros).collect();
        assert_eq!(latencies.count(), 1000);
        for (part, us) in [(0.5, 500.0), (0.99, 990.0), (0.999, 999.0)] {
            let found = latencies.quantile_us(part);
            assert!((found / us - 1.0).abs() < 1e-3, "{part}: {found}");
        }
        assert!((latencies.max_us() / 1000.0 - 1.0).abs() < 1e-3);
    }

    #[test]
    fn a_latency_beyond_all_measure_is_kept_at_the_end() {
        let latencies: Latencies = [Duration::from_secs(3600)].into_iter().collect();
        assert!(latencies.max_us() >= 60e6);
    }
}
