//! Things that happen once.

#![expect(unsafe_code, reason = "OnceLock gives out what it has written once")]

use std::cell::UnsafeCell;
use std::fmt;
use std::ops::Deref;
use std::sync::atomic::{AtomicU32, Ordering};

use lock_api::RawMutex as _;

use super::lot;
use super::mutex::RawMutex;
use super::queue::{self, Entry, Outcome, Place, Queue, Waits};
use crate::sched::header::Wait;
use crate::sys::clock::NEVER;
use crate::wait::lock::Lock;

/// An initialisation that happens once: std's, without poison: after a panic the next caller tries
/// again. A call from within waits for ever.
pub struct Once {
    /// Held by the caller whose turn it is.
    turn: RawMutex,
    /// `COMPLETE`; `WAITERS` is set under the lock of the queue, before it.
    word: AtomicU32,
}

const COMPLETE: u32 = 1;
const WAITERS: u32 = 1 << 1;
const OVER: u32 = 1;

impl Once {
    /// Nothing has happened.
    pub const fn new() -> Once {
        Once {
            turn: RawMutex::new(),
            word: AtomicU32::new(0),
        }
    }

    /// Runs `f` if no call has been completed; returns when one has. What it wrote is then seen.
    ///
    /// # Panics
    /// With the panic of `f`; the next call runs its own.
    pub fn call_once(&self, f: impl FnOnce()) {
        if !self.is_completed() {
            self.call_slow(f);
        }
    }

    #[cold]
    fn call_slow(&self, f: impl FnOnce()) {
        struct Turn<'a>(&'a RawMutex);
        impl Drop for Turn<'_> {
            fn drop(&mut self) {
                self.0.unlock_now();
            }
        }
        if !self.turn.try_lock() {
            self.turn.lock_slow(NEVER, Wait::Once);
        }
        let _turn = Turn(&self.turn);
        if !self.is_completed() {
            f();
            self.complete();
        }
    }

    fn complete(&self) {
        // Release: pairs with `is_completed`.
        if self.word.fetch_or(COMPLETE, Ordering::Release) & WAITERS != 0 {
            let addr = lot::addr(&self.word);
            queue::wake_all(lot::bucket(addr), |queue| {
                queue.answer_first(|entry| entry.addr == addr, |_| OVER)
            });
        }
    }

    /// Whether a call has been completed.
    #[inline]
    pub fn is_completed(&self) -> bool {
        // Acquire: pairs with `complete`.
        self.word.load(Ordering::Acquire) & COMPLETE != 0
    }

    /// Blocks until a call has been completed.
    pub fn wait(&self) {
        self.wait_until(NEVER);
    }

    fn wait_until(&self, until: u64) -> bool {
        let entry = Entry::new(lot::addr(&self.word), 0);
        self.is_completed() || queue::wait(&Waiting(self), entry, until) != Outcome::TimedOut
    }
}

impl Default for Once {
    fn default() -> Once {
        Once::new()
    }
}

impl fmt::Debug for Once {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let completed = self.is_completed();
        let mut debug = f.debug_struct("Once");
        debug.field("is_completed", &completed).finish()
    }
}

struct Waiting<'a>(&'a Once);

impl Waits for Waiting<'_> {
    type Synced = Queue;

    fn lock(&self) -> &Lock<Queue> {
        lot::bucket(lot::addr(&self.0.word))
    }

    fn why(&self) -> Wait {
        Wait::Once
    }

    fn begin(&self, _: &mut Queue, _: &Entry) -> Place {
        // Acquire: pairs with `complete`.
        match self.0.word.fetch_or(WAITERS, Ordering::Acquire) & COMPLETE {
            0 => Place::Back,
            _ => Place::Nowhere,
        }
    }

    fn pass_on(&self, _: u32) {}
}

