//! A gate at which several wait until all are there.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use may::sync::SyncFlag;

use crate::peers::may::{join, spawn};

/// Of one use.
pub(super) struct Gate {
    /// Who is still on the way.
    missing: AtomicUsize,
    complete: SyncFlag,
    open: SyncFlag,
}

impl Gate {
    /// For so many.
    pub(super) fn new(count: usize) -> Arc<Self> {
        let gate = Self {
            missing: AtomicUsize::new(count),
            complete: SyncFlag::new(),
            open: SyncFlag::new(),
        };
        if count == 0 {
            gate.complete.fire();
        }
        Arc::new(gate)
    }

    /// Says that one more is there, who goes on.
    pub(super) fn arrive(&self) {
        if self.missing.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.complete.fire();
        }
    }

    /// Arrives and waits until the gate is opened.
    pub(super) fn pass(&self) {
        self.arrive();
        self.open.wait();
    }

    pub(super) fn wait_for_all(&self) {
        self.complete.wait();
    }

    pub(super) fn open(&self) {
        self.open.fire();
    }
}

/// What one of several does.
pub(super) type Party = Box<dyn FnOnce() + Send>;

/// Runs all of them at once: the time from the start, when all are there, until the last is done.
pub(super) fn race(parties: Vec<Party>) -> Duration {
    let gate = Gate::new(parties.len());
    let mut handles = Vec::with_capacity(parties.len());
    for party in parties {
        let gate = Arc::clone(&gate);
        handles.push(spawn(move || {
            gate.pass();
            party();
            Instant::now()
        }));
    }
    gate.wait_for_all();
    let start = Instant::now();
    gate.open();
    let ends = handles.into_iter().map(join);
    ends.max().map_or(Duration::ZERO, |end| end - start)
}
