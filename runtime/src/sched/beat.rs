//! What a running M sees to now and then: timers of its P, and the network.
//!
//! Reading the clock at every switch would cost as much as the switch. So an M counts switches
//! down, and looks at the clock when the count is over; how many they are follows from how long the
//! last ones took: the looks are about 50 µs apart, or one switch if that takes longer.
//!
//! The look is the business of the M's loop: it queues goroutines and calls wakers, which is not to
//! happen on the stack of a goroutine that is about to leave.

use std::cell::Cell;
use std::sync::atomic::{AtomicU32, Ordering};

use super::global;
use super::machine::Machine;
use super::processor::Processor;
use super::shared::Shared;
use crate::sys::clock;

/// Time between two looks, roughly.
const EVERY_NANOS: u64 = 50_000;
/// Switches between two looks, at most: as often as Go's global queue is looked at.
const SWITCHES_MAX: u32 = 61;
/// Between two looks at the network by Ms that run; with much to do already, the second.
const NETWORK_EVERY_NANOS: u64 = 200_000;
const NETWORK_EVERY_BUSY_NANOS: u64 = 1_000_000;
/// Goroutines in the local queue, more than which is much: what comes then would push the older
/// ones out to the global queue, where they wait longer.
const MUCH: usize = 64;
/// After which another M must look, because this one keeps its goroutine.
const OVERDUE_NANOS: u64 = 1_000_000;

/// The count of one M.
#[derive(Debug)]
pub(crate) struct Beat {
    /// Switches, but for those at which the count was over. Written by the M; others look how fast
    /// it grows.
    count: AtomicU32,
    /// The count is over when it is this.
    due: Cell<u32>,
    /// The last count, and when it began.
    switches: Cell<u32>,
    since: Cell<u64>,
    /// Migrate and contract mode: the count is always over, so that the loop of the M decides who
    /// runs.
    is_always_due: Cell<bool>,
}

impl Beat {
    pub(crate) const fn new() -> Beat {
        Beat {
            count: AtomicU32::new(0),
            due: Cell::new(0),
            switches: Cell::new(1),
            since: Cell::new(0),
            is_always_due: Cell::new(false),
        }
    }

    /// An M of a runtime begins.
    pub(crate) fn start(&self, is_always_due: bool) {
        self.is_always_due.set(is_always_due);
        self.hurry();
    }

    /// One more switch: whether the count is over.
    #[inline(always)]
    pub(crate) fn is_due(&self) -> bool {
        let count = self.count();
        if count == self.due.get() {
            return true;
        }
        self.count.store(count.wrapping_add(1), Ordering::Relaxed);
        false
    }

    /// The next switch looks: there is a new P, with timers of its own.
    pub(crate) fn hurry(&self) {
        self.set_left(0);
    }

    /// See the field; it wraps.
    #[inline(always)]
    pub(crate) fn count(&self) -> u32 {
        self.count.load(Ordering::Relaxed)
    }

    /// A new count begins.
    fn begin(&self, now: u64) {
        let each = now.saturating_sub(self.since.get()) / u64::from(self.switches.get());
        let switches = EVERY_NANOS / each.max(1);
        let switches = switches.clamp(1, SWITCHES_MAX.into()) as u32;
        self.since.set(now);
        self.switches.set(switches);
        // Of one switch after a look, the next one looks.
        self.set_left(switches - 1);
    }

    fn set_left(&self, left: u32) {
        let left = if self.is_always_due.get() { 0 } else { left };
        self.due.set(self.count().wrapping_add(left));
    }
}

/// Whether somebody waits for time or for the network, in vain while no M comes to its loop with
/// this P.
#[cold]
pub(crate) fn is_overdue(shared: &Shared, p: &Processor) -> bool {
    let now = clock::now();
    p.timers.next() <= now
        || shared.is_unattended() && now.saturating_sub(shared.net.polled_at()) >= OVERDUE_NANOS
}

/// In the loop of an M that holds a P: looks, if the count is over.
#[inline]
pub(crate) fn look(m: &Machine) {
    if m.beat.count() == m.beat.due.get() {
        look_now(m);
    }
}

fn look_now(m: &Machine) {
    let shared = m.shared();
    let timers = &m.p().timers;
    let waiting = shared.net.waiting() != 0;
    if timers.next() == clock::NEVER && !waiting {
        // Nobody to be late for; the clock is read again when there is.
        m.beat.since.set(0);
        m.beat.switches.set(1);
        m.beat.set_left(SWITCHES_MAX);
        return;
    }
    let now = clock::now();
    m.beat.begin(now);
    shared.fire_due(timers, now, &mut |g| m.push(g));
    let since = now.saturating_sub(shared.net.polled_at());
    // Who came before waits on the global queue, until the local one is empty: not behind these.
    let is_next = m.p().queue.len() <= MUCH && !global::is_any_runnable(shared);
    if waiting && is_next && since >= NETWORK_EVERY_NANOS {
        shared.net.look(shared, &mut |g| m.push(g));
    } else if waiting && since >= NETWORK_EVERY_BUSY_NANOS {
        shared
            .net
            .look(shared, &mut |g| shared.inject.push(g.into()));
    }
    if m.p().wants_help() && shared.procs.limit() > 1 {
        shared.submitted();
    }
}
