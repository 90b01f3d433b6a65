//! Unix datagram sockets.
//!
//! A sender waits for room in two places: in its own buffer, and in the queue of the receiver. The
//! system makes a socket writable when both have room, but knows only the receiver that the socket
//! is connected to. For others a probe is connected, and waited for.

use std::io;
use std::net::Shutdown;
use std::os::unix::net::{self, SocketAddr};
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::io::Errno;

use crate::net::error;
use crate::net::handle::{Direction, Handle, Inner};
use crate::net::methods::{delegate, shutdown, socket, timeouts};
use crate::net::wait::{is_ready, wait};

/// Who waits at a probe looks this often for a close or a deadline of the socket that sends.
const PROBE_TIME: Duration = Duration::from_millis(20);

/// A Unix datagram socket: `std::os::unix::net::UnixDatagram`, blocking only the goroutine.
///
/// A datagram is received whole: what does not fit the buffer is discarded.
pub struct UnixDatagram(pub(crate) Handle<net::UnixDatagram>);

socket!(UnixDatagram, net::UnixDatagram);

impl UnixDatagram {
    /// A socket at `path`, which must not exist.
    ///
    /// # Errors
    /// `InvalidInput` if the path is too long or has a NUL inside; what the system says.
    pub fn bind<P: AsRef<Path>>(path: P) -> io::Result<UnixDatagram> {
        Ok(UnixDatagram(Handle::of_new(net::UnixDatagram::bind(
            path,
        )?)?))
    }

    /// A socket at `socket_addr`, which may be abstract.
    ///
    /// # Errors
    /// What the system says.
    pub fn bind_addr(socket_addr: &SocketAddr) -> io::Result<UnixDatagram> {
        let socket = net::UnixDatagram::bind_addr(socket_addr)?;
        Ok(UnixDatagram(Handle::of_new(socket)?))
    }

    /// A socket without a name.
    ///
    /// # Errors
    /// What the system says.
    pub fn unbound() -> io::Result<UnixDatagram> {
        Ok(UnixDatagram(Handle::of_new(net::UnixDatagram::unbound()?)?))
    }

    /// Two connected sockets without names.
    ///
    /// # Errors
    /// What the system says.
    pub fn pair() -> io::Result<(UnixDatagram, UnixDatagram)> {
        let (a, b) = net::UnixDatagram::pair()?;
        Ok((
            UnixDatagram(Handle::of_new(a)?),
            UnixDatagram(Handle::of_new(b)?),
        ))
    }

    /// Chooses the peer of `send` and `recv`.
    ///
    /// # Errors
    /// `InvalidInput` if the path is too long or has a NUL inside; what the system says;
    /// [`Closed`](crate::net::Closed) after `close`.
    pub fn connect<P: AsRef<Path>>(&self, path: P) -> io::Result<()> {
        self.0.live()?.connect(path)
    }

    /// Receives a datagram and says from whom; after `shutdown`, nothing from nobody.
    ///
    /// # Errors
    /// What the system says.
    pub fn recv_from(&self, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        let end = || Ok((0, SocketAddr::from_pathname("")?));
        self.0.op_recv(|io| io.recv_from(buf), end)
    }

    /// Receives a datagram; after `shutdown`, nothing.
    ///
    /// # Errors
    /// What the system says.
    pub fn recv(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.0.op_recv(|io| io.recv(buf), || Ok(0))
    }

    /// Sends a datagram to the socket at `path`.
    ///
    /// # Errors
    /// `InvalidInput` if the path is too long or has a NUL inside; what the system says.
    pub fn send_to<P: AsRef<Path>>(&self, buf: &[u8], path: P) -> io::Result<usize> {
        self.send_to_addr(buf, &SocketAddr::from_pathname(path)?)
    }

    /// Sends a datagram to the socket at `socket_addr`, which may be abstract.
    ///
    /// # Errors
    /// What the system says.
    pub fn send_to_addr(&self, buf: &[u8], socket_addr: &SocketAddr) -> io::Result<usize> {
        let mut room = Room::default();
        loop {
            let sent = self
                .0
                .attempt(Direction::Write, |io| io.send_to_addr(buf, socket_addr));
            match sent {
                Err(error) if Errno::from_io_error(&error) == Some(Errno::AGAIN) => {
                    if self.0.is_nonblocking() {
                        return Err(error);
                    }
                    room.wait(&self.0, socket_addr)?;
                }
                sent => return sent,
            }
        }
    }

    /// Sends a datagram to the peer.
    ///
    /// # Errors
    /// What the system says.
    pub fn send(&self, buf: &[u8]) -> io::Result<usize> {
        self.0.op(Direction::Write, |io| io.send(buf))
    }

    delegate! {
        /// Chooses the peer of `send` and `recv`, which may be abstract.
        fn connect_addr(socket_addr: &SocketAddr) -> ();
        /// The address of the peer.
        fn peer_addr() -> SocketAddr;
        /// The address of the socket.
        fn local_addr() -> SocketAddr;
    }

    shutdown!();
    timeouts!();
}

/// Waiting for room at a receiver that the sender need not be connected to.
#[derive(Default)]
struct Room {
    /// When the timeout of the sender ends; known from the first wait on.
    until: Option<Option<Instant>>,
    /// Connected to the receiver.
    probe: Option<Inner<net::UnixDatagram>>,
}

impl Room {
    /// Waits, for [`PROBE_TIME`] at most, until `sender` may have room or the receiver at `addr`.
    fn wait(&mut self, sender: &Inner<net::UnixDatagram>, addr: &SocketAddr) -> io::Result<()> {
        let now = Instant::now();
        let until = *self.until.get_or_insert_with(|| {
            let timeout = sender.limits(Direction::Write).timeout();
            timeout.and_then(|timeout| now.checked_add(timeout))
        });
        if until.is_some_and(|until| until <= now) {
            return Err(error::timed_out());
        }
        let slice = now + PROBE_TIME;
        let slice = Some(until.map_or(slice, |until| until.min(slice)));
        // What happens between the look and the wait ends the wait.
        let seen = sender.watch().look(Direction::Write);
        if !is_ready(sender.io(), Direction::Write, Duration::ZERO)? {
            let _ = wait(sender, Direction::Write, seen, slice)?;
            return Ok(());
        }
        let probe = self.probe(addr)?;
        let seen = probe.watch().look(Direction::Write);
        if !is_ready(probe.io(), Direction::Write, Duration::ZERO)? {
            let _ = wait(probe, Direction::Write, seen, slice)?;
        }
        Ok(())
    }

    fn probe(&mut self, addr: &SocketAddr) -> io::Result<&Inner<net::UnixDatagram>> {
        if self.probe.is_none() {
            let probe = net::UnixDatagram::unbound()?;
            probe.set_nonblocking(true)?;
            probe.connect_addr(addr)?;
            self.probe = Some(Inner::of_nonblocking(probe));
        }
        Ok(self.probe.as_ref().expect("made above"))
    }
}
