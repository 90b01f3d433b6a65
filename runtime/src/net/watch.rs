//! A descriptor's place among those that goroutines wait for.
//!
//! A descriptor that never makes anybody wait never gets one: the slot is taken and the descriptor
//! registered, once, when a goroutine first has to wait, with the poller of that goroutine's
//! runtime. When that runtime ends, whoever still waits is woken and registers elsewhere.
//!
//! # Invariants
//!
//! 1. The registration is dropped before the descriptor: `Inner` has it in an earlier field.

#![expect(
    unsafe_code,
    reason = "registers a descriptor that lies beside the registration"
)]

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::sync::atomic::{AtomicUsize, Ordering, fence};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::Waker;
use std::time::Instant;

use gopark_poller::{Arm, Direction, Look, Seen, Slot, Source};

use super::wait::Ready;
use crate::sched::header::{G, Wait};
use crate::sched::machine::{pin, unpin, unsuspended};
use crate::sched::netpoll::{NetWaiter, SLOTS, Task};
use crate::sched::shared::Shared;
use crate::sched::timed::{self, Wakeup};
use crate::sys::clock::{self, NEVER};
use crate::task::wait_word::{By, End};

/// See the top of this file.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    registration: Mutex<Option<Registration>>,
    slot: OnceLock<Slot<NetWaiter>>,
}

impl Drop for Watch {
    fn drop(&mut self) {
        // Short locks, which the poller takes too.
        unsuspended(|| {
            let registration = self.registration.get_mut();
            registration.unwrap_or_else(PoisonError::into_inner).take();
            self.slot.take();
        });
    }
}

#[derive(Debug)]
struct Registration {
    /// Deregisters when it is dropped.
    _source: Source<BorrowedFd<'static>>,
    /// How many wait, of the poller that it is registered with.
    waiting: Arc<AtomicUsize>,
}

impl Watch {
    /// What has happened so far, for an operation that is about to be tried: a wait that follows
    /// ends when anything has happened since. `None` before the first wait.
    #[inline]
    pub(crate) fn look(&self, direction: Direction) -> Option<Seen> {
        match self.slot.get()?.look(direction) {
            Look::Open(seen) => Some(seen),
            Look::Closed => None,
        }
    }

    /// Whether an operation would find nothing: a goroutine may wait at once.
    #[inline]
    pub(crate) fn should_wait_first(&self, direction: Direction, seen: Option<Seen>) -> bool {
        let known = seen.zip(self.slot.get());
        known.is_some_and(|(seen, slot)| slot.should_wait_first(direction, seen))
    }

    /// An operation moved less than it could have: the kernel's buffer has no more.
    #[inline]
    pub(crate) fn note_drained(&self, direction: Direction, seen: Option<Seen>) {
        if let Some((seen, slot)) = seen.zip(self.slot.get()) {
            slot.note_drained(direction, seen);
        }
    }

    /// Makes whoever waits look again: `closed` was set, or a deadline.
    pub(crate) fn disturb(&self, direction: Direction) {
        // SeqCst: pairs with that of `open`: either this finds the slot, or its opener finds what
        // was set.
        fence(Ordering::SeqCst);
        if let Some(slot) = self.slot.get() {
            let mut woken = Vec::new();
            unsuspended(|| slot.disturb(direction, &mut |waiter| woken.push(waiter)));
            woken.into_iter().for_each(NetWaiter::wake);
        }
    }

    /// Waits on goroutine `g`, which runs, for something to happen to `io` after `seen`, or until
    /// `until`, or the deadline.
    pub(crate) fn wait(
        &self,
        g: &G,
        io: &impl AsFd,
        direction: Direction,
        seen: Option<Seen>,
        until: Option<Instant>,
        deadline: u64,
    ) -> io::Result<Ready> {
        let until = until.map_or(NEVER, clock::of);
        let shared = g.machine().shared();
        let (Some(slot), Some(seen)) = (self.slot.get(), seen) else {
            self.open(io, shared)?;
            return Ok(Ready::Again);
        };
        let home = slot.home();
        if home == 0 {
            self.register(slot, io, shared)?;
            return Ok(Ready::Again);
        }
        let foreign = (home != shared.net.number())
            .then(|| self.waiting())
            .flatten();
        let _counts = (
            Counted::of(shared.net.counter()),
            foreign.as_deref().map(Counted::of),
        );
        let why = match direction {
            Direction::Read => Wait::Read,
            Direction::Write => Wait::Write,
        };
        let mut published = Published {
            slot,
            direction,
            wakeup: None,
        };
        let end = timed::wait(g, why, until.min(deadline), |wakeup| {
            let m = pin(g);
            let arm = slot.arm(direction, seen, NetWaiter::Goroutine(wakeup));
            unpin(m);
            let waits = matches!(arm, Arm::Waiting);
            published.wakeup = waits.then_some(wakeup);
            waits
        });
        if end == End::Taken(By::Event) {
            published.wakeup = None;
        }
        drop(published);
        if end == End::Taken(By::Time) && until <= deadline {
            return Ok(Ready::TimedOut);
        }
        Ok(Ready::Again)
    }

