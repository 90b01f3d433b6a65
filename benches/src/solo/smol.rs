//! smol: an executor that threads run, and channels, locks and sockets for tasks of any executor.

use std::convert::Infallible;
use std::io;
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use async_channel::{Receiver, Sender};
use async_executor::Task;
use async_io::{Async as Io, Timer};
use async_lock::Mutex;
use futures_lite::{AsyncReadExt as _, AsyncWriteExt as _, future};

use super::pace::{once, paced};
use super::tasks::{self as common, Async};
use super::{Answer, Job, http};
use crate::peers::channels::Counted as _;
use crate::peers::channels::pairs::STREAM_CAP;
use crate::peers::channels::sieve::Sieve;
use crate::peers::channels::skynet::Skynet;
use crate::peers::echo::Host;
use crate::peers::locks::{INSIDE, OUTSIDE, PARTIES, work};
use crate::peers::smol::{Runtime, spawn};

pub(super) fn play(job: &Job) -> Answer {
    let smol = Runtime::new(job.procs())?;
    match job.workload.as_str() {
        "pingpong" => paced(job, |count| Ok(smol.run(pingpong(count)))),
        "stream" => paced(job, |count| Ok(smol.run(stream(count)))),
        "select" => paced(job, |count| Ok(smol.run(select(count)))),
        "mutex" => paced(job, |count| Ok(smol.run(mutex(count)))),
        "mutex-contended" => paced(job, |count| Ok(smol.run(mutex_contended(count)))),
        "sieve" => {
            let primes = Sieve::new(job.size);
            let messages = primes.operations();
            once(messages, || Ok(smol.run(sieve(primes.clone()))))
        }
        "skynet" => {
            let tree = job.tree()?;
            once(tree.leaves, || Ok(smol.run(skynet(tree))))
        }
        "echo" => job.echo(&Host::Smol(smol)),
        "http" => {
            let listener = http::listen()?;
            Ok(smol.run(serve(listener)).map(|()| Vec::new())?)
        }
        _ => common::play(&smol, job),
    }
}

impl Async for Runtime {
    type Handle<T: Send + 'static> = Task<T>;
    /// A channel through which nothing comes: one call ends the waits of all.
    type Gate = Receiver<Infallible>;
    type Opener = Sender<Infallible>;

    fn run<T: Send + 'static>(&self, task: impl Future<Output = T> + Send + 'static) -> T {
        self.run(task)
    }

    fn spawn<T: Send + 'static>(task: impl Future<Output = T> + Send + 'static) -> Task<T> {
        spawn(task)
    }

    async fn join<T: Send + 'static>(handle: Task<T>) -> T {
        handle.await
    }

    fn detach(handle: Task<()>) {
        handle.detach();
    }

    async fn yield_now() {
        future::yield_now().await;
    }

    async fn sleep_until(due: Instant) {
        Timer::at(due).await;
    }

    async fn block(work: impl FnOnce() + Send + 'static) {
        blocking::unblock(work).await;
    }

    fn gate() -> (Sender<Infallible>, Receiver<Infallible>) {
        async_channel::bounded(1)
    }

    #[expect(
        clippy::manual_async_fn,
        reason = "its future would hold each parameter twice"
    )]
    fn pass(
        there: Arc<AtomicUsize>,
        gate: Receiver<Infallible>,
    ) -> impl Future<Output = ()> + Send {
        async move {
            there.fetch_add(1, Ordering::Relaxed);
            // Closed: there is nothing else that could come.
            let Err(_) = gate.recv().await;
        }
    }

    fn open(gate: Sender<Infallible>) {
        gate.close();
    }
}

async fn pingpong(round_trips: u64) -> Duration {
    let (back, answers) = async_channel::bounded(1);
    let (there, incoming) = async_channel::bounded(1);
    let partner = spawn(async move {
        while let Ok(ball) = incoming.recv().await {
            let _ = back.send(ball).await;
        }
    });
    let mut start = Instant::now();
    for ball in 0..=round_trips {
        if ball == 1 {
            // The first one starts the partner.
            start = Instant::now();
        }
        there.send(ball).await.expect("the partner is there");
        assert_eq!(answers.recv().await, Ok(ball));
    }
    let elapsed = start.elapsed();
    drop(there);
    partner.await;
    elapsed
}

