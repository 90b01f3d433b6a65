//! Timers, and who else waits for the poller.

use std::time::Duration;

use super::{Peers, Workload, ns};
use crate::child::{Fresh, Task};
use crate::facts;
use crate::measure::{Plan, Result, Sampled, Timed, Track};
use crate::peers::latencies::Latencies;
use crate::peers::tasks::{self, Workers};
use crate::peers::timers::{self, Crowd, SHORT, SLEEP_MAX};
use crate::peers::{goroutines, ready};

pub(super) static SLEEP_10K: Workload = Workload {
    names: &["sleep-10k-p50", "sleep-10k-p99", "sleep-10k-max"],
    weight: 140,
    peers: sleep_10k,
    note: |plan| {
        let Crowd { sleepers, lead } = crowd(plan);
        format!(
            "{sleepers} goroutines or tasks sleep, each once, until random moments within {} ms \
             that begin {} ms after the first spawn: from the moment until the sleeper runs; \
             tokio's timers have a granularity of 1 ms",
            SLEEP_MAX.as_millis(),
            lead.as_millis()
        )
    },
};

fn crowd(plan: &Plan) -> Crowd {
    let (sleepers, lead_ms) = if plan.quick {
        (2000, 40)
    } else {
        (10_000, 150)
    };
    Crowd {
        sleepers,
        lead: Duration::from_millis(lead_ms),
    }
}

fn sleep_10k(plan: &Plan) -> Result<Peers> {
    let (crowd, cores) = (crowd(plan), facts::cores());
    let rows = |peer, procs| us(SLEEP_10K.names, peer, procs);
    let values = |lates: Latencies| {
        vec![
            lates.quantile_us(0.5),
            lates.quantile_us(0.99),
            lates.max_us(),
        ]
    };
    let mut peers = Peers::new();
    for (name, procs) in [("gopark-1p", 1), ("gopark", cores)] {
        let runtime = goroutines::runtime(procs, None)?;
        let sample = move || Ok(values(crowd.goroutines(&runtime)?));
        peers.push(Sampled::boxed(rows(name, procs), sample));
    }
    for (name, workers) in [
        ("tokio-1t", Workers::Caller),
        ("tokio", Workers::Threads(cores)),
    ] {
        let runtime = tasks::runtime(workers)?;
        let sample = move || Ok(values(crowd.tasks(&runtime)?));
        peers.push(Sampled::boxed(rows(name, workers.count()), sample));
    }
    Ok(peers)
}

pub(super) static SLEEP_50US: Workload = Workload {
    names: &["sleep-50us-p50", "sleep-50us-p99"],
    weight: 90,
    peers: sleep_50us,
    note: |plan| {
        format!(
            "{} sleeps of {} us one after the other while nothing else runs: what is more than \
             that; the thread has the kernel's usual slack of 50 us, tokio's timers have a \
             granularity of 1 ms",
            short_sleeps(plan),
            SHORT.as_micros()
        )
    },
};

fn short_sleeps(plan: &Plan) -> u32 {
    if plan.quick { 50 } else { 300 }
}

fn sleep_50us(plan: &Plan) -> Result<Peers> {
    let (count, cores) = (short_sleeps(plan), facts::cores());
    let rows = |peer, procs| us(SLEEP_50US.names, peer, procs);
    let values = |lates: Latencies| vec![lates.quantile_us(0.5), lates.quantile_us(0.99)];
    let gopark = goroutines::runtime(cores, None)?;
    let tokio = tasks::runtime(Workers::Threads(cores))?;
    Ok(vec![
        Sampled::boxed(rows("gopark", cores), move || {
            Ok(values(timers::short_goroutine(&gopark, count)))
        }),
        Sampled::boxed(rows("thread", cores), move || {
            Ok(values(timers::short_thread(count)))
        }),
        Sampled::boxed(rows("tokio", cores), move || {
            Ok(values(timers::short_task(&tokio, count)?))
        }),
    ])
}

pub(super) static TIMER_STOP: Workload = Workload {
    names: &["timer-stop", "timer-stop-set"],
    weight: 70,
    peers: timer_stop,
    note: |plan| {
        format!(
            "on one P: `after_func` {0} times, then `stop` for all {0}: both together, and the \
             first half alone, each",
            pending(plan)
        )
    },
};

fn pending(plan: &Plan) -> u32 {
    if plan.quick { 100_000 } else { 1_000_000 }
}

fn timer_stop(plan: &Plan) -> Result<Peers> {
    let runtime = goroutines::runtime(1, None)?;
    let count = pending(plan);
    let rows = TIMER_STOP.names.iter().map(|name| ns(name, "gopark", 1));
    Ok(vec![Sampled::boxed(rows.collect(), move || {
        let [set, stop] = timers::set_and_stop_all(&runtime, count)?;
        let each = |time: Duration| time.as_nanos() as f64 / f64::from(count);
        Ok(vec![each(set + stop), each(set)])
    })])
}

pub(super) static TIMER_PAIR: Workload = Workload {
    names: &["timer-pair"],
    weight: 1,
    peers: timer_pair,
    note: |_| {
        format!(
            "on one P: `after_func` and at once `stop`, no other timer is set; with a yield after \
             each {}, for what the runtime leaves to others",
            timers::YIELD_EVERY
        )
    },
};

fn timer_pair(_: &Plan) -> Result<Peers> {
    let runtime = goroutines::runtime(1, None)?;
    let pair = move |count| Ok(timers::set_and_stop_each(&runtime, count));
    Ok(vec![Timed::boxed(ns("timer-pair", "gopark", 1), pair)])
}

pub(super) static READY_UNDER_HOGS: Workload = Workload {
    names: &["ready-under-hogs-p50", "ready-under-hogs-p99"],
    weight: 130,
    peers: ready_under_hogs,
    note: |plan| {
        format!(
            "in a fresh process, {} ms: {} goroutines on each P that yield every {} us, and one \
             blocked in a read: from before write(2), by a plain thread every {} us, until the \
             reader runs",
            ready_ms(plan),
            ready::HOGS_PER_PROC,
            ready::RUN.as_micros(),
            ready::TICK.as_micros()
        )
    },
};

fn ready_ms(plan: &Plan) -> u64 {
    if plan.quick { 300 } else { 2000 }
}

fn ready_under_hogs(plan: &Plan) -> Result<Peers> {
    let rows = us(READY_UNDER_HOGS.names, "gopark", facts::cores());
    let task = Task::Ready { ms: ready_ms(plan) };
    Ok(vec![Fresh::boxed(rows, task, |found: &ready::Found| {
        vec![found.p50_us, found.p99_us]
    })])
}

/// Rows in microseconds.
fn us(workloads: &[&'static str], peer: &'static str, procs: usize) -> Vec<Track> {
    let rows = workloads.iter().map(|workload| Track {
        workload,
        peer,
        procs,
        unit: "us",
    });
    rows.collect()
}
