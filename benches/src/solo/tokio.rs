//! tokio: tasks on the thread that waits for them, or on several.
//!
//! Much of it is what the other suites do too.

use std::io;
use std::net;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::sync::Semaphore;
use tokio::task::{self, JoinHandle};

use super::pace::{once, paced};
use super::tasks::{self as common, Async};
use super::{Answer, Job, http};
use crate::peers::channels::Counted as _;
use crate::peers::channels::pairs::STREAM_CAP;
use crate::peers::channels::sieve::Sieve;
use crate::peers::channels::tasks::{self as channels, run};
use crate::peers::echo::Host;
use crate::peers::locks::{Section, tasks as locks};
use crate::peers::tasks::{Workers, runtime};

pub(super) fn play(job: &Job) -> Answer {
    let tokio = runtime(match job.procs() {
        1 => Workers::Caller,
        procs => Workers::Threads(procs),
    })?;
    match job.workload.as_str() {
        "pingpong" => paced(job, |count| Ok(run(&tokio, channels::pingpong(count)))),
        "stream" => paced(job, |count| {
            Ok(run(&tokio, channels::stream(STREAM_CAP, count)))
        }),
        "select" => paced(job, |count| Ok(run(&tokio, channels::select_wait(count)))),
        "mutex" => paced(job, |count| Ok(run(&tokio, locks::mutex_alone(count)))),
        "mutex-contended" => paced(job, |count| {
            Ok(run(&tokio, locks::contended(Section::Short, count)))
        }),
        "sieve" => {
            let sieve = Sieve::new(job.size);
            let messages = sieve.operations();
            once(messages, || Ok(run(&tokio, channels::sieve(sieve.clone()))))
        }
        "skynet" => {
            let tree = job.tree()?;
            once(tree.leaves, || Ok(run(&tokio, channels::skynet(tree))))
        }
        "echo" => job.echo(&Host::Tokio(tokio)),
        "http" => {
            let listener = http::listen()?;
            Ok(run(&tokio, serve(listener)).map(|()| Vec::new())?)
        }
        _ => common::play(&tokio, job),
    }
}

impl Async for Runtime {
    type Handle<T: Send + 'static> = JoinHandle<T>;
    /// Without permits: one call ends the waits of all. Who waits for a `watch` is larger, and a
    /// channel for each would be one allocation more.
    type Gate = Arc<Semaphore>;
    type Opener = Arc<Semaphore>;

    fn run<T: Send + 'static>(&self, task: impl Future<Output = T> + Send + 'static) -> T {
        run(self, task)
    }

    fn spawn<T: Send + 'static>(task: impl Future<Output = T> + Send + 'static) -> JoinHandle<T> {
        tokio::spawn(task)
    }

    async fn join<T: Send + 'static>(handle: JoinHandle<T>) -> T {
        handle.await.expect("a task that does not panic")
    }

    fn detach(handle: JoinHandle<()>) {
        drop(handle);
    }

    async fn yield_now() {
        task::yield_now().await;
    }

    async fn sleep_until(due: Instant) {
        tokio::time::sleep_until(due.into()).await;
    }

    async fn block(work: impl FnOnce() + Send + 'static) {
        task::spawn_blocking(work).await.expect("it only blocks");
    }

    fn gate() -> (Arc<Semaphore>, Arc<Semaphore>) {
        let gate = Arc::new(Semaphore::new(0));
        (Arc::clone(&gate), gate)
    }

    #[expect(
        clippy::manual_async_fn,
        reason = "its future would hold each parameter twice"
    )]
    fn pass(there: Arc<AtomicUsize>, gate: Arc<Semaphore>) -> impl Future<Output = ()> + Send {
        async move {
            there.fetch_add(1, Ordering::Relaxed);
            // Closed: there are no permits.
            let _ = gate.acquire().await;
        }
    }

    fn open(gate: Arc<Semaphore>) {
        gate.close();
    }
}

async fn serve(listener: net::TcpListener) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    let listener = TcpListener::from_std(listener)?;
    loop {
        let (stream, _) = listener.accept().await?;
        tokio::spawn(attend(stream));
    }
}

async fn attend(mut stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut requests = http::Requests::default();
    let mut piece = [0; http::BUFFER_BYTES];
    loop {
        let count = stream.read(&mut piece).await?;
        if count == 0 {
            return Ok(());
        }
        for _ in 0..requests.ended(&piece[..count]) {
            stream.write_all(http::ANSWER).await?;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::solo::tasks::tests::serves;
    use crate::solo::tests::{FOR_STACKS, answers};

    #[test]
    fn every_workload_has_its_answer() {
        for procs in [1, 2] {
            answers("tokio", play, procs, &FOR_STACKS);
        }
    }

    #[test]
    fn requests_are_answered() {
        let tokio = runtime(Workers::Threads(2)).unwrap();
        serves(&tokio, serve);
    }
}
