//! "All threads are blocked": `max_threads` are there, each is held by a goroutine that blocks it,
//! and others wait for a thread.
//!
//! What they wait for may come from outside: then standard error says once which goroutines they
//! are, when nothing has moved for a second. If nothing can come, it is a deadlock, and reported as
//! such: the process has no other threads than the runtime's and those that wait for a goroutine,
//! and every M's thread either sleeps for its parked goroutine, or waits on a futex of this process
//! without an end (a lock, a condition or a channel of std's). No thread is left that could run
//! whoever would wake one, also when time or the network made a goroutine ready.

use std::fmt::Write as _;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::deadlock::{self, Deadlock};
use super::listing;
use crate::fatal::warn;
use crate::sched::find::anything_anywhere;
use crate::sched::header::GRef;
use crate::sched::shared::Shared;
use crate::sys::thread;

/// Between the two looks that prove a deadlock.
const PAUSE: Duration = Duration::from_millis(5);
/// Goroutines that are listed, at most.
const LINES_MAX: usize = 100;

/// A thread that is blocked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Blocked {
    m: usize,
    goroutine: u64,
    cpu_time: Option<Duration>,
    /// Nothing outside of this process ends it.
    is_endless: bool,
}

/// All threads of a runtime, blocked.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Sample {
    blocked: Vec<Blocked>,
    /// Threads that sleep for their parked goroutine.
    bound: usize,
    wakes: u64,
}

/// What was seen at the last look.
#[derive(Debug, Default)]
pub(crate) struct Stuck {
    last: Option<Sample>,
    told: bool,
}

impl Stuck {
    /// Looks whether all threads are blocked: once a second, and when everybody rests.
    pub(crate) fn check(&mut self, shared: &Shared) {
        let sample = sample(shared);
        let Some(now) = &sample else {
            self.last = None;
            return;
        };
        if !self.told
            && shared.config.deadlock != Deadlock::Off
            && !deadlock::catches_signals()
            && deadlock::has_no_other_threads(now.blocked.len() + now.bound)
            && now.blocked.iter().all(|blocked| blocked.is_endless)
        {
            std::thread::park_timeout(PAUSE);
            if self::sample(shared) == sample {
                self.told = true;
                deadlock::found(shared, &fatal_text(shared));
            }
        }
        if self.last == sample && !self.told && !now.blocked.is_empty() {
            self.told = true;
            tell(shared, now);
        }
        self.last = sample;
    }
}

/// All threads, if there may be no more, all are blocked, and somebody wants one.
fn sample(shared: &Shared) -> Option<Sample> {
    let census = shared.idle.census();
    let is_full = census.threads == shared.config.threads_max && shared.idle.is_refused();
    if !is_full || census.idle_ms != 0 || census.searching != 0 || !anything_anywhere(shared) {
        return None;
    }
    let mut blocked = Vec::new();
    for m in shared.machines.iter() {
        let tid = m.tid.load(Ordering::Relaxed);
        // Those that sleep are the bound ones; others that do have been promised a P.
        if tid == 0 || m.grant.sleeps() {
            continue;
        }
        if thread::is_running(tid) != Some(false) {
            return None;
        }
        let g = m.current.load(Ordering::Relaxed);
        let goroutine = GRef::from_ptr(g)?.get().state.id();
        blocked.push(Blocked {
            m: m.index,
            goroutine,
            cpu_time: thread::cpu_time(tid),
            is_endless: thread::waits_without_end(tid) == Some(true),
        });
    }
    (blocked.len() + census.bound == census.threads).then_some(Sample {
        blocked,
        bound: census.bound,
        wakes: census.wakes,
    })
}

fn tell(shared: &Shared, sample: &Sample) {
    let ids: Vec<u64> = sample.blocked.iter().map(|b| b.goroutine).collect();
    let mut text = format!(
        "all {} threads (runtime::Builder::max_threads) have been blocked for a second, and \
         goroutines wait for one. They are blocked by:",
        shared.config.threads_max
    );
    let blocking = listing::goroutines(shared).filter(|listed| ids.contains(&listed.id));
    for listed in blocking.take(LINES_MAX) {
        let _ = write!(text, "\n{listed}");
    }
    if ids.len() > LINES_MAX {
        let _ = write!(text, "\n...and {} more", ids.len() - LINES_MAX);
    }
    warn(format_args!("{text}"));
}

fn fatal_text(shared: &Shared) -> String {
    let mut text = format!(
        "all {} threads (runtime::Builder::max_threads) are blocked by goroutines - \
         deadlock!\n\n",
        shared.config.threads_max
    );
    deadlock::list(shared, &mut text);
    text
}
