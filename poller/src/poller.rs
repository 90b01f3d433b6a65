//! The wait for events.
//!
//! The system's queue of events is one, its users many: sources come and go on any thread while one
//! thread waits. The wait translates the system's numbers to keys and drops those that are stale,
//! so nobody else sees an event of a source that was gone when the wait returned.
//!
//! A source may still go between the return of the wait and the use of an event. The user decides
//! by [`Poller::is_registered`], or by a [`Registry`] of its own.
//!
//! # Invariants
//!
//! 1. A key is in `live` from before its descriptor enters the system's queue until after the
//!    source's end has begun: an event without a live key is stale.
//! 2. One thread at most is inside `polling`'s wait: it holds `batch`.
//!
//! `live` is a leaf: nothing else is locked, and no system call made, while it is held.

use std::fmt;
use std::io;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::Duration;

use crate::registry::{Full, Key, Registry};

/// How many events one wait reports, at most; the others are reported by the next.
pub const EVENTS_MAX: usize = 1024;

/// Which directions became ready. An error or a hang-up counts as both: the next call tells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Readiness {
    /// A read may succeed now, or report an error or the end.
    pub readable: bool,
    /// A write may succeed now, or report an error.
    pub writable: bool,
}

/// The system's queue of events. Clones are the same queue.
#[derive(Clone)]
pub struct Poller {
    shared: Arc<Shared>,
}

struct Shared {
    queue: polling::Poller,
    live: Mutex<Registry<()>>,
    batch: Mutex<polling::Events>,
}

impl fmt::Debug for Poller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Poller")
            .field("queue", &self.shared.queue)
            .field("sources", &self.live().len())
            .finish()
    }
}

impl Poller {
    /// A queue without sources.
    ///
    /// # Errors
    ///
    /// What the system says, as when the process has too many open files.
    pub fn new() -> io::Result<Poller> {
        let capacity = const { NonZeroUsize::new(EVENTS_MAX).unwrap() };
        let shared = Shared {
            queue: polling::Poller::new()?,
            live: Mutex::new(Registry::new()),
            batch: Mutex::new(polling::Events::with_capacity(capacity)),
        };
        Ok(Poller {
            shared: Arc::new(shared),
        })
    }

    /// Waits until a source becomes ready, [`notify`](Poller::notify) is called, or `timeout` is
    /// over (`None`: never), and replaces the content of `events` by what was reported.
    ///
    /// `events` may stay empty: after a notification, a timeout, and when all events were stale.
    ///
    /// # Errors
    ///
    /// `ResourceBusy` when another thread waits already; otherwise what the system says.
    pub fn wait(
        &self,
        events: &mut Vec<(Key, Readiness)>,
        timeout: Option<Duration>,
    ) -> io::Result<()> {
        events.clear();
        let mut batch = match self.shared.batch.try_lock() {
            Ok(batch) => batch,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => {
                return Err(io::Error::new(
                    io::ErrorKind::ResourceBusy,
                    "another thread waits for this poller already",
                ));
            }
        };
        batch.clear();
        self.shared.queue.wait(&mut batch, timeout)?;

        let live = self.live();
        for event in batch.iter() {
            let key = Key::from_poll(event.key);
            if live.get(key).is_some() {
                let readiness = Readiness {
                    readable: event.readable,
                    writable: event.writable,
                };
                events.push((key, readiness));
            }
        }
        Ok(())
    }

