//! How often an operation is repeated.

use std::time::Duration;

use super::{Answer, Job};
use crate::measure::{Result, filling};

/// Fills the interval: `run` does so many operations and says how long they took.
///
/// Looking for the number that fills it is the warm-up.
pub(super) fn paced(job: &Job, mut run: impl FnMut(u64) -> Result<Duration>) -> Answer {
    let mut operations = 0;
    let mut run = |count| {
        operations += count;
        run(count)
    };
    let count = filling(job.interval(), &mut run)?;
    let mut answer = each(run(count)?, count)?;
    answer.push(("ops", operations as f64));
    Ok(answer)
}

/// Once to warm up and once that counts, of a workload with so many operations.
pub(super) fn once(operations: u64, mut run: impl FnMut() -> Result<Duration>) -> Answer {
    run()?;
    each(run()?, operations)
}

fn each(elapsed: Duration, count: u64) -> Answer {
    Ok(vec![("ns", elapsed.as_nanos() as f64 / count as f64)])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::solo::tests::job;

    #[test]
    fn the_interval_is_filled() {
        let job = Job {
            interval_ms: 40,
            ..job("p", "w", 1, 0)
        };
        let mut last = 0;
        let answer = paced(&job, |count| {
            last = count;
            Ok(Duration::from_micros(100) * count as u32)
        });
        assert_eq!(last, 400);
        let operations = (1 + 8 + 16 + 32 + 64 + 128 + 400) as f64;
        assert_eq!(answer.unwrap(), [("ns", 100_000.0), ("ops", operations)]);
    }

    #[test]
    fn the_first_run_of_two_does_not_count() {
        let mut runs = [900, 200].into_iter();
        let answer = once(10, || Ok(Duration::from_nanos(runs.next().unwrap())));
        assert_eq!(answer.unwrap(), [("ns", 20.0)]);
    }
}
