//! Notes from one to another: tokio's `Notify`, blocking.

use std::fmt;
use std::time::Duration;

use super::queue::{self, Entry, HasQueue, Outcome, Place, Queue, Waits};
use crate::sched::header::Wait;
use crate::sys::clock::{self, NEVER};
use crate::wait::lock::Lock;

/// Wakes one who waits, or lets the next one pass who comes: a semaphore with one permit at most.
pub struct Notify(Lock<Synced>);

pub(crate) struct Synced {
    queue: Queue,
    has_permit: bool,
    /// Calls of `notify_waiters`.
    calls: u64,
}

impl HasQueue for Synced {
    fn queue(&mut self) -> &mut Queue {
        &mut self.queue
    }
}

const NOTIFIED: u32 = 1;
const NOTIFIED_WITH_ALL: u32 = 2;

impl Notify {
    /// Without a permit.
    pub const fn new() -> Notify {
        Notify(Lock::new(Synced {
            queue: Queue::new(),
            has_permit: false,
            calls: 0,
        }))
    }

    /// Wakes the one who has waited longest; if nobody waits, the next wait returns at once.
    pub fn notify_one(&self) {
        let mut synced = self.0.lock();
        let woken = synced.queue.answer_first(|_| true, |_| NOTIFIED);
        synced.has_permit |= woken.is_none();
        drop(synced);
        if let Some(woken) = woken {
            woken.go();
        }
    }

    /// Wakes all whose [`Notified`] exists now; leaves no permit.
    pub fn notify_waiters(&self) {
        let mut synced = self.0.lock();
        synced.calls += 1;
        let calls = synced.calls;
        drop(synced);
        queue::wake_all(&self.0, |synced| {
            let is_meant = |entry: &Entry| entry.asks.get() < calls;
            synced.queue.answer_first(is_meant, |_| NOTIFIED_WITH_ALL)
        });
    }

    /// To be waited for: a call of [`notify_waiters`](Notify::notify_waiters) from now on counts.
    pub fn notified(&self) -> Notified<'_> {
        Notified {
            notify: self,
            calls: self.0.lock().calls,
        }
    }
}

impl Default for Notify {
    fn default() -> Notify {
        Notify::new()
    }
}

impl fmt::Debug for Notify {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Notify").finish_non_exhaustive()
    }
}

/// A wait for a [`Notify`] that has not begun to block.
#[derive(Debug)]
#[must_use = "does nothing unless it is waited for"]
pub struct Notified<'a> {
    notify: &'a Notify,
    calls: u64,
}

impl Notified<'_> {
    /// Blocks until notified.
    pub fn wait(self) {
        self.wait_until(NEVER);
    }

    /// Blocks until notified, for `time` at most: whether it was.
    pub fn wait_timeout(self, time: Duration) -> bool {
        self.wait_until(clock::after(time))
    }

    fn wait_until(self, until: u64) -> bool {
        queue::wait(&self, Entry::new(0, self.calls), until) != Outcome::TimedOut
    }
}

impl Waits for Notified<'_> {
    type Synced = Synced;

    fn lock(&self) -> &Lock<Synced> {
        &self.notify.0
    }

    fn why(&self) -> Wait {
        Wait::Notify
    }

    fn begin(&self, synced: &mut Synced, _: &Entry) -> Place {
        if synced.calls != self.calls || std::mem::take(&mut synced.has_permit) {
            return Place::Nowhere;
        }
        Place::Back
    }

    fn pass_on(&self, answer: u32) {
        if answer == NOTIFIED {
            self.notify.notify_one();
        }
    }
}
