//! A lock for many readers or one writer.

#![expect(unsafe_code, reason = "implements lock_api's traits")]

use std::sync::atomic::AtomicU32;
use std::time::{Duration, Instant};

use lock_api::RawMutex as _;

use super::lot;
use super::mutex::RawMutex;
use super::queue::{self, Entry, Outcome, Place, Queue, Waits};
use super::rwlock_state::{Enter, Leave, RwLockState};
use crate::sched::header::Wait;
use crate::sys::clock::{self, NEVER};
use crate::wait::lock::Lock;

/// Many readers or one writer: std's, for goroutines and plain threads at once, and without poison.
///
/// A writer that waits keeps new readers out; readers that wait for a writer run before the next.
/// So whoever reads must not read again meanwhile: with a writer between, that waits for ever.
/// Guards may be sent to other threads. Besides std's methods there are those of
/// [`lock_api::RwLock`], with time limits (`try_read_for`, `try_write_until`), mapped guards and
/// [`downgrade`](lock_api::RwLockWriteGuard::downgrade). The lock has 8 bytes beside the value.
pub type RwLock<T> = lock_api::RwLock<RawRwLock, T>;

/// A [`RwLock`] that is locked for reading; unlocks when it is dropped.
pub type RwLockReadGuard<'a, T> = lock_api::RwLockReadGuard<'a, RawRwLock, T>;

/// A [`RwLock`] that is locked for writing; unlocks when it is dropped.
pub type RwLockWriteGuard<'a, T> = lock_api::RwLockWriteGuard<'a, RawRwLock, T>;

/// A part of the value of a [`RwLock`] that is locked for reading.
pub type MappedRwLockReadGuard<'a, T> = lock_api::MappedRwLockReadGuard<'a, RawRwLock, T>;

/// A part of the value of a [`RwLock`] that is locked for writing.
pub type MappedRwLockWriteGuard<'a, T> = lock_api::MappedRwLockWriteGuard<'a, RawRwLock, T>;

/// The lock of a [`RwLock`], without a value.
#[derive(Debug)]
pub struct RawRwLock {
    /// Writers among themselves.
    writers: RawMutex,
    state: RwLockState,
}

const _: () = assert!(size_of::<RawRwLock>() == 8, "an RwLock is two words");

const READ: u64 = 0;
const WRITE: u64 = 1;
const ENTERED: u32 = 1;

impl RawRwLock {
    const fn new() -> RawRwLock {
        RawRwLock {
            writers: RawMutex::new(),
            state: RwLockState::of(AtomicU32::new(0)),
        }
    }

    /// Of the word: the mutex of the writers has its own.
    fn addr(&self) -> usize {
        lot::addr(&self.state)
    }

    fn read_until(&self, until: u64) -> bool {
        self.state.read() == Enter::Entered || self.read_slow(until)
    }

    #[cold]
    fn read_slow(&self, until: u64) -> bool {
        if until != NEVER && clock::now() >= until {
            return false;
        }
        let entry = Entry::new(self.addr(), READ);
        queue::wait(&Reader(self), entry, until) != Outcome::TimedOut
    }

    fn unread(&self) {
        if self.state.unread() == Leave::Wake {
            self.wake_writer();
        }
    }

    #[cold]
    fn wake_writer(&self) {
        let addr = self.addr();
        let mut queue = lot::bucket(addr).lock();
        let is_writer = |entry: &Entry| entry.addr == addr && entry.asks.get() == WRITE;
        let woken = self
            .state
            .drained()
            .then(|| queue.answer_first(is_writer, |_| ENTERED));
        drop(queue);
        if let Some(woken) = woken.flatten() {
            woken.go();
        }
    }

    fn write_until(&self, until: u64) -> bool {
        if !self.writers.try_lock() && !self.writers.lock_slow(until, Wait::WriteLock) {
            return false;
        }
        if self.state.write() == Enter::Entered {
            return true;
        }
        let pending = Pending(self);
        let has_entered = self.drain(until);
        if has_entered {
            std::mem::forget(pending);
        }
        has_entered
    }

    #[cold]
    fn drain(&self, until: u64) -> bool {
        if until != NEVER && clock::now() >= until {
            return false;
        }
        let entry = Entry::new(self.addr(), WRITE);
        queue::wait(&Writer(self), entry, until) != Outcome::TimedOut
    }

