//! The sending side.

use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::core::Chan;
use super::error::{SendError, SendTimeoutError, TrySendError};
use crate::sys::clock::{self, NEVER};

/// The sending side of a channel. Clones send to the same; when the last is dropped, the channel is
/// closed.
pub struct Sender<T>(pub(super) Arc<Chan<T>>);

impl<T> UnwindSafe for Sender<T> {}
impl<T> RefUnwindSafe for Sender<T> {}

impl<T> Sender<T> {
    /// Sends a message, and waits while there is no room; without a buffer, until a receiver takes
    /// it. Those who wait are served in the order in which they came.
    ///
    /// # Errors
    /// With the message, when the channel is closed or the last receiver is gone.
    ///
    /// # Panics
    /// Unwinds like every wait, with [`Cancelled`](crate::Cancelled) when the runtime is dropped.
    #[inline]
    pub fn send(&self, message: T) -> Result<(), SendError<T>> {
        let sent = self.0.send(message, Some(NEVER));
        sent.map_err(|error| SendError(error.into_inner()))
    }

    /// Sends a message if there is room, or, without a buffer, a receiver waits.
    ///
    /// # Errors
    /// With the message, when there is none, or as [`send`](Sender::send).
    #[inline]
    pub fn try_send(&self, message: T) -> Result<(), TrySendError<T>> {
        self.0.send(message, None).map_err(|error| match error {
            SendTimeoutError::Timeout(message) => TrySendError::Full(message),
            SendTimeoutError::Disconnected(message) => TrySendError::Disconnected(message),
        })
    }

    /// As [`send`](Sender::send), but waits for `timeout` at most.
    ///
    /// # Errors
    /// With the message, when the time is over, or as [`send`](Sender::send).
    ///
    /// # Panics
    /// As [`send`](Sender::send).
    pub fn send_timeout(&self, message: T, timeout: Duration) -> Result<(), SendTimeoutError<T>> {
        self.0.send(message, Some(clock::after(timeout)))
    }

    /// As [`send`](Sender::send), but waits until `deadline` at most.
    ///
    /// # Errors
    /// With the message, when the time is over, or as [`send`](Sender::send).
    ///
    /// # Panics
    /// As [`send`](Sender::send).
    pub fn send_deadline(&self, message: T, deadline: Instant) -> Result<(), SendTimeoutError<T>> {
        self.0.send(message, Some(clock::of(deadline)))
    }

    /// Closes the channel, as Go's `close`: nobody can send any more, also those who wait to;
    /// receivers get the messages that have been sent, and then an error. True if it was open.
    pub fn close(&self) -> bool {
        self.0.close()
    }

    /// Whether no message waits to be received. Always true without a buffer.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether there is no room. Always true without a buffer.
    pub fn is_full(&self) -> bool {
        Some(self.len()) == self.capacity()
    }

    /// How many messages wait to be received.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// How many messages the buffer holds; `None` if there is no bound.
    pub fn capacity(&self) -> Option<usize> {
        self.0.capacity()
    }

    /// Whether both send to the same channel.
    pub fn same_channel(&self, other: &Sender<T>) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Sender<T> {
        self.0.add_sender();
        Sender(Arc::clone(&self.0))
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        self.0.remove_sender();
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sender { .. }")
    }
}
