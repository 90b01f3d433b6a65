//! Single calls of the runtime.

use super::{Peers, Workload, ns};
use crate::measure::{Plan, Result, Timed, Track};
use crate::peers::{goroutines, parked};

pub(super) static BLOCKING_CALL: Workload = Workload {
    names: &["blocking-call"],
    weight: 1,
    peers: blocking_calls,
    note: |_| "`blocking` around an empty function: in and back, on one P".into(),
};

fn blocking_calls(_: &Plan) -> Result<Peers> {
    let runtime = goroutines::runtime(1, None)?;
    Ok(vec![Timed::boxed(
        ns("blocking-call", "gopark", 1),
        move |count| Ok(goroutines::blocking_calls(&runtime, count)),
    )])
}

pub(super) static RESIZE: Workload = Workload {
    names: &["resize"],
    weight: 1,
    peers: resizes,
    note: |_| {
        format!(
            "`set_procs(2)` and `set_procs(1)`, both, by the only goroutine that runs; \
             {PARKED} others are parked"
        )
    },
};

const PARKED: usize = 1000;

fn resizes(_: &Plan) -> Result<Peers> {
    let runtime = goroutines::runtime(1, None)?;
    parked::crowd(&runtime, PARKED);
    let track = Track {
        workload: "resize",
        peer: "gopark",
        procs: 2,
        unit: "us",
    };
    Ok(vec![Timed::boxed(track, move |count| {
        goroutines::resizes(&runtime, count)
    })])
}
