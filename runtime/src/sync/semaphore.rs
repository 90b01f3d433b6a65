//! A number of permits.

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::permits::{Permits, Refused};
use super::queue::{self, Entry, HasQueue, Outcome, Place, Queue, Waits};
use crate::sched::header::Wait;
use crate::sys::clock::{self, NEVER};
use crate::wait::lock::Lock;
use crate::wait::parker::Woken;

/// A number of permits, which are taken and given back: tokio's names, blocking.
///
/// Fair: permits go to those who have waited longest, and nobody overtakes one who waits for many.
///
/// ```
/// use gopark::sync::Semaphore;
/// static TWO: Semaphore = Semaphore::new(2);
/// let first = TWO.acquire().unwrap();
/// let second = TWO.acquire().unwrap();
/// assert!(TWO.try_acquire().is_err());
/// drop(first);
/// assert_eq!(TWO.available_permits(), 1);
/// ```
pub struct Semaphore(Lock<Synced>);

struct Synced {
    permits: Permits,
    queue: Queue,
}

impl HasQueue for Synced {
    fn queue(&mut self) -> &mut Queue {
        &mut self.queue
    }
}

/// The semaphore is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AcquireError(());

/// Why permits were not given at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TryAcquireError {
    /// The semaphore is closed.
    Closed,
    /// There are too few, or others wait; for calls with a time limit: until it was over.
    NoPermits,
}

impl fmt::Display for AcquireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the semaphore is closed")
    }
}

impl fmt::Display for TryAcquireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            TryAcquireError::Closed => "the semaphore is closed",
            TryAcquireError::NoPermits => "there are no permits",
        })
    }
}

impl Error for AcquireError {}
impl Error for TryAcquireError {}

const GRANTED: u32 = 1;
const CLOSED: u32 = 2;

impl Semaphore {
    /// The most permits that there may be.
    pub const MAX_PERMITS: usize = Permits::MAX;

    /// With a number of permits.
    ///
    /// # Panics
    /// Above [`MAX_PERMITS`](Semaphore::MAX_PERMITS).
    pub const fn new(permits: usize) -> Semaphore {
        assert!(
            permits <= Semaphore::MAX_PERMITS,
            "gopark: too many permits for a Semaphore: more than Semaphore::MAX_PERMITS"
        );
        Semaphore(Lock::new(Synced {
            permits: Permits::new(permits),
            queue: Queue::new(),
        }))
    }

    /// Takes a permit, or waits for one.
    ///
    /// # Errors
    /// When the semaphore is closed, or is before there is a permit.
    pub fn acquire(&self) -> Result<SemaphorePermit<'_>, AcquireError> {
        self.acquire_many(1)
    }

    /// Takes `n` permits at once, or waits for them. More than there ever are: for ever.
    ///
    /// # Errors
    /// As [`acquire`](Semaphore::acquire).
    pub fn acquire_many(&self, n: usize) -> Result<SemaphorePermit<'_>, AcquireError> {
        match self.acquire_until(n, NEVER) {
            Ok(()) => Ok(self.permit(n)),
            Err(_) => Err(AcquireError(())),
        }
    }

    /// Takes a permit if there is one that nobody waits for.
    ///
    /// # Errors
    /// When there is none, or the semaphore is closed.
    pub fn try_acquire(&self) -> Result<SemaphorePermit<'_>, TryAcquireError> {
        self.try_acquire_many(1)
    }

    /// Takes `n` permits if they are there, and nobody waits.
    ///
    /// # Errors
    /// As [`try_acquire`](Semaphore::try_acquire).
    pub fn try_acquire_many(&self, n: usize) -> Result<SemaphorePermit<'_>, TryAcquireError> {
        self.try_take(n)?;
        Ok(self.permit(n))
    }

    /// Takes a permit, or waits for one, for `time` at most.
    ///
    /// # Errors
    /// `NoPermits` when the time was over, `Closed` when the semaphore was closed.
    pub fn acquire_timeout(&self, time: Duration) -> Result<SemaphorePermit<'_>, TryAcquireError> {
        self.acquire_many_timeout(1, time)
    }

    /// Takes `n` permits at once, or waits for them, for `time` at most.
    ///
    /// # Errors
    /// As [`acquire_timeout`](Semaphore::acquire_timeout).
    pub fn acquire_many_timeout(
        &self,
        n: usize,
        time: Duration,
    ) -> Result<SemaphorePermit<'_>, TryAcquireError> {
        self.acquire_until(n, clock::after(time))?;
        Ok(self.permit(n))
    }

    /// Takes a permit, or waits for one, until `moment` at most.
    ///
    /// # Errors
    /// As [`acquire_timeout`](Semaphore::acquire_timeout).
    pub fn acquire_deadline(
        &self,
        moment: Instant,
    ) -> Result<SemaphorePermit<'_>, TryAcquireError> {
        self.acquire_until(1, clock::of(moment))?;
        Ok(self.permit(1))
    }

    /// [`acquire_many`](Semaphore::acquire_many), for a permit that keeps the semaphore.
    ///
    /// # Errors
    /// As [`acquire`](Semaphore::acquire).
    pub fn acquire_many_owned(
        self: Arc<Semaphore>,
        n: usize,
    ) -> Result<OwnedSemaphorePermit, AcquireError> {
        self.acquire_many(n)?.forget();
        Ok(OwnedSemaphorePermit {
            semaphore: self,
            permits: n,
        })
    }

    fn permit(&self, permits: usize) -> SemaphorePermit<'_> {
        SemaphorePermit {
            semaphore: self,
            permits,
        }
    }

    fn try_take(&self, n: usize) -> Result<(), TryAcquireError> {
        let mut synced = self.0.lock();
        let has_waiters = !synced.queue.is_empty();
        match synced.permits.take(n, has_waiters) {
            Ok(()) => Ok(()),
            Err(Refused::Closed) => Err(TryAcquireError::Closed),
            Err(Refused::TooFew) => Err(TryAcquireError::NoPermits),
        }
    }

    fn acquire_until(&self, n: usize, until: u64) -> Result<(), TryAcquireError> {
        match self.try_take(n) {
            Err(TryAcquireError::NoPermits) => {}
            result => return result,
        }
        if until != NEVER && clock::now() >= until {
            return Err(TryAcquireError::NoPermits);
        }
        let entry = Entry::new(0, n as u64);
        match queue::wait(&Waiting(self, n), entry, until) {
            Outcome::Answered(GRANTED) => Ok(()),
            Outcome::Answered(_) => Err(TryAcquireError::Closed),
            Outcome::TimedOut => Err(TryAcquireError::NoPermits),
            Outcome::NotBegun => self.acquire_until(n, until),
        }
    }

    /// Adds permits, which go to those who wait.
    ///
    /// # Panics
    /// When there would be more than [`MAX_PERMITS`](Semaphore::MAX_PERMITS).
    pub fn add_permits(&self, n: usize) {
        const MAX: usize = Semaphore::MAX_PERMITS;
        let mut synced = self.0.lock();
        let (had, added) = (synced.permits.available(), synced.permits.add(n));
        drop(synced);
        assert!(
            added,
            "gopark: too many permits for a Semaphore: {had}, and {n} were added; {MAX} at most"
        );
        self.serve();
    }

    /// Takes up to `n` permits away for ever: how many.
    pub fn forget_permits(&self, n: usize) -> usize {
        self.0.lock().permits.forget(n)
    }

    /// Permits that can be taken.
    pub fn available_permits(&self) -> usize {
        self.0.lock().permits.available()
    }

    /// Gives no more permits; those who wait get an error.
    pub fn close(&self) {
        self.0.lock().permits.close();
        self.serve();
    }

    /// Whether it has been closed.
    pub fn is_closed(&self) -> bool {
        self.0.lock().permits.is_closed()
    }

    /// Answers those who need not wait any longer.
    fn serve(&self) {
        queue::wake_all(&self.0, Synced::next);
    }
}

