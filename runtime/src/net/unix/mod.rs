//! Unix sockets: the types of `std::os::unix::net`, which block only the goroutine.

mod addr;
mod connect;
mod datagram;
mod listener;
mod stream;

pub use std::os::unix::net::SocketAddr;

pub use datagram::UnixDatagram;
pub use listener::{Incoming, UnixListener};
pub use stream::UnixStream;
