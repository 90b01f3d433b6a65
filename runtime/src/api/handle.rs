//! A handle to a runtime, by which anybody can spawn.

use std::fmt;
use std::io;
use std::sync::Weak;

use crate::api::join::JoinHandle;
use crate::api::spawn::{Home, go_in, spawn_unbound};
use crate::sched::header::G;
use crate::sched::launch::Options;
use crate::sched::shared::Shared;

/// The right to spawn goroutines in a runtime, from any thread: tokio's `Handle`.
///
/// It is for threads that are not the runtime's, such as those of a rayon pool, of a C library or
/// of another runtime. [`spawn`](fn@crate::spawn) needs no handle on a goroutine, whatever stack
/// its code is on.
///
/// A handle does not keep the runtime alive. Once its end has begun (its `Runtime` is dropped, or
/// told to shut down), nothing can be spawned by a handle, except by goroutines of that runtime,
/// which can spawn until they have ended. What was spawned before is unwound as all others are.
///
/// ```
/// use gopark::runtime::Handle;
///
/// # // SAFETY: nothing bound to a thread is held across a suspension.
/// # unsafe { gopark::run(|| {
/// let handle = Handle::current();
/// let worker = std::thread::spawn(move || handle.spawn(|| 6 * 7));
/// let goroutine = gopark::blocking(|| worker.join().unwrap());
/// assert_eq!(goroutine.join().unwrap(), 42);
/// # }) }
/// ```
#[derive(Clone)]
pub struct Handle(Weak<Shared>);

impl Handle {
    pub(crate) fn new(runtime: Weak<Shared>) -> Handle {
        Handle(runtime)
    }

    pub(crate) fn runtime(&self) -> &Weak<Shared> {
        &self.0
    }

    /// The runtime of the calling goroutine.
    ///
    /// # Panics
    /// Outside a runtime.
    #[track_caller]
    pub fn current() -> Handle {
        Handle::try_current().unwrap_or_else(|| {
            panic!(
                "gopark::runtime::Handle::current called outside a runtime: call it on a \
                 goroutine and give the handle to this thread, or use `Runtime::handle`"
            )
        })
    }

    /// The runtime of the calling goroutine; `None` outside a runtime.
    pub fn try_current() -> Option<Handle> {
        G::of_thread().map(|g| Handle(g.runtime()))
    }

    /// Spawns a goroutine in this runtime, from anywhere.
    ///
    /// # Panics
    /// When the runtime has ended or its end has begun, and when no stack is free
    /// ([`Handle::try_spawn`] gives an error instead).
    #[track_caller]
    pub fn spawn<F, T>(&self, f: F) -> JoinHandle<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        match self.try_spawn(f) {
            Ok(handle) => handle,
            Err(error) => panic!("gopark::runtime::Handle::spawn: {error}"),
        }
    }

    /// Spawns a goroutine in this runtime, from anywhere, or gives an error; `f` is dropped then.
    /// [`Builder::spawn_on`](crate::goroutine::Builder::spawn_on) does so with options.
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// // Nothing bound to a thread is held across a suspension.
    /// let runtime = unsafe { gopark::runtime::Builder::new().build()? };
    /// let handle = runtime.handle();
    /// assert_eq!(handle.try_spawn(|| 1)?.join().unwrap(), 1);
    /// drop(runtime);
    /// let error = handle.try_spawn(|| 2).unwrap_err();
    /// assert_eq!(error.to_string(), "the runtime has ended, or its end has begun");
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// `Other` when the runtime has ended or its end has begun; `OutOfMemory` when no stack is
    /// free.
    #[track_caller]
    pub fn try_spawn<F, T>(&self, f: F) -> io::Result<JoinHandle<T>>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        spawn_unbound(Home::Handle(&self.0), Options::here(), f)
    }

    /// Spawns a goroutine in this runtime, from anywhere, and detaches it: [`go`](fn@crate::go).
    ///
    /// # Panics
    /// When the runtime has ended or its end has begun, and when no stack is free.
    #[track_caller]
    pub fn go<F>(&self, f: F)
    where
        F: FnOnce() + Send + 'static,
    {
        if let Err(error) = go_in(Home::Handle(&self.0), f) {
            panic!("gopark::runtime::Handle::go: {error}");
        }
    }

    /// Whether nothing can be spawned by a handle any more: the runtime has ended, or its end has
    /// begun. It may do so right after the answer was no.
    pub fn is_closed(&self) -> bool {
        self.0
            .upgrade()
            .is_none_or(|shared| shared.gate.is_closed())
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle")
            .field("is_closed", &self.is_closed())
            .finish_non_exhaustive()
    }
}
