//! TCP listeners.

use std::io;
use std::iter::FusedIterator;
use std::net::{SocketAddr, ToSocketAddrs};
use std::os::fd::AsFd;

use rustix::io::Errno;
use socket2::{SockAddr, SockRef, Socket, Type};

use super::addrs::resolve;
use super::bind::BindOptions;
use super::handle::Handle;
use super::methods::{delegate, socket};
use super::tcp::TcpStream;

/// A TCP server's socket: `std::net::TcpListener`, blocking only the goroutine.
pub struct TcpListener(pub(super) Handle<std::net::TcpListener>);

socket!(TcpListener, std::net::TcpListener);

impl TcpListener {
    /// Listens at `addr`, at the first of its addresses that is free, with `SO_REUSEADDR`. As many
    /// connections as the system allows may wait to be accepted: the number in
    /// `/proc/sys/net/core/somaxconn`, where std has 128.
    ///
    /// # Errors
    /// That of the last address, or of finding addresses.
    pub fn bind<A: ToSocketAddrs>(addr: A) -> io::Result<TcpListener> {
        TcpListener::bind_with(addr, &BindOptions::new())
    }

    /// Listens at `addr`, at the first of its addresses that is free, with `options`.
    ///
    /// # Errors
    /// `InvalidInput` for a size that the system cannot take; that of the last address, or of
    /// finding addresses.
    ///
    /// # Examples
    ///
    /// ```
    /// use gopark::net::{BindOptions, TcpListener};
    ///
    /// // Two listeners share a port: the system spreads the connections.
    /// let options = BindOptions::new().reuse_port(true).backlog(1024);
    /// let one = TcpListener::bind_with("127.0.0.1:0", &options)?;
    /// let two = TcpListener::bind_with(one.local_addr()?, &options)?;
    /// assert_eq!(one.local_addr()?, two.local_addr()?);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn bind_with<A: ToSocketAddrs>(addr: A, options: &BindOptions) -> io::Result<TcpListener> {
        let socket = options.bind_ip(resolve(&addr)?, Type::STREAM)?;
        socket.listen(options.listen_backlog())?;
        let listener = std::net::TcpListener::from(socket);
        Ok(TcpListener(Handle::of_nonblocking(listener)))
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
    let accept = |io: &T| {
        let accepted = SockRef::from(io).accept4(flags);
        accepted.map_err(|error| match Errno::from_io_error(&error) {
            // It ended in the queue: on to the next one.
            Some(Errno::CONNABORTED) => Errno::INTR.into(),
            _ => error,
        })
    };
    // What a listener that may wait says after a shutdown.
    listener.op_recv(accept, || Err(Errno::INVAL.into()))
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
