//! The result of a goroutine, apart from its stack, so that the stack is free for reuse at once.
//!
//! The value is written to its place in the packet by the goroutine and read from there by the
//! handle. In between it passes by no other place: each copy of a large value costs the compiler
//! far more than the program (see `large.rs`). What is not the value is the same for all types.

#![expect(
    unsafe_code,
    reason = "shares a result between a goroutine and its handle"
)]

use std::any::Any;
use std::cell::UnsafeCell;
use std::mem::{ManuallyDrop, MaybeUninit};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Waker;
use std::thread::Thread;

use super::blocking::Aside;
use super::bound::Deaf;
use super::large;
use super::machine::{Machine, unsuspended};
use super::panics;
use super::park::{Cancelled, Decided, Joiner};
use super::service::deadlock::WAITING_THREADS;
use crate::fatal::no_unwind;
use crate::sched::header::G;
use crate::task::packet_state::{Detach, Finish, PacketState, Wait, Withdraw};

/// What a goroutine gave: its value or its panic.
pub(crate) type Outcome<T> = Result<T, Box<dyn Any + Send>>;

/// Who waits for a result.
#[derive(Debug)]
pub(crate) enum Sleeper {
    Goroutine(Joiner),
    /// With whether it is counted among the threads that only a wake brings back.
    Thread(Thread, bool),
    Task(Waker),
}

/// A sleeper that was taken out of its slot.
enum Woken {
    Goroutine(Decided),
    Thread(Thread, bool),
    Task(Waker),
}

impl Sleeper {
    /// The first half of a wake, before the result is published: of a goroutine's park it is the
    /// only one that matters, for threads and tasks the second is.
    #[inline]
    fn decide(self) -> Woken {
        match self {
            Sleeper::Goroutine(joiner) => Woken::Goroutine(joiner.decide()),
            Sleeper::Thread(thread, is_counted) => Woken::Thread(thread, is_counted),
            Sleeper::Task(waker) => Woken::Task(waker),
        }
    }
}

