//! Unix connections.

use std::io::{self, ErrorKind};
use std::net::Shutdown;
use std::os::unix::net::{self, SocketAddr};
use std::path::Path;
use std::time::Duration;

use super::connect::connect;
use crate::net::handle::{Direction, Handle};
use crate::net::methods::{delegate, shutdown, socket, stream_io, timeouts};
use crate::sched::header::G;

/// A Unix connection: `std::os::unix::net::UnixStream`, blocking only the goroutine.
pub struct UnixStream(pub(crate) Handle<net::UnixStream>);

socket!(UnixStream, net::UnixStream);
stream_io!(UnixStream);

impl UnixStream {
    /// Connects to the listener at `path`.
    ///
    /// While the queue of the listener is full the goroutine waits for room, until there is some,
    /// or a time limit, a cancel or the end of the runtime ends the wait. The system does not tell
    /// when there is room, so the goroutine sleeps and tries again: it finds the room up to 10 ms
    /// late, or later where more than a hundred wait, and not in the order in which they came. A
    /// plain thread waits in the system.
    ///
    /// # Errors
    /// `InvalidInput` if the path is too long or has a NUL inside; what the system says.
    pub fn connect<P: AsRef<Path>>(path: P) -> io::Result<UnixStream> {
        UnixStream::connect_addr(&SocketAddr::from_pathname(path)?)
    }

    /// Connects to the listener at `socket_addr`, as `connect`.
    ///
    /// # Errors
    /// What the system says.
    pub fn connect_addr(socket_addr: &SocketAddr) -> io::Result<UnixStream> {
        if let Some(g) = G::current() {
            let stream = net::UnixStream::from(connect(g, socket_addr)?);
            return Ok(UnixStream(Handle::of_nonblocking(stream)));
        }
        loop {
            match net::UnixStream::connect_addr(socket_addr) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                connected => return Ok(UnixStream(Handle::of_new(connected?)?)),
            }
        }
    }

    /// Two connected ends without names.
    ///
    /// # Errors
    /// What the system says.
    pub fn pair() -> io::Result<(UnixStream, UnixStream)> {
        let (a, b) = net::UnixStream::pair()?;
        Ok((
            UnixStream(Handle::of_new(a)?),
            UnixStream(Handle::of_new(b)?),
        ))
    }

    delegate! {
        /// The address of the peer.
        fn peer_addr() -> SocketAddr;
        /// The address of this end.
        fn local_addr() -> SocketAddr;
    }

    shutdown!();
    timeouts!();
}
