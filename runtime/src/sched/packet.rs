//! The result of a goroutine, apart from its stack, so that the stack is free for reuse at once.

#![expect(
    unsafe_code,
    reason = "shares a result between a goroutine and its handle"
)]

use std::any::Any;
use std::cell::UnsafeCell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Waker;
use std::thread::Thread;

use super::bound::Deaf;
use super::machine::unsuspended;
use super::panics;
use super::park::{Cancelled, Decided, Waiter};
use super::service::deadlock::WAITING_THREADS;
use crate::fatal::no_unwind;
use crate::sched::header::G;
use crate::task::packet_state::{Detach, Finish, PacketState, Wait, Withdraw};

/// What a goroutine gave: its value or its panic.
pub(crate) type Outcome<T> = Result<T, Box<dyn Any + Send>>;

/// Who waits for a result.
#[derive(Debug)]
pub(crate) enum Sleeper {
    Goroutine(Waiter),
    Thread(Thread),
    Task(Waker),
}

/// A sleeper that was taken out of its slot.
enum Woken {
    Goroutine(Decided),
    Thread(Thread),
    Task(Waker),
}

impl Sleeper {
    /// The first half of a wake, before the result is published: of a goroutine's park it is the
    /// only one that matters, for threads and tasks the second is.
    #[inline]
    fn decide(self) -> Woken {
        match self {
            Sleeper::Goroutine(waiter) => Woken::Goroutine(waiter.decide()),
            Sleeper::Thread(thread) => Woken::Thread(thread),
            Sleeper::Task(waker) => Woken::Task(waker),
        }
    }
}

impl Woken {
    fn go(self) {
        match self {
            Woken::Goroutine(decided) => decided.go(),
            Woken::Thread(thread) => {
                WAITING_THREADS.fetch_sub(1, Ordering::Relaxed);
                thread.unpark();
            }
            Woken::Task(waker) => {
                // The program's code, which may park here; who ends cannot be cancelled.
                let _deaf = G::current().map(Deaf::begin);
                no_unwind("the waker of a task that joins panicked", || waker.wake());
            }
        }
    }
}

/// Those among whom a goroutine runs, who must know of its end: its scope.
pub(crate) trait Company: Send + Sync {
    /// It panicked; gives the payload that its handle shall have. Before its result is there.
    fn failed(&self, payload: Box<dyn Any + Send>) -> Box<dyn Any + Send>;

    /// It has ended: nothing of its closure or result is used by it any more.
    fn left(&self);
}

/// Owned by a goroutine and its handle together: see `packet_state.rs`.
pub(crate) struct Packet<T> {
    state: PacketState,
    sleeper: UnsafeCell<Option<Sleeper>>,
    content: UnsafeCell<Option<Content<T>>>,
}

/// The goroutine's first; the handle's when it is an outcome, and published.
enum Content<T> {
    Company(Arc<dyn Company>),
    Outcome(Outcome<T>),
    /// A panic that ends the process unless the handle takes it.
    Unhandled(Box<dyn Any + Send>),
}

impl<T> Content<T> {
    /// What the goroutine, the caller, leaves for its handle. In company its panic is that of the
    /// company.
    #[inline]
    fn of(outcome: Outcome<T>, is_in_company: bool) -> Content<T> {
        match outcome {
            Ok(value) => Content::Outcome(Ok(value)),
            Err(payload) => Content::of_unwound(payload, is_in_company),
        }
    }

    #[cold]
    fn of_unwound(payload: Box<dyn Any + Send>, is_in_company: bool) -> Content<T> {
        if !is_in_company && must_be_joined(&*payload) {
            Content::Unhandled(payload)
        } else {
            Content::Outcome(Err(payload))
        }
    }
}

/// A goroutine that never began has no panic.
fn must_be_joined(payload: &(dyn Any + Send)) -> bool {
    G::current().is_some_and(|g| panics::must_be_joined(g, payload))
}

/// The handle's share of a packet.
pub(crate) struct Receiver<T>(NonNull<Packet<T>>);

// SAFETY: the state word hands the cells from one side to the other (invariants 1 and 2 of
// `packet_state.rs`); the value crosses threads, so it must be Send.
unsafe impl<T: Send> Send for Receiver<T> {}
// SAFETY: through a shared reference only the state word is read.
unsafe impl<T: Send> Sync for Receiver<T> {}

impl<T> Packet<T> {
    /// A packet: the handle's share, and the goroutine's as an address for [`Packet::finish`].
    pub(crate) fn pair(company: Option<Arc<dyn Company>>) -> (Receiver<T>, *mut u8) {
        let packet = Box::new(Packet {
            state: PacketState::new(),
            sleeper: UnsafeCell::new(None),
            content: UnsafeCell::new(company.map(Content::Company)),
        });
        let raw = NonNull::from(Box::leak(packet));
        (Receiver(raw), raw.as_ptr().cast())
    }

