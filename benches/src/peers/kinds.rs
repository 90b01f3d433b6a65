//! Goroutines and threads: who may block, so that one text does for both.

use std::io;
use std::thread;

/// What it takes to have several at once.
pub(crate) trait Kind: 'static {
    type Handle<T>;

    fn spawn<T: Send + 'static>(
        f: impl FnOnce() -> T + Send + 'static,
    ) -> io::Result<Self::Handle<T>>;

    fn join<T>(handle: Self::Handle<T>) -> T;

    /// Spawns one that nobody joins.
    fn go(f: impl FnOnce() + Send + 'static) -> io::Result<()> {
        Self::spawn(f).map(drop)
    }

    fn yield_now();
}

#[derive(Debug)]
pub(crate) struct Goroutines;

impl Kind for Goroutines {
    type Handle<T> = gopark::JoinHandle<T>;

    fn spawn<T: Send + 'static>(
        f: impl FnOnce() -> T + Send + 'static,
    ) -> io::Result<Self::Handle<T>> {
        gopark::goroutine::Builder::new().spawn(f)
    }

    fn join<T>(handle: Self::Handle<T>) -> T {
        handle.join().expect("a goroutine that does not panic")
    }

    fn go(f: impl FnOnce() + Send + 'static) -> io::Result<()> {
        gopark::go(f);
        Ok(())
    }

    fn yield_now() {
        gopark::yield_now();
    }
}

#[derive(Debug)]
pub(crate) struct Threads;

impl Kind for Threads {
    type Handle<T> = thread::JoinHandle<T>;

    fn spawn<T: Send + 'static>(
        f: impl FnOnce() -> T + Send + 'static,
    ) -> io::Result<Self::Handle<T>> {
        thread::Builder::new().spawn(f)
    }

    fn join<T>(handle: Self::Handle<T>) -> T {
        handle.join().expect("a thread that does not panic")
    }

    fn yield_now() {
        thread::yield_now();
    }
}
