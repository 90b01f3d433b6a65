//! Sockets: the types of `std::net` and `std::os::unix::net`, which block only the goroutine.
//!
//! Names, methods, traits and errors are std's, so that a port is `s/std::net/gopark::net/`. On a
//! plain thread everything works too; there the thread blocks.
//!
//! # What differs from std
//!
//! - The kernel's descriptor is in non-blocking mode, always. `set_nonblocking` is a property of
//!   the object: operations then fail with `WouldBlock` at once. A std socket that was in
//!   non-blocking mode before it became one of these stays in that mode, as do its timeouts.
//! - `try_clone` gives a second handle to the same object and the same descriptor, not a duplicate
//!   of it. Options, timeouts, deadlines and `close` are common to both.
//! - Timeouts come back from `read_timeout` as they were set, not rounded by the kernel.
//! - A `write` takes what the kernel has room for, and says how much that was, where a blocking
//!   socket goes on until everything is written. `write_all` does that here.
//! - Interrupted calls are repeated.
//! - Listeners have the longest queue that the system allows, where std has 128; `bind_with` takes
//!   [`BindOptions`].
//! - A write to a Unix socket that waits for room sees the peer's `shutdown(Read)`, of which the
//!   kernel sends no event, late: by as long as it has waited, and a second at most. Its own
//!   `shutdown(Write)` it sees at once.
//! - Kernel TLS may be turned on through a descriptor that is borrowed for it (`as_fd`,
//!   `as_raw_fd`) after the last plain read.
//!
//! # Deadlines and closing
//!
//! Beside std's timeouts, which count anew for each operation, every type has deadlines:
//! `set_deadline`, `set_read_deadline`, `set_write_deadline`. One stays until it is set again. Once
//! it has passed, operations fail with `WouldBlock`, even if they need not wait; those that wait
//! when it is moved follow it.
//!
//! `close` ends what other goroutines and threads do with an object, including its clones: it shuts
//! the connection down, and all operations fail with `NotConnected` and [`Closed`] inside, those
//! that wait too. The descriptor itself is released with the last handle, because `as_fd` lends it:
//! its number must not become somebody else's while it is lent.
//!
//! Waiting on a plain thread, one sees a moved deadline or a closed pipe up to 50 ms later.
//!
//! ```
//! use gopark::net::{TcpListener, TcpStream};
//! use std::io::{Read, Write};
//!
//! // Nothing here holds a thread-local across a suspension.
//! let answer = unsafe {
//!     gopark::run(|| -> std::io::Result<String> {
//!         let listener = TcpListener::bind("127.0.0.1:0")?;
//!         let addr = listener.local_addr()?;
//!         gopark::go(move || {
//!             let (mut peer, _) = listener.accept().unwrap();
//!             peer.write_all(b"hello").unwrap();
//!         });
//!         let mut answer = String::new();
//!         TcpStream::connect(addr)?.read_to_string(&mut answer)?;
//!         Ok(answer)
//!     })
//! };
//! assert_eq!(answer.unwrap(), "hello");
//! ```

mod error;

mod deadline;

mod boundaries;
mod handle;

mod wait;
mod watch;

mod methods;
mod stream;

mod addrs;
mod bind;
mod tcp;
mod tcp_listener;
mod udp;

pub mod unix;

mod io_safe;
mod op;
mod pollable;
mod raw_fd;

pub use std::net::{
    AddrParseError, IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, SocketAddrV4, SocketAddrV6,
    ToSocketAddrs,
};

pub use bind::BindOptions;
pub use error::Closed;
pub use io_safe::IoSafe;
pub use pollable::Pollable;
pub use tcp::TcpStream;
pub use tcp_listener::{Incoming, TcpListener};
pub use udp::UdpSocket;
pub use unix::{UnixDatagram, UnixListener, UnixStream};
