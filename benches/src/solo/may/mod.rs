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
mod gate;
mod http;
mod late;
mod pairs;
mod tasks;

use std::time::Duration;

use super::pace::{once, paced};
use super::{Answer, Job, YIELDERS};
use crate::measure::Result;
use crate::peers::channels::Counted as _;
use crate::peers::channels::sieve::Sieve;
use crate::peers::echo::Host;
use crate::peers::may::root;

pub(super) fn play(job: &Job) -> Answer {
    may::config().set_workers(job.procs());
    let size = job.size as u64;
    match job.workload.as_str() {
        "yield-2" => rooted(job, |count| tasks::yields(2, count.div_ceil(2))),
        "yield-200" => once(YIELDERS * size, || {
            root(move || tasks::yields(YIELDERS, size))
        }),
        "pingpong" => rooted(job, pairs::pingpong),
        "select" => rooted(job, pairs::select),
        "stream" => rooted(job, pairs::stream),
        "mpmc" => rooted(job, pairs::mpmc),
        "spawn-join" => rooted(job, tasks::spawn_joins),
        "spawn-100k" => once(size, || Ok(tasks::spawn_many(size))),
        "chained-spawn" => rooted(job, tasks::chain),
        "skynet" => {
            let tree = job.tree()?;
            once(tree.leaves, || root(move || tasks::skynet(tree)))
        }
        "sieve" => sieve(&Sieve::new(job.size)),
        "mutex" => rooted(job, tasks::mutex_alone),
        "mutex-contended" => rooted(job, tasks::mutex_contended),
        "sleep-10k" => crowds::sleepers(job.size),
        "parked" => crowds::parked(job.size),
        "idle" => crowds::idle(job.size),
        "echo" => job.echo(&Host::May),
        "http" => http::play(),
        "hogs" => late::hogs(job.procs(), Duration::from_millis(size)),
        "blocked" => late::blocked(job.procs(), Duration::from_millis(size)),
        _ => job.unknown(),
    }
}

/// Paced, each run on a coroutine that the main thread joins.
fn rooted(job: &Job, run: fn(u64) -> Duration) -> Answer {
    paced(job, |count| root(move || run(count)))
}

fn sieve(sieve: &Sieve) -> Answer {
    once(sieve.operations(), || -> Result<Duration> {
        let sieve = sieve.clone();
        root(move || tasks::sieve(&sieve))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::solo::tests::{FOR_STACKS, answers};

    /// One test for all: the number of workers is set once in a process.
    #[test]
    fn every_workload_is_played_to_its_end() {
        answers("may", play, 2, &FOR_STACKS);
        http::tests::answers_every_request();
    }
}
