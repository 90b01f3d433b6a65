//! How an M without work spends its time: one in the poller, the others asleep.
//!
//! The M in the poller is on the idle list like the others, at its far end: it is woken last. When
//! something became ready it takes an idle P and runs it; when there is none it leaves the work to
//! the global queue. If that came by the network, more will follow: it leaves the turn to nobody
//! then, and sleeps. For timers it stays: whoever is woken late by a hog is so once.

use super::grant::Given;
use super::idle::Retract;
use super::machine::Machine;
use super::service::chores::Chore;
use crate::queue::local::HALF;
use crate::sys::clock::{self, NEVER};

/// How an M's rest in the poller ends.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Polled {
    Given(Given),
    /// It has taken a P itself.
    Took,
    /// All Ps are busy, and have more work now.
    Crowded,
}

/// Polls until `m`, which is on the idle list and has the turn, need not do so any more.
pub(crate) fn poll(m: &Machine) -> Polled {
    let shared = m.shared();
    let net = &shared.net;
    loop {
        net.turn.prepare();
        if let Some(given) = m.grant.take() {
            return Polled::Given(given);
        }
        let next = shared.next_timer();
        net.turn.set_until(next);
        let mut ready = net.ready();
        net.poll(shared, clock::until(next), &mut |g| ready.push(g));
        let by_network = !ready.is_empty();
        if next != NEVER {
            shared.fire_all_due(clock::now(), &mut |g| ready.push(g));
        }
        if ready.is_empty() {
            if next != NEVER && shared.next_timer() == NEVER {
                // What was waited for was stale: perhaps nobody can ever wake up.
                shared.chores.ask(Chore::Rest);
            }
            continue;
        }
        if let Retract::Search { p } = shared.idle.retract(m.index) {
            m.take_back(p);
            // More than the local queue takes well goes where others find it, the oldest first.
            let here = ready.len().min(HALF);
            ready.drain(..here).for_each(|g| m.push(g));
            ready.drain(..).for_each(|g| shared.inject.push(g.into()));
            return Polled::Took;
        }
        ready.drain(..).for_each(|g| shared.inject.push(g.into()));
        drop(ready);
        if by_network {
            return Polled::Crowded;
        }
        shared.submitted();
    }
}