    fn unwrite(&self) {
        if self.state.unwrite() == Leave::Wake {
            self.wake_readers();
        }
        self.writers.unlock_now();
    }

    #[cold]
    fn wake_readers(&self) {
        let addr = self.addr();
        let is_reader = |entry: &Entry| entry.addr == addr && entry.asks.get() == READ;
        queue::wake_all(lot::bucket(addr), |queue| {
            let woken = queue.answer_first(is_reader, |_| {
                self.state.let_in();
                ENTERED
            });
            if woken.is_none() {
                self.state.open();
            }
            woken
        });
    }
}

/// A writer that does not have the lock yet; dropped, it no longer wants it.
struct Pending<'a>(&'a RawRwLock);

impl Drop for Pending<'_> {
    fn drop(&mut self) {
        self.0.unwrite();
    }
}

struct Reader<'a>(&'a RawRwLock);

impl Waits for Reader<'_> {
    type Synced = Queue;

    fn lock(&self) -> &Lock<Queue> {
        lot::bucket(self.0.addr())
    }

    fn why(&self) -> Wait {
        Wait::ReadLock
    }

    fn begin(&self, _: &mut Queue, _: &Entry) -> Place {
        match self.0.state.read_or_queue() {
            Enter::Entered => Place::Nowhere,
            Enter::Wait => Place::Back,
        }
    }

    fn pass_on(&self, _: u32) {
        self.0.unread();
    }
}

struct Writer<'a>(&'a RawRwLock);

impl Waits for Writer<'_> {
    type Synced = Queue;

    fn lock(&self) -> &Lock<Queue> {
        lot::bucket(self.0.addr())
    }

    fn why(&self) -> Wait {
        Wait::WriteLock
    }

    fn begin(&self, _: &mut Queue, _: &Entry) -> Place {
        match self.0.state.drain() {
            Enter::Entered => Place::Nowhere,
            Enter::Wait => Place::Back,
        }
    }

    fn pass_on(&self, _: u32) {
        // `Pending` unlocks.
    }
}

// SAFETY: one writer holds the mutex, and enters without readers; readers enter without a writer.
unsafe impl lock_api::RawRwLock for RawRwLock {
    const INIT: RawRwLock = RawRwLock::new();

    type GuardMarker = lock_api::GuardSend;

    #[inline]
    fn lock_shared(&self) {
        if self.state.read() == Enter::Wait {
            self.read_slow(NEVER);
        }
    }

    #[inline]
    fn try_lock_shared(&self) -> bool {
        self.state.read() == Enter::Entered
    }

    #[inline]
    unsafe fn unlock_shared(&self) {
        self.unread();
    }

    #[inline]
    fn lock_exclusive(&self) {
        self.write_until(NEVER);
    }

    fn try_lock_exclusive(&self) -> bool {
        if !self.writers.try_lock() {
            return false;
        }
        let has_entered = self.state.try_write();
        if !has_entered {
            self.writers.unlock_now();
        }
        has_entered
    }

    #[inline]
    unsafe fn unlock_exclusive(&self) {
        self.unwrite();
    }

    fn is_locked(&self) -> bool {
        self.state.is_locked()
    }

    fn is_locked_exclusive(&self) -> bool {
        self.state.is_writing()
    }
}

// SAFETY: a writer that counts itself as a reader before it lets others in is a reader.
unsafe impl lock_api::RawRwLockDowngrade for RawRwLock {
    unsafe fn downgrade(&self) {
        self.state.downgrade();
        self.unwrite();
    }
}

// SAFETY: as for RawRwLock; true is told to who has entered.
unsafe impl lock_api::RawRwLockTimed for RawRwLock {
    type Duration = Duration;
    type Instant = Instant;

    fn try_lock_shared_for(&self, timeout: Duration) -> bool {
        self.read_until(clock::after(timeout))
    }

    fn try_lock_shared_until(&self, timeout: Instant) -> bool {
        self.read_until(clock::of(timeout))
    }

    fn try_lock_exclusive_for(&self, timeout: Duration) -> bool {
        self.write_until(clock::after(timeout))
    }

    fn try_lock_exclusive_until(&self, timeout: Instant) -> bool {
        self.write_until(clock::of(timeout))
    }
}
