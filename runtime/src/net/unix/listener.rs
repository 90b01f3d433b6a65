//! Unix listeners.

use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{self, SocketAddr};
use std::path::Path;

use socket2::SockAddr;

use super::addr::to_system;
use super::stream::UnixStream;
use crate::net::bind::BindOptions;
use crate::net::handle::Handle;
use crate::net::methods::{delegate, socket};
use crate::net::tcp_listener::accept;

/// A Unix server's socket: `std::os::unix::net::UnixListener`, blocking only the goroutine.
pub struct UnixListener(pub(crate) Handle<net::UnixListener>);

socket!(UnixListener, net::UnixListener);

impl UnixListener {
    /// Listens at `path`, which must not exist. As many connections as the system allows may wait
    /// to be accepted: the number in `/proc/sys/net/core/somaxconn`.
    ///
    /// # Errors
    /// `InvalidInput` if the path is too long or has a NUL inside; what the system says.
    pub fn bind<P: AsRef<Path>>(path: P) -> io::Result<UnixListener> {
        UnixListener::bind_with(path, &BindOptions::new())
    }

    /// Listens at `path`, which must not exist, with `options`.
    ///
    /// # Errors
    /// `InvalidInput` if the path is too long or has a NUL inside, and for options that Unix
    /// sockets do not have: all but [`backlog`](BindOptions::backlog) and
    /// [`before_bind`](BindOptions::before_bind); what the system says.
    ///
    /// # Examples
    ///
    /// ```
    /// use gopark::net::{BindOptions, UnixListener, UnixStream};
    ///
    /// let path = std::env::temp_dir().join(format!("gopark-doc-{}", std::process::id()));
    /// let listener = UnixListener::bind_with(&path, &BindOptions::new().backlog(16))?;
    /// let client = UnixStream::connect(&path)?;
    /// listener.accept()?;
    /// # std::fs::remove_file(path)?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn bind_with<P: AsRef<Path>>(path: P, options: &BindOptions) -> io::Result<UnixListener> {
        UnixListener::bind_addr_with(&SocketAddr::from_pathname(path)?, options)
    }

    /// Listens at `socket_addr`, which may be abstract.
    ///
    /// # Errors
    /// What the system says.
    pub fn bind_addr(socket_addr: &SocketAddr) -> io::Result<UnixListener> {
        UnixListener::bind_addr_with(socket_addr, &BindOptions::new())
    }

    /// Listens at `socket_addr`, which may be abstract, with `options`, as
    /// [`bind_with`](UnixListener::bind_with).
    ///
    /// # Errors
    /// `InvalidInput` for options that Unix sockets do not have; what the system says.
    pub fn bind_addr_with(
        socket_addr: &SocketAddr,
        options: &BindOptions,
    ) -> io::Result<UnixListener> {
        let socket = options.listen_unix(&to_system(socket_addr)?)?;
        let listener = net::UnixListener::from(socket);
        Ok(UnixListener(Handle::of_nonblocking(listener)))
    }

    /// Waits for a connection. Several may wait at the same listener.
    ///
    /// # Errors
    /// What the system says; as for [`TcpListener::accept`](crate::net::TcpListener::accept).
    pub fn accept(&self) -> io::Result<(UnixStream, SocketAddr)> {
        let (socket, addr) = accept(&self.0)?;
        let addr = to_std(&addr)?;
        let stream = Handle::of_nonblocking(net::UnixStream::from(socket));
        Ok((UnixStream(stream), addr))
    }

    /// Connections, without an end.
    pub fn incoming(&self) -> Incoming<'_> {
        Incoming { listener: self }
    }

    delegate! {
        /// The address of the listener.
        fn local_addr() -> SocketAddr;
    }
}

/// A peer with a path, an abstract name or none.
fn to_std(addr: &SockAddr) -> io::Result<SocketAddr> {
    match (addr.as_pathname(), addr.as_abstract_namespace()) {
        (Some(path), _) => SocketAddr::from_pathname(path),
        (None, Some(name)) => SocketAddr::from_abstract_name(name),
        (None, None) => SocketAddr::from_pathname(""),
    }
}

/// Connections of a [`UnixListener`].
#[must_use = "iterators are lazy and do nothing unless consumed"]
#[derive(Debug)]
pub struct Incoming<'a> {
    listener: &'a UnixListener,
}

impl Iterator for Incoming<'_> {
    type Item = io::Result<UnixStream>;

    fn next(&mut self) -> Option<io::Result<UnixStream>> {
        Some(self.listener.accept().map(|(stream, _)| stream))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (usize::MAX, None)
    }
}

impl<'a> IntoIterator for &'a UnixListener {
    type Item = io::Result<UnixStream>;
    type IntoIter = Incoming<'a>;

    fn into_iter(self) -> Incoming<'a> {
        self.incoming()
    }
}
