//! A descriptor in non-blocking mode, and operations on it that wait.
//!
//! All types of this module are one `Handle` each. The kernel never makes a thread wait: the
//! descriptor is non-blocking, and what cannot be done at once waits here, for readiness, until its
//! timeout, its deadline, or the end of the handle. Whether the *user* wants to wait is a flag.
//!
//! Clones share everything, as duplicated descriptors share it in std (options and the blocking
//! mode belong to the open file description).
//!
//! # Closing
//!
//! The closer sets `closed`, then shuts the socket down, which ends waits for readiness. Who
//! operates checks `closed` before the call, and after it: an end of file that the closer made
//! must not pass for one that the peer made. The descriptor stays open until the last handle is
//! dropped, so it is never used under a number that has become somebody else's.

use std::io::{self, ErrorKind};
use std::ops::Deref;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::fs::OFlags;
use rustix::net::Shutdown;
use socket2::SockRef;

use super::deadline::Limits;
use super::error;
use super::wait::{Ready, wait};

/// Which half of a descriptor an operation uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    Read,
    Write,
}

/// What limits one operation, beside the deadline.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Limit {
    /// The timeout of the direction, from the first wait on.
    Timeout,
    /// A point in time, or nothing.
    Until(Option<Instant>),
}

/// A shared [`Inner`].
#[derive(Debug)]
pub(crate) struct Handle<T>(Arc<Inner<T>>);

impl<T> Clone for Handle<T> {
    fn clone(&self) -> Self {
        Handle(Arc::clone(&self.0))
    }
}

impl<T> Deref for Handle<T> {
    type Target = Inner<T>;

    #[inline]
    fn deref(&self) -> &Inner<T> {
        &self.0
    }
}

/// A non-blocking descriptor and what its users chose.
#[derive(Debug)]
pub(crate) struct Inner<T> {
    io: T,
    /// The user does not want to wait.
    nonblocking: AtomicBool,
    closed: AtomicBool,
    reads: Limits,
    writes: Limits,
}

impl<T: AsFd> Handle<T> {
    /// Of a descriptor that is in non-blocking mode and has no timeouts.
    pub(crate) fn of_nonblocking(io: T) -> Handle<T> {
        Handle(Arc::new(Inner::of_nonblocking(io)))
    }

    /// Of a descriptor that was just made, in blocking mode.
    pub(crate) fn of_new(io: T) -> io::Result<Handle<T>> {
        rustix::io::ioctl_fionbio(&io, true)?;
        Ok(Handle::of_nonblocking(io))
    }

    /// Of a socket that the user had: it keeps its mode and its timeouts.
    pub(crate) fn adopt(io: T) -> io::Result<Handle<T>> {
        let nonblocking = rustix::fs::fcntl_getfl(&io)?.contains(OFlags::NONBLOCK);
        let handle = Handle::of_new(io)?;
        handle.nonblocking.store(nonblocking, Ordering::Relaxed);
        // What has no timeouts is no socket; its operations will say so.
        let socket = SockRef::from(&handle.io);
        let timeouts = (socket.read_timeout(), socket.write_timeout());
        if let (Ok(read), Ok(write)) = timeouts {
            handle.reads.set_timeout(read)?;
            handle.writes.set_timeout(write)?;
        }
        Ok(handle)
    }

    /// The descriptor, for others to use. If this was the last handle it is in the mode that the
    /// user chose and has the user's timeouts. Otherwise it is a duplicate, and non-blocking:
    /// duplicates share their mode.
    pub(crate) fn into_owned(self) -> io::Result<T>
    where
        T: From<OwnedFd>,
    {
        match Arc::try_unwrap(self.0) {
            Ok(inner) => inner.release(),
            Err(shared) => Ok(T::from(shared.io.as_fd().try_clone_to_owned()?)),
        }
    }
}

impl<T: AsFd> Inner<T> {
    pub(crate) fn of_nonblocking(io: T) -> Inner<T> {
        Inner {
            io,
            nonblocking: AtomicBool::new(false),
            closed: AtomicBool::new(false),
            reads: Limits::default(),
            writes: Limits::default(),
        }
    }

    /// The descriptor, also after the close: to be lent, and to be shown.
    pub(crate) fn io(&self) -> &T {
        &self.io
    }

    pub(crate) fn into_io(self) -> T {
        self.io
    }

    /// The descriptor, unless closed.
    #[inline]
    pub(crate) fn live(&self) -> io::Result<&T> {
        if self.is_closed() {
            return Err(error::closed());
        }
        Ok(&self.io)
    }

    #[inline]
    pub(crate) fn is_closed(&self) -> bool {
        // Acquire: pairs with the Release in `close`.
        self.closed.load(Ordering::Acquire)
    }

    pub(crate) fn limits(&self, direction: Direction) -> &Limits {
        match direction {
            Direction::Read => &self.reads,
            Direction::Write => &self.writes,
        }
    }

