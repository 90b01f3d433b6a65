//! What tokio and smol do in the same words: tasks that are futures.
//!
//! What they do with channels and locks of their own stands with each of them.

mod crowds;
mod ticking;

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use async_channel::{Receiver, Sender};

use super::pace::{once, paced};
use super::tick::lateness;
use super::{Answer, Job, YIELDERS};
use crate::peers::channels::pairs::{MPMC_CAP, SIDES};

/// Whatever runs tasks.
pub(super) trait Async: 'static {
    type Handle<T: Send + 'static>: Send;
    /// Where many tasks wait for one moment, in the cheapest way that is usual.
    type Gate: Clone + Send + 'static;
    type Opener: Send;

    /// Runs it as a task among others, and waits for it.
    fn run<T: Send + 'static>(&self, task: impl Future<Output = T> + Send + 'static) -> T;

    fn spawn<T: Send + 'static>(task: impl Future<Output = T> + Send + 'static) -> Self::Handle<T>;
    fn join<T: Send + 'static>(handle: Self::Handle<T>) -> impl Future<Output = T> + Send;
    /// Nobody waits for it.
    fn detach(handle: Self::Handle<()>);
    fn yield_now() -> impl Future<Output = ()> + Send;
    fn sleep_until(due: Instant) -> impl Future<Output = ()> + Send;
    /// Blocks a thread that is there for this.
    fn block(work: impl FnOnce() + Send + 'static) -> impl Future<Output = ()> + Send;

    fn gate() -> (Self::Opener, Self::Gate);
    /// Says that it is there and waits. No future inside of another: many have to be small.
    fn pass(there: Arc<AtomicUsize>, gate: Self::Gate) -> impl Future<Output = ()> + Send;
    fn open(opener: Self::Opener);
}

/// Does what does not depend on channels, locks and sockets of `A`.
pub(super) fn play<A: Async>(host: &A, job: &Job) -> Answer {
    let (size, procs) = (job.size, job.procs());
    match job.workload.as_str() {
        "yield-2" => paced(job, |count| Ok(host.run(yields::<A>(2, count)))),
        "yield-200" => {
            let all = YIELDERS * size as u64;
            once(all, || Ok(host.run(yields::<A>(YIELDERS, all))))
        }
        "mpmc" => paced(job, |count| Ok(host.run(mpmc::<A>(count)))),
        "spawn-join" => paced(job, |count| Ok(host.run(spawn_joins::<A>(count)))),
        "spawn-100k" => once(size as u64, || Ok(host.run(spawn_all::<A>(size)))),
        "chained-spawn" => paced(job, |count| Ok(host.run(chain::<A>(count)))),
        "sleep-10k" => lateness(host.run(crowds::sleepers::<A>(size))?),
        "parked" => Ok(host.run(crowds::parked::<A>(size))),
        "idle" => Ok(host.run(crowds::idle::<A>(size))?),
        "hogs" => lateness(host.run(ticking::hogs::<A>(procs, size))),
        "blocked" => lateness(host.run(ticking::blocked::<A>(procs, size))),
        _ => job.unknown(),
    }
}

/// Runs all of them at once: the time from the start, when all are there, until the last is done.
pub(super) async fn race<A: Async, F: Future<Output = ()> + Send + 'static>(
    parties: Vec<F>,
) -> Duration {
    let (there, arrivals) = async_channel::bounded(parties.len());
    let (opener, gate) = async_channel::bounded::<Infallible>(1);
    let parties: Vec<_> = parties
        .into_iter()
        .map(|party| {
            let (there, gate) = (there.clone(), gate.clone());
            A::spawn(async move {
                there.try_send(()).expect("there is room for all");
                // It comes to an end, nothing else comes.
                let Err(_) = gate.recv().await;
                party.await;
                Instant::now()
            })
        })
        .collect();
    for _ in 0..parties.len() {
        arrivals.recv().await.expect("each comes");
    }
    let start = Instant::now();
    opener.close();
    let mut last = start;
    for party in parties {
        last = last.max(A::join(party).await);
    }
    last - start
}

/// So many yields of so many tasks.
async fn yields<A: Async>(tasks: u64, count: u64) -> Duration {
    let each = count.div_ceil(tasks);
    let party = |_| async move {
        for _ in 0..each {
            A::yield_now().await;
        }
    };
    let elapsed = race::<A, _>((0..tasks).map(party).collect()).await;
    elapsed.mul_f64(count as f64 / (tasks * each) as f64)
}

/// tokio has no channel of its own with several receivers; its programs use this one too.
async fn mpmc<A: Async>(messages: u64) -> Duration {
    let each = messages.div_ceil(SIDES);
    let (sender, receiver) = async_channel::bounded::<u64>(MPMC_CAP);
    let sum = Arc::new(AtomicU64::new(0));
    let mut parties = Vec::new();
    for _ in 0..SIDES {
        let (sender, sum) = (sender.clone(), Arc::clone(&sum));
        parties.push(Side::Sends(sender, each));
        parties.push(Side::Receives(receiver.clone(), sum));
    }
    drop(sender);
    let elapsed = race::<A, _>(parties.into_iter().map(Side::run).collect()).await;
    let expected = SIDES * (each * (each + 1) / 2);
    assert_eq!(sum.load(Ordering::Relaxed), expected, "lost or doubled");
    elapsed.mul_f64(messages as f64 / (SIDES * each) as f64)
}

enum Side {
    Sends(Sender<u64>, u64),
    Receives(Receiver<u64>, Arc<AtomicU64>),
}

impl Side {
    async fn run(self) {
        match self {
            Self::Sends(sender, count) => {
                for message in 1..=count {
                    sender.send(message).await.expect("there are receivers");
                }
            }
            Self::Receives(receiver, sum) => {
                let mut own = 0;
                while let Ok(message) = receiver.recv().await {
                    own += message;
                }
                sum.fetch_add(own, Ordering::Relaxed);
            }
        }
    }
}

async fn spawn_joins<A: Async>(count: u64) -> Duration {
    let start = Instant::now();
    for _ in 0..count {
        A::join(A::spawn(async {})).await;
    }
    start.elapsed()
}

async fn spawn_all<A: Async>(count: usize) -> Duration {
    let start = Instant::now();
    let mut handles = Vec::with_capacity(count);
    for _ in 0..count {
        handles.push(A::spawn(async {}));
    }
    for handle in handles {
        A::join(handle).await;
    }
    start.elapsed()
}

async fn chain<A: Async>(links: u64) -> Duration {
    let (told, end) = async_channel::bounded(1);
    let start = Instant::now();
    link::<A>(links, told);
    end.recv().await.expect("the last link tells");
    start.elapsed()
}

fn link<A: Async>(left: u64, told: Sender<()>) {
    A::detach(A::spawn(async move {
        if left > 1 {
            link::<A>(left - 1, told);
        } else {
            told.try_send(()).expect("the first waits");
        }
    }));
}

#[cfg(test)]
pub(super) mod tests {
    use std::io;
    use std::net::TcpListener;

    use super::*;
    use crate::solo::http;

    /// Asks a server that runs on `host`.
    pub(in crate::solo) fn serves<A: Async, F>(host: &A, serve: fn(TcpListener) -> F)
    where
        F: Future<Output = io::Result<()>> + Send + 'static,
    {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let addr = listener.local_addr().unwrap();
        host.run(async move {
            A::detach(A::spawn(async move {
                let ended = serve(listener).await;
                panic!("the server ended: {ended:?}");
            }));
            A::block(move || http::tests::ask(addr)).await;
        });
    }
}
