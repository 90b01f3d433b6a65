//! Yielding, handing over, spawning: goroutines beside OS threads.

use std::rc::Rc;

use super::{Peers, Workload, ns};
use crate::facts;
use crate::measure::{Plan, Result, Timed};
use crate::peers::baton::{Baton, CondvarBaton, FutexBaton, PipeBaton};
use crate::peers::goroutines::Thread;
use crate::peers::threads::Placement;
use crate::peers::{goroutines, threads};

pub(super) static YIELD: Workload = Workload {
    names: &["yield"],
    weight: 2,
    peers: yields,
    note: |_| {
        "one way: two goroutines on one P yield in turn; two threads on one core call \
         sched_yield, time by counted switches"
            .into()
    },
};

fn yields(_: &Plan) -> Result<Peers> {
    let runtime = goroutines::runtime(1, None)?;
    Ok(vec![
        Timed::boxed(ns("yield", "gopark", 1), move |count| {
            goroutines::yields(&runtime, count)
        }),
        Timed::boxed(ns("yield", "thread-yield", 1), threads::yields),
    ])
}

pub(super) static HANDOFF: Workload = Workload {
    names: &["handoff"],
    weight: 7,
    peers: handoffs,
    note: |_| {
        "one way, half of a round trip: wake the other and block until woken; goroutines on one \
         P, threads pinned to one core, `-free` where the kernel puts them"
            .into()
    },
};

fn handoffs(_: &Plan) -> Result<Peers> {
    let runtime = goroutines::runtime(1, None)?;
    let mut peers: Peers = vec![Timed::boxed(ns("handoff", "gopark", 1), move |count| {
        Ok(goroutines::handoffs(&runtime, Thread::Shared, count))
    })];
    let futex = Rc::new(FutexBaton::default());
    let pipe = Rc::new(PipeBaton::new()?);
    let condvar = Rc::new(CondvarBaton::default());
    let name = "handoff";
    let names = ["thread-futex", "thread-futex-free"];
    pass_by(&mut peers, name, names, &futex);
    let names = ["thread-pipe", "thread-pipe-free"];
    pass_by(&mut peers, name, names, &pipe);
    let names = ["thread-condvar", "thread-condvar-free"];
    pass_by(&mut peers, name, names, &condvar);
    Ok(peers)
}

/// Adds the pinned and the free form of a pair of threads.
fn pass_by(
    peers: &mut Peers,
    workload: &'static str,
    names: [&'static str; 2],
    baton: &Rc<impl Baton + 'static>,
) {
    for (name, placement) in names.into_iter().zip([Placement::Pinned, Placement::Free]) {
        let baton = Rc::clone(baton);
        peers.push(Timed::boxed(
            ns(workload, name, placement.cores()),
            move |count| threads::handoffs(&*baton, placement, count),
        ));
    }
}

pub(super) static LOCK_PINGPONG: Workload = Workload {
    names: &["lock-pingpong"],
    weight: 3,
    peers: lock_pingpongs,
    note: |_| {
        "one way, half of a round trip between two threads on one P: a goroutine that has locked \
         its thread and one that has not wake each other and park; threads as in handoff"
            .into()
    },
};

fn lock_pingpongs(_: &Plan) -> Result<Peers> {
    let runtime = goroutines::runtime(1, None)?;
    let mut peers: Peers = vec![Timed::boxed(
        ns("lock-pingpong", "gopark", 1),
        move |count| Ok(goroutines::handoffs(&runtime, Thread::Locked, count)),
    )];
    let futex = Rc::new(FutexBaton::default());
    let names = ["thread-futex", "thread-futex-free"];
    pass_by(&mut peers, "lock-pingpong", names, &futex);
    Ok(peers)
}

pub(super) static SPAWN_JOIN: Workload = Workload {
    names: &["spawn-join"],
    weight: 3,
    peers: spawn_joins,
    note: |_| {
        "spawn an empty function and join it, one at a time; gopark on one P and on all".into()
    },
};

fn spawn_joins(_: &Plan) -> Result<Peers> {
    let mut peers = Peers::new();
    let mut procs = vec![1, facts::cores()];
    procs.dedup();
    for procs in procs {
        let runtime = goroutines::runtime(procs, None)?;
        peers.push(Timed::boxed(
            ns("spawn-join", "gopark", procs),
            move |count| Ok(goroutines::spawn_joins(&runtime, count)),
        ));
    }
    peers.push(Timed::boxed(
        ns("spawn-join", "thread", facts::cores()),
        threads::spawn_joins,
    ));
    Ok(peers)
}
