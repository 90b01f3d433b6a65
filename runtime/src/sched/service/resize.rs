//! Changing the number of Ps while goroutines run.
//!
//! Up: make the new Ps, then list them as idle. Down: lower the limit; idle Ps above it are retired
//! at once, the others when their M comes to its loop, where it moves the queue to the global one.
//! An M that does not come is treated as one whose slice is over. One change at a time.
//!
//! The one P of a runtime that has no other is used without locked instructions
//! (`queue/local.rs`, invariant 4). Only its M may change that, between two operations: which is
//! the caller, a goroutine on that P.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::sched::blocking::Interrupted;
use crate::sched::hand_off;
use crate::sched::header::G;
use crate::sched::launch;
use crate::sched::machine::{Machine, Standing, pin, unpin, unsuspended};
use crate::sched::park;
use crate::sched::processor::Processor;
use crate::sched::roster::PROCS_MAX;
use crate::sched::shared::Shared;
use crate::sys::thread;

/// How long a change waits for goroutines that do not give way.
const WAIT_MAX: Duration = Duration::from_millis(100);

/// Sets the number of Ps of the runtime of `g`, which runs: the number before.
///
/// # Panics
/// Above [`PROCS_MAX`], naming both.
#[track_caller]
pub(crate) fn set_procs(g: &G, procs: usize) -> usize {
    assert!(
        procs <= PROCS_MAX,
        "gopark::set_procs: procs of {procs} is outside 1..={PROCS_MAX}"
    );
    let shared = g.machine().shared();
    if procs == 0 {
        return shared.procs.limit();
    }
    shared.procs_chosen.store(true, Ordering::Relaxed);
    change(g, shared, procs)
}

fn change(g: &G, shared: &Shared, procs: usize) -> usize {
    let _back = Interrupted::of(g);
    let _turn = Turn::take(g, shared);
    let before = shared.procs.limit();
    if procs != before {
        resize(g, shared, procs);
    }
    before
}

/// The right to change the number; given back also when the goroutine is unwound while it waits.
struct Turn<'a>(&'a Shared);

impl<'a> Turn<'a> {
    fn take(g: &G, shared: &'a Shared) -> Turn<'a> {
        // Acquire: pairs with the Release below.
        while shared.resizing.swap(true, Ordering::Acquire) {
            wait_a_little(g);
        }
        Turn(shared)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        // Release: pairs with the Acquire above.
        self.0.resizing.store(false, Ordering::Release);
    }
}

fn resize(g: &G, shared: &Shared, procs: usize) {
    if let Err(error) = shared.procs.grow(procs) {
        panic!("gopark::set_procs: {error}");
    }
    with_p(g, |m| {
        if procs > 1 {
            // If P0 was alone there is no other P, and this is its M.
            shared.proc(0).queue.set_alone(false);
        }
        // The limit that Ms look at never refuses a P that the lists still give away: an M would
        // take it up and lay it down until the lists know.
        if procs < shared.procs.limit() {
            shared.idle.set_limit(procs);
            shared.procs.set_limit(procs);
        } else {
            shared.procs.set_limit(procs);
            shared.idle.set_limit(procs);
        }
        for p in shared.procs.iter().skip(procs) {
            if shared.idle.is_retired(p.index) {
                // It was idle, with work that nobody had come for.
                hand_off::empty(shared, p);
            } else {
                p.hold.preempt();
            }
        }
        debug_assert!(m.has_p());
        shared.submitted();
        shared.monitor.poke();
    });
    let start = Instant::now();
    while unsuspended(|| shared.idle.excess()) > 0 && start.elapsed() < WAIT_MAX {
        wait_a_little(g);
    }
    let retired = |p: &Processor| p.index < procs || !p.has_work();
    if unsuspended(|| shared.idle.excess()) == 0 && shared.procs.iter().all(retired) {
        shared.procs.forget_retired();
    }
    if procs == 1 {
        with_p(g, |m| {
            // No P but this one is held, so no M can be stealing.
            if m.p().index == 0 && shared.idle.excess() == 0 {
                m.p().queue.set_alone(true);
            }
        });
    }
}

/// Runs `f` while `g` holds a P and keeps it.
fn with_p(g: &G, f: impl FnOnce(&Machine)) {
    let m = pin(g);
    let standing = m.standing();
    if standing == Standing::Lost {
        hand_off::claim(m);
    }
    f(m);
    if standing == Standing::Preempted {
        m.p().hold.preempt();
    }
    unpin(m);
}

fn wait_a_little(g: &G) {
    park::yield_now(g);
    std::thread::yield_now();
}

/// Follows the CPUs that the machine allows, for runtimes whose Ps were not chosen.
pub(crate) fn follow(shared: &Arc<Shared>) {
    if !shared.config.procs_follow || shared.procs_chosen.load(Ordering::Relaxed) {
        return;
    }
    let procs = thread::cpus().min(PROCS_MAX);
    if procs == shared.procs.limit() {
        return;
    }
    let shared_too = Arc::clone(shared);
    // Without a stack for it now there will be one in a second.
    let _ = launch::service(shared, move |g| {
        change(g, &shared_too, procs);
    });
}