    /// Ends the current wait, or the next one if nobody waits.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn notify(&self) -> io::Result<()> {
        self.shared.queue.notify()
    }

    /// Whether the source of this key still exists.
    pub fn is_registered(&self, key: Key) -> bool {
        self.live().get(key).is_some()
    }

    pub(crate) fn queue(&self) -> &polling::Poller {
        &self.shared.queue
    }

    pub(crate) fn new_key(&self) -> Result<Key, Full> {
        self.live().insert(())
    }

    pub(crate) fn retire(&self, key: Key) {
        let entry = self.live().remove(key);
        debug_assert!(entry.is_some(), "{key:?} retired twice");
    }

    fn live(&self) -> MutexGuard<'_, Registry<()>> {
        // No code that could panic half-way runs under this lock.
        self.shared
            .live
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::os::unix::net::UnixStream;
    use std::thread;
    use std::time::Instant;

    use super::*;

    const SOON: Duration = Duration::from_millis(20);
    const NEVER: Duration = Duration::from_secs(30);

    fn pair() -> (UnixStream, UnixStream) {
        let (here, there) = UnixStream::pair().unwrap();
        here.set_nonblocking(true).unwrap();
        (here, there)
    }

    #[test]
    fn both_directions_are_reported_by_one_registration() {
        let poller = Poller::new().unwrap();
        let (here, mut there) = pair();
        let here = poller.register(here).unwrap();
        let mut events = Vec::new();

        poller.wait(&mut events, Some(NEVER)).unwrap();
        let writable = Readiness {
            readable: false,
            writable: true,
        };
        assert_eq!(events, [(here.key(), writable)]);

        there.write_all(b"x").unwrap();
        poller.wait(&mut events, Some(NEVER)).unwrap();
        assert_eq!(events.len(), 1);
        assert!(events[0].1.readable);
    }

    #[test]
    fn an_edge_is_reported_once() {
        let poller = Poller::new().unwrap();
        let (here, mut there) = pair();
        let here = poller.register(here).unwrap();
        let mut events = Vec::new();
        there.write_all(b"x").unwrap();
        poller.wait(&mut events, Some(NEVER)).unwrap();
        assert!(events[0].1.readable);

        poller.wait(&mut events, Some(SOON)).unwrap();
        assert_eq!(events, [], "unread data is not reported again");

        here.get_ref().read_exact(&mut [0]).unwrap();
        there.write_all(b"y").unwrap();
        poller.wait(&mut events, Some(NEVER)).unwrap();
        assert!(events[0].1.readable, "new data is");
    }

    #[test]
    fn the_end_of_the_peer_makes_both_directions_ready() {
        let poller = Poller::new().unwrap();
        let (here, there) = pair();
        let here = poller.register(here).unwrap();
        drop(there);
        let mut events = Vec::new();
        poller.wait(&mut events, Some(NEVER)).unwrap();
        let both = Readiness {
            readable: true,
            writable: true,
        };
        assert_eq!(events, [(here.key(), both)]);
    }

    #[test]
    fn a_timeout_ends_a_wait_without_events_and_not_early() {
        let poller = Poller::new().unwrap();
        let begin = Instant::now();
        let mut events = Vec::new();
        poller.wait(&mut events, Some(SOON)).unwrap();
        assert_eq!(events, []);
        assert!(begin.elapsed() >= SOON, "{:?}", begin.elapsed());
    }

    #[test]
    fn notify_wakes_a_wait_of_another_thread() {
        let poller = Poller::new().unwrap();
        let waiter = poller.clone();
        let waiting = thread::spawn(move || {
            let begin = Instant::now();
            let mut events = Vec::new();
            waiter.wait(&mut events, Some(NEVER)).unwrap();
            (events, begin.elapsed())
        });
        poller.notify().unwrap();
        let (events, elapsed) = waiting.join().unwrap();
        assert_eq!(events, []);
        assert!(elapsed < NEVER, "{elapsed:?}");
    }

    #[test]
    fn a_notify_before_the_wait_is_kept() {
        let poller = Poller::new().unwrap();
        poller.notify().unwrap();
        poller.notify().unwrap();
        let begin = Instant::now();
        let mut events = Vec::new();
        poller.wait(&mut events, Some(NEVER)).unwrap();
        assert!(begin.elapsed() < NEVER);
        poller.wait(&mut events, Some(SOON)).unwrap();
        assert!(begin.elapsed() >= SOON, "two notifications end one wait");
    }

    #[test]
    fn a_second_waiter_is_refused() {
        let poller = Poller::new().unwrap();
        let _first = poller.shared.batch.lock().unwrap();
        let refused = poller.wait(&mut Vec::new(), Some(NEVER)).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::ResourceBusy);
    }
}
