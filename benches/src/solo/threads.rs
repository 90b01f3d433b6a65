//! OS threads: with std's locks and sockets, and crossbeam-channel.

use std::thread;

use super::blocking::{self, Home};
use super::pace::paced;
use super::{Answer, Job};
use crate::peers::baton::FutexBaton;
use crate::peers::echo::Host;
use crate::peers::kinds::Threads;
use crate::peers::recursion;
use crate::peers::threads::{Placement, handoffs};

/// Beside what a recursion needs.
const MARGIN_BYTES: usize = 1 << 20;

struct Process;

impl Home for Process {
    type Kind = Threads;

    fn enter<T: Send>(&self, f: impl FnOnce() -> T + Send) -> T {
        f()
    }
}

pub(super) fn play(job: &Job) -> Answer {
    match job.workload.as_str() {
        "handoff" => {
            let baton = FutexBaton::default();
            // Where this process may run is settled by whoever has started it.
            paced(job, |count| handoffs(&baton, Placement::Free, count))
        }
        "echo" => job.echo(&Host::Threads),
        "deep-recursion" => {
            let bytes = job.size << 20;
            let deep = thread::Builder::new()
                .stack_size(bytes + MARGIN_BYTES)
                .spawn(move || recursion::recurse(bytes))?;
            let (pages, elapsed) = deep.join().map_err(|_| "the thread panicked")?;
            Ok(vec![("ns", elapsed.as_nanos() as f64 / pages as f64)])
        }
        _ => blocking::play(&Process, job),
    }
}