/// A value that is written once: std's, without poison.
///
/// ```
/// use gopark::sync::OnceLock;
/// static NAME: OnceLock<String> = OnceLock::new();
/// assert_eq!(NAME.get_or_init(|| "first".into()), "first");
/// assert_eq!(NAME.set("second".into()), Err("second".into()));
/// ```
pub struct OnceLock<T> {
    once: Once,
    /// Written by the call that completes `once`, and then only read, or reached by `&mut self`.
    value: UnsafeCell<Option<T>>,
}

// SAFETY: one thread writes the value, any may take it later; others read it when it is there.
unsafe impl<T: Send + Sync> Sync for OnceLock<T> {}

impl<T> OnceLock<T> {
    /// Without a value.
    pub const fn new() -> OnceLock<T> {
        OnceLock {
            once: Once::new(),
            value: UnsafeCell::new(None),
        }
    }

    /// The value, if it is there.
    #[inline]
    pub fn get(&self) -> Option<&T> {
        if !self.once.is_completed() {
            return None;
        }
        // SAFETY: nobody writes any more.
        unsafe { &*self.value.get() }.as_ref()
    }

    /// The value, if it is there.
    pub fn get_mut(&mut self) -> Option<&mut T> {
        self.value.get_mut().as_mut()
    }

    /// Writes the value.
    ///
    /// # Errors
    /// With `value`, if there is one already.
    pub fn set(&self, value: T) -> Result<(), T> {
        let mut value = Some(value);
        self.once.call_once(|| self.write(value.take()));
        value.map_or(Ok(()), Err)
    }

    /// The value; the first caller's `f` gives it, others wait for that.
    ///
    /// # Panics
    /// With the panic of `f`; the next caller tries again.
    pub fn get_or_init(&self, f: impl FnOnce() -> T) -> &T {
        if let Some(value) = self.get() {
            return value;
        }
        self.once.call_once(|| self.write(Some(f())));
        self.get().expect("completed")
    }

    /// In a call of `once`.
    fn write(&self, value: Option<T>) {
        // SAFETY: one call at a time; nobody reads before it is completed, and it is the last.
        unsafe { *self.value.get() = value };
    }

    /// The value; blocks until it is there.
    ///
    /// # Panics
    /// Never: what has been completed has a value.
    pub fn wait(&self) -> &T {
        self.once.wait();
        self.get().expect("completed")
    }

    /// The value; blocks until it is there, for `time` at most.
    pub fn wait_timeout(&self, time: std::time::Duration) -> Option<&T> {
        self.once.wait_until(crate::sys::clock::after(time));
        self.get()
    }

    /// Takes the value out; there is none then.
    pub fn take(&mut self) -> Option<T> {
        std::mem::take(self).into_inner()
    }

    /// The value.
    pub fn into_inner(self) -> Option<T> {
        self.value.into_inner()
    }
}

impl<T> Default for OnceLock<T> {
    fn default() -> OnceLock<T> {
        OnceLock::new()
    }
}

impl<T> From<T> for OnceLock<T> {
    fn from(value: T) -> OnceLock<T> {
        let lock = OnceLock::new();
        let _ = lock.set(value);
        lock
    }
}

impl<T: fmt::Debug> fmt::Debug for OnceLock<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("OnceLock").field(&self.get()).finish()
    }
}

/// A value that is made at its first use: std's. After a panic of its function the next user tries
/// again.
pub struct LazyLock<T, F = fn() -> T> {
    value: OnceLock<T>,
    make: F,
}

impl<T, F: Fn() -> T> LazyLock<T, F> {
    /// `make` runs at the first use.
    pub const fn new(make: F) -> LazyLock<T, F> {
        LazyLock {
            value: OnceLock::new(),
            make,
        }
    }

    /// Makes the value, if it is not there.
    pub fn force(this: &LazyLock<T, F>) -> &T {
        this.value.get_or_init(&this.make)
    }
}

impl<T, F: Fn() -> T> Deref for LazyLock<T, F> {
    type Target = T;

    fn deref(&self) -> &T {
        LazyLock::force(self)
    }
}

impl<T: fmt::Debug, F> fmt::Debug for LazyLock<T, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("LazyLock").field(&self.value.get()).finish()
    }
}
