//! A set of goroutines whose results come in the order in which they end.

use std::any::Any;
use std::fmt;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::task::{Wake, Waker};

use crate::api::goroutine::Goroutine;
use crate::api::join::JoinHandle;
use crate::api::runtime::Runtime;
use crate::api::spawn::spawn;
use crate::sched::interrupt::ABORTS;
use crate::sched::packet::Sleeper;
use crate::task::packet_state::Wait;
use crate::wait::arrivals::Arrivals;

/// Goroutines that are joined as they end. Dropping it cancels those that have not.
///
/// ```
/// # // SAFETY: no thread-local borrows here.
/// # unsafe { gopark::run(|| {
/// let mut set = gopark::JoinSet::new();
/// for n in 0..10 {
///     set.spawn(move || n * n);
/// }
/// let mut sum = 0;
/// while let Some(square) = set.join_next() {
///     sum += square.unwrap();
/// }
/// assert_eq!(sum, 285);
/// # }) }
/// ```
pub struct JoinSet<T> {
    /// Each at its number.
    handles: Vec<Option<JoinHandle<T>>>,
    /// Numbers of nobody.
    free: Vec<usize>,
    ended: Arc<Arrivals>,
}

/// Tells the set of the end of one goroutine.
struct Told {
    ended: Arc<Arrivals>,
    number: usize,
}

impl Wake for Told {
    fn wake(self: Arc<Self>) {
        self.ended.push(self.number);
    }
}

impl<T> JoinSet<T> {
    /// An empty set.
    pub fn new() -> JoinSet<T> {
        JoinSet {
            handles: Vec::new(),
            free: Vec::new(),
            ended: Arc::new(Arrivals::new()),
        }
    }

    /// Spawns a goroutine in the caller's runtime, and puts it into the set.
    ///
    /// # Panics
    /// As [`spawn`](fn@crate::spawn).
    #[track_caller]
    pub fn spawn<F>(&mut self, f: F) -> Goroutine
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        self.insert(spawn(f))
    }

    /// Spawns a goroutine in `runtime`, from anywhere, and puts it into the set.
    ///
    /// # Panics
    /// When no stack is free.
    #[track_caller]
    pub fn spawn_on<F>(&mut self, f: F, runtime: &Runtime) -> Goroutine
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        self.insert(runtime.spawn(f))
    }

    /// Puts a goroutine that was spawned otherwise into the set.
    pub fn insert(&mut self, mut handle: JoinHandle<T>) -> Goroutine {
        let number = self.free.pop().unwrap_or_else(|| {
            self.handles.push(None);
            self.handles.len() - 1
        });
        let told = Arc::new(Told {
            ended: Arc::clone(&self.ended),
            number,
        });
        let goroutine = handle.goroutine().clone();
        let wait = handle.receiver().register(Sleeper::Task(Waker::from(told)));
        self.handles[number] = Some(handle);
        if wait == Wait::Done {
            self.ended.push(number);
        }
        goroutine
    }

    /// The result of the next goroutine that ends, or has ended; `None` when the set is empty.
    /// Blocks the calling goroutine, or plain thread.
    ///
    /// The order is that of the ends. If the caller is cancelled meanwhile, nothing is lost.
    ///
    /// # Panics
    /// When it would block a plain thread of a forked child.
    pub fn join_next(&mut self) -> Option<Result<T, Box<dyn Any + Send>>> {
        if self.is_empty() {
            return None;
        }
        let number = self.ended.wait();
        Some(self.take(number))
    }

    /// The result of the next goroutine that has ended; `None` when there is none.
    pub fn try_join_next(&mut self) -> Option<Result<T, Box<dyn Any + Send>>> {
        let number = self.ended.pop()?;
        Some(self.take(number))
    }

    fn take(&mut self, number: usize) -> Result<T, Box<dyn Any + Send>> {
        let handle = self.handles[number].take();
        self.free.push(number);
        handle.expect("one that ends is told once").join()
    }

    /// Goroutines whose results have not been taken.
    pub fn len(&self) -> usize {
        self.handles.len() - self.free.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Cancels all goroutines (see [`Goroutine::cancel`]); they stay in the set.
    ///
    /// # Panics
    /// As [`Goroutine::cancel`], if there are any.
    #[track_caller]
    pub fn cancel_all(&self) {
        self.handles.iter().flatten().for_each(JoinHandle::cancel);
    }

    /// Takes all goroutines out of the set and lets them go on.
    pub fn detach_all(&mut self) {
        // Before anybody could be cancelled: dropping a handle runs code of the program.
        let handles = std::mem::take(&mut self.handles);
        *self = JoinSet::new();
        drop(handles);
    }

    /// The values of all goroutines, in the order in which they end.
    ///
    /// # Panics
    /// With the payload of the first panic; the others are cancelled then.
    pub fn join_all(mut self) -> Vec<T> {
        let mut values = Vec::with_capacity(self.len());
        while let Some(outcome) = self.join_next() {
            values.push(outcome.unwrap_or_else(|payload| resume_unwind(payload)));
        }
        values
    }

    /// Cancels all goroutines and waits until they have ended.
    ///
    /// # Panics
    /// As [`JoinSet::join_next`] and [`JoinSet::cancel_all`].
    #[track_caller]
    pub fn shutdown(&mut self) {
        self.cancel_all();
        while self.join_next().is_some() {}
    }
}

impl<T> Default for JoinSet<T> {
    fn default() -> JoinSet<T> {
        JoinSet::new()
    }
}

impl<T> Drop for JoinSet<T> {
    fn drop(&mut self) {
        if !ABORTS {
            self.cancel_all();
        }
    }
}

impl<T> fmt::Debug for JoinSet<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinSet")
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}
