//! What the runtime's own threads use up.

use super::{Peers, Workload};
use crate::child::{Fresh, Task};
use crate::facts;
use crate::measure::{Plan, Result, Track};
use crate::peers::sysmon::{Found, IDLE_GOROUTINES};

pub(super) static BUSY: Workload = Workload {
    names: &["sysmon-busy"],
    weight: 45,
    peers: busy,
    note: |plan| {
        format!(
            "in a fresh process, over {} ms: CPU of sysmon, while a goroutine that never calls \
             the runtime has the only P and nobody waits",
            busy_ms(plan)
        )
    },
};

fn busy_ms(plan: &Plan) -> u64 {
    if plan.quick { 1000 } else { 2000 }
}

fn busy(plan: &Plan) -> Result<Peers> {
    let tracks = vec![Track {
        workload: "sysmon-busy",
        peer: "gopark",
        procs: 1,
        unit: "%",
    }];
    let task = Task::SysmonBusy { ms: busy_ms(plan) };
    Ok(vec![Fresh::boxed(tracks, task, |found: &Found| {
        vec![found.cpu_percent]
    })])
}

pub(super) static IDLE: Workload = Workload {
    names: &["sysmon-idle"],
    weight: 75,
    peers: idle,
    note: |plan| {
        format!(
            "in a fresh process, over {} ms: switches and CPU of all threads but the measuring \
             one, while {IDLE_GOROUTINES} goroutines are parked and none runs",
            idle_ms(plan)
        )
    },
};

fn idle_ms(plan: &Plan) -> u64 {
    if plan.quick { 500 } else { 2000 }
}

fn idle(plan: &Plan) -> Result<Peers> {
    let track = |peer, unit| Track {
        workload: "sysmon-idle",
        peer,
        procs: facts::cores(),
        unit,
    };
    let tracks = vec![track("gopark-switches", "count"), track("gopark-cpu", "%")];
    let task = Task::SysmonIdle { ms: idle_ms(plan) };
    Ok(vec![Fresh::boxed(tracks, task, |found: &Found| {
        vec![found.switches, found.cpu_percent]
    })])
}
