//! Where the next goroutine comes from, in order.
//!
//! | step | source                                                                            |
//! |------|-----------------------------------------------------------------------------------|
//! | 1    | the slice is over: what was next goes to the tail, one from the global queue      |
//! | 2    | every 61st slice: one from the global queue, so that it cannot starve             |
//! | 3    | `runnext`: readied or spawned last, its data still in the cache; the slice goes on |
//! | 4    | the local queue, FIFO; a new slice                                                |
//! | 4a   | for one that yields, when that is empty: one from the global queue, before itself |
//! | 5    | half of another P's queue; on the last of 4 passes its `runnext`, after a grace   |
//! | 6    | a fair batch of the global queue                                                  |
//!
//! Before, in the machine's loop, what `beat.rs` finds due is put at the tail of the local queue.
//!
//! The global queue is three that take turns: `global.rs`.
//!
//! Steps 1 to 4 also run on the stack of the goroutine that leaves, which then switches straight to
//! the next one; the rest belongs to the machine's loop.

#![expect(unsafe_code, reason = "uses the local state of the P that its M holds")]

use std::time::{Duration, Instant};

use super::global;
use super::machine::{Machine, Standing, Work};
use super::processor::Processor;
use super::shared::Shared;
use crate::sched::hold::Seen;
use crate::sched::place::Place;

const GLOBAL_TICK: u32 = 61;
const PASSES: usize = 4;
/// Goroutines in a queue whose stacks the first-level cache may still hold.
const MANY: u32 = 32;
/// A goroutine in `runnext` is about to be run by its own M: a thief gives it this long.
const NEXT_GRACE: Duration = Duration::from_micros(3);

/// Steps 1 to 4.
#[inline(always)]
pub(crate) fn nearby(m: &Machine) -> Option<Work> {
    let p = m.p();
    if !p.hold.is_held(m.token()) {
        return slice_over(m);
    }
    in_slice(m, p)
}

/// Steps 2 to 4, from the P `p` of `m`.
#[inline(always)]
pub(crate) fn in_slice(m: &Machine, p: &Processor) -> Option<Work> {
    if (p.counts.ticks.get() as u32).is_multiple_of(GLOBAL_TICK)
        && let Some(work) = global::slice(m)
    {
        return Some(work);
    }
    if let Some(next) = p.take_next() {
        return Some(Work::Run(next));
    }
    let oldest = p.pop()?;
    if p.queue.ahead(MANY).is_some() {
        foresee(p);
    }
    p.counts.ticks.add(1);
    Some(Work::Run(oldest))
}

/// Of many that wait, those whose turn comes last were here last: nothing of them is in the near
/// caches. While one runs, the frames of the next one come, and the header of one after it.
fn foresee(p: &Processor) {
    if let Some(next) = p.queue.ahead(0) {
        Place::from_word(next).prefetch_frames();
    }
    if let Some(later) = p.queue.ahead(2) {
        Place::from_word(later).prefetch();
    }
}

/// Step 1. Somebody wants the P, or wants its slice to end.
#[cold]
fn slice_over(m: &Machine) -> Option<Work> {
    let standing = m.standing();
    assert!(
        matches!(standing, Standing::Held | Standing::Preempted),
        "a pinned M lost its P: {standing:?}"
    );
    let p = m.p();
    p.counts.ticks.add(1);
    if is_excess(m) {
        // The loop looks again. If the limit is raised before it does, it comes back here.
        p.hold.preempt();
        return None;
    }
    if let Some(next) = p.take_next() {
        m.push(next);
    }
    global::one(m).or_else(|| p.pop().map(Work::Run))
}

/// Whether somebody else waits for the P of `m`, or for any.
#[inline]
pub(crate) fn anybody_nearby(m: &Machine) -> bool {
    let p = m.p();
    p.has_work() || global::is_any(m.shared())
}

/// One from the global queue, as a new slice: for one that yields and found nobody nearby.
#[cold]
pub(crate) fn before_yielder(m: &Machine) -> Option<Work> {
    if is_excess(m) {
        return None;
    }
    global::slice(m)
}

