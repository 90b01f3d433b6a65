//! A descriptor that is registered for as long as it lives.
//!
//! A source owns what it registers and leaves the queue in its own destructor, which runs before
//! that of the descriptor: a descriptor is never closed while it is registered, which would leave
//! its events behind if it has a duplicate.
//!
//! # Order of the ends
//!
//! A slot that outlives its source has no events. A source that outlives its slot has stale ones,
//! which do nothing. Both orders are right.

use std::fmt;
use std::io;
use std::os::fd::{AsFd, AsRawFd};

use crate::event::Key;
use crate::poller::Poller;

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
    /// Registers a descriptor, once, for both directions, edge-triggered: `key` is reported by its
    /// events. One system call.
    ///
    /// A socket that is neither connected nor connecting counts as hung up: connect first.
    ///
    /// # Errors
    ///
    /// `Unsupported`, naming the descriptor, for what cannot be polled: regular files and
    /// directories. `AlreadyExists` if it is registered already (a duplicate is another
    /// descriptor). Otherwise what the system says, such as `EBADF` for a descriptor that is not
    /// open.
    pub fn register<T: AsFd>(&self, io: T, key: Key) -> io::Result<Source<T>> {
        let fd = io.as_fd();
        match self.queue().add(fd, key) {
            Ok(()) => Ok(Source {
                poller: self.clone(),
                key,
                io: Some(io),
            }),
            Err(why) if why.raw_os_error() == Some(NOT_POLLABLE) => Err(io::Error::new(
                io::ErrorKind::Unsupported,
                format!(
                    "file descriptor {} cannot be polled: \
                     regular files and directories are always ready",
                    fd.as_raw_fd()
                ),
            )),
            Err(why) => Err(why),
        }
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
        self.poller.queue().delete(io.as_fd())?;
        Ok(io)
    }
}

impl<T: AsFd> Drop for Source<T> {
    fn drop(&mut self) {
        if let Some(io) = &self.io {
            // Nobody is left to be told: closing deregisters too, unless the descriptor has a
            // duplicate.
            let _ = self.poller.queue().delete(io.as_fd());
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
