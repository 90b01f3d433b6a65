//! Coroutines of the crate `may`: stackful, on stacks of its default size, 32 KiB.
//!
//! may has no channel with a limit. Where two pass one number to and fro, its channels do as they
//! are; the others get their limit from a semaphore beside the channel, may's own, with a permit
//! for each message that has room ([`bounded`]). A select is may's own too, which starts a
//! coroutine for each of its arms and cancels those that come too late.
//!
//! Everything is done inside of coroutines: the main thread spawns the first one and joins it. The
//! exception is `spawn-100k`, where the main thread spawns and joins all: a worker on which a
//! coroutine spawns runs nobody else meanwhile, and the kernel does not give a process mappings for
//! so many stacks at once.
//!
//! Nobody waits for others by yielding: a worker looks for newly spawned coroutines when it has
//! nothing else to do, so one that yields until they have run may wait forever.

mod bounded;
mod crowds;
mod echo;
mod gate;
mod http;
mod late;
mod pairs;
mod spawn;
mod tasks;

use std::time::Duration;

use super::pace::{once, paced};
use super::{Answer, Job};
use crate::measure::Result;
use crate::peers::channels::Counted as _;
use crate::peers::channels::sieve::Sieve;
use crate::peers::channels::skynet::Skynet;

const YIELDERS: u64 = 200;

pub(super) fn play(job: &Job) -> Answer {
    may::config().set_workers(job.procs());
    let size = job.size as u64;
    match job.workload.as_str() {
        "yield-2" => rooted(job, |count| tasks::yields(2, count.div_ceil(2))),
        "yield-200" => once(YIELDERS * size, || {
            spawn::root(move || tasks::yields(YIELDERS, size))
        }),
        "pingpong" => rooted(job, pairs::pingpong),
        "select" => rooted(job, pairs::select),
        "stream" => rooted(job, pairs::stream),
        "mpmc" => rooted(job, pairs::mpmc),
        "spawn-join" => rooted(job, tasks::spawn_joins),
        "spawn-100k" => once(size, || Ok(tasks::spawn_many(size))),
        "chained-spawn" => rooted(job, tasks::chain),
        "skynet" => once(size, || {
            spawn::root(move || tasks::skynet(Skynet { leaves: size }))
        }),
        "sieve" => sieve(&Sieve::new(job.size)),
        "mutex" => rooted(job, tasks::mutex_alone),
        "mutex-contended" => rooted(job, tasks::mutex_contended),
        "sleep-10k" => crowds::sleepers(job.size),
        "parked" => crowds::parked(job.size),
        "idle" => crowds::idle(job.size),
        "echo" => echo::play(job.size, job.interval()),
        "http" => http::play(),
        "hogs" => late::hogs(job.procs(), Duration::from_millis(size)),
        "blocked" => late::blocked(job.procs(), Duration::from_millis(size)),
        _ => job.unknown(),
    }
}

/// Paced, each run on a coroutine that the main thread joins.
fn rooted(job: &Job, run: fn(u64) -> Duration) -> Answer {
    paced(job, |count| spawn::root(move || run(count)))
}

fn sieve(sieve: &Sieve) -> Answer {
    once(sieve.operations(), || -> Result<Duration> {
        let sieve = sieve.clone();
        spawn::root(move || tasks::sieve(&sieve))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAYED: [(&str, usize, usize); 19] = [
        ("yield-2", 0, 2),
        ("yield-200", 3, 1),
        ("pingpong", 0, 2),
        ("select", 0, 2),
        ("stream", 0, 2),
        ("mpmc", 0, 2),
        ("spawn-join", 0, 2),
        ("spawn-100k", 100, 1),
        ("chained-spawn", 0, 2),
        ("skynet", 100, 1),
        ("sieve", 9, 1),
        ("mutex", 0, 2),
        ("mutex-contended", 0, 2),
        ("sleep-10k", 10, 3),
        ("parked", 10, 3),
        ("idle", 10, 2),
        ("echo", 3, 4),
        ("hogs", 30, 3),
        ("blocked", 20, 3),
    ];

    /// One test for all: the number of workers is set once in a process.
    #[test]
    fn every_workload_is_played_to_its_end() {
        let job = |workload: &str, size| Job {
            peer: "may".into(),
            workload: workload.into(),
            procs: 2,
            interval_ms: 2,
            size,
        };
        for (workload, size, numbers) in PLAYED {
            let answer = play(&job(workload, size)).expect(workload);
            assert_eq!(answer.len(), numbers, "{workload}");
            assert!(answer.iter().all(|(_, number)| number.is_finite()));
        }
        http::tests::answers_every_request();
        assert!(play(&job("deep-recursion", 1)).is_err());
    }
}
