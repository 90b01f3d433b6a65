//! TCP connections.

use std::io::{self, ErrorKind};
use std::net::{Shutdown, SocketAddr, ToSocketAddrs};
use std::time::{Duration, Instant};

use rustix::io::Errno;
use socket2::{Domain, SockAddr, SockRef, Socket, Type};

use super::addrs::resolve;
use super::error;
use super::handle::{Direction, Handle};
use super::methods::{delegate, shutdown, socket, stream_io, timeouts};
use super::op::Limit;
use super::stream;

/// A TCP connection: `std::net::TcpStream`, blocking only the goroutine.
pub struct TcpStream(pub(super) Handle<std::net::TcpStream>);

socket!(TcpStream, std::net::TcpStream);
stream_io!(TcpStream);

impl TcpStream {
    /// Connects to `addr`; to the first of its addresses that answers.
    ///
    /// # Errors
    /// That of the last address, or of finding addresses.
    pub fn connect<A: ToSocketAddrs>(addr: A) -> io::Result<TcpStream> {
        let mut last = io::Error::new(
            ErrorKind::InvalidInput,
            "could not resolve to any addresses",
        );
        for addr in resolve(&addr)? {
            match connect(&addr, None) {
                Ok(handle) => return Ok(TcpStream(handle)),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// Connects to `addr` within `timeout`.
    ///
    /// # Errors
    /// `InvalidInput` if the timeout is zero; `TimedOut` when it has passed; what the system says.
    pub fn connect_timeout(addr: &SocketAddr, timeout: Duration) -> io::Result<TcpStream> {
        if timeout.is_zero() {
            return Err(error::zero_timeout());
        }
        // What does not fit an `Instant` is never reached.
        let until = Instant::now().checked_add(timeout);
        Ok(TcpStream(connect(addr, until)?))
    }

    delegate! {
        /// The address of the peer.
        fn peer_addr() -> SocketAddr;
        /// The address of this end.
        fn local_addr() -> SocketAddr;
        /// Sets `TCP_NODELAY`: small writes are sent at once.
        fn set_nodelay(nodelay: bool) -> ();
        /// `TCP_NODELAY`.
        fn nodelay() -> bool;
        /// Sets `IP_TTL`.
        fn set_ttl(ttl: u32) -> ();
        /// `IP_TTL`.
        fn ttl() -> u32;
    }

    shutdown!();
    timeouts!();

    /// Receives without taking the data out of the queue.
    ///
    /// # Errors
    /// As for reading.
    pub fn peek(&self, buf: &mut [u8]) -> io::Result<usize> {
        stream::peek(&self.0, buf)
    }

    /// Sets `SO_LINGER`: how long dropping the last descriptor waits for data to be sent. Zero
    /// resets the connection; more than that blocks the thread.
    ///
    /// # Errors
    /// What the system says; [`Closed`](crate::net::Closed) after `close`.
    pub fn set_linger(&self, linger: Option<Duration>) -> io::Result<()> {
        SockRef::from(self.0.live()?).set_linger(linger)
    }

    /// `SO_LINGER`.
    ///
    /// # Errors
    /// What the system says; [`Closed`](crate::net::Closed) after `close`.
    pub fn linger(&self) -> io::Result<Option<Duration>> {
        SockRef::from(self.0.live()?).linger()
    }

    /// Sets `TCP_QUICKACK`: acknowledgements are not delayed. The system may turn it off again.
    ///
    /// # Errors
    /// What the system says; [`Closed`](crate::net::Closed) after `close`.
    pub fn set_quickack(&self, quickack: bool) -> io::Result<()> {
        SockRef::from(self.0.live()?).set_tcp_quickack(quickack)
    }

    /// `TCP_QUICKACK`.
    ///
    /// # Errors
    /// What the system says; [`Closed`](crate::net::Closed) after `close`.
    pub fn quickack(&self) -> io::Result<bool> {
        SockRef::from(self.0.live()?).tcp_quickack()
    }
}

/// A connection to `addr`; `TimedOut` if there is none at `until`.
fn connect(addr: &SocketAddr, until: Option<Instant>) -> io::Result<Handle<std::net::TcpStream>> {
    let socket = Socket::new(Domain::for_address(*addr), Type::STREAM.nonblocking(), None)?;
    let handle = Handle::of_nonblocking(std::net::TcpStream::from(socket));
    let addr = SockAddr::from(*addr);
    let mut begun = false;
    let outcome = handle.op_within(Direction::Write, Limit::Until(until), |io| {
        let socket = SockRef::from(io);
        if begun && let Some(error) = socket.take_error()? {
            return Ok(Err(error));
        }
        begun = true;
        // Later calls do not connect anew: they say how far the first one is.
        progress(socket.connect(&addr))
    });
    match outcome {
        Ok(connected) => connected.map(|()| handle),
        // Nobody else has the handle: only `until` ends the wait.
        Err(error) if error.kind() == ErrorKind::WouldBlock => {
            Err(io::Error::new(ErrorKind::TimedOut, "connection timed out"))
        }
        Err(error) => Err(error),
    }
}

/// The outcome of connecting, or `WouldBlock` while there is none.
fn progress(called: io::Result<()>) -> io::Result<io::Result<()>> {
    let Err(error) = called else {
        return Ok(Ok(()));
    };
    match Errno::from_io_error(&error) {
        Some(Errno::ISCONN) => Ok(Ok(())),
        // An interrupted call goes on in the background as well.
        Some(Errno::INPROGRESS | Errno::ALREADY | Errno::INTR) => Err(Errno::AGAIN.into()),
        _ => Ok(Err(error)),
    }
}
