//! tokio: its runtimes, and sockets in its hands.

use std::io;

use tokio::net::TcpStream;
use tokio::runtime::{Builder, Runtime};

/// Where tasks run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Workers {
    /// On the thread that waits for the first of them.
    Caller,
    /// On so many threads.
    Threads(usize),
}

impl Workers {
    pub(crate) fn count(self) -> usize {
        match self {
            Self::Caller => 1,
            Self::Threads(count) => count,
        }
    }
}

pub(crate) fn runtime(workers: Workers) -> io::Result<Runtime> {
    let mut builder = match workers {
        Workers::Caller => Builder::new_current_thread(),
        Workers::Threads(_) => Builder::new_multi_thread(),
    };
    if let Workers::Threads(count) = workers {
        builder.worker_threads(count);
    }
    builder.enable_all().build()
}

/// To be called inside of a runtime.
pub(crate) fn adopt(stream: std::net::TcpStream) -> io::Result<TcpStream> {
    stream.set_nonblocking(true)?;
    TcpStream::from_std(stream)
}
