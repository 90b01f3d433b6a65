//! Servers that send back what they receive.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use super::{Peers, Workload};
use crate::facts;
use crate::measure::{Peer, Plan, Result, Sampled, Track};
use crate::peers::echo::{Host, Load, Trips, open};
use crate::peers::goroutines;
use crate::peers::tasks::{self, Workers};

/// A workload of the closed loop: what it is called, how many connections, bytes of a message.
macro_rules! closed {
    ($workload:ident, $name:literal, $connections:expr, $bytes:expr, $weight:expr) => {
        pub(super) static $workload: Workload = Workload {
            names: &[
                $name,
                concat!($name, "-p50"),
                concat!($name, "-p99"),
                concat!($name, "-p999"),
            ],
            weight: $weight,
            peers: |plan| closed(&$workload, load($connections, $bytes, plan)),
            note: |plan| closed_note(load($connections, $bytes, plan)),
        };
    };
}

closed!(ONE_SMALL, "echo-1-64b", |_| 1, SMALL, 130);
closed!(SOME_SMALL, "echo-64-64b", |_| 64, SMALL, 130);
closed!(MANY_SMALL, "echo-1000-64b", many, SMALL, 280);
closed!(ONE_LARGE, "echo-1-16k", |_| 1, LARGE, 130);
closed!(SOME_LARGE, "echo-64-16k", |_| 64, LARGE, 130);
closed!(MANY_LARGE, "echo-1000-16k", many, LARGE, 280);

/// The same of the open loop.
macro_rules! open {
    ($workload:ident, $name:literal, $connections:expr, $weight:expr) => {
        pub(super) static $workload: Workload = Workload {
            names: &[
                $name,
                concat!($name, "-p50"),
                concat!($name, "-p99"),
                concat!($name, "-p999"),
            ],
            weight: $weight,
            peers: |plan| open(&$workload, load($connections, SMALL, plan)),
            note: |plan| open_note(load($connections, SMALL, plan)),
        };
    };
}

open!(SOME_OPEN, "echo-open-64-64b", |_| 64, 160);
open!(MANY_OPEN, "echo-open-1000-64b", many, 350);

const SMALL: usize = 64;
const LARGE: usize = 16 << 10;

fn many(plan: &Plan) -> usize {
    if plan.quick { 200 } else { 1000 }
}

/// The interval has room for thousands of round trips, as a p99.9 needs, and for dozens on each
/// connection: where all take turns, many connections need a longer one.
fn load(connections: fn(&Plan) -> usize, bytes: usize, plan: &Plan) -> Load {
    let connections = connections(plan);
    let base_ms = if plan.quick { 20 } else { 200 };
    let turns_ms = connections as u64 / if plan.quick { 5 } else { 2 };
    Load {
        connections,
        bytes,
        interval: Duration::from_millis(turns_ms.max(base_ms)),
    }
}

fn closed_note(load: Load) -> String {
    let Load {
        connections, bytes, ..
    } = load;
    format!(
        "over {} ms, after a while to warm up, connections over loopback: {connections}; server \
         and client of each in the same process and of the same kind (P = 1, P = cores, two \
         threads a connection, tokio's current_thread, tokio with as many workers as cores): send \
         {bytes} bytes, wait until they are back, send again; the interval by the round trips of \
         all, and latencies under this full load",
        load.interval.as_millis()
    )
}

fn open_note(load: Load) -> String {
    let Load {
        connections, bytes, ..
    } = load;
    format!(
        "over {} ms, {connections} connections, {bytes} bytes, servers as above, one plain thread \
         for all clients: it sends at a fixed rate, answered or not; latencies begin at the \
         moment when a message ought to be sent, so a pause counts for all messages it delays; \
         the rate is the same for all, half of what the slowest does in the closed loop",
        load.interval.as_millis()
    )
}

type Party = (&'static str, usize, Host);

/// On one core and on all: goroutines, threads, tasks.
fn parties() -> Result<[Party; 5]> {
    let cores = facts::cores();
    let gopark = |procs| Result::Ok(Host::Gopark(goroutines::runtime(procs, None)?));
    let tokio = |workers| Result::Ok(Host::Tokio(tasks::runtime(workers)?));
    Ok([
        ("gopark-1p", 1, gopark(1)?),
        ("gopark", cores, gopark(cores)?),
        ("threads", cores, Host::Threads),
        ("tokio-1t", 1, tokio(Workers::Caller)?),
        ("tokio", cores, tokio(Workers::Threads(cores))?),
    ])
}

/// Rows in the order of the workload's names: the first in a unit of its own, then latencies.
fn tracks(workload: &Workload, peer: &'static str, procs: usize, unit: &'static str) -> Vec<Track> {
    let units = [unit, "us", "us", "us"];
    let rows = workload.names.iter().zip(units);
    rows.map(|(workload, unit)| Track {
        workload,
        peer,
        procs,
        unit,
    })
    .collect()
}

fn row(first: f64, trips: &Trips) -> Vec<f64> {
    let latencies = [0.5, 0.99, 0.999].map(|part| trips.latencies.quantile_us(part));
    [&[first], &latencies[..]].concat()
}

fn closed(workload: &Workload, load: Load) -> Result<Peers> {
    let peer = |(name, procs, host): Party| {
        Sampled::boxed(tracks(workload, name, procs, "ns"), move || {
            let trips = host.race(load)?;
            Ok(row(trips.ns_each(), &trips))
        })
    };
    Ok(parties()?.into_iter().map(peer).collect())
}

fn open(workload: &Workload, load: Load) -> Result<Peers> {
    let slowest = Rc::new(Cell::new(f64::INFINITY));
    let peer = |(name, procs, host)| -> Box<dyn Peer> {
        Box::new(Paced {
            tracks: tracks(workload, name, procs, "1/s"),
            host,
            load,
            slowest: Rc::clone(&slowest),
        })
    };
    Ok(parties()?.into_iter().map(peer).collect())
}

/// A peer of the open loop.
struct Paced {
    tracks: Vec<Track>,
    host: Host,
    load: Load,
    /// Round trips per second in the closed loop: the fewest of all peers, once all are prepared.
    slowest: Rc<Cell<f64>>,
}

impl Peer for Paced {
    fn tracks(&self) -> Vec<Track> {
        self.tracks.clone()
    }

    fn prepare(&mut self, _: Duration) -> Result<()> {
        let possible = self.host.race(self.load)?.per_second();
        self.slowest.set(self.slowest.get().min(possible));
        Ok(())
    }

    fn sample(&mut self) -> Result<Vec<f64>> {
        let trips = open::measure(&self.host, self.load, self.slowest.get() / 2.0)?;
        Ok(row(trips.per_second(), &trips))
    }
}
