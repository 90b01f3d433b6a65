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
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use crate::event::Key;
use crate::poller::Poller;

/// What the system says to a descriptor that is always ready: `EPERM`.
const NOT_POLLABLE: i32 = 1;
/// What the system says to a descriptor that is registered: `EEXIST`.
const REGISTERED: i32 = 17;
/// What the system says to a user with too many registered descriptors: `ENOSPC`.
const TOO_MANY: i32 = 28;

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
    /// directories. `AlreadyExists`, naming the descriptor, if it is registered with this poller
    /// already; a duplicate is another descriptor, and can be registered beside it. `StorageFull`,
    /// naming the limit, if the user has too many registered descriptors. Otherwise what the system
    /// says, such as `EBADF` for a descriptor that is not open.
    pub fn register<T: AsFd>(&self, io: T, key: Key) -> io::Result<Source<T>> {
        let fd = io.as_fd();
        match self.queue().add(fd, key) {
            Ok(()) => Ok(Source {
                poller: self.clone(),
                key,
                io: Some(io),
            }),
            Err(why) => Err(refusal(fd, why)),
        }
    }
}

/// Says what the system means by refusing `fd`.
#[cold]
fn refusal(fd: BorrowedFd<'_>, why: io::Error) -> io::Error {
    let number = fd.as_raw_fd();
    let text = match why.raw_os_error() {
        Some(NOT_POLLABLE) => format!(
            "file descriptor {number} cannot be polled: \
             regular files and directories are always ready"
        ),
        Some(REGISTERED) => format!(
            "file descriptor {number} is registered with this poller already, by another object \
             that waits for it: wait by that object, or for a duplicate of the descriptor"
        ),
        Some(TOO_MANY) => format!(
            "file descriptor {number} is one more than this user may register: \
             the limit is /proc/sys/fs/epoll/max_user_watches"
        ),
        _ => return why,
    };
    let kind = match why.raw_os_error() {
        Some(NOT_POLLABLE) => io::ErrorKind::Unsupported,
        _ => why.kind(),
    };
    io::Error::new(kind, text)
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
