//! The wait for events.
//!
//! The kernel's queue of events is one, its users many: sources come and go on any thread while one
//! thread waits. The wait reports what the kernel says, and the events of a source that is gone
//! among it; [`Slots::deliver`](crate::Slots::deliver) tells them apart.
//!
//! # Invariants
//!
//! 1. One thread at most is inside the wait: it holds `waiting`.

use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, TryLockError};
use std::time::Duration;

use crate::event::{Key, Readiness};
use crate::queue::{Batch, Queue};

/// The kernel's queue of events. Clones are the same queue.
#[derive(Clone, Debug)]
pub struct Poller {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    queue: Queue,
    waiting: Mutex<()>,
}

impl Poller {
    /// A queue without sources.
    ///
    /// # Errors
    ///
    /// What the system says, as when the process has too many open files.
    pub fn new() -> io::Result<Poller> {
        let shared = Shared {
            queue: Queue::new()?,
            waiting: Mutex::new(()),
        };
        Ok(Poller {
            shared: Arc::new(shared),
        })
    }

    /// Waits until a source becomes ready, [`notify`](Poller::notify) is called, a signal handler
    /// has run on this thread, or `timeout` is over (`None`: never), and replaces the content of
    /// `events` by what was reported: nothing after a timeout or a signal.
    ///
    /// One system call. A timeout is over not before its time: to the nanosecond and the timer
    /// slack of the thread on Linux 5.11 and later, else rounded up to milliseconds.
    ///
    /// # Errors
    ///
    /// `ResourceBusy` when another thread waits already; otherwise what the system says.
    pub fn wait(&self, events: &mut Events, timeout: Option<Duration>) -> io::Result<()> {
        let _waiting = match self.shared.waiting.try_lock() {
            Ok(guard) => guard,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => {
                return Err(io::Error::new(
                    io::ErrorKind::ResourceBusy,
                    "another thread waits for this poller already",
                ));
            }
        };
        self.shared.queue.wait(&mut events.batch, timeout)
    }

    /// Ends the current wait, or the next one if nobody waits. One system call.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn notify(&self) -> io::Result<()> {
        self.shared.queue.notify()
    }

    pub(crate) fn queue(&self) -> &Queue {
        &self.shared.queue
    }
}

/// What a wait reported, up to 256 events; the others are reported by the next. To be used again
/// and again: it keeps its memory.
pub struct Events {
    batch: Batch,
}

impl Events {
    /// Room for the events of a wait.
    pub fn new() -> Events {
        Events {
            batch: Batch::new(),
        }
    }

    /// The events of sources.
    pub fn iter(&self) -> impl Iterator<Item = (Key, Readiness)> {
        self.batch.iter()
    }

    /// Whether there is no event of a source.
    pub fn is_empty(&self) -> bool {
        self.iter().next().is_none()
    }

    /// Whether the wait was ended by [`Poller::notify`], maybe among others.
    pub fn was_notified(&self) -> bool {
        self.batch.was_notified()
    }
}

impl Default for Events {
    fn default() -> Events {
        Events::new()
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Events")
            .field("events", &self.batch)
            .field("was_notified", &self.was_notified())
            .finish()
    }
}

#[cfg(test)]
#[path = "tests/poller.rs"]
mod tests;
