//! A descriptor in non-blocking mode, and what its users chose.
//!
//! All types of this module are one `Handle` each. The kernel never makes a thread wait: the
//! descriptor is non-blocking, and what cannot be done at once waits (`op.rs`), for readiness,
//! until its timeout, its deadline, or the end of the handle. Whether the *user* wants to wait is a
//! flag.
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

use std::io;
use std::net;
use std::ops::Deref;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

pub(crate) use gopark_poller::Direction;
use rustix::fs::OFlags;
use rustix::net::Shutdown;
use socket2::SockRef;

use super::boundaries::Boundaries;
use super::deadline::Limits;
use super::error;
use super::watch::Watch;

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
    /// Dropped before `io`, see `watch.rs`.
    watch: Watch,
    io: T,
    boundaries: Boundaries,
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
            Err(shared) => Ok(T::from(shared.lend().as_fd().try_clone_to_owned()?)),
        }
    }
}

impl<T: AsFd> Inner<T> {
    pub(crate) fn of_nonblocking(io: T) -> Inner<T> {
        Inner {
            watch: Watch::default(),
            io,
            boundaries: Boundaries::new(),
            nonblocking: AtomicBool::new(false),
            closed: AtomicBool::new(false),
            reads: Limits::new(),
            writes: Limits::new(),
        }
    }

    /// The descriptor, also after the close, for this module's own calls.
    #[inline]
    pub(crate) fn io(&self) -> &T {
        &self.io
    }

    /// The descriptor, also after the close, for the user's own calls.
    pub(crate) fn lend(&self) -> &T {
        self.boundaries.lend();
        &self.io
    }

    /// Whether a short transfer has moved all there was: see `boundaries.rs`.
    #[inline]
    pub(super) fn has_no_boundaries(&self) -> bool {
        self.boundaries.are_none(&self.io)
    }

    pub(super) fn io_mut(&mut self) -> &mut T {
        &mut self.io
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

    pub(crate) fn watch(&self) -> &Watch {
        &self.watch
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
            self.watch.disturb(direction);
        }
        Ok(())
    }

    pub(crate) fn deadline(&self, direction: Direction) -> io::Result<Option<Instant>> {
        self.live()?;
        Ok(self.limits(direction).deadline())
    }

    /// Ends reading, writing or both in the kernel, and makes those who wait try again: the kernel
    /// does not tell all of them.
    pub(crate) fn shutdown(&self, how: net::Shutdown) -> io::Result<()> {
        use Direction::{Read, Write};
        let (how, directions): (_, &[Direction]) = match how {
            net::Shutdown::Read => (Shutdown::Read, &[Read]),
            net::Shutdown::Write => (Shutdown::Write, &[Write]),
            net::Shutdown::Both => (Shutdown::Both, &[Read, Write]),
        };
        rustix::net::shutdown(self.live()?, how)?;
        for &direction in directions {
            self.watch.disturb(direction);
        }
        Ok(())
    }

    /// Ends all operations, now and later.
    pub(crate) fn close(&self) {
        // Release: pairs with the Acquire in `is_closed`. The shutdown comes after it in the
        // kernel's order too: both sides lock the socket there.
        if !self.closed.swap(true, Ordering::Release) {
            // Not connected, or no socket at all: nothing to end.
            let _ = rustix::net::shutdown(&self.io, Shutdown::Both);
            // Data that nobody will read: a peer that waits for room would wait for the last handle
            // to be dropped. It is reset, as it is by the end of a descriptor with unread data.
            if rustix::io::ioctl_fionread(&self.io).is_ok_and(|unread| unread > 0) {
                let _ = rustix::net::connect_unspec(&self.io);
            }
            self.watch.disturb(Direction::Read);
            self.watch.disturb(Direction::Write);
        }
    }

    fn release(self) -> io::Result<T> {
        let nonblocking = self.nonblocking.into_inner();
        rustix::io::ioctl_fionbio(&self.io, nonblocking)?;
        let socket = SockRef::from(&self.io);
        // A descriptor that came with timeouts has them still, whatever was set since.
        if self.reads.was_set() {
            socket.set_read_timeout(self.reads.timeout())?;
        }
        if self.writes.was_set() {
            socket.set_write_timeout(self.writes.timeout())?;
        }
        Ok(self.io)
    }
}
