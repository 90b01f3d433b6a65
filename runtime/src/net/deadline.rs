//! How long one direction of a handle may wait.
//!
//! Two limits, each a word: the timeout of each operation in nanoseconds, and a deadline for all of
//! them, a moment of `sys/clock.rs`.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::error;
use crate::sys::clock::{self, NEVER};

/// No timeout.
const NONE: u64 = 0;

/// The limits of reads, or of writes.
#[derive(Debug)]
pub(crate) struct Limits {
    timeout_ns: AtomicU64,
    /// A timeout was set, or taken away.
    was_set: AtomicBool,
    deadline: AtomicU64,
}

impl Limits {
    pub(crate) const fn new() -> Limits {
        Limits {
            timeout_ns: AtomicU64::new(NONE),
            was_set: AtomicBool::new(false),
            deadline: AtomicU64::new(NEVER),
        }
    }

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
        let ns = timeout.map_or(NONE, clock::nanos);
        self.timeout_ns.store(ns, Ordering::Relaxed);
        self.was_set.store(true, Ordering::Relaxed);
        Ok(())
    }

    pub(crate) fn was_set(&self) -> bool {
        self.was_set.load(Ordering::Relaxed)
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        clock::instant(self.deadline_word())
    }

    /// The deadline as the clock says it.
    pub(crate) fn deadline_word(&self) -> u64 {
        self.deadline.load(Ordering::Relaxed)
    }

    /// Whoever waits is to be disturbed afterwards.
    pub(crate) fn set_deadline(&self, deadline: Option<Instant>) {
        let word = deadline.map_or(NEVER, clock::of);
        self.deadline.store(word, Ordering::Relaxed);
    }

    #[inline]
    pub(crate) fn has_passed(&self) -> bool {
        let deadline = self.deadline_word();
        deadline != NEVER && deadline <= clock::now()
    }
}
