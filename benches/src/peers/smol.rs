//! smol: an executor, and the threads that run it.

use std::convert::Infallible;
use std::io;
use std::thread::{self, JoinHandle};

use async_channel::Sender;
use async_executor::{Executor, Task};

/// One for the process, as in the crate `smol`: whoever spawns needs no handle.
static EXECUTOR: Executor<'static> = Executor::new();

pub(crate) fn spawn<T: Send + 'static>(task: impl Future<Output = T> + Send + 'static) -> Task<T> {
    EXECUTOR.spawn(task)
}

/// Threads that run tasks: the one that waits for the first of them is one of these.
#[derive(Debug)]
pub(crate) struct Runtime {
    others: Vec<JoinHandle<()>>,
    /// The others end when it is closed.
    stop: Sender<Infallible>,
}

impl Runtime {
    pub(crate) fn new(threads: usize) -> io::Result<Self> {
        let (stop, stopped) = async_channel::bounded(1);
        let mut runtime = Self {
            others: Vec::with_capacity(threads),
            stop,
        };
        for _ in 1..threads {
            let stopped = stopped.clone();
            let thread = thread::Builder::new().spawn(move || {
                // Nothing is ever sent.
                let _ = async_io::block_on(EXECUTOR.run(stopped.recv()));
            })?;
            runtime.others.push(thread);
        }
        Ok(runtime)
    }

    /// Runs it as a task among others, on these threads.
    pub(crate) fn run<T: Send + 'static>(
        &self,
        task: impl Future<Output = T> + Send + 'static,
    ) -> T {
        async_io::block_on(EXECUTOR.run(spawn(task)))
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        self.stop.close();
        for thread in self.others.drain(..) {
            // A panic in it was that of a task, of which whoever waits for the task knows.
            let _ = thread.join();
        }
    }
}