    /// Leaves a task's waker for whatever happens to `io` after `seen`: false if the task shall try
    /// again at once. One waker of a task is kept.
    pub(crate) fn leave_waker(
        &self,
        io: &impl AsFd,
        direction: Direction,
        seen: Option<Seen>,
        waker: &Waker,
    ) -> io::Result<bool> {
        let Some((slot, seen)) = self
            .slot
            .get()
            .zip(seen)
            .filter(|(slot, _)| slot.home() != 0)
        else {
            let Some(g) = G::current() else {
                return Err(io::Error::new(
                    io::ErrorKind::Unsupported,
                    "the first wait for a descriptor must be a goroutine's, whose runtime polls",
                ));
            };
            self.open(io, g.machine().shared())?;
            return Ok(false);
        };
        let Some(waiting) = self.waiting() else {
            return Ok(false);
        };
        let is_own = |w: &NetWaiter| matches!(w, NetWaiter::Task(task) if task.is_of(waker));
        let task = NetWaiter::Task(Task::new(waker.clone(), &waiting));
        // Dropping wakers is the program's code, and waits until no lock is held.
        let old = unsuspended(|| slot.retract(direction, is_own));
        let arm = unsuspended(|| slot.arm(direction, seen, task));
        drop(old);
        Ok(matches!(arm, Arm::Waiting))
    }

    /// Takes a slot and registers; the operation is then tried again.
    #[cold]
    fn open(&self, io: &impl AsFd, shared: &Shared) -> io::Result<()> {
        let full = |full| io::Error::new(io::ErrorKind::OutOfMemory, full);
        if self.slot.get().is_none() {
            let slot = unsuspended(|| SLOTS.open()).map_err(full)?;
            // Somebody else may have been faster: that slot is as good.
            let _ = self.slot.set(slot);
        }
        // SeqCst: pairs with that of `disturb`.
        fence(Ordering::SeqCst);
        let slot = self.slot.get().expect("set above");
        self.register(slot, io, shared)
    }

    #[cold]
    fn register(&self, slot: &Slot<NetWaiter>, io: &impl AsFd, shared: &Shared) -> io::Result<()> {
        // Held over a system call, without being suspended in it.
        unsuspended(|| {
            let mut registration = self
                .registration
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            if slot.home() != 0 {
                return Ok(());
            }
            // That with a poller whose runtime has ended.
            registration.take();
            // SAFETY: the descriptor is open until after the registration is dropped, by the
            // invariant of this file.
            let fd = unsafe { BorrowedFd::borrow_raw(io.as_fd().as_raw_fd()) };
            *registration = Some(Registration {
                _source: shared.net.poller.register(fd, slot.key())?,
                waiting: Arc::clone(shared.net.counter()),
            });
            slot.set_home(shared.net.number());
            Ok(())
        })
    }

    fn waiting(&self) -> Option<Arc<AtomicUsize>> {
        unsuspended(|| {
            let registration = self
                .registration
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            registration.as_ref().map(|it| Arc::clone(&it.waiting))
        })
    }
}

/// One of those who wait, until it is dropped.
struct Counted<'a>(&'a AtomicUsize);

impl Counted<'_> {
    fn of(waiting: &AtomicUsize) -> Counted<'_> {
        waiting.fetch_add(1, Ordering::Relaxed);
        Counted(waiting)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A wakeup that a slot has; taken back when the wait is over, also when it unwinds.
struct Published<'a> {
    slot: &'a Slot<NetWaiter>,
    direction: Direction,
    wakeup: Option<Wakeup>,
}

impl Drop for Published<'_> {
    fn drop(&mut self) {
        let Some(own) = self.wakeup else {
            return;
        };
        let is_own = |waiter: &NetWaiter| matches!(waiter, NetWaiter::Goroutine(w) if *w == own);
        // Gone if somebody took it at the last moment: its ticket is void.
        unsuspended(|| drop(self.slot.retract(self.direction, is_own)));
    }
}
