//! Locks and other ways to wait for each other: std's names and methods, for goroutines and plain
//! threads at once.
//!
//! Nothing here is poisoned: a panic under a lock unlocks it. Whoever waits on a goroutine gives
//! its thread to others; on a plain thread it blocks the thread. Guards may be kept while their
//! goroutine moves to another thread. A wait ends by unwinding when its runtime is dropped, or when
//! the time of a [`timeout`](crate::time::timeout) around it is over: nothing that was given to it
//! is lost then.

#[cfg(not(gopark_loom))]
mod barrier;
#[cfg(not(gopark_loom))]
mod cancellation;
#[cfg(not(gopark_loom))]
mod condvar;
#[cfg(not(gopark_loom))]
mod lot;
#[cfg(not(gopark_loom))]
mod mutex;
mod mutex_state;
#[cfg(not(gopark_loom))]
mod notify;
#[cfg(not(gopark_loom))]
mod once;
mod permits;
mod queue;
#[cfg(not(gopark_loom))]
mod rwlock;
mod rwlock_state;
#[cfg(not(gopark_loom))]
mod semaphore;
mod sleepers;
#[cfg(not(gopark_loom))]
mod wait_group;
mod wait_group_state;

#[cfg(not(gopark_loom))]
pub use self::{
    barrier::{Barrier, BarrierWaitResult},
    cancellation::{CancellationToken, DropGuard},
    condvar::{Condvar, WaitTimeoutResult},
    mutex::{MappedMutexGuard, Mutex, MutexGuard, RawMutex},
    notify::{Notified, Notify},
    once::{LazyLock, Once, OnceLock},
    rwlock::{
        MappedRwLockReadGuard, MappedRwLockWriteGuard, RawRwLock, RwLock, RwLockReadGuard,
        RwLockWriteGuard,
    },
    semaphore::{AcquireError, OwnedSemaphorePermit, Semaphore, SemaphorePermit, TryAcquireError},
    wait_group::{WaitGroup, Worker},
};
