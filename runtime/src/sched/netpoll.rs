//! The network as the scheduler sees it: who waits for it, and what an event does.
//!
//! A descriptor has a slot in a table of the process (`gopark_poller::Slots`), and is registered
//! with the poller of the runtime whose goroutine first waited for it. Whoever has the turn
//! (`turn.rs`) asks the poller; the events find their slots by key, and the slots give out those
//! who wait.

use std::io;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::Duration;

use gopark_poller::{Events, Poller, Slots};

use super::park;
use super::shared::Shared;
use super::timed::Wakeup;
use super::turn::Turn;
use crate::fatal::no_unwind;
use crate::sched::header::GRef;
use crate::sys::{clock, thread};

/// The slots of all descriptors of the process that were ever waited for.
pub(crate) static SLOTS: Slots<NetWaiter> = Slots::new();

/// Who waits for a descriptor.
#[derive(Debug)]
pub(crate) enum NetWaiter {
    Goroutine(Wakeup),
    Task(Task),
}

/// A task that waits, counted as such until it is woken or gone.
#[derive(Debug)]
pub(crate) struct Task {
    waker: Waker,
    waiting: Arc<AtomicUsize>,
}

impl Task {
    pub(crate) fn new(waker: Waker, waiting: &Arc<AtomicUsize>) -> Task {
        waiting.fetch_add(1, Ordering::Relaxed);
        Task {
            waker,
            waiting: Arc::clone(waiting),
        }
    }

    pub(crate) fn is_of(&self, waker: &Waker) -> bool {
        self.waker.will_wake(waker)
    }

    fn wake(self) {
        self.waker.wake_by_ref();
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

impl NetWaiter {
    /// Wakes whoever it is, from anywhere.
    pub(crate) fn wake(self) {
        match self {
            NetWaiter::Goroutine(wakeup) => wakeup.ready(),
            NetWaiter::Task(task) => task.wake(),
        }
    }
}

/// The poller of one runtime.
#[derive(Debug)]
pub(crate) struct Netpoll {
    pub(crate) turn: Turn,
    pub(crate) poller: Poller,
    /// For whoever has the turn.
    batch: Mutex<Batch>,
    ready: Mutex<Vec<GRef>>,
    /// Goroutines that wait for the network, or are about to; tasks too.
    waiting: Arc<AtomicUsize>,
    polled_at: AtomicU64,
}

#[derive(Debug, Default)]
struct Batch {
    events: Events,
    tasks: Vec<Task>,
}

impl Netpoll {
    pub(crate) fn new() -> io::Result<Netpoll> {
        Ok(Netpoll {
            turn: Turn::new(),
            poller: Poller::new()?,
            batch: Mutex::new(Batch::default()),
            ready: Mutex::new(Vec::new()),
            waiting: Arc::default(),
            polled_at: AtomicU64::new(0),
        })
    }

    /// How many wait.
    #[inline]
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    /// For those who wait to count themselves, which may outlive the poller.
    pub(crate) fn counter(&self) -> &Arc<AtomicUsize> {
        &self.waiting
    }

    /// When the system was asked last.
    pub(crate) fn polled_at(&self) -> u64 {
        self.polled_at.load(Ordering::Relaxed)
    }

    /// Breaks the wait of whoever polls.
    pub(crate) fn break_wait(&self) {
        // The descriptor is our own; a full counter is a note as well.
        let _ = self.poller.notify();
    }

    /// This runtime ends: whoever still waits here, goroutines of other runtimes, goes elsewhere.
    pub(crate) fn end(&self) {
        SLOTS.evict(self.number(), &mut NetWaiter::wake);
    }

    /// What tells this poller from others.
    pub(crate) fn number(&self) -> usize {
        std::ptr::from_ref(self).addr()
    }

    /// Asks without waiting, if nobody else does. For an M outside of any goroutine, and for the
    /// chores' thread.
    pub(crate) fn look(&self, shared: &Shared, ready: &mut impl FnMut(GRef)) {
        if !self.turn.begin_short() {
            return;
        }
        self.poll(shared, Some(Duration::ZERO), ready);
        if self.turn.end_short() {
            shared.submitted();
        }
    }

    /// Asks the system, for whoever has the turn, and gives out the goroutines that became ready.
    pub(crate) fn poll(
        &self,
        shared: &Shared,
        timeout: Option<Duration>,
        ready: &mut impl FnMut(GRef),
    ) {
        let mut batch = self.batch();
        let Batch { events, tasks } = &mut *batch;
        // An error is one of the arguments' that does not occur; without events there is nothing
        // to do.
        let _ = thread::precisely(timeout, || self.poller.wait(events, timeout));
        self.polled_at.store(clock::now(), Ordering::Relaxed);
        for (key, readiness) in events.iter() {
            SLOTS.deliver(key, readiness, &mut |waiter| match waiter {
                NetWaiter::Goroutine(wakeup) => {
                    if let Some(g) = wakeup.wake() {
                        hand_out(shared, g, ready);
                    }
                }
                NetWaiter::Task(task) => tasks.push(task),
            });
        }
        for task in tasks.drain(..) {
            no_unwind("a waker panicked", || task.wake());
        }
    }

    /// An empty list for what becomes ready; for the holder of a `Long` turn.
    pub(crate) fn ready(&self) -> MutexGuard<'_, Vec<GRef>> {
        self.ready.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn batch(&self) -> MutexGuard<'_, Batch> {
        self.batch.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A goroutine of another runtime goes to its own queue.
fn hand_out(shared: &Shared, g: GRef, ready: &mut impl FnMut(GRef)) {
    let home = g.get().shared_ptr();
    if std::ptr::eq(home, shared) {
        ready(g);
    } else {
        park::enqueue_from_outside(home, g);
    }
}
