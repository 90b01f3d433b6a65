//! The queue over `polling` alone.
//!
//! `polling` does not tell whether a peer has hung up, so every event is taken to say so: a short
//! read proves nothing here, and nobody waits before he has tried.
//!
//! `polling` keeps quiet about notifications. The queue notes them beside: before it notifies, so
//! that the wait that ends finds the note. If that wait ends for another reason first, it takes the
//! note, and the next ends early, without an event and without having been notified.
#![expect(
    unsafe_code,
    reason = "registers descriptors, which `polling` marks unsafe"
)]

use std::fmt;
use std::io;
use std::num::NonZeroUsize;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use polling::{Event, PollMode};

use super::EVENTS_MAX;
use crate::event::{Key, Readiness};

#[derive(Debug)]
pub(crate) struct Queue {
    poller: polling::Poller,
    is_notified: AtomicBool,
}

impl Queue {
    pub(crate) fn new() -> io::Result<Queue> {
        Ok(Queue {
            poller: polling::Poller::new()?,
            is_notified: AtomicBool::new(false),
        })
    }

    pub(crate) fn add(&self, fd: BorrowedFd<'_>, key: Key) -> io::Result<()> {
        let interest = Event::all(key.number() as usize);
        // SAFETY: "must be deleted before it is dropped": only `Source` adds; it owns what it adds
        // and deletes it first, in `drop` and `into_inner`. A source that is forgotten never drops
        // it. If a descriptor answers with another number later, the deletion misses; on Linux, the
        // only supported system, that leaves stale events, whose generation is over, and no more.
        unsafe {
            self.poller
                .add_with_mode(fd.as_raw_fd(), interest, PollMode::Edge)
        }
    }

    pub(crate) fn delete(&self, fd: BorrowedFd<'_>) -> io::Result<()> {
        self.poller.delete(fd)
    }

    pub(crate) fn wait(&self, batch: &mut Batch, timeout: Option<Duration>) -> io::Result<()> {
        batch.events.clear();
        batch.was_notified = false;
        self.poller.wait(&mut batch.events, timeout)?;
        // Acquire: what was stored before the notification is seen; pairs with `notify`.
        batch.was_notified = self.is_notified.swap(false, Ordering::Acquire);
        Ok(())
    }

    pub(crate) fn notify(&self) -> io::Result<()> {
        // Release: pairs with `wait`.
        self.is_notified.store(true, Ordering::Release);
        self.poller.notify()
    }
}

pub(crate) struct Batch {
    events: polling::Events,
    was_notified: bool,
}

impl Batch {
    pub(crate) fn new() -> Batch {
        let capacity = const { NonZeroUsize::new(EVENTS_MAX).unwrap() };
        Batch {
            events: polling::Events::with_capacity(capacity),
            was_notified: false,
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (Key, Readiness)> {
        self.events.iter().filter_map(|event| {
            let readiness = Readiness {
                readable: event.readable,
                writable: event.writable,
                hup: true,
            };
            Some((Key::from_number(event.key as u64)?, readiness))
        })
    }

    pub(crate) fn was_notified(&self) -> bool {
        self.was_notified
    }
}

impl fmt::Debug for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}
