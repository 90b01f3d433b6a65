//! What a socket gets before it is bound, and how long the queue of a listener is.
//!
//! *The queue.* Connections that nobody has accepted yet wait in the queue of the listener; what
//! finds it full is dropped or reset. std allows 128 of them. Here it is as many as the system
//! allows, `/proc/sys/net/core/somaxconn`, as in Go; the file is read at each bind, because its
//! number may change and belongs to the network namespace. Linux before 4.1 keeps the length in 16
//! bits and takes what is above for its remainder, so it gets no more than fits.

use std::ffi::c_int;
use std::fmt;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;

use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use socket2::{Domain, SockAddr, Socket, Type};

type Hook = Arc<dyn Fn(BorrowedFd<'_>) -> io::Result<()> + Send + Sync>;

/// What a socket gets before it is bound: see [`TcpListener::bind_with`],
/// [`UdpSocket::bind_with`] and [`UnixListener::bind_with`].
///
/// Every option that is not set here is as `bind` without options has it. What the kernel knows
/// beside these goes through [`before_bind`](BindOptions::before_bind).
///
/// [`TcpListener::bind_with`]: super::TcpListener::bind_with
/// [`UdpSocket::bind_with`]: super::UdpSocket::bind_with
/// [`UnixListener::bind_with`]: super::UnixListener::bind_with
#[derive(Clone, Default)]
#[doc(alias = "ListenConfig")]
#[must_use = "options do nothing until a socket is bound with them"]
pub struct BindOptions {
    backlog: Option<u32>,
    reuse_address: Option<bool>,
    reuse_port: Option<bool>,
    only_v6: Option<bool>,
    receive_buffer_bytes: Option<usize>,
    send_buffer_bytes: Option<usize>,
    before_bind: Vec<Hook>,
}

impl BindOptions {
    /// The options of `bind`.
    pub fn new() -> BindOptions {
        BindOptions::default()
    }

    /// How many connections may wait to be accepted. The system allows no more than the number in
    /// `/proc/sys/net/core/somaxconn`, which is the default, and takes that for more. For
    /// listeners.
    pub fn backlog(mut self, connections_max: u32) -> BindOptions {
        self.backlog = Some(connections_max);
        self
    }

    /// `SO_REUSEADDR`: an address may be bound while connections of an earlier socket linger. The
    /// default is `true` for TCP and `false` for UDP, where several sockets may then have one
    /// address.
    pub fn reuse_address(mut self, reuse_address: bool) -> BindOptions {
        self.reuse_address = Some(reuse_address);
        self
    }

    /// `SO_REUSEPORT`: several sockets of a user, all with this option, may have one address, and
    /// the system spreads over them what comes. The default is `false`. For TCP and UDP.
    pub fn reuse_port(mut self, reuse_port: bool) -> BindOptions {
        self.reuse_port = Some(reuse_port);
        self
    }

    /// `IPV6_V6ONLY`: a socket at an IPv6 address takes no IPv4. The default is the system's,
    /// `/proc/sys/net/ipv6/bindv6only`. Sockets at IPv4 addresses are as they are.
    pub fn only_v6(mut self, only_v6: bool) -> BindOptions {
        self.only_v6 = Some(only_v6);
        self
    }

    /// `SO_RCVBUF`, which the connections of a listener inherit: the size that TCP can offer to a
    /// peer is chosen before a connection begins. The system doubles it. For TCP and UDP.
    pub fn receive_buffer_bytes(mut self, bytes: usize) -> BindOptions {
        self.receive_buffer_bytes = Some(bytes);
        self
    }

    /// `SO_SNDBUF`, which the connections of a listener inherit. The system doubles it. For TCP and
    /// UDP.
    pub fn send_buffer_bytes(mut self, bytes: usize) -> BindOptions {
        self.send_buffer_bytes = Some(bytes);
        self
    }

    /// Calls `hook` with each socket before it is bound, after the other options are set, for what
    /// has no method here. Hooks add up, and run in the order in which they were given. An error is
    /// that of the address.
    ///
    /// # Examples
    ///
    /// ```
    /// use gopark::net::{BindOptions, TcpListener};
    ///
    /// let options = BindOptions::new().before_bind(|socket| {
    ///     // The connections inherit it.
    ///     rustix::net::sockopt::set_tcp_nodelay(socket, true)?;
    ///     Ok(())
    /// });
    /// let listener = TcpListener::bind_with("127.0.0.1:0", &options)?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[doc(alias = "Control")]
    pub fn before_bind<F>(mut self, hook: F) -> BindOptions
    where
        F: Fn(BorrowedFd<'_>) -> io::Result<()> + Send + Sync + 'static,
    {
        self.before_bind.push(Arc::new(hook));
        self
    }

    /// A socket at the first of `addrs` that takes it, in non-blocking mode.
    pub(super) fn bind_ip(
        &self,
        addrs: impl Iterator<Item = SocketAddr>,
        kind: Type,
    ) -> io::Result<Socket> {
        if kind == Type::DGRAM {
            self.refuse("a UDP socket", &[("backlog", self.backlog.is_some())])?;
        }
        let mut last = io::Error::new(
            ErrorKind::InvalidInput,
            "could not resolve to any addresses",
        );
        for addr in addrs {
            match self.bind_at(addr, kind) {
                Ok(socket) => return Ok(socket),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    fn bind_at(&self, addr: SocketAddr, kind: Type) -> io::Result<Socket> {
        let socket = Socket::new(Domain::for_address(addr), kind.nonblocking(), None)?;
        if self.reuse_address.unwrap_or(kind == Type::STREAM) {
            socket.set_reuse_address(true)?;
        }
        if let Some(reuse_port) = self.reuse_port {
            socket.set_reuse_port(reuse_port)?;
        }
        if let Some(only_v6) = self.only_v6.filter(|_| addr.is_ipv6()) {
            socket.set_only_v6(only_v6)?;
        }
        if let Some(bytes) = self.receive_buffer_bytes {
            socket.set_recv_buffer_size(fitting("receive_buffer_bytes", bytes)?)?;
        }
        if let Some(bytes) = self.send_buffer_bytes {
            socket.set_send_buffer_size(fitting("send_buffer_bytes", bytes)?)?;
        }
        self.run_hooks(socket.as_fd())?;
        socket.bind(&SockAddr::from(addr))?;
        Ok(socket)
    }

    /// A Unix listener at `addr`, in non-blocking mode.
    pub(super) fn listen_unix(&self, addr: &SocketAddrUnix) -> io::Result<rustix::fd::OwnedFd> {
        self.refuse(
            "a Unix listener",
            &[
                ("reuse_address", self.reuse_address.is_some()),
                ("reuse_port", self.reuse_port.is_some()),
                ("only_v6", self.only_v6.is_some()),
                ("receive_buffer_bytes", self.receive_buffer_bytes.is_some()),
                ("send_buffer_bytes", self.send_buffer_bytes.is_some()),
            ],
        )?;
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let (family, kind) = (AddressFamily::UNIX, SocketType::STREAM);
        let socket = rustix::net::socket_with(family, kind, flags, None)?;
        self.run_hooks(socket.as_fd())?;
        rustix::net::bind(&socket, addr)?;
        rustix::net::listen(&socket, self.listen_backlog())?;
        Ok(socket)
    }

    fn run_hooks(&self, socket: BorrowedFd<'_>) -> io::Result<()> {
        self.before_bind.iter().try_for_each(|hook| hook(socket))
    }

    /// Fails if an option was set that `what` does not have.
    fn refuse(&self, what: &str, options: &[(&str, bool)]) -> io::Result<()> {
        match options.iter().find(|(_, is_set)| *is_set) {
            None => Ok(()),
            Some((option, _)) => Err(io::Error::new(
                ErrorKind::InvalidInput,
                format!("the option {option} does not apply to {what}"),
            )),
        }
    }

    /// The number for listen(2).
    pub(super) fn listen_backlog(&self) -> c_int {
        let wished = self.backlog.unwrap_or_else(|| {
            let text = std::fs::read_to_string("/proc/sys/net/core/somaxconn");
            text.map_or(BACKLOG_UNKNOWN, |text| somaxconn(&text))
        });
        let backlog = capped(wished, || {
            std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default()
        });
        c_int::try_from(backlog).unwrap_or(c_int::MAX)
    }
}

impl fmt::Debug for BindOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BindOptions")
            .field("backlog", &self.backlog)
            .field("reuse_address", &self.reuse_address)
            .field("reuse_port", &self.reuse_port)
            .field("only_v6", &self.only_v6)
            .field("receive_buffer_bytes", &self.receive_buffer_bytes)
            .field("send_buffer_bytes", &self.send_buffer_bytes)
            .field("hooks", &self.before_bind.len())
            .finish()
    }
}

/// What every kernel takes, and cuts to its own limit.
const BACKLOG_UNKNOWN: u32 = u16::MAX as u32;

/// The number in the text of the file, if it is one.
fn somaxconn(text: &str) -> u32 {
    match text.trim().parse() {
        Ok(0) | Err(_) => BACKLOG_UNKNOWN,
        Ok(number) => number,
    }
}

/// No more than the kernel has bits for; `release` is its version, as in `4.1.0-generic`.
fn capped(backlog: u32, release: impl FnOnce() -> String) -> u32 {
    if backlog <= BACKLOG_UNKNOWN {
        return backlog;
    }
    let release = release();
    let mut numbers = release
        .split(|c: char| !c.is_ascii_digit())
        .map_while(|number| number.parse::<u32>().ok());
    match (numbers.next(), numbers.next()) {
        (Some(major), Some(minor)) if (major, minor) >= (4, 1) => backlog,
        _ => BACKLOG_UNKNOWN,
    }
}

/// A size that the kernel can take for a number.
fn fitting(option: &str, bytes: usize) -> io::Result<usize> {
    const BYTES_MAX: usize = c_int::MAX as usize;
    if bytes <= BYTES_MAX {
        return Ok(bytes);
    }
    Err(io::Error::new(
        ErrorKind::InvalidInput,
        format!("{option} is {bytes}, which is more than {BYTES_MAX}"),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_queue_is_as_long_as_the_file_says() {
        assert_eq!(somaxconn("4096\n"), 4096);
        assert_eq!(somaxconn("1048576\n"), 1_048_576);
        for nonsense in ["", "0\n", "-1\n", "many", "4294967296"] {
            assert_eq!(somaxconn(nonsense), 65_535, "{nonsense}");
        }
    }

    #[test]
    fn old_kernels_get_what_fits_16_bits() {
        let on = |release: &str, backlog| capped(backlog, || release.to_owned());
        for release in ["4.1.0", "4.19.0-27-amd64", "6.18.44", "10.0"] {
            assert_eq!(on(release, 70_000), 70_000, "{release}");
        }
        for release in ["4.0.9", "3.10.0-1160.el7.x86_64", "2.6.32", "", "6", "x.y"] {
            assert_eq!(on(release, 70_000), 65_535, "{release}");
            assert_eq!(on(release, 65_535), 65_535, "{release}");
            assert_eq!(on(release, 0), 0, "{release}");
        }
        let nobody_asks = capped(4096, || unreachable!("it fits"));
        assert_eq!(nobody_asks, 4096);
    }

    #[test]
    fn a_backlog_beyond_the_kernel_s_numbers_is_the_greatest() {
        let options = BindOptions::new().backlog(u32::MAX);
        assert_eq!(options.listen_backlog(), c_int::MAX);
        assert_eq!(BindOptions::new().backlog(7).listen_backlog(), 7);
    }
}
