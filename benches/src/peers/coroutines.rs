//! may: coroutines that block like threads, in the same words.
#![expect(
    unsafe_code,
    reason = "spawning a coroutine of may's is unsafe, and so is giving it a socket"
)]
//!
//! may's channels have no limit: where a workload wants room for so many messages, a semaphore
//! counts the room; a channel without a buffer is one without a limit here. Its `select!` runs a
//! coroutine for each branch and cancels those that lose, so that a message may be lost with
//! them: there is no select.

use std::io;
use std::os::fd::{FromRawFd as _, IntoRawFd as _};
use std::sync::Arc;

use may::coroutine;
use may::sync::{Semphore, mpmc};

use super::channels::Channels;
use super::kinds::Kind;

/// The others are goroutines and threads.
#[derive(Debug)]
pub(crate) struct Coroutines;

/// May's scheduler has as many threads; to be called before anything else of it.
pub(crate) fn set_workers(count: usize) {
    // Else each worker pins itself, also away from the core to which this process is pinned.
    may::config().set_workers(count).set_worker_pin(count > 1);
}

/// Runs `f` as a coroutine and waits for it.
pub(crate) fn enter<T: Send>(f: impl FnOnce() -> T + Send) -> T {
    let mut found = None;
    coroutine::scope(|scope| {
        // SAFETY: what a coroutine must not do is to use thread-locals across a suspension, and
        // to need more stack than it has: workloads do neither.
        unsafe { scope.spawn(|| found = Some(f())) };
    });
    found.expect("a scope ends after its coroutine")
}

/// A socket in may's hands.
pub(crate) fn adopt(stream: std::net::TcpStream) -> may::net::TcpStream {
    // SAFETY: the descriptor is open, a connected TCP socket, and nobody else's.
    unsafe { may::net::TcpStream::from_raw_fd(stream.into_raw_fd()) }
}

/// A listener in may's hands.
pub(crate) fn adopt_listener(listener: std::net::TcpListener) -> may::net::TcpListener {
    // SAFETY: the descriptor is open, a listening TCP socket, and nobody else's.
    unsafe { may::net::TcpListener::from_raw_fd(listener.into_raw_fd()) }
}

impl Kind for Coroutines {
    type Handle<T> = coroutine::JoinHandle<T>;

    fn spawn<T: Send + 'static>(
        f: impl FnOnce() -> T + Send + 'static,
    ) -> io::Result<Self::Handle<T>> {
        // SAFETY: as in `enter`.
        unsafe { coroutine::Builder::new().spawn(f) }
    }

    fn join<T>(handle: Self::Handle<T>) -> T {
        handle.join().expect("a coroutine that does not panic")
    }

    fn yield_now() {
        coroutine::yield_now();
    }
}

/// With the room that is left, if it is limited.
pub(crate) struct Sender<T>(mpmc::Sender<T>, Option<Arc<Semphore>>);

/// The other end.
pub(crate) struct Receiver<T>(mpmc::Receiver<T>, Option<Arc<Semphore>>);

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone(), self.1.clone())
    }
}

impl<T> Clone for Receiver<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone(), self.1.clone())
    }
}

impl Channels for Coroutines {
    type Sender<T: Send + 'static> = Sender<T>;
    type Receiver<T: Send + 'static> = Receiver<T>;

    fn channel<T: Send + 'static>(cap: Option<usize>) -> (Sender<T>, Receiver<T>) {
        let (sender, receiver) = mpmc::channel();
        let room = cap
            .filter(|cap| *cap > 1)
            .map(|cap| Arc::new(Semphore::new(cap)));
        (Sender(sender, room.clone()), Receiver(receiver, room))
    }

    fn send<T: Send + 'static>(sender: &Sender<T>, message: T) -> bool {
        if let Some(room) = &sender.1 {
            room.wait();
        }
        sender.0.send(message).is_ok()
    }

    fn recv<T: Send + 'static>(receiver: &Receiver<T>) -> Option<T> {
        let message = receiver.0.recv().ok();
        if let (Some(_), Some(room)) = (&message, &receiver.1) {
            room.post();
        }
        message
    }

    fn select<T: Send + 'static>(_: &Receiver<T>, _: &Receiver<T>) -> Option<T> {
        unreachable!("no workload of may's selects")
    }
}
