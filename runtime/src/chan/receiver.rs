//! The receiving side.

use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::core::Chan;
use super::error::{RecvError, RecvTimeoutError, TryRecvError};
use super::iter::{IntoIter, Iter, TryIter};
use super::timers::{self, At, Tick};
use crate::sys::clock::{self, NEVER};

/// The receiving side of a channel. Each message goes to one of the clones; when the last is
/// dropped, nobody can send any more, and messages that nobody received are dropped.
pub struct Receiver<T>(pub(super) Flavor<T>);

/// Where the messages come from.
pub(super) enum Flavor<T> {
    Chan(Arc<Chan<T>>),
    At(Arc<At<T>>),
    Tick(Arc<Tick<T>>),
    Never,
}

impl<T> UnwindSafe for Receiver<T> {}
impl<T> RefUnwindSafe for Receiver<T> {}

impl<T> Receiver<T> {
    #[inline]
    fn recv_until(&self, until: Option<u64>) -> Result<T, RecvTimeoutError> {
        match &self.0 {
            Flavor::Chan(chan) => chan.recv(until),
            Flavor::At(at) => timers::recv(&**at, until),
            Flavor::Tick(tick) => timers::recv(&**tick, until),
            Flavor::Never => timers::recv_never(until),
        }
    }

    /// Receives a message, and waits while there is none. Those who wait are served in the order in
    /// which they came.
    ///
    /// # Errors
    /// When the channel is empty, and closed or without senders.
    ///
    /// # Panics
    /// Unwinds like every wait, with [`Cancelled`](crate::Cancelled) when the runtime is dropped.
    #[inline]
    pub fn recv(&self) -> Result<T, RecvError> {
        self.recv_until(Some(NEVER)).map_err(|_| RecvError)
    }

    /// Receives a message if there is one, or, without a buffer, a sender waits.
    ///
    /// # Errors
    /// When there is none, or as [`recv`](Receiver::recv).
    #[inline]
    pub fn try_recv(&self) -> Result<T, TryRecvError> {
        self.recv_until(None).map_err(|error| match error {
            RecvTimeoutError::Timeout => TryRecvError::Empty,
            RecvTimeoutError::Disconnected => TryRecvError::Disconnected,
        })
    }

    /// As [`recv`](Receiver::recv), but waits for `timeout` at most.
    ///
    /// # Errors
    /// When the time is over, or as [`recv`](Receiver::recv).
    ///
    /// # Panics
    /// As [`recv`](Receiver::recv).
    pub fn recv_timeout(&self, timeout: Duration) -> Result<T, RecvTimeoutError> {
        self.recv_until(Some(clock::after(timeout)))
    }

    /// As [`recv`](Receiver::recv), but waits until `deadline` at most.
    ///
    /// # Errors
    /// When the time is over, or as [`recv`](Receiver::recv).
    ///
    /// # Panics
    /// As [`recv`](Receiver::recv).
    pub fn recv_deadline(&self, deadline: Instant) -> Result<T, RecvTimeoutError> {
        self.recv_until(Some(clock::of(deadline)))
    }

    /// Closes the channel: see [`Sender::close`](super::Sender::close). Those of [`after`], [`at`],
    /// [`tick`] and [`never`] cannot be closed.
    ///
    /// [`after`]: super::after
    /// [`at`]: super::at
    /// [`tick`]: super::tick
    /// [`never`]: super::never
    pub fn close(&self) -> bool {
        match &self.0 {
            Flavor::Chan(chan) => chan.close(),
            _ => false,
        }
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
        let has_come = |next: u64| usize::from(next <= clock::now());
        match &self.0 {
            Flavor::Chan(chan) => chan.len(),
            Flavor::At(at) => has_come(timers::Timed::next(&**at)),
            Flavor::Tick(tick) => has_come(timers::Timed::next(&**tick)),
            Flavor::Never => 0,
        }
    }

    /// How many messages the buffer holds; `None` if there is no bound.
    pub fn capacity(&self) -> Option<usize> {
        match &self.0 {
            Flavor::Chan(chan) => chan.capacity(),
            Flavor::At(_) | Flavor::Tick(_) => Some(1),
            Flavor::Never => Some(0),
        }
    }

    /// Whether both receive from the same channel.
    pub fn same_channel(&self, other: &Receiver<T>) -> bool {
        match (&self.0, &other.0) {
            (Flavor::Chan(a), Flavor::Chan(b)) => Arc::ptr_eq(a, b),
            (Flavor::At(a), Flavor::At(b)) => Arc::ptr_eq(a, b),
            (Flavor::Tick(a), Flavor::Tick(b)) => Arc::ptr_eq(a, b),
            (Flavor::Never, Flavor::Never) => true,
            _ => false,
        }
    }

    /// The messages as they come; ends when the channel is empty, and closed or without senders.
    pub fn iter(&self) -> Iter<'_, T> {
        Iter(self)
    }

    /// The messages that are there: does not wait.
    pub fn try_iter(&self) -> TryIter<'_, T> {
        TryIter(self)
    }
}

impl<'a, T> IntoIterator for &'a Receiver<T> {
    type Item = T;
    type IntoIter = Iter<'a, T>;

    fn into_iter(self) -> Iter<'a, T> {
        self.iter()
    }
}

impl<T> IntoIterator for Receiver<T> {
    type Item = T;
    type IntoIter = IntoIter<T>;

    fn into_iter(self) -> IntoIter<T> {
        IntoIter(self)
    }
}

impl<T> Clone for Receiver<T> {
    fn clone(&self) -> Receiver<T> {
        Receiver(match &self.0 {
            Flavor::Chan(chan) => {
                chan.add_receiver();
                Flavor::Chan(Arc::clone(chan))
            }
            Flavor::At(at) => Flavor::At(Arc::clone(at)),
            Flavor::Tick(tick) => Flavor::Tick(Arc::clone(tick)),
            Flavor::Never => Flavor::Never,
        })
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        if let Flavor::Chan(chan) = &self.0 {
            chan.remove_receiver();
        }
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Receiver { .. }")
    }
}
