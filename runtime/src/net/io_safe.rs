//! Types whose reads and writes keep their descriptor.
//!
//! *Problem.* [`Pollable`](super::Pollable) keeps a descriptor registered by its number. `Read` and
//! `Write` take `&mut self`, and a safe implementation may put another descriptor in the place of
//! its own, which closes that one: its number then belongs to a stranger, and the end of the
//! `Pollable` would deregister the stranger's descriptor.
//!
//! *Idea.* Only types that promise to keep their descriptor are lent as `&mut`. A shared reference
//! needs no promise: a descriptor that `as_fd` has lent stays open while the reference lives.

#![expect(unsafe_code, reason = "implements the promise for the types of std")]

use std::fs::File;
use std::io::{PipeReader, PipeWriter, Stderr, StderrLock, Stdin, StdinLock, Stdout, StdoutLock};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::process::{ChildStderr, ChildStdin, ChildStdout};
use std::rc::Rc;
use std::sync::Arc;

/// A type whose `Read`, `Write` and `AsFd` keep one descriptor: what a
/// [`Pollable`](super::Pollable) asks for before it reads and writes by `&mut`.
///
/// The descriptors of std have it, as well as references, boxes, `Arc`s and `Rc`s of what has it.
/// Without it, [`read_with`](super::Pollable::read_with) and
/// [`write_with`](super::Pollable::write_with) do every operation that takes a shared reference,
/// and a `&Pollable` reads and writes if a `&T` does.
///
/// # Safety
///
/// - `Read::read`, `Write::write` and all other methods of `Read`, `Write` and `AsFd` that take
///   `&mut self` or `&self` neither close the descriptor that `as_fd` gives nor replace it by
///   another.
///
/// # Examples
///
/// ```
/// use std::io::{self, PipeReader, Read, Write};
/// use std::os::fd::{AsFd, BorrowedFd};
///
/// use gopark::net::{IoSafe, Pollable};
///
/// struct Counting {
///     pipe: PipeReader,
///     bytes: usize,
/// }
///
/// impl AsFd for Counting {
///     fn as_fd(&self) -> BorrowedFd<'_> {
///         self.pipe.as_fd()
///     }
/// }
///
/// impl Read for Counting {
///     fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
///         let count = self.pipe.read(buf)?;
///         self.bytes += count;
///         Ok(count)
///     }
/// }
///
/// // SAFETY: the pipe stays in its place as long as the value lives.
/// unsafe impl IoSafe for Counting {}
///
/// let (pipe, mut writer) = io::pipe()?;
/// let mut reader = Pollable::new(Counting { pipe, bytes: 0 })?;
/// writer.write_all(b"hello")?;
/// assert_eq!(reader.read(&mut [0; 9])?, 5);
/// assert_eq!(reader.get_ref().bytes, 5);
/// # Ok::<(), io::Error>(())
/// ```
///
/// Without the promise there is no `read` by `&mut`:
///
/// ```compile_fail,E0277
/// # use std::io::{self, PipeReader, Read};
/// # use std::os::fd::{AsFd, BorrowedFd};
/// # struct Fickle(PipeReader);
/// # impl AsFd for Fickle {
/// #     fn as_fd(&self) -> BorrowedFd<'_> {
/// #         self.0.as_fd()
/// #     }
/// # }
/// impl Read for Fickle {
///     fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
///         self.0 = io::pipe()?.0;
///         Ok(0)
///     }
/// }
///
/// fn reads(_: impl Read) {}
///
/// reads(gopark::net::Pollable::new(Fickle(io::pipe().unwrap().0)).unwrap());
/// ```
pub unsafe trait IoSafe {}

macro_rules! io_safe {
    ($($io:ty)*) => {
        $(
            // SAFETY: the type has one descriptor, in a field that none of these methods changes.
            unsafe impl IoSafe for $io {}
        )*
    };
}

io_safe! {
    OwnedFd BorrowedFd<'_> File PipeReader PipeWriter
    ChildStdin ChildStdout ChildStderr
    Stdin Stdout Stderr StdinLock<'_> StdoutLock<'_> StderrLock<'_>
    TcpStream TcpListener UdpSocket UnixStream UnixListener UnixDatagram
    super::TcpStream super::TcpListener super::UdpSocket
    super::UnixStream super::UnixListener super::UnixDatagram
}

// SAFETY: the methods of a reference are those of what it refers to, by a shared reference, during
// which a lent descriptor stays open.
unsafe impl<T: ?Sized> IoSafe for &T {}

// SAFETY: the methods are those of `T`.
unsafe impl<T: IoSafe + ?Sized> IoSafe for &mut T {}

// SAFETY: the methods are those of `T`; a box that is lent stays where it is.
unsafe impl<T: IoSafe + ?Sized> IoSafe for Box<T> {}

// SAFETY: the methods are those of a shared reference, during which a lent descriptor stays open.
unsafe impl<T: ?Sized> IoSafe for Arc<T> {}

// SAFETY: the methods are those of a shared reference, during which a lent descriptor stays open.
unsafe impl<T: ?Sized> IoSafe for Rc<T> {}