impl Synced {
    fn next(&mut self) -> Option<Woken> {
        let asks = self.queue.first_asks()? as usize;
        let answer = match self.permits.take(asks, false) {
            Ok(()) => GRANTED,
            Err(Refused::Closed) => CLOSED,
            Err(Refused::TooFew) => return None,
        };
        self.queue.answer_first(|_| true, |_| answer)
    }
}

impl fmt::Debug for Semaphore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let permits = self.available_permits();
        let mut debug = f.debug_struct("Semaphore");
        debug.field("permits", &permits).finish_non_exhaustive()
    }
}

/// Somebody who asks for a number of permits.
struct Waiting<'a>(&'a Semaphore, usize);

impl Waits for Waiting<'_> {
    type Synced = Synced;

    fn lock(&self) -> &Lock<Synced> {
        &self.0.0
    }

    fn why(&self) -> Wait {
        Wait::Semaphore
    }

    fn begin(&self, synced: &mut Synced, entry: &Entry) -> Place {
        let is_served = synced.permits.is_closed()
            || synced.queue.is_empty() && synced.permits.available() as u64 >= entry.asks.get();
        match is_served {
            true => Place::Nowhere,
            false => Place::Back,
        }
    }

    fn left(&self) {
        // One behind it may ask for less.
        self.0.serve();
    }

    fn pass_on(&self, answer: u32) {
        if answer == GRANTED {
            self.0.add_permits(self.1);
        }
    }
}

/// Permits of a [`Semaphore`]; given back when dropped.
#[must_use = "the permits are given back when this is dropped"]
#[derive(Debug)]
pub struct SemaphorePermit<'a> {
    semaphore: &'a Semaphore,
    permits: usize,
}

impl SemaphorePermit<'_> {
    /// Does not give them back.
    pub fn forget(mut self) {
        self.permits = 0;
    }

    /// How many they are.
    pub fn num_permits(&self) -> usize {
        self.permits
    }
}

impl Drop for SemaphorePermit<'_> {
    fn drop(&mut self) {
        if self.permits != 0 {
            self.semaphore.add_permits(self.permits);
        }
    }
}

/// Permits that keep their [`Semaphore`]; given back when dropped.
#[must_use = "the permits are given back when this is dropped"]
#[derive(Debug)]
pub struct OwnedSemaphorePermit {
    semaphore: Arc<Semaphore>,
    permits: usize,
}

impl OwnedSemaphorePermit {
    /// Does not give them back.
    pub fn forget(mut self) {
        self.permits = 0;
    }

    /// How many they are.
    pub fn num_permits(&self) -> usize {
        self.permits
    }
}

impl Drop for OwnedSemaphorePermit {
    fn drop(&mut self) {
        if self.permits != 0 {
            self.semaphore.add_permits(self.permits);
        }
    }
}
