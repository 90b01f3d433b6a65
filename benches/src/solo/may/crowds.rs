//! Many coroutines at rest.

use std::sync::Arc;
use std::time::{Duration, Instant};

use may::coroutine::{self, JoinHandle};

use super::gate::Gate;
use super::spawn::{self, join, spawn};
use crate::measure::Result;
use crate::peers::parked::Memory;
use crate::solo::Answer;
use crate::solo::tick::lateness;
use crate::solo::usage::Usage;

/// Over what the moments are spread at which sleepers wake up.
const SPREAD: Duration = Duration::from_millis(100);

/// From the first spawn until the first moment: this, or this for each of them. A new stack is two
/// calls of the kernel, some ten microseconds, and all are to be asleep by then.
const LEAD: Duration = Duration::from_millis(100);
const LEAD_EACH: Duration = Duration::from_micros(100);

/// How long nothing happens.
const IDLE: Duration = Duration::from_secs(1);

pub(super) fn sleepers(count: usize) -> Answer {
    match spawn::root(move || sleep_all(count as u32))? {
        Some(late) => lateness(late),
        None => Err("the first was due before all were spawned".into()),
    }
}

/// How late they wake up; `None` if spawning has taken too long.
fn sleep_all(count: u32) -> Option<Vec<Duration>> {
    let begin = Instant::now() + LEAD.max(LEAD_EACH * count);
    let mut handles = Vec::with_capacity(count as usize);
    for index in 0..count {
        let due = begin + SPREAD.mul_f64(f64::from(index) / f64::from(count));
        handles.push(spawn(move || {
            coroutine::sleep(due.saturating_duration_since(Instant::now()));
            let now = Instant::now();
            assert!(now >= due, "woken {:?} too early", due - now);
            now - due
        }));
    }
    let in_time = Instant::now() < begin;
    let late = handles.into_iter().map(join).collect();
    in_time.then_some(late)
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
    spawn::root(move || {
        let before = Memory::now();
        let start = Instant::now();
        let crowd = Crowd::gather(count);
        let spawned = start.elapsed();
        let after = Memory::now();
        let start = Instant::now();
        crowd.release();
        let woken = start.elapsed();
        let each = |total: f64| total / count as f64;
        vec![
            ("bytes", each(after.bytes - before.bytes)),
            ("spawn", each(spawned.as_nanos() as f64)),
            ("wake", each(woken.as_nanos() as f64)),
        ]
    })
}

pub(super) fn idle(count: usize) -> Answer {
    let used: Result<_> = spawn::root(move || {
        let crowd = Crowd::gather(count);
        let used = Usage::now().and_then(|before| {
            coroutine::sleep(IDLE);
            before.answer()
        });
        crowd.release();
        used.map_err(|error| error.to_string())
    });
    Ok(used??)
}