/// Whether the P of `m` is above the limit: the loop lays it down.
pub(crate) fn is_excess(m: &Machine) -> bool {
    m.p().index >= m.shared().procs.limit()
}

/// Steps 5 and 6. The machine searches.
pub(crate) fn far(m: &Machine) -> Option<Work> {
    // The limit went down and up again since the nearby steps: thieves have an empty queue.
    if let Some(g) = m.p().pop() {
        return Some(Work::Run(g));
    }
    for pass in 0..PASSES {
        if let Some(g) = steal_pass(m, pass + 1 == PASSES) {
            m.p().counts.ticks.add(1);
            return Some(Work::Run(g));
        }
        if let Some(work) = global::batch(m) {
            return Some(work);
        }
    }
    None
}

/// Visits all other Ps once, in a random order: a random start and a stride that is coprime to
/// their number.
fn steal_pass(m: &Machine, last: bool) -> Option<Place> {
    let procs = &m.shared().procs;
    // Those above the limit too that are not retired: an M that runs for long may have work there.
    let n = procs.reach();
    // SAFETY: one short use.
    let random = unsafe { &mut m.local().random };
    let (start, stride) = (random.next() as usize, random.next() as usize);
    walk(n, start, stride)
        .map(|p| procs.get(p))
        .filter(|victim| victim.index != m.p().index)
        .find_map(|victim| steal_from(m, victim, last))
}

/// Every number below `n` once, in an order that the other two choose.
fn walk(n: usize, start: usize, stride: usize) -> impl Iterator<Item = usize> {
    let mut stride = stride % n + 1;
    while gcd(stride, n) != 1 {
        stride = stride % n + 1;
    }
    (0..n).map(move |i| (start % n + i * stride) % n)
}

fn steal_from(m: &Machine, victim: &Processor, last: bool) -> Option<Place> {
    let own = m.p();
    if let Some((word, n)) = victim.queue.steal_into(&own.queue) {
        own.counts.steals.add(n as u64);
        return Some(Place::from_word(word));
    }
    let seen = victim.queue.peek_next();
    if !last || seen == 0 || !is_left_behind(m.shared(), victim, seen) {
        return None;
    }
    let stolen = victim.queue.steal_next(seen).map(Place::from_word)?;
    own.counts.steals.add(1);
    Some(stolen)
}

/// Whether `next` is still next after the whole grace, and the M of its P does not switch. If that
/// switches, haste is noted.
fn is_left_behind(shared: &Shared, p: &Processor, next: usize) -> bool {
    let Seen::Running { m, .. } = p.hold.seen() else {
        return true;
    };
    let beat = &shared.machines.get(m).beat;
    let before = beat.count();
    let start = Instant::now();
    while start.elapsed() < NEXT_GRACE {
        if beat.count() != before {
            p.haste.note(m);
            // sysmon watches over it from now on.
            shared.monitor.haste();
            return false;
        }
        std::hint::spin_loop();
    }
    p.queue.peek_next() == next
}

/// Whether there is work anywhere for an M without: the look of a machine that has announced itself
/// idle.
pub(crate) fn anything_anywhere(shared: &Shared) -> bool {
    global::is_any(shared) || shared.procs.iter().any(Processor::wants_help)
}

fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::walk;

    #[test]
    fn a_walk_visits_everybody_once() {
        for n in 1..65 {
            for (start, stride) in [(0, 0), (1, 1), (7, n), (n, 6), (12345, 67890)] {
                let mut seen: Vec<_> = walk(n, start, stride).collect();
                seen.sort_unstable();
                assert_eq!(seen, (0..n).collect::<Vec<_>>(), "{n} {start} {stride}");
            }
        }
    }

    #[test]
    fn walks_differ() {
        let one: Vec<_> = walk(8, 0, 2).collect();
        let two: Vec<_> = walk(8, 0, 4).collect();
        assert_ne!(one, two);
    }
}
