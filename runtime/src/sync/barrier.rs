//! A place where a number of goroutines meet.

use std::fmt;
use std::time::Duration;

use super::queue::{self, Entry, HasQueue, Outcome, Place, Queue, Waits};
use crate::sched::header::Wait;
use crate::sys::clock::{self, NEVER};
use crate::wait::lock::Lock;

/// Lets nobody pass until a number of them have come: std's.
pub struct Barrier {
    n: usize,
    synced: Lock<Synced>,
}

struct Synced {
    queue: Queue,
    /// Those in the queue who have come in this round; others are about to be let through.
    arrived: usize,
    round: u64,
}

impl HasQueue for Synced {
    fn queue(&mut self) -> &mut Queue {
        &mut self.queue
    }
}

/// Who was the last to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BarrierWaitResult(bool);

impl BarrierWaitResult {
    /// One of them is the leader.
    pub fn is_leader(&self) -> bool {
        self.0
    }
}

const PASS: u32 = 1;

impl Barrier {
    /// For `n` of them; 0 is as 1.
    pub const fn new(n: usize) -> Barrier {
        Barrier {
            n,
            synced: Lock::new(Synced {
                queue: Queue::new(),
                arrived: 0,
                round: 0,
            }),
        }
    }

    /// Blocks until `n` have come. The barrier can then be used again. One whose wait unwinds
    /// before they have come has not come.
    pub fn wait(&self) -> BarrierWaitResult {
        // Without a deadline a wait does not time out.
        let result = self.wait_until(NEVER);
        result.unwrap_or(BarrierWaitResult(false))
    }

    /// Blocks until `n` have come, for `time` at most; `None` when they have not: then the caller
    /// has not come either.
    pub fn wait_timeout(&self, time: Duration) -> Option<BarrierWaitResult> {
        self.wait_until(clock::after(time))
    }

    fn wait_until(&self, until: u64) -> Option<BarrierWaitResult> {
        match queue::wait(&Waiting(self), Entry::new(0, 0), until) {
            Outcome::Answered(_) => Some(BarrierWaitResult(false)),
            Outcome::TimedOut => None,
            Outcome::NotBegun => {
                self.let_through();
                Some(BarrierWaitResult(true))
            }
        }
    }

    fn let_through(&self) {
        queue::wake_all(&self.synced, |synced| {
            let round = synced.round;
            let may_pass = |entry: &Entry| entry.asks.get() != round;
            synced.queue.answer_first(may_pass, |_| PASS)
        });
    }
}

impl fmt::Debug for Barrier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Barrier").finish_non_exhaustive()
    }
}

struct Waiting<'a>(&'a Barrier);

impl Waits for Waiting<'_> {
    type Synced = Synced;

    fn lock(&self) -> &Lock<Synced> {
        &self.0.synced
    }

    fn why(&self) -> Wait {
        Wait::Barrier
    }

    fn begin(&self, synced: &mut Synced, entry: &Entry) -> Place {
        if synced.arrived + 1 >= self.0.n {
            synced.arrived = 0;
            synced.round += 1;
            return Place::Nowhere;
        }
        synced.arrived += 1;
        entry.asks.set(synced.round);
        Place::Back
    }

    fn removed(&self, synced: &mut Synced, entry: &Entry) -> u32 {
        if entry.asks.get() != synced.round {
            return PASS;
        }
        synced.arrived -= 1;
        0
    }

    fn pass_on(&self, _: u32) {}
}
