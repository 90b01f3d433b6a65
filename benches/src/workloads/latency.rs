//! How long those wait whose P is in use: by hogs, or by a thread that blocks.

use super::{Peers, Workload};
use crate::child::{Fresh, Task};
use crate::measure::{Plan, Result, Track};
use crate::peers::{blocked, hogs};

pub(super) static TICKER_LATENCY: Workload = Workload {
    names: &["ticker-latency", "hog-share", "sysmon-hogs"],
    weight: 65,
    peers: ticker_latency,
    note: |plan| {
        format!(
            "in a fresh process, one P, {} ms: two goroutines that never call the runtime, and a \
             third that a thread unparks every 23 ms: from unpark until it runs; the share of \
             the first in the work of both; CPU of sysmon",
            hogs_ms(plan)
        )
    },
};

fn hogs_ms(plan: &Plan) -> u64 {
    if plan.quick { 1000 } else { 3000 }
}

fn ticker_latency(plan: &Plan) -> Result<Peers> {
    let tracks = vec![
        track("ticker-latency", "gopark-p50", "ms"),
        track("ticker-latency", "gopark-p99", "ms"),
        track("ticker-latency", "gopark-max", "ms"),
        track("hog-share", "gopark", "share"),
        track("sysmon-hogs", "gopark", "%"),
    ];
    let task = Task::Hogs { ms: hogs_ms(plan) };
    Ok(vec![Fresh::boxed(tracks, task, |found: &hogs::Found| {
        vec![
            found.p50_ms,
            found.p99_ms,
            found.max_ms,
            found.share,
            found.sysmon_percent,
        ]
    })])
}

pub(super) static BLOCKED_FIRST: Workload = Workload {
    names: &["blocked-first"],
    weight: 70,
    peers: blocked_first,
    note: |plan| {
        format!(
            "in a fresh process, one P, the median of {} new runtimes: a goroutine at the begin \
             of its slice spawns {} and blocks its thread for {} ms, without a word or \
             (`-said-`) inside of `blocking`: from the begin of the sleep until the first of \
             them, and all, have run",
            rounds(plan),
            blocked::WAITING,
            blocked::BLOCKED.as_millis()
        )
    },
};

fn rounds(plan: &Plan) -> usize {
    if plan.quick { 1 } else { 5 }
}

fn blocked_first(plan: &Plan) -> Result<Peers> {
    let peer = |names: [&'static str; 2], call| {
        let tracks = names.map(|name| track("blocked-first", name, "us"));
        let rounds = rounds(plan);
        let task = Task::Blocked { call, rounds };
        Fresh::boxed(tracks.into(), task, |found: &blocked::Found| {
            vec![found.first_us, found.all_us]
        })
    };
    Ok(vec![
        peer(["gopark-first", "gopark-all"], blocked::Call::Unsaid),
        peer(
            ["gopark-said-first", "gopark-said-all"],
            blocked::Call::Said,
        ),
    ])
}

/// A row of a process with one P.
fn track(workload: &'static str, peer: &'static str, unit: &'static str) -> Track {
    Track {
        workload,
        peer,
        procs: 1,
        unit,
    }
}
