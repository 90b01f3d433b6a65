//! Any descriptor that can be waited for.

use std::io::{self, ErrorKind, IoSlice, IoSliceMut, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::task::{Context, Poll};
use std::time::Duration;

use rustix::fs::{FileType, OFlags};

use super::handle::{Direction, Inner};
use super::io_safe::IoSafe;
use super::methods::deadlines;
use super::stream::CALL_BYTES_MAX;
use super::wait::is_ready;

/// A pipe, an eventfd, a pidfd, a terminal: operations on it block only the goroutine.
///
/// It reads and writes if a `T` does and is [`IoSafe`]; by reference, if a `&T` does. Other
/// operations go through [`read_with`](Pollable::read_with) and
/// [`write_with`](Pollable::write_with). Nothing gives a `&mut T`: the descriptor stays registered,
/// and must not be closed meanwhile.
///
/// The descriptor is put into non-blocking mode, which it has in common with its duplicates, those
/// in other processes too. Writing to a pipe that nobody reads raises SIGPIPE if the program let
/// that signal do so; Rust programs ignore it unless they choose otherwise.
#[derive(Debug)]
pub struct Pollable<T: AsFd>(Inner<T>, Mode);

/// The mode that the descriptor had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Blocking,
    NonBlocking,
}

impl<T: AsFd> Pollable<T> {
    /// Takes a descriptor, and puts it into non-blocking mode.
    ///
    /// Each object that waits registers its descriptor, and each descriptor can be registered once
    /// in a runtime. If it is that of another `Pollable` or socket of this module, whichever waits
    /// second fails with `AlreadyExists`; a duplicate of the descriptor can wait beside it.
    ///
    /// # Errors
    /// `Unsupported` for what is always ready and blocks nevertheless: regular files, directories,
    /// block devices. Use [`blocking`](crate::blocking) with those.
    pub fn new(io: T) -> io::Result<Pollable<T>> {
        let kind = FileType::from_raw_mode(rustix::fs::fstat(&io)?.st_mode);
        let kind = match kind {
            FileType::RegularFile => "a regular file",
            FileType::Directory => "a directory",
            FileType::BlockDevice => "a block device",
            _ => return Pollable::of_pollable(io),
        };
        let fd = io.as_fd().as_raw_fd();
        Err(io::Error::new(
            ErrorKind::Unsupported,
            format!("descriptor {fd} is {kind}, which cannot be waited for"),
        ))
    }

    fn of_pollable(io: T) -> io::Result<Pollable<T>> {
        let mode = match rustix::fs::fcntl_getfl(&io)?.contains(OFlags::NONBLOCK) {
            true => Mode::NonBlocking,
            false => Mode::Blocking,
        };
        rustix::io::ioctl_fionbio(&io, true)?;
        Ok(Pollable(Inner::of_nonblocking(io), mode))
    }

    /// Waits until reading need not wait: there is data, or an end, or an error. For an eventfd or
    /// a pidfd: until it is ready.
    ///
    /// # Errors
    /// `WouldBlock` when the deadline of reads has passed; [`Closed`](crate::net::Closed) after
    /// `close`.
    pub fn readable(&self) -> io::Result<()> {
        self.ready(Direction::Read)
    }

    /// Waits until writing need not wait: there is room, or an error.
    ///
    /// # Errors
    /// `WouldBlock` when the deadline of writes has passed; [`Closed`](crate::net::Closed) after
    /// `close`.
    pub fn writable(&self) -> io::Result<()> {
        self.ready(Direction::Write)
    }

    fn ready(&self, direction: Direction) -> io::Result<()> {
        self.0.op(direction, |io| {
            match is_ready(io, direction, Duration::ZERO)? {
                true => Ok(()),
                false => Err(ErrorKind::WouldBlock.into()),
            }
        })
    }

    /// Does `f`, waits until the descriptor is readable when `f` fails with `WouldBlock`, and does
    /// it again.
    ///
    /// A socket of datagrams whose reading was shut down goes on to say `WouldBlock` to a `recv`:
    /// only the sockets of this module end it, as std does.
    ///
    /// # Errors
    /// Those of `f`; as for [`readable`](Pollable::readable).
    pub fn read_with<R>(&self, f: impl FnMut(&T) -> io::Result<R>) -> io::Result<R> {
        self.0.op(Direction::Read, f)
    }

