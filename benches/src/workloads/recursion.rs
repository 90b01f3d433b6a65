//! Stacks that grow deep.

use super::{Peers, Workload};
use crate::child::{Fresh, Task};
use crate::measure::{Plan, Result, Track};
use crate::peers::recursion::{Found, StackKind};

pub(super) static DEEP_RECURSION: Workload = Workload {
    names: &["deep-recursion"],
    weight: 30,
    peers: deep_recursion,
    note: |plan| {
        format!(
            "{} MiB deep and back in a fresh process, per page touched: a goroutine with the \
             default limit of 1 GiB, and the same code on a bare mapping filled by plain demand \
             paging",
            depth_mib(plan)
        )
    },
};

/// A little less than a power of two, where a stack grown by doubling ends; the same part of it
/// in both forms.
fn depth_mib(plan: &Plan) -> usize {
    if plan.quick { 250 } else { 1000 }
}

fn deep_recursion(plan: &Plan) -> Result<Peers> {
    let peer = |name, stack| {
        let track = Track {
            workload: "deep-recursion",
            peer: name,
            procs: 1,
            unit: "ns/page",
        };
        let mib = depth_mib(plan);
        Fresh::boxed(
            vec![track],
            Task::Recursion { stack, mib },
            |found: &Found| vec![found.ns_per_page],
        )
    };
    Ok(vec![
        peer("gopark", StackKind::Gopark),
        peer("plain", StackKind::Plain),
    ])
}
