//! How many goroutines run at a time.

use crate::sched::header::G;
use crate::sched::service::resize;
use crate::sys::thread;

/// CPUs that this process may use: its affinity, and the quotas of its control groups.
#[doc(alias = "NumCPU")]
pub fn num_cpu() -> usize {
    thread::cpus()
}

/// Goroutines that run at the same time in the caller's runtime.
///
/// # Panics
/// Outside a runtime.
#[track_caller]
pub fn procs() -> usize {
    of_thread("gopark::procs").machine().shared().procs.limit()
}

/// Sets how many goroutines run at the same time in the caller's runtime, and returns the number
/// before. 0 only asks. From then on the number no longer follows the machine's limits.
///
/// When it returns, no more goroutines run at a time, except those that did not come to a call of
/// the runtime within 100 ms and could not be suspended. May suspend.
///
/// # Panics
/// Outside a runtime; above 1024, naming the value; when there is no memory for a P's caches.
#[doc(alias = "GOMAXPROCS")]
#[track_caller]
pub fn set_procs(procs: usize) -> usize {
    resize::set_procs(G::must_be_current("gopark::set_procs"), procs)
}

/// Goroutines of the caller's runtime that have not ended, the caller included; may be too large by
/// those that are being spawned.
///
/// # Panics
/// Outside a runtime.
#[doc(alias = "NumGoroutine")]
#[track_caller]
pub fn num_goroutines() -> usize {
    let g = of_thread("gopark::num_goroutines");
    g.machine().shared().live() as usize
}

#[track_caller]
fn of_thread<'a>(call: &str) -> &'a G {
    G::of_thread().unwrap_or_else(|| panic!("{call} called outside a runtime"))
}