    pub(crate) fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()> {
        self.live()?;
        self.nonblocking.store(nonblocking, Ordering::Relaxed);
        Ok(())
    }

    pub(crate) fn is_nonblocking(&self) -> bool {
        self.nonblocking.load(Ordering::Relaxed)
    }

    pub(crate) fn set_timeout(
        &self,
        direction: Direction,
        timeout: Option<Duration>,
    ) -> io::Result<()> {
        self.live()?;
        self.limits(direction).set_timeout(timeout)
    }

    pub(crate) fn timeout(&self, direction: Direction) -> io::Result<Option<Duration>> {
        self.live()?;
        Ok(self.limits(direction).timeout())
    }

    pub(crate) fn set_deadline(
        &self,
        directions: &[Direction],
        deadline: Option<Instant>,
    ) -> io::Result<()> {
        self.live()?;
        for &direction in directions {
            self.limits(direction).set_deadline(deadline);
        }
        Ok(())
    }

    pub(crate) fn deadline(&self, direction: Direction) -> io::Result<Option<Instant>> {
        self.live()?;
        Ok(self.limits(direction).deadline())
    }

    /// Ends all operations, now and later.
    pub(crate) fn close(&self) {
        // Release: pairs with the Acquire in `is_closed`. The shutdown comes after it in the
        // kernel's order too: both sides lock the socket there.
        if !self.closed.swap(true, Ordering::Release) {
            // Not connected, or no socket at all: nothing to end.
            let _ = rustix::net::shutdown(&self.io, Shutdown::Both);
        }
    }

    /// Does `f` until it need not wait any more.
    #[inline]
    pub(crate) fn op<R>(
        &self,
        direction: Direction,
        f: impl FnMut(&T) -> io::Result<R>,
    ) -> io::Result<R> {
        self.op_within(direction, Limit::Timeout, f)
    }

    /// The same with a limit of its own.
    pub(crate) fn op_within<R>(
        &self,
        direction: Direction,
        mut limit: Limit,
        mut f: impl FnMut(&T) -> io::Result<R>,
    ) -> io::Result<R> {
        loop {
            self.admit(direction)?;
            let result = f(&self.io);
            if let Some(result) = self.settle(direction, &mut limit, result) {
                return result;
            }
        }
    }

    /// The same for one who has the descriptor to himself.
    pub(crate) fn op_mut<R>(
        &mut self,
        direction: Direction,
        mut f: impl FnMut(&mut T) -> io::Result<R>,
    ) -> io::Result<R> {
        let mut limit = Limit::Timeout;
        loop {
            self.admit(direction)?;
            let result = f(&mut self.io);
            if let Some(result) = self.settle(direction, &mut limit, result) {
                return result;
            }
        }
    }

    /// Does `f` without waiting, whatever the user chose.
    pub(crate) fn attempt<R>(
        &self,
        direction: Direction,
        mut f: impl FnMut(&T) -> io::Result<R>,
    ) -> io::Result<R> {
        loop {
            self.admit(direction)?;
            match f(&self.io) {
                _ if self.is_closed() => return Err(error::closed()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                result => return result,
            }
        }
    }

    #[inline]
    fn admit(&self, direction: Direction) -> io::Result<()> {
        self.live()?;
        if self.limits(direction).has_passed() {
            return Err(error::deadline_passed());
        }
        Ok(())
    }

    /// What an attempt came to; `None` if there is to be another one.
    #[inline]
    fn settle<R>(
        &self,
        direction: Direction,
        limit: &mut Limit,
        result: io::Result<R>,
    ) -> Option<io::Result<R>> {
        match result {
            _ if self.is_closed() => Some(Err(error::closed())),
            Err(error) if error.kind() == ErrorKind::Interrupted => None,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                if self.is_nonblocking() {
                    return Some(Err(error));
                }
                self.wait_within(direction, limit).err().map(Err)
            }
            result => Some(result),
        }
    }

    #[inline(never)]
    fn wait_within(&self, direction: Direction, limit: &mut Limit) -> io::Result<()> {
        let until = match *limit {
            Limit::Until(until) => until,
            Limit::Timeout => {
                let timeout = self.limits(direction).timeout();
                timeout.and_then(|timeout| Instant::now().checked_add(timeout))
            }
        };
        *limit = Limit::Until(until);
        match wait(self, direction, until)? {
            Ready::Again => Ok(()),
            Ready::TimedOut => Err(error::timed_out()),
        }
    }

    fn release(self) -> io::Result<T> {
        let nonblocking = self.nonblocking.into_inner();
        rustix::io::ioctl_fionbio(&self.io, nonblocking)?;
        let socket = SockRef::from(&self.io);
        if let Some(timeout) = self.reads.timeout() {
            socket.set_read_timeout(Some(timeout))?;
        }
        if let Some(timeout) = self.writes.timeout() {
            socket.set_write_timeout(Some(timeout))?;
        }
        Ok(self.io)
    }
}
