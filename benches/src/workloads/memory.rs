//! Many parked goroutines.

use super::{Peers, Workload};
use crate::child::{Fresh, Task};
use crate::measure::{Peer, Plan, Result, Track};
use crate::peers::parked::Found;

pub(super) static PARKED: Workload = Workload {
    names: &[
        "parked-memory",
        "parked-spawn",
        "parked-wake",
        "parked-join",
        "vmas",
    ],
    weight: 60,
    peers: parked,
    note: |plan| {
        let [dense, medium, large] = counts(plan);
        format!(
            "in a fresh process, one P, all counted, per goroutine: RSS + VmPTE when {dense} \
             (gopark-dense), {medium} (gopark-16m), {large} (gopark-1g: the class has 32Ki \
             stacks) are parked; spawn until parked, unpark until run, join; vmas: mappings \
             added"
        )
    },
};

pub(super) static PARKED_1M: Workload = Workload {
    names: &[
        "parked-memory-1m",
        "parked-spawn-1m",
        "parked-wake-1m",
        "parked-join-1m",
        "vmas-1m",
    ],
    weight: 250,
    peers: parked_1m,
    note: |plan| format!("the same with {} goroutines", count_1m(plan)),
};

/// Goroutines of the classes dense, 16 MiB and 1 GiB.
fn counts(plan: &Plan) -> [usize; 3] {
    if plan.quick {
        [100_000, 50_000, 20_000]
    } else {
        [100_000, 100_000, 30_000]
    }
}

fn count_1m(plan: &Plan) -> usize {
    if plan.quick { 200_000 } else { 1_000_000 }
}

const DENSE_BYTES: usize = 64 << 10;
const MEDIUM_BYTES: usize = 16 << 20;
const LARGE_BYTES: usize = 1 << 30;

fn parked(plan: &Plan) -> Result<Peers> {
    let names = ["gopark-dense", "gopark-16m", "gopark-1g"];
    let limits = [DENSE_BYTES, MEDIUM_BYTES, LARGE_BYTES];
    let each = names.into_iter().zip(limits).zip(counts(plan));
    let peers = each.map(|((name, limit), count)| peer(&PARKED, name, limit, count));
    Ok(peers.collect())
}

fn parked_1m(plan: &Plan) -> Result<Peers> {
    Ok(vec![peer(
        &PARKED_1M,
        "gopark-dense",
        DENSE_BYTES,
        count_1m(plan),
    )])
}

fn peer(
    workload: &'static Workload,
    name: &'static str,
    stack_limit: usize,
    count: usize,
) -> Box<dyn Peer> {
    let units = ["bytes", "ns", "ns", "ns", "count"];
    let rows = workload.names.iter().zip(units);
    let tracks = rows.map(|(workload, unit)| Track {
        workload,
        peer: name,
        procs: 1,
        unit,
    });
    let task = Task::Parked { stack_limit, count };
    // In the order of the names above.
    Fresh::boxed(tracks.collect(), task, |found: &Found| {
        vec![
            found.bytes,
            found.spawn_ns,
            found.wake_ns,
            found.join_ns,
            found.vmas,
        ]
    })
}
