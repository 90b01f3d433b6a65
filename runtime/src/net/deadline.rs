//! How long one direction of a handle may wait.
//!
//! Two limits, each a word: the timeout of each operation, and a deadline for all of them. Times
//! are nanoseconds since an epoch of the process; 0 means none.

use std::io;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::error;

static EPOCH: LazyLock<Instant> = LazyLock::new(Instant::now);

const NONE: u64 = 0;

/// The limits of reads, or of writes.
#[derive(Debug, Default)]
pub(crate) struct Limits {
    timeout_ns: AtomicU64,
    deadline_ns: AtomicU64,
}

impl Limits {
    pub(crate) fn timeout(&self) -> Option<Duration> {
        let ns = self.timeout_ns.load(Ordering::Relaxed);
        (ns != NONE).then(|| Duration::from_nanos(ns))
    }

    /// Fails as std does when the timeout is zero. 584 years are the most that can be told from
    /// more.
    pub(crate) fn set_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        if timeout == Some(Duration::ZERO) {
            return Err(error::zero_timeout());
        }
        let ns = timeout.map_or(NONE, saturating_ns);
        self.timeout_ns.store(ns, Ordering::Relaxed);
        Ok(())
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        let ns = self.deadline_ns.load(Ordering::Relaxed);
        // What does not fit an `Instant` is never reached.
        (ns != NONE)
            .then(|| EPOCH.checked_add(Duration::from_nanos(ns)))
            .flatten()
    }

    /// A deadline before the epoch is the epoch: both have passed.
    pub(crate) fn set_deadline(&self, deadline: Option<Instant>) {
        let since_epoch = |at: Instant| at.saturating_duration_since(*EPOCH);
        let ns = deadline.map_or(NONE, |at| saturating_ns(since_epoch(at)).max(1));
        self.deadline_ns.store(ns, Ordering::Relaxed);
    }

    #[inline]
    pub(crate) fn has_passed(&self) -> bool {
        self.deadline_ns.load(Ordering::Relaxed) != NONE
            && self.deadline().is_some_and(|at| at <= Instant::now())
    }
}

fn saturating_ns(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
