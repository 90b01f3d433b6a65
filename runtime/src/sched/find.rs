//! Where the next goroutine comes from, in order.
//!
//! | step | source                                                                     |
//! |------|----------------------------------------------------------------------------|
//! | 1    | every 61st dispatch: one from the global queue, so that it cannot starve   |
//! | 2    | `runnext`: readied or spawned last, its data still in the cache            |
//! | 3    | the local queue, FIFO                                                      |
//! | 4    | half of another P's queue; on the last of 4 passes its `runnext`           |
//! | 5    | a batch of the global queue                                                |
//!
//! Steps 1 to 3 also run on the stack of the goroutine that leaves, which then switches straight to
//! the next one; the rest belongs to the machine's loop.

#![expect(unsafe_code, reason = "uses the local state of the P that its M holds")]

use std::time::{Duration, Instant};

use crossbeam_deque::Steal;

use super::machine::Machine;
use super::processor::Processor;
use crate::sched::header::GRef;

const GLOBAL_TICK: u32 = 61;
const PASSES: usize = 4;
/// A goroutine in `runnext` is about to be run by its own M: a thief gives it this long.
const NEXT_GRACE: Duration = Duration::from_micros(3);

/// Steps 1 to 3.
#[inline]
pub(crate) fn nearby(m: &Machine) -> Option<GRef> {
    let p = m.p();
    // SAFETY: one short use; nothing below switches.
    let local = unsafe { m.local() };
    local.tick = local.tick.wrapping_add(1);
    if local.tick.is_multiple_of(GLOBAL_TICK)
        && let Some(g) = from_global_one(m)
    {
        return Some(g);
    }
    p.take_next().or_else(|| local.worker.pop())
}

/// Whether a yield would find somebody else to run.
#[inline]
pub(crate) fn anybody_nearby(m: &Machine) -> bool {
    // SAFETY: one short use.
    let local = unsafe { m.local() };
    !local.worker.is_empty() || !m.p().peek_next().is_null() || !m.shared.inject.is_empty()
}

#[cold]
fn from_global_one(m: &Machine) -> Option<GRef> {
    loop {
        match m.shared.inject.steal() {
            Steal::Success(g) => return Some(g),
            Steal::Empty => return None,
            Steal::Retry => {}
        }
    }
}

/// Steps 4 and 5. The machine searches.
pub(crate) fn far(m: &Machine) -> Option<GRef> {
    for pass in 0..PASSES {
        if let Some(g) = steal_pass(m, pass + 1 == PASSES) {
            return Some(g);
        }
        if let Some(g) = from_global(m) {
            return Some(g);
        }
    }
    None
}

/// Step 5, for a machine that does not search as well.
pub(crate) fn from_global(m: &Machine) -> Option<GRef> {
    if m.shared.config.migrate {
        return from_global_one(m);
    }
    loop {
        // SAFETY: one short use.
        let local = unsafe { m.local() };
        match m.shared.inject.steal_batch_and_pop(&local.worker) {
            Steal::Success(g) => return Some(g),
            Steal::Empty => return None,
            Steal::Retry => {}
        }
    }
}

/// Visits all other Ps once, in a random order: a random start and a stride that is coprime to
/// their number.
fn steal_pass(m: &Machine, last: bool) -> Option<GRef> {
    let procs = &m.shared.procs;
    let n = procs.len();
    // SAFETY: one short use.
    let random = unsafe { &mut m.local().random };
    let (start, mut stride) = (random.next() as usize, random.next() as usize % n + 1);
    while gcd(stride, n) != 1 {
        stride = stride % n + 1;
    }
    let victims = (0..n).map(|i| &procs[(start + i * stride) % n]);
    victims
        .filter(|victim| victim.index != m.p().index)
        .find_map(|v| steal_from(m, v, last))
}

fn steal_from(m: &Machine, victim: &Processor, last: bool) -> Option<GRef> {
    loop {
        // SAFETY: one short use.
        let local = unsafe { m.local() };
        match victim.stealer.steal_batch_and_pop(&local.worker) {
            Steal::Success(g) => return Some(g),
            Steal::Retry => continue,
            Steal::Empty if !last => return None,
            Steal::Empty => {}
        }
        let seen = victim.peek_next();
        if seen.is_null() {
            return None;
        }
        let start = Instant::now();
        while start.elapsed() < NEXT_GRACE {
            std::hint::spin_loop();
        }
        return victim.steal_next(seen);
    }
}

/// Whether there is work anywhere: the look of a machine that has announced itself idle.
pub(crate) fn anything_anywhere(m: &Machine) -> bool {
    !m.shared.inject.is_empty() || m.shared.procs.iter().any(Processor::has_work)
}

fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}
