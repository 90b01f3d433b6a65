//! TCP listeners.

use std::io;
use std::iter::FusedIterator;
use std::net::{SocketAddr, ToSocketAddrs};
use std::os::fd::AsFd;

use rustix::io::Errno;
use socket2::{SockAddr, SockRef, Socket};

use super::addrs::resolve;
use super::handle::{Direction, Handle};
use super::methods::{delegate, socket};
use super::tcp::TcpStream;

/// A TCP server's socket: `std::net::TcpListener`, blocking only the goroutine.
pub struct TcpListener(pub(super) Handle<std::net::TcpListener>);

socket!(TcpListener, std::net::TcpListener);

impl TcpListener {
    /// Listens at `addr`, at the first of its addresses that is free, with `SO_REUSEADDR` and
    /// std's backlog.
    ///
    /// # Errors
    /// That of the last address, or of finding addresses.
    pub fn bind<A: ToSocketAddrs>(addr: A) -> io::Result<TcpListener> {
        let addrs: Vec<SocketAddr> = resolve(&addr)?.collect();
        let listener = std::net::TcpListener::bind(&addrs[..])?;
        Ok(TcpListener(Handle::of_new(listener)?))
    }

    /// Waits for a connection. Several may wait at the same listener.
    ///
    /// # Errors
    /// What the system says. One such as `EMFILE`, too many open files, is not the end of the
    /// listener: the connection stays in the queue, and who tries again at once spins. Connections
    /// that ended in the queue are passed over.
    pub fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        let (socket, addr) = accept(&self.0)?;
        let addr = addr.as_socket().ok_or(Errno::INVAL)?;
        let stream = Handle::of_nonblocking(std::net::TcpStream::from(socket));
        Ok((TcpStream(stream), addr))
    }

    /// Connections, without an end.
    pub fn incoming(&self) -> Incoming<'_> {
        Incoming { listener: self }
    }

    delegate! {
        /// The address of the listener.
        fn local_addr() -> SocketAddr;
        /// Sets `IP_TTL`.
        fn set_ttl(ttl: u32) -> ();
        /// `IP_TTL`.
        fn ttl() -> u32;
        /// Fails: it must be set before the socket is bound.
        #[deprecated = "can only be set before the socket is bound"]
        #[expect(deprecated, reason = "std has it")]
        fn set_only_v6(only_v6: bool) -> ();
        /// `IPV6_V6ONLY`.
        #[deprecated = "can only be set before the socket is bound"]
        #[expect(deprecated, reason = "std has it")]
        fn only_v6() -> bool;
    }
}

/// A connection from the queue of a listener, in non-blocking mode.
pub(crate) fn accept<T: AsFd>(listener: &Handle<T>) -> io::Result<(Socket, SockAddr)> {
    let flags = libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
    listener.op(Direction::Read, |io| {
        let accepted = SockRef::from(io).accept4(flags);
        accepted.map_err(|error| match Errno::from_io_error(&error) {
            // It ended in the queue: on to the next one.
            Some(Errno::CONNABORTED) => Errno::INTR.into(),
            _ => error,
        })
    })
}

/// Connections of a [`TcpListener`].
#[must_use = "iterators are lazy and do nothing unless consumed"]
#[derive(Debug)]
pub struct Incoming<'a> {
    listener: &'a TcpListener,
}

impl Iterator for Incoming<'_> {
    type Item = io::Result<TcpStream>;

    fn next(&mut self) -> Option<io::Result<TcpStream>> {
        Some(self.listener.accept().map(|(stream, _)| stream))
    }
}

impl FusedIterator for Incoming<'_> {}
