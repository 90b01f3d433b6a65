//! UDP sockets.

use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::time::Duration;

use socket2::Type;

use super::addrs::resolve;
use super::bind::BindOptions;
use super::handle::{Direction, Handle};
use super::methods::{delegate, socket, timeouts};

/// A UDP socket: `std::net::UdpSocket`, blocking only the goroutine.
///
/// A datagram is received whole: what does not fit the buffer is discarded.
pub struct UdpSocket(pub(super) Handle<std::net::UdpSocket>);

socket!(UdpSocket, std::net::UdpSocket);

impl UdpSocket {
    /// A socket at `addr`, at the first of its addresses that is free.
    ///
    /// # Errors
    /// That of the last address, or of finding addresses.
    pub fn bind<A: ToSocketAddrs>(addr: A) -> io::Result<UdpSocket> {
        UdpSocket::bind_with(addr, &BindOptions::new())
    }

    /// A socket at `addr`, at the first of its addresses that is free, with `options`.
    ///
    /// # Errors
    /// `InvalidInput` for a backlog, and for a size that the system cannot take; that of the last
    /// address, or of finding addresses.
    ///
    /// # Examples
    ///
    /// ```
    /// use gopark::net::{BindOptions, UdpSocket};
    ///
    /// let options = BindOptions::new().reuse_port(true);
    /// let one = UdpSocket::bind_with("127.0.0.1:0", &options)?;
    /// let two = UdpSocket::bind_with(one.local_addr()?, &options)?;
    /// assert_eq!(one.local_addr()?, two.local_addr()?);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn bind_with<A: ToSocketAddrs>(addr: A, options: &BindOptions) -> io::Result<UdpSocket> {
        let socket = options.bind_ip(resolve(&addr)?, Type::DGRAM)?;
        let socket = std::net::UdpSocket::from(socket);
        Ok(UdpSocket(Handle::of_nonblocking(socket)))
    }

    /// Chooses the peer of `send` and `recv`: the first of the addresses that can be one.
    ///
    /// # Errors
    /// That of the last address, or of finding addresses; [`Closed`](crate::net::Closed) after
    /// `close`.
    pub fn connect<A: ToSocketAddrs>(&self, addr: A) -> io::Result<()> {
        let addrs: Vec<SocketAddr> = resolve(&addr)?.collect();
        self.0.live()?.connect(&addrs[..])
    }

    /// Sends a datagram to the first address of `addr`.
    ///
    /// # Errors
    /// `InvalidInput` if there is none; what the system says.
    pub fn send_to<A: ToSocketAddrs>(&self, buf: &[u8], addr: A) -> io::Result<usize> {
        let Some(addr) = resolve(&addr)?.next() else {
            return Err(io::Error::new(
                ErrorKind::InvalidInput,
                "no addresses to send data to",
            ));
        };
        self.0.op(Direction::Write, |io| io.send_to(buf, addr))
    }

    /// Sends a datagram to the peer.
    ///
    /// # Errors
    /// What the system says.
    pub fn send(&self, buf: &[u8]) -> io::Result<usize> {
        self.0.op(Direction::Write, |io| io.send(buf))
    }

    /// Receives a datagram and says from whom.
    ///
    /// # Errors
    /// What the system says.
    pub fn recv_from(&self, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.0.op_recv(|io| io.recv_from(buf), no_sender)
    }

    /// Receives a datagram of the peer.
    ///
    /// # Errors
    /// What the system says.
    pub fn recv(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.0.op_recv(|io| io.recv(buf), || Ok(0))
    }

    /// Like `recv_from`; the datagram stays in the queue.
    ///
    /// # Errors
    /// What the system says.
    pub fn peek_from(&self, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.0.op_recv(|io| io.peek_from(buf), no_sender)
    }

    /// Like `recv`; the datagram stays in the queue.
    ///
    /// # Errors
    /// What the system says.
    pub fn peek(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.0.op_recv(|io| io.peek(buf), || Ok(0))
    }

    delegate! {
        /// The address of the peer.
        fn peer_addr() -> SocketAddr;
        /// The address of the socket.
        fn local_addr() -> SocketAddr;
        /// Sets `SO_BROADCAST`: broadcast addresses are allowed.
        fn set_broadcast(broadcast: bool) -> ();
        /// `SO_BROADCAST`.
        fn broadcast() -> bool;
        /// Sets `IP_MULTICAST_LOOP`: multicasts come back to this host.
        fn set_multicast_loop_v4(multicast_loop_v4: bool) -> ();
        /// `IP_MULTICAST_LOOP`.
        fn multicast_loop_v4() -> bool;
        /// Sets `IP_MULTICAST_TTL`.
        fn set_multicast_ttl_v4(multicast_ttl_v4: u32) -> ();
        /// `IP_MULTICAST_TTL`.
        fn multicast_ttl_v4() -> u32;
        /// Sets `IPV6_MULTICAST_LOOP`.
        fn set_multicast_loop_v6(multicast_loop_v6: bool) -> ();
        /// `IPV6_MULTICAST_LOOP`.
        fn multicast_loop_v6() -> bool;
        /// Sets `IP_TTL`.
        fn set_ttl(ttl: u32) -> ();
        /// `IP_TTL`.
        fn ttl() -> u32;
        /// Joins a group (`IP_ADD_MEMBERSHIP`).
        fn join_multicast_v4(multiaddr: &Ipv4Addr, interface: &Ipv4Addr) -> ();
        /// Joins a group (`IPV6_ADD_MEMBERSHIP`).
        fn join_multicast_v6(multiaddr: &Ipv6Addr, interface: u32) -> ();
        /// Leaves a group (`IP_DROP_MEMBERSHIP`).
        fn leave_multicast_v4(multiaddr: &Ipv4Addr, interface: &Ipv4Addr) -> ();
        /// Leaves a group (`IPV6_DROP_MEMBERSHIP`).
        fn leave_multicast_v6(multiaddr: &Ipv6Addr, interface: u32) -> ();
    }

    timeouts!();
}

/// What std says when receiving was ended by a shutdown of the descriptor: there is no address.
fn no_sender() -> io::Result<(usize, SocketAddr)> {
    Err(io::Error::new(ErrorKind::InvalidInput, "invalid argument"))
}
