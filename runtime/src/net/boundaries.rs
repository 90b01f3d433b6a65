//! Whether a short transfer tells that nothing is left.
//!
//! *Problem.* A read of a TCP connection that fills less than its buffer has taken everything, so
//! the next one can wait without a vain system call. Reads of other descriptors end early for other
//! reasons, while data is queued: a read of a Unix socket ends at a message with rights,
//! credentials or urgent data, a read of a socket of packets at each of them, a read under kernel
//! TLS at a record of another type. The event of what is queued has been counted already, and a
//! read that waited first would wait for ever. A Unix socket is not told either when it can be
//! written to because the other end was shut down: see `op.rs`.
//!
//! *Idea.* The type of the object does not tell: every socket can become a
//! [`TcpStream`](super::TcpStream) by its descriptor. So the system is asked what the descriptor
//! is, once, when a transfer is short for the first time after a wait: a connection that makes
//! nobody wait never asks. Whoever borrows the descriptor may turn kernel TLS on, so a loan makes
//! the answer void.
//!
//! The word is advice between operations that are ordered anyway: a program that turns kernel TLS
//! on while another goroutine reads the same connection loses bytes to that reader.
#![expect(
    unsafe_code,
    reason = "getsockopt: no crate wraps the upper protocol of TCP"
)]

use std::fmt;
use std::mem::size_of;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::sync::atomic::{AtomicU8, Ordering};

use rustix::net::{ipproto, sockopt};

/// Nobody has asked since the descriptor was lent.
const UNKNOWN: u8 = 0;
/// A stream of bytes: a short transfer has moved all there was.
const NONE: u8 = 1;
/// A short transfer tells nothing.
const SOME: u8 = 2;

/// What is known of the boundaries at which transfers of a descriptor end.
pub(super) struct Boundaries(AtomicU8);

impl Boundaries {
    pub(super) const fn new() -> Boundaries {
        Boundaries(AtomicU8::new(UNKNOWN))
    }

    /// Whether transfers of `io` end nowhere but where there is nothing left.
    #[inline]
    pub(super) fn are_none(&self, io: &impl AsFd) -> bool {
        match self.0.load(Ordering::Relaxed) {
            UNKNOWN => self.ask(io.as_fd()),
            known => known == NONE,
        }
    }

    /// The descriptor is lent: what is known may change.
    #[inline]
    pub(super) fn lend(&self) {
        self.0.store(UNKNOWN, Ordering::Relaxed);
    }

    #[cold]
    fn ask(&self, fd: BorrowedFd<'_>) -> bool {
        let are_none = is_plain_tcp(fd);
        let known = if are_none { NONE } else { SOME };
        self.0.store(known, Ordering::Relaxed);
        are_none
    }
}

impl fmt::Debug for Boundaries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0.load(Ordering::Relaxed) {
            UNKNOWN => "Boundaries(unknown)",
            NONE => "Boundaries(none)",
            _ => "Boundaries(some)",
        })
    }
}

/// Whether `fd` is a TCP socket without an upper protocol, such as kernel TLS.
fn is_plain_tcp(fd: BorrowedFd<'_>) -> bool {
    let protocol = sockopt::socket_protocol(fd).ok().flatten();
    protocol == Some(ipproto::TCP) && !has_upper_protocol(fd)
}

/// Whether there is one, or the system does not say.
fn has_upper_protocol(fd: BorrowedFd<'_>) -> bool {
    // The kernel's names are shorter.
    let mut name = [0_u8; 64];
    let mut len = size_of::<[u8; 64]>() as libc::socklen_t;
    // SAFETY: the descriptor is open while it is borrowed; the name has as much room as `len` says,
    // and both outlive the call.
    let done = unsafe {
        libc::getsockopt(
            fd.as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_ULP,
            name.as_mut_ptr().cast(),
            &raw mut len,
        )
    };
    if done == 0 {
        return len != 0;
    }
    // A system without upper protocols does not know the option.
    std::io::Error::last_os_error().raw_os_error() != Some(libc::ENOPROTOOPT)
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream, UdpSocket};
    use std::os::fd::OwnedFd;
    use std::os::unix::net::{UnixDatagram, UnixStream};

    use socket2::{Domain, Protocol, Socket, Type};

    use super::*;

    fn known(io: &impl AsFd) -> bool {
        Boundaries::new().are_none(io)
    }

    #[test]
    fn only_plain_tcp_has_none() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        assert!(known(&client));
        assert!(known(&listener.accept().unwrap().0));
        // The type of the object does not matter.
        let (unix, _peer) = UnixStream::pair().unwrap();
        assert!(!known(&TcpStream::from(OwnedFd::from(unix))));
        assert!(known(&UnixStream::from(OwnedFd::from(client))));
        assert!(!known(&UdpSocket::bind("127.0.0.1:0").unwrap()));
        assert!(!known(&UnixDatagram::unbound().unwrap()));
        assert!(!known(&std::io::pipe().unwrap().0));
        let packets = Socket::new(Domain::UNIX, Type::SEQPACKET, None).unwrap();
        assert!(!known(&packets));
        // Not every kernel has it.
        let many_paths = Protocol::from(libc::IPPROTO_MPTCP);
        if let Ok(socket) = Socket::new(Domain::IPV4, Type::STREAM, Some(many_paths)) {
            assert!(!known(&socket));
        }
    }

    #[test]
    fn a_loan_makes_the_answer_void() {
        let (unix, _peer) = UnixStream::pair().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let boundaries = Boundaries::new();
        assert!(boundaries.are_none(&listener));
        // Known: nobody asks.
        assert!(boundaries.are_none(&unix));
        boundaries.lend();
        assert!(!boundaries.are_none(&unix));
        assert!(!boundaries.are_none(&listener));
    }
}
