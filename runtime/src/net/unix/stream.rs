//! Unix connections.

use std::io::{self, ErrorKind};
use std::net::Shutdown;
use std::os::unix::net::{self, SocketAddr};
use std::path::Path;
use std::time::Duration;

use crate::net::handle::{Direction, Handle};
use crate::net::methods::{delegate, socket, stream_io, timeouts};
use crate::sched::blocking::Blocking;
use crate::sched::header::G;

/// A Unix connection: `std::os::unix::net::UnixStream`, blocking only the goroutine.
pub struct UnixStream(pub(crate) Handle<net::UnixStream>);

socket!(UnixStream, net::UnixStream);
stream_io!(UnixStream);

impl UnixStream {
    /// Connects to the listener at `path`.
    ///
    /// While the queue of the listener is full this is a blocking call, with a thread of its own:
    /// the system does not tell when there is room.
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
        let stream = {
            let _back = G::current().and_then(Blocking::of);
            loop {
                match net::UnixStream::connect_addr(socket_addr) {
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    connected => break connected?,
                }
            }
        };
        Ok(UnixStream(Handle::of_new(stream)?))
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
        /// Ends reading, writing or both. Who waits goes on.
        fn shutdown(how: Shutdown) -> ();
    }

    timeouts!();
}
