//! Many at many channels: a ring, a pipeline, a tree.

use super::field::{Field, PLACEMENTS, THREADS};
use super::{Peers, Workload};
use crate::facts;
use crate::measure::{Plan, Result};
use crate::peers::channels::ring::{GoroutineRing, ThreadRing};
use crate::peers::channels::sieve::Sieve;
use crate::peers::channels::skynet::Skynet;
use crate::peers::channels::tasks::{self as channel_tasks, TaskRing};
use crate::peers::goroutines;
use crate::peers::tasks::{self, Workers};

pub(super) static CHAIN: Workload = Workload {
    names: &["chain"],
    weight: 12,
    peers: chain,
    note: |plan| {
        let Lens { many, threads } = lens(plan);
        format!(
            "one token in a ring of {many} goroutines or tasks, or {threads} threads, each of \
             which receives from its left and sends to its right by channels without a buffer \
             (tokio: room for one): whole rounds, by the hops"
        )
    },
};

struct Lens {
    many: u64,
    threads: u64,
}

fn lens(plan: &Plan) -> Lens {
    let (many, threads) = if plan.quick {
        (10_000, 100)
    } else {
        (100_000, 1000)
    };
    Lens { many, threads }
}

fn chain(plan: &Plan) -> Result<Peers> {
    let Lens { many, threads } = lens(plan);
    let cores = facts::cores();
    let mut field = Field::of("chain");
    for (name, procs) in [("gopark-1p", 1), ("gopark", cores)] {
        let ring = GoroutineRing::new(goroutines::runtime(procs, None)?, many)?;
        field.add(name, procs, move |hops| Ok(ring.race(hops)));
    }
    for (name, placement) in THREADS.into_iter().zip(PLACEMENTS) {
        let ring = ThreadRing::new(placement, threads)?;
        field.add(name, placement.cores(), move |hops| Ok(ring.race(hops)?));
    }
    for (name, workers) in [
        ("tokio-1t", Workers::Caller),
        ("tokio", Workers::Threads(cores)),
    ] {
        let mut ring = TaskRing::new(tasks::runtime(workers)?, many);
        field.add(name, workers.count(), move |hops| Ok(ring.race(hops)));
    }
    Ok(field.peers)
}

pub(super) static SIEVE: Workload = Workload {
    names: &["sieve"],
    weight: 30,
    peers: sieve,
    note: |plan| {
        let Primes { many, threads } = primes(plan);
        format!(
            "the first {many} primes (threads: {threads}) by a pipeline of as many goroutines or \
             tasks, each of which takes out the multiples of one, with channels without a buffer \
             (tokio: room for one); one run, spawns included, by the messages that it needs"
        )
    },
};

struct Primes {
    many: usize,
    threads: usize,
}

fn primes(plan: &Plan) -> Primes {
    let (many, threads) = if plan.quick { (500, 50) } else { (2000, 200) };
    Primes { many, threads }
}

fn sieve(plan: &Plan) -> Result<Peers> {
    let Primes { many, threads } = primes(plan);
    let (many, few) = (Sieve::new(many), Sieve::new(threads));
    let mut field = Field::of("sieve");
    field.goroutine_runs(&many)?;
    field.thread_runs(&few);
    field.task_runs(&many, channel_tasks::sieve)?;
    Ok(field.peers)
}

pub(super) static SKYNET: Workload = Workload {
    names: &["skynet"],
    weight: 60,
    peers: skynet,
    note: |plan| {
        let Skynet { leaves } = tree(plan);
        format!(
            "a tree in which everybody starts ten others and adds up what they answer by a \
             channel without a buffer (tokio: room for one), {leaves} leaves; one run, in a \
             runtime that has done it before, by the leaves"
        )
    },
};

fn tree(plan: &Plan) -> Skynet {
    let leaves = if plan.quick { 100_000 } else { 1_000_000 };
    Skynet { leaves }
}

fn skynet(plan: &Plan) -> Result<Peers> {
    let tree = tree(plan);
    let mut field = Field::of("skynet");
    field.goroutine_runs(&tree)?;
    field.task_runs(&tree, channel_tasks::skynet)?;
    Ok(field.peers)
}
