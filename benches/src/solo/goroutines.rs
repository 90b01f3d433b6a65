//! gopark: goroutines on so many Ps, with the default limit of their stacks or a small one.

use gopark::runtime::Runtime;

use super::blocking::{self, Home};
use super::pace::paced;
use super::{Answer, Job};
use crate::peers::connections::DENSE_BYTES;
use crate::peers::echo::Host;
use crate::peers::goroutines::{self, Thread};
use crate::peers::kinds::Goroutines;
use crate::peers::recursion::{self, StackKind};

impl Home for Runtime {
    type Kind = Goroutines;

    fn enter<T: Send>(&self, f: impl FnOnce() -> T + Send) -> T {
        self.run(f)
    }
}

pub(super) fn play(job: &Job) -> Answer {
    play_with(job, None)
}

pub(super) fn play_dense(job: &Job) -> Answer {
    play_with(job, Some(DENSE_BYTES))
}

fn play_with(job: &Job, stack_limit: Option<usize>) -> Answer {
    let runtime = goroutines::runtime(job.procs(), stack_limit)?;
    match job.workload.as_str() {
        "handoff" => paced(job, |count| {
            Ok(goroutines::handoffs(&runtime, Thread::Shared, count))
        }),
        "echo" => job.echo(&Host::Gopark(runtime)),
        "deep-recursion" if stack_limit.is_none() => {
            let found = recursion::measure(StackKind::Gopark, job.size << 20)?;
            Ok(vec![("ns", found.ns_per_page)])
        }
        _ => blocking::play(&runtime, job),
    }
}