    /// Does `f`, waits until the descriptor is writable when `f` fails with `WouldBlock`, and does
    /// it again.
    ///
    /// # Errors
    /// Those of `f`; as for [`writable`](Pollable::writable).
    pub fn write_with<R>(&self, f: impl FnMut(&T) -> io::Result<R>) -> io::Result<R> {
        self.0.op(Direction::Write, f)
    }

    /// [`read_with`](Pollable::read_with) for a task: its waker is called when it shall try again.
    /// The deadline is looked at, but calls nobody when it comes.
    ///
    /// # Errors
    /// As for `read_with`; `Unsupported` when the first wait of all for this descriptor is not in a
    /// goroutine.
    pub fn poll_read_with<R>(
        &self,
        context: &mut Context<'_>,
        f: impl FnMut(&T) -> io::Result<R>,
    ) -> Poll<io::Result<R>> {
        self.0.poll_op(Direction::Read, context.waker(), f)
    }

    /// [`write_with`](Pollable::write_with) for a task, as
    /// [`poll_read_with`](Pollable::poll_read_with).
    ///
    /// # Errors
    /// As there.
    pub fn poll_write_with<R>(
        &self,
        context: &mut Context<'_>,
        f: impl FnMut(&T) -> io::Result<R>,
    ) -> Poll<io::Result<R>> {
        self.0.poll_op(Direction::Write, context.waker(), f)
    }

    deadlines!();

    /// What was given to `new`.
    pub fn get_ref(&self) -> &T {
        self.0.io()
    }

    /// What was given to `new`, in the mode that it had.
    pub fn into_inner(self) -> T {
        let Pollable(inner, mode) = self;
        let io = inner.into_io();
        if mode == Mode::Blocking {
            // Cannot fail: it is open, and took the opposite.
            let _ = rustix::io::ioctl_fionbio(&io, false);
        }
        io
    }
}

impl<T: AsFd> AsFd for Pollable<T> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.io().as_fd()
    }
}

impl<T: AsFd> AsRawFd for Pollable<T> {
    fn as_raw_fd(&self) -> std::os::fd::RawFd {
        self.as_fd().as_raw_fd()
    }
}

impl<T: AsFd + Read + IoSafe> Read for Pollable<T> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if buf.is_empty() {
            return self.0.live().map(|_| 0);
        }
        let len = buf.len().min(CALL_BYTES_MAX);
        self.0
            .op_mut(Direction::Read, |io| io.read(&mut buf[..len]))
    }

    fn read_vectored(&mut self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        self.0.op_mut(Direction::Read, |io| io.read_vectored(bufs))
    }
}

impl<T: AsFd + Write + IoSafe> Write for Pollable<T> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let buf = &buf[..buf.len().min(CALL_BYTES_MAX)];
        self.0.op_mut(Direction::Write, |io| io.write(buf))
    }

    fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        self.0
            .op_mut(Direction::Write, |io| io.write_vectored(bufs))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.op_mut(Direction::Write, Write::flush)
    }
}

impl<T: AsFd> Read for &Pollable<T>
where
    for<'a> &'a T: Read,
{
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if buf.is_empty() {
            return self.0.live().map(|_| 0);
        }
        let len = buf.len().min(CALL_BYTES_MAX);
        self.0
            .op(Direction::Read, |mut io| io.read(&mut buf[..len]))
    }

    fn read_vectored(&mut self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        self.0.op(Direction::Read, |mut io| io.read_vectored(bufs))
    }
}

impl<T: AsFd> Write for &Pollable<T>
where
    for<'a> &'a T: Write,
{
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let buf = &buf[..buf.len().min(CALL_BYTES_MAX)];
        self.0.op(Direction::Write, |mut io| io.write(buf))
    }

    fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        self.0
            .op(Direction::Write, |mut io| io.write_vectored(bufs))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.op(Direction::Write, |mut io| io.flush())
    }
}
