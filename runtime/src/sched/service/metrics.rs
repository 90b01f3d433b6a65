//! Figures of a runtime, taken without stopping anybody.

use std::sync::atomic::Ordering;

use crate::sched::global;
use crate::sched::header::GRef;
use crate::sched::machine::unsuspended;
use crate::sched::shared::Shared;

/// Counters and gauges of a runtime. Taken while it runs: the figures may be of slightly different
/// moments.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Metrics {
    /// The Ps that may run goroutines.
    pub procs: Vec<ProcMetrics>,
    /// Goroutines that have not ended.
    pub goroutines: u64,
    /// Those that run, on a P or detached.
    pub running: u64,
    /// Those in a queue.
    pub runnable: u64,
    /// Those inside `blocking`.
    pub blocking: u64,
    /// Those that are parked.
    pub waiting: u64,
    /// Goroutines ever spawned.
    pub spawned: u64,
    /// Threads that run goroutines, or could.
    pub threads: usize,
    /// Threads that sleep for want of work.
    pub idle_threads: usize,
    /// Threads that look for work.
    pub searching_threads: usize,
    /// Threads suspended in their signal handler.
    pub suspended_threads: usize,
    /// Ps that nobody holds.
    pub idle_procs: usize,
    /// Goroutines in the global queue.
    pub global_queue: usize,
    /// Threads in the global queue, each with its goroutine.
    pub claims: usize,
    /// Moments that somebody waits for, and entries that are left of waits that ended otherwise.
    pub timers: usize,
    /// Goroutines that wait for the network.
    pub network_waiters: usize,
    /// Bytes that the stacks of the process may touch without growing, those of free stacks
    /// included; all runtimes share the stacks. What is resident: `gopark::stack::resident_bytes`.
    pub stack_bytes: usize,
}

/// Counters of one P.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct ProcMetrics {
    /// Slices begun.
    pub ticks: u64,
    /// Goroutines taken from other Ps.
    pub steals: u64,
    /// Times that the full local queue sent half of itself to the global one.
    pub overflows: u64,
    /// Parks of goroutines.
    pub parks: u64,
    /// Times that the P was taken from a thread that blocked, or was detached.
    pub retakes: u64,
    /// Times that a goroutine was suspended at the end of its slice.
    pub preemptions: u64,
    /// `blocking` calls that came back to their P.
    pub blocking_calls: u64,
    /// Goroutines in the local queue, with the one that runs next.
    pub queue: usize,
}

/// Takes the figures.
pub(crate) fn metrics(shared: &Shared) -> Metrics {
    unsuspended(|| take(shared))
}

fn take(shared: &Shared) -> Metrics {
    let census = shared.idle.census();
    let mut metrics = Metrics {
        goroutines: shared.live(),
        spawned: shared.spawned(),
        threads: census.threads,
        idle_threads: census.idle_ms,
        searching_threads: census.searching,
        suspended_threads: shared.suspended.load(Ordering::Relaxed),
        idle_procs: census.idle_ps,
        global_queue: global::runnable(shared),
        claims: shared.claims.len(),
        timers: shared.procs.iter().map(|p| p.timers.len()).sum(),
        network_waiters: shared.net.waiting(),
        stack_bytes: gopark_stack::accessible_bytes(),
        ..Metrics::default()
    };
    for p in shared.procs.iter() {
        let queue = p.queue.len() + usize::from(p.queue.peek_next() != 0);
        metrics.runnable += queue as u64;
        if p.index < census.limit {
            metrics.procs.push(ProcMetrics {
                ticks: p.counts.ticks.get(),
                steals: p.counts.steals.get(),
                overflows: p.counts.overflows.get(),
                parks: p.counts.parks.get(),
                retakes: p.counts.retakes.get(),
                preemptions: p.counts.preemptions.get(),
                blocking_calls: p.counts.blocks.get(),
                queue,
            });
        }
    }
    metrics.runnable += (metrics.global_queue + metrics.claims) as u64;
    count_on_threads(shared, &mut metrics);
    let elsewhere = metrics.running + metrics.runnable + metrics.blocking;
    metrics.waiting = metrics.goroutines.saturating_sub(elsewhere);
    metrics
}

/// Counts the goroutines that threads are at.
fn count_on_threads(shared: &Shared, metrics: &mut Metrics) {
    for m in shared.machines.iter() {
        let Some(g) = GRef::from_ptr(m.current.load(Ordering::Relaxed)) else {
            continue;
        };
        if m.is_blocking.load(Ordering::Relaxed) {
            metrics.blocking += 1;
        } else if !m.grant.sleeps() && !g.get().state.is_parked() {
            metrics.running += 1;
        }
    }
}
