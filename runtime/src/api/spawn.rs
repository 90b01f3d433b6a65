//! Spawning goroutines.

#![expect(unsafe_code, reason = "ends a packet that no goroutine will finish")]

use std::io;
use std::marker::PhantomData;
use std::panic::Location;
use std::sync::{Arc, Weak};

use gopark_stack::Class;

use crate::api::goroutine::Goroutine;
use crate::api::handle::Handle;
use crate::api::hooks::inherit_hooks;
use crate::api::join::JoinHandle;
use crate::api::scope::{Scope, ScopedJoinHandle};
use crate::sched::gate::Enter;
use crate::sched::header::G;
use crate::sched::launch::{self, Options};
use crate::sched::packet::{Company, Packet};
use crate::sched::park::Cancelled;
use crate::sched::place::Place;
use crate::sched::shared::Shared;
use crate::task::name::Name;

/// Where a goroutine is to live.
#[derive(Debug)]
pub(crate) enum Home<'a> {
    /// The caller's own runtime; the string is the call, for the panic off a runtime.
    Here(&'static str),
    /// One that does not end meanwhile.
    Runtime(&'a Arc<Shared>),
    /// One that may end at any moment, or has.
    Handle(&'a Weak<Shared>),
}

/// Held while something is spawned in a runtime that does not end before.
struct Visit(Arc<Shared>);

impl Visit {
    fn begin(runtime: &Weak<Shared>) -> io::Result<Visit> {
        let shared = runtime.upgrade();
        match shared.filter(|shared| shared.gate.enter() == Enter::Inside) {
            Some(shared) => Ok(Visit(shared)),
            None => Err(io::Error::other(
                "the runtime has ended, or its end has begun",
            )),
        }
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        self.0.gate.leave();
    }
}

#[track_caller]
fn launch_at<F, T>(
    home: Home<'_>,
    options: Options,
    f: F,
    packet: *mut u8,
) -> io::Result<(Place, u64)>
where
    F: FnOnce() -> T,
{
    let me = G::of_thread();
    let is_mine = |runtime: *const Shared| me.filter(|me| me.shared_ptr() == runtime);
    let me = match home {
        Home::Here(call) => Some(me.unwrap_or_else(|| no_runtime(call))),
        Home::Runtime(shared) => is_mine(Arc::as_ptr(shared)),
        Home::Handle(runtime) => is_mine(runtime.as_ptr()),
    };
    match (me, home) {
        (Some(me), _) => launch::here::<F, T>(me, options, f, packet),
        (None, Home::Runtime(shared)) => launch::outside::<F, T>(shared, options, f, packet),
        (None, Home::Handle(runtime)) => {
            let visit = Visit::begin(runtime)?;
            launch::outside::<F, T>(&visit.0, options, f, packet)
        }
        (None, Home::Here(_)) => unreachable!("there is a goroutine here"),
    }
}

#[cold]
#[track_caller]
fn no_runtime(call: &str) -> ! {
    panic!("{call} called outside a runtime: other threads spawn by a `gopark::runtime::Handle`")
}

/// Spawns a goroutine and detaches it.
#[track_caller]
pub(crate) fn go_in<F>(home: Home<'_>, f: F) -> io::Result<()>
where
    F: FnOnce() + Send + 'static,
{
    launch_at::<F, ()>(home, Options::here(), f, std::ptr::null_mut()).map(drop)
}

/// Spawns without the bounds that make it sound.
///
/// The callers see to it that `F` and `T` may be used on other threads, and that what they borrow
/// lives until the goroutine has ended.
#[track_caller]
pub(crate) fn spawn_unbound<F, T>(
    home: Home<'_>,
    options: Options,
    f: F,
) -> io::Result<JoinHandle<T>>
where
    F: FnOnce() -> T,
{
    spawn_in::<F, T>(home, options, f, None)
}

/// The share in a packet of a goroutine that there is not yet.
struct Unborn<T>(*mut u8, PhantomData<T>);

impl<T> Drop for Unborn<T> {
    fn drop(&mut self) {
        // There is no goroutine: this side ends its share.
        // SAFETY: from `Packet::<T>::pair`, and nobody else will finish it.
        unsafe { Packet::<T>::finish(self.0, Err(Box::new(Cancelled))) };
    }
}

/// The same, in company that is told of the goroutine's end; also if it does not begin.
#[track_caller]
pub(crate) fn spawn_in<F, T>(
    home: Home<'_>,
    options: Options,
    f: F,
    company: Option<Arc<dyn Company>>,
) -> io::Result<JoinHandle<T>>
where
    F: FnOnce() -> T,
{
    let (receiver, packet) = Packet::<T>::pair(company);
    let unborn = Unborn::<T>(packet, PhantomData);
    let name = options.name.clone();
    let (place, id) = launch_at::<F, T>(home, options, f, packet)?;
    std::mem::forget(unborn);
    Ok(JoinHandle::new(receiver, Goroutine::new(place, id, name)))
}

/// Spawns a goroutine in the caller's runtime. It runs next on the caller's P when the caller parks
/// or ends, or earlier on another.
///
/// The caller is a goroutine, whatever stack its code is on: its own, that of a coroutine, or one
/// from `stacker`. Other threads spawn by a [`Handle`].
///
/// The panic hook prints a panic of the goroutine, under the goroutine's id and name, and its
/// payload is what [`JoinHandle::join`] gives. Without a `join` the program does not learn of it,
/// unless [`Builder::unhandled_panic`](crate::runtime::Builder::unhandled_panic) says otherwise. A
/// panic hook of the program is called as it is; [`try_current`](crate::try_current) tells it which
/// goroutine it runs on.
///
/// # Panics
/// Outside a runtime, and when no stack is free (`Builder::spawn` gives an error instead).
#[doc(alias = "go")]
#[track_caller]
pub fn spawn<F, T>(f: F) -> JoinHandle<T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    match spawn_unbound(Home::Here("gopark::spawn"), Options::here(), f) {
        Ok(handle) => handle,
        Err(error) => panic!("gopark::spawn: {error}"),
    }
}

/// Spawns a goroutine in the caller's runtime and detaches it: Go's `go` statement. Cheaper than
/// [`spawn`] by the allocation of a result.
///
/// The goroutine has no handle, so the program does not learn of its panic: the panic hook prints a
/// message that names the goroutine, the goroutine ends, and the others go on. In Go the process
/// ends then; [`Builder::unhandled_panic`](crate::runtime::Builder::unhandled_panic) chooses that.
/// When the runtime ends, or the goroutine is cancelled, it unwinds without a message.
///
/// ```
/// # // SAFETY: no thread-local borrows here.
/// # unsafe { gopark::run(|| {
/// let (sender, receiver) = gopark::chan::bounded(1);
/// gopark::go(move || sender.send(42).unwrap());
/// assert_eq!(receiver.recv(), Ok(42));
/// # }) }
/// ```
///
/// # Panics
/// Outside a runtime, and when no stack is free.
#[track_caller]
pub fn go<F>(f: F)
where
    F: FnOnce() + Send + 'static,
{
    if let Err(error) = go_in(Home::Here("gopark::go"), f) {
        panic!("gopark::go: {error}");
    }
}

/// Options of one goroutine.
///
/// ```
/// # fn main() -> std::io::Result<()> {
/// # // SAFETY: no thread-local borrows here.
/// # unsafe { gopark::run(|| {
/// let builder = gopark::goroutine::Builder::new().name("worker").stack_limit(64 << 10);
/// let handle = builder.spawn(|| 42)?;
/// assert_eq!(handle.join().unwrap(), 42);
/// # Ok(()) }) }
/// # }
/// ```
#[derive(Debug, Default)]
#[must_use]
pub struct Builder {
    name: Option<Name>,
    limit: Option<usize>,
    inherits: bool,
}

impl Builder {
    /// The runtime's defaults, no name.
    pub fn new() -> Builder {
        Builder::default()
    }

    /// A name, for reports and [`Goroutine::name`].
    pub fn name(mut self, name: impl Into<String>) -> Builder {
        self.name = Some(name.into().into());
        self
    }

    /// The stack's limit in bytes, 64 KiB ..= 1 GiB, rounded up to 64 KiB, 16 MiB or 1 GiB.
    pub fn stack_limit(mut self, bytes: usize) -> Builder {
        self.limit = Some(bytes);
        self
    }

    /// Whether the goroutine has the hooks of its spawner, as with
    /// [`inherit_hooks`]. By default it has none.
    pub fn inherit_hooks(mut self, inherits: bool) -> Builder {
        self.inherits = inherits;
        self
    }

    /// Spawns in the caller's runtime.
    ///
    /// # Errors
    /// `InvalidInput`, naming the value, for a limit out of range; `OutOfMemory` when no stack is
    /// free, saying of what there are how many. If the kernel has no memory for the guard of a
    /// stack that is first used later, the process ends then, as when a stack cannot grow.
    ///
    /// # Panics
    /// Outside a runtime.
    #[track_caller]
    pub fn spawn<F, T>(self, f: F) -> io::Result<JoinHandle<T>>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        let home = Home::Here("gopark::goroutine::Builder::spawn");
        if self.inherits {
            return spawn_unbound(home, self.options()?, inherit_hooks(f));
        }
        spawn_unbound(home, self.options()?, f)
    }

    /// Spawns in the runtime of a handle, from anywhere.
    ///
    /// ```
    /// use gopark::goroutine::Builder;
    ///
    /// # fn main() -> std::io::Result<()> {
    /// // Nothing bound to a thread is held across a suspension.
    /// let runtime = unsafe { gopark::runtime::Builder::new().build()? };
    /// let worker = Builder::new().name("worker").spawn_on(&runtime.handle(), || 7)?;
    /// assert_eq!(worker.join().unwrap(), 7);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// As [`Builder::spawn`]; `Other` when the runtime has ended or its end has begun.
    #[track_caller]
    pub fn spawn_on<F, T>(self, runtime: &Handle, f: F) -> io::Result<JoinHandle<T>>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        let home = Home::Handle(runtime.runtime());
        if self.inherits {
            return spawn_unbound(home, self.options()?, inherit_hooks(f));
        }
        spawn_unbound(home, self.options()?, f)
    }

    /// Spawns in a scope.
    ///
    /// # Errors
    /// As [`Builder::spawn`].
    #[track_caller]
    pub fn spawn_scoped<'scope, F, T>(
        self,
        scope: &'scope Scope<'scope, '_>,
        f: F,
    ) -> io::Result<ScopedJoinHandle<'scope, T>>
    where
        F: FnOnce() -> T + Send + 'scope,
        T: Send + 'scope,
    {
        if self.inherits {
            return scope.spawn_with(self.options()?, inherit_hooks(f));
        }
        scope.spawn_with(self.options()?, f)
    }

    #[track_caller]
    #[inline]
    fn options(self) -> io::Result<Options> {
        Ok(Options {
            class: self.limit.map(Class::for_limit).transpose()?,
            name: self.name,
            spawned_at: Location::caller(),
        })
    }
}