    /// Leaves the outcome for the handle and wakes it.
    ///
    /// # Safety
    /// - `packet` came from [`Packet::<T>::pair`];
    /// - this is called once.
    pub(crate) unsafe fn finish(packet: *mut u8, outcome: Outcome<T>) {
        let packet: *mut Packet<T> = packet.cast();
        // SAFETY: the goroutine's share keeps the packet alive until `finish` or `publish` below.
        let this = unsafe { &*packet };
        // SAFETY: invariant 2: the content is the goroutine's until `finish`.
        let company = match unsafe { (*this.content.get()).take() } {
            Some(Content::Company(company)) => Some(company),
            _ => None,
        };
        let outcome = match (&company, outcome) {
            (Some(company), Err(payload)) => Err(company.failed(payload)),
            (_, outcome) => outcome,
        };
        // SAFETY: as above.
        unsafe { *this.content.get() = Some(Content::of(outcome, company.is_some())) };
        // Not suspended in between: somebody may wait for `publish`.
        let (finish, woken) = unsuspended(|| {
            let finish = this.state.finish();
            let woken = (finish == Finish::TakeWaiter).then(|| {
                // SAFETY: invariant 1: `Taking` gives the slot to us.
                let sleeper = unsafe { (*this.sleeper.get()).take() };
                let sleeper = sleeper.expect("a registered waiter is in the slot");
                let woken = sleeper.decide();
                this.state.publish();
                woken
            });
            (finish, woken)
        });
        if let Some(woken) = woken {
            woken.go();
        }
        if finish == Finish::Free {
            // SAFETY: the handle is gone: the packet is ours alone.
            drop_result(handled(unsafe { Box::from_raw(packet) }));
        }
        if let Some(company) = company {
            company.left();
        }
    }
}

/// A packet that is about to be dropped, with what the handle has not taken out.
fn handled<T>(mut packet: Box<Packet<T>>) -> Box<Packet<T>> {
    if let Some(Content::Unhandled(_)) = packet.content.get_mut() {
        panics::never_joined();
    }
    packet
}

/// Drops the result of a detached goroutine. Its destructor may park, and be unwound from that by
/// the end of the runtime; any other panic has nobody to go to.
pub(crate) fn drop_result<T>(result: T) {
    let dropped = catch_unwind(AssertUnwindSafe(|| drop(result)));
    if let Err(payload) = dropped
        && !payload.is::<Cancelled>()
    {
        no_unwind(
            "a detached goroutine's result panicked when dropped",
            || {
                resume_unwind(payload);
            },
        );
    }
}

impl<T> Receiver<T> {
    fn packet(&self) -> &Packet<T> {
        // SAFETY: the handle's share keeps the packet alive.
        unsafe { self.0.as_ref() }
    }

    pub(crate) fn is_done(&self) -> bool {
        self.packet().state.is_done()
    }

    /// Blocks the calling thread until the result is there; at most once.
    pub(crate) fn wait_on_thread(&mut self) {
        // Out of the count again by whoever wakes this thread, before it does.
        WAITING_THREADS.fetch_add(1, Ordering::Relaxed);
        if self.register(Sleeper::Thread(std::thread::current())) == Wait::Done {
            WAITING_THREADS.fetch_sub(1, Ordering::Relaxed);
        }
        while !self.is_done() {
            std::thread::park();
        }
    }

    /// Registers who shall be woken by the result; not while somebody is registered.
    pub(crate) fn register(&mut self, sleeper: Sleeper) -> Wait {
        let packet = self.packet();
        // SAFETY: invariant 1: the slot is the handle's until `wait`.
        unsafe { *packet.sleeper.get() = Some(sleeper) };
        packet.state.wait()
    }

    /// Takes back whom the handle has registered, if anybody: nobody is woken any more. Otherwise
    /// the result is there.
    pub(crate) fn withdraw(&mut self) -> Withdraw {
        if self.is_done() {
            return Withdraw::Done;
        }
        if self.packet().state.withdraw() == Withdraw::Pending {
            // SAFETY: invariant 1: the slot is the handle's again.
            drop(unsafe { (*self.packet().sleeper.get()).take() });
            return Withdraw::Pending;
        }
        // The goroutine takes the sleeper out: a few instructions, in which it is not suspended.
        while !self.is_done() {
            std::thread::yield_now();
        }
        Withdraw::Done
    }

    /// Takes the outcome of a goroutine that is done.
    pub(crate) fn take(&mut self) -> Outcome<T> {
        assert!(self.is_done(), "a result was taken before it was there");
        // SAFETY: invariant 2: done, so the content is the handle's.
        match unsafe { (*self.packet().content.get()).take() } {
            Some(Content::Outcome(outcome)) => outcome,
            Some(Content::Unhandled(payload)) => Err(payload),
            _ => panic!("an outcome is taken once"),
        }
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        let _ = self.withdraw();
        loop {
            match self.packet().state.detach() {
                Detach::Leave => return,
                Detach::Again => std::thread::yield_now(),
                Detach::Free => break,
            }
        }
        // SAFETY: done: the goroutine does not touch the packet any more.
        drop(handled(unsafe { Box::from_raw(self.0.as_ptr()) }));
    }
}