impl Woken {
    fn go(self) {
        match self {
            Woken::Goroutine(decided) => decided.go(),
            Woken::Thread(thread, is_counted) => {
                if is_counted {
                    WAITING_THREADS.fetch_sub(1, Ordering::Relaxed);
                }
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
    head: Head,
    value: UnsafeCell<MaybeUninit<T>>,
}

/// What packets of all types have.
struct Head {
    state: PacketState,
    sleeper: UnsafeCell<Option<Sleeper>>,
    /// Dropped by the packet, which looks at the tag first: mostly there is nothing to drop.
    fate: UnsafeCell<ManuallyDrop<Fate>>,
}

/// How it went: the goroutine's until the result is published, then the handle's.
enum Fate {
    /// The goroutine has not ended; or the result was taken.
    Open,
    /// The goroutine has not ended, and has company.
    Company(Arc<dyn Company>),
    /// The value is in its place.
    Value,
    Panic(Box<dyn Any + Send>),
    /// A panic that ends the process unless the handle takes it.
    Unhandled(Box<dyn Any + Send>),
}

impl Fate {
    /// What a goroutine without company, the caller, leaves for its handle when it panics.
    #[cold]
    fn of_panic(payload: Box<dyn Any + Send>) -> Fate {
        // A goroutine that never began has no panic.
        if G::current().is_some_and(|g| panics::must_be_joined(g, &*payload)) {
            Fate::Unhandled(payload)
        } else {
            Fate::Panic(payload)
        }
    }
}

/// The common cases look at the tag alone: a copy of the whole, just after the tag was stored,
/// would wait for that store.
impl Fate {
    #[inline]
    fn take_company(&mut self) -> Option<Arc<dyn Company>> {
        if !matches!(self, Fate::Company(_)) {
            return None;
        }
        match std::mem::replace(self, Fate::Open) {
            Fate::Company(company) => Some(company),
            _ => None,
        }
    }

    #[cold]
    fn take_panic(&mut self) -> Box<dyn Any + Send> {
        match std::mem::replace(self, Fate::Open) {
            Fate::Panic(payload) | Fate::Unhandled(payload) => payload,
            _ => panic!("an outcome is taken once"),
        }
    }
}

/// The handle's share of a packet.
pub(crate) struct Receiver<T>(NonNull<Packet<T>>);

// SAFETY: the state word hands the cells from one side to the other (invariants 1 and 2 of
// `packet_state.rs`); the value crosses threads, so it must be Send.
unsafe impl<T: Send> Send for Receiver<T> {}
// SAFETY: through a shared reference only the state word is read.
unsafe impl<T: Send> Sync for Receiver<T> {}

impl Head {
    #[inline]
    fn new(company: Option<Arc<dyn Company>>) -> Head {
        Head {
            state: PacketState::new(),
            sleeper: UnsafeCell::new(None),
            fate: UnsafeCell::new(ManuallyDrop::new(company.map_or(Fate::Open, Fate::Company))),
        }
    }

    /// Publishes how it went and wakes the handle: the company of the goroutine, which is still to
    /// be told, and whether the packet is to be freed.
    ///
    /// # Safety
    /// - the goroutine's share keeps the packet alive;
    /// - this is called once; with `Ok` the value is in its place.
    #[inline]
    unsafe fn finish(
        &self,
        outcome: Result<(), Box<dyn Any + Send>>,
    ) -> (Option<Arc<dyn Company>>, Finish) {
        // SAFETY: invariant 2: the fate is the goroutine's until `finish`.
        let fate = unsafe { &mut *self.fate.get() };
        let company = fate.take_company();
        // What is overwritten is `Open`.
        *fate = ManuallyDrop::new(match (&company, outcome) {
            (_, Ok(())) => Fate::Value,
            (Some(company), Err(payload)) => Fate::Panic(company.failed(payload)),
            (None, Err(payload)) => Fate::of_panic(payload),
        });
        // Not suspended in between: somebody may wait for `publish`.
        let (finish, woken) = unsuspended(|| {
            let finish = self.state.finish();
            let woken = (finish == Finish::TakeWaiter).then(|| {
                // SAFETY: invariant 1: `Taking` gives the slot to us.
                let sleeper = unsafe { (*self.sleeper.get()).take() };
                let sleeper = sleeper.expect("a registered waiter is in the slot");
                let woken = sleeper.decide();
                self.state.publish();
                woken
            });
            (finish, woken)
        });
        if let Some(woken) = woken {
            woken.go();
        }
        (company, finish)
    }
}

impl<T> Packet<T> {
    /// A packet: the handle's share, and the goroutine's as an address for [`Packet::put`] and
    /// [`Packet::finish`].
    pub(crate) fn pair(company: Option<Arc<dyn Company>>) -> (Receiver<T>, *mut u8) {
        // The value's place is not copied to the heap, as it would be from a whole packet.
        let packet: *mut Packet<T> = Box::into_raw(Box::<Packet<T>>::new_uninit()).cast();
        // SAFETY: memory for a packet.
        let head = unsafe { &raw mut (*packet).head };
        // SAFETY: in bounds of it; the value's place needs nothing.
        unsafe { head.write(Head::new(company)) };
        let raw = NonNull::new(packet).expect("a box is not null");
        (Receiver(raw), raw.as_ptr().cast())
    }

    /// Leaves the value for the handle, which is not told yet.
    ///
    /// # Safety
    /// - `packet` came from [`Packet::<T>::pair`];
    /// - this is called once at most, before [`Packet::finish`], which is called with `Ok` then.
    #[inline(always)]
    pub(crate) unsafe fn put(packet: *mut u8, value: T) {
        let packet: *mut Packet<T> = packet.cast();
        // SAFETY: the goroutine's share keeps the packet alive.
        let place = unsafe { (*packet).value.get() };
        // SAFETY: invariant 2: it is the goroutine's.
        unsafe { place.cast::<T>().write(value) };
    }

    /// Tells the handle: the value was put there, or the goroutine panicked.
    ///
    /// # Safety
    /// - `packet` came from [`Packet::<T>::pair`];
    /// - this is called once, with `Ok` after [`Packet::put`].
    pub(crate) unsafe fn finish(packet: *mut u8, outcome: Result<(), Box<dyn Any + Send>>) {
        let packet: *mut Packet<T> = packet.cast();
        // SAFETY: the goroutine's share keeps the packet alive until `finish` or `publish`.
        let head = unsafe { &(*packet).head };
        // SAFETY: passed on.
        let (company, finish) = unsafe { head.finish(outcome) };
        if finish == Finish::Free {
            // SAFETY: the handle is gone: the packet is ours alone.
            drop_result(handled(unsafe { Box::from_raw(packet) }));
        }
        if let Some(company) = company {
            company.left();
        }
    }
}

impl<T> Drop for Packet<T> {
    fn drop(&mut self) {
        let fate = self.head.fate.get_mut();
        match **fate {
            Fate::Open => {}
            // SAFETY: it is there, and nobody took it.
            Fate::Value => unsafe { self.value.get_mut().assume_init_drop() },
            // SAFETY: the packet is dropped, and so is this, once.
            _ => unsafe { ManuallyDrop::drop(fate) },
        }
    }
}

/// A packet that is about to be dropped, with what the handle has not taken out.
fn handled<T>(mut packet: Box<Packet<T>>) -> Box<Packet<T>> {
    if let Fate::Unhandled(_) = **packet.head.fate.get_mut() {
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
    #[inline]
    fn head(&self) -> &Head {
        // SAFETY: the handle's share keeps the packet alive; of a value that is being written
        // nothing is borrowed.
        unsafe { &(*self.0.as_ptr()).head }
    }

    pub(crate) fn is_done(&self) -> bool {
        self.head().state.is_done()
    }

    /// Blocks the calling thread until the result is there; at most once.
    pub(crate) fn wait_on_thread(&mut self) {
        // An M is counted as such. Another thread is taken out of the count again by whoever wakes
        // it, before it does.
        let is_counted = Machine::here().is_none();
        let sleeper = Sleeper::Thread(std::thread::current(), is_counted);
        if is_counted {
            WAITING_THREADS.fetch_add(1, Ordering::Relaxed);
        }
        if self.register(sleeper) == Wait::Done && is_counted {
            WAITING_THREADS.fetch_sub(1, Ordering::Relaxed);
        }
        let _aside = Aside::begin();
        while !self.is_done() {
            std::thread::park();
        }
    }

    /// Registers who shall be woken by the result; not while somebody is registered.
    pub(crate) fn register(&mut self, sleeper: Sleeper) -> Wait {
        let head = self.head();
        // SAFETY: invariant 1: the slot is the handle's until `wait`.
        unsafe { *head.sleeper.get() = Some(sleeper) };
        head.state.wait()
    }

    /// Takes back whom the handle has registered, if anybody: nobody is woken any more. Otherwise
    /// the result is there.
    pub(crate) fn withdraw(&mut self) -> Withdraw {
        if self.is_done() {
            return Withdraw::Done;
        }
        if self.head().state.withdraw() == Withdraw::Pending {
            // SAFETY: invariant 1: the slot is the handle's again.
            drop(unsafe { (*self.head().sleeper.get()).take() });
            return Withdraw::Pending;
        }
        // The goroutine takes the sleeper out: a few instructions, in which it is not suspended.
        while !self.is_done() {
            std::thread::yield_now();
        }
        Withdraw::Done
    }

    /// Takes the outcome of a goroutine that is done.
    #[inline(always)]
    pub(crate) fn take(&mut self) -> Outcome<T> {
        if const { large::is_large::<T>() } {
            self.take_large()
        } else {
            self.take_from_packet()
        }
    }

    #[inline(never)]
    fn take_large(&mut self) -> Outcome<T> {
        self.take_from_packet()
    }

    #[inline(always)]
    fn take_from_packet(&mut self) -> Outcome<T> {
        assert!(self.is_done(), "a result was taken before it was there");
        // SAFETY: invariant 2: done, so the fate is the handle's.
        let fate = unsafe { &mut *self.head().fate.get() };
        if !matches!(**fate, Fate::Value) {
            return Err(fate.take_panic());
        }
        *fate = ManuallyDrop::new(Fate::Open);
        // SAFETY: the packet is alive.
        let place = unsafe { (*self.0.as_ptr()).value.get() };
        // SAFETY: the value is there, and the handle's; it is taken once.
        Ok(unsafe { place.cast::<T>().read() })
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        let _ = self.withdraw();
        loop {
            match self.head().state.detach() {
                Detach::Leave => return,
                Detach::Again => std::thread::yield_now(),
                Detach::Free => break,
            }
        }
        // SAFETY: done: the goroutine does not touch the packet any more.
        drop(handled(unsafe { Box::from_raw(self.0.as_ptr()) }));
    }
}