async fn select(round_trips: u64) -> Duration {
    let (there, incoming) = async_channel::bounded(1);
    let (odd, odd_answers) = async_channel::bounded(1);
    let (even, even_answers) = async_channel::bounded(1);
    let partner = spawn(async move {
        while let Ok(ball) = incoming.recv().await {
            let back = if ball % 2 == 0 { &even } else { &odd };
            let _ = back.send(ball).await;
        }
    });
    let mut start = Instant::now();
    for ball in 0..=round_trips {
        if ball == 1 {
            start = Instant::now();
        }
        there.send(ball).await.expect("the partner is there");
        let answer = future::or(odd_answers.recv(), even_answers.recv()).await;
        assert_eq!(answer, Ok(ball));
    }
    let elapsed = start.elapsed();
    drop(there);
    partner.await;
    elapsed
}

async fn stream(messages: u64) -> Duration {
    let (sender, receiver) = async_channel::bounded(STREAM_CAP);
    let (told, ready) = async_channel::bounded(1);
    let partner = spawn(async move {
        told.try_send(()).expect("there is room");
        for expected in 0..messages {
            assert_eq!(receiver.recv().await, Ok(expected));
        }
        Instant::now()
    });
    ready.recv().await.expect("the partner is there");
    let start = Instant::now();
    for message in 0..messages {
        sender.send(message).await.expect("the partner is there");
    }
    partner.await - start
}

async fn mutex(count: u64) -> Duration {
    let lock = Mutex::new(0);
    let start = Instant::now();
    for _ in 0..count {
        *lock.lock().await += 1;
    }
    let elapsed = start.elapsed();
    assert_eq!(lock.into_inner(), count);
    elapsed
}

async fn mutex_contended(count: u64) -> Duration {
    let each = count.div_ceil(PARTIES);
    let lock = Arc::new(Mutex::new(0));
    let party = |_| {
        let lock = Arc::clone(&lock);
        async move {
            for _ in 0..each {
                let mut value = lock.lock().await;
                *value += 1;
                work(INSIDE);
                drop(value);
                work(OUTSIDE);
            }
        }
    };
    let elapsed = common::race::<Runtime, _>((0..PARTIES).map(party).collect()).await;
    assert_eq!(*lock.lock().await, PARTIES * each);
    elapsed.mul_f64(count as f64 / (PARTIES * each) as f64)
}

async fn sieve(sieve: Sieve) -> Duration {
    let mut handles = Vec::with_capacity(sieve.primes().len() + 1);
    let start = Instant::now();
    let (sender, mut numbers) = async_channel::bounded(1);
    handles.push(spawn(async move {
        let mut number: u32 = 2;
        while sender.send(number).await.is_ok() {
            number += 1;
        }
    }));
    for &expected in sieve.primes() {
        let prime = numbers.recv().await.expect("there are more primes");
        assert_eq!(prime, expected);
        let (sender, passed) = async_channel::bounded(1);
        handles.push(spawn(async move {
            while let Ok(number) = numbers.recv().await {
                if number % prime != 0 && sender.send(number).await.is_err() {
                    return;
                }
            }
        }));
        numbers = passed;
    }
    let elapsed = start.elapsed();
    drop(numbers);
    for handle in handles {
        handle.await;
    }
    elapsed
}

async fn skynet(tree: Skynet) -> Duration {
    let start = Instant::now();
    let (sender, sum) = async_channel::bounded(1);
    answer(0, tree.leaves, sender);
    let sum = sum.recv().await;
    let elapsed = start.elapsed();
    assert_eq!(sum, Ok(tree.sum()));
    elapsed
}

/// Spawns whoever answers for so many leaves: since this is no future itself, nothing is boxed.
fn answer(first: u64, leaves: u64, above: Sender<u64>) {
    let task = spawn(async move {
        if leaves == 1 {
            let _ = above.send(first).await;
            return;
        }
        let (sender, sums) = async_channel::bounded(1);
        let part = leaves / 10;
        for index in 0..10 {
            answer(first + index * part, part, sender.clone());
        }
        let mut sum = 0;
        for _ in 0..10 {
            sum += sums.recv().await.unwrap_or(0);
        }
        let _ = above.send(sum).await;
    });
    task.detach();
}

async fn serve(listener: TcpListener) -> io::Result<()> {
    let listener = Io::new(listener)?;
    loop {
        let (stream, _) = listener.accept().await?;
        spawn(attend(stream)).detach();
    }
}

async fn attend(mut stream: Io<TcpStream>) -> io::Result<()> {
    stream.get_ref().set_nodelay(true)?;
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
            answers("smol", play, procs, &FOR_STACKS);
        }
    }

    #[test]
    fn requests_are_answered() {
        serves(&Runtime::new(2).unwrap(), serve);
    }
}
