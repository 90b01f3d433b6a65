//! `GOPARK_SCHEDTRACE`: a line a period, in the shape of Go's `schedtrace`.

use std::fmt::Write as _;

use crate::fatal;
use crate::sched::global;
use crate::sched::shared::Shared;

/// Prints one line.
pub(crate) fn print(shared: &Shared) {
    fatal::print(format_args!("{}\n", line(shared)));
}

/// The line, without its end.
fn line(shared: &Shared) -> String {
    let census = shared.idle.census();
    let mut line = format!(
        "SCHED {}ms: gomaxprocs={} idleprocs={} threads={} spinningthreads={} needspinning=0 \
         idlethreads={} runqueue={} [",
        shared.monitor.uptime().as_millis(),
        census.limit,
        census.idle_ps,
        // With sysmon and the chores' thread, as Go counts.
        census.threads + 2,
        census.searching,
        census.idle_ms,
        global::runnable(shared) + shared.claims.len(),
    );
    let procs = || shared.procs.iter().take(census.limit);
    for p in procs() {
        let _ = write!(line, " {}", p.queue.len());
    }
    line.push_str(" ] schedticks=[");
    for p in procs() {
        let _ = write!(line, " {}", p.counts.ticks.get());
    }
    line.push_str(" ]");
    line
}
