//! Sleeping on a word.
//!
//! Every wait is a look at the word, a sleep, and a look again: the word decides, never the return
//! code. Async-signal-safe: system calls without `errno`.

use std::sync::atomic::AtomicU32;
use std::time::{Duration, Instant};

use rustix::fs::Timespec;
use rustix::thread::futex::{self, Flags};

/// Sleeps while `word` is `value`, at most `timeout`. May return early, for any reason.
pub(crate) fn wait(word: &AtomicU32, value: u32, timeout: Option<Duration>) {
    let timeout = timeout.map(|d| Timespec {
        tv_sec: i64::try_from(d.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: d.subsec_nanos().into(),
    });
    // Whatever the kernel says, the caller looks at the word.
    let _ = futex::wait(word, Flags::PRIVATE, value, timeout.as_ref());
}

/// Wakes one sleeper.
pub(crate) fn wake(word: &AtomicU32) {
    // Fails for bad addresses only.
    let _ = futex::wake(word, Flags::PRIVATE, 1);
}

/// A moment by which a wait must be over, robust against early returns.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadline(Option<Instant>);

impl Deadline {
    pub(crate) fn after(d: Duration) -> Deadline {
        Deadline(Instant::now().checked_add(d))
    }

    /// What is left, to be given to [`wait`]; `Err` when the time is over.
    pub(crate) fn left(self) -> Result<Option<Duration>, Elapsed> {
        // A sum that does not fit is an end that never comes.
        let Some(end) = self.0 else { return Ok(None) };
        match end.saturating_duration_since(Instant::now()) {
            Duration::ZERO => Err(Elapsed),
            left => Ok(Some(left)),
        }
    }
}

/// The time of a [`Deadline`] is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Elapsed;
