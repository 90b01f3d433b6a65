//! Waiting for a number of goroutines.

use std::fmt;
use std::panic::Location;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use super::lot;
use super::queue::{self, Entry, Outcome, Place, Queue, Waits};
use super::wait_group_state::{Begin, COUNT_MAX, Counted, WaitGroupState};
use crate::sched::header::{G, Wait};
use crate::sched::launch::{self, Options};
use crate::sys::clock::{self, NEVER};
use crate::wait::lock::Lock;

/// A count of things to come, and waiting until it is 0: Go's.
///
/// A clone is the same group. The group may be used again as soon as the count is 0, also before
/// those who waited have run.
///
/// A [`Worker`] counts itself: it takes the place of the clones of crossbeam's `WaitGroup`.
///
/// ```
/// # // SAFETY: no thread-local borrows here.
/// # unsafe { gopark::run(|| {
/// let group = gopark::sync::WaitGroup::new();
/// for n in 0..10 {
///     group.go(move || assert!(n < 10));
/// }
/// group.wait();
/// # }) }
/// ```
#[derive(Clone, Default)]
pub struct WaitGroup(Arc<Inner>);

struct Inner(WaitGroupState);

impl Default for Inner {
    fn default() -> Inner {
        Inner(WaitGroupState::of(AtomicU64::new(0)))
    }
}

const OVER: u32 = 1;

impl WaitGroup {
    /// Nothing to wait for.
    pub fn new() -> WaitGroup {
        WaitGroup::default()
    }

    /// Adds `n` to the count. To be called before the wait that it is for.
    ///
    /// # Panics
    /// When the count would be above 2^31 - 1.
    pub fn add(&self, n: usize) {
        let counted = self.0.0.add(n as u64);
        assert!(
            counted == Counted::Nothing,
            "gopark: a WaitGroup counts to {COUNT_MAX}: {} and {n} were added",
            self.0.0.count()
        );
    }

    /// Takes one from the count, and wakes those who wait when it is 0.
    ///
    /// # Panics
    /// When the count is 0 already.
    pub fn done(&self) {
        match self.0.0.done() {
            Counted::Wake(round) => self.wake(round),
            Counted::TooSmall => panic!("gopark: negative WaitGroup counter"),
            Counted::Nothing | Counted::TooLarge => {}
        }
    }

    #[cold]
    fn wake(&self, round: u32) {
        let addr = lot::addr(&self.0.0);
        let is_meant = |entry: &Entry| entry.addr == addr && entry.asks.get() == u64::from(round);
        queue::wake_all(lot::bucket(addr), |queue| {
            queue.answer_first(is_meant, |_| OVER)
        });
    }

    /// Blocks until the count is 0.
    pub fn wait(&self) {
        self.wait_until(NEVER);
    }

    /// Blocks until the count is 0, for `time` at most: whether it was.
    pub fn wait_timeout(&self, time: Duration) -> bool {
        self.wait_until(clock::after(time))
    }

    /// Blocks until the count is 0, until `moment` at most: whether it was.
    pub fn wait_deadline(&self, moment: Instant) -> bool {
        self.wait_until(clock::of(moment))
    }

    fn wait_until(&self, until: u64) -> bool {
        let state = &self.0.0;
        state.is_over()
            || queue::wait(&Waiting(state), Entry::new(lot::addr(state), 0), until)
                != Outcome::TimedOut
    }

    /// Adds one, and gives back who takes it off again.
    ///
    /// # Panics
    /// As [`add`](WaitGroup::add).
    pub fn worker(&self) -> Worker {
        self.add(1);
        Worker(self.clone())
    }

    /// Runs `f` in a goroutine of the caller's runtime, which counts as one until it has ended,
    /// also by a panic.
    ///
    /// # Panics
    /// Outside a runtime, and when no stack is free; the count is then as before.
    #[doc(alias = "Go")]
    #[track_caller]
    pub fn go(&self, f: impl FnOnce() + Send + 'static) {
        let Some(g) = G::of_thread() else {
            panic!("gopark::sync::WaitGroup::go called outside a runtime")
        };
        let worker = self.worker();
        let body = move || {
            let _worker = worker;
            f();
        };
        let options = Options {
            class: None,
            name: None,
            spawned_at: Location::caller(),
        };
        if let Err(error) = launch::here::<_, ()>(g, options, body, std::ptr::null_mut()) {
            panic!("gopark::sync::WaitGroup::go: {error}");
        }
    }
}

impl fmt::Debug for WaitGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.0.0.count();
        f.debug_struct("WaitGroup").field("count", &count).finish()
    }
}

/// Counts as one of its [`WaitGroup`] until it is dropped; a clone counts too.
#[derive(Debug)]
#[must_use = "counts until it is dropped"]
pub struct Worker(WaitGroup);

impl Clone for Worker {
    fn clone(&self) -> Worker {
        self.0.worker()
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.0.done();
    }
}

struct Waiting<'a>(&'a WaitGroupState);

impl Waits for Waiting<'_> {
    type Synced = Queue;

    fn lock(&self) -> &Lock<Queue> {
        lot::bucket(lot::addr(self.0))
    }

    fn why(&self) -> Wait {
        Wait::Group
    }

    fn begin(&self, _: &mut Queue, entry: &Entry) -> Place {
        match self.0.begin_wait() {
            Begin::Over => Place::Nowhere,
            Begin::Queue(round) => {
                entry.asks.set(round.into());
                Place::Back
            }
        }
    }

    fn pass_on(&self, _: u32) {}
}
