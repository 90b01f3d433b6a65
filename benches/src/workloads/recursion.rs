//! Stacks that grow deep.

use std::time::Duration;

use super::{Peers, Workload};
use crate::child::{self, Task};
use crate::measure::{Peer, Plan, Result, Track};
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
    let peer = |name, stack| -> Box<dyn Peer> {
        Box::new(Recursion {
            name,
            task: Task::Recursion {
                stack,
                mib: depth_mib(plan),
            },
        })
    };
    Ok(vec![
        peer("gopark", StackKind::Gopark),
        peer("plain", StackKind::Plain),
    ])
}

/// A child process per sample.
struct Recursion {
    name: &'static str,
    task: Task,
}

impl Peer for Recursion {
    fn tracks(&self) -> Vec<Track> {
        let track = Track {
            workload: "deep-recursion",
            peer: self.name,
            procs: 1,
            unit: "ns/page",
        };
        vec![track]
    }

    fn prepare(&mut self, _: Duration) -> Result<()> {
        Ok(())
    }

    fn sample(&mut self) -> Result<Vec<f64>> {
        let found: Found = child::measure(&self.task)?;
        Ok(vec![found.ns_per_page])
    }
}
