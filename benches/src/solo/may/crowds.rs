//! Many coroutines at rest.

use std::sync::Arc;
use std::time::{Duration, Instant};

use may::coroutine::{self, JoinHandle};

use super::gate::Gate;
use crate::measure::Result;
use crate::peers::may::{join, root, spawn};
use crate::solo::Answer;
use crate::solo::crowd::{Gathering, IDLE, Moments, late};
use crate::solo::tick::lateness;
use crate::solo::usage::Usage;

/// A new stack is two calls of the kernel, some ten microseconds, and all are to be asleep before
/// the first moment.
const LEAD_EACH: Duration = Duration::from_micros(100);

pub(super) fn sleepers(count: usize) -> Answer {
    lateness(root(move || sleep_all(count))??)
}

/// How late they wake up.
fn sleep_all(count: usize) -> std::result::Result<Vec<Duration>, String> {
    let mut handles = Vec::with_capacity(count);
    let moments = Moments::new(count, LEAD_EACH)?;
    for due in moments.all() {
        handles.push(spawn(move || {
            coroutine::sleep(due.saturating_duration_since(Instant::now()));
            late(due)
        }));
    }
    let in_time = moments.check();
    let late = handles.into_iter().map(join).collect();
    in_time.map(|()| late)
}

/// Coroutines that are all blocked at a gate.
struct Crowd {
    gate: Arc<Gate>,
    handles: Vec<JoinHandle<()>>,
}

impl Crowd {
    fn gather(count: usize) -> Self {
        let gate = Gate::new(count);
        let mut handles = Vec::with_capacity(count);
        for _ in 0..count {
            let gate = Arc::clone(&gate);
            handles.push(spawn(move || gate.pass()));
        }
        gate.wait_for_all();
        Self { gate, handles }
    }

    fn release(self) {
        self.gate.open();
        self.handles.into_iter().for_each(join);
    }
}

pub(super) fn parked(count: usize) -> Answer {
    root(move || {
        let gathering = Gathering::begin();
        let crowd = Crowd::gather(count);
        let release = gathering.complete();
        crowd.release();
        release.answer(count)
    })
}

pub(super) fn idle(count: usize) -> Answer {
    let used: Result<_> = root(move || {
        let crowd = Crowd::gather(count);
        let used = Usage::begin().and_then(|before| {
            coroutine::sleep(IDLE);
            before.answer()
        });
        crowd.release();
        used.map_err(|error| error.to_string())
    });
    Ok(used??)
}
