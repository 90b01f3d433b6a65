//! A condition variable.

use std::fmt;
use std::sync::atomic::AtomicUsize;
use std::time::{Duration, Instant};

use super::mutex::MutexGuard;
use super::queue::Outcome;
use super::sleepers::{Sleepers, Synced};
use crate::sys::clock::{self, NEVER};
use crate::wait::lock::Lock;

/// Waiting until others have changed what a [`Mutex`](super::Mutex) protects: std's, without
/// poison.
///
/// The oldest waiter is woken first, and nobody who comes later can take its wake. A wait whose
/// time is over may find that it was woken at the last moment, and says so. Waits end early only by
/// unwinding; programs should check their condition all the same.
///
/// ```
/// use gopark::sync::{Condvar, Mutex};
/// static READY: (Mutex<bool>, Condvar) = (Mutex::new(false), Condvar::new());
/// std::thread::spawn(|| {
///     *READY.0.lock() = true;
///     READY.1.notify_one();
/// });
/// let ready = READY.1.wait_while(READY.0.lock(), |ready| !*ready);
/// assert!(*ready);
/// ```
pub struct Condvar(Sleepers);

/// Whether a wait with a time limit ended by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WaitTimeoutResult(bool);

impl WaitTimeoutResult {
    /// The time was over, and nobody had woken the waiter.
    pub fn timed_out(&self) -> bool {
        self.0
    }
}

impl Condvar {
    /// Nobody waits.
    pub const fn new() -> Condvar {
        Condvar(Sleepers::of(Lock::new(Synced::new()), AtomicUsize::new(0)))
    }

    /// Unlocks the mutex and waits to be woken, then locks it again. A wake that comes after the
    /// unlocking is not lost. When the wait ends by unwinding, the mutex stays unlocked.
    pub fn wait<'a, T: ?Sized>(&self, guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
        self.wait_until(guard, NEVER).0
    }

    /// Waits as long as the condition holds, which is checked under the mutex.
    pub fn wait_while<'a, T: ?Sized>(
        &self,
        mut guard: MutexGuard<'a, T>,
        mut condition: impl FnMut(&mut T) -> bool,
    ) -> MutexGuard<'a, T> {
        while condition(&mut guard) {
            guard = self.wait(guard);
        }
        guard
    }

    /// [`wait`](Condvar::wait), for `time` at most; locking the mutex again takes as long as it
    /// takes.
    pub fn wait_timeout<'a, T: ?Sized>(
        &self,
        guard: MutexGuard<'a, T>,
        time: Duration,
    ) -> (MutexGuard<'a, T>, WaitTimeoutResult) {
        self.wait_until(guard, clock::after(time))
    }

    /// [`wait`](Condvar::wait), until `moment` at most.
    pub fn wait_deadline<'a, T: ?Sized>(
        &self,
        guard: MutexGuard<'a, T>,
        moment: Instant,
    ) -> (MutexGuard<'a, T>, WaitTimeoutResult) {
        self.wait_until(guard, clock::of(moment))
    }

    /// [`wait_while`](Condvar::wait_while), for `time` at most; timed out means that the condition
    /// still holds.
    pub fn wait_timeout_while<'a, T: ?Sized>(
        &self,
        mut guard: MutexGuard<'a, T>,
        time: Duration,
        mut condition: impl FnMut(&mut T) -> bool,
    ) -> (MutexGuard<'a, T>, WaitTimeoutResult) {
        let until = clock::after(time);
        let mut is_over = false;
        loop {
            if !condition(&mut guard) {
                return (guard, WaitTimeoutResult(false));
            }
            if is_over {
                return (guard, WaitTimeoutResult(true));
            }
            let (again, result) = self.wait_until(guard, until);
            guard = again;
            is_over = result.timed_out();
        }
    }

    fn wait_until<'a, T: ?Sized>(
        &self,
        guard: MutexGuard<'a, T>,
        until: u64,
    ) -> (MutexGuard<'a, T>, WaitTimeoutResult) {
        let mutex = MutexGuard::mutex(&guard);
        let outcome = self.0.wait(guard, until);
        let timed_out = outcome == Outcome::TimedOut;
        // The lock may unwind: then the wake is for another.
        let pass_on = (!timed_out).then(|| PassOn(self));
        let guard = mutex.lock();
        std::mem::forget(pass_on);
        (guard, WaitTimeoutResult(timed_out))
    }

    /// Wakes the one who has waited longest.
    #[doc(alias = "Signal")]
    pub fn notify_one(&self) {
        self.0.wake_one();
    }

    /// Wakes all who wait now.
    #[doc(alias = "Broadcast")]
    pub fn notify_all(&self) {
        self.0.wake_all();
    }
}

/// Wakes another in place of a waiter that was woken and unwinds before it has the mutex.
struct PassOn<'a>(&'a Condvar);

impl Drop for PassOn<'_> {
    fn drop(&mut self) {
        self.0.notify_one();
    }
}

impl Default for Condvar {
    fn default() -> Condvar {
        Condvar::new()
    }
}

impl fmt::Debug for Condvar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Condvar").finish_non_exhaustive()
    }
}
