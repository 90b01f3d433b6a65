//! A descriptor that is registered for as long as it lives.
//!
//! Registering is where this crate needs `unsafe`: `polling` demands that a descriptor leaves the
//! queue before it is closed. A source owns what it registers and leaves the queue in its own
//! destructor, which runs before that of the descriptor, so its users need not think of it.
#![expect(
    unsafe_code,
    reason = "registers descriptors, which `polling` marks unsafe"
)]

use std::fmt;
use std::io;
use std::os::fd::{AsFd, AsRawFd};

use polling::{Event, PollMode};

use crate::poller::Poller;
use crate::registry::Key;

/// What the system says to a descriptor that is always ready: `EPERM`.
const NOT_POLLABLE: i32 = 1;

/// A registered `T`. Dropping it deregisters it, and then drops the `T`.
///
/// The `T` must be in non-blocking mode to be of use; this crate does not set it.
pub struct Source<T: AsFd> {
    poller: Poller,
    key: Key,
    /// `None` only inside `into_inner`.
    io: Option<T>,
}

impl Poller {
    /// Registers a descriptor, once, for both directions, edge-triggered.
    ///
    /// # Errors
    ///
    /// `Unsupported`, naming the descriptor, for what cannot be polled: regular files and
    /// directories. `AlreadyExists` if it is registered already (a duplicate is another
    /// descriptor). `OutOfMemory` when no key is left. Otherwise what the system says, such as
    /// `EBADF` for a descriptor that is not open.
    pub fn register<T: AsFd>(&self, io: T) -> io::Result<Source<T>> {
        let fd = io.as_fd().as_raw_fd();
        let key = self
            .new_key()
            .map_err(|full| io::Error::new(io::ErrorKind::OutOfMemory, full))?;
        // SAFETY: "must be deleted before it is dropped": the source made below owns `io` and
        // deletes it first in `drop` and `into_inner`. A source that is forgotten never drops `io`.
        // A `T` whose `as_fd` answers differently later makes the deletion miss; on Linux, the only
        // supported system, the queue is an epoll, which follows open files and not descriptors, so
        // a stale entry costs stale events (their key is not live) and nothing else.
        let added = unsafe {
            self.queue()
                .add_with_mode(fd, Event::all(key.to_poll()), PollMode::Edge)
        };
        if let Err(why) = added {
            self.retire(key);
            return Err(match why.raw_os_error() {
                Some(NOT_POLLABLE) => io::Error::new(
                    io::ErrorKind::Unsupported,
                    format!(
                        "file descriptor {fd} cannot be polled: \
                         regular files and directories are always ready"
                    ),
                ),
                _ => why,
            });
        }
        Ok(Source {
            poller: self.clone(),
            key,
            io: Some(io),
        })
    }
}

impl<T: AsFd> Source<T> {
    /// The key of this source's events.
    pub fn key(&self) -> Key {
        self.key
    }

    /// What is registered.
    #[expect(
        clippy::missing_panics_doc,
        reason = "only `into_inner` takes it, at the end"
    )]
    pub fn get_ref(&self) -> &T {
        self.io.as_ref().expect("held until the end")
    }

    /// Deregisters and gives back what was registered.
    ///
    /// # Errors
    ///
    /// What the system says; the descriptor is closed then.
    #[expect(clippy::missing_panics_doc, reason = "it consumes the source")]
    pub fn into_inner(mut self) -> io::Result<T> {
        let io = self.io.take().expect("held until the end");
        // The key is retired by the destructor; an event until then is of a source that existed.
        self.poller.queue().delete(&io)?;
        Ok(io)
    }
}

impl<T: AsFd> Drop for Source<T> {
    fn drop(&mut self) {
        self.poller.retire(self.key);
        if let Some(io) = &self.io {
            // Nobody is left to be told: the key is stale, and closing deregisters too, unless the
            // descriptor has a duplicate.
            let _ = self.poller.queue().delete(io);
        }
    }
}

impl<T: AsFd + fmt::Debug> fmt::Debug for Source<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source")
            .field("key", &self.key)
            .field("io", &self.io)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
#[path = "tests/source.rs"]
mod tests;
