//! From a number to a socket: `FromRawFd` for all types, the one promise that std asks for too.

#![expect(unsafe_code, reason = "implements std's unsafe trait `FromRawFd`")]

use std::os::fd::{FromRawFd, OwnedFd, RawFd};

use super::{TcpListener, TcpStream, UdpSocket, UnixDatagram, UnixListener, UnixStream};

macro_rules! from_raw_fd {
    ($($socket:ident)*) => {
        $(
            /// # Panics
            /// When the system says that `fd` is no open descriptor.
            impl FromRawFd for $socket {
                unsafe fn from_raw_fd(fd: RawFd) -> $socket {
                    // SAFETY: the caller promises that `fd` is open and nobody else's.
                    let fd = unsafe { OwnedFd::from_raw_fd(fd) };
                    $socket::from(fd)
                }
            }
        )*
    };
}

from_raw_fd!(TcpStream TcpListener UdpSocket UnixStream UnixListener UnixDatagram);
