//! Many connections on which nothing happens.

use super::{Peers, Workload};
use crate::child::{Fresh, Task};
use crate::facts;
use crate::measure::{Peer, Plan, Result, Track};
use crate::peers::connections::{Found, Reader};
use crate::peers::sockets;

pub(super) static IDLE_CONNECTIONS: Workload = Workload {
    names: &["connection-memory", "connection-adopt", "connections"],
    weight: 200,
    peers: connections,
    note: |plan| {
        let count = possible(plan);
        format!(
            "in a fresh process, {count} idle connections over loopback ({} wanted, two files \
             each, the limit of open files is {}), threads {}, each with a reader that waits in a \
             read of 64 bytes: RSS + VmPTE of a reader with its socket, without the part of the \
             kernel (buffers, inodes, a thread's stack there); from the hand-over of std's \
             sockets until all read, each; how many there were",
            wanted(plan),
            sockets::limit(wanted(plan)),
            count.min(THREADS_MAX)
        )
    },
};

fn wanted(plan: &Plan) -> usize {
    if plan.quick { 2000 } else { 20_000 }
}

/// What this process may have, and its children too.
fn possible(plan: &Plan) -> usize {
    sockets::possible(wanted(plan))
}

const THREADS_MAX: usize = 1000;

fn connections(plan: &Plan) -> Result<Peers> {
    let count = possible(plan);
    Ok(vec![
        peer("gopark-dense", Reader::GoparkDense, count),
        peer("gopark-1g", Reader::Gopark, count),
        peer("tokio", Reader::Tokio, count),
        peer("threads", Reader::Threads, count.min(THREADS_MAX)),
    ])
}

fn peer(name: &'static str, reader: Reader, count: usize) -> Box<dyn Peer> {
    let rows = IDLE_CONNECTIONS.names.iter().zip(["bytes", "ns", "count"]);
    let tracks = rows.map(|(workload, unit)| Track {
        workload,
        peer: name,
        procs: if reader == Reader::Threads {
            facts::cores()
        } else {
            1
        },
        unit,
    });
    let task = Task::Connections { reader, count };
    // In the order of the names above.
    Fresh::boxed(tracks.collect(), task, |found: &Found| {
        vec![found.bytes, found.adopt_ns, found.connections]
    })
}
