//! may: its coroutines, and sockets in its hands.
#![expect(
    unsafe_code,
    reason = "starting a coroutine is unsafe, and so is making a socket of its descriptor"
)]

use std::io;
use std::net;
use std::os::fd::{FromRawFd as _, IntoRawFd as _};

use may::coroutine::{self, Builder, JoinHandle};
use may::net::TcpStream;

use super::kinds::Kind;

use crate::measure::Result;

/// Starts a coroutine beside the caller.
pub(crate) fn spawn<T: Send + 'static>(f: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
    // SAFETY: no coroutine of this program holds a borrow of a thread-local across a call that may
    // suspend it, and none recurses or has large frames: their stacks suffice.
    unsafe { coroutine::spawn(f) }
}

pub(crate) fn join<T>(handle: JoinHandle<T>) -> T {
    handle.join().expect("a coroutine that does not panic")
}

/// Does something on a coroutine, for a thread.
pub(crate) fn root<T: Send + 'static>(f: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    let done = spawn(f).join();
    done.map_err(|_| "a coroutine panicked".into())
}

/// The others are goroutines and threads.
#[derive(Debug)]
pub(crate) struct Coroutines;

impl Kind for Coroutines {
    type Handle<T> = JoinHandle<T>;

    fn spawn<T: Send + 'static>(
        f: impl FnOnce() -> T + Send + 'static,
    ) -> io::Result<JoinHandle<T>> {
        // SAFETY: as above.
        unsafe { Builder::new().spawn(f) }
    }

    fn join<T>(handle: JoinHandle<T>) -> T {
        join(handle)
    }

    fn yield_now() {
        coroutine::yield_now();
    }
}

pub(crate) fn adopt(stream: net::TcpStream) -> TcpStream {
    // SAFETY: the descriptor is open, that of a connected TCP socket, and nobody else's.
    unsafe { TcpStream::from_raw_fd(stream.into_raw_fd()) }
}
