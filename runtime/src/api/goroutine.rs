//! The handle to a goroutine, and what a goroutine can do with itself.

use std::any::Any;
use std::fmt;
use std::panic::{UnwindSafe, resume_unwind};

use crate::sched::frames::{self, Catch};
use crate::sched::header::G;
use crate::sched::interrupt::{self, Kind};
use crate::sched::park;
use crate::sched::place::Place;
use crate::task::name::Name;
use crate::task::seed_state::Ask;

/// The id of a goroutine: never 0, never used twice in a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GoroutineId(pub(crate) u64);

impl fmt::Display for GoroutineId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A handle to a goroutine. It does not keep the goroutine alive, and outlives it.
#[derive(Clone)]
pub struct Goroutine {
    place: Place,
    id: u64,
    name: Option<Name>,
}

impl Goroutine {
    pub(crate) fn new(place: Place, id: u64, name: Option<Name>) -> Goroutine {
        Goroutine { place, id, name }
    }

    /// Where it is, to be trusted only together with the id.
    pub(crate) fn place(&self) -> (Place, u64) {
        (self.place, self.id)
    }

    /// The id.
    pub fn id(&self) -> GoroutineId {
        GoroutineId(self.id)
    }

    /// The name that was given at spawn.
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// Ends the goroutine's [`park`](fn@crate::park), or lets its next one return at once. Several
    /// calls before that count once. Of a goroutine that has ended: does nothing.
    pub fn unpark(&self) {
        park::ask(self.place, self.id, Ask::Token);
    }

    /// Cancels the goroutine: the call that it waits in, or its next one that may suspend, unwinds
    /// with [`Cancelled`](crate::Cancelled), and destructors run. One that has not begun drops its
    /// closure instead of running it.
    ///
    /// A wait that was served returns normally, and the goroutine unwinds at its next suspension:
    /// nothing that was handed to it is lost. Inside of [`mask_cancel`](fn@crate::mask_cancel), and
    /// in a callback of foreign code, the goroutine goes on until that is over.
    ///
    /// A goroutine that neither waits nor yields is not ended, nor is one that unwinds already: its
    /// destructors may wait. It unwinds once for all calls before that: if it catches the unwinding
    /// (`catch_unwind`), it goes on, and may be cancelled again. Of one that has ended: does
    /// nothing. May be called by any thread, and by the goroutine itself.
    ///
    /// # Panics
    /// In a program that is built with `panic = "abort"`.
    #[track_caller]
    pub fn cancel(&self) {
        interrupt::assert_unwinds("gopark: cancelling a goroutine");
        park::ask(self.place, self.id, Ask::Cancel);
    }
}

impl fmt::Debug for Goroutine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Goroutine")
            .field("id", &self.id)
            .field("name", &self.name)
            .finish()
    }
}

/// The goroutine that is running.
///
/// # Panics
/// Outside a goroutine.
#[track_caller]
pub fn current() -> Goroutine {
    try_current().expect("gopark::current called outside a goroutine")
}

/// The goroutine that is running, if any. Also where its code is on another stack now, such as that
/// of a coroutine.
pub fn try_current() -> Option<Goroutine> {
    G::of_thread().map(|g| Goroutine::new(g.to_ref().into(), g.state.id(), g.name()))
}

/// Lets other goroutines run: the caller goes to the tail of its P's queue. Returns at once when no
/// other is ready. On a plain thread: [`std::thread::yield_now`].
#[doc(alias = "Gosched")]
pub fn yield_now() {
    match G::current() {
        Some(g) => park::yield_now(g),
        None => std::thread::yield_now(),
    }
}

/// Waits until somebody calls [`Goroutine::unpark`] on the calling goroutine; returns at once if
/// that has happened since the last `park`.
///
/// # Panics
/// Outside a goroutine. Unwinds with [`Cancelled`](crate::Cancelled) when the runtime is dropped.
#[track_caller]
pub fn park() {
    park::park_by_token(G::must_be_current("gopark::park"));
}

/// Runs `f` and catches its panic, as [`std::panic::catch_unwind`] does, but lets through what is
/// no panic: the unwinding of a goroutine that is cancelled ([`Cancelled`](crate::Cancelled)), the
/// runtime of which ends, that calls [`exit`](crate::exit), or that has reached a limit of
/// [`time::timeout`](crate::time::timeout).
///
/// A loop that catches whatever its body throws should use this: with `catch_unwind` it could be
/// ended by nothing.
///
/// # Errors
/// The payload of the panic.
///
/// ```
/// # // SAFETY: no thread-local borrows here.
/// # unsafe { gopark::run(|| {
/// let worker = gopark::spawn(|| {
///     loop {
///         let outcome = gopark::catch_panic(|| {
///             gopark::yield_now();
///             panic!("a job that fails");
///         });
///         assert!(outcome.is_err());
///     }
/// });
/// gopark::yield_now();
/// worker.cancel();
/// assert!(worker.join().unwrap_err().is::<gopark::Cancelled>());
/// # }) }
/// ```
pub fn catch_panic<T>(f: impl FnOnce() -> T + UnwindSafe) -> Result<T, Box<dyn Any + Send>> {
    frames::catch(Catch::Scope, f).map_err(|payload| match interrupt::kind(&*payload) {
        Kind::Panic => payload,
        Kind::Exit | Kind::Request => resume_unwind(payload),
    })
}
