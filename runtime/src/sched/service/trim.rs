//! Giving memory of stacks back: the place that Go's garbage collector has.
//!
//! Once a second, while anything runs: the dead part under the stack pointer of goroutines that
//! have been parked for a while, some headers a time. When everybody sleeps: the pages of free
//! stacks too, but not more often than every few seconds, because the next burst pays for them.

#![expect(unsafe_code, reason = "gives back the dead part of parked stacks")]

use std::ptr::NonNull;
use std::time::{Duration, Instant};

use super::listing;
use crate::sched::header::G;
use crate::sched::shared::Shared;
use crate::task::state::Trim;

/// A goroutine that has been parked for this long is trimmed.
const PARKED_MIN: Duration = Duration::from_secs(1);
/// Goroutines looked at in one second.
const LOOKS_MAX: usize = 4096;
const REST_EVERY: Duration = Duration::from_secs(5);

/// Where the last round ended.
#[derive(Debug)]
pub(crate) struct Trimmer {
    looked_at: usize,
    /// When that was, or when the runtime began.
    looked: Instant,
    rested: Option<Instant>,
}

impl Trimmer {
    pub(crate) fn new() -> Trimmer {
        Trimmer {
            looked_at: 0,
            looked: Instant::now(),
            rested: None,
        }
    }

    /// A round over some of the goroutines.
    pub(crate) fn upkeep(&mut self, shared: &Shared) {
        self.looked = Instant::now();
        let round = listing::headers(shared)
            .skip(self.looked_at)
            .take(LOOKS_MAX);
        let n = round.map(|(g, id)| trim(shared, g, id)).count();
        self.looked_at = if n < LOOKS_MAX { 0 } else { self.looked_at + n };
    }

    /// Everybody sleeps.
    pub(crate) fn rest(&mut self, shared: &Shared) {
        if self.rested.is_some_and(|at| at.elapsed() < REST_EVERY) {
            return;
        }
        self.rested = Some(Instant::now());
        // Who has been parked for long enough was so at the last round, if that was just now.
        if self.looked.elapsed() >= PARKED_MIN {
            self.upkeep(shared);
        }
        gopark_stack::trim(usize::MAX);
    }
}

/// Trims goroutine `id` if it has been parked for long, and not trimmed since.
fn trim(shared: &Shared, g: &G, id: u64) {
    let parked_ms = shared.monitor.now_ms().wrapping_sub(g.told.since_ms());
    let parked = Duration::from_millis(parked_ms.into());
    if !g.state.is_parked() || parked < PARKED_MIN || g.told.is_trimmed() {
        return;
    }
    if !g.state.begin_trim(id) {
        return;
    }
    if g.bound.get() == 0 {
        let context = g.context.get();
        // SAFETY: between `begin_trim` and `end_trim` this thread owns the parked goroutine.
        let sp = unsafe { (*context).stack_pointer() };
        // SAFETY: as above; not bound, so the registers are saved there, and nothing runs on it.
        unsafe { gopark_stack::trim_below(NonNull::from(g).cast(), sp) };
    }
    g.told.set_trimmed();
    match g.state.end_trim() {
        Trim::Parked => {}
        Trim::Enqueue => shared.submit_global(g.to_ref()),
    }
}
