//! What waits for no P in particular: claims that go first, and three queues, which take turns.
//!
//! | queue             | who is there                                            | order            |
//! |-------------------|---------------------------------------------------------|------------------|
//! | `Shared::inject`  | all others: spawned or readied from outside, at the end of a slice, out of a full ring | oldest first |
//! | `Claim::Over`     | Ms that want a P for the goroutine on their stack: its slice is over | oldest first |
//! | `Shared::seedbed` | seeds that found a full ring                            | newest first while they are warm, in a look of many the oldest |
//!
//! Ms that ran without a P and want one again (`Claim::Returned`) go before all three, but not
//! twice in a row (`claims.rs`).
//!
//! An M whose local queue is empty takes a fair batch of one of them; who looks in between, every
//! 61st slice, takes one.

#![expect(unsafe_code, reason = "uses the local state of the P that its M holds")]

use super::claims::Claim;
use super::machine::{Machine, Work};
use super::processor::Processor;
use super::shared::Shared;
use crate::queue::local::HALF;
use crate::sched::place::Place;

/// Seeds that an M takes at a time when nobody else waits: the fewer, the warmer are those that
/// come of them.
const FEW: usize = 16;

/// The queue that is looked at first next time: for one, and for a batch. They are apart, so that
/// the looks for one, which alone take the oldest seed, come to each queue by themselves.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct GlobalTurn([usize; 2]);

#[derive(Clone, Copy, Debug)]
enum Queue {
    Injected,
    Claims,
    Seedbed,
}

const QUEUES: [Queue; 3] = [Queue::Injected, Queue::Claims, Queue::Seedbed];

/// How much is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Much {
    One,
    /// Half of an empty ring, at most, and of the queue what falls to one P.
    Batch,
}

/// Whether anybody waits for any P.
#[inline]
pub(crate) fn is_any(shared: &Shared) -> bool {
    is_any_runnable(shared) || shared.claims.len() != 0
}

/// The same, claims left out.
#[inline]
pub(crate) fn is_any_runnable(shared: &Shared) -> bool {
    !shared.inject.is_empty() || shared.seedbed.len() != 0
}

/// How many goroutines wait, those whose M claims a P left out.
pub(crate) fn runnable(shared: &Shared) -> usize {
    shared.inject.len() + shared.seedbed.len()
}

/// One, as a new slice.
#[inline(never)]
pub(crate) fn slice(m: &Machine) -> Option<Work> {
    begin(m, one(m))
}

/// One: a goroutine or a claim.
pub(crate) fn one(m: &Machine) -> Option<Work> {
    take(m, Much::One)
}

/// One as a new slice, and a fair share of what is there with it to the local queue, which is
/// empty. In migrate mode only one.
pub(crate) fn batch(m: &Machine) -> Option<Work> {
    let much = if m.shared().config.migrate {
        Much::One
    } else {
        Much::Batch
    };
    begin(m, take(m, much))
}

/// The slice of a claim begins when its M takes up the P.
fn begin(m: &Machine, work: Option<Work>) -> Option<Work> {
    if let Some(Work::Run(_)) = work {
        m.p().counts.ticks.add(1);
    }
    work
}

/// The M that gets the P `p`, which the caller owns, before what waits in queues.
pub(crate) fn ahead(shared: &Shared, p: &Processor) -> Option<usize> {
    if shared.claims.len_of(Claim::Returned) == 0 {
        return None;
    }
    let ticks = p.counts.ticks.get();
    // SAFETY: the caller owns the P; one short use.
    let ahead = unsafe { &mut p.local().ahead };
    if !ahead.may_pass(ticks) {
        return None;
    }
    ahead.pass(ticks);
    shared.claims.pop(Claim::Returned)
}

/// The P `p`, which the caller owns, goes to an M that looks at the queues first.
pub(crate) fn refuse(p: &Processor) {
    let ticks = p.counts.ticks.get();
    // SAFETY: the caller owns the P; one short use.
    unsafe { p.local() }.ahead.refuse(ticks);
}

/// The M that gets the P `p`, which the caller owns, where nobody but claims wants it.
pub(crate) fn any_claim(shared: &Shared, p: &Processor) -> Option<usize> {
    ahead(shared, p)
        .or_else(|| shared.claims.pop(Claim::Over))
        .or_else(|| shared.claims.pop(Claim::Returned))
}

fn take(m: &Machine, much: Much) -> Option<Work> {
    if !is_any(m.shared()) {
        return None;
    }
    if let Some(claim) = ahead(m.shared(), m.p()) {
        return Some(Work::Claim(claim));
    }
    // SAFETY: one short use.
    let first = unsafe { m.local() }.turn.0[much as usize];
    let (queue, work) = (first..first + QUEUES.len()).find_map(|queue| {
        let work = from(m, QUEUES[queue % QUEUES.len()], much)?;
        Some((queue, work))
    })?;
    // SAFETY: as above.
    let local = unsafe { m.local() };
    local.turn.0[much as usize] = (queue + 1) % QUEUES.len();
    if let Work::Run(_) = work {
        local.ahead.end();
    }
    Some(work)
}

fn from(m: &Machine, queue: Queue, much: Much) -> Option<Work> {
    match queue {
        Queue::Injected => injected(m, much).map(Work::Run),
        Queue::Claims => claim(m.shared()).map(Work::Claim),
        Queue::Seedbed => seed(m, much).map(Work::Run),
    }
}

/// Of both kinds: those that return may have gone first often enough.
fn claim(shared: &Shared) -> Option<usize> {
    let over = shared.claims.pop(Claim::Over);
    over.or_else(|| shared.claims.pop(Claim::Returned))
}

fn injected(m: &Machine, much: Much) -> Option<Place> {
    let shared = m.shared();
    let first = shared.take_injected()?;
    if much == Much::Batch {
        let others = (shared.inject.len() / shared.procs.limit()).min(HALF - 1);
        let others = (0..others).map_while(|_| shared.take_injected());
        others.for_each(|g| m.push(g));
    }
    Some(first)
}

fn seed(m: &Machine, much: Much) -> Option<Place> {
    let shared = m.shared();
    if much == Much::One {
        return shared.seedbed.oldest().map(Place::from_word);
    }
    let mut seeds = [0; HALF];
    // As many as of others, if there are any: else new ones would wait for many turns of those.
    let most = if shared.inject.is_empty() { FEW } else { HALF };
    let share = shared.seedbed.len().div_ceil(shared.procs.limit());
    let n = shared.seedbed.batch(share.min(most), &mut seeds);
    let mut seeds = seeds[..n].iter().map(|word| Place::from_word(*word));
    let first = seeds.next()?;
    seeds.for_each(|seed| m.push(seed));
    Some(first)
}
