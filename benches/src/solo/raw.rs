//! Switches without a scheduler: into a coroutine and back.

use super::pace::paced;
use super::{Answer, Job};
use crate::measure::time;
use crate::peers::raw::{Corosensei, Generator, GoparkRaw};

pub(super) fn gopark(job: &Job) -> Answer {
    let mut raw = GoparkRaw::new()?;
    round_trips(job, || raw.round_trip())
}

pub(super) fn corosensei(job: &Job) -> Answer {
    let mut raw = Corosensei::new()?;
    round_trips(job, || raw.round_trip())
}

pub(super) fn generator(job: &Job) -> Answer {
    let mut raw = Generator::new();
    round_trips(job, || raw.round_trip())
}

#[inline(always)]
fn round_trips(job: &Job, mut round_trip: impl FnMut()) -> Answer {
    match job.workload.as_str() {
        "switch-raw" => paced(job, |count| Ok(time(count, &mut round_trip))),
        _ => job.unknown(),
    }
}
